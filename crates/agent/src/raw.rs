//! The raw road: tokens in, tokens and text out, without messages. It must not know harmony's structure.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use engine::{Event, Finish, FinishReason, Generation, Job, PromptLogprob, Sampled};
use harmony::{TextStream, Vocabulary};

use crate::agent::Agent;
use crate::control::{Canceller, wait};
use crate::error::Error;
use crate::event::{Ending, TokenLogprob, Usage};
use crate::stops::{Given, Outlet, Stops};

/// What to go on with, as it is.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// The tokens to go on with, and everything that the engine decides by; [`Agent::stop_ids`] are not added.
    pub job: Job,
    /// Texts that end the completion; they are not part of it.
    pub stop: Vec<String>,
}

/// What happens in a completion: `Reading` and `Prompt`, then any number of `Delta`, then `Finished` once.
#[derive(Clone, Debug, PartialEq)]
pub enum RawEvent {
    /// So many tokens of the prompt have been read.
    Reading {
        /// Tokens read, or found in the prefix cache.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// Log probabilities of the next tokens of the prompt, for a request that asks for them.
    Prompt(Vec<PromptLogprob>),
    /// More tokens, and more text, never half a character; text may come later than its tokens, and never for a token that ends the
    /// completion. While a stop text may be coming, its tokens are held back with it.
    Delta {
        /// More text.
        text: String,
        /// The tokens; `top` is empty unless alternatives were asked for.
        tokens: Vec<TokenLogprob>,
    },
    /// The completion is over.
    Finished(RawOutcome),
}

/// How a completion ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RawOutcome {
    /// Why; [`Ending::Answered`] with a token of `stop_ids`.
    pub ending: Ending,
    /// The token that ended it, which no `Delta` has.
    pub stop: Option<TokenLogprob>,
    /// Tokens that it took; of reasoning nothing is known here.
    pub usage: Usage,
}

/// The stream of a completion's events; dropping it cancels. It waits or polls like a [`crate::Turn`].
pub struct Raw {
    vocabulary: Vocabulary,
    stop_ids: Vec<u32>,
    generation: Generation,
    canceller: Canceller,
    outlet: Outlet,
    characters: TextStream,
    events: VecDeque<RawEvent>,
    stopped: Option<usize>,
    stop: Option<TokenLogprob>,
    output_tokens: usize,
    failure: Option<engine::Error>,
    is_over: bool,
}

impl Agent {
    /// Begins a completion.
    ///
    /// # Errors
    /// What the engine refuses.
    pub fn complete(&self, RawRequest { job, stop }: RawRequest) -> Result<Raw, Error> {
        let stop_ids = job.stop_ids.clone();
        let generation = self.engine().submit(job)?;
        let canceller = Canceller::default();
        canceller.watch(generation.canceller());
        Ok(Raw {
            vocabulary: self.vocabulary().clone(),
            stop_ids,
            generation,
            canceller,
            outlet: Outlet::eager(Stops::new(&stop)),
            characters: TextStream::default(),
            events: VecDeque::new(),
            stopped: None,
            stop: None,
            output_tokens: 0,
            failure: None,
            is_over: false,
        })
    }
}

impl Raw {
    /// The next event; while there is none, the context's waker is called as soon as there may be. `Ready(None)` after the end.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<RawEvent>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(Some(event));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            let Poll::Ready(event) = self.generation.poll_next(context) else { return Poll::Pending };
            self.on_event(event.unwrap_or(Event::Failed(engine::Error::Stopped)));
        }
    }

    /// A handle that cancels this completion.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// How the engine failed, where the completion ended with [`Ending::Failed`].
    #[must_use]
    pub fn failure(&self) -> Option<&engine::Error> {
        self.failure.as_ref()
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::PromptRead { done, total } => self.events.push_back(RawEvent::Reading { done, total }),
            Event::PromptLogprobs(pieces) => self.events.push_back(RawEvent::Prompt(pieces)),
            Event::Guarded(_) => {}
            // Behind a stop text the model may have said more before it heard.
            Event::Token(token) if self.stopped.is_none() => self.on_token(&token),
            Event::Token(_) => {}
            Event::Finished(finish) => self.on_finish(&finish),
            Event::Failed(error) => {
                self.failure = Some(error);
                self.end(Ending::Failed, Usage::default());
            }
        }
    }

    fn on_token(&mut self, token: &Sampled) {
        self.output_tokens += 1;
        let logprob = told(&self.vocabulary, token);
        if self.stop_ids.contains(&token.id) {
            self.stop = Some(logprob);
            return;
        }
        let mut text = String::new();
        self.characters.push(&logprob.bytes, &mut text);
        self.outlet.token(logprob);
        let given = self.outlet.push(&text);
        self.stopped = given.stopped;
        self.give(given);
        if self.stopped.is_some() {
            self.generation.canceller().cancel();
        }
    }

    fn on_finish(&mut self, finish: &Finish) {
        let ending = match (self.stopped, finish.reason) {
            (Some(which), _) => Ending::StopText(which),
            (None, FinishReason::Stop(_)) => Ending::Answered,
            (None, FinishReason::Length) => Ending::OutputTokens,
            (None, FinishReason::Context) => Ending::Context,
            (None, FinishReason::Memory) => Ending::Memory,
            (None, FinishReason::Deadline) => Ending::Deadline,
            (None, FinishReason::Cancelled) => Ending::Cancelled,
        };
        let (input_tokens, cached_tokens) = (finish.prompt_tokens, finish.cached_tokens);
        self.end(ending, Usage { input_tokens, cached_tokens, ..Usage::default() });
    }

    fn end(&mut self, ending: Ending, usage: Usage) {
        if self.stopped.is_none() {
            let mut text = String::new();
            self.characters.finish(&mut text);
            // Half a character cannot complete a stop text.
            let given = self.outlet.push(&text);
            self.give(given);
            let given = self.outlet.finish();
            self.give(given);
        }
        let usage = Usage { output_tokens: self.output_tokens, ..usage };
        self.events.push_back(RawEvent::Finished(RawOutcome { ending, stop: self.stop.take(), usage }));
        self.is_over = true;
    }

    fn give(&mut self, given: Given) {
        if !given.is_empty() {
            let Given { text, logprobs: tokens, stopped: _ } = given;
            self.events.push_back(RawEvent::Delta { text, tokens });
        }
    }
}

impl Iterator for Raw {
    type Item = RawEvent;

    fn next(&mut self) -> Option<RawEvent> {
        wait(|context| self.poll_next(context))
    }
}

/// A token with its bytes, and its alternatives with theirs; an id without a token has those of U+FFFD.
pub(crate) fn told(vocabulary: &Vocabulary, token: &Sampled) -> TokenLogprob {
    let bytes = |id| vocabulary.token_bytes(id).unwrap_or("\u{FFFD}".as_bytes()).to_vec();
    let top = token.top.iter().map(|&(id, logprob)| (bytes(id), logprob)).collect();
    TokenLogprob { id: token.id, bytes: bytes(token.id), logprob: token.logprob, top }
}
