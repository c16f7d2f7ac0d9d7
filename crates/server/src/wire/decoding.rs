//! How tokens are to be chosen, as every API spells it. It must not know what is asked of the model.

use engine::{Priority, Sampling};
use serde_json::Value;

use crate::error::ApiError;
use crate::wire::fields::{At, Fields};

/// Most stop texts of a request. OpenAI allows four.
const STOPS_MAX: usize = 16;
/// Most bytes of a stop text: so much of an answer may have to be held back.
const STOP_BYTES_MAX: usize = 1024;

/// What a request says of sampling; what it does not say is the server's choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Decoding {
    /// As it was written, like all numbers here: some answers repeat them.
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) top_k: Option<usize>,
    pub(crate) min_p: Option<f64>,
    pub(crate) presence_penalty: Option<f64>,
    pub(crate) frequency_penalty: Option<f64>,
    pub(crate) repetition_penalty: Option<f64>,
    pub(crate) logit_bias: Vec<(u32, f32)>,
    pub(crate) seed: Option<u64>,
}

impl Decoding {
    /// Everything that OpenAI and the servers beside it have.
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            top_k: fields.optional("top_k", |at| top_k(at, i64::from(u32::MAX)))?,
            logit_bias: fields.optional("logit_bias", logit_bias)?.unwrap_or_default(),
            seed: fields.optional("seed", seed)?,
            ..Self::read_decimals(fields)?
        })
    }

    /// The same for the Responses API: no biases, and its own idea of what an integer is.
    pub(crate) fn read_for_response(fields: &Fields<'_>) -> Result<Self, ApiError> {
        let seed = fields.optional("seed", |at| at.integer(i64::MIN, i64::MAX))?;
        Ok(Self {
            top_k: fields.optional("top_k", |at| top_k(at, 1 << 31))?,
            seed: seed.map(i64::cast_unsigned),
            ..Self::read_decimals(fields)?
        })
    }

    /// The settings with decimals, which all APIs have in the same ranges.
    fn read_decimals(fields: &Fields<'_>) -> Result<Self, ApiError> {
        let within = |name: &'static str, least: f64, most: f64| fields.optional(name, |at| at.number(least, most));
        Ok(Self {
            temperature: within("temperature", 0.0, 2.0)?,
            top_p: within("top_p", 0.0, 1.0)?,
            min_p: within("min_p", 0.0, 1.0)?,
            presence_penalty: within("presence_penalty", -2.0, 2.0)?,
            frequency_penalty: within("frequency_penalty", -2.0, 2.0)?,
            repetition_penalty: within("repetition_penalty", 0.01, 100.0)?,
            ..Self::default()
        })
    }

    /// The settings, where `base` is the server's choice and `chance` the seed of a request that gives none. The choices of one
    /// request are drawn with different seeds.
    pub(crate) fn sampling(&self, base: &Sampling, chance: u64, choice: usize) -> Sampling {
        let Self {
            temperature,
            top_p,
            top_k,
            min_p,
            presence_penalty,
            frequency_penalty,
            repetition_penalty,
            ref logit_bias,
            seed,
        } = *self;
        let number = |asked: Option<f64>, base: f32| asked.map_or(base, |number| number as f32);
        Sampling {
            temperature: number(temperature, base.temperature),
            // Nothing but the likeliest token is left by a share of 0, as by the smallest one above it.
            top_p: number(top_p, base.top_p).max(f32::MIN_POSITIVE),
            top_k: top_k.unwrap_or(base.top_k),
            min_p: number(min_p, base.min_p),
            presence_penalty: number(presence_penalty, base.presence_penalty),
            frequency_penalty: number(frequency_penalty, base.frequency_penalty),
            repetition_penalty: number(repetition_penalty, base.repetition_penalty),
            logit_bias: if logit_bias.is_empty() { base.logit_bias.clone() } else { logit_bias.clone() },
            seed: seed.unwrap_or(chance).wrapping_add(choice as u64),
        }
    }
}

/// Who goes first: routers send a number, and less goes earlier.
pub(crate) fn priority(fields: &Fields<'_>) -> Result<Priority, ApiError> {
    Ok(fields.optional("priority", |at| at.integer(i64::MIN, i64::MAX))?.map(rank).unwrap_or_default())
}

/// Who goes first by this number.
pub(crate) fn rank(number: i64) -> Priority {
    match number {
        ..0 => Priority::High,
        0 => Priority::Normal,
        1.. => Priority::Low,
    }
}

/// One stop text or several.
pub(crate) fn stops(at: At<'_>) -> Result<Vec<String>, ApiError> {
    let stop = |at: At<'_>| {
        let text = at.str()?;
        if text.is_empty() || text.len() > STOP_BYTES_MAX {
            return Err(at.expected(&format!("a text of 1 to {STOP_BYTES_MAX} bytes")));
        }
        Ok(text.to_owned())
    };
    if at.value.is_string() {
        return stop(at).map(|stop| vec![stop]);
    }
    if at.value.as_array().is_none_or(|array| array.len() > STOPS_MAX) {
        return Err(at.expected(&format!("a string or an array of at most {STOPS_MAX} strings")));
    }
    at.array()?.map(stop).collect()
}

/// Token ids.
pub(crate) fn ids(at: At<'_>) -> Result<Vec<u32>, ApiError> {
    at.array()?.map(|at| at.integer(0, i64::from(u32::MAX)).map(|id| id as u32)).collect()
}

/// −1 and 0 both keep all.
fn top_k(at: At<'_>, most: i64) -> Result<usize, ApiError> {
    at.integer(-1, most).map(|number| usize::try_from(number).unwrap_or(0))
}

/// Any integer of 64 bits, with or without sign.
fn seed(at: At<'_>) -> Result<u64, ApiError> {
    match at.value.as_u64() {
        Some(seed) => Ok(seed),
        None => at.integer(i64::MIN, i64::MAX).map(|seed| seed as u64),
    }
}

/// An object from token ids to numbers.
fn logit_bias(at: At<'_>) -> Result<Vec<(u32, f32)>, ApiError> {
    let Value::Object(object) = at.value else { return Err(at.expected("an object from token ids to numbers")) };
    let bias = |(id, value): (&String, &Value)| {
        let at = At { value, path: format!("{}.{id}", at.path) };
        let Ok(id) = id.parse() else { return Err(at.expected("under the id of a token")) };
        at.number(-100.0, 100.0).map(|bias| (id, bias as f32))
    };
    object.iter().map(bias).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Decoding, ApiError> {
        Decoding::read(&Fields::of_body(&value).unwrap())
    }

    #[test]
    fn what_routers_send_is_understood() {
        let read =
            read(json!({ "top_k": -1, "top_p": 0, "min_p": 0.0, "seed": -1, "logit_bias": { "5": -100 } })).unwrap();
        let sampling = read.sampling(&Sampling::default(), 9, 2);
        assert_eq!((sampling.top_k, sampling.seed), (0, 1), "minus one and two choices further");
        assert_eq!(sampling.logit_bias, [(5, -100.0)]);
        sampling.check(10).unwrap();
        assert_eq!(Decoding::default().sampling(&Sampling::default(), 9, 2).seed, 11);
    }

    #[test]
    fn each_setting_arrives_and_what_is_left_out_is_the_servers() {
        let body = json!({
            "temperature": 0.25, "top_p": 0.5, "top_k": 7, "min_p": 0.125, "presence_penalty": 1.5,
            "frequency_penalty": -1.5, "repetition_penalty": 1.25, "seed": 3,
        });
        let asked = Sampling {
            temperature: 0.25,
            top_p: 0.5,
            top_k: 7,
            min_p: 0.125,
            presence_penalty: 1.5,
            frequency_penalty: -1.5,
            repetition_penalty: 1.25,
            logit_bias: Vec::new(),
            seed: 3,
        };
        let fields = Fields::of_body(&body).unwrap();
        for read in [Decoding::read(&fields), Decoding::read_for_response(&fields)] {
            assert_eq!(read.unwrap().sampling(&Sampling::default(), 9, 0), asked);
        }
        let base = Sampling { logit_bias: vec![(5, 1.0)], ..asked };
        assert_eq!(Decoding::default().sampling(&base, 9, 0), Sampling { seed: 9, ..base });
    }

    #[test]
    fn the_responses_api_has_no_biases_and_smaller_integers() {
        let read = |body: Value| {
            let fields = Fields::of_body(&body).unwrap();
            Decoding::read_for_response(&fields).and_then(|read| fields.finish().map(|()| read))
        };
        assert_eq!(read(json!({ "seed": -1 })).unwrap().seed, Some(u64::MAX));
        for (body, path) in [
            (json!({ "logit_bias": { "5": 1 } }), "logit_bias"),
            (json!({ "seed": u64::MAX }), "seed"),
            (json!({ "top_k": 1_i64 << 32 }), "top_k"),
        ] {
            assert_eq!(read(body).unwrap_err().param.as_deref(), Some(path));
        }
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let cases = [
            (json!({ "temperature": 2.1 }), "temperature"),
            (json!({ "top_p": "1" }), "top_p"),
            (json!({ "top_k": -2 }), "top_k"),
            (json!({ "seed": 1.5 }), "seed"),
            (json!({ "logit_bias": [] }), "logit_bias"),
            (json!({ "logit_bias": { "a": 1 } }), "logit_bias.a"),
            (json!({ "logit_bias": { "1": 101 } }), "logit_bias.1"),
        ];
        for (body, path) in cases {
            assert_eq!(read(body).unwrap_err().param.as_deref(), Some(path));
        }
    }

    #[test]
    fn stop_texts_come_alone_or_in_an_array() {
        let stop = |value: Value| stops(At { value: &value, path: "stop".to_owned() });
        assert_eq!(stop(json!("a")).unwrap(), ["a"]);
        assert_eq!(stop(json!(["a", "b"])).unwrap(), ["a", "b"]);
        assert_eq!(stop(json!(["a", ""])).unwrap_err().param.as_deref(), Some("stop[1]"));
        assert_eq!(stop(json!(vec!["a"; 17])).unwrap_err().param.as_deref(), Some("stop"));
    }
}
