//! A turn: generate, read, steer, run tools, and again, until the model has answered. It must not know how prompts are rendered or
//! which messages may come.
//!
//! `sequence` holds the prompt and every token that was kept, at each moment a sound beginning of a conversation. A generation
//! only ever appends to it. What must not be there is taken back (`reading`): the generation is ended, the sequence cut where the
//! message began, a header forced, and another generation goes on from there, finding everything before in the prefix cache.

mod errand;
mod reading;

use std::sync::Arc;
use std::task::{Context, Poll};

use engine::{Constraint, Event, Finish, FinishReason, Generation, GuardReport, Guards, Job, LoopLimits};

use crate::agent::Agent;
use crate::constraint::{Rules, TurnConstraint};
use crate::control::{Canceller, wait};
use crate::error::Error;
use crate::event::{Ending, Outcome, TurnEvent, Usage};
use crate::guards::{budget_of, shape};
use crate::item::Call;
use crate::policy::{Policy, Progress};
use crate::reader::Reader;
use crate::request::TurnRequest;
use crate::speaker::Speaker;
use crate::stops::Stops;
use errand::Errand;

/// Times that a turn is steered, between two outputs of built-in tools, before nothing is left to choose.
pub(crate) const STEERS_MAX: usize = 8;

/// Calls of the caller's tools in one turn, where several were asked for.
pub(crate) const PARALLEL_CALLS_MAX: usize = 32;

/// Tokens of a list that guards may force.
const GUARD_CLOSE_TOKENS_MAX: usize = 64;

/// The stream of a turn's events; dropping it cancels.
///
/// As an iterator it waits for each event; [`Turn::poll_next`] is for asynchronous readers.
pub struct Turn {
    agent: Agent,
    /// Without its history.
    request: TurnRequest,
    policy: Policy,
    rules: Option<Arc<Rules>>,
    progress: Progress,
    reader: Reader,
    speaker: Speaker,
    canceller: Canceller,
    sequence: Vec<u32>,
    /// Where the message that is being read begins, behind its opening.
    message_at: usize,
    /// Where the message that ended last ended.
    ended_at: usize,
    work: Work,
    next: Option<Next>,
    steers: usize,
    built_in_calls: usize,
    is_first_job: bool,
    usage: Usage,
    guard: Option<GuardReport>,
    dropped_items: usize,
    failure: Option<engine::Error>,
}

/// What the turn waits for.
enum Work {
    /// The model.
    Generating(Generation),
    /// A built-in tool.
    Running(Errand),
    /// Nothing more comes.
    Over,
}

/// What comes when the generation has ended.
#[derive(Debug)]
enum Next {
    /// The end.
    Finish(Ending),
    /// Another generation, behind these tokens.
    Force(Vec<u32>),
    /// A built-in tool works on a call that came on this channel.
    Run { call: Call, tool: usize, channel: &'static str },
}

impl Turn {
    pub(crate) fn begin(agent: Agent, mut request: TurnRequest) -> Result<Self, Error> {
        let policy = Policy::new(&request)?;
        let rules = agent.rules(&request, &policy)?;
        let prompt = agent.prompts().render(&request)?;
        request.history = Vec::new();
        let spent = request.tool_calls_max == Some(0) || agent.settings().rounds_max == 0;
        let length = prompt.tokens.len();
        let mut turn = Self {
            reader: Reader::new(agent.envelope())?,
            speaker: Speaker::new(Stops::new(&request.stop)),
            agent,
            request,
            policy,
            rules,
            progress: Progress { spent, ..Progress::default() },
            canceller: Canceller::default(),
            sequence: prompt.tokens,
            message_at: length,
            ended_at: length,
            work: Work::Over,
            next: None,
            steers: 0,
            built_in_calls: 0,
            is_first_job: true,
            usage: Usage { input_tokens: length, ..Usage::default() },
            guard: None,
            dropped_items: prompt.dropped_items,
            failure: None,
        };
        let generation = turn.job(turn.request.output_tokens_max).and_then(|job| turn.agent.engine().submit(job))?;
        turn.canceller.watch(generation.canceller());
        turn.work = Work::Generating(generation);
        Ok(turn)
    }

    /// The next event; while there is none, the context's waker is called as soon as there may be. `Ready(None)` after the end.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<TurnEvent>> {
        loop {
            if let Some(event) = self.speaker.next_event() {
                return Poll::Ready(Some(event));
            }
            match &mut self.work {
                Work::Over => return Poll::Ready(None),
                Work::Generating(generation) => {
                    let Poll::Ready(event) = generation.poll_next(context) else { return Poll::Pending };
                    self.on_event(event.unwrap_or(Event::Failed(engine::Error::Stopped)));
                }
                Work::Running(errand) => {
                    // Left before the flag is looked at: whoever cancels in between wakes.
                    self.canceller.wakes(context);
                    if self.canceller.is_cancelled() {
                        self.finish(Ending::Cancelled);
                        continue;
                    }
                    let Poll::Ready(output) = errand.poll(context) else { return Poll::Pending };
                    self.on_output(output);
                }
            }
        }
    }

    /// A handle that cancels this turn.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// How the engine failed, where the turn ended with [`Ending::Failed`].
    #[must_use]
    pub fn failure(&self) -> Option<&engine::Error> {
        self.failure.as_ref()
    }

    /// Prompt, tool outputs and all that was generated and kept, so far.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.sequence
    }

    /// Tokens generated and kept.
    fn output_tokens(&self) -> usize {
        self.sequence.len() - self.usage.input_tokens
    }

    /// Tokens that may still be generated; `None` sets no limit.
    fn tokens_left(&self) -> Option<usize> {
        self.request.output_tokens_max.map(|most| most.saturating_sub(self.output_tokens()))
    }

    fn job(&self, tokens_max: Option<usize>) -> Result<Job, engine::Error> {
        let request = &self.request;
        let written = &self.sequence[self.message_at..];
        let constraint = self.rules.as_ref().map(|rules| TurnConstraint::new(rules, self.progress, written));
        let constraint = constraint.transpose().map_err(|error| engine::Error::Constraint { reason: error.reason })?;
        Ok(Job {
            sampling: request.sampling.clone(),
            stop_ids: self.agent.stop_ids().to_vec(),
            tokens_max,
            priority: request.priority,
            deadline: request.deadline,
            boundaries: self.agent.prompts().boundaries(&self.sequence),
            tenant: request.tenant.clone(),
            cached: request.cached,
            guards: self.guards(),
            drafts: request.drafts,
            top_logprobs: request.top_logprobs,
            constraint: constraint.map(|constraint| Box::new(constraint) as Box<dyn Constraint>),
            ..Job::new(self.sequence.clone())
        })
    }

    /// What ends thoughts that lead nowhere; they are followed by what must come then.
    fn guards(&self) -> Option<Guards> {
        let watches = self.agent.settings().guards;
        let budget = watches.then(|| budget_of(self.request.effort));
        let budget = self.request.reasoning_tokens_max.or(budget);
        let budget_tokens = budget.map(|most| most.saturating_sub(self.usage.reasoning_tokens));
        let budget_tokens = budget_tokens.into_iter().chain(self.tokens_to_think()).min();
        if budget_tokens.is_none() || !self.policy.may_think() {
            return None;
        }
        let envelope = self.agent.envelope();
        let close = |header| [vec![envelope.ids.end], envelope.opening.clone(), header].concat();
        let forced = close(self.policy.forced(&self.progress, false, envelope));
        let forced = if forced.len() > GUARD_CLOSE_TOKENS_MAX { close(envelope.answer()) } else { forced };
        Some(Guards { reasoning: shape(envelope, forced), budget_tokens, loops: watches.then(LoopLimits::default) })
    }

    /// Tokens of reasoning that leave those that are kept for the answer, the frames of both not counted.
    fn tokens_to_think(&self) -> Option<usize> {
        let kept = self.request.answer_tokens_kept;
        let envelope = self.agent.envelope();
        let frames = envelope.thought().len() + 1 + envelope.opening.len() + envelope.answer().len();
        self.tokens_left().filter(|_| kept > 0).map(|left| left.saturating_sub(kept + frames))
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::PromptRead { done, total } => {
                // Later rounds read what was just written; that is no news, and items come behind all reading.
                if self.is_first_job && self.speaker.items() == 0 {
                    self.speaker.tell(TurnEvent::Reading { done, total });
                }
            }
            Event::PromptLogprobs(_) => {}
            Event::Guarded(report) => {
                if self.next.is_none() {
                    self.guard = self.guard.or(Some(report));
                }
            }
            Event::Token(token) => {
                if self.next.is_none() {
                    self.on_token(&token);
                }
                if self.next.is_some()
                    && let Work::Generating(generation) = &self.work
                {
                    generation.canceller().cancel();
                }
            }
            Event::Finished(finish) => self.on_finish(&finish),
            Event::Failed(error) => self.fail(error),
        }
    }

    fn on_finish(&mut self, finish: &Finish) {
        if std::mem::take(&mut self.is_first_job) {
            self.usage.cached_tokens = finish.cached_tokens;
        }
        if self.next.is_none() {
            self.end_of_generation(finish.reason);
        }
        match self.next.take() {
            Some(next) => self.go_on(next),
            None => self.finish(self.ending(finish.reason)),
        }
    }

    /// The ending of a turn whose generation ended without a decision of ours.
    fn ending(&self, reason: FinishReason) -> Ending {
        match reason {
            FinishReason::Stop(_) => Ending::Answered,
            // A further call was looked for where one was made: that there is none is no cut.
            FinishReason::Length | FinishReason::Context
                if self.progress.calls_only && self.speaker.kind().is_none() =>
            {
                Ending::Called
            }
            FinishReason::Length => Ending::OutputTokens,
            FinishReason::Context => Ending::Context,
            FinishReason::Memory => Ending::Memory,
            FinishReason::Deadline => Ending::Deadline,
            FinishReason::Cancelled => Ending::Cancelled,
        }
    }

    fn go_on(&mut self, next: Next) {
        match next {
            Next::Finish(ending) => self.finish(ending),
            _ if self.canceller.is_cancelled() => self.finish(Ending::Cancelled),
            Next::Force(tokens) => {
                if self.tokens_left().is_some_and(|left| left <= tokens.len()) {
                    let called = self.progress.calls_only;
                    return self.finish(if called { Ending::Called } else { Ending::OutputTokens });
                }
                self.force(&tokens);
                self.submit();
            }
            Next::Run { call, tool, channel } => {
                self.speaker.tell(TurnEvent::ToolBegan { call_id: call.id.clone() });
                let errand =
                    Errand::begin(&self.agent, &self.request, &self.policy, &self.canceller, (call, tool, channel));
                self.work = Work::Running(errand);
            }
        }
    }

    /// A built-in tool has answered: the model goes on.
    fn on_output(&mut self, output: String) {
        let Work::Running(errand) = &self.work else { return };
        let (call_id, name) = (errand.call_id.clone(), errand.recipient.clone());
        let tokens = self.agent.prompts().output(&name, errand.channel, &output);
        let tokens = tokens.expect("the tool's name was checked when the turn began");
        self.speaker.tell(TurnEvent::ToolEnded { call_id, output });
        self.usage.input_tokens += tokens.len();
        self.sequence.extend(tokens);
        self.reader.begin();
        (self.message_at, self.ended_at) = (self.sequence.len(), self.sequence.len());
        self.built_in_calls += 1;
        self.steers = 0;
        self.progress.said = 0;
        let most = self.request.tool_calls_max.unwrap_or(usize::MAX).min(self.agent.settings().rounds_max);
        self.progress.spent = self.built_in_calls >= most;
        if self.tokens_left() == Some(0) {
            return self.finish(Ending::OutputTokens);
        }
        self.submit();
    }

    fn submit(&mut self) {
        match self.job(self.tokens_left()).and_then(|job| self.agent.engine().submit(job)) {
            Ok(generation) => {
                self.canceller.watch(generation.canceller());
                self.work = Work::Generating(generation);
            }
            Err(engine::Error::PromptTooLong { .. }) => self.finish(Ending::Context),
            Err(engine::Error::PromptExceedsMemory { .. }) => self.finish(Ending::Memory),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: engine::Error) {
        self.failure = Some(error);
        self.finish(Ending::Failed);
    }

    fn finish(&mut self, ending: Ending) {
        if ending == Ending::Called && self.speaker.kind().is_none() {
            // Looking for a further call left a beginning of something else.
            self.sequence.truncate(self.ended_at);
            self.reader.close();
        }
        self.cut();
        self.usage.output_tokens = self.output_tokens();
        let (usage, guard, dropped_items) = (self.usage, self.guard, self.dropped_items);
        self.speaker.tell(TurnEvent::Finished(Outcome { ending, usage, guard, dropped_items }));
        self.work = Work::Over;
    }
}

impl Iterator for Turn {
    type Item = TurnEvent;

    fn next(&mut self) -> Option<TurnEvent> {
        wait(|context| self.poll_next(context))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.canceller.cancel();
    }
}
