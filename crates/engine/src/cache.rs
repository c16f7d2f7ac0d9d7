//! The prefix cache: what keys and values of earlier prompts and answers are kept, so that nobody reads the same tokens twice. It must
//! not know jobs, sampling or steps.
//!
//! A radix tree over blocks of tokens, spelled as a table: a node's key is a hash over all tokens up to its block's end, the
//! tenant's salt and the model's version ([`Key`]), so looking a prompt up is looking its keys up one after another. A node holds the
//! block of the full layers and, while there is room, that of the sliding layers. To begin behind a node, all full blocks before
//! it are needed, and of the sliding ones those in the window: two of 64 positions for gpt-oss. Sliding blocks make up half of the bytes,
//! so where memory is short those go first that nobody is likely to begin behind: only ends of prompts and answers, places
//! where messages begin and every [`SNAPSHOT_TOKENS`] tokens are *marked*.
//!
//! A hit is exact: a page holds what reading the tokens would have computed, bit for bit, whatever was read beside it.

mod evict;
mod fetch;
mod tier;

use std::collections::HashMap;

use model::{AttentionKind, KvShape, Model, PageId, SequenceId};

use crate::disk::Key;
use crate::error::Error;
use crate::job::DiskCache;
use crate::stats::CacheStats;
use fetch::Fetch;
use tier::Tier;

/// How far apart places are at most where a prompt may go on differently at no cost.
pub(crate) const SNAPSHOT_TOKENS: usize = 512;

/// The prefix cache of one model.
pub(crate) struct PrefixCache {
    shape: KvShape,
    version: Vec<u8>,
    /// Blocks that sequences and pages may hold together.
    capacity: usize,
    nodes: HashMap<Key, Node>,
    /// Counts uses: who was used last has the greatest number.
    clock: u64,
    /// Goes before the tier, whose thread fills it.
    fetch: Option<Fetch>,
    tier: Option<Tier>,
    stats: CacheStats,
}

struct Node {
    parent: Option<Key>,
    full: PageId,
    sliding: Option<PageId>,
    /// Somebody is likely to begin behind this block or the next.
    marked: bool,
    used: u64,
    children: usize,
    /// Running sequences whose last whole block this is.
    pins: usize,
}

/// The whole blocks of a running sequence, in the cache's words.
#[derive(Default)]
pub(crate) struct Path {
    root: Option<Key>,
    keys: Vec<Key>,
    /// Block counts behind which others may begin.
    points: Vec<usize>,
}

/// What was found of a prompt.
pub(crate) struct Found {
    pub(crate) path: Path,
    /// One page per block from the beginning on.
    pub(crate) full: Vec<PageId>,
    /// The last of them in the sliding layers.
    pub(crate) sliding: Vec<PageId>,
}

impl PrefixCache {
    /// An empty cache, with what an earlier process left on the disk.
    pub(crate) fn new(shape: KvShape, capacity: usize, disk: Option<&DiskCache>) -> Result<Self, Error> {
        let name = disk.map_or("", |disk| disk.model.as_str());
        let version = format!("{name} {} {}", shape.kind, shape.block_positions);
        let tier = disk.map(|disk| Tier::open(disk, &version)).transpose()?;
        let (nodes, stats) = (HashMap::new(), CacheStats::default());
        Ok(Self { shape, version: version.into_bytes(), capacity, nodes, clock: 0, fetch: None, tier, stats })
    }

    /// The longest beginning of a prompt that somebody can begin behind; at least one token is left to compute.
    pub(crate) fn find(&mut self, model: &mut dyn Model, tenant: &[u8], prompt: &[u32], boundaries: &[usize]) -> Found {
        self.clock += 1;
        self.stats.lookups += 1;
        let block = self.shape.block_positions;
        let mut keys = self.known(tenant, prompt);
        while let Some(missing) = self.load(model, &keys) {
            keys.truncate(missing);
            self.shorten(&mut keys);
        }
        self.stats.hits += u64::from(!keys.is_empty());
        self.stats.found_tokens += (keys.len() * block) as u64;
        let full = keys.iter().map(|key| self.nodes[key].full).collect();
        let window = &keys[keys.len() - self.window(keys.len())..];
        let sliding = window.iter().map(|key| self.nodes[key].sliding.expect("it was loaded")).collect();
        let path = Path { keys, ..self.begin(tenant, prompt, boundaries) };
        self.pin(&path, 1);
        self.refresh(model, &path.keys);
        // From now on the path may go like any other.
        self.clock += 1;
        Found { path, full, sliding }
    }

    /// The blocks of a prompt behind which somebody can begin, in memory or on the disk.
    fn known(&self, tenant: &[u8], prompt: &[u32]) -> Vec<Key> {
        let block = self.shape.block_positions;
        let root = Key::root(&self.version, tenant);
        let mut keys = Vec::new();
        for tokens in prompt.chunks_exact(block).take((prompt.len() - 1) / block) {
            let key = keys.last().unwrap_or(&root).child(tokens);
            if !self.is_there(&key, AttentionKind::Full) {
                break;
            }
            keys.push(key);
        }
        self.shorten(&mut keys);
        keys
    }

    /// The path of a prompt that is read as a whole, whatever is known of it.
    pub(crate) fn begin(&self, tenant: &[u8], prompt: &[u32], boundaries: &[usize]) -> Path {
        let points = boundaries.iter().copied().chain([prompt.len() - 1]).filter(|&at| at < prompt.len());
        let points = points.map(|at| at / self.shape.block_positions).collect();
        Path { root: Some(Key::root(&self.version, tenant)), keys: Vec::new(), points }
    }

    /// Keeps the blocks that have become whole: `tokens` are all that the sequence holds.
    pub(crate) fn keep(&mut self, model: &mut dyn Model, sequence: SequenceId, path: &mut Path, tokens: &[u32]) {
        let Some(root) = path.root else { return };
        let block = self.shape.block_positions;
        let blocks = tokens.len() / block;
        if path.keys.len() == blocks {
            return;
        }
        self.clock += 1;
        self.pin(path, -1);
        for index in path.keys.len()..blocks {
            let parent = path.keys.last().copied();
            let key = parent.unwrap_or(root).child(&tokens[index * block..(index + 1) * block]);
            let marked = self.is_marked(&path.points, index);
            self.keep_block(model, sequence, index, (key, parent), marked);
            path.keys.push(key);
        }
        self.pin(path, 1);
        self.clock += 1;
    }

    /// The sequence ends here: others may go on from its last whole block, so its window is kept, again if it had to go. The path is
    /// not used any more.
    pub(crate) fn end(&mut self, model: &mut dyn Model, sequence: SequenceId, path: &Path) {
        self.pin(path, -1);
        let from = path.keys.len() - self.window(path.keys.len());
        for (index, key) in path.keys.iter().enumerate().skip(from) {
            if let Some(node) = self.nodes.get_mut(key) {
                node.marked = true;
                node.sliding = node.sliding.or_else(|| model.keep_page(sequence, AttentionKind::Sliding, index));
                self.write(model, key, AttentionKind::Sliding);
            }
        }
    }

    /// Waits until all that was given to the disk lies there.
    pub(crate) fn flush(&self) {
        if let Some(tier) = &self.tier {
            tier.flush();
        }
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let disk = self.tier.as_ref().map(Tier::stats);
        let full = self.nodes.len() * self.shape.full_layers;
        let windows = self.nodes.values().filter(|node| node.sliding.is_some()).count() * self.shape.sliding_layers;
        let bytes = ((full + windows) * self.shape.block_bytes) as u64;
        CacheStats { nodes: self.nodes.len() as u64, bytes, disk, ..self.stats.clone() }
    }

    fn keep_block(
        &mut self,
        model: &mut dyn Model,
        sequence: SequenceId,
        index: usize,
        (key, parent): (Key, Option<Key>),
        marked: bool,
    ) {
        let used = self.clock;
        if let Some(node) = self.nodes.get_mut(&key) {
            node.used = used;
            node.marked |= marked;
            // The same numbers lie in two places now, since a window was missing or two read at once. The sequence's own serve
            // both, so that the others can go.
            let kinds = [AttentionKind::Full, AttentionKind::Sliding];
            let [full, sliding] = kinds.map(|kind| model.keep_page(sequence, kind, index));
            let old = full.map(|page| std::mem::replace(&mut node.full, page));
            let old_sliding = sliding.and_then(|page| node.sliding.replace(page));
            old.into_iter().chain(old_sliding).for_each(|page| model.drop_page(page));
        } else {
            let full = model.keep_page(sequence, AttentionKind::Full, index).expect("full layers forget nothing");
            let sliding = model.keep_page(sequence, AttentionKind::Sliding, index);
            self.insert(key, Node { parent, full, sliding, marked, used, children: 0, pins: 0 });
            self.write(model, &key, AttentionKind::Full);
        }
        if marked {
            self.write(model, &key, AttentionKind::Sliding);
        }
    }

    fn insert(&mut self, key: Key, node: Node) {
        if let Some(parent) = node.parent {
            self.nodes.get_mut(&parent).expect("a node's parent outlives it").children += 1;
        }
        self.nodes.insert(key, node);
    }

    /// Whether somebody is likely to begin behind this block or one that has it in its window.
    fn is_marked(&self, points: &[usize], index: usize) -> bool {
        let regular = SNAPSHOT_TOKENS.div_ceil(self.shape.block_positions);
        (index + 1..)
            .take(self.window(index + 1).max(1))
            .any(|blocks| blocks % regular == 0 || points.contains(&blocks))
    }

    /// Sliding blocks that are needed to begin behind so many blocks.
    fn window(&self, blocks: usize) -> usize {
        self.shape.window_blocks(blocks * self.shape.block_positions)
    }

    fn is_there(&self, key: &Key, kind: AttentionKind) -> bool {
        let in_memory = self.nodes.get(key).is_some_and(|node| kind == AttentionKind::Full || node.sliding.is_some());
        in_memory || self.tier.as_ref().is_some_and(|tier| tier.contains(key, kind))
    }

    /// Cuts keys back to where the window before their end is there.
    fn shorten(&self, keys: &mut Vec<Key>) {
        while !keys.is_empty() {
            let window = &keys[keys.len() - self.window(keys.len())..];
            if window.iter().all(|key| self.is_there(key, AttentionKind::Sliding)) {
                return;
            }
            keys.pop();
        }
    }

    fn pin(&mut self, path: &Path, by: isize) {
        if let Some(node) = path.keys.last().and_then(|key| self.nodes.get_mut(key)) {
            node.pins = node.pins.checked_add_signed(by).expect("a path is unpinned once");
        }
    }
}
