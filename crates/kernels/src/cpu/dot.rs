//! One encoded weight row times one f32 vector: what decode is made of. Reads each weight byte once.
//!
//! Must not know whose rows these are.

use super::lanes::Lanes;
use crate::decode::{decode_dense, e8m0_to_f32};
use crate::storage::{DenseFormat, Mxfp4Layout};

/// Largest block of the dense formats, in values.
const BLOCK_VALUES_MAX: usize = 256;

/// Blocks whose sums are kept apart.
const BLOCKS_AT_A_TIME: usize = 4;

/// `Σ row[i] · x[i]` over `columns` values.
///
/// # Safety
/// `row` holds `columns` encoded values in whole blocks, `x` holds `columns` values.
#[inline(always)]
pub(super) unsafe fn dense<L: Lanes>(format: DenseFormat, row: *const u8, columns: usize, x: *const f32) -> f32 {
    // SAFETY: as required above.
    unsafe {
        match format {
            DenseFormat::F32 => plain::<L, F32>(row, columns, x),
            DenseFormat::F16 => plain::<L, F16>(row, columns, x),
            DenseFormat::BF16 => plain::<L, BF16>(row, columns, x),
            DenseFormat::Q8_0 => q8_0::<L>(row, columns, x),
            DenseFormat::Q4_0
            | DenseFormat::Q4_1
            | DenseFormat::Q5_0
            | DenseFormat::Q5_1
            | DenseFormat::Q2K
            | DenseFormat::Q3K
            | DenseFormat::Q4K
            | DenseFormat::Q5K
            | DenseFormat::Q6K => blocks::<L>(format, row, columns, x),
        }
    }
}

/// `Σ row[i] · x[i]` of an MXFP4 row whose `x` is arranged like the row's nibbles: in each block of 32, first the values of
/// the low nibbles, then those of the high (see `arrange` in `tile.rs`).
///
/// # Safety
/// `blocks` (and `scales`, when split) hold `columns` values in whole blocks, `x` holds `columns` values.
#[inline(always)]
pub(super) unsafe fn mxfp4<L: Lanes>(
    layout: Mxfp4Layout,
    blocks: *const u8,
    scales: *const u8,
    columns: usize,
    x: *const f32,
) -> f32 {
    // SAFETY: as required above. Four blocks at a time, each with a sum of its own, so that no multiply-add waits for the
    // one before; the loops over sums have constant bounds, or the sums would live in memory instead of registers.
    unsafe {
        let mut sums = [L::splat(0.0); BLOCKS_AT_A_TIME];
        let count = columns / 32;
        let whole = count - count % BLOCKS_AT_A_TIME;
        for first in (0..whole).step_by(BLOCKS_AT_A_TIME) {
            for (offset, sum) in sums.iter_mut().enumerate() {
                *sum = mxfp4_block::<L>(layout, blocks, scales, first + offset, x, *sum);
            }
        }
        for block in whole..count {
            sums[0] = mxfp4_block::<L>(layout, blocks, scales, block, x, sums[0]);
        }
        L::reduce_add(L::add(L::add(sums[0], sums[1]), L::add(sums[2], sums[3])))
    }
}

/// `sum + scale · Σ nibbles · x` of one block.
#[inline(always)]
unsafe fn mxfp4_block<L: Lanes>(
    layout: Mxfp4Layout,
    blocks: *const u8,
    scales: *const u8,
    block: usize,
    x: *const f32,
    sum: L::V,
) -> L::V {
    // SAFETY: `mxfp4`'s contract; a joined block is its scale and 16 bytes of nibbles.
    unsafe {
        let (scale, nibbles) = match layout {
            Mxfp4Layout::Split => (*scales.add(block), blocks.add(block * 16)),
            Mxfp4Layout::Joined => (*blocks.add(block * 17), blocks.add(block * 17 + 1)),
        };
        let x = x.add(block * 32);
        let mut product = L::splat(0.0);
        for part in 0..16 / L::WIDTH {
            let at = part * L::WIDTH;
            product = L::fma(L::load_fp4_low(nibbles.add(at)), L::load(x.add(at)), product);
            product = L::fma(L::load_fp4_high(nibbles.add(at)), L::load(x.add(16 + at)), product);
        }
        L::fma(product, L::splat(e8m0_to_f32(scale)), sum)
    }
}

/// A format without blocks: vectors are loaded and widened at once.
trait Plain {
    const BYTES: usize;
    const FORMAT: DenseFormat;
    unsafe fn load<L: Lanes>(from: *const u8) -> L::V;
}

struct F32;
struct F16;
struct BF16;

impl Plain for F32 {
    const BYTES: usize = 4;
    const FORMAT: DenseFormat = DenseFormat::F32;
    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const u8) -> L::V {
        // SAFETY: the loads of `Lanes` need no alignment.
        unsafe { L::load(from.cast()) }
    }
}

impl Plain for F16 {
    const BYTES: usize = 2;
    const FORMAT: DenseFormat = DenseFormat::F16;
    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const u8) -> L::V {
        // SAFETY: as for `Lanes`.
        unsafe { L::load_f16(from) }
    }
}

impl Plain for BF16 {
    const BYTES: usize = 2;
    const FORMAT: DenseFormat = DenseFormat::BF16;
    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const u8) -> L::V {
        // SAFETY: as for `Lanes`.
        unsafe { L::load_bf16(from) }
    }
}

#[inline(always)]
unsafe fn plain<L: Lanes, P: Plain>(row: *const u8, columns: usize, x: *const f32) -> f32 {
    // SAFETY: `dense`'s contract; whole vectors end before `columns`, the rest goes one by one.
    unsafe {
        let mut sums = [L::splat(0.0); 4];
        let step = 4 * L::WIDTH;
        let mut i = 0;
        while i + step <= columns {
            for (part, sum) in sums.iter_mut().enumerate() {
                let at = i + part * L::WIDTH;
                *sum = L::fma(P::load::<L>(row.add(at * P::BYTES)), L::load(x.add(at)), *sum);
            }
            i += step;
        }
        while i + L::WIDTH <= columns {
            sums[0] = L::fma(P::load::<L>(row.add(i * P::BYTES)), L::load(x.add(i)), sums[0]);
            i += L::WIDTH;
        }
        let mut tail = 0.0;
        let rest = std::slice::from_raw_parts(row.add(i * P::BYTES), (columns - i) * P::BYTES);
        for (offset, value) in rest.chunks_exact(P::BYTES).enumerate() {
            let mut weight = [0.0];
            decode_dense(P::FORMAT, value, 0, &mut weight);
            tail += weight[0] * *x.add(i + offset);
        }
        L::reduce_add(L::add(L::add(sums[0], sums[1]), L::add(sums[2], sums[3]))) + tail
    }
}

#[inline(always)]
unsafe fn q8_0<L: Lanes>(row: *const u8, columns: usize, x: *const f32) -> f32 {
    // SAFETY: `dense`'s contract. Sums as in `mxfp4`.
    unsafe {
        let mut sums = [L::splat(0.0); BLOCKS_AT_A_TIME];
        let count = columns / 32;
        let whole = count - count % BLOCKS_AT_A_TIME;
        for first in (0..whole).step_by(BLOCKS_AT_A_TIME) {
            for (offset, sum) in sums.iter_mut().enumerate() {
                *sum = q8_0_block::<L>(row, first + offset, x, *sum);
            }
        }
        for block in whole..count {
            sums[0] = q8_0_block::<L>(row, block, x, sums[0]);
        }
        L::reduce_add(L::add(L::add(sums[0], sums[1]), L::add(sums[2], sums[3])))
    }
}

#[inline(always)]
unsafe fn q8_0_block<L: Lanes>(row: *const u8, block: usize, x: *const f32, sum: L::V) -> L::V {
    // SAFETY: `dense`'s contract; a block is an f16 scale and 32 bytes.
    unsafe {
        let bytes = row.add(block * 34);
        let x = x.add(block * 32);
        let mut product = L::splat(0.0);
        for part in 0..32 / L::WIDTH {
            let at = part * L::WIDTH;
            product = L::fma(L::load_i8(bytes.add(2 + at)), L::load(x.add(at)), product);
        }
        L::fma(product, L::splat_f16(bytes), sum)
    }
}

/// Any block format: a block is decoded to the stack, then multiplied.
#[inline(always)]
unsafe fn blocks<L: Lanes>(format: DenseFormat, row: *const u8, columns: usize, x: *const f32) -> f32 {
    // SAFETY: `dense`'s contract; block sizes are multiples of every vector's width.
    unsafe {
        let (values, bytes) = (format.block_values(), format.block_bytes());
        let mut decoded = [0.0f32; BLOCK_VALUES_MAX];
        let mut sum = L::splat(0.0);
        for block in 0..columns / values {
            let encoded = std::slice::from_raw_parts(row.add(block * bytes), bytes);
            decode_dense(format, encoded, 0, &mut decoded[..values]);
            let mut i = 0;
            while i < values {
                sum = L::fma(L::load(decoded.as_ptr().add(i)), L::load(x.add(block * values + i)), sum);
                i += L::WIDTH;
            }
        }
        L::reduce_add(sum)
    }
}
