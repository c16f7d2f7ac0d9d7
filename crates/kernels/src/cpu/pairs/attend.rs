//! Attention of a group of queries over blocks of pairs (AVX-512): an online softmax that starts from the sink.
//!
//! It must not know layers, sequences or threads, nor what the pairs are ([`Cache`]). Per block and per tile of up to 8
//! queries: scores by register tiles of 32 positions, weights in base 2 (the queries carry the factor log₂ e), and the
//! weighted sum of the values by register tiles of 32 columns. Formula: arXiv 1805.02867 begun with maximum = sink, sum = 1,
//! with one change: weights are relative not to the maximum but to a whole exponent, raised only when a score passes it by
//! [`HEADROOM`]. So rescaling is rare and exact, and a weight is rounded alike whatever was seen before: decode and prefill
//! differ by the order of f32 sums alone.

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "the intrinsics are the vocabulary of this file"))]
use std::arch::x86_64::*;
use std::f32::consts::LOG2_E;
use std::ops::Range;

use super::bf16::BF16;
use super::bytes::Bytes;
use super::cache::{Before, Cache, Head, Scratch, WeightRow, seen};
use super::registers::{HALF, Keys, Queries, Weights, accumulate, ask, exp2, score};
use super::{Element, Job, PART_BLOCKS, tile_queries};
use crate::cpu::kv::BLOCK_POSITIONS;

/// How far a score may pass the exponent that weights are relative to, in powers of two.
const HEADROOM: f32 = 8.0;

/// Computes a [`Job`] over bf16.
///
/// # Safety
/// The job's pointers hold what it says, its blocks hold every position its queries see, and nobody else touches the results
/// meanwhile.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
pub(super) unsafe fn attend_bf16(job: &Job<'_>) {
    // SAFETY: as required.
    unsafe { attend::<BF16>(job) };
}

/// Computes a [`Job`] over bytes.
///
/// # Safety
/// As for [`attend_bf16`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) unsafe fn attend_bytes(job: &Job<'_>) {
    // SAFETY: as required.
    unsafe { attend::<Bytes>(job) };
}

#[inline(always)]
unsafe fn attend<C: Cache>(job: &Job<'_>) {
    // SAFETY: as required.
    unsafe {
        if tile_queries(job.rows * job.group) == 4 {
            attend_by_tiles::<C, 4>(job);
        } else {
            attend_by_tiles::<C, 8>(job);
        }
    }
}

#[inline(always)]
unsafe fn attend_by_tiles<C: Cache, const TILE: usize>(job: &Job<'_>) {
    let (count, padded_dim) = (job.rows * job.group, job.shape.padded_dim);
    let padded_count = count.next_multiple_of(TILE);
    // SAFETY: `attend`'s contract; places follow one another as `scratch_len` counts them, each a multiple of 64 bytes.
    unsafe {
        let start = job.scratch.add(job.scratch.align_offset(64));
        let totals = start.add(padded_count * padded_dim);
        let scores = totals.add(padded_count * 16);
        let weights = scores.add(TILE * BLOCK_POSITIONS);
        let queries = weights.add(TILE * BLOCK_POSITIONS / 2);
        let exponents = queries.add(padded_count * padded_dim / 2);
        let sums = exponents.add(padded_count);
        let totals_before = sums.add(padded_count * padded_dim);
        let before = Before { sums, totals: totals_before, exponents: totals_before.add(padded_count) };
        let query_scales = before.exponents.add(padded_count);
        let scratch = Scratch {
            sums: start,
            totals,
            scores,
            weights: weights.cast(),
            weight_scales: query_scales.add(padded_count),
            queries: queries.cast(),
            query_scales,
            exponents,
            before,
        };
        for first in (job.first_block..job.end_block).step_by(PART_BLOCKS) {
            let end = job.end_block.min(first + PART_BLOCKS);
            begin::<C>(job, &scratch, padded_count, first == job.first_block);
            for block in first..end {
                let head = head::<C>(job, block);
                for tile in (0..padded_count).step_by(TILE) {
                    add_block::<C, TILE>(job, &scratch, tile, &head);
                }
            }
            if job.end_block - job.first_block > PART_BLOCKS {
                for query in 0..count {
                    add_part(job, &scratch, query, first == job.first_block);
                }
            }
        }
        for query in 0..count {
            finish(job, &scratch, query);
        }
    }
}

/// Adds a part's sums to those of the parts before, at the greater of both exponents: exact but for the sums' own rounding, since
/// exponents are whole. The sums of the last part are replaced by all.
#[inline(always)]
unsafe fn add_part(job: &Job<'_>, scratch: &Scratch, query: usize, is_first: bool) {
    let padded_dim = job.shape.padded_dim;
    // SAFETY: `attend`'s contract.
    unsafe {
        let lanes = scratch.totals.add(query * 16);
        let total = _mm512_reduce_add_ps(_mm512_load_ps(lanes));
        let (exponent, before) = (scratch.exponents.add(query), scratch.before.exponents.add(query));
        let total_before = scratch.before.totals.add(query);
        if is_first {
            (*before, *total_before) = (*exponent, 0.0);
        }
        let greatest = exponent.read().max(*before);
        let (old, new) = ((*before - greatest).exp2(), (*exponent - greatest).exp2());
        let sum = *total_before * old + total * new;
        (*before, *exponent, *total_before) = (greatest, greatest, sum);
        // All in one lane: the others add nothing.
        _mm512_store_ps(lanes, _mm512_maskz_mov_ps(1, _mm512_set1_ps(sum)));
        for i in (0..padded_dim).step_by(16) {
            let sums = scratch.sums.add(query * padded_dim + i);
            let sums_before = scratch.before.sums.add(query * padded_dim + i);
            let part = _mm512_mul_ps(_mm512_loadu_ps(sums), _mm512_set1_ps(new));
            let all = if is_first {
                part
            } else {
                _mm512_add_ps(_mm512_mul_ps(_mm512_loadu_ps(sums_before), _mm512_set1_ps(old)), part)
            };
            _mm512_storeu_ps(sums_before, all);
            _mm512_storeu_ps(sums, all);
        }
    }
}

/// A block's part of the job's head. Asks for the scales of the next: they are read all at once, and nobody else asks for them.
#[inline(always)]
unsafe fn head<C: Cache>(job: &Job<'_>, block: usize) -> Head {
    let start = |block: usize| {
        let memory = job.blocks[block - job.dropped_blocks].memory.as_slice::<u8>();
        memory.as_ptr().wrapping_add(job.kv_head * job.shape.head_bytes(C::ELEMENT))
    };
    let keys = start(block);
    let next = start((block + 1).min(job.end_block - 1));
    let ahead = (next as isize).wrapping_sub(keys as isize);
    let values = keys.wrapping_add(BLOCK_POSITIONS * job.shape.head_dim * C::VALUE_BYTES);
    let scales = values.wrapping_add(BLOCK_POSITIONS * job.shape.padded_dim * C::VALUE_BYTES);
    for line in (0..BLOCK_POSITIONS * C::ELEMENT.scale_bytes()).step_by(64) {
        // SAFETY: the instruction set is the caller's.
        unsafe { ask(scales.wrapping_add(line), ahead) };
    }
    Head {
        keys,
        values,
        scales: scales.cast(),
        finite: C::ELEMENT == Element::Byte || job.blocks[block - job.dropped_blocks].finite[job.kv_head],
        ahead,
        start: block * BLOCK_POSITIONS,
    }
}

/// Rounds the queries and starts every sum; the sink counts in the first part alone.
#[inline(always)]
unsafe fn begin<C: Cache>(job: &Job<'_>, scratch: &Scratch, padded_count: usize, is_first: bool) {
    let (dim, padded_dim) = (job.shape.head_dim, job.shape.padded_dim);
    let count = job.rows * job.group;
    // SAFETY: `attend`'s contract. Queries that only fill the tile are zero.
    unsafe {
        let factor = LOG2_E / (dim as f32).sqrt();
        scratch.sums.write_bytes(0, padded_count * padded_dim);
        scratch.totals.write_bytes(0, padded_count * 16);
        scratch.exponents.write_bytes(0, padded_count);
        scratch.queries.add(count * padded_dim).write_bytes(0, (padded_count - count) * padded_dim);
        scratch.query_scales.write_bytes(0, padded_count);
        for query in 0..count {
            let from = job.queries.add(query / job.group * job.stride + query % job.group * dim);
            let scale = C::round_query(from, dim, factor, scratch.queries.add(query * padded_dim));
            *scratch.query_scales.add(query) = scale;
            let sink = job.sinks[query % job.group] * LOG2_E;
            *scratch.exponents.add(query) = sink.ceil();
            let weight = _mm512_cvtss_f32(exp2(_mm512_set1_ps(sink - sink.ceil())));
            *scratch.totals.add(query * 16) = if job.counts_sink && is_first { weight } else { 0.0 };
        }
    }
}

/// Adds what a tile of queries sees of a block.
#[inline(always)]
unsafe fn add_block<C: Cache, const TILE: usize>(job: &Job<'_>, scratch: &Scratch, tile: usize, head: &Head) {
    // Later queries see later positions, so the tile's outer queries bound what each of them sees.
    let (early, late) = (seen(job, tile, head.start), seen(job, tile + TILE - 1, head.start));
    let any = early.start..late.end;
    if any.is_empty() {
        return;
    }
    let halves = any.start / HALF..any.end.div_ceil(HALF);
    let padded_dim = job.shape.padded_dim;
    let all_seen = late.start == 0 && early.end == BLOCK_POSITIONS;
    // SAFETY: `attend`'s contract; every index stays inside the block and the working memory.
    unsafe {
        let queries = Queries {
            values: scratch.queries.add(tile * padded_dim),
            stride: padded_dim,
            scales: scratch.query_scales.add(tile),
        };
        for half in halves.clone() {
            let keys = Keys {
                pairs: job.shape.head_dim / 2,
                values: head.keys.add(half * HALF * job.shape.head_dim * C::VALUE_BYTES),
                scales: head.scales.wrapping_add(half * HALF),
                ahead: head.ahead,
            };
            score::<C, TILE>(&queries, &keys, scratch.scores.add(half * HALF));
        }
        for q in 0..TILE {
            if all_seen {
                weigh::<C, true>(job, scratch, (tile, q), head, halves.clone(), u64::MAX);
                continue;
            }
            let Range { start, end } = seen(job, tile + q, head.start);
            let below = |end: usize| if end == 64 { u64::MAX } else { (1u64 << end) - 1 };
            weigh::<C, false>(job, scratch, (tile, q), head, halves.clone(), below(end) & !below(start));
        }
        C::round_weights::<TILE>(scratch.scores, halves, scratch.weights, scratch.weight_scales);
        if !all_seen && !head.finite {
            C::add_one_by_one::<TILE>(job, scratch, tile, head);
            return;
        }
        let pairs = any.start / 2..any.end.div_ceil(2);
        let weights = Weights { values: scratch.weights, scales: scratch.weight_scales };
        for column in (0..padded_dim).step_by(HALF) {
            let sums = scratch.sums.add(tile * padded_dim + column);
            let values = head.values.add(column * BLOCK_POSITIONS * C::VALUE_BYTES);
            if padded_dim - column >= HALF {
                accumulate::<C, TILE, 2>(&weights, values, pairs.clone(), head.ahead, sums, padded_dim);
            } else {
                accumulate::<C, TILE, 1>(&weights, values, pairs.clone(), head.ahead, sums, padded_dim);
            }
        }
    }
}

/// Turns a query's scores into weights, raising its exponent first when they are far above it.
#[inline(always)]
unsafe fn weigh<C: Cache, const ALL: bool>(
    job: &Job<'_>,
    scratch: &Scratch,
    (tile, q): (usize, usize),
    head: &Head,
    halves: Range<usize>,
    seen: u64,
) {
    // SAFETY: `attend`'s contract.
    unsafe {
        let scores = scratch.scores.add(q * BLOCK_POSITIONS);
        let row = WeightRow {
            scores,
            weights: scratch.weights.add(q * BLOCK_POSITIONS),
            total: scratch.totals.add((tile + q) * 16),
        };
        let exponent = scratch.exponents.add(tile + q);
        if !ALL && seen == 0 {
            scores.add(halves.start * HALF).write_bytes(0, halves.len() * HALF);
            row.weights.add(halves.start * HALF).write_bytes(0, halves.len() * HALF);
            return;
        }
        let unseen = _mm512_set1_ps(f32::NEG_INFINITY);
        let score = |part: usize| {
            let score = _mm512_load_ps(scores.add(part * 16));
            if ALL { score } else { _mm512_mask_blend_ps((seen >> (part * 16)) as u16, unseen, score) }
        };
        let mut greatest = unseen;
        for half in halves.clone() {
            greatest = _mm512_max_ps(greatest, _mm512_max_ps(score(2 * half), score(2 * half + 1)));
        }
        let limit = _mm512_set1_ps(*exponent + HEADROOM);
        if _mm512_cmp_ps_mask::<_CMP_GT_OQ>(greatest, limit) != 0 {
            raise(job, scratch, tile + q, _mm512_reduce_max_ps(greatest).ceil());
        }
        let base = _mm512_set1_ps(*exponent);
        C::weigh::<ALL>(score, base, halves, seen, head.scales.wrapping_add(BLOCK_POSITIONS), &row);
    }
}

/// Brings what a query has summed so far to a greater exponent.
#[inline(always)]
unsafe fn raise(job: &Job<'_>, scratch: &Scratch, query: usize, to: f32) {
    // SAFETY: `attend`'s contract.
    unsafe {
        let exponent = scratch.exponents.add(query);
        let shrink = exp2(_mm512_set1_ps(*exponent - to));
        *exponent = to;
        let total = scratch.totals.add(query * 16);
        _mm512_store_ps(total, _mm512_mul_ps(_mm512_load_ps(total), shrink));
        for i in (0..job.shape.padded_dim).step_by(16) {
            let sum = scratch.sums.add(query * job.shape.padded_dim + i);
            _mm512_store_ps(sum, _mm512_mul_ps(_mm512_load_ps(sum), shrink));
        }
    }
}

/// Writes a query's result or record.
#[inline(always)]
unsafe fn finish(job: &Job<'_>, scratch: &Scratch, query: usize) {
    let dim = job.shape.head_dim;
    // SAFETY: `attend`'s contract.
    unsafe {
        let total = _mm512_reduce_add_ps(_mm512_load_ps(scratch.totals.add(query * 16)));
        let sums = std::slice::from_raw_parts(scratch.sums.add(query * job.shape.padded_dim), dim);
        if job.records.is_null() {
            let to = job.out.add(query / job.group * job.stride + query % job.group * dim);
            let scale = 1.0 / total;
            for (i, sum) in sums.iter().enumerate() {
                *to.add(i) = sum * scale;
            }
        } else {
            let to = job.records.add(query * (dim + 2));
            *to = *scratch.exponents.add(query);
            *to.add(1) = total;
            std::ptr::copy_nonoverlapping(sums.as_ptr(), to.add(2), dim);
        }
    }
}
