//! What is read before it is needed, so that nothing waits for memory. It must not know what is computed with it.

use super::Product;
use super::encodings::Words;
use crate::packed::LINE_BYTES;

/// Bytes between what is asked for and what is read, where few tokens are multiplied and where more are. By measurement.
const NEAR: usize = 6 << 10;
const FAR: usize = 12 << 10;
const NEAR_TOKENS_MAX: usize = 4;

/// What a tile asks for while it multiplies a block.
pub(super) trait Asking: Copy {
    /// At a block of `blocks` of a row.
    fn at_block<W: Words>(self, block: usize, blocks: usize);
    /// At a line of values, where they are multiplied line by line and have no scales.
    fn at_line(self, line: usize);
}

/// The processor sees by itself what will be read.
#[derive(Clone, Copy)]
pub(super) struct Nothing;

impl Asking for Nothing {
    #[inline(always)]
    fn at_block<W: Words>(self, _block: usize, _blocks: usize) {}
    #[inline(always)]
    fn at_line(self, _line: usize) {}
}

/// A line for each block, if there is anything to ask for.
impl Asking for Option<*const u8> {
    #[inline(always)]
    fn at_block<W: Words>(self, block: usize, _blocks: usize) {
        if let Some(ahead) = self {
            ask(ahead.wrapping_add(block * LINE_BYTES), Level::Second);
        }
    }
    #[inline(always)]
    fn at_line(self, _line: usize) {}
}

/// The bytes of a panel and of those behind it, asked for some way before they are read, nearly in their order: the more is computed with
/// what was read, the less a processor sees by itself what comes next.
#[derive(Clone, Copy)]
pub(super) struct Stream {
    from: *const u8,
    /// Whether other tokens will read them again.
    stays: bool,
}

impl Stream {
    pub(super) fn new(product: &Product, tokens: usize) -> Self {
        let reach = if tokens <= NEAR_TOKENS_MAX { NEAR } else { FAR };
        Self { from: product.scales.wrapping_add(reach), stays: product.tokens > tokens }
    }

    #[inline(always)]
    fn ask(self, offset: usize) {
        let from = self.from.wrapping_add(offset);
        ask(from, if self.stays { Level::First } else { Level::Passing });
    }
}

impl Asking for Stream {
    #[inline(always)]
    fn at_block<W: Words>(self, block: usize, blocks: usize) {
        for line in (0..W::BLOCK_BYTES).step_by(LINE_BYTES) {
            self.ask(block * W::BLOCK_BYTES + line);
        }
        // As many bytes as the scales have, spread over the blocks.
        if (block * W::SCALE_BYTES).is_multiple_of(LINE_BYTES) {
            self.ask(blocks * W::BLOCK_BYTES + block * W::SCALE_BYTES);
        }
    }
    #[inline(always)]
    fn at_line(self, line: usize) {
        self.ask(line * LINE_BYTES);
    }
}

/// The panels behind those that are multiplied now, handed out to the tiles of tokens in turns, a line for each of their blocks.
pub(super) struct Ahead {
    next: *const u8,
    /// Bytes that no tile was given yet.
    rest: usize,
    /// Bytes for a tile.
    turn: usize,
}

impl Ahead {
    pub(super) fn new(product: &Product, panels: usize) -> Self {
        Self { next: product.ahead, rest: panels * product.ahead_stride, turn: product.blocks * LINE_BYTES }
    }

    /// Where the next tile begins to fetch, if anything is left.
    pub(super) fn turn(&mut self) -> Option<*const u8> {
        let here = (self.rest > 0).then_some(self.next);
        self.rest = self.rest.saturating_sub(self.turn);
        self.next = self.next.wrapping_add(self.turn);
        here
    }
}

/// Where a line is to be.
#[derive(Clone, Copy)]
enum Level {
    First,
    Second,
    /// The first, from where it need not go elsewhere.
    Passing,
}

/// Asks for a line.
#[inline(always)]
fn ask(from: *const u8, level: Level) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_NTA, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
        // SAFETY: asking for a line never faults, and every x86-64 processor can.
        unsafe {
            match level {
                Level::First => _mm_prefetch::<_MM_HINT_T0>(from.cast()),
                Level::Second => _mm_prefetch::<_MM_HINT_T1>(from.cast()),
                Level::Passing => _mm_prefetch::<_MM_HINT_NTA>(from.cast()),
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (from, level);
}

/// Reads a byte of each cache line.
///
/// Scales lie before their values. Read when they are needed, a line now and then far behind the values' stream, they made the
/// processor lose track of that stream: nibbles came at 53 to 81 % of the speed at which memory is read. Read in their order
/// first, they keep the stream whole: 96 to 100 %.
///
/// # Safety
/// There are so many bytes.
#[inline(always)]
pub(super) unsafe fn touch(from: *const u8, bytes: usize) {
    for line in (0..bytes).step_by(LINE_BYTES) {
        // SAFETY: as required.
        let _ = unsafe { from.add(line).read_volatile() };
    }
}
