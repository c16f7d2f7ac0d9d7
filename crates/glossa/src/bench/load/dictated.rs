//! A model whose words are dictated: it computes everything as ever, and then the next token of a given text stands far above all
//! others. It must not know why.
//!
//! Random weights say nothing that hangs together, so what drafts of several tokens gain on real text cannot be seen on them
//! alone. What a step costs can: it is the same whatever the logits are.

use std::sync::{Arc, Mutex, PoisonError};

use model::{Error, Model, PageId, SequenceId, Span};

/// Far above what any model says.
const DICTATED_LOGIT: f32 = 1e4;

/// What is dictated to every sequence: prompt and answer; nothing lets the model say what it likes.
#[derive(Clone, Default)]
pub(super) struct Dictation(Arc<Mutex<Option<Vec<u32>>>>);

/// A model that is dictated to.
pub(super) struct Dictated {
    inner: Box<dyn Model>,
    dictation: Dictation,
    /// What was dictated for each row of the last pass.
    said: Vec<Option<u32>>,
}

impl Dictation {
    pub(super) fn set(&self, text: Option<Vec<u32>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}

impl Dictated {
    pub(super) fn new(inner: Box<dyn Model>, dictation: Dictation) -> Self {
        Self { inner, dictation, said: Vec::new() }
    }
}

impl Model for Dictated {
    model::hand_memory_to_inner!();

    fn open_sequence(&mut self) -> SequenceId {
        self.inner.open_sequence()
    }

    fn close_sequence(&mut self, id: SequenceId) {
        self.inner.close_sequence(id);
    }

    fn open_from(&mut self, full: &[PageId], sliding: &[PageId]) -> SequenceId {
        self.inner.open_from(full, sliding)
    }

    fn forward(&mut self, batch: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), Error> {
        self.inner.forward(batch, logits)?;
        let vocabulary_size = self.inner.config().vocabulary_size;
        self.said.clear();
        let dictation = self.dictation.0.lock().unwrap_or_else(PoisonError::into_inner);
        for span in batch {
            let end = self.inner.sequence_length(span.sequence);
            let places = end + 1 - span.logit_rows()..=end;
            let said =
                |position| dictation.as_ref()?.get(position).copied().filter(|&id| (id as usize) < vocabulary_size);
            self.said.extend(places.map(said));
        }
        for (said, row) in self.said.iter().zip(logits.chunks_exact_mut(vocabulary_size)) {
            said.iter().for_each(|&id| row[id as usize] = DICTATED_LOGIT);
        }
        Ok(())
    }

    fn complete(&mut self, row: usize, logits: &mut [f32]) {
        self.inner.complete(row, logits);
        self.said[row].iter().for_each(|&id| logits[id as usize] = DICTATED_LOGIT);
    }
}
