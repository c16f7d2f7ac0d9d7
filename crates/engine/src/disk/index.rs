//! Which records the folder holds, how large they are and in which order they were used. It must not touch the disk.
//!
//! The clock is the time of day in nanoseconds, pushed on where it would stand still or go back. Files carry the same
//! stamps as their times of modification, so the order survives a restart and can be compared between processes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::SystemTime;

use super::folder::{Census, Folder};
use super::record::Name;

/// What is known about the folder; the disk itself may have moved on.
#[derive(Debug, Default)]
pub(super) struct Index {
    own: HashMap<Name, Entry>,
    /// The same records, least recently used first.
    order: BTreeSet<(u64, Name)>,
    /// Sizes of records of other versions by stamp and path, oldest first.
    others: BTreeMap<(u64, PathBuf), u64>,
    bytes: u64,
    last_stamp_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    bytes: u64,
    stamp_ns: u64,
}

impl Index {
    /// Bytes of all records.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Number of all records.
    pub(super) fn records(&self) -> u64 {
        (self.own.len() + self.others.len()) as u64
    }

    /// A stamp later than every other that this index has seen.
    pub(super) fn next_stamp_ns(&mut self) -> u64 {
        self.last_stamp_ns = stamp_ns(SystemTime::now()).max(self.last_stamp_ns.saturating_add(1));
        self.last_stamp_ns
    }

    /// A record is there; a known one keeps the later of both stamps.
    pub(super) fn learn(&mut self, name: Name, bytes: u64, stamp_ns: u64) {
        self.last_stamp_ns = self.last_stamp_ns.max(stamp_ns);
        let known_ns = self.own.get(&name).map_or(0, |entry| entry.stamp_ns);
        self.forget(&name);
        let stamp_ns = stamp_ns.max(known_ns);
        self.own.insert(name, Entry { bytes, stamp_ns });
        self.order.insert((stamp_ns, name));
        self.bytes += bytes;
    }

    /// A record is gone.
    pub(super) fn forget(&mut self, name: &Name) {
        if let Some(Entry { bytes, stamp_ns }) = self.own.remove(name) {
            self.order.remove(&(stamp_ns, *name));
            self.bytes -= bytes;
        }
    }

    /// Takes over what a walk through the folder found. Records used since `started_ns`, when it began, are kept even
    /// when the walk came too early to see them.
    pub(super) fn adopt(&mut self, census: Census, started_ns: u64) {
        let Census { own, others, leftovers: _, empty_versions: _ } = census;
        let found: BTreeSet<Name> = own.iter().map(|(name, ..)| *name).collect();
        let gone = |&&(stamp_ns, ref name): &&(u64, Name)| stamp_ns < started_ns && !found.contains(name);
        let gone: Vec<Name> = self.order.iter().filter(gone).map(|(_, name)| *name).collect();
        gone.iter().for_each(|name| self.forget(name));
        own.into_iter().for_each(|(name, bytes, stamp_ns)| self.learn(name, bytes, stamp_ns));
        self.bytes -= self.others.values().sum::<u64>();
        self.others = others.into_iter().map(|(path, bytes, stamp_ns)| ((stamp_ns, path), bytes)).collect();
        self.bytes += self.others.values().sum::<u64>();
    }

    /// Takes out the files that must go so that the rest is within the cap: other versions first, then the least
    /// recently used.
    pub(super) fn take_above(&mut self, bytes_max: u64, folder: &Folder) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        while self.bytes > bytes_max {
            if let Some(((_, path), bytes)) = self.others.pop_first() {
                self.bytes -= bytes;
                paths.push(path);
            } else if let Some(&(_, name)) = self.order.first() {
                self.forget(&name);
                paths.push(folder.record(&name));
            } else {
                break;
            }
        }
        paths
    }
}

/// A time as a stamp; times before 1970 are the oldest there is.
pub(super) fn stamp_ns(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
