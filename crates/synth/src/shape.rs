//! The shape of a checkpoint: every number of its configuration, with the published and the tiny presets.
//!
//! It must not know how the numbers are written down; each layout does that.

use crate::error::{Error, Result};
use crate::spread::Spread;

/// Special tokens after the byte-pair ranks: `<|startoftext|>` (199998 in the release) to `<|endofprompt|>` (200018).
pub(crate) const SPECIALS: usize = 21;
/// Rank count of o200k_base, and so the id of the first special token in the release.
pub(crate) const RELEASED_RANKS: usize = 199_998;

/// All hyperparameters of a gpt-oss checkpoint and how its random weights are spread. Change any field for another model:
/// `Shape { experts: 7, ..Shape::tiny() }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Name of the preset, or of your own variation; it becomes `general.name` in GGUF.
    pub name: String,
    /// Rows of embedding and unembedding.
    pub vocabulary_size: usize,
    /// Width of the residual stream; a multiple of 32.
    pub hidden_size: usize,
    /// Width of an expert's activation; a multiple of 32.
    pub intermediate_size: usize,
    /// One kind per layer.
    pub layers: Vec<LayerKind>,
    /// Experts per layer.
    pub experts: usize,
    /// Experts used per token.
    pub experts_per_token: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads, a divisor of `heads`.
    pub kv_heads: usize,
    /// Values per head; even.
    pub head_dim: usize,
    /// Keys seen by a sliding layer, the token itself included.
    pub sliding_window: usize,
    /// Clamp inside SwiGLU.
    pub swiglu_limit: f64,
    /// Epsilon of RMSNorm.
    pub rms_norm_epsilon: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Context extension; `None` is plain rotary embedding.
    pub yarn: Option<Yarn>,
    /// Context before extension, tokens.
    pub initial_context_length: usize,
    /// Longest context, tokens.
    pub context_length: usize,
    /// How the random weights are spread.
    pub spread: Spread,
}

/// Which keys a layer sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// The last `sliding_window` keys.
    Sliding,
    /// All earlier keys.
    Full,
}

/// YaRN settings (arXiv 2309.00071); its original context is [`Shape::initial_context_length`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Yarn {
    /// By how much the context is extended.
    pub factor: f64,
    /// Rotations above which a frequency is kept.
    pub beta_fast: f64,
    /// Rotations below which a frequency is divided by `factor`.
    pub beta_slow: f64,
    /// Whether the ramp's ends are rounded; gpt-oss says no.
    pub truncate: bool,
}

impl Shape {
    /// Names that [`Shape::preset`] knows.
    pub const PRESETS: [&'static str; 5] = ["tiny", "tiny-realvocab", "tiny-moe128", "20b", "120b"];

    /// A preset by name.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "tiny" => Some(Self::tiny()),
            "tiny-realvocab" => Some(Self::tiny_realvocab()),
            "tiny-moe128" => Some(Self::tiny_moe128()),
            "20b" => Some(Self::gpt_oss_20b()),
            "120b" => Some(Self::gpt_oss_120b()),
            _ => None,
        }
    }

    /// Four layers, 8 experts, vocabulary 512: 1.5 MB.
    #[must_use]
    pub fn tiny() -> Self {
        Self {
            name: "tiny".into(),
            vocabulary_size: 512,
            hidden_size: 96,
            intermediate_size: 64,
            layers: Self::alternating(4),
            experts: 8,
            experts_per_token: 4,
            heads: 8,
            kv_heads: 2,
            head_dim: 64,
            sliding_window: 8,
            swiglu_limit: 7.0,
            rms_norm_epsilon: 1e-5,
            rope_theta: 150_000.0,
            yarn: Some(Yarn { factor: 32.0, beta_fast: 32.0, beta_slow: 1.0, truncate: false }),
            initial_context_length: 4096,
            context_length: 131_072,
            spread: Spread::tiny(),
        }
    }

    /// Two layers with the released vocabulary: 78 MB.
    #[must_use]
    pub fn tiny_realvocab() -> Self {
        Self { name: "tiny-realvocab".into(), vocabulary_size: 201_088, layers: Self::alternating(2), ..Self::tiny() }
    }

    /// Two layers with 128 narrow experts.
    #[must_use]
    pub fn tiny_moe128() -> Self {
        Self {
            name: "tiny-moe128".into(),
            layers: Self::alternating(2),
            experts: 128,
            hidden_size: 64,
            intermediate_size: 32,
            ..Self::tiny()
        }
    }

    /// The published shape of gpt-oss-20b: 459 tensors, 13,761,264,768 tensor bytes in the Hugging Face layout.
    #[must_use]
    pub fn gpt_oss_20b() -> Self {
        Self {
            name: "20b".into(),
            vocabulary_size: 201_088,
            hidden_size: 2880,
            intermediate_size: 2880,
            layers: Self::alternating(24),
            experts: 32,
            heads: 64,
            kv_heads: 8,
            sliding_window: 128,
            spread: Spread::full_size(),
            ..Self::tiny()
        }
    }

    /// The published shape of gpt-oss-120b: 687 tensors, 65,248,815,744 tensor bytes in the Hugging Face layout.
    #[must_use]
    pub fn gpt_oss_120b() -> Self {
        Self { name: "120b".into(), layers: Self::alternating(36), experts: 128, ..Self::gpt_oss_20b() }
    }

    /// The published order of layers: even indices sliding, odd ones full.
    #[must_use]
    pub fn alternating(layers: usize) -> Vec<LayerKind> {
        (0..layers).map(|n| if n % 2 == 0 { LayerKind::Sliding } else { LayerKind::Full }).collect()
    }

    /// Width of all query heads together.
    #[must_use]
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all key (or value) heads together.
    #[must_use]
    pub fn key_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Id of `<|startoftext|>`, the first of the 21 special tokens; equally the number of byte-pair ranks before it.
    #[must_use]
    pub fn first_special(&self) -> usize {
        if self.vocabulary_size < RELEASED_RANKS + SPECIALS { self.vocabulary_size - SPECIALS } else { RELEASED_RANKS }
    }

    pub(crate) fn alternates(&self) -> bool {
        self.layers == Self::alternating(self.layers.len())
    }

    /// Checks that a checkpoint of this shape can exist.
    pub(crate) fn check(&self) -> Result<()> {
        let fail =
            |field, found: usize, expected: String| Err(Error::Shape { field, found: found.to_string(), expected });
        if self.vocabulary_size < SPECIALS + 11 {
            return fail("vocabulary_size", self.vocabulary_size, format!("at least {}", SPECIALS + 11));
        }
        for (field, value) in [("hidden_size", self.hidden_size), ("intermediate_size", self.intermediate_size)] {
            if value == 0 || !value.is_multiple_of(32) {
                return fail(field, value, "a multiple of 32 (MXFP4 blocks)".into());
            }
        }
        if self.layers.is_empty() {
            return fail("layers", 0, "at least 1".into());
        }
        if self.experts_per_token == 0 || self.experts_per_token > self.experts {
            return fail("experts_per_token", self.experts_per_token, format!("1 to {} (experts)", self.experts));
        }
        if self.kv_heads == 0 || self.heads == 0 || !self.heads.is_multiple_of(self.kv_heads) {
            return fail("kv_heads", self.kv_heads, format!("a divisor of {} (heads)", self.heads));
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            return fail("head_dim", self.head_dim, "an even number".into());
        }
        self.spread.check()
    }
}
