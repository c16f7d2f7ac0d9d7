//! `glossa inspect`: what a model is made of and what it needs, without running it.

use std::io::{Write, stdout};

use kernels::KvPrecision;
use model::checkpoint::TensorInfo;
use model::{AttentionKind, Checkpoint, MemoryPlan, ModelConfig};
use serde_json::{Value, json};

use crate::arguments::InspectArguments;
use crate::console::json_line;
use crate::error::Error;

pub(crate) fn run(arguments: &InspectArguments) -> Result<(), Error> {
    let checkpoint = Checkpoint::open(&arguments.model)?;
    let context = arguments.context.unwrap_or(checkpoint.config.context_length);
    if context == 0 || context > checkpoint.config.context_length {
        let expected = format!("1 to {}, which this model was made for", checkpoint.config.context_length);
        return Err(Error::Option { name: "context", found: context.to_string(), expected });
    }
    let plans = [KvPrecision::BF16, KvPrecision::F32].map(|precision| checkpoint.memory_plan(context, precision));
    if arguments.json {
        let value = as_json(&checkpoint, &plans, arguments.tensors);
        return Ok(writeln!(stdout().lock(), "{}", json_line(&value))?);
    }
    let mut out = stdout().lock();
    for (name, value) in architecture(&checkpoint) {
        writeln!(out, "{name:<24}{value}")?;
    }
    writeln!(out, "\n{:<14}{:>8}{:>18}  encodings", "tensors", "count", "bytes")?;
    for kind in checkpoint.kinds() {
        let name = kind.kind.name();
        writeln!(out, "{name:<14}{:>8}{:>18}  {}", kind.tensors, kind.bytes, kind.formats.join(", "))?;
    }
    writeln!(out, "{:<14}{:>8}{:>18}", "all", checkpoint.tensors.len(), checkpoint.tensor_bytes())?;
    writeln!(out, "\nmemory for {context} tokens of context")?;
    let [default, exact] = &plans;
    let lines = [
        ("weights, mapped from the files", default.mapped_weight_bytes),
        ("norms, biases and sinks as f32", default.widened_weight_bytes),
        ("KV cache, full layers (bf16)", default.full_kv_bytes),
        ("KV cache, windows (bf16)", default.window_kv_bytes),
        ("together", default.total_bytes()),
        ("together with --exact (f32 KV)", exact.total_bytes()),
    ];
    for (name, bytes) in lines {
        writeln!(out, "{name:<32}{bytes:>18}  {}", readable(bytes))?;
    }
    writeln!(out, "{:<32}{:>18}", "KV bytes per further token", default.full_kv_bytes_per_token)?;
    if arguments.tensors {
        writeln!(out)?;
        for TensorInfo { name, format, shape, bytes, .. } in &checkpoint.tensors {
            writeln!(out, "{name:<56} {format:<6} {:<24} {bytes:>14}", format!("{shape:?}"))?;
        }
    }
    Ok(())
}

fn architecture(checkpoint: &Checkpoint) -> Vec<(&'static str, String)> {
    let config = &checkpoint.config;
    let sliding = config.layers.iter().filter(|kind| **kind == AttentionKind::Sliding).count();
    let rope = match &config.rope.yarn {
        None => format!("theta {}", config.rope.theta),
        Some(yarn) => format!(
            "theta {}, YaRN factor {} from {} tokens, beta {} to {}, truncate {}",
            config.rope.theta, yarn.factor, yarn.original_context, yarn.beta_fast, yarn.beta_slow, yarn.truncate
        ),
    };
    let files: Vec<String> = checkpoint.files.iter().map(|file| file.path.display().to_string()).collect();
    vec![
        ("layout", checkpoint.layout.name().to_owned()),
        ("files", files.join("\n                        ")),
        ("file bytes", checkpoint.file_bytes().to_string()),
        ("layers", format!("{} ({sliding} sliding, {} full)", config.layers.len(), config.layers.len() - sliding)),
        ("hidden size", config.hidden_size.to_string()),
        ("intermediate size", config.intermediate_size.to_string()),
        ("experts", format!("{}, {} per token", config.experts, config.experts_per_token)),
        ("heads", format!("{} query, {} key/value, of {}", config.heads, config.kv_heads, config.head_dim)),
        ("sliding window", format!("{} tokens", config.sliding_window)),
        ("vocabulary", config.vocabulary_size.to_string()),
        ("context", format!("{} tokens", config.context_length)),
        ("rotary embedding", rope),
        ("SwiGLU limit", config.swiglu_limit.to_string()),
        ("RMSNorm epsilon", config.rms_norm_epsilon.to_string()),
        ("stop tokens", format!("{:?}", checkpoint.stop_ids)),
    ]
}

fn as_json(checkpoint: &Checkpoint, plans: &[MemoryPlan; 2], tensors: bool) -> Value {
    let plan = |plan: &MemoryPlan| {
        json!({
            "context_tokens": plan.context_tokens,
            "mapped_weight_bytes": plan.mapped_weight_bytes,
            "widened_weight_bytes": plan.widened_weight_bytes,
            "full_kv_bytes_per_token": plan.full_kv_bytes_per_token,
            "full_kv_bytes": plan.full_kv_bytes,
            "window_kv_bytes": plan.window_kv_bytes,
            "total_bytes": plan.total_bytes(),
        })
    };
    let kind = |kind: &model::checkpoint::KindSummary| {
        let name = kind.kind.name();
        json!({ "kind": name, "tensors": kind.tensors, "bytes": kind.bytes, "formats": kind.formats })
    };
    let mut value = json!({
        "layout": checkpoint.layout.name(),
        "files": checkpoint.files.iter().map(|file| json!({ "path": file.path, "bytes": file.bytes })).collect::<Vec<_>>(),
        "config": config(&checkpoint.config),
        "stop_ids": checkpoint.stop_ids,
        "tensor_count": checkpoint.tensors.len(),
        "tensor_bytes": checkpoint.tensor_bytes(),
        "file_bytes": checkpoint.file_bytes(),
        "kinds": checkpoint.kinds().iter().map(kind).collect::<Vec<_>>(),
        "memory": { "default": plan(&plans[0]), "exact": plan(&plans[1]) },
    });
    if tensors {
        let tensor = |tensor: &TensorInfo| {
            let TensorInfo { name, format, shape, bytes, .. } = tensor;
            json!({ "name": name, "format": format, "shape": shape, "bytes": bytes })
        };
        value["tensors"] = checkpoint.tensors.iter().map(tensor).collect();
    }
    value
}

fn config(config: &ModelConfig) -> Value {
    let ModelConfig { layers, rope, .. } = config;
    let sliding = |kind: &AttentionKind| *kind == AttentionKind::Sliding;
    let yarn = rope.yarn.as_ref().map(|yarn| {
        json!({
            "factor": yarn.factor,
            "beta_fast": yarn.beta_fast,
            "beta_slow": yarn.beta_slow,
            "original_context": yarn.original_context,
            "truncate": yarn.truncate,
        })
    });
    json!({
        "vocabulary_size": config.vocabulary_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "sliding_layers": layers.iter().map(sliding).collect::<Vec<_>>(),
        "heads": config.heads,
        "kv_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "experts": config.experts,
        "experts_per_token": config.experts_per_token,
        "sliding_window": config.sliding_window,
        "swiglu_limit": config.swiglu_limit,
        "rms_norm_epsilon": config.rms_norm_epsilon,
        "rope_theta": rope.theta,
        "yarn": yarn,
        "context_length": config.context_length,
    })
}

fn readable(bytes: u64) -> String {
    let gigabytes = bytes as f64 / 1e9;
    if gigabytes >= 1.0 { format!("{gigabytes:.2} GB") } else { format!("{:.1} MB", bytes as f64 / 1e6) }
}
