//! What a load is put on, and what is seen of it: the engine in this process or a server, in the same words. It must not know
//! which loads there are.

use std::ops::ControlFlow;
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::Instant;

use engine::{Constraint, Stats};
use model::KvShape;

use crate::error::Error;

/// One request. Every one is greedy and goes on past tokens that would end a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Token ids.
    pub(super) prompt: Vec<u32>,
    /// Tokens to generate.
    pub(super) answer_tokens: usize,
    /// Positions of the prompt where another may go on differently; only an engine can be told.
    pub(super) boundaries: Vec<usize>,
    /// Whose request it is; only an engine can be told.
    pub(super) tenant: u8,
    /// When the client leaves before the end.
    pub(super) leave: Option<Leave>,
}

/// A client that does not wait for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leave {
    /// Tokens that it still takes.
    pub(super) after_tokens: usize,
    pub(super) manner: Manner,
}

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It says so and waits for the end. A server only sees the connection close.
    Cancel,
    /// It is gone.
    Drop,
}

/// What was seen of a request.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    /// Seconds of the clock when it was sent.
    pub(super) sent_seconds: f64,
    pub(super) tokens: Vec<Token>,
    pub(super) ending: Ending,
}

/// A token that came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Token {
    /// A server does not always say.
    pub(super) id: Option<u32>,
    /// Seconds since the request was sent.
    pub(super) seconds: f64,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// In one word: length, stop, context, memory, deadline, cancelled, dropped, other.
    pub(super) reason: &'static str,
    /// Tokens of the prompt that were found in a cache, where somebody says.
    pub(super) found_tokens: Option<usize>,
    /// Tokens of the prompt that were computed.
    pub(super) computed_tokens: Option<usize>,
}

/// Told of each token as it comes; may end the request.
pub(super) type Each<'a> = dyn FnMut(Option<u32>) -> ControlFlow<Manner> + 'a;

/// An engine or a server.
pub(super) trait Target: Sync {
    /// For tables.
    fn name(&self) -> &str;

    /// Token ids are drawn below this.
    fn vocabulary_size(&self) -> usize;

    /// Tokens of prompt and answer together at most, where known, and what decides that.
    fn room_tokens(&self) -> Option<(usize, &'static str)>;

    /// Runs a request to its end on this thread.
    fn answer(&self, request: &Request, each: &mut Each<'_>) -> Result<Ending, Error>;

    /// Has these words said from now on, or what the target likes; whether it can be told.
    fn dictate(&self, words: Option<Dictate>) -> bool;

    /// Begins anew with what lies on the disk, and says why not where that cannot be done.
    fn restart(&mut self) -> Result<Restart, Error>;

    /// What an engine says of itself.
    fn inside(&self) -> Option<Inside>;
}

/// Words to be said.
pub(super) struct Dictate {
    /// Prompt and answer.
    pub(super) text: Vec<u32>,
    /// Whether tokens are guessed, to be checked several at once.
    pub(super) drafts: bool,
    /// What the answer is held to.
    pub(super) form: Option<Box<dyn Constraint>>,
}

/// What an engine says of itself.
pub(super) struct Inside {
    /// Requests that it has accepted, all of which must be found again in its figures.
    pub(super) accepted: u64,
    pub(super) stats: Stats,
    pub(super) shape: KvShape,
    /// What the process was planned to take in memory.
    pub(super) planned_bytes: u64,
}

/// What became of a restart.
pub(super) enum Restart {
    Done,
    /// Not possible, and why.
    Skipped(&'static str),
}

/// Seconds since the load began.
#[derive(Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

impl Request {
    /// A request that stays to its end.
    pub(super) fn new(prompt: Vec<u32>, answer_tokens: usize) -> Self {
        Self { prompt, answer_tokens, boundaries: Vec::new(), tenant: 0, leave: None }
    }

    /// How the client leaves once it has so many tokens.
    pub(super) fn leaves_at(&self, tokens: usize) -> Option<Manner> {
        self.leave.filter(|leave| leave.after_tokens <= tokens).map(|leave| leave.manner)
    }
}

impl Observation {
    /// Seconds from the request to its first token.
    pub(super) fn first_token_seconds(&self) -> Option<f64> {
        self.tokens.first().map(|token| token.seconds)
    }

    /// Seconds of the clock when each token came.
    pub(super) fn arrivals(&self) -> impl Iterator<Item = f64> {
        self.tokens.iter().map(|token| self.sent_seconds + token.seconds)
    }
}

/// Runs a request and notes when its tokens come. `watch` is told how many there are, and says whether to go on.
pub(super) fn observe(
    target: &dyn Target,
    request: &Request,
    clock: Clock,
    watch: &mut dyn FnMut(usize) -> bool,
) -> Result<Observation, Error> {
    let sent = Instant::now();
    let sent_seconds = clock.seconds();
    let mut tokens = Vec::new();
    let mut each = |id| {
        tokens.push(Token { id, seconds: sent.elapsed().as_secs_f64() });
        let goes_on = watch(tokens.len());
        match request.leaves_at(tokens.len()) {
            Some(manner) => ControlFlow::Break(manner),
            None if goes_on => ControlFlow::Continue(()),
            None => ControlFlow::Break(Manner::Cancel),
        }
    };
    let ending = target.answer(request, &mut each)?;
    Ok(Observation { sent_seconds, tokens, ending })
}

/// Sends all requests at the same moment, each from a thread of its own.
pub(super) fn at_once(target: &dyn Target, requests: &[Request], clock: Clock) -> Result<Vec<Observation>, Error> {
    let gate = RwLock::new(());
    thread::scope(|scope| {
        let closed = gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut clients = Vec::new();
        for request in requests {
            let gate = &gate;
            let body = move || {
                drop(gate.read());
                observe(target, request, clock, &mut |_| true)
            };
            let client = thread::Builder::new().name("client".into()).spawn_scoped(scope, body);
            clients.push(client.map_err(|source| Error::ClientThread { source })?);
        }
        drop(closed);
        clients.into_iter().map(|client| client.join().unwrap_or(Err(Error::ClientStopped))).collect()
    })
}

/// What was seen of a request whose tokens came after so many seconds each.
#[cfg(test)]
pub(super) fn seen(sent_seconds: f64, seconds: &[f64]) -> Observation {
    let tokens = seconds.iter().map(|&seconds| Token { id: None, seconds }).collect();
    Observation { sent_seconds, tokens, ending: Ending::left("length") }
}
