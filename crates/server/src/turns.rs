//! Turns and completions whose times and tokens are noted, for metrics, limits, the log and traces. They are read like the agent's own.
//! It must not know which route began them.

use std::ops::Deref;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use agent::{
    Agent, CustomFormat, Ending, Format, Outcome, RawEvent, RawOutcome, RawRequest, ToolKind, TurnEvent, TurnRequest,
    Usage,
};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::front::record::{CURRENT, Record};
use crate::metrics::Metrics;

/// An agent whose turns are noted; all else is the agent's own.
#[derive(Clone)]
pub(crate) struct WatchedAgent {
    agent: Agent,
    metrics: Arc<Metrics>,
    /// Whether what is asked and answered may stand in the log.
    logs_texts: bool,
    /// Places for turns whose forms are compiled. A hostile form takes a second of a core, and there may be thousands: they wait here
    /// as tasks, rather than all at once on threads that the model and everybody else need.
    compiling: Arc<Semaphore>,
}

/// A turn that is noted; see [`agent::Turn`].
pub(crate) struct Turn {
    turn: agent::Turn,
    notes: Notes,
}

/// A completion that is noted; see [`agent::Raw`].
pub(crate) struct Raw {
    raw: agent::Raw,
    notes: Notes,
    /// Tokens so far, for whoever leaves early.
    tokens: usize,
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

/// What is noted of a turn until it is over, and told then.
struct Notes {
    metrics: Arc<Metrics>,
    /// The request that began it, or on whose key's behalf it is computed; nothing in the background without keys.
    record: Option<Arc<Record>>,
    times: Option<TurnTimes>,
    logs_texts: bool,
}

impl WatchedAgent {
    pub(crate) fn new(agent: Agent, metrics: Arc<Metrics>, logs_texts: bool) -> Self {
        Self { agent, metrics, logs_texts, compiling: Arc::new(Semaphore::new(compiling_max())) }
    }

    /// Begins a turn; see [`Agent::begin`]. Where it has forms it waits until there is a place to compile them.
    pub(crate) async fn begin(&self, request: TurnRequest) -> Result<Turn, agent::Error> {
        let notes = self.notes();
        if self.logs_texts {
            let TurnRequest { instructions, history, .. } = &request;
            tracing::info!(request = notes.id(), ?instructions, ?history, "a turn was asked for");
        }
        let _place = self.place(&request).await;
        Ok(Turn { turn: long(|| self.agent.begin(request))?, notes })
    }

    /// Tokens of a turn's prompt; see [`Agent::count`].
    pub(crate) fn count(&self, request: &TurnRequest) -> Result<usize, agent::Error> {
        long(|| self.agent.count(request))
    }

    /// Refuses what [`Self::begin`] would refuse, without beginning it, and waits as that does.
    pub(crate) async fn check(&self, request: &TurnRequest) -> Result<(), agent::Error> {
        let _place = self.place(request).await;
        long(|| self.agent.check(request).and_then(|()| self.agent.count(request))).map(drop)
    }

    /// Begins a completion; see [`Agent::complete`].
    pub(crate) fn complete(&self, request: RawRequest) -> Result<Raw, agent::Error> {
        let notes = self.notes();
        Ok(Raw { raw: self.agent.complete(request)?, notes, tokens: 0 })
    }

    /// A place to compile the forms of this request; nothing where it has none.
    async fn place(&self, request: &TurnRequest) -> Option<SemaphorePermit<'_>> {
        let is_free = |kind: &ToolKind| matches!(kind, ToolKind::Custom(CustomFormat::Text));
        if request.format == Format::Text && request.tools.iter().all(|tool| is_free(&tool.kind)) {
            return None;
        }
        Some(self.compiling.acquire().await.expect("nobody closes it"))
    }

    fn notes(&self) -> Notes {
        let (asked, usage) = (Instant::now(), Usage::default());
        let times =
            TurnTimes { asked, begun: None, first_token: None, ended: asked, usage, ending: None, guarded: false };
        // Nothing is told of what is refused before it begins.
        let (metrics, record) = (Arc::clone(&self.metrics), CURRENT.try_with(Arc::clone).ok());
        Notes { metrics, record, times: Some(times), logs_texts: self.logs_texts }
    }
}

/// Turns whose forms are compiled at the same time: half of the machine's threads, so that the model keeps the rest.
pub(crate) fn compiling_max() -> usize {
    std::thread::available_parallelism().map_or(1, |threads| (threads.get() / 2).max(1))
}

/// Does what takes seconds if a client wants it to, as to cut tens of megabytes into tokens: the other tasks of this thread go elsewhere
/// meanwhile.
pub(crate) fn long<T>(work: impl FnOnce() -> T) -> T {
    let is_alone =
        Handle::try_current().map_or(true, |runtime| runtime.runtime_flavor() == RuntimeFlavor::CurrentThread);
    if is_alone { work() } else { tokio::task::block_in_place(work) }
}

impl Deref for WatchedAgent {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.agent
    }
}

impl Turn {
    /// The next event; see [`agent::Turn::poll_next`].
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<TurnEvent>> {
        let polled = self.turn.poll_next(context);
        if let Poll::Ready(Some(event)) = &polled {
            self.note(event);
        }
        polled
    }

    /// How the engine failed, where it did.
    pub(crate) fn failure(&self) -> Option<&engine::Error> {
        self.turn.failure()
    }

    fn note(&mut self, event: &TurnEvent) {
        match event {
            TurnEvent::Reading { done: _, total } => self.notes.reading(*total),
            TurnEvent::Began { .. } | TurnEvent::Delta { .. } => self.notes.text(),
            TurnEvent::Ended { said, .. } => {
                self.notes.text();
                if self.notes.logs_texts {
                    tracing::info!(request = self.notes.id(), said = ?said.part, "the model said something");
                }
            }
            TurnEvent::ToolBegan { .. } | TurnEvent::ToolEnded { .. } => {}
            TurnEvent::Finished(Outcome { ending, usage, guard, dropped_items: _ }) => {
                self.notes.finished(*ending, *usage, guard.is_some());
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let tokens = self.turn.tokens().len();
        self.notes.left(|input| tokens.saturating_sub(input));
    }
}

impl Raw {
    /// The next event; see [`agent::Raw::poll_next`].
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<RawEvent>> {
        let polled = self.raw.poll_next(context);
        if let Poll::Ready(Some(event)) = &polled {
            match event {
                RawEvent::Reading { done: _, total } => self.notes.reading(*total),
                RawEvent::Prompt(_) => {}
                RawEvent::Delta { text: _, tokens } => {
                    self.tokens += tokens.len();
                    self.notes.text();
                }
                RawEvent::Finished(RawOutcome { ending, stop: _, usage }) => {
                    self.notes.finished(*ending, *usage, false)
                }
            }
        }
        polled
    }

    /// How the engine failed, where it did.
    pub(crate) fn failure(&self) -> Option<&engine::Error> {
        self.raw.failure()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let tokens = self.tokens;
        self.notes.left(|_| tokens);
    }
}

impl Notes {
    fn id(&self) -> Option<&str> {
        self.record.as_ref().map(|record| record.id())
    }

    fn reading(&mut self, total: usize) {
        if let Some(times) = &mut self.times {
            times.begun.get_or_insert_with(Instant::now);
            times.usage.input_tokens = total;
        }
    }

    fn text(&mut self) {
        if let Some(times) = &mut self.times {
            times.first_token.get_or_insert_with(Instant::now);
        }
    }

    fn finished(&mut self, ending: Ending, usage: Usage, guarded: bool) {
        if let Some(times) = &mut self.times {
            (times.usage, times.ending, times.guarded) = (usage, Some(ending), guarded);
        }
        self.tell();
    }

    /// Nobody waited for the end; what was computed until then still counts.
    fn left(&mut self, output_tokens: impl FnOnce(usize) -> usize) {
        if let Some(times) = &mut self.times {
            if times.begun.is_some() {
                times.usage.output_tokens = output_tokens(times.usage.input_tokens);
            }
            self.tell();
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::mpsc::channel;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use agent::{Agent, Format, Item, TurnEvent, TurnRequest};

    use super::long;
    use crate::app::App;
    use crate::settings::Settings;

    fn hello() -> TurnRequest {
        TurnRequest::new(vec![Item::User("hello".to_owned())])
    }

    #[tokio::test]
    async fn forms_wait_for_a_place_and_nothing_else_does() {
        let app = App::over(Agent::scripted(""), Settings::default(), None).await;
        let agent = app.agent();
        let taken = agent.compiling.acquire_many(agent.compiling.available_permits() as u32).await.unwrap();
        assert!(agent.begin(hello()).await.is_ok());
        let held = TurnRequest { format: Format::JsonObject, ..hello() };
        let mut begun = pin!(agent.begin(held.clone()));
        let mut checked = pin!(agent.check(&held));
        let mut context = Context::from_waker(Waker::noop());
        assert!(begun.as_mut().poll(&mut context).is_pending() && checked.as_mut().poll(&mut context).is_pending());
        drop(taken);
        assert!(begun.await.is_ok() && checked.await.is_ok());
    }

    #[tokio::test]
    async fn a_turn_that_nobody_waits_for_any_more_still_counts() {
        let agent = Agent::scripted("<|channel|>final<|message|>one two three four<|return|>");
        let app = App::over(agent, Settings::default(), None).await;
        let mut turn = app.agent().begin(hello()).await.unwrap();
        while !matches!(poll_fn(|context| turn.poll_next(context)).await.unwrap(), TurnEvent::Delta { .. }) {}
        drop(turn);
        let text = app.metrics().text();
        for kind in ["input", "output"] {
            let line = format!("glossa_tokens_total{{kind=\"{kind}\"}} ");
            let count = text.lines().find_map(|told| told.strip_prefix(&line)).unwrap();
            assert!(count.parse::<u64>().unwrap() > 0, "{kind}: {text}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_is_long_holds_up_nobody() {
        let (sender, receiver) = channel();
        let waiting = tokio::spawn(async move {
            tokio::spawn(async move { sender.send(()).unwrap() });
            long(|| receiver.recv_timeout(Duration::from_secs(10)))
        });
        waiting.await.unwrap().unwrap();
    }
}
