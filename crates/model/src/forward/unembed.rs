//! The end of a forward pass: the wanted rows, normalised, times the unembedding. It must not know sequences.

use std::ops::Range;

use kernels::{Backend, Choice};

use super::GptOss;

/// Rows that are unembedded at a time, so that the scores of a large vocabulary stay small.
const UNEMBED_ROWS: usize = 64;

impl<B: Backend> GptOss<B> {
    /// Picks rows of the residual and normalises them.
    fn end(&mut self, rows: Range<usize>) {
        let (backend, work) = (&self.backend, &mut self.work);
        backend.gather(&work.residual, &work.wanted[rows], &mut work.scratch);
        backend.rms_norm(&work.scratch, &self.final_norm, self.config.rms_norm_epsilon, &mut work.normed);
    }

    /// Unembeds the wanted rows, in parts.
    pub(super) fn unembed(&mut self, logits: &mut Vec<f32>) {
        let wanted = self.work.wanted.len();
        logits.reserve(wanted * self.config.vocabulary_size);
        for first in (0..wanted).step_by(UNEMBED_ROWS) {
            let rows = first..(first + UNEMBED_ROWS).min(wanted);
            self.end(rows.clone());
            let (backend, work) = (&self.backend, &mut self.work);
            let choices: Option<Vec<Choice>> = work.choices[rows.clone()].iter().copied().collect();
            let are_all = match choices {
                Some(choices) => backend.choosable(&self.unembedding, &work.normed, &choices, &mut work.scratch),
                None => {
                    backend.linear(&self.unembedding, &work.normed, &mut work.scratch);
                    true
                }
            };
            if are_all {
                work.choices[rows].fill(None);
            }
            backend.read(&work.scratch, logits);
        }
    }

    /// All logits of one of the wanted rows, if it has others yet.
    pub(super) fn unembed_row(&mut self, row: usize, logits: &mut [f32]) {
        if self.work.choices[row].is_none() {
            return;
        }
        self.end(row..row + 1);
        let (backend, work) = (&self.backend, &mut self.work);
        backend.linear(&self.unembedding, &work.normed, &mut work.scratch);
        let mut all = Vec::with_capacity(logits.len());
        backend.read(&work.scratch, &mut all);
        logits.copy_from_slice(&all);
    }
}
