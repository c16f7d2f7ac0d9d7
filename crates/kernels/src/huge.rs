//! Writable memory in huge pages, where the system gives them. It must not know what is kept there.
//!
//! Weights are read from end to end for every token. In pages of 4 KiB the address translation alone costs a good part of
//! the memory's bandwidth (and a mapped file's pages cost more); in pages of 2 MiB next to nothing. The system is asked, not
//! forced: where it has no huge pages the memory is the same, only slower.

use std::io;
use std::ops::Range;

use memmap2::MmapMut;

/// Where the memory begins is a multiple of this: the size of a huge page on x86-64.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// A fixed number of bytes, zero at first, that begins at a multiple of 2 MiB and lies in huge pages if the system agrees.
pub struct HugeBytes {
    map: MmapMut,
    range: Range<usize>,
}

#[derive(Clone, Copy)]
enum Pages {
    Huge,
    Plain,
}

impl HugeBytes {
    /// `length` zero bytes. Memory is taken page by page when it is first written, on whichever thread writes.
    ///
    /// # Errors
    /// When the system has no such address space; that it has no huge pages is no error.
    pub fn new(length: usize) -> io::Result<Self> {
        Self::in_pages(length, Pages::Huge)
    }

    /// The same in small pages on purpose, to measure what huge ones are worth.
    ///
    /// # Errors
    /// When the system has no such address space.
    pub fn in_plain_pages(length: usize) -> io::Result<Self> {
        Self::in_pages(length, Pages::Plain)
    }

    fn in_pages(length: usize, pages: Pages) -> io::Result<Self> {
        // Whole huge pages, so that the last one can be huge, too, and one more to move the beginning in.
        let whole = length.max(1).checked_next_multiple_of(HUGE_PAGE_BYTES);
        let mapped = whole.and_then(|whole| whole.checked_add(HUGE_PAGE_BYTES));
        let map = MmapMut::map_anon(mapped.ok_or(io::ErrorKind::OutOfMemory)?)?;
        let start = map.as_ptr().addr().next_multiple_of(HUGE_PAGE_BYTES) - map.as_ptr().addr();
        let bytes = Self { range: start..start + length, map };
        bytes.advise(pages);
        Ok(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.map[self.range.clone()]
    }

    /// The bytes, to be written.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.map[self.range.clone()]
    }

    /// How many of the bytes lie in huge pages now, as far as the system tells; `None` where it does not. Memory that was never
    /// written lies nowhere. A neighbour that the system lists together with this memory counts, too, up to its length.
    #[must_use]
    pub fn huge_bytes(&self) -> Option<usize> {
        let start = self.as_slice().as_ptr().addr();
        let listed = std::fs::read_to_string("/proc/self/smaps").ok()?;
        Some(huge_bytes_in(&listed, start..start + self.range.len())?.min(self.range.len()))
    }

    #[cfg(target_os = "linux")]
    fn advise(&self, pages: Pages) {
        let advice = match pages {
            Pages::Huge => memmap2::Advice::HugePage,
            Pages::Plain => memmap2::Advice::NoHugePage,
        };
        let whole = self.range.len().next_multiple_of(HUGE_PAGE_BYTES);
        // A system without huge pages refuses, and the memory serves all the same.
        let _ = self.map.advise_range(advice, self.range.start, whole);
    }

    #[cfg(not(target_os = "linux"))]
    fn advise(&self, pages: Pages) {
        match pages {
            Pages::Huge | Pages::Plain => {}
        }
    }
}

/// The sum of `AnonHugePages` over the mappings in the text of Linux' `smaps` that meet `range`; `None` when no line says.
fn huge_bytes_in(smaps: &str, range: Range<usize>) -> Option<usize> {
    let mut total = None;
    let mut meets = false;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        if let Some((start, end)) = first.split_once('-') {
            let bounds = (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16));
            if let (Ok(start), Ok(end)) = bounds {
                meets = start < range.end && range.start < end;
            }
        } else if meets && first == "AnonHugePages:" {
            let kibibytes: usize = words.next()?.parse().ok()?;
            total = Some(total.unwrap_or(0) + kibibytes * 1024);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_zero_aligned_and_writable() {
        for length in [0, 1, 4096, HUGE_PAGE_BYTES - 1, HUGE_PAGE_BYTES, 2 * HUGE_PAGE_BYTES + 77] {
            for make in [HugeBytes::new, HugeBytes::in_plain_pages] {
                let mut bytes = make(length).unwrap();
                assert_eq!(bytes.as_slice().len(), length);
                assert_eq!(bytes.as_slice().as_ptr().addr() % HUGE_PAGE_BYTES, 0, "{length} bytes");
                assert!(bytes.as_slice().iter().all(|&byte| byte == 0));
                bytes.as_mut_slice().fill(7);
                assert!(bytes.as_slice().iter().all(|&byte| byte == 7));
            }
        }
    }

    #[test]
    fn what_no_machine_has_is_an_error() {
        for length in [usize::MAX, usize::MAX - HUGE_PAGE_BYTES, 1 << 62] {
            assert!(HugeBytes::new(length).is_err(), "{length}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn plain_pages_are_never_huge() {
        let mut bytes = HugeBytes::in_plain_pages(4 * HUGE_PAGE_BYTES).unwrap();
        bytes.as_mut_slice().fill(1);
        assert!(matches!(bytes.huge_bytes(), None | Some(0)), "{:?}", bytes.huge_bytes());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn huge_pages_are_counted_where_the_system_gives_them() {
        let setting = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
        let mut bytes = HugeBytes::new(4 * HUGE_PAGE_BYTES).unwrap();
        bytes.as_mut_slice().fill(1);
        let found = bytes.huge_bytes();
        if setting.contains("[never]") || setting.is_empty() {
            assert!(matches!(found, None | Some(0)), "{found:?}");
        }
        // Memory may be too much in pieces for huge pages, so none is no failure; more than asked for would be one.
        assert!(
            found.unwrap_or(0) <= 4 * HUGE_PAGE_BYTES && found.unwrap_or(0).is_multiple_of(HUGE_PAGE_BYTES),
            "{found:?}"
        );
    }

    #[test]
    fn only_mappings_that_meet_the_range_count() {
        let smaps = "\
1000-3000 rw-p 00000000 00:00 0 \nSize:  8 kB\nAnonHugePages:      2048 kB\nVmFlags: rd wr\n\
3000-5000 rw-p 00000000 00:00 0 [heap]\nAnonHugePages:      4096 kB\n\
7000-9000 r--p 00000000 08:01 7 /some/file-with-dash\nAnonHugePages:         0 kB\n";
        for (range, expected) in [
            (0x1000..0x3000, Some(2048 * 1024)),
            (0x2fff..0x3001, Some(6144 * 1024)),
            (0x8000..0x8001, Some(0)),
            (0x5000..0x7000, None),
        ] {
            assert_eq!(huge_bytes_in(smaps, range.clone()), expected, "{range:x?}");
        }
    }
}
