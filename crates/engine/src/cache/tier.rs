//! Between the cache's memory and the disk: pages are written when they are kept and read when they are missed. It must not know how
//! records lie on the disk.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use model::{AttentionKind, Model};

use super::{Node, PrefixCache};
use crate::disk::{DiskReader, DiskStats, DiskStore, DiskWriter, Key};
use crate::error::Error;
use crate::job::DiskCache;

/// The disk, as the cache sees it.
pub(super) struct Tier {
    store: Arc<DiskStore>,
    writer: DiskWriter,
    reader: DiskReader,
}

impl Tier {
    pub(super) fn open(disk: &DiskCache, version: &str) -> Result<Self, Error> {
        let store = Arc::new(DiskStore::open(&disk.limits, version)?);
        let writer = DiskWriter::start(Arc::clone(&store), disk.queue_bytes_max)?;
        let of_reader = Arc::clone(&store);
        let reader = DiskReader::start(Box::new(move |key, kind| of_reader.read(key, kind)))?;
        Ok(Self { store, writer, reader })
    }

    /// Has the reading thread do something before each record.
    #[cfg(test)]
    pub(super) fn before_reads(&mut self, before: impl Fn() + Send + 'static) {
        let store = Arc::clone(&self.store);
        let read = move |key: &Key, kind| {
            before();
            store.read(key, kind)
        };
        self.reader = DiskReader::start(Box::new(read)).expect("the system gives a thread");
    }

    /// The records' payloads, in order, as they are read.
    pub(super) fn read_ahead(&self, records: Vec<(Key, u8)>) -> Receiver<Vec<u8>> {
        self.reader.read(records)
    }

    pub(super) fn contains(&self, key: &Key, kind: AttentionKind) -> bool {
        self.store.contains(key, number(kind))
    }

    fn touch(&self, key: &Key, kind: AttentionKind) -> bool {
        self.store.touch(key, number(kind))
    }

    pub(super) fn flush(&self) {
        self.writer.flush();
    }

    pub(super) fn stats(&self) -> DiskStats {
        self.store.stats()
    }
}

pub(super) const fn number(kind: AttentionKind) -> u8 {
    match kind {
        AttentionKind::Full => 0,
        AttentionKind::Sliding => 1,
    }
}

impl PrefixCache {
    /// Gives a node's page to the disk, where it is not there already. What comes faster than it can be written is passed over.
    pub(super) fn write(&self, model: &dyn Model, key: &Key, kind: AttentionKind) {
        let Some(tier) = &self.tier else { return };
        let node = &self.nodes[key];
        let page = match kind {
            AttentionKind::Full => Some(node.full),
            AttentionKind::Sliding => node.sliding,
        };
        let Some(page) = page.filter(|_| !tier.contains(key, kind)) else { return };
        let mut bytes = Vec::with_capacity(self.shape.layers(kind) * self.shape.block_bytes);
        model.write_page(page, &mut bytes);
        tier.writer.try_write(*key, number(kind), bytes);
    }

    /// Tells the disk that a path is in use: its beginning last, since without that the rest is worth nothing. What was lost there is
    /// written again.
    pub(super) fn refresh(&self, model: &dyn Model, keys: &[Key]) {
        let Some(tier) = &self.tier else { return };
        for key in keys.iter().rev() {
            // A window may lie there that nobody has loaded.
            if !tier.touch(key, AttentionKind::Sliding) && self.nodes[key].marked {
                self.write(model, key, AttentionKind::Sliding);
            }
            if !tier.touch(key, AttentionKind::Full) {
                self.write(model, key, AttentionKind::Full);
            }
        }
    }

    /// Brings what is missing of a path into memory. Gives the place of a block that cannot be had.
    pub(super) fn load(&mut self, model: &mut dyn Model, keys: &[Key]) -> Option<usize> {
        let window_from = keys.len() - self.window(keys.len());
        for key in keys {
            if let Some(node) = self.nodes.get_mut(key) {
                node.used = self.clock;
            }
        }
        for (index, key) in keys.iter().enumerate() {
            let needs_window = index >= window_from;
            for kind in [AttentionKind::Full, AttentionKind::Sliding].into_iter().take(1 + usize::from(needs_window)) {
                if self.has(key, kind) {
                    continue;
                }
                let payload = self.tier.as_ref().and_then(|tier| tier.store.read(key, number(kind)));
                if !payload.is_some_and(|payload| self.install(model, keys, (index, kind), &payload)) {
                    return Some(index);
                }
            }
        }
        None
    }

    /// Makes a record the page of a path's block, whose beginning was installed before; whether that could be done.
    pub(super) fn install(
        &mut self,
        model: &mut dyn Model,
        keys: &[Key],
        (index, kind): (usize, AttentionKind),
        payload: &[u8],
    ) -> bool {
        let (key, parent) = (keys[index], index.checked_sub(1).map(|before| keys[before]));
        if self.has(&key, kind) {
            // Somebody has computed it meanwhile.
            return true;
        }
        let needs = if kind == AttentionKind::Sliding { Some(key) } else { parent };
        let room = self.capacity.checked_sub(self.shape.layers(kind));
        let is_possible = needs.is_none_or(|needs| self.nodes.contains_key(&needs));
        if !is_possible || !room.is_some_and(|room| self.make_room(model, room)) {
            return false;
        }
        let Some(page) = model.read_page(kind, payload) else { return false };
        if let Some(node) = self.nodes.get_mut(&key) {
            (node.sliding, node.marked) = (Some(page), true);
        } else {
            let used = self.clock;
            self.insert(key, Node { parent, full: page, sliding: None, marked: false, used, children: 0, pins: 0 });
            self.stats.disk_tokens += self.shape.block_positions as u64;
        }
        true
    }

    /// Whether a block lies in memory.
    fn has(&self, key: &Key, kind: AttentionKind) -> bool {
        self.nodes.get(key).is_some_and(|node| kind == AttentionKind::Full || node.sliding.is_some())
    }
}
