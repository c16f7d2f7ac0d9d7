//! A stand-in for a model that says what a test tells it to say and refuses what a real one refuses. It must not know text.

use crate::config::ModelConfig;
use crate::error::Error;
use crate::model::{Model, SequenceId, Span, Wanted};

/// Logit of the scripted token; all others are zero.
const SCRIPTED_LOGIT: f32 = 100.0;

/// A model whose n-th wanted logits (per sequence) point at the n-th token of a script, and then at its last token for ever.
pub struct Scripted {
    config: ModelConfig,
    script: Vec<u32>,
    sequences: Vec<Option<Sequence>>,
}

#[derive(Default)]
struct Sequence {
    /// Tokens held.
    length: usize,
    /// Tokens of the script given.
    said: usize,
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

    fn sequence(&self, id: SequenceId) -> &Sequence {
        self.sequences[id.0].as_ref().expect("the sequence is open")
    }

    fn check(&self, batch: &[Span<'_>]) -> Result<(), Error> {
        let ModelConfig { vocabulary_size, context_length, .. } = self.config;
        for (index, span) in batch.iter().enumerate() {
            if span.ids.is_empty() {
                return Err(Error::EmptySpan);
            }
            if let Some(&id) = span.ids.iter().find(|&&id| id as usize >= vocabulary_size) {
                return Err(Error::TokenOutOfRange { id, vocabulary_size });
            }
            let needed = self.sequence(span.sequence).length + span.ids.len();
            if needed > context_length {
                return Err(Error::ContextExceeded { needed, context_length });
            }
            let again = batch[..index].iter().any(|other| other.sequence == span.sequence);
            assert!(!again, "one span per sequence and batch");
        }
        Ok(())
    }
}

impl Model for Scripted {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn open_sequence(&mut self) -> SequenceId {
        let free = self.sequences.iter().position(Option::is_none).unwrap_or(self.sequences.len());
        if free == self.sequences.len() {
            self.sequences.push(None);
        }
        self.sequences[free] = Some(Sequence::default());
        SequenceId(free)
    }

    fn close_sequence(&mut self, id: SequenceId) {
        self.sequences[id.0] = None;
    }

    fn sequence_length(&self, id: SequenceId) -> usize {
        self.sequence(id).length
    }

    /// As if a token's keys and values took one byte.
    fn sequence_bytes(&self, id: SequenceId) -> usize {
        self.sequence(id).length
    }

    fn forward(&mut self, batch: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), Error> {
        self.check(batch)?;
        logits.clear();
        for span in batch {
            let sequence = self.sequences[span.sequence.0].as_mut().expect("the sequence is open");
            sequence.length += span.ids.len();
            let rows = match span.wanted {
                Wanted::None => 0,
                Wanted::Last => 1,
                Wanted::All => span.ids.len(),
            };
            for _ in 0..rows {
                let token = self.script[sequence.said.min(self.script.len() - 1)];
                sequence.said += 1;
                let start = logits.len();
                logits.resize(start + self.config.vocabulary_size, 0.0);
                logits[start + token as usize] = SCRIPTED_LOGIT;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AttentionKind, Rope};

    const VOCABULARY: usize = 8;

    fn scripted(script: &[u32]) -> Scripted {
        let config = ModelConfig {
            vocabulary_size: VOCABULARY,
            hidden_size: 2,
            intermediate_size: 2,
            layers: vec![AttentionKind::Full],
            heads: 1,
            kv_heads: 1,
            head_dim: 2,
            experts: 1,
            experts_per_token: 1,
            sliding_window: 1,
            swiglu_limit: 7.0,
            rms_norm_epsilon: 1e-5,
            rope: Rope { theta: 10_000.0, yarn: None },
            context_length: 6,
        };
        Scripted::new(config, script.to_vec())
    }

    /// The greatest logit of every row.
    fn said(logits: &[f32]) -> Vec<usize> {
        let rows = logits.chunks(VOCABULARY);
        rows.map(|row| row.iter().position(|&logit| logit == SCRIPTED_LOGIT).unwrap()).collect()
    }

    #[test]
    fn the_script_goes_on_per_sequence_and_its_last_token_repeats() {
        let mut model = scripted(&[3, 1, 4]);
        let mut logits = vec![9.0];
        let (one, two) = (model.open_sequence(), model.open_sequence());
        model.forward(&[Span { sequence: one, ids: &[0, 0], wanted: Wanted::None }], &mut logits).unwrap();
        assert!(logits.is_empty());
        let batch = [
            Span { sequence: one, ids: &[7, 0], wanted: Wanted::Last },
            Span { sequence: two, ids: &[0, 0], wanted: Wanted::All },
        ];
        model.forward(&batch, &mut logits).unwrap();
        assert_eq!(said(&logits), [3, 3, 1]);
        model.forward(&[Span { sequence: two, ids: &[0, 0, 0], wanted: Wanted::All }], &mut logits).unwrap();
        assert_eq!(said(&logits), [4, 4, 4]);
        assert_eq!((model.sequence_length(one), model.sequence_length(two)), (4, 5));
        assert_eq!(model.sequence_bytes(two), 5);
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let mut model = scripted(&[3, 1]);
        let (one, two) = (model.open_sequence(), model.open_sequence());
        let good = Span { sequence: one, ids: &[0], wanted: Wanted::Last };
        let bad = |ids| [good, Span { sequence: two, ids, wanted: Wanted::Last }];
        let mut logits = vec![9.0];
        let empty = model.forward(&bad(&[]), &mut logits).unwrap_err();
        assert!(matches!(empty, Error::EmptySpan));
        let outside = model.forward(&bad(&[0, 8]), &mut logits).unwrap_err();
        assert!(matches!(outside, Error::TokenOutOfRange { id: 8, vocabulary_size: VOCABULARY }));
        let long = model.forward(&bad(&[0; 7]), &mut logits).unwrap_err();
        assert!(matches!(long, Error::ContextExceeded { needed: 7, context_length: 6 }));
        assert_eq!((model.sequence_length(one), model.sequence_length(two), &logits[..]), (0, 0, &[9.0][..]));
        model.forward(&bad(&[0; 6]), &mut logits).unwrap();
        assert_eq!(said(&logits), [3, 3], "the script has not moved on");
    }

    #[test]
    fn a_closed_place_is_taken_again_from_the_beginning() {
        let mut model = scripted(&[3, 1]);
        let (one, two) = (model.open_sequence(), model.open_sequence());
        let mut logits = Vec::new();
        model.forward(&[Span { sequence: one, ids: &[0, 0], wanted: Wanted::Last }], &mut logits).unwrap();
        model.close_sequence(one);
        let three = model.open_sequence();
        assert_eq!((three, model.sequence_length(three)), (one, 0));
        assert_ne!(model.open_sequence(), two);
        model.forward(&[Span { sequence: three, ids: &[0], wanted: Wanted::Last }], &mut logits).unwrap();
        assert_eq!(said(&logits), [3]);
    }
}
