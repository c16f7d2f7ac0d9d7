//! The ops between the products, forward and backward, cut into tasks. Must not know layers.

use super::attention::{self, Gradients, Job};
use super::rows::{AdamStep, Moving, Normed};
use super::{Training, with_scratch};
use crate::cpu::product::Output;

/// Rows of a task of the row-wise ops; also the rows whose gradients of a shared row are summed before they meet others.
const TASK_ROWS: usize = 64;

/// Values of a task of the element-wise ops.
const TASK_VALUES: usize = 16 << 10;

/// Documents one after another, and the heads that look at them.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape<'a> {
    /// Tokens of each document, none of them 0.
    pub documents: &'a [usize],
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Values per head.
    pub head_dim: usize,
    /// Keys that a query sees at most, itself included; `None` is all of its document up to itself.
    pub window: Option<usize>,
}

impl AttentionShape<'_> {
    /// Values of a row of queries, keys and values.
    #[must_use]
    pub fn row(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }

    fn tokens(&self) -> usize {
        self.documents.iter().sum()
    }

    /// By task (document and key/value head, the longest documents first): first token, tokens, head.
    fn tasks(&self) -> Vec<(usize, usize, usize)> {
        let mut first = 0;
        let mut tasks = Vec::new();
        for &length in self.documents {
            tasks.extend((0..self.kv_heads).map(|head| (first, length, head)));
            first += length;
        }
        tasks.sort_by_key(|&(_, length, _)| std::cmp::Reverse(length));
        tasks
    }

    fn job(&self, (first, length, head): (usize, usize, usize), places: &Places, scratch: &mut [f32]) -> Job {
        let (group, row) = (self.heads / self.kv_heads, self.row());
        let query = head * group * self.head_dim;
        let key = (self.heads + head) * self.head_dim;
        // SAFETY: the callers assert that the slices hold all rows of all documents.
        unsafe {
            Job {
                length,
                group,
                head_dim: self.head_dim,
                window: self.window.unwrap_or(usize::MAX),
                queries: places.qkv.place(first, query),
                keys: places.qkv.place(first, key),
                values: places.qkv.place(first, key + self.kv_heads * self.head_dim),
                stride: row,
                out: places.out.place(first, query),
                out_stride: self.heads * self.head_dim,
                log_sums: places.log_sums.place(first, head * group),
                heads: self.heads,
                sinks: places.sinks.place(0, head * group),
                scratch: scratch.as_mut_ptr(),
            }
        }
    }
}

struct Places {
    qkv: Output,
    out: Output,
    log_sums: Output,
    sinks: Output,
}

impl Training {
    /// Calls `body(chunk's index, chunk)` for every `chunk` values, on all threads.
    pub fn for_each_chunk<T: Send>(&self, values: &mut [T], chunk: usize, body: impl Fn(usize, &mut [T]) + Sync) {
        let (length, start) = (values.len(), Start(values.as_mut_ptr()));
        self.pool.run(length.div_ceil(chunk), &|task| {
            let first = task * chunk;
            // SAFETY: chunks are disjoint parts of the slice, which is borrowed for the whole call.
            let part = unsafe { std::slice::from_raw_parts_mut(start.at(first), chunk.min(length - first)) };
            body(task, part);
        });
    }

    /// RMSNorm of every row; `scales` receives each row's `1 / rms`.
    pub fn rms_norm(&self, x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32], scales: &mut [f32]) {
        let columns = weight.len();
        assert!(x.len() == out.len() && x.len() == scales.len() * columns);
        let scales = Start(scales.as_mut_ptr());
        self.for_each_chunk(out, TASK_ROWS * columns, |task, out| {
            let rows = x[task * TASK_ROWS * columns..].chunks_exact(columns).zip(out.chunks_exact_mut(columns));
            for (index, (x, out)) in rows.enumerate() {
                // SAFETY: the rows are equally long; each row's scale is this task's.
                unsafe { *scales.at(task * TASK_ROWS + index) = (self.table.rms_norm)(x, weight, epsilon, out) };
            }
        });
    }

    /// Adds the gradients through [`Training::rms_norm`] to `x_gradient` and `weight_gradient`.
    pub fn rms_norm_backward(
        &self,
        (x, weight, scales): (&[f32], &[f32], &[f32]),
        out_gradient: &[f32],
        x_gradient: &mut [f32],
        weight_gradient: &mut [f32],
    ) {
        let columns = weight.len();
        assert!(x.len() == scales.len() * columns && x.len() == out_gradient.len() && x.len() == x_gradient.len());
        assert_eq!(weight_gradient.len(), columns);
        let mut partial = vec![0.0; scales.len().div_ceil(TASK_ROWS) * columns];
        let gradients = Start(x_gradient.as_mut_ptr());
        self.for_each_chunk(&mut partial, columns, |task, partial| {
            let first = task * TASK_ROWS;
            for (row, &scale) in scales.iter().enumerate().skip(first).take(TASK_ROWS) {
                let range = row * columns..(row + 1) * columns;
                // SAFETY: each row is one task's, and inside `x_gradient`.
                unsafe {
                    let dx = std::slice::from_raw_parts_mut(gradients.at(range.start), columns);
                    let dy = &out_gradient[range.clone()];
                    (self.table.rms_norm_backward)(&Normed { x: &x[range], weight, scale }, dy, dx, partial);
                }
            }
        });
        add_rows(&partial, weight_gradient);
    }

    /// Adds the sum of all rows to `sums`.
    pub fn column_sums(&self, x: &[f32], sums: &mut [f32]) {
        let columns = sums.len();
        let rows = x.len() / columns;
        assert_eq!(x.len(), rows * columns);
        let mut partial = vec![0.0; rows.div_ceil(TASK_ROWS) * columns];
        self.for_each_chunk(&mut partial, columns, |task, partial| {
            let first = task * TASK_ROWS;
            add_rows(&x[first * columns..(first + TASK_ROWS).min(rows) * columns], partial);
        });
        add_rows(&partial, sums);
    }

    /// Rotates the first `heads` heads of each row of `stride` values by the angles of the row's position, or back.
    pub fn rotate(
        &self,
        values: &mut [f32],
        (stride, heads): (usize, usize),
        (cos, sin, half): (&[f32], &[f32], usize),
        positions: &[u32],
        backward: bool,
    ) {
        assert!(values.len() == positions.len() * stride && heads * 2 * half <= stride && cos.len() == sin.len());
        let direction = if backward { -1.0 } else { 1.0 };
        self.for_each_chunk(values, TASK_ROWS * stride, |task, rows| {
            for (row, &position) in rows.chunks_exact_mut(stride).zip(&positions[task * TASK_ROWS..]) {
                let angles = position as usize * half..(position as usize + 1) * half;
                let (cos, sin) = (&cos[angles.clone()], &sin[angles]);
                for head in row[..heads * 2 * half].chunks_exact_mut(2 * half) {
                    // SAFETY: a head has `2 · half` values, the angles `half`.
                    unsafe { (self.table.rotate)(head.as_mut_ptr(), half, cos, sin, direction) };
                }
            }
        });
    }

    /// Attention of every document; `qkv` `[tokens, row]`, `out` `[tokens, heads · head_dim]`, `log_sums` `[tokens, heads]`.
    pub fn attend(
        &self,
        shape: &AttentionShape<'_>,
        qkv: &[f32],
        sinks: &[f32],
        out: &mut [f32],
        log_sums: &mut [f32],
    ) {
        let places = places(shape, (qkv, sinks), slice_of(out), slice_of(log_sums));
        let tasks = shape.tasks();
        self.pool.run(tasks.len(), &|task| {
            with_scratch(attention::scratch_len(tasks[task].1, shape.head_dim), |scratch| {
                // SAFETY: the job is inside the slices, and what it writes is no other task's.
                unsafe { (self.table.attend)(&shape.job(tasks[task], &places, scratch)) };
            });
        });
    }

    /// Gradients of [`Training::attend`]: overwrites `qkv_gradient`, adds to `sinks_gradient`.
    pub fn attend_backward(
        &self,
        shape: &AttentionShape<'_>,
        (qkv, sinks, out, log_sums): (&[f32], &[f32], &[f32], &[f32]),
        out_gradient: &[f32],
        qkv_gradient: &mut [f32],
        sinks_gradient: &mut [f32],
    ) {
        assert!(
            qkv_gradient.len() == qkv.len() && out_gradient.len() == out.len() && sinks_gradient.len() == shape.heads
        );
        let only_read = |values: &[f32]| (values.as_ptr().cast_mut(), values.len());
        let places = places(shape, (qkv, sinks), only_read(out), only_read(log_sums));
        let tasks = shape.tasks();
        let group = shape.heads / shape.kv_heads;
        let mut sink_parts = vec![0.0_f32; tasks.len() * group];
        let gradients = Output { start: qkv_gradient.as_mut_ptr(), stride: shape.row() };
        let out_gradients = Output { start: out_gradient.as_ptr().cast_mut(), stride: shape.heads * shape.head_dim };
        self.for_each_chunk(&mut sink_parts, group, |task, sinks| {
            let (first, length, head) = tasks[task];
            let query = head * group * shape.head_dim;
            let key = (shape.heads + head) * shape.head_dim;
            with_scratch(attention::scratch_len(length, shape.head_dim), |scratch| {
                // SAFETY: as in `attend`; forward's results are only read here.
                unsafe {
                    let gradients = Gradients {
                        out: out_gradients.place(first, query),
                        queries: gradients.place(first, query),
                        keys: gradients.place(first, key),
                        values: gradients.place(first, key + shape.kv_heads * shape.head_dim),
                        sinks: sinks.as_mut_ptr(),
                    };
                    (self.table.attend_backward)(&shape.job(tasks[task], &places, scratch), &gradients);
                }
            });
        });
        for ((_, _, head), parts) in tasks.iter().zip(sink_parts.chunks_exact(group)) {
            for (offset, part) in parts.iter().enumerate() {
                sinks_gradient[head * group + offset] += part;
            }
        }
    }

    /// `out = swiglu(gate, up)`, element by element.
    pub fn swiglu(&self, gate: &[f32], up: &[f32], limit: f32, out: &mut [f32]) {
        assert!(gate.len() == up.len() && gate.len() == out.len());
        self.for_each_chunk(out, TASK_VALUES, |task, out| {
            let range = task * TASK_VALUES..task * TASK_VALUES + out.len();
            // SAFETY: the parts are equally long.
            unsafe { (self.table.swiglu)(&gate[range.clone()], &up[range], limit, out) };
        });
    }

    /// Replaces `gate` and `up` by their gradients.
    pub fn swiglu_backward(&self, gate: &mut [f32], up: &mut [f32], limit: f32, out_gradient: &[f32]) {
        assert!(gate.len() == up.len() && gate.len() == out_gradient.len());
        let up = Start(up.as_mut_ptr());
        self.for_each_chunk(gate, TASK_VALUES, |task, gate| {
            let first = task * TASK_VALUES;
            // SAFETY: this part of `up` is this task's, and as long as `gate`.
            unsafe {
                let up = std::slice::from_raw_parts_mut(up.at(first), gate.len());
                (self.table.swiglu_backward)(gate, up, limit, &out_gradient[first..first + gate.len()]);
            }
        });
    }

    /// Weighted cross-entropy of every row of logits, which become their gradients; `results` receives each row's loss in
    /// nats times its weight, and whether the target was the most likely.
    ///
    /// # Panics
    /// When a target is outside the rows.
    pub fn cross_entropy(&self, logits: &mut [f32], targets: &[(u32, f32)], results: &mut [(f32, bool)]) {
        let columns = logits.len() / targets.len().max(1);
        assert!(logits.len() == columns * targets.len() && results.len() == targets.len());
        let results = Start(results.as_mut_ptr());
        self.for_each_chunk(logits, columns.max(1), |row, logits| {
            let (target, weight) = targets[row];
            assert!((target as usize) < columns, "a target inside the vocabulary");
            // SAFETY: the target is inside the row; each result is one task's.
            unsafe { *results.at(row) = (self.table.cross_entropy)(logits, target as usize, weight) };
        });
    }

    /// One step of AdamW over all parameters and both moments.
    pub fn adam(&self, step: &AdamStep, parameters: &mut [f32], moments: [&mut [f32]; 2], gradients: &[f32]) {
        let [first, second] = moments;
        assert!(parameters.len() == gradients.len() && parameters.len() == first.len() && first.len() == second.len());
        let (first, second) = (Start(first.as_mut_ptr()), Start(second.as_mut_ptr()));
        self.for_each_chunk(parameters, TASK_VALUES, |task, parameters| {
            let (start, length) = (task * TASK_VALUES, parameters.len());
            // SAFETY: these parts of the moments are this task's, and as long as the parameters'.
            unsafe {
                let first = std::slice::from_raw_parts_mut(first.at(start), length);
                let second = std::slice::from_raw_parts_mut(second.at(start), length);
                (self.table.adam)(step, &mut Moving { parameters, first, second }, &gradients[start..start + length]);
            }
        });
    }
}

type RawSlice = (*mut f32, usize);

fn slice_of(values: &mut [f32]) -> RawSlice {
    (values.as_mut_ptr(), values.len())
}

fn places(shape: &AttentionShape<'_>, (qkv, sinks): (&[f32], &[f32]), out: RawSlice, log_sums: RawSlice) -> Places {
    let tokens = shape.tokens();
    assert!(shape.kv_heads > 0 && shape.heads.is_multiple_of(shape.kv_heads) && sinks.len() == shape.heads);
    assert!(qkv.len() == tokens * shape.row() && out.1 == tokens * shape.heads * shape.head_dim);
    assert_eq!(log_sums.1, tokens * shape.heads);
    Places {
        qkv: Output { start: qkv.as_ptr().cast_mut(), stride: shape.row() },
        out: Output { start: out.0, stride: shape.heads * shape.head_dim },
        log_sums: Output { start: log_sums.0, stride: shape.heads },
        sinks: Output { start: sinks.as_ptr().cast_mut(), stride: shape.heads },
    }
}

/// `sums += row` for every row.
fn add_rows(rows: &[f32], sums: &mut [f32]) {
    for row in rows.chunks_exact(sums.len()) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
}

/// The begin of a slice that tasks write in disjoint places.
struct Start<T>(*mut T);

// SAFETY: whoever makes one sees to it that tasks write disjoint places.
unsafe impl<T: Send> Sync for Start<T> {}

impl<T> Start<T> {
    /// # Safety
    /// The place is inside the slice.
    unsafe fn at(&self, index: usize) -> *mut T {
        // SAFETY: as required.
        unsafe { self.0.add(index) }
    }
}
