//! The CPU's training steps: f32 matrix products and the forward and backward passes of the ops between them.
//!
//! It must not know layers, parameters' names or schedules: every method is one op over plain slices, cut into tasks whose
//! arithmetic does not depend on who runs them. So results are the same, bit for bit, for any number of threads.

mod attention;
mod orthogonal;
mod product;
mod rows;
mod steps;
mod table;

use std::cell::RefCell;

pub use self::orthogonal::{MuonStep, Place};
use self::product::{Product, Source};
pub use self::rows::AdamStep;
pub use self::steps::AttentionShape;
use self::table::Table;
use super::isa::{Isa, IsaKind};
use super::product::Output;
use crate::error::Error;
use crate::pool::Pool;

/// Register tiles of rows per task of a product, at most.
const TASK_TILES: usize = 8;

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Computes training steps on the CPU.
pub struct Training {
    table: &'static Table,
    isa: IsaKind,
    pool: Pool,
    packed: Vec<f32>,
}

/// A matrix inside a slice, with any strides.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows one after another.
    #[must_use]
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::with_stride(values, rows, columns, columns)
    }

    /// Rows `stride` apart.
    ///
    /// # Panics
    /// When the slice is too short.
    #[must_use]
    pub fn with_stride(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(
            rows == 0 || columns == 0 || (rows - 1) * stride + columns <= values.len(),
            "a matrix within its slice"
        );
        Self { values, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// Rows for columns.
    #[must_use]
    pub fn transposed(self) -> Self {
        let Self { values, rows, columns, row_stride, column_stride } = self;
        Self { values, rows: columns, columns: rows, row_stride: column_stride, column_stride: row_stride }
    }
}

/// Where a product goes.
pub struct Target<'a> {
    /// The matrix begins here.
    pub values: &'a mut [f32],
    /// From row to row.
    pub stride: usize,
    /// Whether the product is added to what is there.
    pub accumulate: bool,
}

impl Training {
    /// Starts the threads.
    ///
    /// # Errors
    /// When this processor lacks the instruction set, or the system cannot start that many threads.
    pub fn new(isa: IsaKind, threads: usize) -> Result<Self, Error> {
        Isa::require(isa)?;
        Ok(Self { table: Table::get(isa), isa, pool: Pool::new(threads)?, packed: Vec::new() })
    }

    /// Which instruction set the kernels use.
    #[must_use]
    pub fn isa(&self) -> IsaKind {
        self.isa
    }

    /// Number of threads that take part.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// `C (+)= A·B + bias`, `A` `[rows, depth]`, `B` `[depth, columns]`, `bias` `[columns]`.
    ///
    /// # Panics
    /// When the shapes don't fit.
    pub fn multiply(&mut self, a: Matrix<'_>, b: Matrix<'_>, bias: Option<&[f32]>, target: Target<'_>) {
        let (rows, depth, columns) = (a.rows, a.columns, b.columns);
        assert_eq!(depth, b.rows, "inner lengths");
        assert!(bias.is_none_or(|bias| bias.len() == columns), "a bias per column");
        if rows == 0 || columns == 0 {
            return;
        }
        assert!((rows - 1) * target.stride + columns <= target.values.len() && columns <= target.stride, "room for C");
        assert!(depth > 0, "an empty sum");
        let table = self.table;
        let source = Source { b: b.values.as_ptr(), b_row: b.row_stride, b_column: b.column_stride, columns, depth };
        let packed_len = product::packed_len(depth, columns, table.tile_columns);
        if self.packed.len() < packed_len {
            self.packed.resize(packed_len, 0.0);
        }
        let packed = Output { start: self.packed.as_mut_ptr(), stride: 0 };
        let c = Output { start: target.values.as_mut_ptr(), stride: target.stride };
        let a_start = Output { start: a.values.as_ptr().cast_mut(), stride: a.row_stride };
        // SAFETY: each panel is packed by one task into its own part of the buffer, which is long enough.
        self.pool.run(columns.div_ceil(table.tile_columns), &|panel| unsafe {
            (table.pack)(&source, panel, packed.place(0, 0));
        });
        // Evenly over the threads, or one of them waits; no sum depends on where the rows are cut.
        let tiles = rows.div_ceil(table.tile_rows);
        let tasks = self.pool.threads() * tiles.div_ceil(self.pool.threads() * TASK_TILES);
        let task_rows = table.tile_rows * tiles.div_ceil(tasks);
        let bias = Output { start: bias.map_or(std::ptr::null_mut(), |bias| bias.as_ptr().cast_mut()), stride: 0 };
        self.pool.run(rows.div_ceil(task_rows), &|task| {
            let first = task * task_rows;
            let count = task_rows.min(rows - first);
            with_scratch(product::strip_len(count, table.tile_rows), |strips| {
                // SAFETY: the shapes were asserted above; the task alone writes these rows of `C`.
                unsafe {
                    (table.multiply)(&Product {
                        a: a_start.place(first, 0),
                        a_row: a.row_stride,
                        a_column: a.column_stride,
                        packed: packed.place(0, 0),
                        first_panel: 0,
                        packed_columns: columns.next_multiple_of(table.tile_columns),
                        rows: count,
                        columns,
                        depth,
                        c: c.place(first, 0),
                        c_row: c.stride,
                        bias: bias.place(0, 0),
                        accumulate: target.accumulate,
                        strips: strips.as_mut_ptr(),
                    });
                }
            });
        });
    }
}

/// Lends the thread's working memory, its contents left over from whoever had it before.
fn with_scratch<R>(length: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < length {
            scratch.resize(length, 0.0);
        }
        work(&mut scratch[..length])
    })
}
