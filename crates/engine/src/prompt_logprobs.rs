//! How likely a job's prompt is: which rows of logits that takes, and what was told of it. It must not know models or other jobs.
//!
//! The row behind a token says how likely the next one is, so a prompt of n tokens takes n − 1 rows; the row behind its last token is
//! the sampler's. Rows are told as they come, so whoever is set back while its prompt is read goes on where it was.

use crate::sampler::{Distribution, PromptLogprob};

/// What one job wants to know of its prompt.
pub(crate) struct PromptLogprobs {
    /// Most likely tokens per token.
    alternatives: usize,
    /// Of the prompt's tokens the first so many were told.
    told: usize,
}

impl PromptLogprobs {
    pub(crate) fn new(alternatives: usize) -> Self {
        Self { alternatives, told: 0 }
    }

    /// The first position whose row is still needed; nothing when none is.
    pub(crate) fn next_row(&self, prompt_tokens: usize) -> Option<usize> {
        let next = self.told.max(1);
        (next < prompt_tokens).then(|| next - 1)
    }

    /// What follows from further rows `[rows, vocabulary]`, each the one of [`Self::next_row`], and what needs none: the first token.
    pub(crate) fn tell(&mut self, prompt: &[u32], rows: &[f32], vocabulary_size: usize) -> Vec<PromptLogprob> {
        let mut pieces = Vec::new();
        if self.told == 0 {
            pieces.push(PromptLogprob { id: prompt[0], logprob: None, top: Vec::new() });
            self.told = 1;
        }
        for row in rows.chunks_exact(vocabulary_size) {
            pieces.push(Distribution::of(row).tell(row, prompt[self.told], self.alternatives));
            self.told += 1;
        }
        pieces
    }
}
