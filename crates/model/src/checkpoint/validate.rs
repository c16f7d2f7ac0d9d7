//! Bounds that every hyperparameter keeps before any tensor is looked at, whatever file it came from.
//! It must not know file formats: each layout says how it spells the fields.

use std::path::Path;

use super::tensors::BLOCK_VALUES;
use crate::{AttentionKind, Error, ModelConfig, Yarn};

/// Most vocabulary entries.
pub const VOCABULARY_MAX: usize = 1 << 22;
/// Widest residual stream and widest expert.
pub const WIDTH_MAX: usize = 1 << 18;
/// Most layers.
pub const LAYERS_MAX: usize = 1 << 12;
/// Most query heads.
pub const HEADS_MAX: usize = 1 << 12;
/// Most values per head.
pub const HEAD_DIM_MAX: usize = 1 << 12;
/// Most experts per layer.
pub const EXPERTS_MAX: usize = 1 << 14;
/// Longest context and widest window, in tokens.
pub const CONTEXT_MAX: usize = 1 << 26;

/// How a file spells the hyperparameters, for messages.
pub(super) struct Spelling {
    pub(super) prefix: String,
    pub(super) vocabulary_size: &'static str,
    pub(super) hidden_size: &'static str,
    pub(super) intermediate_size: &'static str,
    pub(super) layers: &'static str,
    pub(super) heads: &'static str,
    pub(super) kv_heads: &'static str,
    pub(super) head_dim: &'static str,
    pub(super) experts: &'static str,
    pub(super) experts_per_token: &'static str,
    pub(super) sliding_window: &'static str,
    pub(super) swiglu_limit: &'static str,
    pub(super) rms_norm_epsilon: &'static str,
    pub(super) rope_theta: &'static str,
    pub(super) rope_factor: &'static str,
    pub(super) rope_betas: &'static str,
    pub(super) rope_original_context: &'static str,
    pub(super) context_length: &'static str,
}

/// Refuses hyperparameters that no forward pass could use.
///
/// # Errors
/// [`Error::Field`] naming the first that is out of bounds.
pub(super) fn validate(config: &ModelConfig, path: &Path, spelling: &Spelling) -> Result<(), Error> {
    let check = |holds: bool, field: &str, expected: String, found: String| {
        if holds {
            return Ok(());
        }
        let field = format!("{}{field}", spelling.prefix);
        Err(Error::Field { path: path.to_path_buf(), field, expected, found })
    };
    let bounded = |field: &str, value: usize, most: usize| {
        check((1..=most).contains(&value), field, format!("1 to {most}"), value.to_string())
    };
    let ModelConfig {
        vocabulary_size,
        hidden_size,
        intermediate_size,
        layers,
        heads,
        kv_heads,
        head_dim,
        experts,
        experts_per_token,
        sliding_window,
        swiglu_limit,
        rms_norm_epsilon,
        rope,
        context_length,
    } = config;
    bounded(spelling.vocabulary_size, *vocabulary_size, VOCABULARY_MAX)?;
    bounded(spelling.layers, layers.len(), LAYERS_MAX)?;
    for (field, &width) in [(spelling.hidden_size, hidden_size), (spelling.intermediate_size, intermediate_size)] {
        bounded(field, width, WIDTH_MAX)?;
        let expected = format!("a multiple of {BLOCK_VALUES} (MXFP4 blocks)");
        check(width % BLOCK_VALUES == 0, field, expected, width.to_string())?;
    }
    bounded(spelling.heads, *heads, HEADS_MAX)?;
    bounded(spelling.kv_heads, *kv_heads, HEADS_MAX)?;
    check(heads % kv_heads == 0, spelling.kv_heads, format!("a divisor of the {heads} heads"), kv_heads.to_string())?;
    bounded(spelling.head_dim, *head_dim, HEAD_DIM_MAX)?;
    check(head_dim % 2 == 0, spelling.head_dim, "an even number (rotary halves)".into(), head_dim.to_string())?;
    bounded(spelling.experts, *experts, EXPERTS_MAX)?;
    bounded(spelling.experts_per_token, *experts_per_token, *experts)?;
    bounded(spelling.context_length, *context_length, CONTEXT_MAX)?;
    if layers.contains(&AttentionKind::Sliding) {
        bounded(spelling.sliding_window, *sliding_window, CONTEXT_MAX)?;
    }
    let positive = |field: &str, value: f64| {
        check(value > 0.0 && value.is_finite(), field, "a finite number above 0".into(), value.to_string())
    };
    positive(spelling.swiglu_limit, f64::from(*swiglu_limit))?;
    positive(spelling.rms_norm_epsilon, f64::from(*rms_norm_epsilon))?;
    let found = rope.theta.to_string();
    check(rope.theta > 1.0 && rope.theta.is_finite(), spelling.rope_theta, "a finite number above 1".into(), found)?;
    let Some(Yarn { factor, beta_fast, beta_slow, original_context, truncate: _ }) = &rope.yarn else { return Ok(()) };
    let found = factor.to_string();
    check(*factor >= 1.0 && factor.is_finite(), spelling.rope_factor, "a finite number, 1 or more".into(), found)?;
    let ordered = beta_fast.is_finite() && beta_fast > beta_slow && *beta_slow > 0.0;
    check(
        ordered,
        spelling.rope_betas,
        "a fast above a slow above 0".into(),
        format!("fast {beta_fast}, slow {beta_slow}"),
    )?;
    bounded(spelling.rope_original_context, *original_context, CONTEXT_MAX)
}
