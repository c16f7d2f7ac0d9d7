//! GGUF's arch `gpt-oss` (llama.cpp) and `gptoss` (Ollama): which keys hold the hyperparameters and how tensors are named.
//! It must not know how the file is laid out.

use std::path::Path;

use kernels::{DenseMatrix, GateUp};

use super::gguf_values::{Metadata, Value};
use super::tensors::{ExpertShape, Tensors};
use super::validate::{LAYERS_MAX, Spelling, validate};
use super::{LayerWeights, TensorKind, Weights};
use crate::error::printable;
use crate::{AttentionKind, Error, ModelConfig, Rope, Yarn};

/// llama.cpp's constant: no key holds it.
const SWIGLU_LIMIT: f32 = 7.0;
/// llama.cpp's default when the key is absent: every second layer is full, as in the published models.
const SLIDING_WINDOW_PERIOD_DEFAULT: usize = 2;
const BETA_FAST_DEFAULT: f64 = 32.0;
const BETA_SLOW_DEFAULT: f64 = 1.0;

/// Who wrote the file; they differ in tensor names and in how a fused gate_up matrix orders its rows.
#[derive(Clone, Copy, PartialEq)]
enum Writer {
    /// llama.cpp: a fused gate_up has all gate rows before all up rows.
    LlamaCpp,
    /// Ollama's own converter: a fused gate_up keeps OpenAI's interleaved rows.
    Ollama,
}

/// The metadata keys, read and validated, and what is needed to find the tensors.
pub(super) struct Configuration {
    pub(super) config: ModelConfig,
    writer: Writer,
}

/// Keys of one architecture.
struct Keys<'a> {
    metadata: &'a Metadata,
    architecture: &'static str,
}

/// Reads the metadata. `bytes` is the file's content, `embedding_rows` the rows of the embedding, which give the vocabulary's size.
///
/// # Errors
/// [`Error::Architecture`] for other models, [`Error::Field`] for what is missing, wrong or not supported.
pub(super) fn configuration(
    path: &Path,
    bytes: &[u8],
    metadata: &Metadata,
    embedding_rows: Option<usize>,
) -> Result<Configuration, Error> {
    let (architecture, writer) = match metadata.optional_text("general.architecture")? {
        Some("gpt-oss") => ("gpt-oss", Writer::LlamaCpp),
        Some("gptoss") => ("gptoss", Writer::Ollama),
        other => {
            let found = other
                .map_or("no general.architecture".into(), |name| format!("general.architecture {:?}", printable(name)));
            return Err(Error::Architecture { path: path.to_path_buf(), found });
        }
    };
    let keys = Keys { metadata, architecture };
    let head_dim = keys.count("attention.key_length")?;
    for same in
        ["attention.value_length", "attention.key_length_swa", "attention.value_length_swa", "rope.dimension_count"]
    {
        keys.expect_count(same, head_dim, "attention.key_length")?;
    }
    let intermediate_size = match keys.optional_count("expert_feed_forward_length")? {
        Some(width) => width,
        None => keys.count("feed_forward_length")?,
    };
    let vocabulary_size = vocabulary_size(&keys, embedding_rows)?;
    let context_length = keys.count("context_length")?;
    #[expect(clippy::cast_possible_truncation, reason = "an f32 in the model")]
    let rms_norm_epsilon = metadata.number(&keys.name("attention.layer_norm_rms_epsilon"))? as f32;
    let config = ModelConfig {
        vocabulary_size,
        hidden_size: keys.count("embedding_length")?,
        intermediate_size,
        layers: keys.layers(bytes)?,
        heads: keys.count("attention.head_count")?,
        kv_heads: keys.count("attention.head_count_kv")?,
        head_dim,
        experts: keys.count("expert_count")?,
        experts_per_token: keys.count("expert_used_count")?,
        sliding_window: keys.count("attention.sliding_window")?,
        swiglu_limit: SWIGLU_LIMIT,
        rms_norm_epsilon,
        rope: keys.rope(writer)?,
        context_length,
    };
    validate(&config, path, &keys.spelling())?;
    Ok(Configuration { config, writer })
}

fn vocabulary_size(keys: &Keys<'_>, embedding_rows: Option<usize>) -> Result<usize, Error> {
    let declared = keys.optional_count("vocab_size")?;
    let listed = match keys.metadata.get("tokenizer.ggml.tokens") {
        Some(Value::Array { count, .. }) => Some(*count),
        _ => None,
    };
    // The embedding's shape is checked against this; without the tensor any of the three leads to its being missed by name.
    let size = declared.or(embedding_rows).or(listed).unwrap_or(1);
    if let Some(listed) = listed
        && listed > size
    {
        let expected = format!("at most {size} tokens, the rows of token_embd.weight");
        return Err(keys.metadata.wrong("tokenizer.ggml.tokens", &expected, &listed.to_string()));
    }
    Ok(size)
}

impl Keys<'_> {
    fn name(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.architecture)
    }

    fn count(&self, suffix: &str) -> Result<usize, Error> {
        self.metadata.count(&self.name(suffix))
    }

    fn optional_count(&self, suffix: &str) -> Result<Option<usize>, Error> {
        self.metadata.optional_count(&self.name(suffix))
    }

    fn expect_count(&self, suffix: &str, expected: usize, source: &str) -> Result<(), Error> {
        match self.optional_count(suffix)? {
            Some(found) if found != expected => {
                Err(self.metadata.wrong(&self.name(suffix), &format!("{expected}, as {source}"), &found.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn optional_number(&self, suffix: &str) -> Result<Option<f64>, Error> {
        self.metadata.optional_number(&self.name(suffix))
    }

    /// The pattern key is a period (the last layer of each is full) or one boolean per layer.
    fn layers(&self, bytes: &[u8]) -> Result<Vec<AttentionKind>, Error> {
        let count = self.count("block_count")?;
        if count > LAYERS_MAX {
            let expected = format!("1 to {LAYERS_MAX}");
            return Err(self.metadata.wrong(&self.name("block_count"), &expected, &count.to_string()));
        }
        let key = self.name("attention.sliding_window_pattern");
        let kind = |sliding: bool| if sliding { AttentionKind::Sliding } else { AttentionKind::Full };
        if let Some(Value::Array { .. }) = self.metadata.get(&key) {
            let flags = self.metadata.optional_integers(bytes, &key, LAYERS_MAX)?.unwrap_or_default();
            if flags.len() != count {
                return Err(self.metadata.wrong(&key, &format!("{count} entries"), &flags.len().to_string()));
            }
            return Ok(flags.into_iter().map(|flag| kind(flag != 0)).collect());
        }
        let period = self.metadata.optional_count(&key)?.unwrap_or(SLIDING_WINDOW_PERIOD_DEFAULT);
        Ok((0..count).map(|layer| kind(period == 0 || layer % period < period - 1)).collect())
    }

    fn rope(&self, writer: Writer) -> Result<Rope, Error> {
        let theta = self.metadata.number(&self.name("rope.freq_base"))?;
        let unusual = |key: &str, expected: &str, found: f64| {
            Err(self.metadata.wrong(&self.name(key), expected, &found.to_string()))
        };
        for (key, expected, usual) in [
            ("rope.freq_base_swa", "the value of rope.freq_base", [theta, theta]),
            ("rope.scaling.attn_factor", "1", [1.0, 1.0]),
            ("rope.scaling.yarn_attn_factor", "1", [1.0, 1.0]),
            ("rope.scaling.yarn_ext_factor", "1 (or -1 for the default)", [1.0, -1.0]),
            ("rope.scaling.yarn_log_multiplier", "0", [0.0, 0.0]),
        ] {
            if let Some(found) = self.optional_number(key)?
                && !usual.contains(&found)
            {
                return unusual(key, expected, found);
            }
        }
        let factor = self.optional_number("rope.scaling.factor")?;
        let kind_key = self.name("rope.scaling.type");
        let factor = match (self.metadata.optional_text(&kind_key)?, factor) {
            (Some("none"), _) | (None, None) => return Ok(Rope { theta, yarn: None }),
            (Some("yarn"), Some(factor)) => factor,
            (Some("yarn"), None) => self.metadata.number(&self.name("rope.scaling.factor"))?,
            // Ollama writes the factor alone and means YaRN.
            (None, Some(factor)) if writer == Writer::Ollama => factor,
            (kind, _) => {
                return Err(self.metadata.wrong(&kind_key, "yarn or none", &printable(kind.unwrap_or("no such key"))));
            }
        };
        let yarn = Yarn {
            factor,
            beta_fast: self.optional_number("rope.scaling.yarn_beta_fast")?.unwrap_or(BETA_FAST_DEFAULT),
            beta_slow: self.optional_number("rope.scaling.yarn_beta_slow")?.unwrap_or(BETA_SLOW_DEFAULT),
            original_context: self.count("rope.scaling.original_context_length")?,
            // No key holds it, and gpt-oss was trained without rounding.
            truncate: false,
        };
        Ok(Rope { theta, yarn: Some(yarn) })
    }

    fn spelling(&self) -> Spelling {
        Spelling {
            prefix: format!("GGUF key {}.", self.architecture),
            vocabulary_size: "vocab_size (or the rows of token_embd.weight)",
            hidden_size: "embedding_length",
            intermediate_size: "expert_feed_forward_length",
            layers: "block_count",
            heads: "attention.head_count",
            kv_heads: "attention.head_count_kv",
            head_dim: "attention.key_length",
            experts: "expert_count",
            experts_per_token: "expert_used_count",
            sliding_window: "attention.sliding_window",
            swiglu_limit: "swiglu_limit",
            rms_norm_epsilon: "attention.layer_norm_rms_epsilon",
            rope_theta: "rope.freq_base",
            rope_factor: "rope.scaling.factor",
            rope_betas: "rope.scaling.yarn_beta_fast and yarn_beta_slow",
            rope_original_context: "rope.scaling.original_context_length",
            context_length: "context_length",
        }
    }
}

/// Takes every tensor of the layout.
pub(super) fn weights(tensors: &mut Tensors, configuration: &Configuration) -> Result<Weights, Error> {
    let Configuration { config, writer } = configuration;
    let (vocabulary, hidden) = (config.vocabulary_size, config.hidden_size);
    let embedding = tensors.dense(TensorKind::Embedding, "token_embd.weight", vocabulary, hidden)?;
    let layers =
        (0..config.layers.len()).map(|index| layer(tensors, config, *writer, index)).collect::<Result<_, _>>()?;
    let final_norm = tensors.vector(TensorKind::Norm, "output_norm.weight", &[hidden])?;
    let unembedding = tensors.dense(TensorKind::Unembedding, "output.weight", vocabulary, hidden)?;
    Ok(Weights { embedding, unembedding, final_norm, layers })
}

fn layer(tensors: &mut Tensors, config: &ModelConfig, writer: Writer, index: usize) -> Result<LayerWeights, Error> {
    let ModelConfig { hidden_size: hidden, intermediate_size: intermediate, heads, experts, .. } = *config;
    let query_width = heads * config.head_dim;
    // llama.cpp's name first, then Ollama's.
    let name = |tensors: &Tensors, suffix: &str, alternative: &str| {
        let (usual, other) = (format!("blk.{index}.{suffix}"), format!("blk.{index}.{alternative}"));
        if tensors.contains(&other) && !tensors.contains(&usual) { other } else { usual }
    };
    let attention_norm = tensors.vector(TensorKind::Norm, &format!("blk.{index}.attn_norm.weight"), &[hidden])?;
    let [(query, query_bias), (key, key_bias), (value, value_bias)] = query_key_value(tensors, config, index)?;
    let weight = name(tensors, "attn_output.weight", "attn_out.weight");
    let output = tensors.dense(TensorKind::Attention, &weight, hidden, query_width)?;
    let bias = name(tensors, "attn_output.bias", "attn_out.bias");
    let output_bias = tensors.vector(TensorKind::Attention, &bias, &[hidden])?;
    let sinks = name(tensors, "attn_sinks.weight", "attn_sinks");
    let sinks = tensors.vector(TensorKind::Attention, &sinks, &[heads])?;
    let norm = name(tensors, "post_attention_norm.weight", "ffn_norm.weight");
    let mlp_norm = tensors.vector(TensorKind::Norm, &norm, &[hidden])?;
    let router = tensors.dense(TensorKind::Router, &format!("blk.{index}.ffn_gate_inp.weight"), experts, hidden)?;
    let router_bias = tensors.vector(TensorKind::Router, &format!("blk.{index}.ffn_gate_inp.bias"), &[experts])?;
    let gate_up = gate_up(tensors, config, writer, index)?;
    let gate_up_bias = gate_up_bias(tensors, config, writer, index)?;
    let shape = ExpertShape { experts, rows: hidden, columns: intermediate };
    let down = tensors.joined_experts(&format!("blk.{index}.ffn_down_exps.weight"), shape)?;
    let bias = format!("blk.{index}.ffn_down_exps.bias");
    let down_bias = tensors.vector(TensorKind::Experts, &bias, &[experts, hidden])?;
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

/// Three matrices with biases, or row ranges of one fused matrix.
fn query_key_value(
    tensors: &mut Tensors,
    config: &ModelConfig,
    index: usize,
) -> Result<[(DenseMatrix, Vec<f32>); 3], Error> {
    let hidden = config.hidden_size;
    let (query_width, kv_width) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let fused = tensors.contains(&format!("blk.{index}.attn_qkv.weight"));
    let mut linear = |stem: &str, rows| -> Result<(DenseMatrix, Vec<f32>), Error> {
        let weight = tensors.dense(TensorKind::Attention, &format!("blk.{index}.{stem}.weight"), rows, hidden)?;
        Ok((weight, tensors.vector(TensorKind::Attention, &format!("blk.{index}.{stem}.bias"), &[rows])?))
    };
    if !fused {
        return Ok([linear("attn_q", query_width)?, linear("attn_k", kv_width)?, linear("attn_v", kv_width)?]);
    }
    let (matrix, bias) = linear("attn_qkv", query_width + 2 * kv_width)?;
    let part = |first, count| (matrix.rows(first, count), bias[first..first + count].to_vec());
    Ok([part(0, query_width), part(query_width, kv_width), part(query_width + kv_width, kv_width)])
}

fn gate_up(tensors: &mut Tensors, config: &ModelConfig, writer: Writer, index: usize) -> Result<GateUp, Error> {
    let shape = |rows| ExpertShape { experts: config.experts, rows, columns: config.hidden_size };
    let intermediate = config.intermediate_size;
    let fused = format!("blk.{index}.ffn_gate_up_exps.weight");
    if tensors.contains(&fused) {
        let matrix = tensors.joined_experts(&fused, shape(2 * intermediate))?;
        return Ok(match writer {
            Writer::LlamaCpp => GateUp::Halves(matrix),
            Writer::Ollama => GateUp::Interleaved(matrix),
        });
    }
    let gate = tensors.joined_experts(&format!("blk.{index}.ffn_gate_exps.weight"), shape(intermediate))?;
    let up = tensors.joined_experts(&format!("blk.{index}.ffn_up_exps.weight"), shape(intermediate))?;
    Ok(GateUp::Separate { gate, up })
}

/// `[experts, 2 × intermediate]`, gate and up in turn, however the file orders them.
fn gate_up_bias(tensors: &mut Tensors, config: &ModelConfig, writer: Writer, index: usize) -> Result<Vec<f32>, Error> {
    let (experts, intermediate) = (config.experts, config.intermediate_size);
    let fused = format!("blk.{index}.ffn_gate_up_exps.bias");
    if !tensors.contains(&fused) {
        let shape = [experts, intermediate];
        let gate = tensors.vector(TensorKind::Experts, &format!("blk.{index}.ffn_gate_exps.bias"), &shape)?;
        let up = tensors.vector(TensorKind::Experts, &format!("blk.{index}.ffn_up_exps.bias"), &shape)?;
        return Ok(gate.into_iter().zip(up).flat_map(<[f32; 2]>::from).collect());
    }
    let bias = tensors.vector(TensorKind::Experts, &fused, &[experts, 2 * intermediate])?;
    Ok(match writer {
        Writer::Ollama => bias,
        Writer::LlamaCpp => {
            let halves = bias.chunks_exact(2 * intermediate).map(|expert| expert.split_at(intermediate));
            halves.flat_map(|(gate, up)| gate.iter().zip(up).flat_map(|(&gate, &up)| [gate, up])).collect()
        }
    })
}
