//! What the model itself says about a place: log probabilities before any setting. It must not know settings or sequences.

use super::scan::{for_each_above, greatest, log_sum_exp};

/// How likely a token of a prompt was.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptLogprob {
    /// The token.
    pub id: u32,
    /// Its natural log probability under the model's own logits; `None` for the first token, which follows nothing.
    pub logprob: Option<f32>,
    /// The most likely tokens at its place with theirs, most likely first; as many as the job asks for.
    pub top: Vec<(u32, f32)>,
}

/// The softmax over the finite logits of one place.
#[derive(Clone, Copy)]
pub(crate) struct Distribution {
    /// The first of the most likely tokens.
    pub(crate) greatest: u32,
    normalizer: f32,
}

impl Distribution {
    /// Of `logits` `[vocabulary]`.
    pub(crate) fn of(logits: &[f32]) -> Self {
        let greatest = greatest(logits);
        Self { greatest, normalizer: log_sum_exp(logits, logits[greatest as usize]) }
    }

    /// The natural log probability of a token with this logit.
    pub(crate) fn logprob(self, logit: f32) -> f32 {
        logit - self.normalizer
    }

    /// The `count` most likely tokens, the lower id first of equals; allocates nothing for none. `logits` are those of [`Self::of`].
    pub(crate) fn top(self, logits: &[f32], count: usize) -> Vec<(u32, f32)> {
        if count == 0 {
            return Vec::new();
        }
        // Sorted at any time; the last falls out.
        let mut best: Vec<(f32, u32)> = Vec::with_capacity(count + 1);
        for_each_above(logits, |logit, id| {
            let place = best.partition_point(|&(other, _)| other >= logit);
            best.insert(place, (logit, id));
            best.truncate(count);
            best.get(count - 1).map_or(f32::NEG_INFINITY, |&(least, _)| least)
        });
        best.into_iter().map(|(logit, id)| (id, self.logprob(logit))).collect()
    }

    /// What is told of a prompt's token at this place.
    pub(crate) fn tell(self, logits: &[f32], id: u32, count: usize) -> PromptLogprob {
        PromptLogprob { id, logprob: Some(self.logprob(logits[id as usize])), top: self.top(logits, count) }
    }
}
