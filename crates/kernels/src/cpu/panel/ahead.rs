//! What is read before it is needed, so that nothing waits for memory. It must not know what is computed with it.

use super::Product;
use crate::packed::LINE_BYTES;

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

/// Asks for a line into the second level.
#[inline(always)]
pub(super) fn ask(from: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: asking for a line never faults, and every x86-64 processor can.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
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
