//! Records in a folder: written aside and renamed, verified when read, the least recently used evicted. It must not know
//! what a payload means.
//!
//! The disk is the truth and the index its bookkeeping: another process may write or evict at any time. Every sixteenth
//! of the cap that was offered for writing, the folder is walked through again, so that other processes' records count.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::DiskLimits;
use super::folder::{self, Folder};
use super::index::Index;
use super::key::Key;
use super::record::{self, Name};
use crate::error::Error;

/// Share of the cap that is offered between two walks, and by which a store that may not evict may go beyond the cap.
const SLACK_DIVISOR: u64 = 16;

/// Records by key in a folder. Its methods may be called from any number of threads.
#[derive(Debug)]
pub struct DiskStore {
    folder: Folder,
    bytes_max: u64,
    index: Mutex<Index>,
    counts: Mutex<DiskStats>,
    /// Held for a whole walk or eviction, so that one thread at a time does them.
    upkeep: Mutex<Upkeep>,
}

/// What a store holds, and what has happened since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskStats {
    /// Records in the folder, those of other versions included.
    pub records: u64,
    /// Bytes of these records' files.
    pub bytes: u64,
    /// Reads that gave a payload.
    pub hits: u64,
    /// Reads that gave nothing.
    pub misses: u64,
    /// Misses whose record was damaged and removed.
    pub damaged: u64,
    /// Records removed to make room.
    pub evicted: u64,
    /// Records not written: larger than the cap, or no room and another process is the one that may evict.
    pub refused: u64,
    /// Records not written because a [`DiskWriter`](super::DiskWriter)'s queue was full.
    pub dropped: u64,
    /// Writes that failed.
    pub write_errors: u64,
}

#[derive(Debug)]
struct Upkeep {
    lock: File,
    is_keeper: bool,
    offered_bytes: u64,
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        // Closing is not enough: a process that is being started has a copy of every open file until it runs its program, and
        // whoever opens the folder next would not be its keeper.
        self.lock.unlock().ok();
    }
}

impl DiskStore {
    /// Opens a folder for one version, which names everything that payloads depend on. The first to open a folder becomes
    /// its keeper: it removes what interrupted writes left and evicts down to the cap. Others read and write beside it, and
    /// one of them becomes the keeper when the first has ended and room is needed.
    ///
    /// # Errors
    ///
    /// [`Error::DiskFolder`] when the folder cannot be made, read or locked.
    pub fn open(limits: &DiskLimits, version: &str) -> Result<Self, Error> {
        let refused = |source| Error::DiskFolder { path: limits.folder.clone(), source };
        let folder = Folder::new(&limits.folder, version);
        folder.prepare().map_err(refused)?;
        let lock = folder.open_lock().map_err(refused)?;
        let is_keeper = folder::lock(&lock).map_err(refused)?;
        let store = Self {
            folder,
            bytes_max: limits.bytes_max,
            index: Mutex::default(),
            counts: Mutex::default(),
            upkeep: Mutex::new(Upkeep { lock, is_keeper, offered_bytes: 0 }),
        };
        {
            let mut upkeep = held(&store.upkeep);
            store.walk(&mut upkeep).map_err(refused)?;
            store.evict(&upkeep);
        }
        Ok(store)
    }

    /// Whether a record is there; reading it may still find it damaged. It does not count as a use.
    pub fn contains(&self, key: &Key, kind: u8) -> bool {
        self.look_for(&Name { key: *key, kind }).is_some()
    }

    /// Makes a record the one that was used last; whether it is there.
    pub fn touch(&self, key: &Key, kind: u8) -> bool {
        let name = Name { key: *key, kind };
        let bytes = self.look_for(&name);
        if let Some(bytes) = bytes
            && let Ok(file) = File::open(self.folder.record(&name))
        {
            self.stamp(&name, bytes, &file);
        }
        bytes.is_some()
    }

    /// The payload that was written under this key and kind, or nothing. A record that is damaged in any byte is removed;
    /// one that the system cannot read now stays.
    pub fn read(&self, key: &Key, kind: u8) -> Option<Vec<u8>> {
        let name = Name { key: *key, kind };
        let path = self.folder.record(&name);
        let outcome = self.read_file(&path, &name);
        let mut counts = held(&self.counts);
        match outcome {
            Ok(Some(payload)) => {
                counts.hits += 1;
                return Some(payload);
            }
            Ok(None) => {
                counts.misses += 1;
                counts.damaged += 1;
                // A file that cannot be removed is found damaged again the next time.
                fs::remove_file(&path).ok();
                held(&self.index).forget(&name);
            }
            Err(error) => {
                counts.misses += 1;
                if error.kind() == ErrorKind::NotFound {
                    held(&self.index).forget(&name);
                }
            }
        }
        None
    }

    /// Keeps a payload, given in parts, unless a record of this key and kind is there. Afterwards the keeper evicts down to
    /// the cap. A record that there is no room for is counted as refused, and is no error.
    ///
    /// # Errors
    ///
    /// When the system cannot write; nothing is left behind then.
    pub fn write(&self, key: &Key, kind: u8, payload: &[&[u8]]) -> io::Result<()> {
        let name = Name { key: *key, kind };
        let bytes = record::file_bytes(payload);
        if self.contains(key, kind) {
            return Ok(());
        }
        if bytes > self.bytes_max || !self.has_room(bytes) {
            held(&self.counts).refused += 1;
            return Ok(());
        }
        let written = self.write_file(&name, payload);
        match &written {
            Ok(stamp_ns) => held(&self.index).learn(name, bytes, *stamp_ns),
            Err(_) => held(&self.counts).write_errors += 1,
        }
        self.evict(&held(&self.upkeep));
        written.map(|_| ())
    }

    /// Figures of the folder as far as this store knows, and of what the store did.
    pub fn stats(&self) -> DiskStats {
        let counts = *held(&self.counts);
        let index = held(&self.index);
        DiskStats { records: index.records(), bytes: index.bytes(), ..counts }
    }

    pub(super) fn count_dropped(&self) {
        held(&self.counts).dropped += 1;
    }

    /// Bytes of a record's file, if it is there; the index learns what is found.
    fn look_for(&self, name: &Name) -> Option<u64> {
        match fs::metadata(self.folder.record(name)) {
            Ok(metadata) if metadata.is_file() => {
                let (bytes, stamp_ns) = folder::size(&metadata);
                held(&self.index).learn(*name, bytes, stamp_ns);
                Some(bytes)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                held(&self.index).forget(name);
                None
            }
            Ok(_) | Err(_) => None,
        }
    }

    fn read_file(&self, path: &Path, name: &Name) -> io::Result<Option<Vec<u8>>> {
        let mut file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let payload = record::read(&mut file, bytes, name)?;
        if payload.is_some() {
            self.stamp(name, bytes, &file);
        }
        Ok(payload)
    }

    fn stamp(&self, name: &Name, bytes: u64, file: &File) {
        let mut index = held(&self.index);
        let stamp_ns = index.next_stamp_ns();
        index.learn(*name, bytes, stamp_ns);
        drop(index);
        // Without it only the order after a restart suffers.
        file.set_modified(time(stamp_ns)).ok();
    }

    /// Gives the stamp of the new file.
    fn write_file(&self, name: &Name, payload: &[&[u8]]) -> io::Result<u64> {
        let stamp_ns = held(&self.index).next_stamp_ns();
        let (path, file) = self.folder.create_partial(name)?;
        let fill = || {
            let mut buffer = BufWriter::new(&file);
            record::write(&mut buffer, name, payload)?;
            buffer.flush()?;
            file.set_modified(time(stamp_ns)).ok();
            file.sync_data()?;
            fs::rename(&path, self.folder.record(name))
        };
        let filled = fill();
        if filled.is_err() {
            // Should this fail too, the next walk removes it.
            fs::remove_file(&path).ok();
        }
        filled.map(|()| stamp_ns)
    }

    /// Whether so many more bytes may be written. The keeper always may, since it evicts afterwards.
    fn has_room(&self, bytes: u64) -> bool {
        let slack_bytes = self.bytes_max / SLACK_DIVISOR;
        let mut upkeep = held(&self.upkeep);
        upkeep.offered_bytes = upkeep.offered_bytes.saturating_add(bytes);
        let known_bytes = held(&self.index).bytes();
        let takes_over = !upkeep.is_keeper
            && known_bytes.saturating_add(bytes) > self.bytes_max
            && folder::lock(&upkeep.lock).unwrap_or(false);
        if takes_over || upkeep.offered_bytes > slack_bytes {
            upkeep.is_keeper |= takes_over;
            // A folder that cannot be read now is walked through the next time; the index goes on as it is.
            self.walk(&mut upkeep).ok();
            self.evict(&upkeep);
        }
        upkeep.is_keeper
            || held(&self.index).bytes().saturating_add(bytes) <= self.bytes_max.saturating_add(slack_bytes)
    }

    /// Brings the index up to date with the folder; the keeper also cleans up.
    fn walk(&self, upkeep: &mut Upkeep) -> io::Result<()> {
        upkeep.offered_bytes = 0;
        let started_ns = held(&self.index).next_stamp_ns();
        let census = self.folder.census()?;
        if upkeep.is_keeper {
            // What cannot be removed now is found again by the next walk.
            census.leftovers.iter().for_each(|path| folder::remove_leftover(path).unwrap_or_default());
            census.empty_versions.iter().for_each(|path| folder::remove_empty_version(path));
        }
        held(&self.index).adopt(census, started_ns);
        self.folder.prepare()
    }

    /// Evicts down to the cap, if this store is the keeper.
    fn evict(&self, upkeep: &Upkeep) {
        if !upkeep.is_keeper {
            return;
        }
        let paths = held(&self.index).take_above(self.bytes_max, &self.folder);
        // A file that cannot be removed counts again after the next walk.
        let removed = paths.iter().filter(|path| fs::remove_file(path).is_ok()).count();
        held(&self.counts).evicted += removed as u64;
    }
}

/// A thread that panicked between two steps leaves at worst a figure that the next walk mends.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn time(stamp_ns: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(stamp_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_lock_keeps_nobody_from_the_keepers_place() {
        let folder = tempfile::tempdir().unwrap();
        let limits = DiskLimits { folder: folder.path().to_owned(), bytes_max: 1000 };
        let open = || DiskStore::open(&limits, "a version").unwrap();
        let store = open();
        let _copy = held(&store.upkeep).lock.try_clone().unwrap();
        assert!(held(&store.upkeep).is_keeper && !held(&open().upkeep).is_keeper);
        assert!(!held(&open().upkeep).is_keeper, "the end of one that is not the keeper frees nothing");
        drop(store);
        assert!(held(&open().upkeep).is_keeper);
    }
}
