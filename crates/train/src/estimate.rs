//! What a run will cost, before it begins: arithmetic, memory and disk from the shape. It must not measure anything itself.

use model::{AttentionKind, ModelConfig};

use crate::export;
use crate::parameters::{Layout, TensorKind};
use crate::state;

/// Vectors of the layout that training holds: parameters, gradients, two moments, and the parameters as the passes see them.
const VECTORS: u64 = 5;
/// Rows of logits that exist at a time, and their gradients' neighbours.
const LOGIT_ROWS: u64 = 256;

/// What is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Tokens computed at a time.
    pub micro_batch_tokens: usize,
    /// A usual document, which decides the work of full attention.
    pub document_tokens: usize,
    /// Whether activations are computed again instead of kept.
    pub recompute: bool,
    /// Checkpoints that are kept.
    pub checkpoints: usize,
}

/// The cost, as plain figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// All parameters.
    pub parameters: usize,
    /// Those that a token meets.
    pub active_parameters: usize,
    /// Floating-point operations of the forward and backward pass, per token.
    pub flops_per_token: f64,
    /// Parameters, gradients and moments, and the activations of a micro-batch.
    pub memory_bytes: u64,
    /// The checkpoints that are kept, and the one being written.
    pub checkpoint_bytes: u64,
    /// The exported tensors.
    pub export_bytes: u64,
}

impl Estimate {
    /// Of a model and a plan.
    #[must_use]
    pub fn new(config: &ModelConfig, plan: &Plan) -> Self {
        let layout = Layout::new(config);
        let parameters = layout.length();
        let Plan { micro_batch_tokens, document_tokens, recompute, checkpoints } = *plan;
        let experts: usize = layout
            .tensors()
            .iter()
            .filter(|tensor| tensor.kind == TensorKind::Experts)
            .map(|tensor| tensor.range.len())
            .sum();
        let resting = experts / config.experts * (config.experts - config.experts_per_token);
        // A multiplication and an addition each; the backward pass is two products for each of the forward pass.
        let passes = if recompute { 4.0 } else { 3.0 };
        let head = (config.hidden_size * config.vocabulary_size) as f64;
        let flops_per_token = 2.0 * (passes * layer_products(config, document_tokens) + 3.0 * head);
        let activations = 4 * activation_values(config, recompute) * micro_batch_tokens as u64;
        let logits = 4 * LOGIT_ROWS * config.vocabulary_size as u64;
        Self {
            parameters,
            active_parameters: parameters - resting,
            flops_per_token,
            memory_bytes: 4 * VECTORS * parameters as u64 + activations + logits,
            checkpoint_bytes: (checkpoints as u64 + 1) * state::file_bytes(parameters),
            export_bytes: export::tensor_bytes(&layout),
        }
    }

    /// Everything on the disk at the end.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.checkpoint_bytes + self.export_bytes
    }
}

/// Multiplications of all layers per token in the forward pass.
fn layer_products(config: &ModelConfig, document_tokens: usize) -> f64 {
    let ModelConfig { hidden_size: hidden, intermediate_size: inner, heads, kv_heads, head_dim, .. } = *config;
    let (queries, keys) = (heads * head_dim, kv_heads * head_dim);
    let weights =
        hidden * (2 * queries + 2 * keys) + hidden * config.experts + config.experts_per_token * 3 * hidden * inner;
    let seen = |kind: &AttentionKind| match kind {
        AttentionKind::Full => mean_keys(document_tokens, document_tokens),
        AttentionKind::Sliding => mean_keys(document_tokens, config.sliding_window),
    };
    config.layers.iter().map(|kind| weights as f64 + 2.0 * seen(kind) * queries as f64).sum()
}

/// Keys that a token of a document sees, on average.
fn mean_keys(document: usize, window: usize) -> f64 {
    let window = window.min(document);
    let (document, window) = (document.max(1) as f64, window as f64);
    (window * (window + 1.0) / 2.0 + (document - window) * window) / document
}

/// f32 values of activations per token: each layer keeps its own, or one layer's are kept and only the inputs of all; beside
/// them are one layer's gradients and the rows of the loss.
fn activation_values(config: &ModelConfig, recompute: bool) -> u64 {
    let ModelConfig { hidden_size: hidden, intermediate_size: inner, heads, kv_heads, head_dim, .. } = *config;
    let (queries, keys) = (heads * head_dim, kv_heads * head_dim);
    let layer =
        4 * hidden + 2 * queries + 2 * keys + config.experts_per_token * (2 * hidden + 3 * inner) + 2 * config.experts;
    let depth = config.layers.len();
    let kept = if recompute { layer + depth * hidden } else { depth * layer };
    (kept + layer + 6 * hidden) as u64
}

#[cfg(test)]
mod tests {
    use super::{Estimate, Plan, mean_keys};
    use crate::recipe::tests::recipe;

    const PLAN: Plan = Plan { micro_batch_tokens: 4096, document_tokens: 400, recompute: false, checkpoints: 2 };

    #[test]
    fn the_demo_costs_what_it_is_known_to() {
        let config = recipe().model.config(2048);
        let estimate = Estimate::new(&config, &PLAN);
        // Counted by hand: 2 × 2048 × 192 of both embeddings, 192 of the last norm, and of each of four layers 2 × 192 of norms,
        // 512 × 193 of query, key and value, 4 sinks, 192 × 257 of the output, 8 × 193 of the router, and eight experts of
        // 256 × 193 and 192 × 129.
        let layer = 2 * 192 + 512 * 193 + 4 + 192 * 257 + 8 * 193 + 8 * (256 * 193 + 192 * 129);
        assert_eq!(estimate.parameters, 2 * 2048 * 192 + 192 + 4 * layer);
        assert_eq!(estimate.active_parameters, estimate.parameters - 4 * 4 * (256 * 192 + 192 * 128));
        assert!((14e6..18e6).contains(&estimate.flops_per_token), "{}", estimate.flops_per_token);
        assert!((3_900_000..4_200_000).contains(&estimate.export_bytes), "{}", estimate.export_bytes);
        assert_eq!(estimate.disk_bytes(), 3 * (64 + 12 * estimate.parameters as u64) + estimate.export_bytes);
        let activations = estimate.memory_bytes - 20 * estimate.parameters as u64;
        assert!((100_000_000..400_000_000).contains(&activations), "{activations}");
    }

    #[test]
    fn recomputing_takes_less_memory_and_more_work() {
        let config = recipe().model.config(2048);
        let (kept, again) = (Estimate::new(&config, &PLAN), Estimate::new(&config, &Plan { recompute: true, ..PLAN }));
        assert!(again.memory_bytes < kept.memory_bytes && again.flops_per_token > kept.flops_per_token);
    }

    #[test]
    fn keys_are_counted_as_attention_counts_them() {
        for (document, window) in [(1, 1), (7, 3), (128, 128), (400, 128), (5, 128)] {
            let seen: usize = (0..document).map(|position: usize| (position + 1).min(window)).sum();
            let mean = seen as f64 / document as f64;
            assert!((mean_keys(document, window) - mean).abs() < 1e-9, "{document} {window}");
        }
    }
}
