//! The caches of processors that add products in pairs, of bf16 or of 16-bit integers: their layout, their tasks, and the table of
//! their kernels.
//!
//! It must not know layers, sequences or scheduling. `vdpbf16ps` adds two neighbouring products to each f32 lane, so what it
//! multiplies must lie in pairs: keys `[2 halves][head_dim/2][32 positions][2 dimensions]`, so that a lane is a position, and
//! values `[columns/32][32 pairs of positions][32 columns][2 positions]`, so that a lane is a column (the last 16 columns
//! may be a tile of their own). Every register tile then reads its part of a block in one straight run, without shuffles. An 8-bit
//! cache has the same layout in bytes, which widen to 16 bits as they are loaded, and after each head's values the f32 scales of
//! its 64 keys and 64 values.
//!
//! Rounding in bf16: scaled queries and weights are rounded to bf16, which scores with f32 sums do not undo: a weight is off by at
//! most 2⁻⁹ of itself and a score by about 2⁻⁹ of |q|·|k|. The weights are divided by the sum of the rounded ones.
//! Over bytes, each query becomes integers of 16 bits, and each block's weights times their values' scales likewise, relative to
//! the power of two above their greatest: sums inside a block are exact, scales multiply them after.

#[cfg(target_arch = "x86_64")]
mod append;
#[cfg(target_arch = "x86_64")]
mod append_bytes;
#[cfg(target_arch = "x86_64")]
mod attend;
#[cfg(target_arch = "x86_64")]
mod bf16;
#[cfg(target_arch = "x86_64")]
mod bytes;
#[cfg(target_arch = "x86_64")]
mod cache;
#[cfg(target_arch = "x86_64")]
mod registers;
mod split;

use std::collections::VecDeque;
use std::sync::Arc;

use super::isa::IsaKind;
use super::kv::{BLOCK_POSITIONS, Block};
use crate::backend::KvPrecision;
pub(super) use split::{Call, attend};

/// The kernels over the layout; the table of instruction sets holds them where the processor can run them.
#[derive(Clone, Copy)]
pub(super) struct Kernels {
    element: Element,
    append: unsafe fn(&Rows),
    attend: unsafe fn(&Job<'_>),
}

/// What a cache of pairs holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    BF16,
    /// Signed bytes with a scale per position and head, for keys and for values.
    Byte,
}

/// Heads and their dimensions, which decide where everything lies.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) kv_heads: usize,
    /// Even.
    pub(super) head_dim: usize,
    /// `head_dim` rounded up to a multiple of 16.
    pub(super) padded_dim: usize,
}

/// Rows of one head to write into one block.
struct Rows {
    /// The head's part of the block.
    head: *mut u8,
    shape: Shape,
    /// Place of the first row in the block.
    slot: usize,
    rows: usize,
    /// The head's columns of the first row; rows are `stride` apart, in `values` too.
    keys: *const f32,
    values: *const f32,
    stride: usize,
    finite: *mut bool,
}

/// One key/value head, a run of consecutive query rows with all query heads that read it, and a run of blocks.
struct Job<'a> {
    blocks: &'a VecDeque<Arc<Block>>,
    dropped_blocks: usize,
    shape: Shape,
    kv_head: usize,
    window: Option<usize>,
    /// First block to read, counted from the sequence's beginning.
    first_block: usize,
    /// One past the last.
    end_block: usize,
    /// Position of the first query row.
    position: usize,
    /// Query rows.
    rows: usize,
    /// Query heads per key/value head.
    group: usize,
    /// First query head's sink; `group` sinks follow one another.
    sinks: &'a [f32],
    /// Whether this job counts the sink in its totals.
    counts_sink: bool,
    /// The group's queries of the first row; rows are `stride` apart.
    queries: *const f32,
    /// Where the group's results of the first row go; rows are `stride` apart.
    out: *mut f32,
    stride: usize,
    /// Where a record goes instead of results when other jobs read the other parts for the same queries; null when this job reads
    /// all parts. A record is the exponent that weights are relative to, their total and `head_dim` weighted sums.
    records: *mut f32,
    /// Working memory of [`scratch_len`] values.
    scratch: *mut f32,
}

/// The kernels for an instruction set, where it has them.
pub(super) const fn kernels(kind: IsaKind) -> Option<Kernels> {
    match kind {
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx512Bf16 => {
            Some(Kernels { element: Element::BF16, append: append::append, attend: attend::attend_bf16 })
        }
        #[cfg(not(target_arch = "x86_64"))]
        IsaKind::Avx512Bf16 => None,
        IsaKind::Scalar | IsaKind::Avx2 | IsaKind::Avx512 | IsaKind::Avx512Vnni => None,
    }
}

/// The same over an 8-bit cache, which takes integer products alone.
pub(super) const fn byte_kernels(kind: IsaKind) -> Option<Kernels> {
    match kind {
        #[cfg(target_arch = "x86_64")]
        IsaKind::Avx512Vnni | IsaKind::Avx512Bf16 => {
            Some(Kernels { element: Element::Byte, append: append_bytes::append, attend: attend::attend_bytes })
        }
        #[cfg(not(target_arch = "x86_64"))]
        IsaKind::Avx512Vnni | IsaKind::Avx512Bf16 => None,
        IsaKind::Scalar | IsaKind::Avx2 | IsaKind::Avx512 => None,
    }
}

/// Queries that share a register tile: all heads of a large group, or a few when there are no more.
const fn tile_queries(queries: usize) -> usize {
    if queries <= 4 { 4 } else { 8 }
}

/// Blocks per part, 1,024 positions: each is summed up from the sink's exponent on, whoever does it, and what several parts give is
/// put together in their order. So a result does not depend on how many rows were asked for together, unless a window reaches over more
/// than 15 blocks.
const PART_BLOCKS: usize = 16;

/// Values of working memory for a job: per query a rounded query, sums, the sums of the parts before, 16 partial totals, an
/// exponent, the exponent and total of the parts before, and the query's scale; a tile's scores, weights and their scales; and a
/// line to begin at a multiple of 64 bytes.
fn scratch_len(queries: usize, padded_dim: usize) -> usize {
    let queries = queries.next_multiple_of(tile_queries(queries));
    queries * (padded_dim / 2 + 2 * padded_dim + 16 + 4)
        + tile_queries(queries) * (BLOCK_POSITIONS + BLOCK_POSITIONS / 2 + 1)
        + 16
}

/// Greatest head dimension over bytes: its products of 127 and 2¹⁵ add up to less than 2³¹.
const BYTE_HEAD_DIM_MAX: usize = 512;

impl Element {
    const fn value_bytes(self) -> usize {
        match self {
            Self::BF16 => 2,
            Self::Byte => 1,
        }
    }

    /// Scales of one position of a head: of the key and of the value.
    const fn scale_bytes(self) -> usize {
        match self {
            Self::BF16 => 0,
            Self::Byte => 2 * size_of::<f32>(),
        }
    }
}

impl Shape {
    /// Bytes of one head in a block: keys, then values, then scales where there are any.
    const fn head_bytes(self, element: Element) -> usize {
        BLOCK_POSITIONS * ((self.head_dim + self.padded_dim) * element.value_bytes() + element.scale_bytes())
    }
}

impl Kernels {
    /// Whether heads of so many dimensions can be kept in pairs.
    pub(super) const fn can_take(self, head_dim: usize) -> bool {
        head_dim.is_multiple_of(2) && (head_dim <= BYTE_HEAD_DIM_MAX || matches!(self.element, Element::BF16))
    }

    pub(super) const fn precision(self) -> KvPrecision {
        match self.element {
            Element::BF16 => KvPrecision::BF16,
            Element::Byte => KvPrecision::Q8,
        }
    }

    /// Writes rows `[rows, kv_heads · head_dim]` from position `first` (counted from the first block) on, into blocks that are
    /// there and nobody else's.
    pub(super) fn store(
        self,
        blocks: &mut VecDeque<Arc<Block>>,
        first: usize,
        keys: &[f32],
        values: &[f32],
        shape: Shape,
    ) {
        let columns = shape.kv_heads * shape.head_dim;
        assert_eq!(keys.len(), values.len());
        let count = keys.len() / columns;
        let mut done = 0;
        while done < count {
            let (block, slot) = ((first + done) / BLOCK_POSITIONS, (first + done) % BLOCK_POSITIONS);
            let rows = (BLOCK_POSITIONS - slot).min(count - done);
            let Block { memory, finite } = Arc::get_mut(&mut blocks[block]).expect("the cache owns it");
            let memory = memory.as_mut_slice::<u8>();
            let head_bytes = shape.head_bytes(self.element);
            assert!(memory.len() == shape.kv_heads * head_bytes && finite.len() == shape.kv_heads);
            for (head, (finite, memory)) in finite.iter_mut().zip(memory.chunks_exact_mut(head_bytes)).enumerate() {
                let from = done * columns + head * shape.head_dim;
                let rows = Rows {
                    head: memory.as_mut_ptr(),
                    shape,
                    slot,
                    rows,
                    keys: keys[from..].as_ptr(),
                    values: values[from..].as_ptr(),
                    stride: columns,
                    finite,
                };
                // SAFETY: the kernels come from the table, so the processor has them; the block's memory begins at a multiple
                // of 64 bytes and has `head_bytes` per head; `slot + rows` is at most 64, and all the rows are there.
                unsafe { (self.append)(&rows) };
            }
            done += rows;
        }
    }
}
