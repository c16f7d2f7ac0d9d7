//! The keys of a gpt-oss GGUF: hyperparameters, vocabulary, and the place of a file among several.

use super::container::KeyValue::{Bools, F32, I32, I32s, Text, Texts, U16, U32, U32s};
use super::container::{KeyValue, Keys};
use crate::error::{Error, Result};
use crate::merges::{Vocabulary, special_names};
use crate::shape::{LayerKind, Shape};

/// `general.file_type`: MXFP4 experts, whatever the rest is.
const FILE_TYPE_MXFP4_MOE: u32 = 38;
const TOKEN_NORMAL: i32 = 1;
const TOKEN_CONTROL: i32 = 3;
const TOKEN_UNUSED: i32 = 5;

/// All keys of a whole model.
pub(super) fn keys(shape: &Shape) -> Result<Keys> {
    check(shape)?;
    let mut keys = Keys::default();
    keys.put("general.architecture", &Text("gpt-oss"));
    keys.put("general.name", &Text(&shape.name));
    keys.put("general.file_type", &U32(FILE_TYPE_MXFP4_MOE));
    keys.put("general.quantization_version", &U32(2));
    for (key, value) in [
        ("block_count", shape.layers.len()),
        ("context_length", shape.context_length),
        ("embedding_length", shape.hidden_size),
        ("feed_forward_length", shape.intermediate_size),
        ("expert_feed_forward_length", shape.intermediate_size),
        ("expert_count", shape.experts),
        ("expert_used_count", shape.experts_per_token),
        ("attention.head_count", shape.heads),
        ("attention.head_count_kv", shape.kv_heads),
        ("attention.key_length", shape.head_dim),
        ("attention.value_length", shape.head_dim),
        ("attention.sliding_window", shape.sliding_window),
    ] {
        put(&mut keys, key, &U32(value as u32));
    }
    put(&mut keys, "attention.layer_norm_rms_epsilon", &F32(shape.rms_norm_epsilon as f32));
    put(&mut keys, "rope.freq_base", &F32(shape.rope_theta as f32));
    if !shape.alternates() {
        let sliding: Vec<bool> = shape.layers.iter().map(|&kind| kind == LayerKind::Sliding).collect();
        put(&mut keys, "attention.sliding_window_pattern", &Bools(&sliding));
    }
    rope_scaling(&mut keys, shape);
    vocabulary(&mut keys, shape)?;
    Ok(keys)
}

/// The place of a file among several.
pub(super) fn split(keys: &mut Keys, file: usize, files: usize, tensors: usize) {
    keys.put("split.no", &U16(file as u16));
    keys.put("split.count", &U16(files as u16));
    keys.put("split.tensors.count", &I32(tensors as i32));
}

fn put(keys: &mut Keys, key: &str, value: &KeyValue<'_>) {
    keys.put(&format!("gpt-oss.{key}"), value);
}

/// Refuses what the format has no key for.
fn check(shape: &Shape) -> Result<()> {
    let refuse = |what: &str| Err(Error::Inexpressible { layout: "GGUF", what: what.into() });
    if shape.swiglu_limit != 7.0 {
        return refuse("a swiglu_limit other than 7");
    }
    if shape.yarn.is_some_and(|yarn| yarn.truncate) {
        return refuse("a truncated YaRN ramp");
    }
    Ok(())
}

fn rope_scaling(keys: &mut Keys, shape: &Shape) {
    let Some(yarn) = shape.yarn else {
        return put(keys, "rope.scaling.type", &Text("none"));
    };
    put(keys, "rope.scaling.type", &Text("yarn"));
    put(keys, "rope.scaling.factor", &F32(yarn.factor as f32));
    put(keys, "rope.scaling.original_context_length", &U32(shape.initial_context_length as u32));
    // Readers take 32 and 1 where the keys are missing, and published files leave them out.
    if yarn.beta_fast != 32.0 {
        put(keys, "rope.scaling.yarn_beta_fast", &F32(yarn.beta_fast as f32));
    }
    if yarn.beta_slow != 1.0 {
        put(keys, "rope.scaling.yarn_beta_slow", &F32(yarn.beta_slow as f32));
    }
}

fn vocabulary(keys: &mut Keys, shape: &Shape) -> Result<()> {
    let first_special = shape.first_special();
    let vocabulary = Vocabulary::new(first_special)?;
    let mut tokens: Vec<String> = vocabulary.spellings().collect();
    let mut kinds = vec![TOKEN_NORMAL; tokens.len()];
    tokens.extend(special_names());
    kinds.resize(tokens.len(), TOKEN_CONTROL);
    tokens.extend((tokens.len()..shape.vocabulary_size).map(|id| format!("[PAD{id}]")));
    kinds.resize(tokens.len(), TOKEN_UNUSED);
    let merges: Vec<String> = vocabulary.merges().into_iter().map(|pair| pair.join(" ")).collect();
    let special = |index: usize| (first_special + index) as u32;
    keys.put("tokenizer.ggml.model", &Text("gpt2"));
    keys.put("tokenizer.ggml.pre", &Text("gpt-4o"));
    keys.put("tokenizer.ggml.tokens", &Texts(&tokens));
    keys.put("tokenizer.ggml.token_type", &I32s(&kinds));
    keys.put("tokenizer.ggml.merges", &Texts(&merges));
    keys.put("tokenizer.ggml.bos_token_id", &U32(special(0)));
    keys.put("tokenizer.ggml.eos_token_id", &U32(special(4)));
    keys.put("tokenizer.ggml.eos_token_ids", &U32s(&[special(1), special(4), special(14)]));
    keys.put("tokenizer.ggml.padding_token_id", &U32(special(1)));
    keys.put("tokenizer.ggml.add_bos_token", &KeyValue::Bool(false));
    Ok(())
}
