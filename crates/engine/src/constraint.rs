//! What a job may generate: a mask over the vocabulary before each token, and tokens that leave no choice. It must not know text,
//! grammars or why something is forbidden.

use std::fmt;
use std::sync::Arc;

/// Which tokens may come next, one bit per token of the vocabulary; bits beyond its size are never set.
#[derive(Clone, PartialEq, Eq)]
pub struct Mask {
    size: usize,
    words: Vec<u32>,
}

/// Decides which tokens may follow those that were generated.
///
/// The engine asks for [`Constraint::mask`] while the model computes, on another thread, and draws only from it; every token of the
/// output, drawn or forced, is told by [`Constraint::push`] in order. After each one that was drawn, what [`Constraint::forced`] gives is
/// appended without asking the model, until it gives nothing.
///
/// Whoever makes one bounds what a call may cost. A mask that takes long delays its own job only; `push` and `forced` are called between
/// steps, as is `mask` between guessed tokens while it takes less than a millisecond. A panic fails the job like an error.
pub trait Constraint: Send + fmt::Debug {
    /// The tokens that may come next. Never none.
    ///
    /// # Errors
    /// When it cannot be told, for instance because a limit was reached; the job fails with the reason.
    fn mask(&mut self) -> Result<Arc<Mask>, ConstraintError>;

    /// Takes the token that came.
    ///
    /// # Errors
    /// When it may not come here; the job fails with the reason.
    fn push(&mut self, id: u32) -> Result<(), ConstraintError>;

    /// Tokens that come next whatever the model says; they are pushed like any other. Possibly none, and not always all that are
    /// certain.
    fn forced(&mut self) -> Vec<u32>;

    /// The same constraint, at the same place.
    fn boxed_clone(&self) -> Box<dyn Constraint>;
}

/// Why a constraint cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ConstraintError {
    /// What happened, and what can be done.
    pub reason: String,
}

impl Mask {
    const BITS: usize = u32::BITS as usize;

    /// No token of a vocabulary of so many.
    #[must_use]
    pub fn none(size: usize) -> Self {
        Self { size, words: vec![0; size.div_ceil(Self::BITS)] }
    }

    /// Takes over words of 32 tokens each, the lowest bit first; words that are missing allow nothing, and bits beyond `size` are
    /// cleared.
    #[must_use]
    pub fn from_words(size: usize, words: &[u32]) -> Self {
        let mut mask = Self::none(size);
        let given = words.len().min(mask.words.len());
        mask.words[..given].copy_from_slice(&words[..given]);
        if let Some(last) = mask.words.last_mut()
            && !size.is_multiple_of(Self::BITS)
        {
            *last &= (1 << (size % Self::BITS)) - 1;
        }
        mask
    }

    /// Tokens of the vocabulary.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// 32 tokens each, the lowest bit first.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// Whether a token may come.
    #[must_use]
    pub fn allows(&self, id: u32) -> bool {
        let id = id as usize;
        self.words.get(id / Self::BITS).is_some_and(|word| word >> (id % Self::BITS) & 1 == 1)
    }

    /// Lets a token come; one outside the vocabulary is passed over.
    pub fn allow(&mut self, id: u32) {
        if (id as usize) < self.size {
            self.words[id as usize / Self::BITS] |= 1 << (id as usize % Self::BITS);
        }
    }

    /// Forbids a token.
    pub fn forbid(&mut self, id: u32) {
        if (id as usize) < self.size {
            self.words[id as usize / Self::BITS] &= !(1 << (id as usize % Self::BITS));
        }
    }

    /// How many tokens may come.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The token that may come where there is one only.
    #[must_use]
    pub fn only(&self) -> Option<u32> {
        let mut ids = self.ids();
        ids.next().filter(|_| ids.next().is_none())
    }

    /// The tokens that may come, in order.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        let tokens = |(index, &word): (usize, &u32)| {
            (0..Self::BITS).filter(move |bit| word >> bit & 1 == 1).map(move |bit| (index * Self::BITS + bit) as u32)
        };
        self.words.iter().enumerate().filter(|(_, word)| **word != 0).flat_map(tokens)
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Mask").field("size", &self.size).field("allowed", &self.count()).finish()
    }
}

impl Clone for Box<dyn Constraint> {
    fn clone(&self) -> Self {
        self.boxed_clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_holds_what_was_allowed_and_nothing_beyond_its_size() {
        let mut mask = Mask::none(70);
        for id in [0, 31, 32, 69, 70, 4000] {
            mask.allow(id);
        }
        assert_eq!(mask.ids().collect::<Vec<_>>(), [0, 31, 32, 69]);
        mask.forbid(31);
        mask.forbid(5000);
        assert_eq!((mask.count(), mask.allows(31), mask.allows(32), mask.allows(70)), (3, false, true, false));
        assert_eq!((mask.only(), Mask::from_words(70, &[0, 2]).only(), Mask::none(70).only()), (None, Some(33), None));
        assert_eq!(Mask::from_words(70, &[!0; 9]).count(), 70);
        assert_eq!(Mask::from_words(64, &[!0; 9]).count(), 64);
        assert_eq!(Mask::from_words(70, &[1]).ids().collect::<Vec<_>>(), [0]);
    }
}
