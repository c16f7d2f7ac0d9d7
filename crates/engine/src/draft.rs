//! Guesses at the next tokens that are cheap to make, and how many of them are worth checking. It must not know the model,
//! threads or clocks: what a step took comes as seconds.
//!
//! One step computes a sequence's newest token and k draft tokens behind it as 1 + k rows. Row i gives the model's logits after
//! the newest token and the first i draft tokens. The engine draws a token from row 0 with the sequence's ordinary sampler; as
//! long as what it drew is the draft token at that place, it goes on with the next row; the first that differs, or the one
//! drawn from the last row, ends the step. All drawn tokens are committed, so a step yields one token more than drafts were
//! accepted, and the keys and values of drafts that were not drawn are dropped.
//!
//! # Why nothing more is needed for exactness
//!
//! Claim: the tokens are distributed as without drafts. By induction over the drawn tokens: row 0 follows the committed text, so
//! the first token is drawn from the distribution that the model and the sampler give after this text. If row i is used, then
//! the tokens drawn before it equal the first i draft tokens, so row i follows exactly the text that is now committed, and its
//! token too is drawn from the distribution after that text. The draft only decides how many rows can be used, never which
//! token is drawn from a row. Since the sampler draws one number per token, even the same tokens come out, if a row's logits
//! don't depend on the rows beside it.
//!
//! This is the rule of speculative sampling (arXiv 2211.17192) for a draft q that is certain of its token d: d is accepted with
//! probability min(1, p(d) / q(d)) = p(d), otherwise another token is drawn from p without d. Drawing from p and comparing
//! with d does both at once. A draft that is itself drawn by chance needs the general rule.

mod costs;
mod ngrams;
mod pace;

pub use costs::StepCosts;
pub use ngrams::{DraftLimits, NgramDrafts};
pub use pace::{DraftOutcome, DraftPace, DraftSituation};

/// Whatever guesses the next tokens of one sequence.
///
/// A trained head (EAGLE-3, arXiv 2503.01840) predicts from the model's own hidden states, which it is given through
/// [`DraftSource::observe`] after every step; n-grams need the tokens only.
pub trait DraftSource {
    /// Takes a committed token: every token of the sequence once, in order.
    fn push(&mut self, id: u32);

    /// Replaces `out` by at most `most` guesses at the tokens that follow; none when there is nothing to go by.
    fn propose(&mut self, most: usize, out: &mut Vec<u32>);

    /// Committed tokens that the last proposal rests on: how far the text agreed with the place it was copied from, 0 for an
    /// empty proposal. A source that always goes by the whole text says `usize::MAX`.
    fn matched_tokens(&self) -> usize;

    /// Takes the hidden states of the tokens that were committed since the last call.
    fn observe(&mut self, _hidden: HiddenStates<'_>) {}
}

/// What a draft head sees of the model.
#[derive(Clone, Copy, Debug)]
pub struct HiddenStates<'a> {
    /// The layers whose outputs these are: a low, a middle and a high one.
    pub layers: [usize; 3],
    /// `[tokens, 3, hidden]`, the outputs of these layers before any norm.
    pub rows: &'a [f32],
}
