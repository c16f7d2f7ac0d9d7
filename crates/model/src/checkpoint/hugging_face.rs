//! The Hugging Face layout: config.json of transformers and the tensor names of `GptOssForCausalLM`.
//! It must not know how tensors are stored in files.

use std::path::Path;

use kernels::{DenseMatrix, GateUp};

use super::json::Fields;
use super::tensors::{ExpertShape, Tensors};
use super::validate::{LAYERS_MAX, Spelling, validate};
use super::{LayerWeights, TensorKind, Weights};
use crate::{AttentionKind, Error, ModelConfig, Rope, Yarn};

/// What transformers takes when config.json does not say (`GptOssConfig`, `modeling_rope_utils`).
const RMS_NORM_EPSILON_DEFAULT: f64 = 1e-5;
const SWIGLU_LIMIT_DEFAULT: f64 = 7.0;
const BETA_FAST_DEFAULT: f64 = 32.0;
const BETA_SLOW_DEFAULT: f64 = 1.0;
const TRUNCATE_DEFAULT: bool = true;

/// A config.json of this layout, read and validated.
pub(super) struct Configuration {
    pub(super) config: ModelConfig,
    /// Whether the unembedding is the embedding.
    pub(super) tied: bool,
}

/// Reads config.json.
///
/// # Errors
/// [`Error::Architecture`] for other models, [`Error::Field`] for what is missing, wrong or not supported.
pub(super) fn configuration(path: &Path, fields: &Fields<'_>) -> Result<Configuration, Error> {
    refuse_other_models(path, fields)?;
    let heads = fields.count(&["num_attention_heads"])?;
    let layers = layers(fields)?;
    let rope = rope(fields)?;
    let context_length = fields.count(&["max_position_embeddings"])?;
    let sliding_window = match fields.optional_count(&["sliding_window"])? {
        Some(window) => window,
        None if layers.contains(&AttentionKind::Sliding) => fields.count(&["sliding_window"])?,
        None => context_length,
    };
    #[expect(clippy::cast_possible_truncation, reason = "these are f32 in the model")]
    let config = ModelConfig {
        vocabulary_size: fields.count(&["vocab_size"])?,
        hidden_size: fields.count(&["hidden_size"])?,
        intermediate_size: fields.count(&["intermediate_size"])?,
        layers,
        heads,
        kv_heads: fields.count(&["num_key_value_heads"])?,
        head_dim: fields.count(&["head_dim"])?,
        experts: fields.count(&["num_local_experts", "num_experts"])?,
        experts_per_token: fields.count(&["num_experts_per_tok", "experts_per_token"])?,
        sliding_window,
        swiglu_limit: fields.optional_number("swiglu_limit")?.unwrap_or(SWIGLU_LIMIT_DEFAULT) as f32,
        rms_norm_epsilon: fields.optional_number("rms_norm_eps")?.unwrap_or(RMS_NORM_EPSILON_DEFAULT) as f32,
        rope,
        context_length,
    };
    validate(&config, path, &spelling())?;
    Ok(Configuration { config, tied: fields.optional_boolean("tie_word_embeddings")?.unwrap_or(false) })
}

fn refuse_other_models(path: &Path, fields: &Fields<'_>) -> Result<(), Error> {
    let other = |found: String| Error::Architecture { path: path.to_path_buf(), found };
    if let Some(model_type) = fields.optional_text("model_type")?
        && model_type != "gpt_oss"
    {
        return Err(other(format!("model_type {:?}", crate::error::printable(model_type))));
    }
    if let Some(architectures) = fields.get("architectures")
        && architectures.as_array().and_then(|list| list.first()?.as_str()) != Some("GptOssForCausalLM")
    {
        return Err(other(format!("architectures {}", crate::error::printable(&architectures.to_string()))));
    }
    if fields.optional_boolean("attention_bias")? == Some(false) {
        return Err(fields.wrong("attention_bias", "true", "false"));
    }
    // The published files say "silu", and mean the clamped SwiGLU that every gpt-oss has.
    if let Some(activation) = fields.optional_text("hidden_act")?
        && activation != "silu"
    {
        return Err(fields.wrong("hidden_act", "silu", activation));
    }
    if let Some(quantisation) = fields.object("quantization_config", "quantization_config.")? {
        match quantisation.optional_text("quant_method")? {
            Some("mxfp4") => {}
            method => return Err(quantisation.wrong("quant_method", "mxfp4", method.unwrap_or("no such field"))),
        }
    }
    Ok(())
}

fn layers(fields: &Fields<'_>) -> Result<Vec<AttentionKind>, Error> {
    let count = fields.count(&["num_hidden_layers"])?;
    if count > LAYERS_MAX {
        return Err(fields.wrong("num_hidden_layers", &format!("1 to {LAYERS_MAX}"), &count.to_string()));
    }
    let Some(types) = fields.get("layer_types") else { return Ok(alternating(count)) };
    let expected = format!("{count} of sliding_attention or full_attention (num_hidden_layers)");
    let list = types.as_array().ok_or_else(|| fields.wrong("layer_types", &expected, &types.to_string()))?;
    if list.len() != count {
        return Err(fields.wrong("layer_types", &expected, &format!("{} entries", list.len())));
    }
    let kinds = list.iter().map(|kind| match kind.as_str() {
        Some("sliding_attention") => Ok(AttentionKind::Sliding),
        Some("full_attention") => Ok(AttentionKind::Full),
        _ => Err(fields.wrong("layer_types", &expected, &kind.to_string())),
    });
    kinds.collect()
}

/// Sliding and full attention in turn, from sliding on: what gpt-oss has when nothing else is said.
pub(super) fn alternating(count: usize) -> Vec<AttentionKind> {
    (0..count).map(|layer| if layer % 2 == 0 { AttentionKind::Sliding } else { AttentionKind::Full }).collect()
}

fn rope(fields: &Fields<'_>) -> Result<Rope, Error> {
    // `rope_scaling` until transformers 4, `rope_parameters` with the base frequency inside since 5.
    let parameters = match fields.object("rope_parameters", "rope_parameters.")? {
        Some(parameters) => Some(parameters),
        None => fields.object("rope_scaling", "rope_scaling.")?,
    };
    let inner_theta = match &parameters {
        Some(parameters) => parameters.optional_number("rope_theta")?,
        None => None,
    };
    let theta = match inner_theta {
        Some(theta) => theta,
        None => fields.number("rope_theta")?,
    };
    let Some(parameters) = parameters else { return Ok(Rope { theta, yarn: None }) };
    let kind = match parameters.optional_text("rope_type")? {
        Some(kind) => Some(kind),
        None => parameters.optional_text("type")?,
    };
    match kind {
        Some("yarn") => Ok(Rope { theta, yarn: Some(yarn(fields, &parameters)?) }),
        Some("default") => Ok(Rope { theta, yarn: None }),
        None if parameters.get("factor").is_none() => Ok(Rope { theta, yarn: None }),
        other => Err(parameters.wrong("rope_type", "yarn or default", other.unwrap_or("no such field"))),
    }
}

fn yarn(fields: &Fields<'_>, parameters: &Fields<'_>) -> Result<Yarn, Error> {
    let original_context = match parameters.optional_count(&["original_max_position_embeddings"])? {
        Some(context) => context,
        None => fields.count(&["initial_context_length"])?,
    };
    let factor = parameters.number("factor")?;
    refuse_other_concentration(parameters, factor)?;
    let partial = parameters.optional_number("partial_rotary_factor")?.unwrap_or(1.0);
    #[expect(clippy::float_cmp, reason = "only exactly 1 means whole heads")]
    if partial != 1.0 {
        return Err(parameters.wrong("partial_rotary_factor", "1", &partial.to_string()));
    }
    Ok(Yarn {
        factor,
        beta_fast: parameters.optional_number("beta_fast")?.unwrap_or(BETA_FAST_DEFAULT),
        beta_slow: parameters.optional_number("beta_slow")?.unwrap_or(BETA_SLOW_DEFAULT),
        original_context,
        truncate: parameters.optional_boolean("truncate")?.unwrap_or(TRUNCATE_DEFAULT),
    })
}

/// The model multiplies by 0.1·ln(factor) + 1; a file that asks for anything else would be computed wrongly.
fn refuse_other_concentration(parameters: &Fields<'_>, factor: f64) -> Result<(), Error> {
    let scale = |weight: f64| if factor <= 1.0 { 1.0 } else { 0.1 * weight * factor.ln() + 1.0 };
    let usual = scale(1.0);
    let differs = |value: f64| (value - usual).abs() > 1e-6 * usual;
    let expected = format!("{usual} (0.1·ln(factor) + 1)");
    if let Some(asked) = parameters.optional_number("attention_factor")? {
        if differs(asked) {
            return Err(parameters.wrong("attention_factor", &expected, &asked.to_string()));
        }
        return Ok(());
    }
    let weights = (parameters.optional_number("mscale")?, parameters.optional_number("mscale_all_dim")?);
    if let (Some(one), Some(all)) = weights
        && one != 0.0
        && all != 0.0
        && differs(scale(one) / scale(all))
    {
        let found = format!("mscale {one} with mscale_all_dim {all}");
        return Err(parameters.wrong("mscale", &format!("a ratio of {expected}"), &found));
    }
    Ok(())
}

/// Takes every tensor of the layout.
pub(super) fn weights(tensors: &mut Tensors, configuration: &Configuration) -> Result<Weights, Error> {
    let Configuration { config, tied } = configuration;
    let (vocabulary, hidden) = (config.vocabulary_size, config.hidden_size);
    let embedding = tensors.dense(TensorKind::Embedding, "model.embed_tokens.weight", vocabulary, hidden)?;
    let layers = (0..config.layers.len()).map(|index| layer(tensors, config, index)).collect::<Result<_, _>>()?;
    let final_norm = tensors.vector(TensorKind::Norm, "model.norm.weight", &[hidden])?;
    let unembedding = if *tied {
        embedding.clone()
    } else {
        tensors.dense(TensorKind::Unembedding, "lm_head.weight", vocabulary, hidden)?
    };
    Ok(Weights { embedding, unembedding, final_norm, layers })
}

fn layer(tensors: &mut Tensors, config: &ModelConfig, index: usize) -> Result<LayerWeights, Error> {
    let ModelConfig { hidden_size: hidden, intermediate_size: intermediate, heads, experts, .. } = *config;
    let (query_width, kv_width) = (heads * config.head_dim, config.kv_heads * config.head_dim);
    let name = |suffix: &str| format!("model.layers.{index}.{suffix}");
    for projection in ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"] {
        tensors.refuse_plain_experts(&name(projection))?;
    }
    let linear = |tensors: &mut Tensors, kind, stem: &str, rows, columns| -> Result<(DenseMatrix, Vec<f32>), Error> {
        let weight = tensors.dense(kind, &name(&format!("{stem}.weight")), rows, columns)?;
        Ok((weight, tensors.vector(kind, &name(&format!("{stem}.bias")), &[rows])?))
    };
    let split = |tensors: &mut Tensors, stem: &str, rows, columns| {
        let shape = ExpertShape { experts, rows, columns };
        tensors.split_experts(&name(&format!("{stem}_blocks")), &name(&format!("{stem}_scales")), shape)
    };
    let attention_norm = tensors.vector(TensorKind::Norm, &name("input_layernorm.weight"), &[hidden])?;
    let (query, query_bias) = linear(tensors, TensorKind::Attention, "self_attn.q_proj", query_width, hidden)?;
    let (key, key_bias) = linear(tensors, TensorKind::Attention, "self_attn.k_proj", kv_width, hidden)?;
    let (value, value_bias) = linear(tensors, TensorKind::Attention, "self_attn.v_proj", kv_width, hidden)?;
    let (output, output_bias) = linear(tensors, TensorKind::Attention, "self_attn.o_proj", hidden, query_width)?;
    let sinks = tensors.vector(TensorKind::Attention, &name("self_attn.sinks"), &[heads])?;
    let mlp_norm = tensors.vector(TensorKind::Norm, &name("post_attention_layernorm.weight"), &[hidden])?;
    let (router, router_bias) = linear(tensors, TensorKind::Router, "mlp.router", experts, hidden)?;
    let gate_up = GateUp::Interleaved(split(tensors, "mlp.experts.gate_up_proj", 2 * intermediate, hidden)?);
    let bias = name("mlp.experts.gate_up_proj_bias");
    let gate_up_bias = tensors.vector(TensorKind::Experts, &bias, &[experts, 2 * intermediate])?;
    let down = split(tensors, "mlp.experts.down_proj", hidden, intermediate)?;
    let down_bias = tensors.vector(TensorKind::Experts, &name("mlp.experts.down_proj_bias"), &[experts, hidden])?;
    Ok(LayerWeights {
        attention_norm,
        query,
        query_bias,
        key,
        key_bias,
        value,
        value_bias,
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
        experts: "num_local_experts",
        experts_per_token: "num_experts_per_tok",
        sliding_window: "sliding_window",
        swiglu_limit: "swiglu_limit",
        rms_norm_epsilon: "rms_norm_eps",
        rope_theta: "rope_theta",
        rope_factor: "rope_scaling.factor",
        rope_betas: "rope_scaling.beta_fast and beta_slow",
        rope_original_context: "rope_scaling.original_max_position_embeddings",
        context_length: "max_position_embeddings",
    }
}
