//! A stand-in for a model that says what a test tells it to say and refuses what a real one refuses. It must not know text.
//!
//! Its keys and values are the tokens themselves, in blocks that are shared, counted and forgotten as a real model's are, with one
//! full and one sliding layer. One that [remembers](Scripted::remembering) says a token that depends on every token it holds, so
//! whoever gives it a wrong page hears it.

mod noise;

use std::collections::VecDeque;
use std::sync::Arc;

use kernels::Choice;

use crate::config::{AttentionKind, ModelConfig, Rope};
use crate::error::Error;
use crate::model::{Model, SequenceId, Span, Wanted};
use crate::pages::{KvShape, PageId};
use noise::Noise;

/// Logit of the token that is said; all others are zero.
const SCRIPTED_LOGIT: f32 = 100.0;

/// A model whose n-th wanted logits (per sequence) point at the n-th token of a script, and then at its last token for ever; or at a
/// token that follows from all that the sequence holds.
pub struct Scripted {
    config: ModelConfig,
    saying: Saying,
    block_positions: usize,
    sequences: Vec<Option<Sequence>>,
    pages: Vec<Option<Block>>,
    /// The logits of the last pass, before any was spoilt.
    last: Vec<f32>,
    /// Held by every block.
    counter: Arc<()>,
}

/// What a scripted model says.
enum Saying {
    /// A token that depends on all that are held.
    Remembered,
    /// The script, token after token.
    Script(Vec<u32>),
    /// What a rule says to the tokens so far.
    Rule(Rule),
    /// Nothing that means anything.
    Noise(Noise),
}

/// From all the tokens of a sequence to the one that follows.
type Rule = Box<dyn Fn(&[u32]) -> u32 + Send>;

/// The tokens of a block. Clones share it.
type Block = Arc<(Vec<u32>, Arc<()>)>;

#[derive(Default)]
struct Sequence {
    /// Tokens held.
    length: usize,
    /// Tokens of the last span.
    appended: usize,
    /// Tokens of the script given.
    said: usize,
    full: Vec<Block>,
    sliding: VecDeque<Block>,
    /// Blocks that the sliding layer has forgotten.
    forgotten: usize,
}

impl Scripted {
    /// A model of the given shape that says `script`.
    ///
    /// # Panics
    /// When the script is empty or leaves the vocabulary: our bug, it is written by a test.
    #[must_use]
    pub fn new(config: ModelConfig, script: Vec<u32>) -> Self {
        assert!(!script.is_empty() && script.iter().all(|&id| (id as usize) < config.vocabulary_size));
        Self { saying: Saying::Script(script), ..Self::remembering(config) }
    }

    /// A model that says what a rule makes of all the tokens before, so that it may answer one prompt otherwise than another. Ids
    /// outside the vocabulary are taken modulo its size.
    #[must_use]
    pub fn following(config: ModelConfig, rule: impl Fn(&[u32]) -> u32 + Send + 'static) -> Self {
        Self { saying: Saying::Rule(Box::new(rule)), ..Self::remembering(config) }
    }

    /// A model like one with random weights: logits of a standard deviation of 2 that depend on the seed, the place and the tokens
    /// before, to which `favours` adds for some tokens, so that messages end.
    #[must_use]
    pub fn noisy(config: ModelConfig, seed: u64, favours: Vec<(u32, f32)>) -> Self {
        Self { saying: Saying::Noise(Noise { seed, favours }), ..Self::remembering(config) }
    }

    /// A model that says what follows from all the tokens it holds.
    #[must_use]
    pub fn remembering(config: ModelConfig) -> Self {
        let (sequences, pages) = (Vec::new(), Vec::new());
        let (last, counter) = (Vec::new(), Arc::default());
        Self { config, saying: Saying::Remembered, block_positions: 64, sequences, pages, last, counter }
    }

    /// The smallest shape that a model can have, with a window of one token.
    #[must_use]
    pub fn shape(vocabulary_size: usize, context_length: usize) -> ModelConfig {
        ModelConfig {
            vocabulary_size,
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
            context_length,
        }
    }

    /// The same with blocks of another size.
    #[must_use]
    pub fn with_blocks_of(self, block_positions: usize) -> Self {
        Self { block_positions, ..self }
    }

    fn sequence(&self, id: SequenceId) -> &Sequence {
        self.sequences[id.0].as_ref().expect("the sequence is open")
    }

    fn insert(&mut self, sequence: Sequence) -> SequenceId {
        let free = self.sequences.iter().position(Option::is_none).unwrap_or(self.sequences.len());
        if free == self.sequences.len() {
            self.sequences.push(None);
        }
        self.sequences[free] = Some(sequence);
        SequenceId(free)
    }

    fn keep(&mut self, block: Block) -> PageId {
        let free = self.pages.iter().position(Option::is_none).unwrap_or(self.pages.len());
        if free == self.pages.len() {
            self.pages.push(None);
        }
        self.pages[free] = Some(block);
        PageId(free)
    }

    fn page(&self, id: PageId) -> &Block {
        self.pages[id.0].as_ref().expect("the page is kept")
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

impl Sequence {
    /// Forgets what the window has passed.
    fn forget(&mut self, block_positions: usize, window: usize) {
        let keep_from = (self.length + 1).saturating_sub(window) / block_positions;
        while self.forgotten < keep_from {
            self.sliding.pop_front();
            self.forgotten += 1;
        }
    }

    /// Forgets and appends, as a real cache does.
    fn append(&mut self, ids: &[u32], block_positions: usize, window: usize, counter: &Arc<()>) {
        self.forget(block_positions, window);
        for (position, &id) in (self.length..).zip(ids) {
            let index = position / block_positions;
            let new = || Arc::new((Vec::new(), Arc::clone(counter)));
            if index == self.full.len() {
                self.full.push(new());
                self.sliding.push_back(new());
            }
            Arc::make_mut(&mut self.full[index]).0.push(id);
            Arc::make_mut(&mut self.sliding[index - self.forgotten]).0.push(id);
        }
        self.length += ids.len();
        self.appended = ids.len();
    }

    /// What follows the first `length` tokens: mostly the token before the last seven, so that texts repeat themselves for a
    /// while, and now and then something new.
    fn answer(&self, length: usize, block_positions: usize, window: usize) -> u64 {
        let said = self.said_by(length, block_positions, window);
        match length.checked_sub(8) {
            Some(back) if !said.is_multiple_of(8) => {
                u64::from(self.full[back / block_positions].0[back % block_positions])
            }
            _ => said >> 3,
        }
    }

    /// The first `length` tokens.
    fn tokens(&self, length: usize, block_positions: usize) -> Vec<u32> {
        (0..length).map(|position| self.full[position / block_positions].0[position % block_positions]).collect()
    }

    /// A number for the first `length` tokens, as both layers remember them (FNV-1a).
    fn said_by(&self, length: usize, block_positions: usize, window: usize) -> u64 {
        let at = |block: &Block, position: usize| u64::from(block.0[position % block_positions]);
        let full = (0..length).map(|position| at(&self.full[position / block_positions], position));
        let seen = length.saturating_sub(window)..length;
        let sliding = seen.map(|position| at(&self.sliding[position / block_positions - self.forgotten], position));
        let hash =
            full.chain(sliding).fold(0xcbf2_9ce4_8422_2325_u64, |hash, id| (hash ^ id).wrapping_mul(0x0100_0000_01b3));
        // The lowest bits know the lowest bits of the tokens alone.
        hash >> 29
    }
}

impl Model for Scripted {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn describe(&self) -> String {
        "a script".to_owned()
    }

    fn open_sequence(&mut self) -> SequenceId {
        self.insert(Sequence::default())
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

    fn kv_shape(&self) -> KvShape {
        KvShape {
            block_positions: self.block_positions,
            block_bytes: 4 * self.block_positions,
            full_layers: 1,
            sliding_layers: 1,
            window: self.config.sliding_window,
            kind: "scripted".into(),
        }
    }

    fn kv_blocks_in_use(&self) -> usize {
        Arc::strong_count(&self.counter) - 1
    }

    fn keep_page(&mut self, id: SequenceId, kind: AttentionKind, index: usize) -> Option<PageId> {
        let sequence = self.sequence(id);
        if (index + 1) * self.block_positions > sequence.length {
            return None;
        }
        let block = match kind {
            AttentionKind::Full => &sequence.full[index],
            AttentionKind::Sliding => sequence.sliding.get(index.checked_sub(sequence.forgotten)?)?,
        };
        let block = Arc::clone(block);
        Some(self.keep(block))
    }

    fn drop_page(&mut self, page: PageId) {
        assert!(self.pages[page.0].take().is_some(), "a page is dropped once");
    }

    fn open_from(&mut self, full: &[PageId], sliding: &[PageId]) -> SequenceId {
        let length = full.len() * self.block_positions;
        assert_eq!(sliding.len(), self.kv_shape().window_blocks(length), "the window is whole");
        let blocks = |pages: &[PageId]| pages.iter().map(|&page| Arc::clone(self.page(page))).collect::<Vec<Block>>();
        let (forgotten, full, sliding) = (full.len() - sliding.len(), blocks(full), blocks(sliding).into());
        self.insert(Sequence { length, appended: 0, said: 0, full, sliding, forgotten })
    }

    fn forget(&mut self, id: SequenceId) {
        let (block_positions, window) = (self.block_positions, self.config.sliding_window);
        let sequence = self.sequences[id.0].as_mut().expect("the sequence is open");
        sequence.appended = 0;
        sequence.forget(block_positions, window);
    }

    fn truncate(&mut self, id: SequenceId, length: usize) {
        let block_positions = self.block_positions;
        let sequence = self.sequences[id.0].as_mut().expect("the sequence is open");
        let taken = sequence.length.checked_sub(length).expect("a sequence gets no longer");
        sequence.appended = sequence.appended.checked_sub(taken).expect("only the last span can be taken back");
        sequence.length = length;
        let blocks = length.div_ceil(block_positions);
        sequence.full.truncate(blocks);
        sequence.sliding.truncate(blocks - sequence.forgotten);
        let rest = length - (blocks.max(1) - 1) * block_positions;
        let last = sequence.full.last_mut().into_iter().chain(sequence.sliding.back_mut());
        last.for_each(|block| Arc::make_mut(block).0.truncate(rest));
    }

    fn write_page(&self, page: PageId, out: &mut Vec<u8>) {
        out.extend(self.page(page).0.iter().flat_map(|id| id.to_le_bytes()));
    }

    fn read_page(&mut self, _kind: AttentionKind, bytes: &[u8]) -> Option<PageId> {
        let (ids, rest) = bytes.as_chunks::<4>();
        if ids.len() != self.block_positions || !rest.is_empty() {
            return None;
        }
        let ids = ids.iter().map(|&id| u32::from_le_bytes(id)).collect();
        let block = Arc::new((ids, Arc::clone(&self.counter)));
        Some(self.keep(block))
    }

    fn forward(&mut self, batch: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), Error> {
        self.check(batch)?;
        logits.clear();
        self.last.clear();
        let (block_positions, window) = (self.block_positions, self.config.sliding_window);
        for span in batch {
            let sequence = self.sequences[span.sequence.0].as_mut().expect("the sequence is open");
            sequence.append(span.ids, block_positions, window, &self.counter);
            let rows = span.logit_rows();
            let first = logits.len();
            for length in sequence.length + 1 - rows..=sequence.length {
                let start = logits.len();
                logits.resize(start + self.config.vocabulary_size, 0.0);
                let token = match &self.saying {
                    Saying::Noise(noise) => {
                        noise.fill(length, sequence.said_by(length, block_positions, window), &mut logits[start..]);
                        continue;
                    }
                    Saying::Remembered => sequence.answer(length, block_positions, window),
                    Saying::Script(script) => u64::from(script[sequence.said.min(script.len() - 1)]),
                    Saying::Rule(rule) => u64::from(rule(&sequence.tokens(length, block_positions))),
                };
                let token = token % self.config.vocabulary_size as u64;
                sequence.said += 1;
                logits[start + token as usize] = SCRIPTED_LOGIT;
            }
            self.last.extend_from_slice(&logits[first..]);
            if let Wanted::Chosen { choice, .. } = span.wanted {
                for (draws, row) in logits[first..].chunks_exact_mut(self.config.vocabulary_size).enumerate() {
                    spoil(row, choice.later(draws));
                }
            }
        }
        Ok(())
    }

    fn complete(&mut self, row: usize, logits: &mut [f32]) {
        logits.copy_from_slice(&self.last[row * self.config.vocabulary_size..][..self.config.vocabulary_size]);
    }
}

/// Leaves nothing right that is not chosen, so that whoever asked for a choice only can use no more than that.
fn spoil(row: &mut [f32], choice: Choice) {
    /// More than noise of a draw at any temperature that a test would set.
    const BELOW: f32 = 1e4;
    let Some(chosen) = choice.pick(row) else { return };
    let least = row[chosen as usize] - BELOW;
    // What was likely becomes unlikely, too.
    let others = row.iter_mut().zip(0..).filter(|&(_, id)| id != chosen);
    others.for_each(|(logit, _)| *logit = least - *logit);
}

#[cfg(test)]
mod tests;
