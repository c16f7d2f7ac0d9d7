//! A trained vector as an ordinary gpt-oss checkpoint in the Hugging Face layout: what every engine that knows the released
//! models can open. It must not know how the vector was trained.
//!
//! The same parameters give the same bytes, always: the order of the tensors is the layout's, and nothing in the files tells
//! when or where they were written.

use std::io::{self, Write};
use std::path::Path;

use harmony::Vocabulary;
use kernels::decode::f32_to_bf16;
use model::{AttentionKind, ModelConfig};
use serde_json::{Map, Value, json};

use crate::durable::{create_folder, replace_file};
use crate::error::Error;
use crate::parameters::{Layout, TensorKind, TensorSpec};
use crate::quantise::{BLOCK_VALUES, quantise_block};

/// Values that are turned into bytes at a time; whole blocks.
const PIECE_VALUES: usize = BLOCK_VALUES << 9;

/// Writes `model.safetensors`, `config.json`, `generation_config.json` and `tokenizer.json` into a folder: the experts as
/// MXFP4, the rest as bf16.
///
/// # Errors
/// [`Error::Diverged`] when a parameter is not finite, [`Error::Tokenizer`] and [`Error::TokenizerTooLarge`] when the
/// tokenizer does not go with the model, [`Error::Write`]. Each file is whole or not there.
///
/// # Panics
/// When the parameters are not those of the configuration: our bug.
pub fn export(folder: &Path, config: &ModelConfig, parameters: &[f32], tokenizer_json: &[u8]) -> Result<(), Error> {
    let layout = Layout::new(config);
    assert_eq!(parameters.len(), layout.length(), "parameters of the configuration");
    let specials = Specials::read(tokenizer_json, config.vocabulary_size)?;
    refuse_diverged(&layout, parameters)?;
    create_folder(folder)?;
    let text = |name: &str, value: Value| replace_file(&folder.join(name), |out| writeln!(out, "{value:#}"));
    replace_file(&folder.join("tokenizer.json"), |out| out.write_all(tokenizer_json))?;
    text("generation_config.json", generation_configuration(&specials))?;
    text("config.json", configuration(config, &specials))?;
    replace_file(&folder.join("model.safetensors"), |out| write_tensors(out, &layout, parameters))
}

/// Bytes of `model.safetensors` without its header.
#[must_use]
pub fn tensor_bytes(layout: &Layout) -> u64 {
    layout.tensors().iter().flat_map(stored).map(|stored| stored.bytes as u64).sum()
}

/// The control tokens that the configuration files name.
struct Specials {
    stop: Vec<u32>,
    end_of_turn: u32,
    padding: u32,
    beginning: Option<u32>,
}

impl Specials {
    fn read(tokenizer_json: &[u8], vocabulary_size: usize) -> Result<Self, Error> {
        let vocabulary = Vocabulary::from_tokenizer_json(tokenizer_json)?;
        let found = vocabulary.size();
        if found > vocabulary_size {
            return Err(Error::TokenizerTooLarge { found, vocabulary_size });
        }
        let ids = vocabulary.harmony_ids()?;
        Ok(Self {
            stop: vocabulary.stop_ids()?,
            end_of_turn: ids.return_,
            padding: ids.end_of_text.unwrap_or(ids.return_),
            beginning: ids.start_of_text,
        })
    }
}

fn refuse_diverged(layout: &Layout, parameters: &[f32]) -> Result<(), Error> {
    let bad = |tensor: &TensorSpec| {
        let values = &parameters[tensor.range.clone()];
        let index = values.iter().position(|value| !value.is_finite())?;
        Some(Error::Diverged { tensor: tensor.name.clone(), index, value: values[index] })
    };
    layout.tensors().iter().find_map(bad).map_or(Ok(()), Err)
}

/// One tensor of the file.
struct Stored<'a> {
    name: String,
    shape: Vec<usize>,
    bytes: usize,
    content: Content,
    source: &'a TensorSpec,
}

#[derive(Clone, Copy)]
enum Content {
    Bf16,
    Blocks,
    Scales,
}

/// What a tensor of the layout becomes in the file.
fn stored(source: &TensorSpec) -> Vec<Stored<'_>> {
    let values = source.range.len();
    match source.kind {
        TensorKind::Experts => {
            let mut shape = source.shape.clone();
            let last = shape.last_mut().expect("experts have three dimensions");
            assert!(last.is_multiple_of(BLOCK_VALUES), "the trainer refuses widths that are not whole blocks");
            *last /= BLOCK_VALUES;
            let scales = values / BLOCK_VALUES;
            let blocks = [shape.as_slice(), &[BLOCK_VALUES / 2]].concat();
            let part = |ending: &str, shape, bytes, content| Stored {
                name: format!("{}_{ending}", source.name),
                shape,
                bytes,
                content,
                source,
            };
            vec![
                part("blocks", blocks, scales * BLOCK_VALUES / 2, Content::Blocks),
                part("scales", shape, scales, Content::Scales),
            ]
        }
        TensorKind::Embedding | TensorKind::Weight | TensorKind::Bias | TensorKind::Norm | TensorKind::Sinks => {
            let (name, shape) = (source.name.clone(), source.shape.clone());
            vec![Stored { name, shape, bytes: 2 * values, content: Content::Bf16, source }]
        }
    }
}

/// The safetensors container: the length of the header, the header as JSON padded to eight bytes, the tensors.
fn write_tensors(out: &mut dyn Write, layout: &Layout, parameters: &[f32]) -> io::Result<()> {
    let tensors: Vec<Stored<'_>> = layout.tensors().iter().flat_map(stored).collect();
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({"format": "pt"}));
    let mut start = 0;
    for Stored { name, shape, bytes, content, source: _ } in &tensors {
        let dtype = match content {
            Content::Bf16 => "BF16",
            Content::Blocks | Content::Scales => "U8",
        };
        let end = start + bytes;
        header.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]}));
        start = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    let mut bytes = Vec::with_capacity(2 * PIECE_VALUES);
    for tensor in &tensors {
        for piece in parameters[tensor.source.range.clone()].chunks(PIECE_VALUES) {
            bytes.clear();
            encode(tensor.content, piece, &mut bytes);
            out.write_all(&bytes)?;
        }
    }
    Ok(())
}

fn encode(content: Content, values: &[f32], bytes: &mut Vec<u8>) {
    let blocks = values.as_chunks::<BLOCK_VALUES>().0;
    match content {
        Content::Bf16 => bytes.extend(values.iter().flat_map(|&value| f32_to_bf16(value).to_le_bytes())),
        Content::Blocks => bytes.extend(blocks.iter().flat_map(|block| quantise_block(block).1)),
        Content::Scales => bytes.extend(blocks.iter().map(|block| quantise_block(block).0)),
    }
}

/// config.json with the release's fields in the release's order, which is the alphabet's.
fn configuration(config: &ModelConfig, specials: &Specials) -> Value {
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
    let kind = |kind: &AttentionKind| match kind {
        AttentionKind::Sliding => "sliding_attention",
        AttentionKind::Full => "full_attention",
    };
    let yarn = rope.yarn.as_ref();
    let scaling = yarn.map(|yarn| {
        json!({
            "beta_fast": yarn.beta_fast,
            "beta_slow": yarn.beta_slow,
            "factor": yarn.factor,
            "original_max_position_embeddings": yarn.original_context,
            "rope_type": "yarn",
            "truncate": yarn.truncate,
        })
    });
    json!({
        "architectures": ["GptOssForCausalLM"],
        "attention_bias": true,
        "attention_dropout": 0.0,
        "eos_token_id": specials.end_of_turn,
        "experts_per_token": experts_per_token,
        "head_dim": head_dim,
        "hidden_act": "silu",
        "hidden_size": hidden_size,
        "initial_context_length": yarn.map_or(*context_length, |yarn| yarn.original_context),
        "initializer_range": 0.02,
        "intermediate_size": intermediate_size,
        "layer_types": layers.iter().map(kind).collect::<Vec<_>>(),
        "max_position_embeddings": context_length,
        "model_type": "gpt_oss",
        "num_attention_heads": heads,
        "num_experts_per_tok": experts_per_token,
        "num_hidden_layers": layers.len(),
        "num_key_value_heads": kv_heads,
        "num_local_experts": experts,
        "output_router_logits": false,
        "pad_token_id": specials.padding,
        "quantization_config": {
            "modules_to_not_convert":
                ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"],
            "quant_method": "mxfp4",
        },
        "rms_norm_eps": decimal(*rms_norm_epsilon),
        "rope_scaling": scaling,
        "rope_theta": rope.theta,
        "sliding_window": sliding_window,
        "swiglu_limit": decimal(*swiglu_limit),
        "tie_word_embeddings": false,
        "use_cache": true,
        "vocab_size": vocabulary_size,
    })
}

fn generation_configuration(specials: &Specials) -> Value {
    let mut fields = Map::new();
    if let Some(id) = specials.beginning {
        fields.insert("bos_token_id".into(), id.into());
    }
    fields.insert("do_sample".into(), true.into());
    fields.insert("eos_token_id".into(), json!(specials.stop));
    fields.insert("pad_token_id".into(), specials.padding.into());
    Value::Object(fields)
}

/// The shortest decimal that means this f32, such as 0.00001 and not 0.000009999999747378752.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().expect("a number's own spelling is a number")
}
