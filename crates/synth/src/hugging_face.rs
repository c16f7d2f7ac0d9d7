//! The Hugging Face layout: shards named as released, an index, config.json and generation_config.json.

use serde_json::{Map, Value, json};

use crate::json::{indented, one_line};
use crate::plan::FilePlan;
use crate::safetensors::{Entry, plan};
use crate::shape::{LayerKind, Shape};
use crate::tensors::{Checkpoint, Tensor};

/// All files. With one shard the weights are `model.safetensors` and there is no index; otherwise the last shard holds
/// embedding and head, the others the layers, and as in the release shards count from 0 to the number in their names.
pub(crate) fn plans(checkpoint: &Checkpoint, shards: usize) -> Vec<FilePlan> {
    let shape = checkpoint.shape();
    let mut files = if shards <= 1 {
        let entries = checkpoint.tensors().map(entry).collect();
        vec![plan("model.safetensors".into(), entries)]
    } else {
        sharded(checkpoint, shards)
    };
    files.push(FilePlan::text("config.json", indented(&config(shape)) + "\n"));
    files.push(FilePlan::text("generation_config.json", indented(&generation_config(shape)) + "\n"));
    files
}

fn sharded(checkpoint: &Checkpoint, shards: usize) -> Vec<FilePlan> {
    let last = shards - 1;
    let layers = checkpoint.shape().layers.len();
    let mut files = Vec::with_capacity(shards + 1);
    let mut weight_map = Map::new();
    for shard in 0..shards {
        let name = format!("model-{shard:05}-of-{last:05}.safetensors");
        let tensors: Vec<&Tensor> = if shard == last {
            checkpoint.ends().iter().collect()
        } else {
            (shard * layers / last..(shard + 1) * layers / last).flat_map(|layer| checkpoint.layer(layer)).collect()
        };
        weight_map.extend(tensors.iter().map(|tensor| (tensor.name.clone(), name.clone().into())));
        files.push(plan(name, tensors.into_iter().map(entry).collect()));
    }
    let index = json!({"metadata": {"total_size": checkpoint.tensor_bytes()}, "weight_map": weight_map});
    files.push(FilePlan::text("model.safetensors.index.json", one_line(&index) + "\n"));
    files
}

fn entry(tensor: &Tensor) -> Entry {
    Entry::renamed(tensor, tensor.name.clone())
}

/// config.json with sorted keys.
fn config(shape: &Shape) -> Value {
    let first_special = shape.first_special();
    let layer_types: Vec<&str> = shape
        .layers
        .iter()
        .map(|kind| match kind {
            LayerKind::Sliding => "sliding_attention",
            LayerKind::Full => "full_attention",
        })
        .collect();
    let rope_scaling = shape.yarn.map(|yarn| {
        json!({
            "beta_fast": yarn.beta_fast, "beta_slow": yarn.beta_slow, "factor": yarn.factor,
            "original_max_position_embeddings": shape.initial_context_length,
            "rope_type": "yarn", "truncate": yarn.truncate,
        })
    });
    let mut config = json!({
        "architectures": ["GptOssForCausalLM"],
        "attention_bias": true,
        "attention_dropout": 0.0,
        "eos_token_id": first_special + 4,
        "experts_per_token": shape.experts_per_token,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "hidden_size": shape.hidden_size,
        "initial_context_length": shape.initial_context_length,
        "initializer_range": 0.02,
        "intermediate_size": shape.intermediate_size,
        "layer_types": layer_types,
        "max_position_embeddings": shape.context_length,
        "model_type": "gpt_oss",
        "num_attention_heads": shape.heads,
        "num_experts_per_tok": shape.experts_per_token,
        "num_hidden_layers": shape.layers.len(),
        "num_key_value_heads": shape.kv_heads,
        "num_local_experts": shape.experts,
        "output_router_logits": false,
        "pad_token_id": first_special + 1,
        "quantization_config": {
            "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"],
            "quant_method": "mxfp4",
        },
        "rms_norm_eps": shape.rms_norm_epsilon,
        "rope_scaling": rope_scaling,
        "rope_theta": whole_or_float(shape.rope_theta),
        "router_aux_loss_coef": 0.9,
        "sliding_window": shape.sliding_window,
        "swiglu_limit": shape.swiglu_limit,
        "tie_word_embeddings": false,
        "transformers_version": "4.55.0.dev0",
        "use_cache": true,
        "vocab_size": shape.vocabulary_size,
    });
    config.sort_all_objects();
    config
}

fn generation_config(shape: &Shape) -> Value {
    let first_special = shape.first_special();
    json!({
        "bos_token_id": first_special,
        "do_sample": true,
        "eos_token_id": [first_special + 4, first_special + 1],
        "pad_token_id": first_special + 1,
        "transformers_version": "4.55.0.dev0",
    })
}

/// The release writes `rope_theta` without a decimal point.
pub(crate) fn whole_or_float(value: f64) -> Value {
    if value.fract() == 0.0 && (0.0..1e15).contains(&value) { json!(value as u64) } else { json!(value) }
}
