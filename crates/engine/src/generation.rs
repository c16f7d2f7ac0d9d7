//! What a caller gets: the stream of a job's events. It must not know how jobs are run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::Error;
use crate::events::{Inlet, Outlet, queue};
use crate::guard::GuardReport;
use crate::sampler::{PromptLogprob, Sampled};

/// What happens during a generation.
#[derive(Debug)]
pub enum Event {
    /// So many tokens of the prompt have been read.
    PromptRead {
        /// Tokens read, or found in the prefix cache.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// How likely the next tokens of the prompt are, for a job that asks for that: pieces in order, one entry per token of the prompt.
    PromptLogprobs(Vec<PromptLogprob>),
    /// A guard ends the reasoning here: the tokens that follow are forced until the answer begins.
    Guarded(GuardReport),
    /// A token was generated, or forced.
    Token(Sampled),
    /// The generation ended; nothing follows.
    Finished(Finish),
    /// The generation failed; nothing follows.
    Failed(Error),
}

/// Why and with what figures a generation ended.
#[derive(Clone, Copy, Debug)]
pub struct Finish {
    /// Why it ended.
    pub reason: FinishReason,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Of those, how many were found in the prefix cache.
    pub cached_tokens: usize,
    /// Tokens generated.
    pub generated_tokens: usize,
    /// Tokens tried on the chance that they come next.
    pub drafted_tokens: usize,
    /// Of those, how many came.
    pub accepted_tokens: usize,
    /// What ended the reasoning, if a guard did.
    pub guard: Option<GuardReport>,
    /// Time that the job waited before anything was computed.
    pub queued: Duration,
    /// Time from the beginning of the job's first step to its first token; `None` when no token was generated.
    pub first_token: Option<Duration>,
    /// Time from the first to the last token; `None` when fewer than two tokens were generated.
    pub decode: Option<Duration>,
    /// Bytes of keys and values at the end.
    pub kv_bytes: usize,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// This stop token was generated.
    Stop(u32),
    /// The job's `tokens_max` was reached.
    Length,
    /// The context is full.
    Context,
    /// The memory for keys and values is full, though nobody else uses it.
    Memory,
    /// The job's deadline has passed.
    Deadline,
    /// The generation was dropped or cancelled, or the engine was dropped.
    Cancelled,
}

/// The stream of one job's events; dropping it cancels the job.
///
/// As an iterator it waits for each event; [`Generation::poll_next`] is for asynchronous readers. Both may be mixed.
pub struct Generation {
    events: Outlet<Event>,
    cancelled: Arc<AtomicBool>,
    ended: bool,
}

/// Cancels a generation from elsewhere, for instance from a signal handler.
#[derive(Clone)]
pub struct Canceller(Arc<AtomicBool>);

/// The engine's end of a generation.
pub(crate) struct Reader {
    events: Inlet<Event>,
    cancelled: Arc<AtomicBool>,
}

impl Generation {
    /// Both ends.
    pub(crate) fn new() -> (Self, Reader) {
        let (inlet, events) = queue();
        let cancelled = Arc::<AtomicBool>::default();
        let reader = Reader { events: inlet, cancelled: Arc::clone(&cancelled) };
        (Self { events, cancelled, ended: false }, reader)
    }

    /// The next event if it is there already; nothing while the model works, or after the end.
    pub fn try_next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        match self.events.try_next() {
            Poll::Ready(event) => Some(self.take(event)),
            Poll::Pending => None,
        }
    }

    /// The next event; while there is none, the context's waker is called as soon as there is. `Ready(None)` after the end. Only the
    /// waker given last is called.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.events.poll(context).map(|event| Some(self.take(event)))
    }

    /// Nothing follows an end, and a stream without one was broken off.
    fn take(&mut self, event: Option<Event>) -> Event {
        let event = event.unwrap_or(Event::Failed(Error::Stopped));
        self.ended = matches!(event, Event::Finished(_) | Event::Failed(_));
        event
    }

    /// A handle that cancels this generation.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller(Arc::clone(&self.cancelled))
    }
}

impl Iterator for Generation {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        let event = self.events.wait();
        Some(self.take(event))
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

impl Canceller {
    /// The generation ends after the step that is being computed.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Reader {
    /// Whether the reader wants no more; asked before every step.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Never waits. Whoever reads may have gone: the flag says so at the next step.
    pub(crate) fn send(&self, event: Event) {
        self.events.send(event);
    }
}
