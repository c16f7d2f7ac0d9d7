//! The seam for tools that are run here, inside a turn. It must not know any of them.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use harmony::ToolNamespace;

use crate::item::ToolName;

/// A tool, or several under one namespace, that answers the model within the turn.
pub trait BuiltIn: Send + Sync {
    /// Whom the model may call: `browser.search`, `python`. They belong to the namespace of the declaration.
    fn recipients(&self) -> Vec<ToolName>;

    /// What the model is told of it.
    fn declaration(&self) -> Declaration;

    /// Works on one call. The future is polled on a thread of its own, outside of any asynchronous runtime; it is dropped when the
    /// context's deadline has passed or nobody waits any more. Whatever goes wrong is told to the model as output.
    fn call(&self, input: ToolInput, context: ToolContext) -> ToolFuture;
}

/// A tool at work.
pub type ToolFuture = Pin<Box<dyn Future<Output = ToolOutput> + Send>>;

/// Where a tool is declared, which decides on the channel of its calls.
#[derive(Clone, Debug, PartialEq)]
pub enum Declaration {
    /// In the system message, as the tools that the model was trained with; calls come on `analysis`.
    System(ToolNamespace),
    /// In the developer message, as the caller's functions are; calls come on `commentary`.
    Developer(ToolNamespace),
}

/// A call of a built-in tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolInput {
    /// Names the call.
    pub call_id: String,
    /// Which of the recipients.
    pub recipient: ToolName,
    /// What the model wrote; not checked.
    pub text: String,
}

/// What a tool may know of the turn.
#[derive(Clone, Debug)]
pub struct ToolContext {
    /// When the tool's time is over.
    pub deadline: Instant,
    /// Whose turn it is; see [`engine::Job::tenant`].
    pub tenant: Vec<u8>,
    pub(crate) cancelled: Arc<AtomicBool>,
}

/// What a tool answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolOutput {
    /// What the model is told.
    pub text: String,
}

impl ToolContext {
    /// Whether nobody waits any more.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

impl Declaration {
    /// The namespace that is declared.
    #[must_use]
    pub fn namespace(&self) -> &ToolNamespace {
        match self {
            Self::System(namespace) | Self::Developer(namespace) => namespace,
        }
    }
}

impl fmt::Debug for dyn BuiltIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.recipients()).finish()
    }
}
