//! One job on its way: the tokens it holds, what was computed of them, and how it ends. It must not know other jobs.

use std::time::Instant;

use model::SequenceId;

use crate::cache::Path;
use crate::generation::{Event, Finish, FinishReason, Reader};
use crate::job::Job;
use crate::sampler::{Sampled, Sampler};
use crate::scheduler::View;

/// Tokens that a generating sequence may have to compute at once: the one it sampled, and what was forced upon it.
const GENERATING_UNREAD_MAX: usize = 32;

/// A job that waits or runs.
pub(crate) struct Sequence {
    /// In the order of arrival.
    pub(crate) number: u64,
    pub(crate) job: Job,
    pub(crate) reader: Reader,
    /// Prompt and output.
    pub(crate) tokens: Vec<u32>,
    pub(crate) prompt_tokens: usize,
    /// Of the tokens the first so many are in the model's cache.
    pub(crate) computed: usize,
    /// While it runs.
    pub(crate) id: Option<SequenceId>,
    pub(crate) path: Path,
    /// Of the prompt, what the prefix cache gave when it was first looked up.
    pub(crate) cached_tokens: Option<usize>,
    sampler: Sampler,
    submitted: Instant,
    started: Option<Instant>,
    first_at: Option<Instant>,
    last_at: Option<Instant>,
}

impl Sequence {
    pub(crate) fn new(number: u64, mut job: Job, reader: Reader, now: Instant) -> Self {
        let tokens = std::mem::take(&mut job.prompt);
        Self {
            number,
            sampler: Sampler::new(job.sampling.clone(), &tokens),
            job,
            reader,
            prompt_tokens: tokens.len(),
            tokens,
            computed: 0,
            id: None,
            path: Path::default(),
            cached_tokens: None,
            submitted: now,
            started: None,
            first_at: None,
            last_at: None,
        }
    }

    /// Lower goes first.
    pub(crate) fn place(&self) -> u64 {
        self.job.priority.place(self.number)
    }

    /// Whether it ever left the queue.
    pub(crate) fn has_begun(&self) -> bool {
        self.started.is_some()
    }

    pub(crate) fn generated(&self) -> usize {
        self.tokens.len() - self.prompt_tokens
    }

    pub(crate) fn unread(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// As the planner sees it.
    pub(crate) fn view(&self) -> View {
        let unread = self.unread();
        let is_generating = self.generated() > 0 && unread <= GENERATING_UNREAD_MAX;
        View { number: self.number, place: self.place(), unread, is_generating, drafts: 0 }
    }

    /// It begins to run, `found` tokens being computed already.
    pub(crate) fn start(&mut self, id: SequenceId, found: usize, now: Instant) {
        self.id = Some(id);
        self.computed = found;
        self.started.get_or_insert(now);
        if self.cached_tokens.is_none() {
            self.cached_tokens = Some(found);
            if found > 0 {
                self.reader.send(Event::PromptRead { done: found, total: self.prompt_tokens });
            }
        }
    }

    /// Tokens were computed; the reader hears of those that are the prompt's.
    pub(crate) fn advance(&mut self, tokens: usize) {
        let before = self.computed.min(self.prompt_tokens);
        self.computed += tokens;
        let done = self.computed.min(self.prompt_tokens);
        if done > before && self.generated() == 0 {
            self.reader.send(Event::PromptRead { done, total: self.prompt_tokens });
        }
    }

    /// Chooses the next token by the model's logits `[vocabulary]`, which are changed.
    pub(crate) fn sample(&mut self, logits: &mut [f32], now: Instant) -> u32 {
        let sampled = self.sampler.sample(logits);
        self.push(sampled, now);
        sampled.id
    }

    fn push(&mut self, token: Sampled, now: Instant) {
        self.first_at.get_or_insert(now);
        self.last_at = Some(now);
        self.tokens.push(token.id);
        self.reader.send(Event::Token(token));
    }

    /// Whether it ends after its last token.
    pub(crate) fn end(&self, context_tokens: usize) -> Option<FinishReason> {
        if let Some(&last) = self.tokens[self.prompt_tokens..].last()
            && self.job.stop_ids.contains(&last)
        {
            return Some(FinishReason::Stop(last));
        }
        if self.job.tokens_max.is_some_and(|most| self.generated() >= most) {
            return Some(FinishReason::Length);
        }
        (self.tokens.len() >= context_tokens).then_some(FinishReason::Context)
    }

    /// Tells the reader the end.
    pub(crate) fn finish(&self, reason: FinishReason, kv_bytes: usize, now: Instant) {
        self.reader.send(Event::Finished(Finish {
            reason,
            prompt_tokens: self.prompt_tokens,
            cached_tokens: self.cached_tokens.unwrap_or(0),
            generated_tokens: self.generated(),
            queued: self.started.unwrap_or(now).saturating_duration_since(self.submitted),
            first_token: self
                .first_at
                .zip(self.started)
                .map(|(first, started)| first.saturating_duration_since(started)),
            decode: self.first_at.zip(self.last_at).filter(|_| self.generated() > 1).map(|(first, last)| last - first),
            kv_bytes,
        }));
    }
}
