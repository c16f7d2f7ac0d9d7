//! What every request can reach. It must not know routes.

use std::sync::Arc;

use agent::Agent;
use store::Store;

use crate::ids::Ids;
use crate::settings::Settings;

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
}

impl App {
    /// A server over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner { parts, ids: Ids::default() }))
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
}
