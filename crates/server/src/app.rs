//! What every request can reach. It must not know routes.

use std::sync::Arc;

use agent::Agent;
use store::Store;

use crate::background::Workers;
use crate::ids::Ids;
use crate::seal::{self, Sealing};
use crate::settings::Settings;
use crate::thoughts::Thoughts;

/// What the server is put together from.
pub struct Parts {
    /// The model's side.
    pub agent: Agent,
    /// What outlives a request.
    pub store: Store,
    /// Names that the model answers to; the first is what it calls itself.
    pub models: Vec<String>,
    /// What the operator decided.
    pub settings: Settings,
}

/// The server's state; clones share it.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    parts: Parts,
    ids: Ids,
    sealing: Sealing,
    thoughts: Thoughts,
}

impl App {
    /// A server over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let (sealing, thoughts) = (Sealing::default(), Thoughts::default());
        Self(Arc::new(Inner { parts, ids: Ids::default(), sealing, thoughts }))
    }

    /// Prepares what requests rely on (the sealing key, which other replicas share) and starts what runs without them: background
    /// responses and the removal of what has expired. To be called before the first request is served.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn start(&self) -> Result<Workers, store::Error> {
        seal::prepare(self).await?;
        Ok(Workers::start(self))
    }

    /// The model's side.
    pub(crate) fn agent(&self) -> &Agent {
        &self.0.parts.agent
    }

    /// What outlives a request.
    pub(crate) fn store(&self) -> &Store {
        &self.0.parts.store
    }

    /// Makes names for new objects.
    pub(crate) fn ids(&self) -> &Ids {
        &self.0.ids
    }

    /// Names that the model answers to; the first is what it calls itself.
    pub(crate) fn models(&self) -> &[String] {
        &self.0.parts.models
    }

    /// What the operator decided.
    pub(crate) fn settings(&self) -> &Settings {
        &self.0.parts.settings
    }

    /// How tokens are chosen where a request does not say.
    pub(crate) fn sampling(&self) -> engine::Sampling {
        engine::Sampling { temperature: self.settings().default_temperature, ..engine::Sampling::default() }
    }

    /// The key that seals what clients carry for us.
    pub(crate) fn sealing(&self) -> &Sealing {
        &self.0.sealing
    }

    /// Thoughts before calls.
    pub(crate) fn thoughts(&self) -> &Thoughts {
        &self.0.thoughts
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("App").field("models", &self.0.parts.models).finish_non_exhaustive()
    }
}
