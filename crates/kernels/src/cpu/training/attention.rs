//! Attention of one document for training, forward and backward, with a sink per head and an optional window.
//!
//! Must not know layers or packing: it is given one document and one key/value head. Of the scores only a block of
//! [`BLOCK_QUERIES`] rows exists at a time, so memory grows with the length, not with its square; the backward pass computes
//! them again from the saved logarithm of each row's sum (FlashAttention, arXiv 2205.14135; sinks as in the gpt-oss reference).

use super::product::{Product, Room, Source, View, block, multiply, pack, packed_len, strip_len};
use super::rows::greatest;
use crate::cpu::lanes::Lanes;

/// Queries whose scores exist at a time.
pub(in crate::cpu) const BLOCK_QUERIES: usize = 64;

/// One document and one key/value head with the query heads that read it.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Job {
    /// Tokens of the document.
    pub(in crate::cpu) length: usize,
    /// Query heads of the group.
    pub(in crate::cpu) group: usize,
    pub(in crate::cpu) head_dim: usize,
    /// Keys that a query sees at most, itself included.
    pub(in crate::cpu) window: usize,
    /// First query head of the group at the first token; rows are `stride` apart, heads follow one another.
    pub(in crate::cpu) queries: *const f32,
    pub(in crate::cpu) keys: *const f32,
    pub(in crate::cpu) values: *const f32,
    pub(in crate::cpu) stride: usize,
    /// Results of the group's first head; rows are `out_stride` apart.
    pub(in crate::cpu) out: *mut f32,
    pub(in crate::cpu) out_stride: usize,
    /// Logarithm of each row's sum of exponentials, sink included; rows are `heads` apart.
    pub(in crate::cpu) log_sums: *mut f32,
    pub(in crate::cpu) heads: usize,
    /// The group's sinks.
    pub(in crate::cpu) sinks: *const f32,
    /// Working memory of [`scratch_len`] values.
    pub(in crate::cpu) scratch: *mut f32,
}

/// What the backward pass has besides.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Gradients {
    /// Of the results; strides as `out`.
    pub(in crate::cpu) out: *const f32,
    /// Written; strides as `queries`.
    pub(in crate::cpu) queries: *mut f32,
    pub(in crate::cpu) keys: *mut f32,
    pub(in crate::cpu) values: *mut f32,
    /// One per head of the group, written.
    pub(in crate::cpu) sinks: *mut f32,
}

/// Values of working memory for a document of `length` tokens, whatever the instruction set.
pub(in crate::cpu) fn scratch_len(length: usize, head_dim: usize) -> usize {
    let (length, wide) = (length.next_multiple_of(64), head_dim.next_multiple_of(64));
    // Scores and their gradients, keys and values of the whole document, one packed side, and strips of either shape.
    2 * BLOCK_QUERIES * length
        + 2 * packed_len(head_dim, length, 64)
        + length.max(wide) * wide.max(BLOCK_QUERIES)
        + strip_len(length.max(BLOCK_QUERIES) + 64, 16)
}

/// Where the parts of the working memory begin.
struct Scratch {
    scores: *mut f32,
    gradients: *mut f32,
    /// All keys, packed as the columns of a matrix.
    keys: *mut f32,
    /// All values, likewise.
    values: *mut f32,
    room: Room,
}

impl Job {
    fn scratch(&self) -> Scratch {
        let (length, wide) = (self.length.next_multiple_of(64), self.head_dim.next_multiple_of(64));
        let block = BLOCK_QUERIES * length;
        let packed = length.max(wide) * wide.max(BLOCK_QUERIES);
        let columns = packed_len(self.head_dim, length, 64);
        let at = |offset| self.scratch.wrapping_add(offset);
        let end = 2 * block + 2 * columns;
        let room = Room { packed: at(end), strips: at(end + packed) };
        Scratch { scores: at(0), gradients: at(block), keys: at(2 * block), values: at(2 * block + columns), room }
    }

    /// The keys that queries `first .. last` see: from where, rounded down to a panel's first, and how many.
    fn visible(&self, first: usize, last: usize, panel: usize) -> (usize, usize) {
        let from = (first + 1).saturating_sub(self.window) / panel * panel;
        (from, last - from)
    }
}

/// Packs a head's rows of the whole document, so that they are the columns of a matrix.
#[inline(always)]
unsafe fn pack_columns<L: Lanes, const VECTORS: usize>(job: &Job, rows: *const f32, packed: *mut f32) {
    let source = Source { b: rows, b_row: 1, b_column: job.stride, columns: job.length, depth: job.head_dim };
    for panel in 0..job.length.div_ceil(VECTORS * L::WIDTH) {
        // SAFETY: the job's rows are valid, and the working memory has room for all of them.
        unsafe { pack::<L, VECTORS>(&source, panel, packed) };
    }
}

/// `C[rows, keys] = A · B` for the columns from `from` on of what [`pack_columns`] left; `A`'s rows are `a_row` apart.
#[inline(always)]
unsafe fn over_keys<L: Lanes, const ROWS: usize, const VECTORS: usize>(
    job: &Job,
    (a, a_row, rows): (*const f32, usize, usize),
    (packed, from, keys): (*const f32, usize, usize),
    c: *mut f32,
    room: &Room,
) {
    let width = VECTORS * L::WIDTH;
    // SAFETY: all rows are the document's, `from` begins a panel, and `C` has room for a block of scores.
    unsafe {
        multiply::<L, ROWS, VECTORS>(&Product {
            a,
            a_row,
            a_column: 1,
            packed,
            first_panel: from / width,
            packed_columns: job.length.next_multiple_of(width),
            rows,
            columns: keys,
            depth: job.head_dim,
            c,
            c_row: keys,
            bias: std::ptr::null(),
            accumulate: false,
            strips: room.strips,
        });
    }
}

/// `row[i] = e^(scale · row[i] − shift)`; returns the sum.
#[inline(always)]
unsafe fn exponentials<L: Lanes>(row: *mut f32, length: usize, scale: f32, shift: f32) -> f32 {
    // SAFETY: the row has `length` values.
    unsafe {
        let mut sums = L::splat(0.0);
        let mut i = 0;
        while i + L::WIDTH <= length {
            let value = L::exp(L::fma(L::load(row.add(i)), L::splat(scale), L::splat(-shift)));
            sums = L::add(sums, value);
            L::store(row.add(i), value);
            i += L::WIDTH;
        }
        let mut sum = L::reduce_add(sums);
        while i < length {
            let value = (*row.add(i) * scale - shift).exp();
            sum += value;
            *row.add(i) = value;
            i += 1;
        }
        sum
    }
}

/// Writes the results and the logarithms of the sums.
///
/// # Safety
/// The job's pointers are valid for its shapes, and no one else touches what it writes.
#[inline(always)]
pub(in crate::cpu) unsafe fn forward<L: Lanes, const ROWS: usize, const VECTORS: usize>(job: &Job) {
    let scratch = job.scratch();
    let scale = 1.0 / (job.head_dim as f32).sqrt();
    // SAFETY: as required.
    unsafe {
        pack_columns::<L, VECTORS>(job, job.keys, scratch.keys);
        for head in 0..job.group {
            let sink = *job.sinks.add(head);
            let queries = job.queries.add(head * job.head_dim);
            let mut first = 0;
            while first < job.length {
                let rows = BLOCK_QUERIES.min(job.length - first);
                let (from, keys) = job.visible(first, first + rows, VECTORS * L::WIDTH);
                let block_queries = (queries.add(first * job.stride), job.stride, rows);
                let packed = (scratch.keys.cast_const(), from, keys);
                over_keys::<L, ROWS, VECTORS>(job, block_queries, packed, scratch.scores, &scratch.room);
                for row in 0..rows {
                    let query = first + row;
                    let begin = (query + 1).saturating_sub(job.window) - from;
                    let count = query + 1 - from - begin;
                    let line = scratch.scores.add(row * keys);
                    let own = line.add(begin);
                    let most = (scale * greatest::<L>(own, count)).max(sink);
                    let sum = exponentials::<L>(own, count, scale, most) + (sink - most).exp();
                    std::ptr::write_bytes(line, 0, begin);
                    std::ptr::write_bytes(own.add(count), 0, keys - begin - count);
                    scale_row::<L>(own, count, 1.0 / sum);
                    *job.log_sums.add(query * job.heads + head) = most + sum.ln();
                }
                let weights = View { start: scratch.scores, row: keys, column: 1 };
                let values = View { start: job.values.add(from * job.stride), row: job.stride, column: 1 };
                let out = job.out.add(first * job.out_stride + head * job.head_dim);
                block::<L, ROWS, VECTORS>(
                    (rows, keys, job.head_dim),
                    weights,
                    values,
                    (out, job.out_stride, false),
                    &scratch.room,
                );
                first += rows;
            }
        }
    }
}

#[inline(always)]
unsafe fn scale_row<L: Lanes>(row: *mut f32, length: usize, factor: f32) {
    // SAFETY: the row has `length` values.
    unsafe {
        let mut i = 0;
        while i + L::WIDTH <= length {
            L::store(row.add(i), L::mul(L::load(row.add(i)), L::splat(factor)));
            i += L::WIDTH;
        }
        while i < length {
            *row.add(i) *= factor;
            i += 1;
        }
    }
}

#[inline(always)]
unsafe fn dot<L: Lanes>(a: *const f32, b: *const f32, length: usize) -> f32 {
    // SAFETY: both have `length` values.
    unsafe {
        let mut sums = L::splat(0.0);
        let mut i = 0;
        while i + L::WIDTH <= length {
            sums = L::fma(L::load(a.add(i)), L::load(b.add(i)), sums);
            i += L::WIDTH;
        }
        let mut sum = L::reduce_add(sums);
        while i < length {
            sum += *a.add(i) * *b.add(i);
            i += 1;
        }
        sum
    }
}

/// `gradient[i] = weight[i] · (gradient[i] − mean) · scale`.
#[inline(always)]
unsafe fn through_softmax<L: Lanes>(weight: *const f32, gradient: *mut f32, length: usize, mean: f32, scale: f32) {
    // SAFETY: both have `length` values.
    unsafe {
        let mut i = 0;
        while i + L::WIDTH <= length {
            let difference = L::sub(L::load(gradient.add(i)), L::splat(mean));
            let value = L::mul(L::mul(L::load(weight.add(i)), difference), L::splat(scale));
            L::store(gradient.add(i), value);
            i += L::WIDTH;
        }
        while i < length {
            *gradient.add(i) = *weight.add(i) * (*gradient.add(i) - mean) * scale;
            i += 1;
        }
    }
}

/// Writes the gradients, from what [`forward`] left.
///
/// # Safety
/// As [`forward`].
#[inline(always)]
pub(in crate::cpu) unsafe fn backward<L: Lanes, const ROWS: usize, const VECTORS: usize>(
    job: &Job,
    gradients: &Gradients,
) {
    // SAFETY: as required.
    unsafe {
        for token in 0..job.length {
            for start in [gradients.keys, gradients.values] {
                std::ptr::write_bytes(start.add(token * job.stride), 0, job.head_dim);
            }
        }
        let scratch = job.scratch();
        pack_columns::<L, VECTORS>(job, job.keys, scratch.keys);
        pack_columns::<L, VECTORS>(job, job.values, scratch.values);
        for head in 0..job.group {
            let mut sink = 0.0;
            let mut first = 0;
            while first < job.length {
                let rows = BLOCK_QUERIES.min(job.length - first);
                sink += backward_block::<L, ROWS, VECTORS>(job, gradients, head, (first, rows));
                first += rows;
            }
            *gradients.sinks.add(head) = sink;
        }
    }
}

/// The gradients of one block of queries; returns the sink's.
#[inline(always)]
unsafe fn backward_block<L: Lanes, const ROWS: usize, const VECTORS: usize>(
    job: &Job,
    gradients: &Gradients,
    head: usize,
    (first, rows): (usize, usize),
) -> f32 {
    let scratch = job.scratch();
    let (dim, stride) = (job.head_dim, job.stride);
    let scale = 1.0 / (dim as f32).sqrt();
    let (from, keys) = job.visible(first, first + rows, VECTORS * L::WIDTH);
    let mut sink_gradient = 0.0;
    // SAFETY: as for `backward`.
    unsafe {
        let sink = *job.sinks.add(head);
        let queries = job.queries.add(head * dim);
        let out_at = first * job.out_stride + head * dim;
        let out_gradient = View { start: gradients.out.add(out_at), row: job.out_stride, column: 1 };
        let block_queries = (queries.add(first * stride), stride, rows);
        let packed = (scratch.keys.cast_const(), from, keys);
        over_keys::<L, ROWS, VECTORS>(job, block_queries, packed, scratch.scores, &scratch.room);
        let block_gradients = (out_gradient.start, out_gradient.row, rows);
        let packed = (scratch.values.cast_const(), from, keys);
        over_keys::<L, ROWS, VECTORS>(job, block_gradients, packed, scratch.gradients, &scratch.room);
        for row in 0..rows {
            let query = first + row;
            let begin = (query + 1).saturating_sub(job.window) - from;
            let count = query + 1 - from - begin;
            let (line, line_gradient) = (scratch.scores.add(row * keys), scratch.gradients.add(row * keys));
            let log_sum = *job.log_sums.add(query * job.heads + head);
            exponentials::<L>(line.add(begin), count, scale, log_sum);
            let offset = row * job.out_stride;
            let mean = dot::<L>(job.out.add(out_at + offset), gradients.out.add(out_at + offset), dim);
            through_softmax::<L>(line.add(begin), line_gradient.add(begin), count, mean, scale);
            for cleared in [line, line_gradient] {
                std::ptr::write_bytes(cleared, 0, begin);
                std::ptr::write_bytes(cleared.add(begin + count), 0, keys - begin - count);
            }
            sink_gradient -= (sink - log_sum).exp() * mean;
        }
        let rowwise = |start: *mut f32| View { start, row: keys, column: 1 };
        let columnwise = |start: *mut f32| View { start, row: 1, column: keys };
        let key_rows = View { start: job.keys.add(from * stride), row: stride, column: 1 };
        let query_rows = View { start: queries.add(first * stride), row: stride, column: 1 };
        let to_queries = (gradients.queries.add(first * stride + head * dim), stride, false);
        block::<L, ROWS, VECTORS>((rows, keys, dim), rowwise(scratch.gradients), key_rows, to_queries, &scratch.room);
        let to_keys = (gradients.keys.add(from * stride), stride, true);
        block::<L, ROWS, VECTORS>((keys, rows, dim), columnwise(scratch.gradients), query_rows, to_keys, &scratch.room);
        let to_values = (gradients.values.add(from * stride), stride, true);
        block::<L, ROWS, VECTORS>(
            (keys, rows, dim),
            columnwise(scratch.scores),
            out_gradient,
            to_values,
            &scratch.room,
        );
    }
    sink_gradient
}
