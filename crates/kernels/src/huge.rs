//! Large memory of our own, in huge pages where the system gives them. It must not know what is kept in it.
//!
//! With pages of 4 KiB a stream of weights misses the address translation cache all the time: huge pages read up to twice as
//! fast as a mapped file.

use std::ops::Deref;

use memmap2::{MmapMut, MmapOptions};

/// Memory smaller than this is left in ordinary pages: a huge page would be mostly empty.
const HUGE_MIN_BYTES: usize = 1 << 20;

/// Anonymous zeroed memory that begins on a page.
pub struct HugeBytes {
    map: MmapMut,
    length: usize,
}

impl HugeBytes {
    /// So many zeroed bytes.
    ///
    /// # Panics
    /// When the system has no such memory, as any allocation does.
    #[must_use]
    pub fn new(length: usize) -> Self {
        let map = MmapOptions::new().len(length.max(1)).map_anon().expect("the system has memory for the weights");
        #[cfg(target_os = "linux")]
        if length >= HUGE_MIN_BYTES {
            // A wish: without huge pages everything works, only slower.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        Self { map, length }
    }

    /// The bytes, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.map[..self.length]
    }
}

impl Deref for HugeBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map[..self.length]
    }
}
