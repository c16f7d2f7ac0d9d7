//! Synthetic gpt-oss checkpoints: seeded random weights of any shape, written exactly as the published files are laid out.
//!
//! Tests, benchmarks and demonstrations need models of known content and of the published size without a download. This
//! crate is also a second, independent reading of the formats, so it must not know the crates that load and run a model:
//! what it writes and what they read agree only if both understood the format.
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! use synth::{Layout, Shape, Writer};
//! let written = Writer::new(Shape::tiny()).seed(20).layout(Layout::HuggingFace { shards: 3 }).write(folder)?;
//! assert_eq!(written.files.len(), 6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod dense;
mod error;
mod field;
mod gguf;
mod hugging_face;
mod json;
mod merges;
mod numbers;
mod original;
mod plan;
mod safetensors;
mod shape;
mod spread;
mod stream;
mod tensors;
mod tokenizer;
mod writer;

pub use dense::DenseFormat;
pub use error::{Error, Result};
pub use gguf::GgufOptions;
pub use shape::{LayerKind, Shape, Yarn};
pub use spread::Spread;
pub use tensors::{Checkpoint, Dtype, Tensor};
pub use writer::{Layout, Writer, Written};
