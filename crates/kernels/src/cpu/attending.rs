//! The CPU backend's attention, cut into tasks: runs of query rows by key/value head. It must not know layers.

use std::marker::PhantomData;
use std::ops::Range;

use super::kv::Kv;
use super::product::{self, Output};
use super::{Cpu, Rows, attention};
use crate::backend::Attention;

/// Query rows per attention task.
const ATTENTION_TASK_ROWS: usize = 16;

pub(super) struct AttendCall<'a> {
    pub(super) kv: &'a Kv,
    pub(super) shape: Attention<'a>,
    pub(super) queries: &'a Rows,
    pub(super) rows: Range<usize>,
    pub(super) out: Output,
}

impl Cpu {
    pub(super) fn attend_blocks<T: attention::Stored>(
        &self,
        call: &AttendCall<'_>,
        kernel: unsafe fn(&attention::Job<'_, T>),
    ) {
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
                    blocks: &call.kv.blocks,
                    element: PhantomData,
                    dropped_blocks: call.kv.dropped_blocks,
                    kv_head,
                    kv_heads: call.shape.kv_heads,
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
