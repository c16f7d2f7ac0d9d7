//! What every request can reach. It must not know routes.

use std::sync::{Arc, OnceLock};

use agent::Agent;
use store::Store;

use crate::background::Workers;
use crate::conversation::GivenBack;
use crate::ids::Ids;
use crate::keys::Keys;
use crate::life::Life;
use crate::listener::ServeError;
use crate::metrics::Metrics;
use crate::seal::{self, Sealing};
use crate::settings::Settings;
use crate::thoughts::Thoughts;
use crate::traces::Traces;
use crate::turns::WatchedAgent;

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
    /// API keys; without them, nobody is asked for one.
    pub keys: Option<Keys>,
}

/// The server's state; clones share it.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    agent: WatchedAgent,
    store: Store,
    models: Vec<String>,
    settings: Settings,
    keys: Option<Keys>,
    ids: Ids,
    life: Life,
    metrics: Arc<Metrics>,
    traces: OnceLock<Traces>,
    sealing: Sealing,
    thoughts: Thoughts,
    given_back: GivenBack,
}

impl App {
    /// A server over these parts.
    ///
    /// # Panics
    /// Without a name for the model.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { agent, store, models, settings, keys } = parts;
        assert!(!models.is_empty(), "a model has a name");
        let life = Life::default();
        let metrics = Metrics::new(agent.clone(), life.clone(), &models[0]);
        let agent = WatchedAgent::new(agent, Arc::clone(&metrics), settings.log_prompts);
        let (ids, traces, sealing, thoughts, given_back) = <_>::default();
        Self(Arc::new(Inner {
            agent,
            store,
            models,
            settings,
            keys,
            ids,
            life,
            metrics,
            traces,
            sealing,
            thoughts,
            given_back,
        }))
    }

    /// Prepares what requests rely on (the sealing key, which other replicas share) and starts what runs without them: background
    /// responses, batches and the removal of what has expired. To be called before the first request is served.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn start(&self) -> Result<Workers, store::Error> {
        seal::prepare(self).await?;
        Ok(Workers::start(self))
    }

    /// Sends a trace of every request to a collector from now on, as `http://127.0.0.1:4318`. Needs tokio's runtime.
    ///
    /// # Errors
    /// When that is no address of a collector.
    pub fn trace_to(&self, endpoint: &str) -> Result<(), ServeError> {
        let traces = Traces::start(endpoint, Arc::clone(&self.0.metrics))?;
        // A second collector is none.
        let _ = self.0.traces.set(traces);
        Ok(())
    }

    /// Whether requests are taken, and how to end that.
    #[must_use]
    pub fn life(&self) -> &Life {
        &self.0.life
    }

    /// API keys, if there are any.
    #[must_use]
    pub fn keys(&self) -> Option<&Keys> {
        self.0.keys.as_ref()
    }

    /// The model's side; turns that it begins are noted.
    pub(crate) fn agent(&self) -> &WatchedAgent {
        &self.0.agent
    }

    /// Figures for Prometheus.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The way to a collector of traces, if there is one.
    pub(crate) fn traces(&self) -> Option<&Traces> {
        self.0.traces.get()
    }

    /// What outlives a request.
    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// Conversations that are on their way back.
    pub(crate) fn given_back(&self) -> &GivenBack {
        &self.0.given_back
    }

    /// Makes names for new objects.
    pub(crate) fn ids(&self) -> &Ids {
        &self.0.ids
    }

    /// Names that the model answers to; the first is what it calls itself.
    pub(crate) fn models(&self) -> &[String] {
        &self.0.models
    }

    /// What the operator decided.
    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
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
        formatter.debug_struct("App").field("models", &self.0.models).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl App {
    /// A server over this agent and a store in memory.
    pub(crate) async fn over(agent: Agent, settings: Settings, keys: Option<Keys>) -> Self {
        let store = Store::open("sqlite::memory:", store::Settings::default()).await.expect("memory can be opened");
        Self::new(Parts { agent, store, models: vec!["tiny".to_owned()], settings, keys })
    }

    /// A server over a model that answers nothing.
    pub(crate) async fn idle() -> Self {
        let agent = Agent::scripted("<|channel|>final<|message|><|return|>");
        Self::over(agent, Settings::default(), None).await
    }
}
