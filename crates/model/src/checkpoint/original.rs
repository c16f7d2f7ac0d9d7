//! OpenAI's `original/` layout: its config.json and tensor names, with query, key and value rows in one matrix.
//! It must not know how tensors are stored in files.

use std::path::Path;

use kernels::GateUp;

use super::hugging_face::alternating;
use super::json::Fields;
use super::tensors::{ExpertShape, Tensors};
use super::validate::{LAYERS_MAX, Spelling, validate};
use super::{LayerWeights, TensorKind, Weights};
use crate::{Error, ModelConfig, Rope, Yarn};

/// The layout's config.json has no field for it; the reference implementation's constant.
const RMS_NORM_EPSILON: f32 = 1e-5;

/// Reads and validates config.json.
///
/// # Errors
/// [`Error::Field`] for what is missing, wrong or not supported.
pub(super) fn configuration(path: &Path, fields: &Fields<'_>) -> Result<ModelConfig, Error> {
    let layers = fields.count(&["num_hidden_layers"])?;
    if layers > LAYERS_MAX {
        return Err(fields.wrong("num_hidden_layers", &format!("1 to {LAYERS_MAX}"), &layers.to_string()));
    }
    let original_context = fields.count(&["initial_context_length"])?;
    let factor = fields.number("rope_scaling_factor")?;
    let yarn = Yarn {
        factor,
        beta_fast: fields.number("rope_ntk_beta")?,
        beta_slow: fields.number("rope_ntk_alpha")?,
        original_context,
        truncate: false,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "bounded by validate"
    )]
    let context_length = (original_context as f64 * factor.max(1.0)) as usize;
    let theta = fields.number("rope_theta")?;
    #[expect(clippy::cast_possible_truncation, reason = "an f32 in the model")]
    let swiglu_limit = fields.number("swiglu_limit")? as f32;
    let config = ModelConfig {
        vocabulary_size: fields.count(&["vocab_size"])?,
        hidden_size: fields.count(&["hidden_size"])?,
        intermediate_size: fields.count(&["intermediate_size"])?,
        layers: alternating(layers),
        heads: fields.count(&["num_attention_heads"])?,
        kv_heads: fields.count(&["num_key_value_heads"])?,
        head_dim: fields.count(&["head_dim"])?,
        experts: fields.count(&["num_experts"])?,
        experts_per_token: fields.count(&["experts_per_token"])?,
        sliding_window: fields.count(&["sliding_window"])?,
        swiglu_limit,
        rms_norm_epsilon: RMS_NORM_EPSILON,
        // The reference extends the context only for factors above 1.
        rope: Rope { theta, yarn: (factor > 1.0).then_some(yarn) },
        context_length,
    };
    validate(&config, path, &spelling())?;
    Ok(config)
}

/// Takes every tensor of the layout.
pub(super) fn weights(tensors: &mut Tensors, config: &ModelConfig) -> Result<Weights, Error> {
    let (vocabulary, hidden) = (config.vocabulary_size, config.hidden_size);
    let embedding = tensors.dense(TensorKind::Embedding, "embedding.weight", vocabulary, hidden)?;
    let layers = (0..config.layers.len()).map(|index| layer(tensors, config, index)).collect::<Result<_, _>>()?;
    let final_norm = tensors.vector(TensorKind::Norm, "norm.scale", &[hidden])?;
    let unembedding = tensors.dense(TensorKind::Unembedding, "unembedding.weight", vocabulary, hidden)?;
    Ok(Weights { embedding, unembedding, final_norm, layers })
}

fn layer(tensors: &mut Tensors, config: &ModelConfig, index: usize) -> Result<LayerWeights, Error> {
    let ModelConfig { hidden_size: hidden, intermediate_size: intermediate, heads, experts, .. } = *config;
    let (query_width, kv_width) = (heads * config.head_dim, config.kv_heads * config.head_dim);
    let name = |suffix: &str| format!("block.{index}.{suffix}");
    for projection in ["mlp.mlp1_weight", "mlp.mlp2_weight"] {
        tensors.refuse_plain_experts(&name(projection))?;
    }
    let split = |tensors: &mut Tensors, stem: &str, rows, columns| {
        let shape = ExpertShape { experts, rows, columns };
        tensors.split_experts(&name(&format!("{stem}.blocks")), &name(&format!("{stem}.scales")), shape)
    };
    let qkv_rows = query_width + 2 * kv_width;
    let attention_norm = tensors.vector(TensorKind::Norm, &name("attn.norm.scale"), &[hidden])?;
    let qkv = tensors.dense(TensorKind::Attention, &name("attn.qkv.weight"), qkv_rows, hidden)?;
    let qkv_bias = tensors.vector(TensorKind::Attention, &name("attn.qkv.bias"), &[qkv_rows])?;
    let output = tensors.dense(TensorKind::Attention, &name("attn.out.weight"), hidden, query_width)?;
    let output_bias = tensors.vector(TensorKind::Attention, &name("attn.out.bias"), &[hidden])?;
    let sinks = tensors.vector(TensorKind::Attention, &name("attn.sinks"), &[heads])?;
    let mlp_norm = tensors.vector(TensorKind::Norm, &name("mlp.norm.scale"), &[hidden])?;
    let router = tensors.dense(TensorKind::Router, &name("mlp.gate.weight"), experts, hidden)?;
    let router_bias = tensors.vector(TensorKind::Router, &name("mlp.gate.bias"), &[experts])?;
    let gate_up = GateUp::Interleaved(split(tensors, "mlp.mlp1_weight", 2 * intermediate, hidden)?);
    let gate_up_bias = tensors.vector(TensorKind::Experts, &name("mlp.mlp1_bias"), &[experts, 2 * intermediate])?;
    let down = split(tensors, "mlp.mlp2_weight", hidden, intermediate)?;
    let down_bias = tensors.vector(TensorKind::Experts, &name("mlp.mlp2_bias"), &[experts, hidden])?;
    Ok(LayerWeights {
        attention_norm,
        query: qkv.rows(0, query_width),
        query_bias: qkv_bias[..query_width].to_vec(),
        key: qkv.rows(query_width, kv_width),
        key_bias: qkv_bias[query_width..query_width + kv_width].to_vec(),
        value: qkv.rows(query_width + kv_width, kv_width),
        value_bias: qkv_bias[query_width + kv_width..].to_vec(),
        output,
        output_bias,
        sinks,
        mlp_norm,
        router,
        router_bias,
        gate_up,
        gate_up_bias,
        down,
        down_bias,
    })
}

fn spelling() -> Spelling {
    Spelling {
        prefix: String::new(),
        vocabulary_size: "vocab_size",
        hidden_size: "hidden_size",
        intermediate_size: "intermediate_size",
        layers: "num_hidden_layers",
        heads: "num_attention_heads",
        kv_heads: "num_key_value_heads",
        head_dim: "head_dim",
        experts: "num_experts",
        experts_per_token: "experts_per_token",
        sliding_window: "sliding_window",
        swiglu_limit: "swiglu_limit",
        rms_norm_epsilon: "rms_norm_eps",
        rope_theta: "rope_theta",
        rope_factor: "rope_scaling_factor",
        rope_betas: "rope_ntk_beta and rope_ntk_alpha",
        rope_original_context: "initial_context_length",
        context_length: "initial_context_length × rope_scaling_factor",
    }
}
