//! The CPU backend: every op of [`Backend`] on a thread pool, with the kernels of the instruction set found at run time.
//!
//! It must not know layers or sequences. Weights stay where they lie, in the encoding they were published in.

mod attention;
mod dot;
mod experts;
mod isa;
mod kv;
mod lanes;
mod pairs;
mod product;
mod rows;
mod tile;
pub(crate) mod training;

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::backend::{
    Attention, Backend, ExpertWeights, KvPrecision, LinearWeights, RotaryTable, Routing, top_experts,
};
use crate::error::Error;
use crate::pool::Pool;
use experts::Experts;
pub use isa::{Isa, IsaKind};
use kv::Blocks;
use kv::Kv;
use product::{EncodedRow, Input, Output};

/// Query rows per attention task.
const ATTENTION_TASK_ROWS: usize = 16;

/// Rows of activations per task in ops that only stream them.
const STREAM_TASK_ROWS: usize = 16;

/// The CPU backend.
pub struct Cpu {
    isa: &'static Isa,
    pool: Pool,
    scratch: Mutex<experts::Scratch>,
}

/// Activations `[rows, columns]` on the heap.
#[derive(Default)]
pub struct Rows {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Cpu {
    /// A backend with `threads` threads, the caller's included.
    ///
    /// # Errors
    /// When this processor lacks the instruction set, or when the system cannot start that many threads.
    pub fn new(kind: IsaKind, threads: usize) -> Result<Self, Error> {
        Ok(Self { isa: Isa::require(kind)?, pool: Pool::new(threads)?, scratch: Mutex::default() })
    }

    /// Bytes by which a layer's cache grows per position, on average.
    #[must_use]
    pub fn kv_bytes_per_position(kv_heads: usize, head_dim: usize, precision: KvPrecision) -> usize {
        kv::block_bytes(kv_heads, head_dim, precision) / kv::BLOCK_POSITIONS
    }

    /// Most bytes that a layer's cache takes while `positions` positions are appended, at most `chunk` at a time; what
    /// [`Backend::kv_bytes`] says never exceeds it.
    #[must_use]
    pub fn kv_bytes_max(
        kv_heads: usize,
        head_dim: usize,
        window: Option<usize>,
        precision: KvPrecision,
        positions: usize,
        chunk: usize,
    ) -> usize {
        kv::blocks_max(window, positions, chunk).saturating_mul(kv::block_bytes(kv_heads, head_dim, precision))
    }

    /// Which instruction set the kernels use.
    #[must_use]
    pub fn isa(&self) -> IsaKind {
        self.isa.kind
    }

    /// `out[t] (+)= W·x[t] + b`.
    fn product(&self, layer: &LinearWeights, x: &Rows, out: &mut Rows, accumulate: bool) {
        let matrix = &layer.matrix;
        assert!(x.columns == matrix.columns && out.columns == matrix.rows && out.rows == x.rows);
        let row_bytes = matrix.format.row_bytes(matrix.columns);
        let step = product::task_rows(self.isa, x.rows, row_bytes);
        let shared = Output { start: out.values.as_mut_ptr(), stride: matrix.rows };
        self.pool.run(matrix.rows.div_ceil(step), &|task| {
            let start = task * step;
            let count = step.min(matrix.rows - start);
            let bias = layer.bias.as_ref().map(|bias| &bias[start..start + count]);
            // SAFETY: `out` is `[x.rows, matrix.rows]`, asserted above, and this task alone touches these columns.
            unsafe {
                let out = Output { start: shared.place(0, start), stride: shared.stride };
                for token in 0..x.rows {
                    let to = std::slice::from_raw_parts_mut(out.place(token, 0), count);
                    match (bias, accumulate) {
                        (Some(bias), true) => to.iter_mut().zip(bias).for_each(|(to, bias)| *to += bias),
                        (Some(bias), false) => to.copy_from_slice(bias),
                        (None, true) => {}
                        (None, false) => to.fill(0.0),
                    }
                }
                let row_at = |row| EncodedRow::dense(matrix, start + row);
                product::multiply(self.isa, count, row_at, x.input(), out);
            }
        });
    }

    fn attend_blocks<T: kv::Element>(&self, call: &AttendCall<'_, T>, kernel: unsafe fn(&attention::Job<'_, T>)) {
        let group = call.shape.heads / call.shape.kv_heads;
        let chunks = call.rows.len().div_ceil(ATTENTION_TASK_ROWS);
        let columns = call.shape.heads * call.shape.head_dim;
        let first_position = call.kv.length - call.rows.len();
        self.pool.run(chunks * call.shape.kv_heads, &|task| {
            let (chunk, kv_head) = (task / call.shape.kv_heads, task % call.shape.kv_heads);
            let start = chunk * ATTENTION_TASK_ROWS;
            let rows = ATTENTION_TASK_ROWS.min(call.rows.len() - start);
            let offset = kv_head * group * call.shape.head_dim;
            let row = call.rows.start + start;
            product::with_scratch(|scratch| {
                scratch.resize(attention::scratch_len(rows * group, call.kv.padded_dim).max(scratch.len()), 0.0);
                let job = attention::Job {
                    blocks: call.blocks,
                    dropped_blocks: call.kv.dropped_blocks,
                    kv_head,
                    head_dim: call.shape.head_dim,
                    padded_dim: call.kv.padded_dim,
                    window: call.shape.window,
                    position: first_position + start,
                    rows,
                    group,
                    sinks: &call.shape.sinks[kv_head * group..][..group],
                    queries: call.queries.values[row * columns + offset..].as_ptr(),
                    // SAFETY: `out` has `columns` columns and the rows asked for, checked by `attend`.
                    out: unsafe { call.out.place(row, offset) },
                    stride: columns,
                    scratch: scratch.as_mut_ptr(),
                };
                // SAFETY: rows and heads of this task are its own; the cache holds every position up to the last row's,
                // and `Kv::append` keeps the blocks that the first row's window reaches.
                unsafe { kernel(&job) };
            });
        });
    }
}

struct AttendCall<'a, T> {
    blocks: &'a std::collections::VecDeque<kv::Block<T>>,
    kv: &'a Kv,
    shape: Attention<'a>,
    queries: &'a Rows,
    rows: Range<usize>,
    out: Output,
}

impl Rows {
    fn input(&self) -> Input<'_> {
        Input { values: &self.values, stride: self.columns, tokens: self.rows, columns: self.columns }
    }

    fn resize(&mut self, rows: usize, columns: usize) {
        (self.rows, self.columns) = (rows, columns);
        self.values.resize(rows * columns, 0.0);
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }
}

impl Backend for Cpu {
    type Rows = Rows;
    type Kv = Kv;
    type Linear = LinearWeights;
    type Experts = Experts;

    fn load_linear(&self, weights: LinearWeights) -> LinearWeights {
        weights
    }

    fn load_experts(&self, weights: ExpertWeights) -> Experts {
        Experts::new(weights)
    }

    fn new_kv(&self, kv_heads: usize, head_dim: usize, window: Option<usize>, precision: KvPrecision) -> Kv {
        Kv::new(kv_heads, head_dim, window, precision, self.isa.pairs)
    }

    fn kv_bytes(&self, kv: &Kv) -> usize {
        kv.bytes()
    }

    fn resize(&self, x: &mut Rows, rows: usize, columns: usize) {
        x.resize(rows, columns);
    }

    fn embed(&self, table: &LinearWeights, ids: &[u32], out: &mut Rows) {
        out.resize(ids.len(), table.matrix.columns);
        for (&id, to) in ids.iter().zip(out.values.chunks_exact_mut(table.matrix.columns)) {
            EncodedRow::dense(&table.matrix, id as usize).decode(self.isa, 0, to);
        }
    }

    fn rms_norm(&self, x: &Rows, weight: &[f32], epsilon: f32, out: &mut Rows) {
        assert_eq!(x.columns, weight.len());
        out.resize(x.rows, x.columns);
        let shared = Output { start: out.values.as_mut_ptr(), stride: x.columns };
        self.pool.run(x.rows.div_ceil(STREAM_TASK_ROWS), &|task| {
            for row in task * STREAM_TASK_ROWS..((task + 1) * STREAM_TASK_ROWS).min(x.rows) {
                // SAFETY: each row is one task's own; the three slices have `columns` values.
                unsafe {
                    let to = std::slice::from_raw_parts_mut(shared.place(row, 0), x.columns);
                    (self.isa.rms_norm)(x.row(row), weight, epsilon, to);
                }
            }
        });
    }

    fn linear(&self, layer: &LinearWeights, x: &Rows, out: &mut Rows) {
        out.resize(x.rows, layer.matrix.rows);
        self.product(layer, x, out, false);
    }

    fn linear_add(&self, layer: &LinearWeights, x: &Rows, _scratch: &mut Rows, residual: &mut Rows) {
        self.product(layer, x, residual, true);
    }

    fn add(&self, x: &Rows, residual: &mut Rows) {
        assert_eq!(x.values.len(), residual.values.len());
        // SAFETY: the slices are equally long.
        unsafe { (self.isa.add_scaled)(&x.values, 1.0, &mut residual.values) };
    }

    fn rope(&self, x: &mut Rows, table: &RotaryTable) {
        let half = table.half;
        assert!(half > 0 && x.columns.is_multiple_of(2 * half) && table.cos.len() == x.rows * half);
        let (rows, columns) = (x.rows, x.columns);
        let shared = Output { start: x.values.as_mut_ptr(), stride: columns };
        self.pool.run(rows.div_ceil(STREAM_TASK_ROWS), &|task| {
            for row in task * STREAM_TASK_ROWS..((task + 1) * STREAM_TASK_ROWS).min(rows) {
                let (cos, sin) = (&table.cos[row * half..][..half], &table.sin[row * half..][..half]);
                // SAFETY: each row is one task's own.
                let values = unsafe { std::slice::from_raw_parts_mut(shared.place(row, 0), columns) };
                for head in values.chunks_exact_mut(2 * half) {
                    let (first, second) = head.split_at_mut(half);
                    for (((first, second), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                        (*first, *second) = (*first * cos - *second * sin, *second * cos + *first * sin);
                    }
                }
            }
        });
    }

    fn write_kv(&self, kv: &mut Kv, keys: &Rows, values: &Rows, rows: Range<usize>) {
        assert!(keys.columns == kv.kv_heads * kv.head_dim && values.columns == keys.columns);
        let range = rows.start * keys.columns..rows.end * keys.columns;
        kv.append(&keys.values[range.clone()], &values.values[range]);
    }

    fn attend(&self, shape: Attention<'_>, queries: &Rows, kv: &Kv, rows: Range<usize>, out: &mut Rows) {
        let columns = shape.heads * shape.head_dim;
        assert!(queries.columns == columns && out.columns == columns && rows.end <= queries.rows.min(out.rows));
        assert!(rows.len() <= kv.length && shape.kv_heads == kv.kv_heads && shape.head_dim == kv.head_dim);
        let out = Output { start: out.values.as_mut_ptr(), stride: columns };
        match &kv.blocks {
            Blocks::F32(blocks) => {
                let call = AttendCall { blocks, kv, shape, queries, rows, out };
                self.attend_blocks(&call, self.isa.attend_f32);
            }
            Blocks::BF16(blocks) => {
                let call = AttendCall { blocks, kv, shape, queries, rows, out };
                self.attend_blocks(&call, self.isa.attend_bf16);
            }
            Blocks::Pairs(cache) => {
                let queries = &queries.values[rows.start * columns..rows.end * columns];
                // SAFETY: `out` has the rows, asserted above.
                let out = Output { start: unsafe { out.place(rows.start, 0) }, stride: columns };
                pairs::attend(cache, &self.pool, &pairs::Call { kv, attention: shape, queries, out });
            }
        }
    }

    fn route(&self, logits: &Rows, experts_per_row: usize, out: &mut Routing) {
        out.experts_per_row = experts_per_row;
        out.experts.clear();
        out.weights.clear();
        for row in logits.values.chunks_exact(logits.columns) {
            for (expert, weight) in top_experts(row.iter().map(|&logit| f64::from(logit)), experts_per_row) {
                out.experts.push(expert);
                out.weights.push(weight as f32);
            }
        }
    }

    fn experts(&self, layer: &Experts, x: &Rows, routing: &Routing, residual: &mut Rows) {
        assert!(residual.rows == x.rows && residual.columns == x.columns);
        assert_eq!(routing.experts.len(), x.rows * routing.experts_per_row);
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        layer.run(self.isa, &self.pool, &x.values, routing, &mut scratch, &mut residual.values);
    }

    fn gather(&self, x: &Rows, picked: &[usize], out: &mut Rows) {
        out.resize(picked.len(), x.columns);
        for (&row, to) in picked.iter().zip(out.values.chunks_exact_mut(x.columns)) {
            to.copy_from_slice(x.row(row));
        }
    }

    fn read(&self, x: &Rows, out: &mut Vec<f32>) {
        out.extend_from_slice(&x.values);
    }
}
