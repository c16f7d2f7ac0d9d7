//! Keys and values of one layer of one sequence, in blocks of positions. It must not know layers, sequences or scheduling.
//!
//! A block holds 64 positions, per head: keys transposed (`[head_dim][64]`), so that the scores of 64 positions are computed
//! without horizontal sums, and values as they come (`[64][padded head_dim]`). With a window, blocks that no later query can
//! see are dropped before new ones are added, so a sliding layer holds a window and a chunk, rounded to blocks.

use std::collections::VecDeque;

use super::pairs;
use crate::backend::KvPrecision;
use crate::decode::f32_to_bf16;

/// Positions per block.
pub(super) const BLOCK_POSITIONS: usize = 64;

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
    pub(super) blocks: Blocks,
}

pub(super) enum Blocks {
    F32(VecDeque<Block<f32>>),
    BF16(VecDeque<Block<u16>>),
    /// Also bf16 and of the same size, for kernels that multiply pairs.
    Pairs(pairs::Cache),
}

pub(super) struct Block<T> {
    /// `[kv_heads][head_dim][64]`.
    pub(super) keys: Box<[T]>,
    /// `[kv_heads][64][padded_dim]`.
    pub(super) values: Box<[T]>,
}

/// A stored key or value.
pub(super) trait Element: Copy + Default + Sync + Send {
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

impl Kv {
    pub(super) fn new(
        kv_heads: usize,
        head_dim: usize,
        window: Option<usize>,
        precision: KvPrecision,
        pairs: Option<pairs::Kernels>,
    ) -> Self {
        let blocks = match (precision, pairs) {
            (KvPrecision::F32, _) => Blocks::F32(VecDeque::new()),
            (KvPrecision::BF16, Some(kernels)) if head_dim.is_multiple_of(2) => {
                Blocks::Pairs(pairs::Cache::new(kernels))
            }
            (KvPrecision::BF16, _) => Blocks::BF16(VecDeque::new()),
        };
        Self { kv_heads, head_dim, padded_dim: padded(head_dim), window, length: 0, dropped_blocks: 0, blocks }
    }

    pub(super) fn bytes(&self) -> usize {
        let (blocks, precision) = match &self.blocks {
            Blocks::F32(blocks) => (blocks.len(), KvPrecision::F32),
            Blocks::BF16(blocks) => (blocks.len(), KvPrecision::BF16),
            Blocks::Pairs(cache) => (cache.blocks.len(), KvPrecision::BF16),
        };
        blocks * block_bytes(self.kv_heads, self.head_dim, precision)
    }

    /// Appends rows of keys and values `[rows, kv_heads · head_dim]`.
    pub(super) fn append(&mut self, keys: &[f32], values: &[f32]) {
        let columns = self.kv_heads * self.head_dim;
        let rows = keys.len() / columns;
        // The first new query still sees `window` positions, itself included.
        let keep_from = self.window.map_or(0, |window| (self.length + 1).saturating_sub(window));
        let shape = (self.kv_heads, self.head_dim, self.padded_dim);
        let pair_shape = pairs::Shape { kv_heads: self.kv_heads, head_dim: self.head_dim, padded_dim: self.padded_dim };
        let drop_blocks = (keep_from / BLOCK_POSITIONS).saturating_sub(self.dropped_blocks);
        // At most `length / 64` blocks lie wholly before the window, and all of them were stored.
        self.dropped_blocks += drop_blocks;
        let first = self.length - self.dropped_blocks * BLOCK_POSITIONS;
        match &mut self.blocks {
            Blocks::F32(blocks) => {
                blocks.drain(..drop_blocks);
                store(blocks, first, keys, values, shape);
            }
            Blocks::BF16(blocks) => {
                blocks.drain(..drop_blocks);
                store(blocks, first, keys, values, shape);
            }
            Blocks::Pairs(cache) => {
                cache.blocks.drain(..drop_blocks);
                cache.store(first, keys, values, pair_shape);
            }
        }
        self.length += rows;
    }
}

/// `head_dim` rounded up to a whole widest vector.
fn padded(head_dim: usize) -> usize {
    head_dim.next_multiple_of(16)
}

/// Bytes of one block: `kv_heads · 64 · (head_dim + padded head_dim)` values.
pub(super) fn block_bytes(kv_heads: usize, head_dim: usize, precision: KvPrecision) -> usize {
    let value_bytes = match precision {
        KvPrecision::F32 => 4,
        KvPrecision::BF16 => 2,
    };
    kv_heads * BLOCK_POSITIONS * (head_dim + padded(head_dim)) * value_bytes
}

/// Most blocks that are held while `positions` positions are appended, at most `chunk` at a time.
pub(super) fn blocks_max(window: Option<usize>, positions: usize, chunk: usize) -> usize {
    let all = positions.div_ceil(BLOCK_POSITIONS);
    // A chunk is held together with what its first query sees besides itself. Where they begin in a block depends on the
    // past, so they can touch one block more than they would fill.
    let sliding = |window: usize| (window + chunk).saturating_sub(2).div_ceil(BLOCK_POSITIONS) + 1;
    window.map_or(all, |window| all.min(sliding(window)))
}

/// Writes rows from position `first` (counted from the first kept block) on, adding zeroed blocks as needed.
fn store<T: Element>(
    blocks: &mut VecDeque<Block<T>>,
    first: usize,
    keys: &[f32],
    values: &[f32],
    (kv_heads, head_dim, padded_dim): (usize, usize, usize),
) {
    let columns = kv_heads * head_dim;
    for (row, (keys, values)) in keys.chunks_exact(columns).zip(values.chunks_exact(columns)).enumerate() {
        let position = first + row;
        if position / BLOCK_POSITIONS == blocks.len() {
            let zeros = |count| vec![T::default(); count].into_boxed_slice();
            blocks.push_back(Block {
                keys: zeros(columns * BLOCK_POSITIONS),
                values: zeros(kv_heads * padded_dim * BLOCK_POSITIONS),
            });
        }
        let block = &mut blocks[position / BLOCK_POSITIONS];
        let slot = position % BLOCK_POSITIONS;
        for (index, &key) in keys.iter().enumerate() {
            block.keys[index * BLOCK_POSITIONS + slot] = T::from_f32(key);
        }
        for (head, values) in values.chunks_exact(head_dim).enumerate() {
            let start = (head * BLOCK_POSITIONS + slot) * padded_dim;
            for (to, &value) in block.values[start..start + head_dim].iter_mut().zip(values) {
                *to = T::from_f32(value);
            }
        }
    }
}
