//! What attention over pairs leaves to the kind of cache ([`Cache`]), and what the two pass to each other. It must not know layers,
//! sequences or threads.

use std::arch::x86_64::__m512;
use std::ops::Range;

use super::registers::Product;
use super::{Element, Job};
use crate::cpu::kv::BLOCK_POSITIONS;

/// What a cache of pairs holds, and how queries and weights are rounded for it.
///
/// # Safety
/// As for [`Product`].
pub(super) trait Cache: Product {
    const ELEMENT: Element;

    /// Rounds a query of `dim` values times `factor` to 16 bits each, up to a whole vector with zeros; its scale.
    unsafe fn round_query(from: *const f32, dim: usize, factor: f32, to: *mut u16) -> f32;

    /// Writes the weights `2^(score − base)` of some halves of a block. `score` gives 16 at a time, −∞ for what is not `seen`; when
    /// `ALL` are, all halves are asked for.
    unsafe fn weigh<const ALL: bool>(
        score: impl Fn(usize) -> __m512,
        base: __m512,
        halves: Range<usize>,
        seen: u64,
        value_scales: *const f32,
        row: &WeightRow,
    );

    /// Rounds the weights of a whole tile, and writes what each row is to be multiplied by, where [`Cache::weigh`] left them in the
    /// scores' place. Rows are a block apart.
    unsafe fn round_weights<const TILE: usize>(
        scores: *const f32,
        halves: Range<usize>,
        weights: *mut u16,
        scales: *mut f32,
    );

    /// Adds the weighted values where one that some query must not see is not finite, so that even a weight of zero would make NaN of
    /// it. Only for caches whose blocks say that.
    unsafe fn add_one_by_one<const TILE: usize>(job: &Job<'_>, scratch: &Scratch, tile: usize, head: &Head);
}

/// Where one query's weights of a block go.
pub(super) struct WeightRow {
    /// 64 of the query's scores, which may be overwritten.
    pub(super) scores: *mut f32,
    /// 64 of 16 bits.
    pub(super) weights: *mut u16,
    /// 16 lanes that all weights are added up in.
    pub(super) total: *mut f32,
}

/// Places in a job's working memory.
pub(super) struct Scratch {
    /// `[queries][padded_dim]`.
    pub(super) sums: *mut f32,
    /// `[queries][16]`: lanes of the weights' totals.
    pub(super) totals: *mut f32,
    /// `[tile][64]`.
    pub(super) scores: *mut f32,
    /// `[tile][64]` of 16 bits.
    pub(super) weights: *mut u16,
    /// `[tile]`.
    pub(super) weight_scales: *mut f32,
    /// `[queries][padded_dim]` of 16 bits; with their scales they carry the factor log₂ e / sqrt(head_dim).
    pub(super) queries: *mut u16,
    /// `[queries]`.
    pub(super) query_scales: *mut f32,
    /// `[queries]`: whole exponents of two that the weights are relative to.
    pub(super) exponents: *mut f32,
    /// `[queries][padded_dim]`, `[queries]`, `[queries]`: the same of all parts before, totals being one number each.
    pub(super) before: Before,
}

pub(super) struct Before {
    pub(super) sums: *mut f32,
    pub(super) totals: *mut f32,
    pub(super) exponents: *mut f32,
}

/// One head's part of a block.
pub(super) struct Head {
    pub(super) keys: *const u8,
    pub(super) values: *const u8,
    /// 64 of the keys, then 64 of the values, where the cache has scales.
    pub(super) scales: *const f32,
    /// Where there are scales, these say what is not finite.
    pub(super) finite: bool,
    /// From here to the same place of the next block that the job reads, in bytes; it is fetched meanwhile.
    pub(super) ahead: isize,
    /// The block's first position.
    pub(super) start: usize,
}

/// Which positions of a block a query sees; an empty range when none.
#[inline(always)]
pub(super) fn seen(job: &Job<'_>, query: usize, block_start: usize) -> Range<usize> {
    // Queries that only fill the tile do as the last real one does.
    let position = job.position + (query / job.group).min(job.rows - 1);
    let first = job.window.map_or(0, |window| (position + 1).saturating_sub(window));
    let place = |position: usize| position.saturating_sub(block_start).min(BLOCK_POSITIONS);
    place(first)..place(position + 1)
}
