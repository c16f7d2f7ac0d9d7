//! What a checkpoint needs in memory for a given context, before anything is allocated.
//! It must not know what else a process needs.

use kernels::{Cpu, KvPrecision};

use super::{Checkpoint, TensorInfo};
use crate::{AttentionKind, ModelConfig};

/// Tokens per forward pass that [`Checkpoint::memory_plan`] plans for: the command line's default.
///
/// By measurement: the more tokens share the reading and decoding of an expert's weights the better, up to here.
pub const PLANNED_CHUNK_TOKENS: usize = 2048;

/// Planned memory in bytes, as plain figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// The context that was asked about, in tokens.
    pub context_tokens: usize,
    /// Matrices computed from where they lie in the mapped files.
    pub mapped_weight_bytes: u64,
    /// Norms, biases and sinks, held as f32.
    pub widened_weight_bytes: u64,
    /// Keys and values of one token in all full-attention layers: what the cache grows by, averaged over a block of it.
    pub full_kv_bytes_per_token: u64,
    /// Keys and values of the full-attention layers for the whole context, in whole blocks.
    pub full_kv_bytes: u64,
    /// Keys and values of the sliding layers, which hold at most their window and a chunk, in whole blocks.
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
    /// Plans for one sequence of `context_tokens` on a CPU, with keys and values cached in `precision` and at most
    /// [`PLANNED_CHUNK_TOKENS`] tokens per forward pass.
    #[must_use]
    pub fn memory_plan(&self, context_tokens: usize, precision: KvPrecision) -> MemoryPlan {
        self.memory_plan_in_chunks(context_tokens, PLANNED_CHUNK_TOKENS, precision)
    }

    /// Plans for one sequence of `context_tokens` on a CPU, with keys and values cached in `precision` and at most
    /// `chunk_tokens` tokens per forward pass.
    #[must_use]
    pub fn memory_plan_in_chunks(
        &self,
        context_tokens: usize,
        chunk_tokens: usize,
        precision: KvPrecision,
    ) -> MemoryPlan {
        let widened = |tensor: &&TensorInfo| tensor.widened;
        let values: usize =
            self.tensors.iter().filter(widened).map(|tensor| tensor.shape.iter().product::<usize>()).sum();
        let vectors: u64 = self.tensors.iter().filter(widened).map(|tensor| tensor.bytes).sum();
        let ModelConfig { layers, kv_heads, head_dim, sliding_window, .. } = &self.config;
        let sliding = layers.iter().filter(|kind| **kind == AttentionKind::Sliding).count();
        let full = layers.len() - sliding;
        let layer_bytes =
            |window| Cpu::kv_bytes_max(*kv_heads, *head_dim, window, precision, context_tokens, chunk_tokens) as u64;
        MemoryPlan {
            context_tokens,
            mapped_weight_bytes: self.tensor_bytes() - vectors,
            widened_weight_bytes: (values * size_of::<f32>()) as u64,
            full_kv_bytes_per_token: (full * Cpu::kv_bytes_per_position(*kv_heads, *head_dim, precision)) as u64,
            full_kv_bytes: (full as u64).saturating_mul(layer_bytes(None)),
            window_kv_bytes: (sliding as u64).saturating_mul(layer_bytes(Some(*sliding_window))),
        }
    }
}
