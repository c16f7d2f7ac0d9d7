//! Checkpoints as published: Hugging Face safetensors, OpenAI's `original/` layout and GGUF, checked whole and mapped.
//!
//! [`Checkpoint::open`] reads hyperparameters and tensor tables, compares every tensor with what the hyperparameters ask for,
//! and gives matrices that still lie in the files: nothing is dequantised, and nothing is computed. Small vectors (norms,
//! biases, sinks) are widened to f32, which is exact. It must not know how a forward pass uses any of it.

use std::path::{Path, PathBuf};

use kernels::{DenseMatrix, GateUp, Mxfp4Matrix};

use crate::{Error, ModelConfig};

pub mod encoding;
pub mod gguf;
mod gguf_model;
pub mod gguf_values;
mod hugging_face;
mod json;
mod locate;
mod memory;
mod open;
mod original;
pub mod safetensors;
mod scales;
mod tensors;
pub mod validate;
mod vocabulary;

pub use memory::{MemoryPlan, PLANNED_CHUNK_TOKENS};
pub use vocabulary::{GgufVocabulary, VocabularySource};

/// A checkpoint whose every tensor was found, checked and mapped.
#[derive(Clone)]
pub struct Checkpoint {
    /// Which of the three layouts the files have.
    pub layout: Layout,
    /// Hyperparameters, as the files say.
    pub config: ModelConfig,
    /// `[vocabulary, hidden]`.
    pub embedding: DenseMatrix,
    /// `[vocabulary, hidden]`; the embedding itself when the file ties them.
    pub unembedding: DenseMatrix,
    /// Scale of the last RMSNorm, `[hidden]`.
    pub final_norm: Vec<f32>,
    /// One entry per layer.
    pub layers: Vec<LayerWeights>,
    /// Every tensor of the files, in the order of the model.
    pub tensors: Vec<TensorInfo>,
    /// The files that hold tensors (and, for GGUF, all parts of a split set).
    pub files: Vec<CheckpointFile>,
    /// Tokens that end a turn according to generation_config.json, config.json or GGUF keys; empty when no file says.
    pub stop_ids: Vec<u32>,
    /// Where the vocabulary is.
    pub vocabulary: VocabularySource,
    scaled: Vec<scales::ScaledTensor>,
}

/// The weights of one layer; `H` hidden, `I` intermediate, `E` experts.
#[derive(Clone)]
pub struct LayerWeights {
    /// Scale of the RMSNorm before attention, `[H]`.
    pub attention_norm: Vec<f32>,
    /// `[heads × head_dim, H]`.
    pub query: DenseMatrix,
    /// `[heads × head_dim]`.
    pub query_bias: Vec<f32>,
    /// `[kv_heads × head_dim, H]`.
    pub key: DenseMatrix,
    /// `[kv_heads × head_dim]`.
    pub key_bias: Vec<f32>,
    /// `[kv_heads × head_dim, H]`.
    pub value: DenseMatrix,
    /// `[kv_heads × head_dim]`.
    pub value_bias: Vec<f32>,
    /// `[H, heads × head_dim]`.
    pub output: DenseMatrix,
    /// `[H]`.
    pub output_bias: Vec<f32>,
    /// One attention-sink logit per query head, `[heads]`.
    pub sinks: Vec<f32>,
    /// Scale of the RMSNorm before the experts, `[H]`.
    pub mlp_norm: Vec<f32>,
    /// `[E, H]`.
    pub router: DenseMatrix,
    /// `[E]`.
    pub router_bias: Vec<f32>,
    /// Gate and up projections, `[E, I, H]` each.
    pub gate_up: GateUp,
    /// `[E, 2·I]`: gate and up in turn, whatever order the matrices have.
    pub gate_up_bias: Vec<f32>,
    /// `[E, H, I]`.
    pub down: Mxfp4Matrix,
    /// `[E, H]`.
    pub down_bias: Vec<f32>,
}

/// The three ways in which gpt-oss is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// transformers' config.json and tensor names.
    HuggingFace,
    /// OpenAI's own names, with fused query, key and value.
    Original,
    /// llama.cpp's container.
    Gguf,
}

/// What a tensor is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TensorKind {
    /// Token embedding.
    Embedding,
    /// RMSNorm scales.
    Norm,
    /// Query, key, value, output, their biases, and sinks.
    Attention,
    /// Expert choice.
    Router,
    /// Expert matrices and biases.
    Experts,
    /// Output projection to the vocabulary.
    Unembedding,
}

/// A line of the tensor table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name in the file.
    pub name: String,
    /// Its encoding under the file format's name.
    pub format: String,
    /// Dimensions, slowest first.
    pub shape: Vec<usize>,
    /// Its size in the file.
    pub bytes: u64,
    /// What it is part of.
    pub kind: TensorKind,
    /// Index into [`Checkpoint::files`].
    pub file: usize,
    /// Whether it is held as an f32 vector instead of being computed from in place.
    pub widened: bool,
}

/// A file with tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// All tensors of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindSummary {
    /// Which kind.
    pub kind: TensorKind,
    /// How many tensors.
    pub tensors: usize,
    /// Their bytes together.
    pub bytes: u64,
    /// The encodings that occur, in order of first appearance.
    pub formats: Vec<String>,
}

/// What a layout gives besides the configuration.
struct Weights {
    embedding: DenseMatrix,
    unembedding: DenseMatrix,
    final_norm: Vec<f32>,
    layers: Vec<LayerWeights>,
}

impl Checkpoint {
    /// Opens a checkpoint: a Hugging Face directory (shards and index, or one file), an `original/` directory or a model
    /// directory whose safetensors are only there, a `.gguf` file or any part of a split one, or a `.safetensors` file with
    /// its config.json beside it.
    ///
    /// # Errors
    /// The first thing that is wrong, with the file, the tensor or field, what was expected and what was found.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let checkpoint = open::open(path)?;
        checkpoint.check_scales()?;
        Ok(checkpoint)
    }

    /// The same without reading the experts' scales, which is most of the time. Whoever computes with weights that were not
    /// packed before asks for [`Checkpoint::check_scales`].
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_without_scales(path: &Path) -> Result<Self, Error> {
        open::open(path)
    }

    /// Refuses a scale that is E8M0's not-a-number.
    ///
    /// # Errors
    /// The first such scale, by file, tensor, expert and row.
    pub fn check_scales(&self) -> Result<(), Error> {
        scales::refuse_nan_scales(&self.files, &self.scaled)
    }

    /// A checkpoint of the Hugging Face layout that is in memory: its `config.json` and its one safetensors file. The
    /// vocabulary is the caller's to keep. `name` stands for the path in messages.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_memory(name: &Path, config_json: &[u8], safetensors: Vec<u8>) -> Result<Self, Error> {
        let checkpoint = open::from_memory(name, config_json, safetensors)?;
        checkpoint.check_scales()?;
        Ok(checkpoint)
    }

    /// Bytes of all files with tensors.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Bytes of all tensors.
    #[must_use]
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes).sum()
    }

    /// The tensor table by kind, in the order of [`TensorKind::ALL`]; kinds without tensors are left out.
    #[must_use]
    pub fn kinds(&self) -> Vec<KindSummary> {
        let summarise = |kind| {
            let mut summary = KindSummary { kind, tensors: 0, bytes: 0, formats: Vec::new() };
            for tensor in self.tensors.iter().filter(|tensor| tensor.kind == kind) {
                summary.tensors += 1;
                summary.bytes += tensor.bytes;
                if !summary.formats.contains(&tensor.format) {
                    summary.formats.push(tensor.format.clone());
                }
            }
            summary
        };
        TensorKind::ALL.into_iter().map(summarise).filter(|summary| summary.tensors > 0).collect()
    }
}

impl TensorKind {
    /// Every kind, in the order of the forward pass.
    pub const ALL: [Self; 6] =
        [Self::Embedding, Self::Norm, Self::Attention, Self::Router, Self::Experts, Self::Unembedding];

    /// The name to show.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Norm => "norms",
            Self::Attention => "attention",
            Self::Router => "router",
            Self::Experts => "experts",
            Self::Unembedding => "unembedding",
        }
    }
}

impl Layout {
    /// The name to show.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HuggingFace => "Hugging Face safetensors",
            Self::Original => "original safetensors",
            Self::Gguf => "GGUF",
        }
    }
}
