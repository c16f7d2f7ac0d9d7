//! What outlives a sequence: whole blocks of keys and values that others with the same beginning may begin from. It must not
//! know which tokens they stand for, nor when they are dropped.

use kernels::{Backend, KV_BLOCK_POSITIONS};

use crate::config::{AttentionKind, ModelConfig};

/// Names a kept page of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageId(pub(crate) usize);

/// What a model's keys and values take, in blocks that all have the same size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvShape {
    /// Positions of a block.
    pub block_positions: usize,
    /// Bytes of a block: one layer's keys and values.
    pub block_bytes: usize,
    /// Layers that see all positions.
    pub full_layers: usize,
    /// Layers that see a window.
    pub sliding_layers: usize,
    /// Positions of that window, a token's own included.
    pub window: usize,
    /// Pages can be read again only where this is the same: kernels, weights' form and precision decide what lies in a block, and
    /// what numbers stand there.
    pub kind: String,
}

/// The pages of all kinds, each a block per layer of its kind.
pub(crate) struct Pages<B: Backend> {
    slots: Vec<Option<Vec<B::Page>>>,
    free: Vec<usize>,
}

impl KvShape {
    pub(crate) fn new(config: &ModelConfig, block_bytes: usize, kind: String) -> Self {
        let sliding_layers = config.layers.iter().filter(|&&kind| kind == AttentionKind::Sliding).count();
        Self {
            block_positions: KV_BLOCK_POSITIONS,
            block_bytes,
            full_layers: config.layers.len() - sliding_layers,
            sliding_layers,
            window: config.sliding_window,
            kind,
        }
    }

    /// Whole blocks before a position that the sliding layers still need to go on from there.
    #[must_use]
    pub fn window_blocks(&self, length: usize) -> usize {
        let first_seen = (length + 1).saturating_sub(self.window);
        length.div_ceil(self.block_positions) - first_seen / self.block_positions
    }

    /// Most blocks that a sequence of so many tokens holds when it was appended to in runs of at most `chunk` tokens.
    #[must_use]
    pub fn sequence_blocks(&self, length: usize, chunk: usize) -> usize {
        let all = length.div_ceil(self.block_positions);
        let sliding = (self.window + chunk).saturating_sub(2).div_ceil(self.block_positions) + 1;
        self.full_layers * all + self.sliding_layers * all.min(sliding)
    }

    /// Layers of a kind.
    #[must_use]
    pub fn layers(&self, kind: AttentionKind) -> usize {
        match kind {
            AttentionKind::Full => self.full_layers,
            AttentionKind::Sliding => self.sliding_layers,
        }
    }
}

impl<B: Backend> Pages<B> {
    pub(crate) fn keep(&mut self, blocks: Vec<B::Page>) -> PageId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(blocks);
        PageId(slot)
    }

    pub(crate) fn forget(&mut self, id: PageId) {
        assert!(self.slots[id.0].take().is_some(), "a page is dropped once");
        self.free.push(id.0);
    }

    /// A block per layer.
    pub(crate) fn blocks(&self, id: PageId) -> &[B::Page] {
        self.slots[id.0].as_ref().expect("the page is kept")
    }
}

impl<B: Backend> Default for Pages<B> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

/// The methods of [`Model`](crate::Model) about itself and its memory, but those that open and close sequences, handed to the model in the field
/// `inner`: for models that only change what another one hears or says.
#[macro_export]
macro_rules! hand_memory_to_inner {
    () => {
        fn config(&self) -> &$crate::ModelConfig {
            self.inner.config()
        }

        fn describe(&self) -> String {
            self.inner.describe()
        }

        fn sequence_length(&self, id: $crate::SequenceId) -> usize {
            self.inner.sequence_length(id)
        }

        fn sequence_bytes(&self, id: $crate::SequenceId) -> usize {
            self.inner.sequence_bytes(id)
        }

        fn kv_shape(&self) -> $crate::KvShape {
            self.inner.kv_shape()
        }

        fn kv_blocks_in_use(&self) -> usize {
            self.inner.kv_blocks_in_use()
        }

        fn keep_page(
            &mut self,
            id: $crate::SequenceId,
            kind: $crate::AttentionKind,
            index: usize,
        ) -> Option<$crate::PageId> {
            self.inner.keep_page(id, kind, index)
        }

        fn drop_page(&mut self, page: $crate::PageId) {
            self.inner.drop_page(page);
        }

        fn forget(&mut self, id: $crate::SequenceId) {
            self.inner.forget(id);
        }

        fn truncate(&mut self, id: $crate::SequenceId, length: usize) {
            self.inner.truncate(id, length);
        }

        fn write_page(&self, page: $crate::PageId, out: &mut Vec<u8>) {
            self.inner.write_page(page, out);
        }

        fn read_page(&mut self, kind: $crate::AttentionKind, bytes: &[u8]) -> Option<$crate::PageId> {
            self.inner.read_page(kind, bytes)
        }
    };
}
