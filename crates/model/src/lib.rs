//! gpt-oss: checkpoint files in, logits out. It must not know requests, sampling or text.

pub mod checkpoint;
mod config;
mod error;
mod forward;
mod model;
mod pages;
mod rope;
mod scripted;

pub use checkpoint::{Checkpoint, LayerWeights, Layout, MemoryPlan, PLANNED_CHUNK_TOKENS, VocabularySource};
pub use config::{AttentionKind, ModelConfig, Rope, Yarn};
pub use error::Error;
pub use forward::GptOss;
pub use kernels::{Choice, draw_bits};
pub use model::{Device, Model, Precision, SequenceId, Span, Wanted, load, load_with, load_with_kv, pack};
pub use pages::{KvShape, PageId};
pub use rope::Frequencies;
pub use scripted::Scripted;
