//! A directory of safetensors with its JSON files, in the Hugging Face or the original layout.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use synth::Shape;

use super::{StoredTensor, named, published_tensors, shape};

/// A checkpoint directory before it is written.
pub(crate) struct ModelDirectory {
    pub(crate) config: Value,
    pub(crate) generation: Option<Value>,
    /// `None` writes no index.
    pub(crate) index: Option<Value>,
    pub(crate) files: Vec<(String, Vec<StoredTensor>)>,
}

impl ModelDirectory {
    /// The Hugging Face layout in three shards, named as the release names them.
    pub(crate) fn hugging_face() -> Self {
        let mut tensors = published_tensors(shape());
        let cut = tensors.len() / 3;
        let last = tensors.split_off(2 * cut);
        let middle = tensors.split_off(cut);
        let files = [tensors, middle, last].into_iter().enumerate();
        let files: Vec<_> = files.map(|(n, tensors)| (format!("model-{n:05}-of-00002.safetensors"), tensors)).collect();
        let mut directory = Self { config: config(&shape()), generation: Some(generation()), index: None, files };
        directory.index_all();
        directory
    }

    /// The Hugging Face layout in one file without an index.
    pub(crate) fn single_file() -> Self {
        let files = vec![("model.safetensors".into(), published_tensors(shape()))];
        Self { config: config(&shape()), generation: Some(generation()), index: None, files }
    }

    /// OpenAI's layout: other names, query, key and value rows in one matrix.
    pub(crate) fn original() -> Self {
        let mut published = published_tensors(shape());
        let mut tensors = Vec::new();
        for layer in 0..shape().layers.len() {
            let from = |suffix: &str| format!("model.layers.{layer}.{suffix}");
            for part in ["weight", "bias"] {
                let [mut query, key, value] = ["q", "k", "v"]
                    .map(|name| named(&mut published, &from(&format!("self_attn.{name}_proj.{part}"))).clone());
                query.name = format!("block.{layer}.attn.qkv.{part}");
                query.shape[0] += key.shape[0] + value.shape[0];
                query.bytes.extend([key.bytes, value.bytes].concat());
                tensors.push(query);
            }
            for (theirs, ours) in ORIGINAL_NAMES {
                let mut tensor = named(&mut published, &from(theirs)).clone();
                tensor.name = format!("block.{layer}.{ours}");
                tensors.push(tensor);
            }
        }
        for (theirs, ours) in [
            ("model.embed_tokens", "embedding.weight"),
            ("model.norm", "norm.scale"),
            ("lm_head", "unembedding.weight"),
        ] {
            let mut tensor = named(&mut published, &format!("{theirs}.weight")).clone();
            tensor.name = ours.into();
            tensors.push(tensor);
        }
        let config = original_config(&shape());
        Self { config, generation: None, index: None, files: vec![("model.safetensors".into(), tensors)] }
    }

    /// Lets the index say what the files hold.
    pub(crate) fn index_all(&mut self) {
        let pairs = self.files.iter().flat_map(|(file, tensors)| {
            tensors.iter().map(move |tensor| (tensor.name.clone(), Value::from(file.as_str())))
        });
        self.index =
            Some(json!({"metadata": {"total_size": 0}, "weight_map": pairs.collect::<serde_json::Map<_, _>>()}));
    }

    /// A tensor of any file.
    pub(crate) fn tensor(&mut self, name: &str) -> &mut StoredTensor {
        let mut all = self.files.iter_mut().flat_map(|(_, tensors)| tensors);
        all.find(|tensor| tensor.name == name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Takes a tensor out of its file and out of the index.
    pub(crate) fn remove(&mut self, name: &str) -> StoredTensor {
        if let Some(index) = &mut self.index {
            index["weight_map"].as_object_mut().unwrap().remove(name);
        }
        let (_, tensors) =
            self.files.iter_mut().find(|(_, tensors)| tensors.iter().any(|tensor| tensor.name == name)).unwrap();
        tensors.remove(tensors.iter().position(|tensor| tensor.name == name).unwrap())
    }

    /// Adds a tensor to the first file and to the index.
    pub(crate) fn add(&mut self, tensor: StoredTensor) {
        if let Some(index) = &mut self.index {
            index["weight_map"][tensor.name.as_str()] = Value::from(self.files[0].0.as_str());
        }
        self.files[0].1.push(tensor);
    }

    pub(crate) fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        let write = |name: &str, value: &Value| fs::write(folder.join(name), value.to_string()).unwrap();
        write("config.json", &self.config);
        if let Some(generation) = &self.generation {
            write("generation_config.json", generation);
        }
        if let Some(index) = &self.index {
            write("model.safetensors.index.json", index);
        }
        for (name, tensors) in &self.files {
            fs::write(folder.join(name), file_bytes(tensors)).unwrap();
        }
    }
}

const ORIGINAL_NAMES: [(&str, &str); 13] = [
    ("input_layernorm.weight", "attn.norm.scale"),
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
];

/// A whole safetensors file. The header is spelled by hand, so that a name can stand in it twice.
pub(crate) fn file_bytes(tensors: &[StoredTensor]) -> Vec<u8> {
    let mut offset = 0;
    let lines = tensors.iter().map(|tensor| {
        let place = [offset, offset + tensor.bytes.len() as u64];
        offset = place[1];
        let [begin, end] = tensor.offsets.unwrap_or(place);
        let (name, dtype, shape) = (json!(tensor.name), json!(tensor.dtype), json!(tensor.shape));
        format!(r#"{name}:{{"dtype":{dtype},"shape":{shape},"data_offsets":[{begin},{end}]}}"#)
    });
    let mut header = format!(r#"{{"__metadata__":{{"format":"pt"}},{}}}"#, lines.collect::<Vec<_>>().join(","));
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    tensors.iter().for_each(|tensor| bytes.extend(&tensor.bytes));
    bytes
}

fn generation() -> Value {
    json!({"bos_token_id": 139, "eos_token_id": [143, 140, 153], "pad_token_id": 140})
}

/// transformers' configuration of a shape.
pub(crate) fn config(shape: &Shape) -> Value {
    let yarn = shape.yarn.expect("these shapes have one");
    json!({
        "architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "attention_bias": true,
        "eos_token_id": 143, "head_dim": shape.head_dim, "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size, "num_hidden_layers": shape.layers.len(),
        "layer_types": ["sliding_attention", "full_attention"], "max_position_embeddings": shape.context_length,
        "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads,
        "num_local_experts": shape.experts, "num_experts_per_tok": shape.experts_per_token,
        "experts_per_token": shape.experts_per_token, "quantization_config": {"quant_method": "mxfp4"},
        "rms_norm_eps": shape.rms_norm_epsilon, "rope_theta": shape.rope_theta,
        "rope_scaling": {"rope_type": "yarn", "factor": yarn.factor, "beta_fast": yarn.beta_fast,
            "beta_slow": yarn.beta_slow, "truncate": yarn.truncate,
            "original_max_position_embeddings": shape.initial_context_length},
        "sliding_window": shape.sliding_window, "swiglu_limit": shape.swiglu_limit,
        "tie_word_embeddings": false, "vocab_size": shape.vocabulary_size,
    })
}

fn original_config(shape: &Shape) -> Value {
    let yarn = shape.yarn.expect("these shapes have one");
    json!({
        "num_hidden_layers": shape.layers.len(), "num_experts": shape.experts,
        "experts_per_token": shape.experts_per_token, "vocab_size": shape.vocabulary_size,
        "hidden_size": shape.hidden_size, "intermediate_size": shape.intermediate_size,
        "swiglu_limit": shape.swiglu_limit, "head_dim": shape.head_dim, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "sliding_window": shape.sliding_window,
        "initial_context_length": shape.initial_context_length, "rope_theta": shape.rope_theta,
        "rope_scaling_factor": yarn.factor, "rope_ntk_alpha": yarn.beta_slow, "rope_ntk_beta": yarn.beta_fast,
    })
}
