//! The agent: an engine, a vocabulary and settings, from which turns begin. It must not know how a turn goes on.

use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use harmony::Vocabulary;

use crate::envelope::Envelope;
use crate::error::Error;
use crate::policy::Policy;
use crate::prompt::Prompts;
use crate::request::TurnRequest;
use crate::turn::Turn;

/// Begins turns. Clones share everything.
#[derive(Clone)]
pub struct Agent {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Arc<Engine>,
    settings: Settings,
    envelope: Envelope,
    prompts: Prompts,
    stop_ids: Vec<u32>,
}

/// What an agent does for all turns.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Tokens that the checkpoint names as ends, besides those of harmony.
    pub stop_ids: Vec<u32>,
    /// Whether reasoning that repeats itself or takes far longer than its effort is good for is ended. A limit that a request asks
    /// for holds in any case.
    pub guards: bool,
    /// Most times that a built-in tool answers within a turn.
    pub rounds_max: usize,
    /// Longest time of one call of a built-in tool.
    pub tool_time_max: Duration,
    /// Longest output of a built-in tool, in bytes; the rest is left out and the model told so.
    pub tool_output_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stop_ids: Vec::new(),
            guards: true,
            rounds_max: 128,
            tool_time_max: Duration::from_secs(150),
            tool_output_bytes_max: 256 << 10,
        }
    }
}

impl Agent {
    /// An agent over an engine.
    ///
    /// # Errors
    /// If the vocabulary lacks a control token of harmony.
    pub fn new(engine: Arc<Engine>, vocabulary: &Vocabulary, settings: Settings) -> Result<Self, Error> {
        let envelope = Envelope::new(vocabulary)?;
        let mut stop_ids = vocabulary.stop_ids()?;
        // Some files call the end of a message the end of a turn; the model goes on after its thought.
        stop_ids.extend(settings.stop_ids.iter().filter(|&&id| id != envelope.ids.end));
        stop_ids.sort_unstable();
        stop_ids.dedup();
        let prompts = Prompts::new(&envelope, engine.limits().context_tokens)?;
        Ok(Self { inner: Arc::new(Inner { engine, settings, envelope, prompts, stop_ids }) })
    }

    /// Begins a turn.
    ///
    /// # Errors
    /// A request that cannot be carried out: see [`Error`]. What happens afterwards is told by the turn.
    pub fn begin(&self, request: TurnRequest) -> Result<Turn, Error> {
        Turn::begin(self.clone(), request)
    }

    /// Tokens of a request's prompt as it would be rendered, whether the context has room for them or not.
    ///
    /// # Errors
    /// As [`Agent::begin`].
    pub fn count(&self, request: &TurnRequest) -> Result<usize, Error> {
        Policy::new(request)?;
        self.prompts().count(request)
    }

    /// A request's prompt as it would be rendered, for those who look inside.
    ///
    /// # Errors
    /// As [`Agent::begin`].
    pub fn prompt(&self, request: &TurnRequest) -> Result<Vec<u32>, Error> {
        Policy::new(request)?;
        Ok(self.prompts().render(request)?.tokens)
    }

    /// The vocabulary.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.inner.envelope.vocabulary
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.inner.engine
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Tokens that prompt and answer may have together.
    #[must_use]
    pub fn context_tokens(&self) -> usize {
        self.inner.engine.limits().context_tokens
    }

    /// Tokens at which a generation stops.
    #[must_use]
    pub fn stop_ids(&self) -> &[u32] {
        &self.inner.stop_ids
    }

    /// A name for a call that no other call has: `call_` and 24 letters and digits.
    #[must_use]
    pub fn next_call_id() -> String {
        const SIGNS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut random = [0; 24];
        getrandom::fill(&mut random).expect("the system gives random bytes");
        // 256 is no multiple of 62: some signs are a little likelier, which names do not mind.
        let signs = random.map(|byte| char::from(SIGNS[usize::from(byte) % SIGNS.len()]));
        std::iter::once("call_".to_owned()).chain(signs.map(String::from)).collect()
    }

    pub(crate) fn envelope(&self) -> &Envelope {
        &self.inner.envelope
    }

    pub(crate) fn prompts(&self) -> &Prompts {
        &self.inner.prompts
    }
}
