//! Attention over documents, forward and backward, with windows, sinks and groups of heads.

use kernels::{AttentionShape, Training};

use super::{assert_gradient, assert_near, differences, dot, on_every_machine, random, wide};

/// Results and logarithms of the sums, query by query.
fn twin(shape: &AttentionShape<'_>, qkv: &[f64], sinks: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let AttentionShape { documents, heads, kv_heads, head_dim, window } = *shape;
    let vector = |token: usize, head: usize| &qkv[token * shape.row() + head * head_dim..][..head_dim];
    let (mut out, mut log_sums) = (Vec::new(), Vec::new());
    let mut first = 0;
    for &length in documents {
        for query in first..first + length {
            let seen = match window {
                Some(window) => first.max((query + 1).saturating_sub(window))..query + 1,
                None => first..query + 1,
            };
            for (head, sink) in sinks.iter().enumerate() {
                let kv_head = head / (heads / kv_heads);
                let score = |key| dot(vector(query, head), vector(key, heads + kv_head)) / (head_dim as f64).sqrt();
                let weights: Vec<f64> = seen.clone().map(|key| score(key).exp()).collect();
                let total = weights.iter().sum::<f64>() + sink.exp();
                let mut result = vec![0.0; head_dim];
                for (key, weight) in seen.clone().zip(&weights) {
                    let value = vector(key, heads + kv_heads + kv_head);
                    result.iter_mut().zip(value).for_each(|(sum, value)| *sum += weight / total * value);
                }
                out.extend(result);
                log_sums.push(total.ln());
            }
        }
        first += length;
    }
    (out, log_sums)
}

fn name(shape: &AttentionShape<'_>, isa: &str) -> String {
    format!("{shape:?}, {isa}")
}

/// Queries, keys and values whose scores differ by several nats, and sinks from hardly there to greater than all scores.
fn inputs(shape: &AttentionShape<'_>) -> (Vec<f32>, Vec<f32>) {
    let tokens: usize = shape.documents.iter().sum();
    let qkv = random(tokens * shape.row(), 1).iter().map(|value| value * 1.5).collect();
    let sinks = (0..shape.heads).map(|head| [0.5, -8.0, 3.0, 9.0, -1.0][head % 5]).collect();
    (qkv, sinks)
}

fn attend(training: &Training, shape: &AttentionShape<'_>, qkv: &[f32], sinks: &[f32]) -> [Vec<f32>; 2] {
    let tokens = qkv.len() / shape.row();
    let mut out = vec![f32::NAN; tokens * shape.heads * shape.head_dim];
    let mut log_sums = vec![f32::NAN; tokens * shape.heads];
    training.attend(shape, qkv, sinks, &mut out, &mut log_sums);
    [out, log_sums]
}

const WINDOWS: [Option<usize>; 5] = [None, Some(1), Some(5), Some(64), Some(1000)];

fn check_forward(shape: &AttentionShape<'_>) {
    let (qkv, sinks) = inputs(shape);
    let (out, log_sums) = twin(shape, &wide(&qkv), &wide(&sinks));
    on_every_machine(
        |training| attend(training, shape, &qkv, &sinks),
        |[found, found_log_sums], isa| {
            assert_near(found, &out, 3e-6, &name(shape, isa));
            assert_near(found_log_sums, &log_sums, 2e-6, &name(shape, isa));
        },
    );
}

#[test]
fn forward_is_the_twins() {
    let packed: [&[usize]; 4] = [&[1], &[5, 1, 13, 31], &[64, 3, 65, 63], &[129, 2, 200]];
    let heads = [(1, 1, 2), (3, 3, 18), (6, 2, 8), (4, 1, 5), (2, 2, 33), (2, 1, 80)];
    for documents in packed {
        for window in WINDOWS {
            for (heads, kv_heads, head_dim) in heads {
                check_forward(&AttentionShape { documents, heads, kv_heads, head_dim, window });
            }
        }
    }
}

/// Compares the slopes by every `every`th value and by all sinks.
fn check_backward(shape: &AttentionShape<'_>, every: usize) {
    let (qkv, sinks) = inputs(shape);
    let tokens = qkv.len() / shape.row();
    let out_gradient = random(tokens * shape.heads * shape.head_dim, 2);
    let sinks_before = random(shape.heads, 3);
    let [wide_qkv, wide_sinks, weights] = [&qkv, &sinks, &out_gradient].map(|values| wide(values));
    let loss = |qkv: &[f64], sinks: &[f64]| dot(&twin(shape, qkv, sinks).0, &weights);
    let places: Vec<usize> = (0..qkv.len()).step_by(every).collect();
    let by_qkv = differences(&wide_qkv, places.iter().copied(), |qkv| loss(qkv, &wide_sinks));
    let mut by_sinks = differences(&wide_sinks, 0..shape.heads, |sinks| loss(&wide_qkv, sinks));
    // The sinks' gradient is added to what is there, that of queries, keys and values is not.
    by_sinks.iter_mut().zip(&sinks_before).for_each(|(slope, before)| *slope += f64::from(*before));
    on_every_machine(
        |training| {
            let [out, log_sums] = attend(training, shape, &qkv, &sinks);
            let (mut qkv_gradient, mut sinks_gradient) = (vec![f32::NAN; qkv.len()], sinks_before.clone());
            let forward = (&qkv[..], &sinks[..], &out[..], &log_sums[..]);
            training.attend_backward(shape, forward, &out_gradient, &mut qkv_gradient, &mut sinks_gradient);
            [places.iter().map(|&place| qkv_gradient[place]).collect(), sinks_gradient]
        },
        |[by_place, sinks_gradient], isa| {
            // Queries, keys and values each by themselves: they differ in size.
            let bounds = [0, shape.heads, shape.heads + shape.kv_heads, shape.heads + 2 * shape.kv_heads];
            for (part, bounds) in ["queries", "keys", "values"].into_iter().zip(bounds.windows(2)) {
                let is_part = |&index: &usize| {
                    let head = places[index] % shape.row() / shape.head_dim;
                    (bounds[0]..bounds[1]).contains(&head)
                };
                let found: Vec<f32> = (0..places.len()).filter(is_part).map(|index| by_place[index]).collect();
                let expected: Vec<f64> = (0..places.len()).filter(is_part).map(|index| by_qkv[index]).collect();
                assert_gradient(&found, &expected, &format!("{part} of {}", name(shape, isa)));
            }
            assert_gradient(sinks_gradient, &by_sinks, &format!("sinks of {}", name(shape, isa)));
        },
    );
}

#[test]
fn backward_is_the_twins_slope() {
    for window in WINDOWS {
        for (heads, kv_heads, head_dim) in [(3, 1, 5), (4, 2, 18), (5, 5, 2)] {
            check_backward(&AttentionShape { documents: &[5, 1, 13], heads, kv_heads, head_dim, window }, 1);
        }
    }
}

#[test]
fn backward_over_several_blocks_of_queries() {
    for window in WINDOWS {
        check_backward(&AttentionShape { documents: &[3, 66], heads: 2, kv_heads: 1, head_dim: 6, window }, 1);
        check_backward(&AttentionShape { documents: &[2, 9], heads: 2, kv_heads: 1, head_dim: 80, window }, 7);
        check_backward(&AttentionShape { documents: &[131], heads: 2, kv_heads: 2, head_dim: 20, window }, 37);
    }
}

/// Of a head that is longer than a block of a product, every block's keys and values stand elsewhere in what is packed.
#[test]
fn heads_of_several_blocks() {
    for window in [None, Some(5), Some(64)] {
        let shape = |documents| AttentionShape { documents, heads: 2, kv_heads: 1, head_dim: 300, window };
        check_forward(&shape(&[129, 2, 200]));
        check_backward(&shape(&[2, 131]), 4_999);
    }
}
