//! Where each parameter stands in the one long vector of f32 that is trained. It must not know how anything is computed.
//!
//! Parameters, gradients and both moments of the optimiser are vectors of this layout, so that the optimiser, the clipping,
//! the files of a run and the export go over plain slices.

use std::ops::Range;

use kernels::Place;
use model::ModelConfig;

/// What a tensor is, as far as initial values, rounding and export go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorKind {
    /// Embedding or unembedding, `[vocabulary, hidden]`.
    Embedding,
    /// A weight `[out, in]`.
    Weight,
    /// A bias, also those of the experts `[experts, out]`.
    Bias,
    /// A scale of RMSNorm; begins at 1.
    Norm,
    /// Attention sinks, one per head.
    Sinks,
    /// The experts' weights `[experts, out, in]`: MXFP4 in the file.
    Experts,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// The name in a Hugging Face checkpoint; for experts without `_blocks` and `_scales`.
    pub name: String,
    /// Rows first.
    pub shape: Vec<usize>,
    /// What it is.
    pub kind: TensorKind,
    /// Where its values stand.
    pub range: Range<usize>,
}

impl TensorSpec {
    /// The matrices in it that have a direction of their own.
    fn matrices(&self) -> Vec<Place> {
        let start = self.range.start;
        match (self.kind, &self.shape[..]) {
            (TensorKind::Weight, &[rows, columns]) if !self.name.ends_with("router.weight") => {
                vec![Place { start, rows, columns, stride: columns }]
            }
            (TensorKind::Experts, &[experts, rows, columns]) => {
                // Gate and up rows take turns.
                let parts = if self.name.ends_with("gate_up_proj") { 2 } else { 1 };
                let place = |index: usize, part: usize| Place {
                    start: start + index * rows * columns + part * columns,
                    rows: rows / parts,
                    columns,
                    stride: parts * columns,
                };
                (0..experts).flat_map(|index| (0..parts).map(move |part| place(index, part))).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// All tensors of a model, in the order of the vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    tensors: Vec<TensorSpec>,
    length: usize,
    pub(crate) layers: Vec<LayerRanges>,
    pub(crate) embedding: Range<usize>,
    pub(crate) final_norm: Range<usize>,
    pub(crate) unembedding: Range<usize>,
}

/// Where the tensors of one layer stand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LayerRanges {
    pub(crate) attention_norm: Range<usize>,
    /// Query, key and value rows, one after another: one product computes all three.
    pub(crate) qkv: Range<usize>,
    pub(crate) qkv_bias: Range<usize>,
    pub(crate) sinks: Range<usize>,
    pub(crate) output: Range<usize>,
    pub(crate) output_bias: Range<usize>,
    pub(crate) mlp_norm: Range<usize>,
    pub(crate) router: Range<usize>,
    pub(crate) router_bias: Range<usize>,
    /// `[experts, 2 × intermediate, hidden]`, gate and up rows interleaved.
    pub(crate) gate_up: Range<usize>,
    pub(crate) gate_up_bias: Range<usize>,
    /// `[experts, hidden, intermediate]`.
    pub(crate) down: Range<usize>,
    pub(crate) down_bias: Range<usize>,
}

impl Layout {
    /// The layout of a model's parameters.
    #[must_use]
    pub fn new(config: &ModelConfig) -> Self {
        let mut tensors = Tensors::default();
        let (hidden, vocabulary) = (config.hidden_size, config.vocabulary_size);
        let embedding = tensors.push("model.embed_tokens.weight", &[vocabulary, hidden], TensorKind::Embedding);
        let layers = (0..config.layers.len()).map(|index| tensors.push_layer(index, config)).collect();
        let final_norm = tensors.push("model.norm.weight", &[hidden], TensorKind::Norm);
        let unembedding = tensors.push("lm_head.weight", &[vocabulary, hidden], TensorKind::Embedding);
        Self { tensors: tensors.list, length: tensors.length, layers, embedding, final_norm, unembedding }
    }

    /// Every tensor, in the order of the vector.
    #[must_use]
    pub fn tensors(&self) -> &[TensorSpec] {
        &self.tensors
    }

    /// The matrices that Muon may move, and the stretches between them: all weights of attention and experts, whose matrices
    /// each stand alone; gate and up rows, which are interleaved, are two matrices. The router has as few rows as experts
    /// and stays with the rest.
    #[must_use]
    pub fn matrices(&self) -> (Vec<Place>, Vec<Range<usize>>) {
        let (mut matrices, mut others, mut end) = (Vec::new(), Vec::new(), 0);
        for tensor in &self.tensors {
            let found = tensor.matrices();
            if found.is_empty() {
                continue;
            }
            if end < tensor.range.start {
                others.push(end..tensor.range.start);
            }
            matrices.extend(found);
            end = tensor.range.end;
        }
        if end < self.length {
            others.push(end..self.length);
        }
        (matrices, others)
    }

    /// How many parameters there are.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }
}

#[derive(Default)]
struct Tensors {
    list: Vec<TensorSpec>,
    length: usize,
}

impl Tensors {
    fn push(&mut self, name: &str, shape: &[usize], kind: TensorKind) -> Range<usize> {
        let range = self.length..self.length + shape.iter().product::<usize>();
        self.length = range.end;
        self.list.push(TensorSpec { name: name.to_owned(), shape: shape.to_vec(), kind, range: range.clone() });
        range
    }

    fn push_layer(&mut self, index: usize, config: &ModelConfig) -> LayerRanges {
        let ModelConfig { hidden_size: hidden, intermediate_size: inner, heads, kv_heads, head_dim, experts, .. } =
            *config;
        let (queries, keys) = (heads * head_dim, kv_heads * head_dim);
        let mut push =
            |name: &str, shape: &[usize], kind| self.push(&format!("model.layers.{index}.{name}"), shape, kind);
        let attention_norm = push("input_layernorm.weight", &[hidden], TensorKind::Norm);
        let query = push("self_attn.q_proj.weight", &[queries, hidden], TensorKind::Weight);
        push("self_attn.k_proj.weight", &[keys, hidden], TensorKind::Weight);
        let value = push("self_attn.v_proj.weight", &[keys, hidden], TensorKind::Weight);
        let query_bias = push("self_attn.q_proj.bias", &[queries], TensorKind::Bias);
        push("self_attn.k_proj.bias", &[keys], TensorKind::Bias);
        let value_bias = push("self_attn.v_proj.bias", &[keys], TensorKind::Bias);
        LayerRanges {
            attention_norm,
            qkv: query.start..value.end,
            qkv_bias: query_bias.start..value_bias.end,
            sinks: push("self_attn.sinks", &[heads], TensorKind::Sinks),
            output: push("self_attn.o_proj.weight", &[hidden, queries], TensorKind::Weight),
            output_bias: push("self_attn.o_proj.bias", &[hidden], TensorKind::Bias),
            mlp_norm: push("post_attention_layernorm.weight", &[hidden], TensorKind::Norm),
            router: push("mlp.router.weight", &[experts, hidden], TensorKind::Weight),
            router_bias: push("mlp.router.bias", &[experts], TensorKind::Bias),
            gate_up: push("mlp.experts.gate_up_proj", &[experts, 2 * inner, hidden], TensorKind::Experts),
            gate_up_bias: push("mlp.experts.gate_up_proj_bias", &[experts, 2 * inner], TensorKind::Bias),
            down: push("mlp.experts.down_proj", &[experts, hidden, inner], TensorKind::Experts),
            down_bias: push("mlp.experts.down_proj_bias", &[experts, hidden], TensorKind::Bias),
        }
    }
}
