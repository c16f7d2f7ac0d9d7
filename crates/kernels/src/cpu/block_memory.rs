//! Memory for blocks of keys and values: huge-page slabs that are cut into blocks, used again and counted. It must not know
//! what a block holds.
//!
//! A server's blocks come and go for days. Taken from the general allocator they would leave holes in it, so that a process
//! grows under load; here a block's memory goes back to its own kind, and what was ever needed at once is all that is held.

use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::huge::HugeBytes;

/// Bytes of a slab, or of a block if that is larger.
const SLAB_BYTES: usize = 2 << 20;

/// Blocks begin at multiples of a cache line.
const ALIGNMENT: usize = 64;

/// Where blocks' memory comes from and goes back to.
#[derive(Clone, Default)]
pub(super) struct BlockPool(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    slabs: Vec<HugeBytes>,
    /// By their length in bytes.
    free: HashMap<usize, Vec<Place>>,
    in_use: usize,
}

#[derive(Clone, Copy)]
struct Place(NonNull<u8>);

// SAFETY: the memory behind it belongs to whoever holds the place, and slabs live as long as the pool.
unsafe impl Send for Place {}

/// The memory of one block, zero at first. It goes back when it is dropped.
pub(super) struct BlockMemory {
    start: Place,
    bytes: usize,
    pool: BlockPool,
}

// SAFETY: it owns its bytes, which are plain data; writing needs `&mut`.
unsafe impl Sync for BlockMemory {}

impl BlockPool {
    /// Zeroed memory of so many bytes, a multiple of 64.
    ///
    /// # Panics
    /// When the system gives no more address space.
    pub(super) fn take(&self, bytes: usize) -> BlockMemory {
        assert!(bytes > 0 && bytes.is_multiple_of(ALIGNMENT));
        let start = self.state().take(bytes);
        let mut memory = BlockMemory { start, bytes, pool: self.clone() };
        memory.as_mut_slice::<u8>().fill(0);
        memory
    }

    /// Blocks that are held now.
    pub(super) fn in_use(&self) -> usize {
        self.state().in_use
    }

    /// Bytes of all slabs, free or not.
    pub(super) fn slab_bytes(&self) -> usize {
        self.state().slabs.iter().map(|slab| slab.as_slice().len()).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, bytes: usize) -> Place {
        self.in_use += 1;
        let free = self.free.entry(bytes).or_default();
        if let Some(place) = free.pop() {
            return place;
        }
        let mut slab = HugeBytes::new(SLAB_BYTES.max(bytes)).expect("the system gives address space for a slab");
        let blocks = slab.as_mut_slice().chunks_exact_mut(bytes);
        // The last one is handed out first, so the order is turned: memory is taken up from a slab's beginning.
        free.extend(blocks.rev().map(|block| Place(NonNull::from(block).cast())));
        self.slabs.push(slab);
        free.pop().expect("a slab has at least one block")
    }
}

impl BlockMemory {
    /// All of it as values of a plain type.
    pub(super) fn as_slice<T: Plain>(&self) -> &[T] {
        // SAFETY: the memory is this block's own, aligned to 64 bytes, and any bytes are a value of a plain type.
        unsafe { std::slice::from_raw_parts(self.start.0.as_ptr().cast(), self.bytes / size_of::<T>()) }
    }

    /// All of it to be written.
    pub(super) fn as_mut_slice<T: Plain>(&mut self) -> &mut [T] {
        // SAFETY: as above, and `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.0.as_ptr().cast(), self.bytes / size_of::<T>()) }
    }
}

impl Clone for BlockMemory {
    fn clone(&self) -> Self {
        let mut copy = Self { start: self.pool.state().take(self.bytes), bytes: self.bytes, pool: self.pool.clone() };
        copy.as_mut_slice::<u8>().copy_from_slice(self.as_slice());
        copy
    }
}

impl Drop for BlockMemory {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        state.in_use -= 1;
        state.free.entry(self.bytes).or_default().push(self.start);
    }
}

/// A type of which any bytes are a value, aligned to at most 64 bytes.
///
/// # Safety
/// That it is one.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: numbers.
unsafe impl Plain for u8 {}
// SAFETY: numbers.
unsafe impl Plain for i8 {}
// SAFETY: numbers.
unsafe impl Plain for u16 {}
// SAFETY: numbers.
unsafe impl Plain for f32 {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zero_aligned_used_again_and_counted() {
        let pool = BlockPool::default();
        let mut blocks: Vec<BlockMemory> = (0..40).map(|_| pool.take(131_072)).collect();
        assert_eq!((pool.in_use(), pool.slab_bytes()), (40, 3 * SLAB_BYTES));
        for block in &mut blocks {
            assert!(block.as_slice::<u16>().iter().all(|&value| value == 0));
            assert!(block.as_slice::<u8>().as_ptr().addr().is_multiple_of(ALIGNMENT));
            block.as_mut_slice::<u16>().fill(7);
        }
        let copy = blocks[3].clone();
        assert_eq!((copy.as_slice::<u16>()[65_535], pool.in_use()), (7, 41));
        drop((blocks, copy));
        assert_eq!((pool.in_use(), pool.slab_bytes()), (0, 3 * SLAB_BYTES));
        let again: Vec<BlockMemory> = (0..48).map(|_| pool.take(131_072)).collect();
        assert!(again.iter().all(|block| block.as_slice::<u8>().iter().all(|&byte| byte == 0)));
        assert_eq!(pool.slab_bytes(), 3 * SLAB_BYTES, "nothing new was needed");
    }

    #[test]
    fn blocks_of_several_sizes_share_a_pool() {
        let pool = BlockPool::default();
        let (small, large) = (pool.take(64), pool.take(SLAB_BYTES + 64));
        assert_eq!(large.as_slice::<u8>().len(), SLAB_BYTES + 64);
        drop(small);
        assert_eq!(pool.in_use(), 1);
    }
}
