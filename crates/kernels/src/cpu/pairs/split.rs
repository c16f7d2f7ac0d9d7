//! How attention over the pairs is cut into tasks, and how the results of several tasks for one query become one.
//!
//! It must not know instruction sets. Many rows are cut by rows and heads. A few rows (decode) are cut by positions as well, one
//! part per task, some 20 µs of work per head: neither depends on the number of threads.

use std::cell::RefCell;
use std::ops::Range;

use super::{Job, Kernels, PART_BLOCKS, Shape, scratch_len};
use crate::backend::Attention;
use crate::cpu::kv::{BLOCK_POSITIONS, Kv};
use crate::cpu::product::{Output, with_scratch};
use crate::pool::Pool;

/// Query rows per task.
const TASK_ROWS: usize = 16;

/// What `Backend::attend` asks for.
pub(in crate::cpu) struct Call<'a> {
    pub(in crate::cpu) kv: &'a Kv,
    pub(in crate::cpu) attention: Attention<'a>,
    /// `[rows, heads · head_dim]`.
    pub(in crate::cpu) queries: &'a [f32],
    /// The place of the first row's results.
    pub(in crate::cpu) out: Output,
}

thread_local! {
    /// Records of the parts of a call, kept so that a token needs no allocation.
    static RECORDS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// How a call is cut.
struct Plan {
    rows: usize,
    group: usize,
    first_position: usize,
    /// Runs of [`TASK_ROWS`] rows.
    chunks: usize,
    /// Runs of [`PART_BLOCKS`] blocks that each row's positions are cut into.
    parts: usize,
}

/// Attention of the last rows of a cache.
pub(in crate::cpu) fn attend(kernels: Kernels, pool: &Pool, call: &Call<'_>) {
    let plan = Plan::new(call);
    let Attention { heads, kv_heads, head_dim, .. } = call.attention;
    RECORDS.with_borrow_mut(|records| {
        // A part's records: per row and head an exponent, a total and the sums.
        let part_len = plan.rows * heads * (head_dim + 2);
        if plan.parts > 1 {
            records.resize(records.len().max(plan.parts * part_len), 0.0);
        }
        let records = Output { start: records.as_mut_ptr(), stride: part_len };
        pool.run(plan.chunks * plan.parts * kv_heads, &|task| {
            with_scratch(|scratch| {
                let job = plan.job(call, task, &records, scratch);
                // SAFETY: the kernels come from the table. Rows, heads and records of this task are its own; the cache
                // holds every position up to the last row's, and `Kv::append` keeps the blocks that the window reaches.
                unsafe { (kernels.attend)(&job) };
            });
        });
        if plan.parts > 1 {
            pool.run(kv_heads, &|kv_head| plan.combine(call, kv_head, &records));
        }
    });
}

impl Plan {
    fn new(call: &Call<'_>) -> Self {
        let Attention { heads, kv_heads, head_dim, window, sinks: _ } = call.attention;
        let rows = call.queries.len() / (heads * head_dim);
        let first_position = call.kv.length - rows;
        let chunks = rows.div_ceil(TASK_ROWS);
        let parts = if chunks == 1 { seen_blocks(first_position, rows, window).len().div_ceil(PART_BLOCKS) } else { 1 };
        Self { rows, group: heads / kv_heads, first_position, chunks, parts }
    }

    /// The task with this number: heads go fastest, so that tasks that run together read the same blocks.
    fn job<'a>(&self, call: &Call<'a>, task: usize, records: &Output, scratch: &mut Vec<f32>) -> Job<'a> {
        let &Self { rows, group, first_position, parts, chunks: _ } = self;
        let Attention { heads, kv_heads, head_dim, sinks, window } = call.attention;
        let (chunk, part, kv_head) = (task / kv_heads / parts, task / kv_heads % parts, task % kv_heads);
        let row = chunk * TASK_ROWS;
        let rows_here = TASK_ROWS.min(rows - row);
        let blocks = seen_blocks(first_position + row, rows_here, window);
        let first_block = blocks.start + part * PART_BLOCKS;
        let offset = kv_head * group * head_dim;
        let shape = Shape { kv_heads, head_dim, padded_dim: call.kv.padded_dim };
        scratch.resize(scratch_len(rows_here * group, shape.padded_dim).max(scratch.len()), 0.0);
        Job {
            blocks: &call.kv.blocks,
            dropped_blocks: call.kv.dropped_blocks,
            shape,
            kv_head,
            window,
            first_block,
            end_block: if parts == 1 { blocks.end } else { blocks.end.min(first_block + PART_BLOCKS) },
            position: first_position + row,
            rows: rows_here,
            group,
            sinks: &sinks[kv_head * group..][..group],
            counts_sink: part == 0,
            queries: call.queries[row * heads * head_dim + offset..].as_ptr(),
            // SAFETY: `out` has the rows and columns of `queries`, checked by `Cpu::attend`.
            out: unsafe { call.out.place(row, offset) },
            stride: heads * head_dim,
            records: if parts == 1 {
                std::ptr::null_mut()
            } else {
                // SAFETY: there are `parts` times `stride` values; a head's records follow those of the heads before.
                unsafe { records.place(part, kv_head * rows * group * (head_dim + 2)) }
            },
            scratch: scratch.as_mut_ptr(),
        }
    }

    /// Makes results of a head's records.
    fn combine(&self, call: &Call<'_>, kv_head: usize, records: &Output) {
        let &Self { rows, group, parts, first_position: _, chunks: _ } = self;
        let head_dim = call.attention.head_dim;
        for query in 0..rows * group {
            let from = (kv_head * rows * group + query) * (head_dim + 2);
            // SAFETY: rows and heads are this task's own, and `out` has them.
            let out = unsafe {
                let place = call.out.place(query / group, (kv_head * group + query % group) * head_dim);
                std::slice::from_raw_parts_mut(place, head_dim)
            };
            // SAFETY: nobody writes records any more; there are `parts` of each.
            combine(|part| unsafe { std::slice::from_raw_parts(records.place(part, from), head_dim + 2) }, parts, out);
        }
    }
}

/// The blocks that hold what `rows` rows from a position on can see.
fn seen_blocks(position: usize, rows: usize, window: Option<usize>) -> Range<usize> {
    let first = window.map_or(0, |window| (position + 1).saturating_sub(window));
    first / BLOCK_POSITIONS..(position + rows - 1) / BLOCK_POSITIONS + 1
}

/// Puts the records of one query together: each is brought to the greatest exponent among them.
fn combine<'a>(record: impl Fn(usize) -> &'a [f32], parts: usize, out: &mut [f32]) {
    let greatest = (0..parts).map(|part| record(part)[0]).fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    out.fill(0.0);
    for part in 0..parts {
        let record = record(part);
        let factor = (record[0] - greatest).exp2();
        total += record[1] * factor;
        for (out, sum) in out.iter_mut().zip(&record[2..]) {
            *out += sum * factor;
        }
    }
    let scale = 1.0 / total;
    out.iter_mut().for_each(|out| *out *= scale);
}
