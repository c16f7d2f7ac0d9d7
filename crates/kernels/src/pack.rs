//! Packed weights kept in a file, so that the next start maps them instead of packing again. It must not know models.
//!
//! A file is a head of one page, the matrices, each beginning on a page, and a table. Little-endian: the magic bytes, u32 version,
//! u32 entries, u64 offset of the table, u64 hash of the table; an entry is u64 hash of samples of the published matrix, u64 offset,
//! u64 bytes, u64 hash of those bytes. A file gets its name when it is whole, so that a torn one is never found.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::huge::HugeBytes;
use crate::pool::Pool;
use crate::storage::Bytes;

const MAGIC: [u8; 8] = *b"GLOSSAPK";
/// Of the file and of the panels in it: a reader of another version packs anew.
const VERSION: u32 = 2;
const HEAD_BYTES: usize = 32;
const ENTRY_BYTES: usize = 32;
const PAGE_BYTES: u64 = 4096;
/// Most entries that are believed.
const ENTRIES_MAX: u32 = 1 << 20;
/// Windows of a published matrix that are hashed, and their length: enough to know one model from another.
const SAMPLES: usize = 16;
const SAMPLE_BYTES: usize = 64;
/// Smaller matrices are left in ordinary pages.
const HUGE_MIN_BYTES: usize = 1 << 20;

/// Where packed weights come from.
#[derive(Default)]
pub enum PackStore {
    /// They are packed into memory.
    #[default]
    Memory,
    /// They lie in a file.
    Reader(PackReader),
    /// They are packed into a file; what is loaded so cannot be computed with.
    Writer(PackWriter),
}

/// A mapped file of packed weights, read in the order in which they were written.
pub struct PackReader {
    bytes: Bytes,
    entries: Vec<Entry>,
    next: AtomicUsize,
    passed_over: Arc<AtomicUsize>,
}

/// A file of packed weights in the making.
pub struct PackWriter {
    path: PathBuf,
    state: Mutex<Writing>,
}

struct Writing {
    file: File,
    entries: Vec<Entry>,
    end: u64,
    failed: Option<io::Error>,
}

#[derive(Clone, Copy)]
struct Entry {
    source: u64,
    offset: u64,
    length: u64,
    hash: u64,
}

impl PackReader {
    /// Maps a file.
    ///
    /// # Errors
    /// When there is none, or it is not a whole file of this version.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Pack { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let bytes = Bytes::map(&file).map_err(unreadable)?;
        bytes.want_huge_pages();
        let entries = table(&bytes).map_err(unreadable)?;
        Ok(Self { bytes, entries, next: AtomicUsize::new(0), passed_over: Arc::default() })
    }

    /// Counts the matrices that were packed into memory because the file has them of another model.
    #[must_use]
    pub fn passed_over(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.passed_over)
    }

    /// Reads everything and compares it with what was written.
    ///
    /// # Errors
    /// The first matrix that differs.
    pub fn check(&self) -> io::Result<()> {
        for (index, entry) in self.entries.iter().enumerate() {
            if hash(&self.part(entry)) != entry.hash {
                return Err(damaged(&format!(
                    "matrix {index} of {} differs from what was written",
                    self.entries.len()
                )));
            }
        }
        Ok(())
    }

    fn part(&self, entry: &Entry) -> Bytes {
        self.bytes.slice(entry.offset as usize, entry.length as usize).expect("the table was checked")
    }

    fn take(&self, source: u64, length: usize) -> Option<Bytes> {
        let entry = self.entries.get(self.next.fetch_add(1, Ordering::Relaxed));
        let found = entry.filter(|entry| entry.source == source && entry.length == length as u64);
        if found.is_none() {
            self.passed_over.fetch_add(1, Ordering::Relaxed);
        }
        found.map(|entry| self.part(entry))
    }
}

impl PackWriter {
    /// Begins a file beside the one that it will replace.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Pack { path: path.to_owned(), source };
        let file = File::create(unfinished(path)).map_err(failed)?;
        let state = Mutex::new(Writing { file, entries: Vec::new(), end: PAGE_BYTES, failed: None });
        Ok(Self { path: path.to_owned(), state })
    }

    fn put(&self, source: u64, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = Entry { source, offset: state.end, length: bytes.len() as u64, hash: hash(bytes) };
        let written = state.file.seek(SeekFrom::Start(entry.offset)).and_then(|_| state.file.write_all(bytes));
        if let Err(error) = written {
            state.failed.get_or_insert(error);
        }
        state.end = (entry.offset + entry.length).next_multiple_of(PAGE_BYTES);
        state.entries.push(entry);
    }

    /// Writes the table, and gives the file its name. Returns its bytes.
    ///
    /// # Errors
    /// What the system said, then or before; nothing is left of the file.
    pub(crate) fn finish(self) -> Result<u64, Error> {
        let Self { path, state } = self;
        let mut state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let done = match state.failed.take() {
            Some(error) => Err(error),
            None => state.close().and_then(|bytes| std::fs::rename(unfinished(&path), &path).map(|()| bytes)),
        };
        done.map_err(|source| {
            // There is nothing to be done about a file that cannot be removed either.
            let _ = std::fs::remove_file(unfinished(&path));
            Error::Pack { path, source }
        })
    }
}

impl Writing {
    fn close(&mut self) -> io::Result<u64> {
        let number = |entry: &Entry| [entry.source, entry.offset, entry.length, entry.hash];
        let table: Vec<u8> = self.entries.iter().flat_map(number).flat_map(u64::to_le_bytes).collect();
        let mut head = MAGIC.to_vec();
        head.extend(VERSION.to_le_bytes());
        head.extend((self.entries.len() as u32).to_le_bytes());
        head.extend(self.end.to_le_bytes());
        head.extend(hash(&table).to_le_bytes());
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&table)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&head)?;
        self.file.sync_all()?;
        Ok(self.end + table.len() as u64)
    }
}

impl PackStore {
    /// Packed panels of a published matrix, of which `samples` are looked at: from the file, or filled on all threads.
    pub(crate) fn filled(
        &self,
        pool: &Pool,
        samples: &[&Bytes],
        (panels, panel_bytes): (usize, usize),
        fill: impl Fn(usize, &mut [u8]) + Sync,
    ) -> Bytes {
        let source = source(samples, panel_bytes);
        if let Self::Reader(reader) = self
            && let Some(bytes) = reader.take(source, panels * panel_bytes)
        {
            return bytes;
        }
        let bytes = in_memory(pool, (panels, panel_bytes), fill);
        samples.iter().for_each(|bytes| bytes.release());
        match self {
            Self::Memory | Self::Reader(_) => Bytes::from_huge(bytes),
            Self::Writer(writer) => {
                writer.put(source, bytes.as_slice());
                Bytes::from_vec(Vec::new())
            }
        }
    }
}

fn in_memory(pool: &Pool, (panels, panel_bytes): (usize, usize), fill: impl Fn(usize, &mut [u8]) + Sync) -> HugeBytes {
    let length = panels * panel_bytes;
    // A huge page for a small matrix would be mostly empty.
    let bytes = if length < HUGE_MIN_BYTES { HugeBytes::in_plain_pages(length) } else { HugeBytes::new(length) };
    let mut bytes = bytes.expect("the system has memory for the weights");
    let start = Start(bytes.as_mut_slice().as_mut_ptr());
    pool.run(panels, &|panel| {
        // SAFETY: panels are disjoint parts of the new memory, which outlives this call.
        let out = unsafe { std::slice::from_raw_parts_mut(start.at(panel * panel_bytes), panel_bytes) };
        fill(panel, out);
    });
    bytes
}

/// The begin of memory that tasks write in disjoint places.
struct Start(*mut u8);

// SAFETY: `in_memory` sees to disjoint places.
unsafe impl Sync for Start {}

impl Start {
    /// # Safety
    /// The place is inside the memory.
    unsafe fn at(&self, offset: usize) -> *mut u8 {
        // SAFETY: as required.
        unsafe { self.0.add(offset) }
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".unfinished");
    PathBuf::from(name)
}

fn damaged(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.to_owned())
}

/// The table of a whole file.
fn table(bytes: &Bytes) -> io::Result<Vec<Entry>> {
    let head = bytes.get(..HEAD_BYTES).ok_or_else(|| damaged("too short for packed weights"))?;
    let number = |at: usize, bytes: &[u8]| {
        let mut number = [0; 8];
        bytes[at..].take(8).read_exact(&mut number).map(|()| u64::from_le_bytes(number))
    };
    if head[..8] != MAGIC {
        return Err(damaged("not a file of packed weights"));
    }
    let (version, entries) = (number(8, head)? as u32, (number(8, head)? >> 32) as u32);
    if version != VERSION {
        return Err(damaged(&format!("packed weights of version {version}, expected {VERSION}; pack the model again")));
    }
    let offset = usize::try_from(number(16, head)?).unwrap_or(usize::MAX);
    let length = entries.min(ENTRIES_MAX) as usize * ENTRY_BYTES;
    let table = bytes.slice(offset, length).filter(|table| number(24, head).is_ok_and(|wanted| hash(table) == wanted));
    let table = table.ok_or_else(|| damaged("the table is damaged; pack the model again"))?;
    let entry = |bytes: &[u8]| -> io::Result<Entry> {
        let [source, offset, length, hash] =
            [number(0, bytes)?, number(8, bytes)?, number(16, bytes)?, number(24, bytes)?];
        Ok(Entry { source, offset, length, hash })
    };
    let entries: Vec<Entry> = table.chunks_exact(ENTRY_BYTES).map(entry).collect::<io::Result<_>>()?;
    let inside = |entry: &Entry| bytes.slice(entry.offset as usize, entry.length as usize).is_some();
    if entries.iter().all(inside) { Ok(entries) } else { Err(damaged("a matrix lies outside the file")) }
}

/// A hash of windows of the published bytes, which tells one model from another.
fn source(samples: &[&Bytes], panel_bytes: usize) -> u64 {
    let mut seen = (panel_bytes as u64).to_le_bytes().to_vec();
    for bytes in samples {
        seen.extend((bytes.len() as u64).to_le_bytes());
        for sample in 0..SAMPLES {
            let start = bytes.len().saturating_sub(SAMPLE_BYTES) / (SAMPLES - 1) * sample;
            seen.extend(&bytes[start..(start + SAMPLE_BYTES).min(bytes.len())]);
        }
    }
    hash(&seen)
}

/// FNV-1a over words of eight bytes.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(0xcbf2_9ce4_8422_2325, |hash, word| step(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, &byte| step(hash, u64::from(byte)))
}
