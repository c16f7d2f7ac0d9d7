//! Token ids to measure with: speed does not depend on what they say, but experts should be chosen as unevenly as text does it.

/// Pseudo-random ids below a vocabulary's size, the same for the same seed (a linear congruential generator, Knuth's MMIX).
pub(super) struct Ids {
    state: u64,
    vocabulary_size: u64,
}

impl Ids {
    pub(super) fn new(seed: u64, vocabulary_size: usize) -> Self {
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1),
            vocabulary_size: vocabulary_size as u64,
        }
    }

    pub(super) fn take_many(&mut self, count: usize) -> Vec<u32> {
        (0..count).map(|_| self.next_id()).collect()
    }

    pub(super) fn next_id(&mut self) -> u32 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Only the upper half of the state is random enough, and vocabularies have fewer than 2^32 tokens.
        ((self.state >> 32) % self.vocabulary_size) as u32
    }
}
