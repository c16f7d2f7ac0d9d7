//! Between the cache's memory and the disk: pages are written when they are kept and read when they are missed. It must not know how
//! records lie on the disk.

use std::sync::Arc;

use model::{AttentionKind, Model, PageId};

use super::{Node, PrefixCache};
use crate::disk::{DiskStats, DiskStore, DiskWriter, Key};
use crate::error::Error;
use crate::job::DiskCache;

/// The disk, as the cache sees it.
pub(super) struct Tier {
    store: Arc<DiskStore>,
    writer: DiskWriter,
}

impl Tier {
    pub(super) fn open(disk: &DiskCache, version: &str) -> Result<Self, Error> {
        let store = Arc::new(DiskStore::open(&disk.limits, version)?);
        let writer = DiskWriter::start(Arc::clone(&store), disk.queue_bytes_max)?;
        Ok(Self { store, writer })
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

const fn number(kind: AttentionKind) -> u8 {
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
            let parent = index.checked_sub(1).map(|before| keys[before]);
            if !self.nodes.contains_key(key) {
                let Some(full) = self.read(model, key, AttentionKind::Full) else { return Some(index) };
                let used = self.clock;
                self.insert(*key, Node { parent, full, sliding: None, marked: false, used, children: 0, pins: 0 });
                self.stats.disk_tokens += self.shape.block_positions as u64;
            }
            if index >= window_from && self.nodes[key].sliding.is_none() {
                let Some(page) = self.read(model, key, AttentionKind::Sliding) else { return Some(index) };
                let node = self.nodes.get_mut(key).expect("it was inserted");
                (node.sliding, node.marked) = (Some(page), true);
            }
        }
        None
    }

    fn read(&mut self, model: &mut dyn Model, key: &Key, kind: AttentionKind) -> Option<PageId> {
        let bytes = self.tier.as_ref()?.store.read(key, number(kind))?;
        let needed = self.shape.layers(kind);
        let room = self.capacity.checked_sub(needed)?;
        if !self.make_room(model, room) {
            return None;
        }
        model.read_page(kind, &bytes)
    }
}
