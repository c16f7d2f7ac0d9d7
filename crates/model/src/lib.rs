//! gpt-oss: checkpoint files in, logits out. It must not know requests, sampling or text.

pub mod checkpoint;
mod config;
mod error;

pub use checkpoint::{Checkpoint, LayerWeights, Layout, MemoryPlan, VocabularySource};
pub use config::{AttentionKind, ModelConfig, Rope, Yarn};
pub use error::Error;
