//! Prompts that nobody has read before. It must not know text.

use crate::bench::tokens::Ids;

/// Ids of ordinary tokens in the released vocabulary; those above are control tokens, which a server may treat otherwise.
const ORDINARY_TOKENS: usize = 199_998;

/// Random prompts; both targets of a comparison draw the same ones.
pub(super) struct Prompts {
    ids: Ids,
}

impl Prompts {
    pub(super) fn new(seed: u64, vocabulary_size: usize) -> Self {
        Self { ids: Ids::new(seed, vocabulary_size.min(ORDINARY_TOKENS)) }
    }

    /// So many tokens.
    pub(super) fn random(&mut self, tokens: usize) -> Vec<u32> {
        self.ids.take_many(tokens)
    }

    /// A seed of something else that is repeatable.
    pub(super) fn seed(&mut self) -> u64 {
        u64::from(self.ids.next_id())
    }
}
