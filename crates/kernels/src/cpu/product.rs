//! Some encoded weight rows times some tokens: the one place that chooses between row-wise dots and decoded panels.
//!
//! Must not know whose rows these are. One or two tokens read each row straight from its encoding; more tokens share a panel
//! of decoded weights that stays in the second-level cache.

use std::cell::RefCell;

use super::isa::Isa;
use super::tile::Product;
use crate::storage::{DenseFormat, DenseMatrix, Mxfp4Layout, Mxfp4Matrix};

/// Most tokens for which decoding a row anew per token is cheaper than a panel.
const DOT_TOKENS_MAX: usize = 2;

/// Columns of a panel: a register tile's rows of it stay in the first-level cache. A multiple of every block.
const PANEL_COLUMNS: usize = 1024;

/// Tokens that are multiplied with a panel at a time, so that their activations stay in the second-level cache.
const PANEL_TOKENS: usize = 64;

/// Weight bytes of a task when few tokens are computed.
const DOT_TASK_BYTES: usize = 128 << 10;

/// Rows of a task when a panel is used (rounded down to whole register tiles).
const PANEL_TASK_ROWS: usize = 40;

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// One encoded row.
pub(super) enum EncodedRow<'a> {
    Dense { format: DenseFormat, bytes: &'a [u8] },
    Mxfp4 { layout: Mxfp4Layout, blocks: &'a [u8], scales: &'a [u8] },
}

/// Activations `[tokens, columns]`, `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
    pub(super) tokens: usize,
    pub(super) columns: usize,
}

/// Results that tasks of one fork-join share, each writing places of its own.
#[derive(Clone, Copy)]
pub(super) struct Output {
    pub(super) start: *mut f32,
    pub(super) stride: usize,
}

// SAFETY: tasks write disjoint places; whoever makes an `Output` sees to that.
unsafe impl Sync for Output {}
// SAFETY: as above.
unsafe impl Send for Output {}

impl Output {
    /// # Safety
    /// The place exists and no other thread touches it now.
    pub(super) unsafe fn place(&self, token: usize, row: usize) -> *mut f32 {
        // SAFETY: as required.
        unsafe { self.start.add(token * self.stride + row) }
    }
}

impl<'a> EncodedRow<'a> {
    pub(super) fn dense(matrix: &'a DenseMatrix, row: usize) -> Self {
        Self::Dense { format: matrix.format, bytes: matrix.row(row) }
    }

    pub(super) fn mxfp4(matrix: &'a Mxfp4Matrix, expert: usize, row: usize) -> Self {
        Self::Mxfp4 {
            layout: matrix.layout,
            blocks: matrix.row_blocks(expert, row),
            scales: matrix.row_scales(expert, row),
        }
    }

    fn dot(&self, isa: &Isa, x: &[f32]) -> f32 {
        match *self {
            Self::Dense { format, bytes } => {
                assert_eq!(bytes.len(), format.row_bytes(x.len()));
                // SAFETY: the row has as many values as `x`, asserted above.
                unsafe { (isa.dot_dense)(format, bytes.as_ptr(), x.len(), x.as_ptr()) }
            }
            Self::Mxfp4 { layout, blocks, scales } => {
                assert_eq!(blocks.len(), x.len() / 32 * layout.block_bytes());
                // SAFETY: as above; split rows have a scale per block because `row_scales` says so.
                unsafe { (isa.dot_mxfp4)(layout, blocks.as_ptr(), scales.as_ptr(), x.len(), x.as_ptr()) }
            }
        }
    }

    /// Decodes columns `start ..` into `out` (in arranged order for MXFP4).
    pub(super) fn decode(&self, isa: &Isa, start: usize, out: &mut [f32]) {
        let (length, to) = (out.len(), out.as_mut_ptr());
        match *self {
            Self::Dense { format, bytes } => {
                assert!(bytes.len() >= format.row_bytes(start + length));
                // SAFETY: the row reaches to `start + length`, asserted above.
                unsafe { (isa.decode_dense)(format, bytes.as_ptr(), start, length, to) }
            }
            Self::Mxfp4 { layout, blocks, scales } => {
                assert!(blocks.len() >= (start + length) / 32 * layout.block_bytes());
                // SAFETY: as above.
                unsafe { (isa.decode_mxfp4)(layout, blocks.as_ptr(), scales.as_ptr(), start, length, to) }
            }
        }
    }
}

/// Rows of a task, given the bytes of one row and the number of tokens.
pub(super) fn task_rows(isa: &Isa, tokens: usize, row_bytes: usize) -> usize {
    if tokens <= DOT_TOKENS_MAX {
        (DOT_TASK_BYTES / row_bytes.max(1)).max(1)
    } else {
        PANEL_TASK_ROWS / isa.tile_rows * isa.tile_rows
    }
}

/// `out[t][r] += row(r) · x[t]` for `rows` rows.
///
/// # Safety
/// The places `out[0 .. tokens][0 .. rows]` exist and no other thread touches them meanwhile.
pub(super) unsafe fn multiply<'a>(
    isa: &Isa,
    rows: usize,
    row_at: impl Fn(usize) -> EncodedRow<'a>,
    x: Input<'_>,
    out: Output,
) {
    if x.tokens > DOT_TOKENS_MAX {
        // SAFETY: passed on.
        unsafe { multiply_by_panels(isa, rows, row_at, x, out) };
        return;
    }
    assert!(x.tokens == 0 || x.values.len() >= (x.tokens - 1) * x.stride + x.columns);
    for row in 0..rows {
        let encoded = row_at(row);
        for token in 0..x.tokens {
            let value = encoded.dot(isa, &x.values[token * x.stride..][..x.columns]);
            // SAFETY: as required.
            unsafe { *out.place(token, row) += value };
        }
    }
}

/// The same by panels however few tokens there are: every sum is made in one order then, whatever is computed beside it.
///
/// # Safety
/// As for [`multiply`].
pub(super) unsafe fn multiply_by_panels<'a>(
    isa: &Isa,
    rows: usize,
    row_at: impl Fn(usize) -> EncodedRow<'a>,
    x: Input<'_>,
    out: Output,
) {
    assert!(x.tokens == 0 || x.values.len() >= (x.tokens - 1) * x.stride + x.columns);
    // SAFETY: passed on.
    with_scratch(|scratch| unsafe { multiply_panel(isa, rows, row_at, x, out, scratch) });
}

/// Lends this thread's working memory; not reentrant.
pub(super) fn with_scratch<R>(body: impl FnOnce(&mut Vec<f32>) -> R) -> R {
    SCRATCH.with_borrow_mut(body)
}

unsafe fn multiply_panel<'a>(
    isa: &Isa,
    rows: usize,
    row_at: impl Fn(usize) -> EncodedRow<'a>,
    x: Input<'_>,
    out: Output,
    panel: &mut Vec<f32>,
) {
    let panel_rows = rows.next_multiple_of(isa.tile_rows);
    let stride = PANEL_COLUMNS.min(x.columns);
    // Rows that only fill the last tile keep whatever finite or stale values are there: their sums are never stored.
    panel.resize(panel_rows * stride, 0.0);
    for start in (0..x.columns).step_by(PANEL_COLUMNS) {
        let columns = PANEL_COLUMNS.min(x.columns - start);
        for (row, to) in panel.chunks_exact_mut(stride).take(rows).enumerate() {
            row_at(row).decode(isa, start, &mut to[..columns]);
        }
        for token in (0..x.tokens).step_by(PANEL_TOKENS) {
            let product = Product {
                panel: panel.as_ptr(),
                panel_stride: stride,
                rows,
                x: x.values[token * x.stride + start..].as_ptr(),
                x_stride: x.stride,
                tokens: PANEL_TOKENS.min(x.tokens - token),
                columns,
                // SAFETY: as required of `out`.
                out: unsafe { out.place(token, 0) },
                out_stride: out.stride,
            };
            // SAFETY: the panel is padded to whole tiles, the activations were checked by `multiply`, `out` is ours.
            unsafe { (isa.multiply)(&product) };
        }
    }
}
