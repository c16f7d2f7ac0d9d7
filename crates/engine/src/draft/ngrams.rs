//! Drafts copied from the text itself: what followed the last time that it went on like this. It must not know whether a draft
//! is worth its step.
//!
//! An index of n-grams of one length is the hash chain of LZ77 compressors: `heads` has the newest position of each hash, and
//! `previous` leads from each position to the next older one of the same hash. Every position is inserted when its token
//! arrives, so a lookup begins at the newest position and never computes a hash; a position that shares the hash only is
//! noticed when it is compared. When the text outgrows `heads`, all chains are made anew at twice the size.
//!
//! There are two indices, of the longest and of the shortest n-grams that count. The first finds the newest of the longest
//! matches at once; only where it has none are the candidates of the second compared. Memory: 4 bytes per token for the text
//! and, per index, 4 for `previous` and 4 to 8 for `heads`: 20 to 28 bytes per token, and up to 12 more where a vector
//! has grown beyond its content.

use super::DraftSource;
use crate::error::Error;

/// Positions of the shortest n-gram that are compared for one proposal; with more, only the newest are looked at.
const CANDIDATES_MAX: usize = 64;
/// Steps along a chain for one proposal, so that hashes that collide cannot make it slow.
const STEPS_MAX: usize = 256;
/// No position.
const NOWHERE: u32 = u32::MAX;
/// Slots of the smallest table.
const HEADS_MIN: usize = 256;

/// What counts as a match, and how long a draft may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftLimits {
    /// Shortest agreement that is followed. 1 ..= `ngram_max`.
    pub ngram_min: usize,
    /// Agreement beyond which longer is not better, only newer is. 1 ..= 64.
    pub ngram_max: usize,
    /// Most tokens of a draft. 1 ..= 64.
    pub draft_tokens_max: usize,
}

/// The drafts of one sequence.
pub struct NgramDrafts {
    limits: DraftLimits,
    text: Vec<u32>,
    longest: GramIndex,
    shortest: GramIndex,
    matched_tokens: usize,
}

/// Chains of the positions at which n-grams of one length begin, by hash.
struct GramIndex {
    gram_tokens: usize,
    /// By hash.
    heads: Vec<u32>,
    /// By position.
    previous: Vec<u32>,
}

impl Default for DraftLimits {
    fn default() -> Self {
        Self { ngram_min: 3, ngram_max: 8, draft_tokens_max: 15 }
    }
}

impl DraftLimits {
    /// Refuses limits outside their ranges.
    ///
    /// # Errors
    /// The first limit that is out of range, with the range.
    pub fn check(&self) -> Result<(), Error> {
        let Self { ngram_min, ngram_max, draft_tokens_max } = *self;
        let ranges = [
            ("ngram_max", ngram_max, 64),
            ("ngram_min", ngram_min, ngram_max),
            ("draft_tokens_max", draft_tokens_max, 64),
        ];
        for (name, found, most) in ranges {
            if !(1..=most).contains(&found) {
                return Err(Error::LimitOutOfRange { name, found, least: 1, most });
            }
        }
        Ok(())
    }
}

impl NgramDrafts {
    /// Drafts for a sequence that begins with `prompt`; the limits were checked.
    #[must_use]
    pub fn new(prompt: &[u32], limits: DraftLimits) -> Self {
        let (longest, shortest) = (GramIndex::new(limits.ngram_max), GramIndex::new(limits.ngram_min));
        let mut drafts = Self { limits, text: prompt.to_vec(), longest, shortest, matched_tokens: 0 };
        drafts.longest.insert_all(prompt);
        drafts.shortest.insert_all(prompt);
        drafts
    }

    /// Bytes of memory in use.
    #[must_use]
    pub fn bytes(&self) -> usize {
        4 * self.text.capacity() + self.longest.bytes() + self.shortest.bytes()
    }

    /// Where the text went on like this before: the position behind the match, and how many tokens agree.
    fn follow(&self) -> Option<(usize, usize)> {
        let DraftLimits { ngram_min, ngram_max, draft_tokens_max: _ } = self.limits;
        let agree = |end: usize| agreement(&self.text, end, ngram_max);
        let mut longest = self.longest.older(self.text.len()).take(STEPS_MAX);
        if let Some(end) = longest.find(|&end| agree(end) == ngram_max) {
            return Some((end, ngram_max));
        }
        let candidates = self.shortest.older(self.text.len()).take(STEPS_MAX).map(|end| (end, agree(end)));
        let candidates = candidates.filter(|&(_, agreeing)| agreeing >= ngram_min).take(CANDIDATES_MAX);
        candidates.reduce(|best, next| if next.1 > best.1 { next } else { best })
    }
}

impl DraftSource for NgramDrafts {
    fn push(&mut self, id: u32) {
        self.text.push(id);
        self.longest.insert_newest(&self.text);
        self.shortest.insert_newest(&self.text);
    }

    /// What followed the longest match of the text's end, at most `ngram_max` tokens long; of equal ones the newest. Where
    /// this runs into the end of the text it goes on by following itself, so that a text that repeats itself is
    /// continued for as long as asked.
    fn propose(&mut self, most: usize, out: &mut Vec<u32>) {
        out.clear();
        let Some((from, matched_tokens)) = self.follow() else {
            self.matched_tokens = 0;
            return;
        };
        self.matched_tokens = matched_tokens;
        let copied = &self.text[from..];
        for index in 0..most.min(self.limits.draft_tokens_max) {
            // The match lies before the end, so there is at least one token to copy.
            let id = copied.get(index).copied().unwrap_or_else(|| out[index - copied.len()]);
            out.push(id);
        }
    }

    fn matched_tokens(&self) -> usize {
        self.matched_tokens
    }
}

impl GramIndex {
    fn new(gram_tokens: usize) -> Self {
        Self { gram_tokens, heads: vec![NOWHERE; HEADS_MIN], previous: Vec::new() }
    }

    fn bytes(&self) -> usize {
        4 * (self.heads.capacity() + self.previous.capacity())
    }

    /// Makes every chain anew, in a table that has room for `text`.
    fn insert_all(&mut self, text: &[u32]) {
        let slots = (text.len() + 1).next_power_of_two().max(HEADS_MIN);
        self.heads.clear();
        self.heads.resize(slots, NOWHERE);
        self.previous.clear();
        self.previous.reserve(text.len());
        for gram in text.windows(self.gram_tokens) {
            self.insert(gram);
        }
    }

    /// Inserts the n-gram that the newest token completes.
    fn insert_newest(&mut self, text: &[u32]) {
        if text.len() > self.heads.len() {
            self.insert_all(text);
        } else if text.len() >= self.gram_tokens {
            self.insert(&text[text.len() - self.gram_tokens..]);
        }
    }

    fn insert(&mut self, gram: &[u32]) {
        let position = self.previous.len() as u32;
        assert!(position < NOWHERE, "a context has fewer tokens than a position can count");
        let slot = hash(gram) & (self.heads.len() - 1);
        let head = &mut self.heads[slot];
        self.previous.push(*head);
        *head = position;
    }

    /// Ends of older n-grams with the hash of the one at the text's end, the newest first.
    fn older(&self, text_tokens: usize) -> impl Iterator<Item = usize> {
        let newest = text_tokens.checked_sub(self.gram_tokens).map_or(NOWHERE, |position| position as u32);
        let chain = std::iter::successors(Some(newest), |&position| self.previous.get(position as usize).copied());
        chain.skip(1).take_while(|&position| position != NOWHERE).map(|position| position as usize + self.gram_tokens)
    }
}

/// How many tokens before `end` equal those at the end of the text, `most` at most.
fn agreement(text: &[u32], end: usize, most: usize) -> usize {
    let pairs = text[..end].iter().rev().zip(text.iter().rev());
    pairs.take(most).take_while(|(older, newer)| older == newer).count()
}

/// Multiplies and folds: high bits of the product depend on every bit of both factors (the step of wyhash).
fn hash(gram: &[u32]) -> usize {
    let fold = |state: u64, &id: &u32| {
        let product = u128::from(state ^ u64::from(id)) * 0xE703_7ED1_A0B4_28DB;
        (product as u64) ^ ((product >> 64) as u64)
    };
    gram.iter().fold(0x8EBC_6AF0_9C88_C6E3, fold) as usize
}
