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
}

impl Dictation {
    pub(super) fn set(&self, text: Option<Vec<u32>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}

impl Dictated {
    pub(super) fn new(inner: Box<dyn Model>, dictation: Dictation) -> Self {
        Self { inner, dictation }
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
        let dictation = self.dictation.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(text) = dictation.as_deref() else { return Ok(()) };
        let mut rows = logits.chunks_exact_mut(self.inner.config().vocabulary_size);
        for span in batch {
            let end = self.inner.sequence_length(span.sequence);
            let count = span.logit_rows();
            for (position, row) in (end + 1 - count..=end).zip(&mut rows) {
                if let Some(logit) = text.get(position).and_then(|&id| row.get_mut(id as usize)) {
                    *logit = DICTATED_LOGIT;
                }
            }
        }
        Ok(())
    }
}
