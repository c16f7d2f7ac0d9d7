//! The seam between the model and a device: about a dozen ops named after the model's steps, not tensor algebra.
//!
//! The forward pass is written once over this trait. A fused kernel is a new method whose default body composes the old ops:
//! the default is its oracle. Nothing here knows how many layers there are or what the tokens mean.

use std::ops::Range;

use crate::choice::Choice;
use crate::storage::{DenseMatrix, GateUp, Mxfp4Matrix};

/// Positions of a block of keys and values.
pub const KV_BLOCK_POSITIONS: usize = 64;

/// In which precision keys and values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvPrecision {
    /// 4 bytes a value; nothing is rounded.
    F32,
    /// 2 bytes a value, rounded to nearest even.
    BF16,
    /// A signed byte a value, and for each head's key and each head's value at a position one f32 scale, the greatest magnitude
    /// over 127: `x·127 / greatest` is rounded to nearest even. A vector of zeros has a scale of zero. One with a value that is
    /// not finite has a scale of NaN: all of that head's results become NaN for the queries that see the position.
    Q8,
}

/// A linear layer as it comes from a checkpoint: `y = W·x + b`.
pub struct LinearWeights {
    /// `[outputs, inputs]`.
    pub matrix: DenseMatrix,
    /// `[outputs]`, or none.
    pub bias: Option<Vec<f32>>,
}

/// One layer's experts as they come from a checkpoint.
pub struct ExpertWeights {
    /// Gate and up projections, `[experts, 2·intermediate, hidden]` in one of three arrangements.
    pub gate_up: GateUp,
    /// `[experts, 2·intermediate]`, gate and up interleaved, whatever the arrangement of the weights.
    pub gate_up_bias: Vec<f32>,
    /// `[experts, hidden, intermediate]`.
    pub down: Mxfp4Matrix,
    /// `[experts, hidden]`.
    pub down_bias: Vec<f32>,
    /// Clamp of gate (from above) and up (both sides).
    pub swiglu_limit: f32,
}

/// Which experts each row goes to, and how much each counts.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    /// Experts per row, `k`.
    pub experts_per_row: usize,
    /// `[rows, k]` expert numbers, best first.
    pub experts: Vec<u32>,
    /// `[rows, k]` softmax weights over the chosen experts.
    pub weights: Vec<f32>,
}

/// Cosines and sines for each row's position, concentration multiplied in: `[rows, head_dim / 2]` each.
#[derive(Clone, Debug, Default)]
pub struct RotaryTable {
    /// Half of the head dimension.
    pub half: usize,
    /// Cosines.
    pub cos: Vec<f32>,
    /// Sines.
    pub sin: Vec<f32>,
}

impl RotaryTable {
    /// Empties the table and keeps its memory.
    pub fn clear(&mut self) {
        self.cos.clear();
        self.sin.clear();
    }
}

/// The shape of one layer's attention.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; query head `h` reads `h / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Values per head.
    pub head_dim: usize,
    /// One learned logit per query head that takes part in the softmax and carries no value.
    pub sinks: &'a [f32],
    /// Keys seen by each query, itself included; `None` sees all.
    pub window: Option<usize>,
}

/// A device that computes the steps of a transformer with attention sinks and MXFP4 experts.
///
/// Shapes are `[rows, columns]`, rows being token positions of one or several sequences. Outputs are resized by the op.
/// Wrong shapes are our own bugs and panic.
pub trait Backend: Send + Sync + 'static {
    /// Activations `[rows, columns]` on the device.
    type Rows: Send + Default;
    /// One layer's keys and values of one sequence.
    type Kv: Send;
    /// A block of one layer's keys and values, [`KV_BLOCK_POSITIONS`] positions, that outlives its sequence and may stand in
    /// several. Cloning shares it.
    type Page: Clone + Send + Sync;
    /// A linear layer on the device.
    type Linear: Send + Sync;
    /// One layer's experts on the device.
    type Experts: Send + Sync;

    /// Takes a linear layer over; a CPU keeps it where it lies.
    fn load_linear(&self, weights: LinearWeights) -> Self::Linear;

    /// Takes a linear layer over that must not be rounded: a table that rows are looked up in, or a router, whose choices a
    /// rounding would change.
    fn load_exact_linear(&self, weights: LinearWeights) -> Self::Linear {
        self.load_linear(weights)
    }

    /// Takes a linear layer over of whose results mostly one is chosen: see [`Self::choosable`].
    fn load_unembedding(&self, weights: LinearWeights) -> Self::Linear {
        self.load_linear(weights)
    }

    /// Takes a layer's experts over; a CPU keeps them where they lie, in 4 bits.
    fn load_experts(&self, weights: ExpertWeights) -> Self::Experts;

    /// An empty cache for one layer of one sequence. With a window, old positions are forgotten.
    fn new_kv(&self, kv_heads: usize, head_dim: usize, window: Option<usize>, precision: KvPrecision) -> Self::Kv;

    /// Bytes that the cache holds now.
    fn kv_bytes(&self, kv: &Self::Kv) -> usize;

    /// The block of positions `KV_BLOCK_POSITIONS · index ..` when it is whole and the cache still holds it.
    fn kv_page(&self, kv: &Self::Kv, index: usize) -> Option<Self::Page>;

    /// Makes an empty cache one that has seen `forgotten` blocks and then these pages, of a cache of the same shape.
    fn restore_kv<'a>(&self, kv: &mut Self::Kv, forgotten: usize, pages: impl Iterator<Item = &'a Self::Page>)
    where
        Self: Sized;

    /// Gives up what no later query sees.
    fn forget_kv(&self, kv: &mut Self::Kv);

    /// Takes back the last positions, so that `length` stay: at most those of the last [`Self::write_kv`].
    fn truncate_kv(&self, kv: &mut Self::Kv, length: usize);

    /// Bytes of one block of keys and values.
    fn kv_block_bytes(&self, kv_heads: usize, head_dim: usize, precision: KvPrecision) -> usize;

    /// What must be equal for pages to be read by another process, and for what they hold to be what it would compute.
    fn kv_kind(&self) -> String;

    /// What it computes with, for people: what was found out about the machine at the start.
    fn describe(&self) -> String;

    /// Blocks of keys and values that caches and pages hold together; what is shared counts once.
    fn kv_blocks_in_use(&self) -> usize;

    /// Appends a page's bytes, which only a backend of the same kind can read.
    fn write_page(&self, page: &Self::Page, out: &mut Vec<u8>);

    /// A page for caches like `kv` from what [`Self::write_page`] wrote; `None` when it cannot be that.
    fn read_page(&self, kv: &Self::Kv, bytes: &[u8]) -> Option<Self::Page>;

    /// Makes room for `[rows, columns]`; the contents are unspecified.
    fn resize(&self, x: &mut Self::Rows, rows: usize, columns: usize);

    /// `out[r] = table[ids[r]]`, decoded to f32.
    fn embed(&self, table: &Self::Linear, ids: &[u32], out: &mut Self::Rows);

    /// `out = x / sqrt(mean(x²) + epsilon) · weight` per row.
    fn rms_norm(&self, x: &Self::Rows, weight: &[f32], epsilon: f32, out: &mut Self::Rows);

    /// `out = x·Wᵀ + b`.
    fn linear(&self, layer: &Self::Linear, x: &Self::Rows, out: &mut Self::Rows);

    /// `out = x·Wᵀ + b` of which one result per row is chosen: those that could be chosen are as [`Self::linear`] gives them, the others
    /// near enough not to be chosen. `choices` `[rows]`. Returns whether all are as that gives them.
    fn choosable(&self, layer: &Self::Linear, x: &Self::Rows, choices: &[Choice], out: &mut Self::Rows) -> bool {
        let _ = choices;
        self.linear(layer, x, out);
        true
    }

    /// Several layers that read the same `x`.
    fn linears<const COUNT: usize>(
        &self,
        layers: [&Self::Linear; COUNT],
        x: &Self::Rows,
        outs: [&mut Self::Rows; COUNT],
    ) {
        for (layer, out) in layers.into_iter().zip(outs) {
            self.linear(layer, x, out);
        }
    }

    /// `residual += x·Wᵀ + b`; `scratch` may be used for the product.
    fn linear_add(&self, layer: &Self::Linear, x: &Self::Rows, scratch: &mut Self::Rows, residual: &mut Self::Rows) {
        self.linear(layer, x, scratch);
        self.add(scratch, residual);
    }

    /// `residual += x`.
    fn add(&self, x: &Self::Rows, residual: &mut Self::Rows);

    /// Rotates each head of `x` `[rows, heads · head_dim]`: pairs are `(i, i + head_dim/2)`.
    fn rope(&self, x: &mut Self::Rows, table: &RotaryTable);

    /// Appends the given rows of `keys` and `values` `[rows, kv_heads · head_dim]` to the cache.
    fn write_kv(&self, kv: &mut Self::Kv, keys: &Self::Rows, values: &Self::Rows, rows: Range<usize>);

    /// Causal attention of the given query rows, which are the last positions of the cache, written to the same rows of
    /// `out` (already resized): softmax over `[q·k / sqrt(head_dim), sink]`, the sink without value.
    fn attend(
        &self,
        shape: Attention<'_>,
        queries: &Self::Rows,
        kv: &Self::Kv,
        rows: Range<usize>,
        out: &mut Self::Rows,
    );

    /// The `experts_per_row` greatest router logits of each row (the lower number wins a tie) and the softmax over them.
    fn route(&self, logits: &Self::Rows, experts_per_row: usize, out: &mut Routing);

    /// `residual[r] += Σ_j weight[r, j] · expert[r, j](x[r])`, with the clamped SwiGLU
    /// `min(gate, L)·σ(1.702·min(gate, L))·(clamp(up, −L, L) + 1)`.
    fn experts(&self, layer: &Self::Experts, x: &Self::Rows, routing: &Routing, residual: &mut Self::Rows);

    /// Copies the picked rows of `x` together.
    fn gather(&self, x: &Self::Rows, picked: &[usize], out: &mut Self::Rows);

    /// Appends all values of `x`, row-major, to `out`.
    fn read(&self, x: &Self::Rows, out: &mut Vec<f32>);
}

/// The `count` greatest logits of a row, best first, the lower number winning a tie, with the softmax over them.
///
/// Shared by the backends that route on the host. NaN counts as the least value.
pub(crate) fn top_experts(logits: impl Iterator<Item = f64>, count: usize) -> Vec<(u32, f64)> {
    let mut best: Vec<(u32, f64)> = Vec::with_capacity(count + 1);
    for (number, logit) in logits.enumerate() {
        let key = if logit.is_nan() { f64::NEG_INFINITY } else { logit };
        let place = best.partition_point(|&(_, other)| other >= key);
        if place < count {
            best.insert(place, (u32::try_from(number).expect("expert numbers are small"), key));
            best.truncate(count);
        }
    }
    let greatest = best.first().map_or(0.0, |&(_, logit)| logit);
    let total: f64 = best.iter().map(|&(_, logit)| (logit - greatest).exp()).sum();
    best.iter().map(|&(number, logit)| (number, (logit - greatest).exp() / total)).collect()
}
