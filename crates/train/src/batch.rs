//! Samples packed one after another: what the passes go over. It must not know parameters.

use crate::error::Error;
use crate::sample::Sample;

/// Documents one after another. Attention stays within a document, and each begins at position 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    /// Tokens of each document.
    pub(crate) documents: Vec<usize>,
    pub(crate) ids: Vec<u32>,
    pub(crate) positions: Vec<u32>,
    /// The rows whose next token counts.
    pub(crate) rows: Vec<u32>,
    /// By such row: the next token and its weight.
    pub(crate) targets: Vec<(u32, f32)>,
}

impl Batch {
    /// Packs samples.
    ///
    /// # Errors
    /// A sample without tokens, with another number of weights, with a weight that is no number from 0 on, or with a token
    /// outside the vocabulary.
    pub(crate) fn pack(samples: &[Sample], vocabulary_size: usize) -> Result<Self, Error> {
        let mut batch = Self::default();
        for (index, Sample { ids, weights }) in samples.iter().enumerate() {
            let wrong = |problem| Err(Error::Sample { index, problem });
            if ids.is_empty() || ids.len() != weights.len() {
                return wrong(format!("{} tokens with {} weights; give as many of each", ids.len(), weights.len()));
            }
            if let Some(id) = ids.iter().find(|&&id| id as usize >= vocabulary_size) {
                return wrong(format!("token {id} is outside the vocabulary of {vocabulary_size}"));
            }
            if let Some(weight) = weights.iter().find(|weight| !(0.0..=f32::MAX).contains(*weight)) {
                return wrong(format!("weight {weight} is not a number from 0 on"));
            }
            let first = batch.ids.len();
            for next in 1..ids.len() {
                if weights[next] > 0.0 {
                    batch.rows.push((first + next - 1) as u32);
                    batch.targets.push((ids[next], weights[next]));
                }
            }
            batch.documents.push(ids.len());
            batch.positions.extend(0..ids.len() as u32);
            batch.ids.extend_from_slice(ids);
        }
        Ok(batch)
    }

    /// Sum of the weights.
    pub(crate) fn weight(&self) -> f64 {
        self.targets.iter().map(|&(_, weight)| f64::from(weight)).sum()
    }
}
