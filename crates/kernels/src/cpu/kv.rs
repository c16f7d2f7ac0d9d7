//! Keys and values of one layer of one sequence, in blocks of positions. It must not know layers, sequences or scheduling.
//!
//! A block holds 64 positions, per head: keys transposed (`[head_dim][64]`), so that the scores of 64 positions are computed
//! without horizontal sums, and values as they come (`[64][padded head_dim]`). 8-bit blocks end with the scales, per head of 64 keys
//! and of 64 values. With a window, blocks that no later query can
//! see are dropped before new ones are added, so a sliding layer holds a window and a chunk, rounded to blocks.
//!
//! Blocks are shared: a whole one may be kept as a page ([`Page`]) and stand in other sequences with the same beginning. Who
//! writes into a block that others hold gets a copy of its own first.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Cpu;
use super::block_memory::{BlockMemory, BlockPool, Plain};
use super::isa::{Isa, ToBytes};
use super::pairs;
use crate::backend::{KV_BLOCK_POSITIONS, KvPrecision};
use crate::decode::f32_to_bf16;

/// Positions per block.
pub(super) const BLOCK_POSITIONS: usize = KV_BLOCK_POSITIONS;

/// Keys and values of one layer of one sequence.
pub struct Kv {
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    /// `head_dim` rounded up to a whole widest vector.
    pub(super) padded_dim: usize,
    window: Option<usize>,
    /// Positions written so far, forgotten ones included.
    pub(super) length: usize,
    /// Number of blocks dropped from the front.
    pub(super) dropped_blocks: usize,
    pub(super) format: Format,
    pub(super) blocks: VecDeque<Arc<Block>>,
    pool: BlockPool,
}

/// How a cache's blocks are laid out.
#[derive(Clone, Copy)]
pub(super) enum Format {
    F32,
    BF16,
    Q8(ToBytes),
    /// bf16 or 8 bits in blocks of the same size as without pairs, for kernels that multiply those.
    Pairs(pairs::Kernels),
}

/// 64 positions of all heads, in one piece of memory.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) memory: BlockMemory,
    /// Per head, whether all its values are finite: then a weight of zero makes them vanish. Only the kernels over pairs of bf16 ask.
    pub(super) finite: Box<[bool]>,
}

/// A whole block of one layer that outlives its sequence.
#[derive(Clone)]
pub struct Page(pub(super) Arc<Block>);

/// A stored key or value.
pub(super) trait Element: Plain + Default + Sync + Send {
    fn from_f32(value: f32) -> Self;
}

impl Element for f32 {
    fn from_f32(value: f32) -> Self {
        value
    }
}

impl Element for u16 {
    fn from_f32(value: f32) -> Self {
        f32_to_bf16(value)
    }
}

impl Block {
    fn new(pool: &BlockPool, bytes: usize, kv_heads: usize) -> Self {
        Self { memory: pool.take(bytes), finite: vec![true; kv_heads].into_boxed_slice() }
    }
}

impl Page {
    /// Appends the page's bytes: its memory, then a byte per head.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.memory.as_slice());
        out.extend(self.0.finite.iter().map(|&finite| u8::from(finite)));
    }
}

impl Kv {
    pub(super) fn new(
        (kv_heads, head_dim): (usize, usize),
        window: Option<usize>,
        precision: KvPrecision,
        isa: &Isa,
        pool: &BlockPool,
    ) -> Self {
        let pairs = match precision {
            KvPrecision::F32 => None,
            KvPrecision::BF16 => isa.pairs,
            KvPrecision::Q8 => isa.byte_pairs,
        };
        Self {
            kv_heads,
            head_dim,
            padded_dim: padded(head_dim),
            window,
            length: 0,
            dropped_blocks: 0,
            format: match (precision, pairs) {
                (_, Some(kernels)) if kernels.can_take(head_dim) => Format::Pairs(kernels),
                (KvPrecision::F32, _) => Format::F32,
                (KvPrecision::BF16, _) => Format::BF16,
                (KvPrecision::Q8, _) => Format::Q8(isa.to_bytes),
            },
            blocks: VecDeque::new(),
            pool: pool.clone(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.blocks.len() * self.block_bytes()
    }

    fn block_bytes(&self) -> usize {
        let precision = match self.format {
            Format::F32 => KvPrecision::F32,
            Format::BF16 => KvPrecision::BF16,
            Format::Q8(_) => KvPrecision::Q8,
            Format::Pairs(kernels) => kernels.precision(),
        };
        block_bytes(self.kv_heads, self.head_dim, precision)
    }

    /// Appends rows of keys and values `[rows, kv_heads · head_dim]`.
    pub(super) fn append(&mut self, keys: &[f32], values: &[f32]) {
        let rows = keys.len() / (self.kv_heads * self.head_dim);
        self.forget();
        let first = self.length - self.dropped_blocks * BLOCK_POSITIONS;
        self.own(first, rows);
        match self.format {
            Format::F32 => self.store::<f32>(first, keys, values),
            Format::BF16 => self.store::<u16>(first, keys, values),
            Format::Q8(to_bytes) => self.store_bytes(to_bytes, first, keys, values),
            Format::Pairs(kernels) => {
                let (kv_heads, head_dim, padded_dim) = (self.kv_heads, self.head_dim, self.padded_dim);
                let shape = pairs::Shape { kv_heads, head_dim, padded_dim };
                kernels.store(&mut self.blocks, first, keys, values, shape);
            }
        }
        self.length += rows;
    }

    /// Drops the blocks that no later query sees.
    pub(super) fn forget(&mut self) {
        // The first new query still sees `window` positions, itself included.
        let keep_from = self.window.map_or(0, |window| (self.length + 1).saturating_sub(window));
        // At most `length / 64` blocks lie wholly before the window, and all of them were stored.
        let blocks = (keep_from / BLOCK_POSITIONS).saturating_sub(self.dropped_blocks);
        self.dropped_blocks += blocks;
        self.blocks.drain(..blocks);
    }

    /// Sees to it that the blocks of `rows` rows from position `first` (counted from the first kept block) on are there and
    /// nobody else's.
    fn own(&mut self, first: usize, rows: usize) {
        for index in first / BLOCK_POSITIONS..(first + rows).div_ceil(BLOCK_POSITIONS) {
            if index == self.blocks.len() {
                self.blocks.push_back(Arc::new(Block::new(&self.pool, self.block_bytes(), self.kv_heads)));
            }
            Arc::make_mut(&mut self.blocks[index]);
        }
    }

    /// Writes rows from position `first` (counted from the first kept block) on, into blocks that are there.
    fn store<T: Element>(&mut self, first: usize, keys: &[f32], values: &[f32]) {
        let shape = (self.kv_heads, self.head_dim);
        let columns = self.kv_heads * self.head_dim;
        for (row, (keys, values)) in keys.chunks_exact(columns).zip(values.chunks_exact(columns)).enumerate() {
            let (block, slot) = self.place(first + row);
            let values_memory = block.memory.as_mut_slice::<T>();
            write_row(values_memory, slot, shape, |index| T::from_f32(keys[index]), |index| T::from_f32(values[index]));
        }
    }

    /// The same for 8 bits and their scales.
    fn store_bytes(&mut self, to_bytes: ToBytes, first: usize, keys: &[f32], values: &[f32]) {
        let (kv_heads, head_dim) = (self.kv_heads, self.head_dim);
        let columns = kv_heads * head_dim;
        let scales_start = kv_heads * BLOCK_POSITIONS * (head_dim + self.padded_dim);
        let mut bytes = vec![0; 2 * columns];
        for (row, (keys, values)) in keys.chunks_exact(columns).zip(values.chunks_exact(columns)).enumerate() {
            let (block, slot) = self.place(first + row);
            let rows = keys.chunks_exact(head_dim).zip(values.chunks_exact(head_dim));
            let (key_bytes, value_bytes) = bytes.split_at_mut(columns);
            let heads = key_bytes.chunks_exact_mut(head_dim).zip(value_bytes.chunks_exact_mut(head_dim));
            for (head, ((key, value), (key_bytes, value_bytes))) in rows.zip(heads).enumerate() {
                // SAFETY: the function comes from the table of instruction sets that this processor has.
                let scales = unsafe { [to_bytes(key, key_bytes), to_bytes(value, value_bytes)] };
                let places = &mut block.memory.as_mut_slice::<f32>()[scales_start / size_of::<f32>()..];
                for (of, scale) in scales.into_iter().enumerate() {
                    places[(2 * head + of) * BLOCK_POSITIONS + slot] = scale;
                }
            }
            let shape = (kv_heads, head_dim);
            write_row(
                block.memory.as_mut_slice::<i8>(),
                slot,
                shape,
                |index| key_bytes[index],
                |index| value_bytes[index],
            );
        }
    }

    /// The block of a position (counted from the first kept block), which is the cache's own, and the place in it.
    fn place(&mut self, position: usize) -> (&mut Block, usize) {
        let block = &mut self.blocks[position / BLOCK_POSITIONS];
        (Arc::get_mut(block).expect("`own` saw to it"), position % BLOCK_POSITIONS)
    }

    /// The block of positions `64·index ..`, when it is whole and still held.
    pub(super) fn page(&self, index: usize) -> Option<Page> {
        if (index + 1) * BLOCK_POSITIONS > self.length {
            return None;
        }
        let block = self.blocks.get(index.checked_sub(self.dropped_blocks)?)?;
        Some(Page(Arc::clone(block)))
    }

    /// Makes this empty cache one that has seen `forgotten + pages` blocks and still holds the pages.
    pub(super) fn restore<'a>(&mut self, forgotten: usize, pages: impl Iterator<Item = &'a Page>) {
        assert!(self.length == 0 && self.blocks.is_empty());
        self.dropped_blocks = forgotten;
        self.blocks.extend(pages.map(|page| Arc::clone(&page.0)));
        self.length = (forgotten + self.blocks.len()) * BLOCK_POSITIONS;
    }

    /// Takes the last positions back. At most as many as were appended since the last but one [`Self::append`] began: what
    /// those saw is still there.
    pub(super) fn truncate(&mut self, length: usize) {
        assert!(length <= self.length && length >= self.dropped_blocks * BLOCK_POSITIONS);
        self.length = length;
        self.blocks.truncate(length.div_ceil(BLOCK_POSITIONS) - self.dropped_blocks);
    }

    /// A page from what [`Page::write`] wrote for a cache like this one; `None` when the length is wrong.
    pub(super) fn read_page(&self, bytes: &[u8]) -> Option<Page> {
        let block_bytes = self.block_bytes();
        if bytes.len() != block_bytes + self.kv_heads {
            return None;
        }
        let mut block = Block::new(&self.pool, block_bytes, self.kv_heads);
        block.memory.as_mut_slice().copy_from_slice(&bytes[..block_bytes]);
        block.finite.iter_mut().zip(&bytes[block_bytes..]).for_each(|(finite, &byte)| *finite = byte != 0);
        Some(Page(Arc::new(block)))
    }
}

/// `head_dim` rounded up to a whole widest vector.
fn padded(head_dim: usize) -> usize {
    head_dim.next_multiple_of(16)
}

/// Writes one position of all heads into a block that begins with the keys and then the values.
#[inline(always)]
fn write_row<T>(
    memory: &mut [T],
    slot: usize,
    (kv_heads, head_dim): (usize, usize),
    key: impl Fn(usize) -> T,
    value: impl Fn(usize) -> T,
) {
    let columns = kv_heads * head_dim;
    let (keys, values) = memory.split_at_mut(columns * BLOCK_POSITIONS);
    for index in 0..columns {
        keys[index * BLOCK_POSITIONS + slot] = key(index);
    }
    for head in 0..kv_heads {
        let to = &mut values[(head * BLOCK_POSITIONS + slot) * padded(head_dim)..][..head_dim];
        for (index, to) in to.iter_mut().enumerate() {
            *to = value(head * head_dim + index);
        }
    }
}

/// Bytes of one block: `kv_heads · 64 · (head_dim + padded head_dim)` values, and scales where they have any.
pub(super) fn block_bytes(kv_heads: usize, head_dim: usize, precision: KvPrecision) -> usize {
    let (value_bytes, scale_bytes) = match precision {
        KvPrecision::F32 => (4, 0),
        KvPrecision::BF16 => (2, 0),
        // One f32 each for a head's key and value at a position.
        KvPrecision::Q8 => (1, 8),
    };
    kv_heads * BLOCK_POSITIONS * ((head_dim + padded(head_dim)) * value_bytes + scale_bytes)
}

/// Most blocks that are held while `positions` positions are appended, at most `chunk` at a time.
pub(super) fn blocks_max(window: Option<usize>, positions: usize, chunk: usize) -> usize {
    let all = positions.div_ceil(BLOCK_POSITIONS);
    // A chunk is held together with what its first query sees besides itself. Where they begin in a block depends on the
    // past, so they can touch one block more than they would fill.
    let sliding = |window: usize| (window + chunk).saturating_sub(2).div_ceil(BLOCK_POSITIONS) + 1;
    window.map_or(all, |window| all.min(sliding(window)))
}

impl Cpu {
    /// Bytes by which a layer's cache grows per position, on average.
    #[must_use]
    pub fn kv_bytes_per_position(kv_heads: usize, head_dim: usize, precision: KvPrecision) -> usize {
        block_bytes(kv_heads, head_dim, precision) / BLOCK_POSITIONS
    }

    /// Most bytes that a layer's cache takes while `positions` positions are appended, at most `chunk` at a time; what
    /// [`Backend::kv_bytes`](crate::Backend::kv_bytes) says never exceeds it.
    #[must_use]
    pub fn kv_bytes_max(
        kv_heads: usize,
        head_dim: usize,
        window: Option<usize>,
        precision: KvPrecision,
        positions: usize,
        chunk: usize,
    ) -> usize {
        blocks_max(window, positions, chunk).saturating_mul(block_bytes(kv_heads, head_dim, precision))
    }

    /// Bytes of the slabs that blocks of keys and values are cut from: what was needed at once so far, rounded up to 2 MiB.
    #[must_use]
    pub fn kv_slab_bytes(&self) -> usize {
        self.blocks.slab_bytes()
    }
}
