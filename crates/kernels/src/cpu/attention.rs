//! Attention of a group of queries over a block-wise cache: online softmax that starts from the sink.
//!
//! Must not know layers or sequences. Per block of 64 positions: scores of four queries at a time from transposed keys, the
//! running maximum and sum updated once, then the values weighted in. Formula: the online softmax of arXiv 1805.02867, begun
//! with maximum = sink, sum = 1, accumulator = 0, so that the sink takes part without carrying a value.

#![expect(
    clippy::needless_range_loop,
    reason = "register tiles are indexed by constants, so that they stay in registers"
)]

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use super::block_memory::Plain;
use super::kv::{BLOCK_POSITIONS, Block};
use super::lanes::Lanes;

/// Queries that share a register tile.
const TILE_QUERIES: usize = 4;

/// One key/value head and a run of consecutive query rows with all query heads that read it.
pub(super) struct Job<'a, T> {
    pub(super) blocks: &'a VecDeque<Arc<Block>>,
    /// What the blocks hold.
    pub(super) element: PhantomData<T>,
    pub(super) dropped_blocks: usize,
    pub(super) kv_head: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) padded_dim: usize,
    pub(super) window: Option<usize>,
    /// Position of the first query row.
    pub(super) position: usize,
    /// Query rows.
    pub(super) rows: usize,
    /// Query heads per key/value head.
    pub(super) group: usize,
    /// First query head's sink; `group` sinks follow one another.
    pub(super) sinks: &'a [f32],
    /// The group's queries of the first row; rows are `stride` apart.
    pub(super) queries: *const f32,
    /// Where the group's results of the first row go; rows are `stride` apart.
    pub(super) out: *mut f32,
    pub(super) stride: usize,
    /// Working memory of [`scratch_len`] values.
    pub(super) scratch: *mut f32,
}

/// Values of working memory for a job: per query `head_dim` scaled queries, 64 scores, an accumulator, maximum and sum.
pub(super) fn scratch_len(queries: usize, padded_dim: usize) -> usize {
    queries.next_multiple_of(TILE_QUERIES) * (2 * padded_dim + BLOCK_POSITIONS + 2)
}

/// An element of the cache that widens to f32 lanes.
pub(super) trait Stored: Plain {
    /// Whether a block ends with scales, per head of 64 keys and of 64 values.
    const SCALED: bool = false;

    /// # Safety
    /// As for [`Lanes`].
    unsafe fn load<L: Lanes>(from: *const Self) -> L::V;
}

impl Stored for f32 {
    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const Self) -> L::V {
        // SAFETY: as required.
        unsafe { L::load(from) }
    }
}

impl Stored for u16 {
    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const Self) -> L::V {
        // SAFETY: as required.
        unsafe { L::load_bf16(from.cast()) }
    }
}

impl Stored for i8 {
    const SCALED: bool = true;

    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const Self) -> L::V {
        // SAFETY: as required.
        unsafe { L::load_i8(from.cast()) }
    }
}

/// One head's part of a block.
struct Head<T> {
    /// The block's first position.
    start: usize,
    keys: *const T,
    values: *const T,
    /// Where the element has scales: 64 of the keys, then 64 of the values.
    scales: *const f32,
}

struct Scratch {
    /// `[queries][padded_dim]`, scaled by 1/sqrt(head_dim).
    queries: *mut f32,
    /// `[queries][64]`: scores, then weights.
    scores: *mut f32,
    /// `[queries][padded_dim]`.
    sums: *mut f32,
    /// `[queries]`.
    greatest: *mut f32,
    /// `[queries]`.
    total: *mut f32,
}

/// Computes a [`Job`].
///
/// # Safety
/// The job's pointers hold what it says, its blocks hold every position its queries see, and nobody else touches the results
/// meanwhile.
#[inline(always)]
pub(super) unsafe fn attend<L: Lanes, T: Stored>(job: &Job<'_, T>) {
    // SAFETY: as required; every index stays below what `scratch_len` and the block shapes allow.
    unsafe {
        let count = job.rows * job.group;
        let padded_count = count.next_multiple_of(TILE_QUERIES);
        let scratch = Scratch {
            queries: job.scratch,
            scores: job.scratch.add(padded_count * job.padded_dim),
            sums: job.scratch.add(padded_count * (job.padded_dim + BLOCK_POSITIONS)),
            greatest: job.scratch.add(padded_count * (2 * job.padded_dim + BLOCK_POSITIONS)),
            total: job.scratch.add(padded_count * (2 * job.padded_dim + BLOCK_POSITIONS + 1)),
        };
        begin(job, &scratch, padded_count);
        let last = job.position + job.rows - 1;
        let first = job.window.map_or(0, |window| (job.position + 1).saturating_sub(window));
        for block in first / BLOCK_POSITIONS..=last / BLOCK_POSITIONS {
            let head = head(job, block);
            for tile in (0..padded_count).step_by(TILE_QUERIES) {
                score::<L, T>(job, &scratch, tile, head.keys);
            }
            for query in 0..count {
                weigh::<L, T>(job, &scratch, query, &head);
            }
            for tile in (0..padded_count).step_by(TILE_QUERIES) {
                accumulate::<L, T>(job, &scratch, tile, head.start, head.values);
            }
        }
        for query in 0..count {
            let out = job.out.add(query / job.group * job.stride + query % job.group * job.head_dim);
            let scale = 1.0 / *scratch.total.add(query);
            for i in 0..job.head_dim {
                *out.add(i) = *scratch.sums.add(query * job.padded_dim + i) * scale;
            }
        }
    }
}

#[inline(always)]
fn head<T: Stored>(job: &Job<'_, T>, block: usize) -> Head<T> {
    let memory = &job.blocks[block - job.dropped_blocks].memory;
    let (dim, padded_dim) = (job.head_dim * BLOCK_POSITIONS, job.padded_dim * BLOCK_POSITIONS);
    let start = memory.as_slice::<T>().as_ptr();
    let all_values = job.kv_heads * (dim + padded_dim) * size_of::<T>();
    let scales = memory.as_slice::<u8>().as_ptr().wrapping_add(all_values).cast::<f32>();
    Head {
        start: block * BLOCK_POSITIONS,
        keys: start.wrapping_add(job.kv_head * dim),
        values: start.wrapping_add(job.kv_heads * dim + job.kv_head * padded_dim),
        scales: scales.wrapping_add(job.kv_head * 2 * BLOCK_POSITIONS),
    }
}

#[inline(always)]
unsafe fn begin<T>(job: &Job<'_, T>, scratch: &Scratch, padded_count: usize) {
    let scale = 1.0 / (job.head_dim as f32).sqrt();
    // SAFETY: `attend`'s contract. Queries that only fill the tile stay zero.
    unsafe {
        scratch.queries.write_bytes(0, padded_count * (2 * job.padded_dim + BLOCK_POSITIONS));
        for query in 0..job.rows * job.group {
            let from = job.queries.add(query / job.group * job.stride + query % job.group * job.head_dim);
            for i in 0..job.head_dim {
                *scratch.queries.add(query * job.padded_dim + i) = *from.add(i) * scale;
            }
            *scratch.greatest.add(query) = job.sinks[query % job.group];
            *scratch.total.add(query) = 1.0;
        }
    }
}

/// Scores of four queries against all 64 positions of a block.
#[inline(always)]
unsafe fn score<L: Lanes, T: Stored>(job: &Job<'_, T>, scratch: &Scratch, tile: usize, keys: *const T) {
    // SAFETY: `attend`'s contract.
    unsafe {
        for part in (0..BLOCK_POSITIONS).step_by(2 * L::WIDTH) {
            let mut sums = [[L::splat(0.0); 2]; TILE_QUERIES];
            for i in 0..job.head_dim {
                let row = keys.add(i * BLOCK_POSITIONS + part);
                let keys = [T::load::<L>(row), T::load::<L>(row.add(L::WIDTH))];
                for q in 0..TILE_QUERIES {
                    let query = L::splat(*scratch.queries.add((tile + q) * job.padded_dim + i));
                    sums[q][0] = L::fma(query, keys[0], sums[q][0]);
                    sums[q][1] = L::fma(query, keys[1], sums[q][1]);
                }
            }
            for q in 0..TILE_QUERIES {
                let to = scratch.scores.add((tile + q) * BLOCK_POSITIONS + part);
                L::store(to, sums[q][0]);
                L::store(to.add(L::WIDTH), sums[q][1]);
            }
        }
    }
}

/// Which positions of the block that begins at `block_start` a query sees; an empty range when none.
#[inline(always)]
fn seen<T>(job: &Job<'_, T>, query: usize, block_start: usize) -> Range<usize> {
    let position = job.position + query / job.group;
    let first = job.window.map_or(0, |window| (position + 1).saturating_sub(window));
    let place = |position: usize| position.saturating_sub(block_start).min(BLOCK_POSITIONS);
    place(first)..place(position + 1)
}

/// Turns a query's scores into weights under the running maximum, and rescales what was summed before.
///
/// Scales of keys are multiplied into the scores, those of values into the weights after these were added up.
#[inline(always)]
unsafe fn weigh<L: Lanes, T: Stored>(job: &Job<'_, T>, scratch: &Scratch, query: usize, head: &Head<T>) {
    let Range { start: seen_from, end: seen_to } = seen(job, query, head.start);
    // SAFETY: `attend`'s contract.
    unsafe {
        let scores = std::slice::from_raw_parts_mut(scratch.scores.add(query * BLOCK_POSITIONS), BLOCK_POSITIONS);
        if seen_from >= seen_to {
            scores.fill(0.0);
            return;
        }
        if T::SCALED {
            scale::<L>(scores, head.scales);
        }
        scores[..seen_from].fill(f32::NEG_INFINITY);
        scores[seen_to..].fill(f32::NEG_INFINITY);
        let mut greatest = L::splat(*scratch.greatest.add(query));
        for i in (0..BLOCK_POSITIONS).step_by(L::WIDTH) {
            greatest = L::max(greatest, L::load(scores.as_ptr().add(i)));
        }
        let greatest = L::reduce_max(greatest);
        let mut total = L::splat(0.0);
        for i in (0..BLOCK_POSITIONS).step_by(L::WIDTH) {
            let to = scores.as_mut_ptr().add(i);
            let weight = L::exp(L::sub(L::load(to), L::splat(greatest)));
            L::store(to, weight);
        }
        scores[..seen_from].fill(0.0);
        scores[seen_to..].fill(0.0);
        for i in (0..BLOCK_POSITIONS).step_by(L::WIDTH) {
            total = L::add(total, L::load(scores.as_ptr().add(i)));
        }
        if T::SCALED {
            // What is not seen may become NaN here, and is not read.
            scale::<L>(scores, head.scales.add(BLOCK_POSITIONS));
        }
        let shrink = (*scratch.greatest.add(query) - greatest).exp();
        *scratch.total.add(query) = *scratch.total.add(query) * shrink + L::reduce_add(total);
        *scratch.greatest.add(query) = greatest;
        if shrink != 1.0 {
            for i in (0..job.padded_dim).step_by(L::WIDTH) {
                let sum = scratch.sums.add(query * job.padded_dim + i);
                L::store(sum, L::mul(L::load(sum), L::splat(shrink)));
            }
        }
    }
}

/// Multiplies 64 values by as many others.
#[inline(always)]
unsafe fn scale<L: Lanes>(values: &mut [f32], by: *const f32) {
    for i in (0..BLOCK_POSITIONS).step_by(L::WIDTH) {
        // SAFETY: `attend`'s contract.
        unsafe {
            let to = values.as_mut_ptr().add(i);
            L::store(to, L::mul(L::load(to), L::load(by.add(i))));
        }
    }
}

/// Adds the weighted values of a block to four queries' sums.
///
/// Each query adds only what it sees: a weight of zero would make NaN of an infinite value at a later position. The positions
/// that all four see go through the register tile; a tile can span rows, so a few before and after may be one query's own.
#[inline(always)]
unsafe fn accumulate<L: Lanes, T: Stored>(
    job: &Job<'_, T>,
    scratch: &Scratch,
    tile: usize,
    block_start: usize,
    values: *const T,
) {
    // Queries that only fill the tile do as the last real one does.
    let last = job.rows * job.group - 1;
    let seen: [Range<usize>; TILE_QUERIES] = std::array::from_fn(|q| seen(job, (tile + q).min(last), block_start));
    // Later queries see later positions, so the tile's outer queries bound what all of them see.
    let shared = seen[TILE_QUERIES - 1].start..seen[0].end.max(seen[TILE_QUERIES - 1].start);
    // SAFETY: `attend`'s contract; `padded_dim` is a multiple of 16, hence of every vector's width.
    unsafe {
        let weights = scratch.scores.add(tile * BLOCK_POSITIONS);
        for part in (0..job.padded_dim).step_by(L::WIDTH) {
            let values = values.add(part);
            let mut sums = [L::splat(0.0); TILE_QUERIES];
            for q in 0..TILE_QUERIES {
                sums[q] = L::load(scratch.sums.add((tile + q) * job.padded_dim + part));
            }
            if shared == (0..BLOCK_POSITIONS) {
                // Nearly every block; bounds known to the compiler make it a seventh faster.
                sums = add_to_tile::<L, T>(weights, 0..BLOCK_POSITIONS, values, job.padded_dim, sums);
            } else {
                for q in 0..TILE_QUERIES {
                    let before = seen[q].start..shared.start.min(seen[q].end);
                    let weights = weights.add(q * BLOCK_POSITIONS);
                    sums[q] = add_to_query::<L, T>(weights, before, values, job.padded_dim, sums[q]);
                }
                sums = add_to_tile::<L, T>(weights, shared.clone(), values, job.padded_dim, sums);
                for q in 0..TILE_QUERIES {
                    let after = shared.end..seen[q].end;
                    let weights = weights.add(q * BLOCK_POSITIONS);
                    sums[q] = add_to_query::<L, T>(weights, after, values, job.padded_dim, sums[q]);
                }
            }
            for q in 0..TILE_QUERIES {
                L::store(scratch.sums.add((tile + q) * job.padded_dim + part), sums[q]);
            }
        }
    }
}

/// `sums[q] + Σ weights[q][p] · values[p]` over some positions; `weights` are a block apart, `values` `stride`.
#[inline(always)]
unsafe fn add_to_tile<L: Lanes, T: Stored>(
    weights: *const f32,
    positions: Range<usize>,
    values: *const T,
    stride: usize,
    mut sums: [L::V; TILE_QUERIES],
) -> [L::V; TILE_QUERIES] {
    // SAFETY: `attend`'s contract, for each of the positions.
    unsafe {
        for position in positions {
            let value = T::load::<L>(values.add(position * stride));
            for q in 0..TILE_QUERIES {
                let weight = L::splat(*weights.add(q * BLOCK_POSITIONS + position));
                sums[q] = L::fma(weight, value, sums[q]);
            }
        }
    }
    sums
}

/// The same for one query.
#[inline(always)]
unsafe fn add_to_query<L: Lanes, T: Stored>(
    weights: *const f32,
    positions: Range<usize>,
    values: *const T,
    stride: usize,
    mut sum: L::V,
) -> L::V {
    // SAFETY: `attend`'s contract, for each of the positions.
    unsafe {
        for position in positions {
            sum = L::fma(L::splat(*weights.add(position)), T::load::<L>(values.add(position * stride)), sum);
        }
    }
    sum
}
