//! Ranges of the sampling settings: both ends are taken, what lies beyond is refused in words.

use engine::Sampling;

use crate::watched::VOCABULARY;

/// Name, a way to set it, values at the ends, values beyond them, the range in words.
type Setting = (&'static str, fn(&mut Sampling, f32), [f32; 2], [f32; 2], &'static str);

const SETTINGS: [Setting; 7] = [
    ("temperature", |s, x| s.temperature = x, [0.0, 2.0], [-0.001, 2.001], "from 0 to 2"),
    ("top_p", |s, x| s.top_p = x, [1e-45, 1.0], [0.0, 1.001], "above 0, at most 1"),
    ("min_p", |s, x| s.min_p = x, [0.0, 1.0], [-0.001, 1.001], "from 0 to 1"),
    ("presence_penalty", |s, x| s.presence_penalty = x, [-2.0, 2.0], [-2.001, 2.001], "from -2 to 2"),
    ("frequency_penalty", |s, x| s.frequency_penalty = x, [-2.0, 2.0], [-2.001, 2.001], "from -2 to 2"),
    ("repetition_penalty", |s, x| s.repetition_penalty = x, [0.01, 100.0], [0.0099, 100.1], "from 0.01 to 100"),
    ("logit_bias", |s, x| s.logit_bias = vec![(3, x)], [-100.0, 100.0], [-100.1, 100.1], "from -100 to 100"),
];

#[test]
fn every_setting_has_a_range_in_words() {
    for (name, set, ends, beyond, words) in SETTINGS {
        let check = |value| {
            let mut sampling = Sampling::default();
            set(&mut sampling, value);
            sampling.check(VOCABULARY).map_err(|error| error.to_string())
        };
        for value in ends {
            assert_eq!(check(value), Ok(()), "{name} {value}");
        }
        for value in beyond.into_iter().chain([f32::NAN, f32::INFINITY, f32::NEG_INFINITY]) {
            assert_eq!(check(value), Err(format!("{name} is {value}: expected a number {words}")));
        }
    }
}

#[test]
fn biases_name_tokens_that_exist_and_are_not_too_many() {
    let check = |logit_bias| Sampling { logit_bias, ..Sampling::default() }.check(VOCABULARY);
    assert!(check(vec![(31, 1.0); 4096]).is_ok());
    let many = check(vec![(31, 1.0); 4097]).unwrap_err().to_string();
    assert_eq!(many, "logit_bias has 4097 entries: expected at most 4096");
    let outside = check(vec![(31, 1.0), (32, 1.0)]).unwrap_err().to_string();
    assert_eq!(outside, "logit_bias names token 32: expected an id below 32");
}
