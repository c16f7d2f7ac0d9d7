//! A stand-in for a model that says what a test tells it to say. It must not know text.

use crate::config::ModelConfig;
use crate::error::Error;
use crate::model::{Model, SequenceId, Span, Wanted};

/// Logit of the scripted token; all others are zero.
const SCRIPTED_LOGIT: f32 = 100.0;

/// A model whose n-th wanted logits (per sequence) point at the n-th token of a script, and then at its last token for ever.
pub struct Scripted {
    config: ModelConfig,
    script: Vec<u32>,
    /// Per sequence: tokens held and script tokens given.
    sequences: Vec<(usize, usize)>,
}

impl Scripted {
    /// A model of the given shape that says `script`.
    ///
    /// # Panics
    /// When the script is empty or leaves the vocabulary: our bug, it is written by a test.
    #[must_use]
    pub fn new(config: ModelConfig, script: Vec<u32>) -> Self {
        assert!(!script.is_empty() && script.iter().all(|&id| (id as usize) < config.vocabulary_size));
        Self { config, script, sequences: Vec::new() }
    }
}

impl Model for Scripted {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn open_sequence(&mut self) -> SequenceId {
        self.sequences.push((0, 0));
        SequenceId(self.sequences.len() - 1)
    }

    fn close_sequence(&mut self, id: SequenceId) {
        self.sequences[id.0] = (0, 0);
    }

    fn sequence_length(&self, id: SequenceId) -> usize {
        self.sequences[id.0].0
    }

    fn sequence_bytes(&self, _id: SequenceId) -> usize {
        0
    }

    fn forward(&mut self, batch: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), Error> {
        logits.clear();
        for span in batch {
            let (length, said) = &mut self.sequences[span.sequence.0];
            *length += span.ids.len();
            if *length > self.config.context_length {
                return Err(Error::ContextExceeded { needed: *length, context_length: self.config.context_length });
            }
            let rows = match span.wanted {
                Wanted::None => 0,
                Wanted::Last => 1,
                Wanted::All => span.ids.len(),
            };
            for _ in 0..rows {
                let token = self.script[(*said).min(self.script.len() - 1)];
                *said += 1;
                let start = logits.len();
                logits.resize(start + self.config.vocabulary_size, 0.0);
                logits[start + token as usize] = SCRIPTED_LOGIT;
            }
        }
        Ok(())
    }
}
