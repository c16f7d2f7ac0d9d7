//! The engine's work, step by step: take jobs in, give them memory, compute, choose tokens, keep prefixes. It must not know threads.

mod memory;

use std::time::Instant;

use model::{KvShape, Model, Span};

use crate::cache::PrefixCache;
use crate::draft::StepCosts;
use crate::error::Error;
use crate::generation::{Event, FinishReason, Reader};
use crate::job::{Job, Limits};
use crate::pace::Pace;
use crate::scheduler::{Budget, Row, View, plan};
use crate::sequence::Sequence;
use crate::stats::Stats;

/// Tokens on trial in a step, of all sequences together: each costs a row of logits over the whole vocabulary. While nothing is on
/// trial the same rows tell of prompts.
pub(crate) const DRAFT_ROWS_MAX: usize = 48;

/// Everything that the step thread owns.
pub(crate) struct Steps {
    model: Box<dyn Model>,
    limits: Limits,
    shape: KvShape,
    /// Blocks of keys and values that may be held.
    blocks_max: Option<usize>,
    cache: Option<PrefixCache>,
    /// In the order of arrival.
    waiting: Vec<Sequence>,
    /// In the order of their beginning.
    running: Vec<Sequence>,
    arrivals: u64,
    pace: Pace,
    /// Of steps without prompts.
    costs: StepCosts,
    /// Of the rows that wanted them, `[rows, vocabulary]`.
    logits: Vec<f32>,
    stats: Stats,
    /// Readers of jobs that ended, and what they are told once the figures show it.
    parting: Vec<(Reader, Event)>,
}

impl Steps {
    /// # Errors
    /// When the folder of the prefix cache cannot be used.
    pub(crate) fn new(model: Box<dyn Model>, limits: Limits) -> Result<Self, Error> {
        let shape = model.kv_shape();
        let blocks_max = limits.kv_bytes_max.map(|bytes| bytes / shape.block_bytes);
        let new_cache = |blocks| PrefixCache::new(shape.clone(), blocks, limits.disk.as_ref());
        let cache = blocks_max.map(new_cache).transpose()?;
        let kv_blocks_max = blocks_max.unwrap_or(0);
        let (kv_block_bytes, kv_block_tokens) = (shape.block_bytes, shape.block_positions);
        let stats = Stats { kv_blocks_max, kv_block_bytes, kv_block_tokens, ..Stats::default() };
        let (waiting, running, logits, parting) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Self {
            model,
            limits,
            shape,
            blocks_max,
            cache,
            waiting,
            running,
            arrivals: 0,
            pace: Pace::default(),
            costs: StepCosts::new(),
            logits,
            stats,
            parting,
        })
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Takes a job in, which was checked.
    pub(crate) fn submit(&mut self, job: Job, reader: Reader, now: Instant) {
        self.arrivals += 1;
        self.stats.submitted += 1;
        self.waiting.push(Sequence::new(self.arrivals, job, reader, now));
    }

    /// Parts with jobs that end without a step, and lets others begin.
    pub(crate) fn prepare(&mut self, now: Instant) {
        self.part_with_those_who_end(now);
        self.admit(now);
    }

    /// Computes the next step of those that have begun.
    pub(crate) fn step(&mut self, now: Instant) {
        self.prepare_drafts();
        let views: Vec<View> = self.running.iter().map(Sequence::view).collect();
        let shared = self.pace.shared_tokens(self.limits.shared_chunk, self.limits.chunk_tokens);
        let rows = plan(&views, Budget { alone: self.limits.chunk_tokens, shared, rows: DRAFT_ROWS_MAX });
        let rows = self.make_room(rows, now);
        if !rows.is_empty() {
            self.compute(&rows);
        }
    }

    /// Decides who tries how many tokens. Beside prompts nobody does: a step is long enough then.
    fn prepare_drafts(&mut self) {
        let views = self.running.iter().map(Sequence::view);
        let rows: Option<usize> = views.map(|view| view.is_generating.then_some(view.unread)).sum();
        let mut left = DRAFT_ROWS_MAX;
        for sequence in &mut self.running {
            let other_rows = rows.map(|rows| rows.saturating_sub(1));
            sequence.prepare_draft(&self.costs, other_rows, (self.limits.context_tokens, left));
            left -= sequence.draft().len();
        }
    }

    /// Ends every job: the engine is being dropped.
    pub(crate) fn cancel_all(&mut self, now: Instant) {
        for sequence in self.running.drain(..).chain(self.waiting.drain(..)).collect::<Vec<_>>() {
            self.finish(sequence, FinishReason::Cancelled, now);
        }
    }

    /// Waits until all that was kept for later processes lies on the disk.
    pub(crate) fn flush(&self) {
        self.cache.iter().for_each(PrefixCache::flush);
    }

    /// What was done so far. The prefix cache counts its nodes for that, so it is asked once per step only.
    pub(crate) fn stats(&self) -> Stats {
        let cache = self.cache.as_ref().map(PrefixCache::stats).unwrap_or_default();
        Stats { cache, ..self.stats_of_jobs() }
    }

    /// The same without the prefix cache's own.
    pub(crate) fn stats_of_jobs(&self) -> Stats {
        Stats {
            queued: self.waiting.len(),
            running: self.running.len(),
            kv_blocks: self.model.kv_blocks_in_use(),
            ..self.stats.clone()
        }
    }

    /// Tells readers the end. Whoever hears of it finds it in the figures, if those are shown before.
    pub(crate) fn tell_ends(&mut self) {
        self.parting.drain(..).for_each(|(reader, event)| reader.send(event));
    }

    /// Jobs whose readers have gone, whose time is up, or that want no token.
    fn part_with_those_who_end(&mut self, now: Instant) {
        let reason = |sequence: &Sequence| {
            if sequence.reader.is_cancelled() {
                return Some(FinishReason::Cancelled);
            }
            if sequence.job.deadline.is_some_and(|deadline| deadline <= now) {
                return Some(FinishReason::Deadline);
            }
            let wants_nothing = sequence.job.tokens_max == Some(0) && sequence.job.prompt_logprobs.is_none();
            wants_nothing.then_some(FinishReason::Length)
        };
        let ended = self.running.extract_if(.., |sequence| reason(sequence).is_some());
        let mut ended: Vec<Sequence> = ended.collect();
        ended.extend(self.waiting.extract_if(.., |sequence| reason(sequence).is_some()));
        for sequence in ended {
            let reason = reason(&sequence).expect("it ends");
            self.finish(sequence, reason, now);
        }
    }

    fn finish(&mut self, mut sequence: Sequence, reason: FinishReason, now: Instant) {
        let kv_bytes = sequence.id.map_or(0, |id| self.model.sequence_bytes(id));
        self.stats.begun += u64::from(!sequence.has_begun());
        self.close(&mut sequence);
        self.stats.ended += 1;
        self.stats.ends.count(reason);
        let event = sequence.finish(reason, kv_bytes, now);
        self.parting.push((sequence.reader, event));
    }

    /// Computes rows and hands out what came of them.
    fn compute(&mut self, rows: &[Row]) {
        let began = Instant::now();
        let members: Vec<&Sequence> = rows.iter().map(|row| &self.running[self.member(row.number)]).collect();
        let inputs: Vec<Vec<u32>> = rows.iter().zip(&members).map(|(row, sequence)| sequence.input(row)).collect();
        let spans = rows.iter().zip(&members).zip(&inputs);
        let spans: Vec<Span<'_>> = spans.map(|((row, sequence), ids)| sequence.span(row, ids)).collect();
        let reading = rows.iter().zip(&members).filter(|(_, sequence)| !sequence.view().is_generating);
        let read: usize = reading.map(|(row, _)| row.tokens).sum();
        let tells = members.iter().any(|sequence| sequence.unlogged() == Some(0));
        let outcome = self.model.forward(&spans, &mut self.logits);
        let now = Instant::now();
        self.stats.steps += 1;
        self.stats.read_tokens += read as u64;
        if !tells {
            // Rows of logits would pass for the price of tokens.
            self.pace.observe(read, now - began);
        }
        if read == 0 {
            let all = rows.iter().map(|row| row.tokens + row.drafts).sum();
            self.costs.observe_step(all, (now - began).as_secs_f64());
        }
        let mut logits = std::mem::take(&mut self.logits);
        match outcome {
            // Only those that have such logits fail, if they can be told.
            Err(error) if !is_told_by(&error, &logits) => self.fail_all(error, rows),
            Ok(()) => self.hand_out(rows, (&mut logits, false), now),
            Err(_) => self.hand_out(rows, (&mut logits, true), now),
        }
        self.logits = logits;
    }

    /// Gives each row the logits that it wanted; some may be broken.
    fn hand_out(&mut self, rows: &[Row], (mut logits, some_broken): (&mut [f32], bool), now: Instant) {
        let vocabulary_size = self.model.config().vocabulary_size;
        for row in rows {
            let member = self.member(row.number);
            let (rows, prompt_rows) = (self.running[member].logit_rows(row), self.running[member].prompt_rows(row));
            let own;
            (own, logits) = logits.split_at_mut(rows * vocabulary_size);
            match own.iter().position(|logit| some_broken && !logit.is_finite()) {
                None => self.commit(member, row, own, now),
                Some(at) if at < (prompt_rows + 1) * vocabulary_size => {
                    let token = at % vocabulary_size;
                    self.fail(member, Error::Model(model::Error::NonFiniteLogits { token }));
                }
                // Behind a guess; perhaps it is never asked for.
                Some(at) => self.commit(member, row, &mut own[..at / vocabulary_size * vocabulary_size], now),
            }
        }
    }

    /// Ends all rows of a step that failed as a whole; the first is told why.
    fn fail_all(&mut self, error: model::Error, rows: &[Row]) {
        let mut error = Some(error);
        for row in rows {
            self.fail(self.member(row.number), error.take().map_or(Error::StepFailed, Error::Model));
        }
    }

    /// Takes a row's results over: tokens that are computed now, and those that were chosen after the last of them, one after another as
    /// long as they are what was tried.
    fn commit(&mut self, member: usize, row: &Row, logits: &mut [f32], now: Instant) {
        let sequence = &mut self.running[member];
        let vocabulary_size = self.model.config().vocabulary_size;
        let (prompt, mut logits) = logits.split_at_mut(sequence.prompt_rows(row) * vocabulary_size);
        sequence.advance(row.tokens);
        sequence.tell_prompt(prompt, vocabulary_size);
        let before = sequence.tokens.len();
        let (mut end, mut accepted) = (sequence.end_of_reading(), 0);
        if end.is_some() {
            logits = &mut [];
        }
        let given = logits.len() / vocabulary_size;
        for place in 0..given {
            let (own, later) = logits[place * vocabulary_size..].split_at_mut(vocabulary_size);
            let chosen = sequence.sample(own, (later, place), self.limits.context_tokens, now);
            end = chosen.end;
            self.stats.guarded += u64::from(chosen.was_guarded);
            let is_draft = sequence.draft()[..row.drafts].get(accepted) == Some(&chosen.id);
            if end.is_some() || chosen.was_guarded || !is_draft || accepted + 1 == given {
                break;
            }
            accepted += 1;
        }
        sequence.computed += accepted;
        if row.drafts > 0 && accepted < row.drafts {
            self.model.truncate(sequence.id.expect("it runs"), sequence.computed);
        }
        if !logits.is_empty() {
            sequence.observe_draft(&self.costs, accepted);
        }
        self.stats.generated_tokens += (sequence.tokens.len() - before) as u64;
        self.stats.drafted_tokens += row.drafts as u64;
        self.stats.accepted_tokens += accepted as u64;
        self.keep_prefix(member);
        self.forget(member);
        if let Some(reason) = end {
            let sequence = self.running.remove(member);
            self.finish(sequence, reason, now);
        }
    }

    /// Ends a running sequence that a step broke. What the cache has of it was computed by steps that did not fail.
    fn fail(&mut self, member: usize, error: Error) {
        let mut sequence = self.running.remove(member);
        self.close(&mut sequence);
        self.stats.ended += 1;
        self.stats.failed += 1;
        self.parting.push((sequence.reader, Event::Failed(error)));
    }

    /// Where a running sequence stands.
    fn member(&self, number: u64) -> usize {
        self.running.iter().position(|sequence| sequence.number == number).expect("it runs")
    }
}

/// Whether a failed step's logits say whose they are.
fn is_told_by(error: &model::Error, logits: &[f32]) -> bool {
    matches!(error, model::Error::NonFiniteLogits { .. }) && logits.iter().any(|logit| !logit.is_finite())
}

#[cfg(test)]
mod tests;
