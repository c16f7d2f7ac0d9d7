//! Batched products: weight rows are decoded once into an f32 panel, then multiplied with many tokens by a register tile.
//!
//! Must not know whose weights these are. `ROWS × TOKENS` accumulators fill the register file: per step, `ROWS + TOKENS` loads
//! feed `ROWS · TOKENS` multiply-adds.

#![expect(
    clippy::needless_range_loop,
    reason = "register tiles are indexed by constants, so that they stay in registers"
)]

use super::lanes::Lanes;
use crate::decode::{self, e8m0_to_f32};
use crate::storage::{DenseFormat, Mxfp4Layout};

/// `out[t][r] += Σ_k panel[r][k] · x[t][k]` for `rows` panel rows and `tokens` tokens.
pub(super) struct Product {
    /// Decoded weights, `panel_stride` apart, padded with rows of any finite values to a multiple of the tile.
    pub(super) panel: *const f32,
    pub(super) panel_stride: usize,
    /// Real rows.
    pub(super) rows: usize,
    /// Activations, `x_stride` apart.
    pub(super) x: *const f32,
    pub(super) x_stride: usize,
    pub(super) tokens: usize,
    /// Length of the sums.
    pub(super) columns: usize,
    /// Results, `out_stride` apart.
    pub(super) out: *mut f32,
    pub(super) out_stride: usize,
}

/// Puts 32 values in the order of a block's nibbles: first the low ones, then the high ones.
pub(super) fn arrange(layout: Mxfp4Layout, x: &[f32], out: &mut [f32]) {
    match layout {
        Mxfp4Layout::Joined => out.copy_from_slice(x),
        Mxfp4Layout::Split => {
            for (x, out) in x.chunks_exact(32).zip(out.chunks_exact_mut(32)) {
                for i in 0..16 {
                    out[i] = x[2 * i];
                    out[16 + i] = x[2 * i + 1];
                }
            }
        }
    }
}

/// Where value `index` of a row stands after [`arrange`].
pub(super) const fn arranged_index(layout: Mxfp4Layout, index: usize) -> usize {
    match layout {
        Mxfp4Layout::Joined => index,
        Mxfp4Layout::Split => index / 32 * 32 + index % 2 * 16 + index % 32 / 2,
    }
}

/// Decodes `length` values from column `start` on; both are whole blocks of the format.
///
/// # Safety
/// `row` holds `start + length` encoded values, `out` has room for `length`.
#[inline(always)]
pub(super) unsafe fn decode_dense<L: Lanes>(
    format: DenseFormat,
    row: *const u8,
    start: usize,
    length: usize,
    out: *mut f32,
) {
    // SAFETY: as required above.
    unsafe {
        let encoded = std::slice::from_raw_parts(row, format.row_bytes(start + length));
        let whole = length - length % L::WIDTH;
        let mut done = 0;
        while done < whole && matches!(format, DenseFormat::BF16 | DenseFormat::F16) {
            let from = row.add(2 * (start + done));
            L::store(out.add(done), if format == DenseFormat::BF16 { L::load_bf16(from) } else { L::load_f16(from) });
            done += L::WIDTH;
        }
        decode::decode_dense(
            format,
            encoded,
            start + done,
            std::slice::from_raw_parts_mut(out.add(done), length - done),
        );
    }
}

/// Decodes `length` values from column `start` on, both multiples of 32, in the arranged order.
///
/// # Safety
/// The row holds `start + length` values, `out` has room for `length`.
#[inline(always)]
pub(super) unsafe fn decode_mxfp4<L: Lanes>(
    layout: Mxfp4Layout,
    blocks: *const u8,
    scales: *const u8,
    start: usize,
    length: usize,
    out: *mut f32,
) {
    // SAFETY: as required above; a joined block is its scale and 16 bytes of nibbles.
    unsafe {
        for block in 0..length / 32 {
            let index = start / 32 + block;
            let (scale, nibbles) = match layout {
                Mxfp4Layout::Split => (*scales.add(index), blocks.add(index * 16)),
                Mxfp4Layout::Joined => (*blocks.add(index * 17), blocks.add(index * 17 + 1)),
            };
            let scale = L::splat(e8m0_to_f32(scale));
            let out = out.add(block * 32);
            for part in 0..16 / L::WIDTH {
                let at = part * L::WIDTH;
                L::store(out.add(at), L::mul(L::load_fp4_low(nibbles.add(at)), scale));
                L::store(out.add(16 + at), L::mul(L::load_fp4_high(nibbles.add(at)), scale));
            }
        }
    }
}

/// Computes a [`Product`] with a `ROWS × TOKENS` register tile.
///
/// # Safety
/// The pointers hold what [`Product`] says; nobody else touches the results meanwhile.
#[inline(always)]
pub(super) unsafe fn multiply<L: Lanes, const ROWS: usize, const TOKENS: usize>(product: &Product) {
    let mut row = 0;
    while row < product.rows {
        let mut token = 0;
        while token < product.tokens {
            // SAFETY: the panel is padded to whole tiles; `tile` looks at `TOKENS` tokens only where they exist.
            unsafe {
                match product.tokens - token {
                    1 => tile::<L, ROWS, 1>(product, row, token),
                    2 => tile::<L, ROWS, 2>(product, row, token),
                    3 if TOKENS > 3 => tile::<L, ROWS, 3>(product, row, token),
                    4 if TOKENS > 4 => tile::<L, ROWS, 4>(product, row, token),
                    _ => tile::<L, ROWS, TOKENS>(product, row, token),
                }
            }
            token += TOKENS;
        }
        row += ROWS;
    }
}

#[inline(always)]
unsafe fn tile<L: Lanes, const ROWS: usize, const TOKENS: usize>(product: &Product, row: usize, token: usize) {
    // SAFETY: `multiply`'s contract.
    unsafe {
        let panel = product.panel.add(row * product.panel_stride);
        let x = product.x.add(token * product.x_stride);
        let mut sums = [[L::splat(0.0); TOKENS]; ROWS];
        let mut k = 0;
        while k + L::WIDTH <= product.columns {
            let mut tokens = [L::splat(0.0); TOKENS];
            for t in 0..TOKENS {
                tokens[t] = L::load(x.add(t * product.x_stride + k));
            }
            for r in 0..ROWS {
                let weight = L::load(panel.add(r * product.panel_stride + k));
                for t in 0..TOKENS {
                    sums[r][t] = L::fma(weight, tokens[t], sums[r][t]);
                }
            }
            k += L::WIDTH;
        }
        let rows = product.rows - row;
        // The trip count must be constant, or the sums would live in memory instead of registers.
        for r in 0..ROWS {
            if r >= rows {
                break;
            }
            for t in 0..TOKENS {
                let mut sum = L::reduce_add(sums[r][t]);
                for k in k..product.columns {
                    sum += *panel.add(r * product.panel_stride + k) * *x.add(t * product.x_stride + k);
                }
                *product.out.add((token + t) * product.out_stride + row + r) += sum;
            }
        }
    }
}
