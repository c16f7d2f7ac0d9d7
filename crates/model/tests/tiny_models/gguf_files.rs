//! A GGUF file as lists of keys and tensors, in llama.cpp's layout.

use kernels::Mxfp4Layout;
use kernels::decode::bf16_to_f32;
use synth::Shape;

use super::{StoredTensor, named, published_tensors, shape};

/// Value types by their numbers in the format.
pub(crate) const U16: u32 = 2;
pub(crate) const U32: u32 = 4;
pub(crate) const F32: u32 = 6;
pub(crate) const BOOL: u32 = 7;
pub(crate) const TEXT: u32 = 8;
pub(crate) const ARRAY: u32 = 9;

/// Encodings by their numbers in the format.
pub(crate) const F32_TENSOR: u32 = 0;
pub(crate) const BF16_TENSOR: u32 = 30;
pub(crate) const MXFP4_TENSOR: u32 = 39;

/// A file before it is written.
#[derive(Clone)]
pub(crate) struct GgufFile {
    pub(crate) version: u32,
    pub(crate) alignment: usize,
    /// Name, value type and encoded value.
    pub(crate) keys: Vec<(String, u32, Vec<u8>)>,
    /// A tensor and the number of its encoding; `dtype` is not used.
    pub(crate) tensors: Vec<(StoredTensor, u32)>,
}

impl GgufFile {
    /// The tiny model as llama.cpp's converter writes it: bf16 matrices, F32 vectors and router, gate and up apart.
    pub(crate) fn tiny() -> Self {
        Self::of(shape())
    }

    /// The same for a model of another shape with two layers.
    pub(crate) fn of(shape: Shape) -> Self {
        let mut file = Self { version: 3, alignment: 32, keys: Vec::new(), tensors: Vec::new() };
        file.set("general.architecture", TEXT, text("gpt-oss"));
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
            ("rope.scaling.original_context_length", shape.initial_context_length),
        ] {
            file.set_count(&format!("gpt-oss.{key}"), value);
        }
        for (key, value) in [
            ("attention.layer_norm_rms_epsilon", shape.rms_norm_epsilon),
            ("rope.freq_base", shape.rope_theta),
            ("rope.scaling.factor", 32.0),
        ] {
            file.set_number(&format!("gpt-oss.{key}"), value);
        }
        file.set("gpt-oss.rope.scaling.type", TEXT, text("yarn"));
        file.set_count("tokenizer.ggml.eos_token_id", 143);
        let tokens: Vec<_> = (0..shape.vocabulary_size).map(|id| format!("t{id}")).collect();
        file.set("tokenizer.ggml.tokens", ARRAY, texts(&tokens));
        file.set("tokenizer.ggml.pre", TEXT, text("gpt-4o"));
        file.add_tensors(shape);
        file
    }

    fn add_tensors(&mut self, shape: Shape) {
        let layers = shape.layers.len();
        let mut published = published_tensors(shape);
        for (theirs, ours) in
            [("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("lm_head", "output")]
        {
            let tensor = named(&mut published, &format!("{theirs}.weight")).clone();
            self.add_renamed(tensor, format!("{ours}.weight"));
        }
        for layer in 0..layers {
            for (theirs, ours) in GGUF_NAMES {
                let tensor = named(&mut published, &format!("model.layers.{layer}.{theirs}")).clone();
                self.add_renamed(tensor, format!("blk.{layer}.{ours}"));
            }
            let mut expert =
                |suffix: &str| named(&mut published, &format!("model.layers.{layer}.mlp.experts.{suffix}")).clone();
            let down = join(&expert("down_proj_blocks"), &expert("down_proj_scales"));
            let both = join(&expert("gate_up_proj_blocks"), &expert("gate_up_proj_scales"));
            for (name, matrix) in
                [("down", down), ("gate", every_second_row(&both, 0)), ("up", every_second_row(&both, 1))]
            {
                self.push(format!("blk.{layer}.ffn_{name}_exps.weight"), MXFP4_TENSOR, matrix);
            }
            let bias = expert("gate_up_proj_bias");
            let bias = StoredTensor { shape: [bias.shape, vec![1]].concat(), ..bias };
            for (name, parity) in [("gate", 0), ("up", 1)] {
                let mut half = every_second_row(&bias, parity);
                half.shape.pop();
                self.add_renamed(half, format!("blk.{layer}.ffn_{name}_exps.bias"));
            }
        }
    }

    /// Adds a bf16 tensor: matrices as they are, vectors and the router widened to F32.
    fn add_renamed(&mut self, tensor: StoredTensor, name: String) {
        if tensor.shape.len() == 2 && name.ends_with(".weight") && !name.contains("ffn_gate_inp") {
            return self.push(name, BF16_TENSOR, tensor);
        }
        let pairs = tensor.bytes.as_chunks::<2>().0;
        let bytes = pairs.iter().flat_map(|&pair| bf16_to_f32(u16::from_le_bytes(pair)).to_le_bytes()).collect();
        self.push(name, F32_TENSOR, StoredTensor { bytes, ..tensor });
    }

    pub(crate) fn push(&mut self, name: String, encoding: u32, tensor: StoredTensor) {
        self.tensors.push((StoredTensor { name, ..tensor }, encoding));
    }

    pub(crate) fn tensor(&mut self, name: &str) -> &mut (StoredTensor, u32) {
        self.tensors.iter_mut().find(|(tensor, _)| tensor.name == name).unwrap_or_else(|| panic!("no {name}"))
    }

    pub(crate) fn remove(&mut self, name: &str) -> (StoredTensor, u32) {
        let index = self.tensors.iter().position(|(tensor, _)| tensor.name == name);
        self.tensors.remove(index.unwrap_or_else(|| panic!("no {name}")))
    }

    /// Replaces a key's value, or adds the key.
    pub(crate) fn set(&mut self, key: &str, value_type: u32, value: Vec<u8>) {
        self.unset(key);
        self.keys.push((key.into(), value_type, value));
    }

    pub(crate) fn set_count(&mut self, key: &str, value: usize) {
        self.set(key, U32, (value as u32).to_le_bytes().to_vec());
    }

    pub(crate) fn set_number(&mut self, key: &str, value: f64) {
        self.set(key, F32, (value as f32).to_le_bytes().to_vec());
    }

    pub(crate) fn unset(&mut self, key: &str) {
        self.keys.retain(|(name, _, _)| name != key);
    }

    /// Several files: all keys in the first, tensors dealt in order.
    pub(crate) fn split(mut self, parts: usize) -> Vec<Self> {
        let (total, per_part) = (self.tensors.len(), self.tensors.len().div_ceil(parts));
        let mut rest = std::mem::take(&mut self.tensors).into_iter();
        let keyless = Self { keys: Vec::new(), ..self.clone() };
        let part = |number: usize| {
            let mut part = if number == 0 { self.clone() } else { keyless.clone() };
            part.tensors = rest.by_ref().take(per_part).collect();
            part.set("split.no", U16, (number as u16).to_le_bytes().to_vec());
            part.set("split.count", U16, (parts as u16).to_le_bytes().to_vec());
            part.set_count("split.tensors.count", total);
            part
        };
        (0..parts).map(part).collect()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.keys.len() as u64).to_le_bytes());
        for (key, value_type, value) in &self.keys {
            bytes.extend(text(key));
            bytes.extend(value_type.to_le_bytes());
            bytes.extend(value);
        }
        let mut offset = 0;
        for (tensor, encoding) in &self.tensors {
            bytes.extend(text(&tensor.name));
            bytes.extend((tensor.shape.len() as u32).to_le_bytes());
            tensor.shape.iter().rev().for_each(|&size| bytes.extend((size as u64).to_le_bytes()));
            bytes.extend(encoding.to_le_bytes());
            bytes.extend(tensor.offsets.map_or(offset as u64, |offsets| offsets[0]).to_le_bytes());
            offset += tensor.bytes.len().next_multiple_of(self.alignment);
        }
        for (tensor, _) in &self.tensors {
            bytes.resize(bytes.len().next_multiple_of(self.alignment), 0);
            bytes.extend(&tensor.bytes);
        }
        bytes
    }
}

const GGUF_NAMES: [(&str, &str); 14] = [
    ("input_layernorm.weight", "attn_norm.weight"),
    ("post_attention_layernorm.weight", "post_attention_norm.weight"),
    ("self_attn.q_proj.weight", "attn_q.weight"),
    ("self_attn.q_proj.bias", "attn_q.bias"),
    ("self_attn.k_proj.weight", "attn_k.weight"),
    ("self_attn.k_proj.bias", "attn_k.bias"),
    ("self_attn.v_proj.weight", "attn_v.weight"),
    ("self_attn.v_proj.bias", "attn_v.bias"),
    ("self_attn.o_proj.weight", "attn_output.weight"),
    ("self_attn.o_proj.bias", "attn_output.bias"),
    ("self_attn.sinks", "attn_sinks.weight"),
    ("mlp.router.weight", "ffn_gate_inp.weight"),
    ("mlp.router.bias", "ffn_gate_inp.bias"),
    ("mlp.experts.down_proj_bias", "ffn_down_exps.bias"),
];

/// A length and the text.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// An array of texts.
pub(crate) fn texts(items: &[String]) -> Vec<u8> {
    let mut bytes = [TEXT.to_le_bytes().as_slice(), &(items.len() as u64).to_le_bytes()].concat();
    items.iter().for_each(|item| bytes.extend(text(item)));
    bytes
}

/// Scale and nibbles in one block, the nibbles in GGUF's order: `[experts, rows, columns]`.
fn join(blocks: &StoredTensor, scales: &StoredTensor) -> StoredTensor {
    let mut joined = Vec::new();
    for (block, &scale) in blocks.bytes.as_chunks::<16>().0.iter().zip(&scales.bytes) {
        let codes: Vec<u8> = block.iter().flat_map(|byte| [byte & 15, byte >> 4]).collect();
        joined.push(scale);
        joined.extend((0..16).map(|index| codes[index] | codes[index + 16] << 4));
    }
    let &[experts, rows, groups, _] = blocks.shape.as_slice() else { panic!("{:?}", blocks.shape) };
    StoredTensor { shape: vec![experts, rows, groups * 32], bytes: joined, ..blocks.clone() }
}

/// The even or the odd rows of every expert of `[experts, rows, columns]`.
pub(crate) fn every_second_row(matrix: &StoredTensor, parity: usize) -> StoredTensor {
    let &[experts, rows, columns] = matrix.shape.as_slice() else { panic!("{:?}", matrix.shape) };
    let row_bytes = matrix.bytes.len() / (experts * rows);
    let own = matrix.bytes.chunks_exact(row_bytes).skip(parity).step_by(2);
    StoredTensor { shape: vec![experts, rows / 2, columns], bytes: own.flatten().copied().collect(), ..matrix.clone() }
}

/// Block size of the joined layout, for tests that reach into blocks.
pub(crate) const BLOCK_BYTES: usize = Mxfp4Layout::Joined.block_bytes();
