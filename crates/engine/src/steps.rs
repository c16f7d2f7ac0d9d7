//! The engine's work, step by step: take jobs in, give them memory, compute, choose tokens, keep prefixes. It must not know threads.

mod late;
mod memory;
mod outcome;

use std::time::{Duration, Instant};

use model::{KvShape, Model};

use crate::cache::PrefixCache;
use crate::draft::StepCosts;
use crate::error::Error;
use crate::generation::{Event, FinishReason, Reader};
use crate::job::{Job, Limits};
use crate::masks::Masks;
use crate::pace::Pace;
use crate::scheduler::{Budget, View, plan};
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
    masks: Masks,
    /// A step waits at least so long for masks.
    grace_min: Duration,
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
        let masks = Masks::new(model.config().vocabulary_size);
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
            masks,
            grace_min: late::GRACE_MIN,
            stats,
            parting,
        })
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Takes a job in, which was checked.
    pub(crate) fn submit(&mut self, mut job: Job, reader: Reader, now: Instant) {
        self.arrivals += 1;
        self.stats.submitted += 1;
        if job.sampling.top_k >= self.model.config().vocabulary_size {
            // As many as there are is no bound, and need not be paid for as one.
            job.sampling.top_k = 0;
        }
        self.waiting.push(Sequence::new(self.arrivals, job, reader, now));
    }

    /// Parts with jobs that end without a step, and lets others begin.
    pub(crate) fn prepare(&mut self, now: Instant) {
        self.part_with_those_who_end(now);
        self.admit(now);
    }

    /// Computes the next step of those that have begun. Where all of them wait for masks, it waits a little with them.
    pub(crate) fn step(&mut self, now: Instant) {
        self.choose_late(now);
        self.prepare_drafts();
        let views: Vec<View> = self.readers().map(Sequence::view).collect();
        let shared = self.pace.shared_tokens(self.limits.shared_chunk, self.limits.chunk_tokens);
        let rows = plan(&views, Budget { alone: self.limits.chunk_tokens, shared, rows: DRAFT_ROWS_MAX });
        let rows = self.make_room(rows, now);
        if !rows.is_empty() {
            self.compute(&rows);
        } else {
            self.wait_for_late();
        }
    }

    /// Those that have something to compute.
    fn readers(&self) -> impl Iterator<Item = &Sequence> {
        self.running.iter().filter(|sequence| !sequence.is_late())
    }

    /// Decides who tries how many tokens. Beside prompts nobody does: a step is long enough then.
    fn prepare_drafts(&mut self) {
        let views = self.readers().map(Sequence::view);
        let rows: Option<usize> = views.map(|view| view.is_generating.then_some(view.unread)).sum();
        let mut left = DRAFT_ROWS_MAX;
        for sequence in &mut self.running {
            let other_rows = rows.map(|rows| rows.saturating_sub(1));
            sequence.prepare_draft(&self.costs, other_rows, (self.limits.context_tokens, left));
            left -= sequence.draft().len();
        }
    }

    /// Ends every job: the engine is being dropped. What was on its way from the disk is not read any further.
    pub(crate) fn cancel_all(&mut self, now: Instant) {
        self.cache.iter_mut().for_each(PrefixCache::stop_fetching);
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

    /// Where a running sequence stands.
    fn member(&self, number: u64) -> usize {
        self.running.iter().position(|sequence| sequence.number == number).expect("it runs")
    }
}

#[cfg(test)]
mod tests;
