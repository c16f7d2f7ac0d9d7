//! gpt-oss: checkpoint files in, logits out. It must not know requests, sampling or text.

mod config;

pub use config::{AttentionKind, ModelConfig, Rope, Yarn};
