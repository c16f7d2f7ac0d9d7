//! Recipes: everything that a run is told, as TOML, read once and checked whole. It must not know how any of it is done.
//!
//! What decides the course of training is what is serialised: [`Recipe::digest`] is taken of that, and a run is only resumed
//! with a recipe of the same digest. Fields that merely say where, how fast and how often to look are skipped.

mod check;
mod schedule;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::{AttentionKind, ModelConfig, Rope, Yarn};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::Error;

/// Largest recipe file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A whole recipe, with every value in its bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The shape.
    pub model: Shape,
    /// What is learnt from.
    pub data: Data,
    /// How it is learnt.
    pub train: Schedule,
}

/// The shape of the model, but for the vocabulary's size, which comes with the tokenizer. What is not said is as in gpt-oss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Width of the residual stream; a multiple of 32.
    pub hidden_size: usize,
    /// Layers, by turns with sliding and with full attention.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Values per head; even.
    #[serde(default = "default::head_dim")]
    pub head_dim: usize,
    /// Experts per layer.
    pub experts: usize,
    /// Experts per token; at most `experts`.
    #[serde(default = "default::experts_per_token")]
    pub experts_per_token: usize,
    /// Width of each expert; a multiple of 32.
    pub intermediate_size: usize,
    /// Keys that a sliding layer sees.
    #[serde(default = "default::sliding_window")]
    pub sliding_window: usize,
    /// Clamp of the SwiGLU inputs.
    #[serde(default = "default::swiglu_limit")]
    pub swiglu_limit: f64,
    /// Epsilon inside RMSNorm.
    #[serde(default = "default::rms_norm_epsilon")]
    pub rms_norm_epsilon: f64,
    /// Base of the rotary frequencies.
    #[serde(default = "default::rope_theta")]
    pub rope_theta: f64,
    /// YaRN's extension of the context; 1 turns YaRN off.
    #[serde(default = "default::rope_factor")]
    pub rope_factor: f64,
    /// Context before extension, in tokens.
    #[serde(default = "default::original_context")]
    pub original_context: usize,
    /// Longest context that the model is said to be made for, in tokens.
    #[serde(default = "default::context")]
    pub context: usize,
}

/// What is learnt from: the corpus or conversations, exactly one of the two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The built-in synthetic corpus.
    pub corpus: Option<CorpusData>,
    /// Files of conversations, one as JSON a line; relative to the recipe's folder.
    #[serde(default)]
    pub conversations: Vec<PathBuf>,
    /// Files of conversations to measure on.
    #[serde(default)]
    pub validation: Vec<PathBuf>,
    /// A tokenizer.json, relative to the recipe's folder. Without it the corpus has one that is trimmed to it; conversations
    /// need one.
    pub tokenizer: Option<PathBuf>,
    /// Longer documents are left out. Without it: as long as context and micro-batch allow.
    pub document_tokens_max: Option<usize>,
}

/// Which stream of the built-in corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusData {
    /// Decides every item.
    pub seed: u64,
    /// Ids of the trimmed tokenizer.
    pub vocabulary_size: usize,
    /// Items that the tokenizer is trimmed to.
    #[serde(default = "default::vocabulary_items")]
    pub vocabulary_items: u64,
    /// Weights by skill; skills that are not named keep their usual weight.
    #[serde(default)]
    pub mixture: BTreeMap<String, u64>,
    /// What comes more often at first.
    pub early: Option<EarlyData>,
}

/// Another mixture at the beginning of training: what everything else builds on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyData {
    /// How many items it gives.
    pub items: u64,
    /// Weights by skill; skills that are not named keep their weight of the later mixture.
    pub mixture: BTreeMap<String, u64>,
}

/// How parameters move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimiser {
    /// AdamW (arXiv 1711.05101).
    #[default]
    AdamW,
    /// Muon (arXiv 2502.16982) for the matrices of attention and experts, AdamW for everything else, at the same learning rate.
    Muon,
}

/// How it is learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Steps of the optimiser.
    pub steps: u64,
    /// A step takes documents until they have so many tokens.
    pub tokens_per_step: usize,
    /// Tokens computed at a time at most, which decides the memory.
    #[serde(default = "default::micro_batch_tokens")]
    pub micro_batch_tokens: usize,
    /// How the parameters move.
    #[serde(default)]
    pub optimiser: Optimiser,
    /// Highest learning rate, reached after the warm-up.
    pub learning_rate: f64,
    /// Steps in which it rises from 0.
    #[serde(default)]
    pub warmup_steps: u64,
    /// What is left of it at the last step, as a share.
    #[serde(default = "default::final_learning_rate_share")]
    pub final_learning_rate_share: f64,
    /// Decay of AdamW's two running means.
    #[serde(default = "default::betas")]
    pub betas: [f64; 2],
    /// Added to the root of the second mean.
    #[serde(default = "default::epsilon")]
    pub epsilon: f64,
    /// Decay of weights, apart from the gradient.
    #[serde(default = "default::weight_decay")]
    pub weight_decay: f64,
    /// Longest gradient; longer ones are scaled down to it.
    #[serde(default = "default::clip_norm")]
    pub clip_norm: f64,
    /// Weight of the loss that keeps the experts equally busy.
    #[serde(default = "default::router_balance")]
    pub router_balance: f64,
    /// Weight of tokens that the model does not write itself, while they count.
    #[serde(default = "default::prompt_weight")]
    pub prompt_weight: f64,
    /// Share of the steps, from the first on, in which they count.
    #[serde(default = "default::prompt_steps_share")]
    pub prompt_steps_share: f64,
    /// Share of the steps after which the weights are rounded as in the exported file; 1 never.
    #[serde(default = "default::quantise_from_share")]
    pub quantise_from_share: f64,
    /// Decides the first weights and the order of conversations.
    #[serde(default = "default::seed")]
    pub seed: u64,
    /// Threads; all processors if not said. The result does not depend on it.
    #[serde(default, skip_serializing)]
    pub threads: Option<usize>,
    /// Whether a layer's activations are computed again instead of kept: less memory, more time, the same result.
    #[serde(default, skip_serializing)]
    pub recompute: bool,
    /// Steps between checkpoints.
    #[serde(default = "default::checkpoint_every_steps", skip_serializing)]
    pub checkpoint_every_steps: u64,
    /// Steps between validations.
    #[serde(default = "default::validate_every_steps", skip_serializing)]
    pub validate_every_steps: u64,
    /// Documents that are validated on; 0 for none.
    #[serde(default = "default::validation_samples", skip_serializing)]
    pub validation_samples: usize,
    /// Where everything goes, relative to the folder that the command runs in.
    #[serde(skip_serializing)]
    pub output: PathBuf,
}

impl Recipe {
    /// Reads and checks a recipe.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::RecipeSyntax`] with the line, [`Error::RecipeValue`] with the key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let bytes = std::fs::metadata(path).map_err(read)?.len();
        if bytes > FILE_BYTES_MAX {
            let (key, found) = ("the file", format!("{bytes} bytes"));
            return Err(check::wrong(path, key, found, &format!("at most {FILE_BYTES_MAX} bytes")));
        }
        Self::parse(path, &std::fs::read_to_string(path).map_err(read)?)
    }

    /// Checks a recipe's text; `path` is for messages, and data files are looked for beside it.
    ///
    /// # Errors
    /// As [`Recipe::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let mut recipe: Self = toml::from_str(text).map_err(|error| check::syntax(path, text, &error))?;
        check::check(path, &recipe)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let Data { conversations, validation, tokenizer, .. } = &mut recipe.data;
        for file in conversations.iter_mut().chain(validation).chain(tokenizer) {
            *file = folder.join(&*file);
        }
        Ok(recipe)
    }

    /// Of everything in the recipe that decides the course of training; the contents of files are for the caller to add.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut decides = self.clone();
        // Where files lie decides nothing; what is in them does.
        let Data { conversations, validation, tokenizer, .. } = &mut decides.data;
        conversations.clear();
        validation.clear();
        *tokenizer = None;
        let text = serde_json::to_string(&decides).expect("a recipe is plain data with names for keys");
        let mut digest = Digest::new();
        digest.bytes(text.as_bytes());
        digest
    }

    /// Documents with more tokens are left out.
    #[must_use]
    pub fn document_tokens_max(&self) -> usize {
        let most = self.model.context.min(self.train.micro_batch_tokens);
        self.data.document_tokens_max.unwrap_or(most)
    }
}

impl Shape {
    /// The model's configuration with a vocabulary.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "these are f32 in the model")]
    pub fn config(&self, vocabulary_size: usize) -> ModelConfig {
        let alternating =
            |layer: usize| if layer.is_multiple_of(2) { AttentionKind::Sliding } else { AttentionKind::Full };
        let yarn = (self.rope_factor > 1.0).then_some(Yarn {
            factor: self.rope_factor,
            beta_fast: 32.0,
            beta_slow: 1.0,
            original_context: self.original_context,
            truncate: false,
        });
        ModelConfig {
            vocabulary_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            layers: (0..self.layers).map(alternating).collect(),
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            experts: self.experts,
            experts_per_token: self.experts_per_token,
            sliding_window: self.sliding_window,
            swiglu_limit: self.swiglu_limit as f32,
            rms_norm_epsilon: self.rms_norm_epsilon as f32,
            rope: Rope { theta: self.rope_theta, yarn },
            context_length: self.context,
        }
    }
}

/// What holds when a recipe does not say.
mod default {
    macro_rules! defaults {
        ($($name:ident: $type:ty = $value:expr;)*) => {
            $(pub(super) const fn $name() -> $type { $value })*
        };
    }

    defaults! {
        head_dim: usize = 64;
        experts_per_token: usize = 4;
        sliding_window: usize = 128;
        swiglu_limit: f64 = 7.0;
        rms_norm_epsilon: f64 = 1e-5;
        rope_theta: f64 = 150_000.0;
        rope_factor: f64 = 32.0;
        original_context: usize = 4096;
        context: usize = 131_072;
        vocabulary_items: u64 = 20_000;
        micro_batch_tokens: usize = 4096;
        final_learning_rate_share: f64 = 0.1;
        betas: [f64; 2] = [0.9, 0.97];
        epsilon: f64 = 1e-8;
        weight_decay: f64 = 0.02;
        clip_norm: f64 = 1.0;
        router_balance: f64 = 0.01;
        prompt_weight: f64 = 0.1;
        prompt_steps_share: f64 = 0.2;
        quantise_from_share: f64 = 0.75;
        seed: u64 = 1;
        checkpoint_every_steps: u64 = 200;
        validate_every_steps: u64 = 200;
        validation_samples: usize = 256;
    }
}

#[cfg(test)]
pub(crate) mod tests;
