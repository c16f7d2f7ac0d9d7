//! Random initial parameters. It must not know how they are trained.

use std::f64::consts::TAU;

use model::ModelConfig;

use crate::parameters::{Layout, TensorKind};

/// Standard deviation of the embedding: small against the unit scale that the norms give, so that layers are heard early.
const EMBEDDING_SPREAD: f64 = 0.1;
/// Standard deviation of the unembedding: logits begin near zero.
const UNEMBEDDING_SPREAD: f64 = 0.02;

/// Fills the vector. Weights are normal with variance `1 / inputs`; those that write to the residual stream are smaller by
/// `sqrt(2 · layers)`, as in GPT-2; biases and sinks are 0, norms 1.
pub(crate) fn fill(config: &ModelConfig, layout: &Layout, seed: u64, parameters: &mut [f32]) {
    let depth = (2.0 * config.layers.len() as f64).sqrt();
    for (index, tensor) in layout.tensors().iter().enumerate() {
        let inputs = tensor.shape.last().copied().unwrap_or(1) as f64;
        let writes = tensor.name.ends_with("o_proj.weight") || tensor.name.ends_with("down_proj");
        let spread = match tensor.kind {
            TensorKind::Embedding if tensor.range == layout.embedding => EMBEDDING_SPREAD,
            TensorKind::Embedding => UNEMBEDDING_SPREAD,
            TensorKind::Weight | TensorKind::Experts if writes => 1.0 / inputs.sqrt() / depth,
            TensorKind::Weight | TensorKind::Experts => 1.0 / inputs.sqrt(),
            TensorKind::Bias | TensorKind::Sinks => 0.0,
            TensorKind::Norm => {
                parameters[tensor.range.clone()].fill(1.0);
                continue;
            }
        };
        for (place, value) in parameters[tensor.range.clone()].iter_mut().enumerate() {
            *value = (spread * normal(seed, index as u64, place as u64)) as f32;
        }
    }
}

/// A normal value of a counter (Box–Muller over two uniform ones).
fn normal(seed: u64, tensor: u64, place: u64) -> f64 {
    let bits = mix(mix(seed ^ (tensor << 40)).wrapping_add(place));
    // 53 bits each; the first is never 0.
    let uniform = |bits: u64| ((bits >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0;
    (-2.0 * uniform(bits).ln()).sqrt() * (TAU * uniform(mix(bits))).cos()
}

/// SplitMix64's step and finaliser.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
