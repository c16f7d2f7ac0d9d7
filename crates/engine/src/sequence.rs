//! One job on its way: the tokens it holds, what was computed of them, and how it ends. It must not know other jobs.

mod choosing;

use std::time::Instant;

use model::{Choice, SequenceId, Span, Wanted};

use crate::cache::Path;
use crate::constrained::Constrained;
use crate::draft::StepCosts;
use crate::generation::{Event, Finish, FinishReason, Reader};
use crate::guard::{Guard, GuardReport};
use crate::job::{Drafts, Job};
use crate::prompt_logprobs::PromptLogprobs;
use crate::sampler::Sampler;
use crate::scheduler::{Row, View};
use crate::speculation::Speculation;
pub(crate) use choosing::Moment;

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
    /// While it waits: whether its prompt was looked for on the disk, and then whether it must be fetched from there.
    pub(crate) needs_disk: Option<bool>,
    pub(crate) was_fetched: bool,
    /// Of the prompt, what the prefix cache gave when it was first looked up.
    pub(crate) cached_tokens: Option<usize>,
    /// Of the prompt, what the reader knows to be read.
    told_tokens: usize,
    sampler: Sampler,
    /// Nothing also where no token is wanted.
    pub(crate) constrained: Option<Constrained>,
    guard: Option<Guard>,
    guarded: Option<GuardReport>,
    prompt_logprobs: Option<PromptLogprobs>,
    pub(crate) speculation: Option<Speculation>,
    drafted_tokens: usize,
    accepted_tokens: usize,
    submitted: Instant,
    started: Option<Instant>,
    first_at: Option<Instant>,
    last_at: Option<Instant>,
}

impl Sequence {
    pub(crate) fn new(number: u64, mut job: Job, reader: Reader, now: Instant) -> Self {
        let tokens = std::mem::take(&mut job.prompt);
        let constraint = job.constraint.take().filter(|_| job.tokens_max != Some(0));
        Self {
            number,
            constrained: constraint.map(Constrained::new),
            sampler: Sampler::new(job.sampling.clone(), &tokens).with_top_logprobs(job.top_logprobs),
            guard: job.guards.as_ref().map(|guards| Guard::new(guards, &tokens)),
            guarded: None,
            prompt_logprobs: job.prompt_logprobs.map(PromptLogprobs::new),
            speculation: None,
            drafted_tokens: 0,
            accepted_tokens: 0,
            job,
            reader,
            prompt_tokens: tokens.len(),
            tokens,
            computed: 0,
            id: None,
            path: Path::default(),
            needs_disk: None,
            was_fetched: false,
            cached_tokens: None,
            told_tokens: 0,
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

    /// Whether a row of its part of a step waits for a mask that is not there yet.
    pub(crate) fn awaits_mask(&self, row: &Row) -> bool {
        row.tokens == self.unread() && self.constrained.as_ref().is_some_and(|own| !own.is_ready())
    }

    /// Whether nothing is left to compute: the row behind its last token was kept, since its mask was late.
    pub(crate) fn is_late(&self) -> bool {
        self.constrained.as_ref().is_some_and(Constrained::is_late)
    }

    /// As the planner sees it, which must not see who is late.
    pub(crate) fn view(&self) -> View {
        let unread = self.unread();
        let is_generating = self.generated() > 0 && unread <= GENERATING_UNREAD_MAX;
        let (number, place, drafts) = (self.number, self.place(), self.draft().len());
        View { number, place, unread, is_generating, drafts, unlogged: self.unlogged() }
    }

    /// How many of the unread tokens come before the first whose row is needed for the prompt's log probabilities; nothing when no row
    /// is.
    pub(crate) fn unlogged(&self) -> Option<usize> {
        let next = self.prompt_logprobs.as_ref()?.next_row(self.prompt_tokens)?;
        Some(next.saturating_sub(self.computed))
    }

    /// The tokens of its part of a step.
    pub(crate) fn input(&self, row: &Row) -> Vec<u32> {
        [&self.tokens[self.computed..][..row.tokens], &self.draft()[..row.drafts]].concat()
    }

    /// Its part of a step.
    pub(crate) fn span<'a>(&self, row: &Row, ids: &'a [u32]) -> Span<'a> {
        let wanted = match (self.logit_rows(row), self.choice(row)) {
            (0, _) => Wanted::None,
            (rows, Some(choice)) => Wanted::Chosen { choice, rows },
            (1, None) => Wanted::Last,
            (_, None) => Wanted::All,
        };
        Span { sequence: self.id.expect("it runs"), ids, wanted }
    }

    /// The choice that its next token is, where its logits are wanted for nothing else. Under a constraint it mostly is that.
    fn choice(&self, row: &Row) -> Option<Choice> {
        let is_sole = self.constrained.is_none() || row.drafts == 0;
        self.sampler.choice().filter(|_| is_sole && self.prompt_logprobs.is_none())
    }

    /// Whether its next token cannot be told from logits for a choice alone: what was chosen is forbidden, or nobody knows yet.
    pub(crate) fn needs_all(&self, row: &Row, logits: &[f32]) -> bool {
        let Some((own, choice)) = self.constrained.as_ref().zip(self.choice(row)) else { return false };
        !own.is_ready() || choice.pick(logits).is_some_and(|id| own.forbids(id))
    }

    /// Rows of logits of its part of a step: of each token whose row tells of the prompt, else behind the last token and behind each
    /// one on trial.
    pub(crate) fn logit_rows(&self, row: &Row) -> usize {
        match self.unlogged() {
            Some(0) => row.tokens,
            _ if row.tokens == self.unread() => 1 + row.drafts,
            _ => 0,
        }
    }

    /// Rows at the beginning of its part of a step that tell of the prompt.
    pub(crate) fn prompt_rows(&self, row: &Row) -> usize {
        if self.unlogged() == Some(0) { row.tokens.min(self.prompt_tokens - 1 - self.computed) } else { 0 }
    }

    /// Tokens on trial in the next step.
    pub(crate) fn draft(&self) -> &[u32] {
        self.speculation.as_ref().map_or(&[], |speculation| speculation.draft())
    }

    /// Decides what to try in the next step, where others have so many rows; `None` when nothing is to be tried. At most `most`
    /// tokens.
    pub(crate) fn prepare_draft(
        &mut self,
        costs: &StepCosts,
        other_rows: Option<usize>,
        (context_tokens, most): (usize, usize),
    ) {
        if self.job.drafts == Drafts::Off {
            return;
        }
        let is_cheap = self.constrained.as_ref().is_none_or(|own| own.is_ready() || own.is_cheap());
        let is_ready = is_cheap && self.generated() > 0 && self.unread() == 1;
        // The last token is not worth a trial: it comes anyway.
        let left = context_tokens.min(self.prompt_tokens + self.job.tokens_max.unwrap_or(context_tokens));
        let most = most.min(left.saturating_sub(self.tokens.len() + 1));
        match other_rows.filter(|_| is_ready) {
            Some(other_rows) => {
                let speculation = self.speculation.take().or_else(|| Speculation::new(&self.tokens, self.job.drafts));
                self.speculation = speculation;
                self.speculation.iter_mut().for_each(|own| own.prepare(costs, other_rows, most));
            }
            None => self.rest_draft(),
        }
    }

    /// Tries nothing after all.
    pub(crate) fn rest_draft(&mut self) {
        self.speculation.iter_mut().for_each(Speculation::rest);
    }

    /// Of the tokens on trial so many came.
    pub(crate) fn observe_draft(&mut self, costs: &StepCosts, accepted: usize) {
        if let Some(speculation) = &mut self.speculation {
            self.drafted_tokens += speculation.draft().len();
            self.accepted_tokens += accepted;
            speculation.observe(costs, accepted);
        }
    }

    /// It begins to run, `found` tokens being computed already.
    pub(crate) fn start(&mut self, id: SequenceId, found: usize, now: Instant) {
        self.id = Some(id);
        self.computed = found;
        self.started.get_or_insert(now);
        if self.cached_tokens.is_none() {
            self.cached_tokens = Some(found);
            self.tell_read(found);
        }
    }

    /// It has to make room, and waits again; nothing of it is computed any more.
    pub(crate) fn set_back(&mut self) {
        self.computed = 0;
        (self.needs_disk, self.was_fetched) = (None, false);
        self.constrained.iter_mut().for_each(|own| *own.row_mut() = None);
    }

    /// Tokens were computed; the reader hears of those that are the prompt's.
    pub(crate) fn advance(&mut self, tokens: usize) {
        self.computed += tokens;
        if self.generated() == 0 {
            self.tell_read(self.computed.min(self.prompt_tokens));
        }
    }

    /// The reader hears of what it was not told before: who is set back reads once more.
    fn tell_read(&mut self, done: usize) {
        if done > self.told_tokens {
            self.told_tokens = done;
            self.reader.send(Event::PromptRead { done, total: self.prompt_tokens });
        }
    }

    /// Takes the rows of [`Self::prompt_rows`], whose tokens are computed now; the reader hears of them.
    pub(crate) fn tell_prompt(&mut self, rows: &[f32], vocabulary_size: usize) {
        let Some(own) = &mut self.prompt_logprobs else { return };
        let pieces = own.tell(&self.tokens[..self.prompt_tokens], rows, vocabulary_size);
        if !pieces.is_empty() {
            self.reader.send(Event::PromptLogprobs(pieces));
        }
    }

    /// The end of who wants nothing but its prompt's log probabilities, as soon as that was read.
    pub(crate) fn end_of_reading(&self) -> Option<FinishReason> {
        (self.job.tokens_max == Some(0) && self.computed >= self.prompt_tokens).then_some(FinishReason::Length)
    }

    /// What the reader is told in the end.
    pub(crate) fn finish(&self, reason: FinishReason, kv_bytes: usize, now: Instant) -> Event {
        Event::Finished(Finish {
            reason,
            prompt_tokens: self.prompt_tokens,
            cached_tokens: self.cached_tokens.unwrap_or(0),
            generated_tokens: self.generated(),
            drafted_tokens: self.drafted_tokens,
            accepted_tokens: self.accepted_tokens,
            guard: self.guarded,
            queued: self.started.unwrap_or(now).saturating_duration_since(self.submitted),
            first_token: self
                .first_at
                .zip(self.started)
                .map(|(first, started)| first.saturating_duration_since(started)),
            decode: self.first_at.zip(self.last_at).filter(|_| self.generated() > 1).map(|(first, last)| last - first),
            kv_bytes,
        })
    }
}
