//! Turns whose times and tokens are noted, for metrics, limits, the log and traces. It must not know which route began them.

use std::ops::Deref;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use agent::{Agent, Canceller, Ending, Outcome, Turn, TurnEvent, TurnRequest, Usage};

use crate::front::record::{CURRENT, Record};
use crate::metrics::Metrics;

/// An agent whose turns are noted; all else is the agent's own.
#[derive(Clone)]
pub(crate) struct WatchedAgent {
    agent: Agent,
    metrics: Arc<Metrics>,
}

/// A turn that is noted. It is read as an [`agent::Turn`].
pub(crate) struct WatchedTurn {
    turn: Turn,
    metrics: Arc<Metrics>,
    /// The request that began it; a turn in the background has none.
    record: Option<Arc<Record>>,
    times: Option<TurnTimes>,
}

/// When a turn did what, and what it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TurnTimes {
    /// It was asked for.
    pub(crate) asked: Instant,
    /// Its prompt began to be read.
    pub(crate) begun: Option<Instant>,
    /// Its first text came.
    pub(crate) first_token: Option<Instant>,
    /// It was over.
    pub(crate) ended: Instant,
    /// What it took.
    pub(crate) usage: Usage,
    /// Why it ended; nothing where nobody waited for that.
    pub(crate) ending: Option<Ending>,
    /// Whether a guard ended its thoughts.
    pub(crate) guarded: bool,
}

impl WatchedAgent {
    pub(crate) fn new(agent: Agent, metrics: Arc<Metrics>) -> Self {
        Self { agent, metrics }
    }

    /// Begins a turn; see [`Agent::begin`].
    pub(crate) fn begin(&self, request: TurnRequest) -> Result<WatchedTurn, agent::Error> {
        let asked = Instant::now();
        let turn = self.agent.begin(request)?;
        let (usage, ending) = (Usage::default(), None);
        let times = TurnTimes { asked, begun: None, first_token: None, ended: asked, usage, ending, guarded: false };
        let record = CURRENT.try_with(Arc::clone).ok();
        Ok(WatchedTurn { turn, metrics: Arc::clone(&self.metrics), record, times: Some(times) })
    }
}

impl Deref for WatchedAgent {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.agent
    }
}

impl WatchedTurn {
    /// The next event; see [`Turn::poll_next`].
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<TurnEvent>> {
        let polled = self.turn.poll_next(context);
        if let Poll::Ready(Some(event)) = &polled {
            self.note(event);
        }
        polled
    }

    /// A handle that cancels this turn.
    pub(crate) fn canceller(&self) -> Canceller {
        self.turn.canceller()
    }

    /// How the engine failed, where it did.
    pub(crate) fn failure(&self) -> Option<&engine::Error> {
        self.turn.failure()
    }

    fn note(&mut self, event: &TurnEvent) {
        let Some(times) = &mut self.times else { return };
        match event {
            TurnEvent::Reading { done: _, total } => {
                times.begun.get_or_insert_with(Instant::now);
                times.usage.input_tokens = *total;
            }
            TurnEvent::Began { .. } | TurnEvent::Delta { .. } | TurnEvent::Ended { .. } => {
                times.first_token.get_or_insert_with(Instant::now);
            }
            TurnEvent::ToolBegan { .. } | TurnEvent::ToolEnded { .. } => {}
            TurnEvent::Finished(Outcome { ending, usage, guard, dropped_items: _ }) => {
                (times.usage, times.ending, times.guarded) = (*usage, Some(*ending), guard.is_some());
                self.tell();
            }
        }
    }

    fn tell(&mut self) {
        let Some(times) = self.times.take() else { return };
        let times = TurnTimes { ended: Instant::now(), ..times };
        self.metrics.turn(&times);
        if let Some(record) = &self.record {
            record.turn(times);
        }
    }
}

impl Iterator for WatchedTurn {
    type Item = TurnEvent;

    fn next(&mut self) -> Option<TurnEvent> {
        let event = self.turn.next()?;
        self.note(&event);
        Some(event)
    }
}

impl Drop for WatchedTurn {
    fn drop(&mut self) {
        // The client has gone; the tokens so far were still computed.
        if let Some(times) = self.times.as_mut().filter(|times| times.begun.is_some()) {
            times.usage.output_tokens = self.turn.tokens().len().saturating_sub(times.usage.input_tokens);
        }
        self.tell();
    }
}
