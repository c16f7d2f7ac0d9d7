//! What serving a model will take in memory, told before anything is loaded and refused when the machine cannot hold it. It must
//! not know who serves or why.

use std::fmt;

use engine::Limits;
use kernels::{Cpu, DenseFormat, DenseMatrix, KV_BLOCK_POSITIONS, KvPrecision};
use model::{Checkpoint, ModelConfig, Precision};
use serde_json::{Value, json};

use crate::error::Error;

/// The program, its threads' stacks and what allocators keep.
const PROGRAM_BYTES: u64 = 64 << 20;
/// What a sampler holds per token of the vocabulary once it has sorted candidates.
const CANDIDATE_BYTES: usize = 8;
/// What the index of a text's n-grams takes per token of the text.
const DRAFT_BYTES_PER_TOKEN: usize = 40;
/// Attention of a few rows is put together from parts of so many positions.
const PART_POSITIONS: usize = 1024;
/// The most rows of which that is true.
const PART_ROWS: usize = 16;
/// Rows as wide as the model that a forward pass holds per token: the residual, normed rows, attention's output, sums.
const HIDDEN_ROWS: usize = 6;
/// Rows of an expert's width per token and chosen expert: gate, up, and what SwiGLU makes of them.
const EXPERT_ROWS: usize = 3;

/// Planned memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    weights: Weights,
    weight_bytes: u64,
    /// Keys and values of everybody and of the prefix cache; nothing when they have no bound.
    kv_bytes: Option<u64>,
    kv_block_bytes: u64,
    /// What lies in memory before it lies on the disk.
    disk_queue_bytes: u64,
    working_bytes: u64,
}

/// Where weights are while they are computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    /// Where the checkpoint's files are mapped.
    Published,
    /// Packed at the start, in memory of the process.
    Packed,
    /// In the file that `glossa pack` wrote, mapped.
    PackFile,
}

impl Plan {
    /// Plans for a model that is served within limits.
    pub(crate) fn new(
        checkpoint: &Checkpoint,
        (precision, kv): (Precision, KvPrecision),
        has_pack: bool,
        limits: &Limits,
    ) -> Self {
        let config = &checkpoint.config;
        let (weights, weight_bytes) = match (precision, has_pack) {
            (Precision::Exact, _) => (Weights::Published, checkpoint.tensor_bytes()),
            (Precision::Default | Precision::DenseEight, true) => (Weights::PackFile, packed(checkpoint, precision)),
            (Precision::Default | Precision::DenseEight, false) => (Weights::Packed, packed(checkpoint, precision)),
        };
        let position = Cpu::kv_bytes_per_position(config.kv_heads, config.head_dim, kv);
        Self {
            weights,
            weight_bytes,
            kv_bytes: limits.kv_bytes_max.map(|bytes| bytes as u64),
            kv_block_bytes: (position * KV_BLOCK_POSITIONS) as u64,
            disk_queue_bytes: limits.disk.as_ref().map_or(0, |disk| disk.queue_bytes_max),
            working_bytes: working(config, limits),
        }
    }

    /// Everything together, as far as it has a bound.
    pub(crate) fn total_bytes(&self) -> u64 {
        let Self { weights: _, weight_bytes, kv_bytes, kv_block_bytes: _, disk_queue_bytes, working_bytes } = self;
        weight_bytes + kv_bytes.unwrap_or(0) + disk_queue_bytes + working_bytes
    }

    /// Refuses a plan that a machine cannot hold; where nothing is known of the machine, nothing is refused.
    pub(crate) fn check(&self, machine_bytes: Option<u64>) -> Result<(), Error> {
        match machine_bytes {
            Some(machine) if self.total_bytes() > machine => Err(Error::Memory {
                planned: readable(self.total_bytes()),
                machine: readable(machine),
                weights: readable(self.weight_bytes),
                keys_and_values: readable(self.kv_bytes.unwrap_or(0)),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let Self { weights, weight_bytes, kv_bytes, kv_block_bytes, disk_queue_bytes, working_bytes } = self;
        json!({
            "weights": weights.words(),
            "weight_bytes": weight_bytes,
            "kv_bytes_max": kv_bytes,
            "kv_block_bytes": kv_block_bytes,
            "disk_queue_bytes": disk_queue_bytes,
            "working_bytes": working_bytes,
            "total_bytes": self.total_bytes(),
        })
    }
}

impl Weights {
    fn words(self) -> &'static str {
        match self {
            Self::Published => "mapped from the checkpoint",
            Self::Packed => "packed in memory",
            Self::PackFile => "mapped from the file of packed weights",
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, bytes: u64, rest: &str| {
            let end = if rest.is_empty() { String::new() } else { format!("  {rest}") };
            writeln!(formatter, "  {name:<18}{:>10}{end}", readable(bytes))
        };
        line("weights", self.weight_bytes, self.weights.words())?;
        match self.kv_bytes {
            Some(bytes) => {
                let (blocks, block) = (bytes / self.kv_block_bytes, readable(self.kv_block_bytes));
                line("keys and values", bytes, &format!("at most, {blocks} blocks of {block}"))?;
            }
            None => line("keys and values", 0, "without a bound")?,
        }
        if self.disk_queue_bytes > 0 {
            line("disk cache", self.disk_queue_bytes, "at most, before it is written")?;
        }
        line("working memory", self.working_bytes, "an estimate")?;
        line("together", self.total_bytes(), "")
    }
}

/// Bytes of a dense matrix as it is computed with.
pub(crate) fn dense_bytes(matrix: &DenseMatrix, precision: Precision) -> usize {
    match precision {
        Precision::Exact | Precision::Default => matrix.bytes.len(),
        Precision::DenseEight => DenseFormat::Q8_0.row_bytes(matrix.columns) * matrix.rows,
    }
}

/// Bytes for people.
pub(crate) fn readable(bytes: u64) -> String {
    let bytes = bytes as f64;
    if bytes >= 1e9 {
        format!("{:.2} GB", bytes / 1e9)
    } else if bytes >= 1e6 {
        format!("{:.1} MB", bytes / 1e6)
    } else {
        format!("{:.1} kB", bytes / 1e3)
    }
}

/// Weights in the fast kernels' form, beside the embedding, routers and vectors, which stay as they are.
fn packed(checkpoint: &Checkpoint, precision: Precision) -> u64 {
    let unembedding = &checkpoint.unembedding;
    let mut bytes = checkpoint.embedding.bytes.len() + dense_bytes(unembedding, precision);
    bytes += precision.rough_bytes(unembedding);
    for layer in &checkpoint.layers {
        let experts = layer.gate_up.matrices().chain([&layer.down]);
        bytes += experts.map(|matrix| matrix.blocks.len() + matrix.scales.len()).sum::<usize>();
        let dense = [&layer.query, &layer.key, &layer.value, &layer.output];
        bytes += dense.into_iter().map(|matrix| dense_bytes(matrix, precision)).sum::<usize>();
        bytes += layer.router.bytes.len();
    }
    bytes as u64
}

/// Activations of the largest step, logits of everybody, what each job holds beside its keys and values, and the program itself.
fn working(config: &ModelConfig, limits: &Limits) -> u64 {
    let attention = 2 * (config.heads + config.kv_heads) * config.head_dim;
    let experts = config.experts_per_token * (EXPERT_ROWS * config.intermediate_size + config.hidden_size);
    let per_token = HIDDEN_ROWS * config.hidden_size + attention + experts + config.experts;
    let values = limits.chunk_tokens * per_token + 2 * limits.logit_rows_max() * config.vocabulary_size;
    let per_sequence = CANDIDATE_BYTES * config.vocabulary_size + DRAFT_BYTES_PER_TOKEN * limits.context_tokens;
    let parts = limits.context_tokens.div_ceil(PART_POSITIONS) * PART_ROWS * config.heads * (config.head_dim + 2);
    let bytes = (values + parts) * size_of::<f32>() + limits.sequences_max * per_sequence;
    PROGRAM_BYTES + bytes as u64
}

#[cfg(test)]
mod tests {
    use engine::{DiskCache, Limits};
    use model::{Device, Precision};

    use super::{Plan, Weights};
    use crate::shipped::Named;

    #[test]
    fn a_plan_counts_what_a_model_holds() {
        let (checkpoint, _) = Named::Shipped.open().unwrap();
        let limits = Limits::serving(4096, 64 << 20);
        let exact = Plan::new(&checkpoint, (Precision::Exact, Precision::Exact.kv()), true, &limits);
        assert_eq!((exact.weights, exact.weight_bytes), (Weights::Published, checkpoint.tensor_bytes()));
        let default = Plan::new(&checkpoint, (Precision::Default, Precision::Default.kv()), false, &limits);
        let eight = Plan::new(&checkpoint, (Precision::DenseEight, Precision::DenseEight.kv()), true, &limits);
        assert_eq!((default.weights, eight.weights), (Weights::Packed, Weights::PackFile));
        assert!(eight.weight_bytes < default.weight_bytes);
        for (plan, precision) in [(exact, Precision::Exact), (default, Precision::Default)] {
            let device = Device::Cpu { isa: kernels::IsaKind::best(), threads: 1 };
            let model = model::load(checkpoint.clone(), device, precision).unwrap();
            assert_eq!(plan.kv_block_bytes, model.kv_shape().block_bytes as u64);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (checkpoint, _) = Named::Shipped.open().unwrap();
        let disk = Some(DiskCache::new("cache".into(), 1 << 30, "model".into()));
        let limits = Limits { disk, ..Limits::serving(4096, 1 << 30) };
        let plan = Plan::new(&checkpoint, (Precision::Default, Precision::Default.kv()), false, &limits);
        assert!(plan.total_bytes() > (1 << 30) + (256 << 20));
        assert!(plan.check(None).is_ok() && plan.check(Some(plan.total_bytes())).is_ok());
        let refused = plan.check(Some(1 << 30)).unwrap_err().to_string();
        assert!(refused.contains("1.07 GB") && refused.contains("--kv-mib"), "{refused}");
        let text = plan.to_string();
        for words in ["packed in memory", "blocks of", "before it is written", "together"] {
            assert!(text.contains(words), "{text}");
        }
        assert_eq!(plan.json()["total_bytes"], plan.total_bytes());
    }
}
