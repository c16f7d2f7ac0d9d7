//! What the tests share: a temporary folder with stores on it, numbered keys, payloads that follow from them.

use std::path::{Path, PathBuf};

use engine::DiskLimits;
use engine::disk::{DiskStore, Key};
use tempfile::TempDir;

/// Bytes of a record's file besides its payload.
pub(crate) const OVERHEAD: u64 = 88;
/// The version that most tests use.
pub(crate) const VERSION: &str = "tiny 1";

/// A folder that vanishes with its test.
pub(crate) struct Shelf(TempDir);

impl Shelf {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn open(&self, bytes_max: u64) -> DiskStore {
        self.open_version(bytes_max, VERSION)
    }

    pub(crate) fn open_version(&self, bytes_max: u64, version: &str) -> DiskStore {
        open(self.path(), bytes_max, version)
    }

    /// Files whose names end so, in the folder and all its folders, in order.
    pub(crate) fn files(&self, ending: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.to_string_lossy().ends_with(ending) {
                    files.push(path);
                }
            }
        }
        files.sort();
        files
    }

    /// The only record's file.
    pub(crate) fn only_record(&self) -> PathBuf {
        let files = self.files(".record");
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }
}

pub(crate) fn open(folder: &Path, bytes_max: u64, version: &str) -> DiskStore {
    DiskStore::open(&DiskLimits { folder: folder.into(), bytes_max }, version).unwrap()
}

/// The same number gives the same key.
pub(crate) fn key(number: u32) -> Key {
    Key::root(VERSION.as_bytes(), b"salt").child(&[number])
}

/// Bytes that follow from the number and the kind, and differ between any two of them.
pub(crate) fn payload(number: u32, kind: u8, bytes: usize) -> Vec<u8> {
    let mut random = Random(u64::from(number) << 8 | u64::from(kind));
    let words = std::iter::repeat_with(|| random.next());
    words.flat_map(u64::to_le_bytes).take(bytes).collect()
}

/// The numbers of those records that can be read, each read.
pub(crate) fn readable(store: &DiskStore, numbers: impl IntoIterator<Item = u32>) -> Vec<u32> {
    numbers.into_iter().filter(|number| store.read(&key(*number), 0).is_some()).collect()
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
