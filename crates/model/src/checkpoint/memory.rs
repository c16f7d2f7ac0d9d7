//! What a checkpoint needs in memory for a given context, before anything is allocated.
//! It must not know what else a process needs.

use kernels::KvPrecision;

use super::{Checkpoint, TensorInfo};
use crate::{AttentionKind, ModelConfig};

/// Planned memory in bytes, as plain figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// The context that was asked about, in tokens.
    pub context_tokens: usize,
    /// Matrices computed from where they lie in the mapped files.
    pub mapped_weight_bytes: u64,
    /// Norms, biases and sinks, held as f32.
    pub widened_weight_bytes: u64,
    /// Keys and values of one token in all full-attention layers: what the cache grows by.
    pub full_kv_bytes_per_token: u64,
    /// Keys and values of the full-attention layers for the whole context.
    pub full_kv_bytes: u64,
    /// Keys and values of the sliding layers, which hold at most their window.
    pub window_kv_bytes: u64,
}

impl MemoryPlan {
    /// Everything together.
    #[must_use]
    pub const fn total_bytes(&self) -> u64 {
        self.mapped_weight_bytes + self.widened_weight_bytes + self.full_kv_bytes + self.window_kv_bytes
    }
}

impl Checkpoint {
    /// Plans for one sequence of `context_tokens` with keys and values cached in `precision`.
    #[must_use]
    pub fn memory_plan(&self, context_tokens: usize, precision: KvPrecision) -> MemoryPlan {
        let kv_value_bytes = match precision {
            KvPrecision::F32 => 4,
            KvPrecision::BF16 => 2,
        };
        let widened = |tensor: &&TensorInfo| tensor.widened;
        let values: usize =
            self.tensors.iter().filter(widened).map(|tensor| tensor.shape.iter().product::<usize>()).sum();
        let vectors: u64 = self.tensors.iter().filter(widened).map(|tensor| tensor.bytes).sum();
        let ModelConfig { layers, kv_heads, head_dim, sliding_window, .. } = &self.config;
        let sliding = layers.iter().filter(|kind| **kind == AttentionKind::Sliding).count();
        let token_bytes = (2 * kv_heads * head_dim * kv_value_bytes) as u64;
        let full_kv_bytes_per_token = (layers.len() - sliding) as u64 * token_bytes;
        MemoryPlan {
            context_tokens,
            mapped_weight_bytes: self.tensor_bytes() - vectors,
            widened_weight_bytes: (values * size_of::<f32>()) as u64,
            full_kv_bytes_per_token,
            full_kv_bytes: full_kv_bytes_per_token.saturating_mul(context_tokens as u64),
            window_kv_bytes: sliding as u64 * token_bytes * context_tokens.min(*sliding_window) as u64,
        }
    }
}
