//! The shape of a gpt-oss model, as read from its files. It must not know where the numbers came from.

/// Hyperparameters of a gpt-oss model. Every field is read from the checkpoint; none is assumed.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Rows of the embedding and of the unembedding.
    pub vocabulary_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of each expert's activation.
    pub intermediate_size: usize,
    /// One entry per layer.
    pub layers: Vec<AttentionKind>,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`. Query head `h` reads key/value head `h / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Values per head; even.
    pub head_dim: usize,
    /// Experts per layer.
    pub experts: usize,
    /// Experts chosen per token; at most `experts`.
    pub experts_per_token: usize,
    /// Keys that a sliding layer sees, the token itself included.
    pub sliding_window: usize,
    /// Clamp of the SwiGLU inputs.
    pub swiglu_limit: f32,
    /// Epsilon inside RMSNorm.
    pub rms_norm_epsilon: f32,
    /// Rotary position embedding.
    pub rope: Rope,
    /// Longest context that the checkpoint is meant for, in tokens.
    pub context_length: usize,
}

/// Which keys a layer's attention sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttentionKind {
    /// The last `sliding_window` keys.
    Sliding,
    /// All earlier keys.
    Full,
}

/// Rotary embedding parameters (YaRN, arXiv 2309.00071, as in the gpt-oss reference).
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Base of the frequencies.
    pub theta: f64,
    /// Context extension; `None` means plain rotary embedding without concentration.
    pub yarn: Option<Yarn>,
}

/// YaRN context extension.
#[derive(Clone, Debug, PartialEq)]
pub struct Yarn {
    /// By how much the context was extended.
    pub factor: f64,
    /// Rotations above which a frequency is kept.
    pub beta_fast: f64,
    /// Rotations below which a frequency is divided by `factor`.
    pub beta_slow: f64,
    /// Context before extension, in tokens.
    pub original_context: usize,
    /// Whether the ramp's ends are rounded to whole dimensions; gpt-oss says no.
    pub truncate: bool,
}
