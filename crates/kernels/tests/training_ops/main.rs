//! The training ops against plain f64 twins: forward passes on every instruction set, backward passes by central differences
//! of the twin, and the same bits for any number of threads. One file per kind of op; here is what they share.

mod activation;
mod attention;
mod loss;
mod norm;
mod optimiser;
mod orthogonal;
mod product;
mod rotary;

use kernels::{IsaKind, Training};

/// Lengths that fill no vector, tile or task, or just not one.
const AWKWARD: [usize; 6] = [1, 5, 13, 31, 33, 257];
const THREADS: [usize; 2] = [1, 3];
/// Of central differences; their own error is about its square.
const STEP: f64 = 1e-5;
/// Of a gradient's length. A forgotten element or a wrong sign makes far more.
const GRADIENT_TOLERANCE: f64 = 1e-5;

/// Runs `work` on every instruction set. Its results must be the same bits with one thread and with three; `check` is given
/// them with a name.
fn on_every_machine<const N: usize>(
    work: impl Fn(&mut Training) -> [Vec<f32>; N],
    check: impl Fn(&[Vec<f32>; N], &str),
) {
    for kind in IsaKind::available() {
        let [alone, shared] =
            THREADS.map(|threads| work(&mut Training::new(kind, threads).expect("available, and few threads")));
        let bits =
            |results: &[Vec<f32>; N]| results.each_ref().map(|values| values.iter().map(|x| x.to_bits()).collect());
        let (alone_bits, shared_bits): ([Vec<u32>; N], [Vec<u32>; N]) = (bits(&alone), bits(&shared));
        assert!(alone_bits == shared_bits, "{}: threads change the result", kind.name());
        check(&alone, kind.name());
    }
}

/// Seeded values between −1.5 and 1.5.
fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 * 3.0 - 1.5
    };
    (0..count).map(next).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Central differences of `loss` by the inputs at `places`.
fn differences(inputs: &[f64], places: impl IntoIterator<Item = usize>, loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut moved = inputs.to_vec();
    let mut slopes = Vec::new();
    for place in places {
        let mut at = |step| {
            moved[place] = inputs[place] + step;
            loss(&moved)
        };
        slopes.push((at(STEP) - at(-STEP)) / (2.0 * STEP));
        moved[place] = inputs[place];
    }
    slopes
}

/// Every value within `tolerance` of the twin's, in units of the twin's largest.
#[track_caller]
fn assert_near(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.01_f64, |most, value| most.max(value.abs()));
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        assert!(error <= tolerance * scale, "{what}: [{index}] is {found} instead of {expected}, of {scale} at most");
    }
}

/// A gradient whose difference from the expected is short against the expected.
#[track_caller]
fn assert_gradient(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let difference = found.iter().zip(expected).map(|(&found, expected)| (f64::from(found) - expected).powi(2));
    let (difference, length) = (difference.sum::<f64>().sqrt(), dot(expected, expected).sqrt());
    // Some gradients are zero in truth, as a norm's over one column.
    let allowed = GRADIENT_TOLERANCE * length.max(0.1);
    assert!(difference <= allowed, "{what}: relative error {:e} of a length of {length}", difference / length);
}

#[test]
fn every_chunk_is_visited_once_with_its_index() {
    for (length, chunk) in [(0, 4), (1, 4), (4, 4), (1000, 7), (1000, 1)] {
        on_every_machine(
            |training| {
                let mut values = vec![0.5_f32; length];
                training.for_each_chunk(&mut values, chunk, |index, part| {
                    part.iter_mut().for_each(|value| *value += index as f32);
                });
                [values]
            },
            |[values], what| {
                let expected: Vec<f64> = (0..length).map(|place| 0.5 + (place / chunk) as f64).collect();
                assert_near(values, &expected, 0.0, what);
            },
        );
    }
}
