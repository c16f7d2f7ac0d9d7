//! OpenAI's `original/` layout: one safetensors file, q, k and v stacked as rows of one matrix, the same MXFP4 bytes.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::hugging_face::whole_or_float;
use crate::json::one_line;
use crate::plan::{Content, FilePlan};
use crate::safetensors::{Entry, plan};
use crate::shape::Shape;
use crate::tensors::{Checkpoint, Dtype, Tensor};

/// All files.
pub(crate) fn plans(checkpoint: &Checkpoint) -> Result<Vec<FilePlan>> {
    let config = config(checkpoint.shape())?;
    let entries = entries(checkpoint);
    let dtypes: Map<String, Value> =
        entries.iter().map(|entry| (entry.name.clone(), dtype_name(entry).into())).collect();
    Ok(vec![
        plan("model.safetensors".into(), entries),
        FilePlan::text("config.json", one_line(&config)),
        FilePlan::text("dtypes.json", one_line(&Value::Object(dtypes))),
    ])
}

fn dtype_name(entry: &Entry) -> &'static str {
    if entry.name.ends_with(".blocks") {
        "FP4"
    } else if entry.name.ends_with(".scales") {
        "UE8"
    } else {
        entry.dtype.name()
    }
}

fn entries(checkpoint: &Checkpoint) -> Vec<Entry> {
    let [embedding, norm, unembedding] = checkpoint.ends() else { unreachable!("Checkpoint::new makes these three") };
    let mut entries = vec![Entry::renamed(embedding, "embedding.weight".into())];
    for layer in 0..checkpoint.shape().layers.len() {
        let tensor = |name: &str| published(checkpoint, layer, name);
        let renamed = |from: &str, to: &str| Entry::renamed(tensor(from), format!("block.{layer}.{to}"));
        let fused = |end: &str| {
            let parts = ["q", "k", "v"].map(|which| tensor(&format!("self_attn.{which}_proj.{end}")));
            let mut shape = parts[0].shape.clone();
            shape[0] = parts.iter().map(|part| part.shape[0]).sum();
            let contents = parts.map(|part| Content::published(&part.field, part.byte_count())).to_vec();
            Entry { name: format!("block.{layer}.attn.qkv.{end}"), dtype: Dtype::Bf16, shape, contents }
        };
        entries.push(renamed("input_layernorm.weight", "attn.norm.scale"));
        entries.extend(["weight", "bias"].map(fused));
        entries.extend(
            [
                ("self_attn.sinks", "attn.sinks"),
                ("self_attn.o_proj.weight", "attn.out.weight"),
                ("self_attn.o_proj.bias", "attn.out.bias"),
                ("post_attention_layernorm.weight", "mlp.norm.scale"),
                ("mlp.router.weight", "mlp.gate.weight"),
                ("mlp.router.bias", "mlp.gate.bias"),
                ("mlp.experts.gate_up_proj_blocks", "mlp.mlp1_weight.blocks"),
                ("mlp.experts.gate_up_proj_scales", "mlp.mlp1_weight.scales"),
                ("mlp.experts.gate_up_proj_bias", "mlp.mlp1_bias"),
                ("mlp.experts.down_proj_blocks", "mlp.mlp2_weight.blocks"),
                ("mlp.experts.down_proj_scales", "mlp.mlp2_weight.scales"),
                ("mlp.experts.down_proj_bias", "mlp.mlp2_bias"),
            ]
            .map(|(from, to)| renamed(from, to)),
        );
    }
    entries.push(Entry::renamed(norm, "norm.scale".into()));
    entries.push(Entry::renamed(unembedding, "unembedding.weight".into()));
    entries
}

/// A tensor of a layer by its published name without the layer's prefix.
pub(crate) fn published<'a>(checkpoint: &'a Checkpoint, layer: usize, name: &str) -> &'a Tensor {
    let name = format!("model.layers.{layer}.{name}");
    let tensor = checkpoint.layer(layer).iter().find(|tensor| tensor.name == name);
    tensor.expect("every layer has every published tensor")
}

fn config(shape: &Shape) -> Result<Value> {
    let refuse = |what: &str| Err(Error::Inexpressible { layout: "original", what: what.into() });
    if !shape.alternates() {
        return refuse("layers that do not alternate sliding, full");
    }
    if shape.rms_norm_epsilon != 1e-5 {
        return refuse("an rms_norm_epsilon other than 1e-5");
    }
    // The reference applies YaRN only when the factor exceeds 1.
    let (factor, alpha, beta) = match shape.yarn {
        None => (1.0, 1.0, 32.0),
        Some(yarn) if yarn.truncate => return refuse("a truncated YaRN ramp"),
        Some(yarn) => (yarn.factor, yarn.beta_slow, yarn.beta_fast),
    };
    Ok(json!({
        "num_hidden_layers": shape.layers.len(),
        "num_experts": shape.experts,
        "experts_per_token": shape.experts_per_token,
        "vocab_size": shape.vocabulary_size,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "swiglu_limit": shape.swiglu_limit,
        "head_dim": shape.head_dim,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "sliding_window": shape.sliding_window,
        "initial_context_length": shape.initial_context_length,
        "rope_theta": whole_or_float(shape.rope_theta),
        "rope_scaling_factor": factor,
        "rope_ntk_alpha": whole_or_float(alpha),
        "rope_ntk_beta": whole_or_float(beta),
    }))
}
