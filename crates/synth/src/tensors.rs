//! The tensors of a checkpoint under their Hugging Face names, in the order of the files, and their values by name.

use crate::error::Result;
use crate::field::{Field, Normal, Scales};
use crate::numbers::{Words, f32_from_bf16};
use crate::shape::Shape;
use crate::spread::Spread;

/// Values of the 16 E2M1 codes (OCP Microscaling Formats 1.0, section 5.3.3).
const E2M1: [f32; 16] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

/// A whole checkpoint as a rule: nothing is stored, any tensor can be made by name.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    shape: Shape,
    layers: Vec<Vec<Tensor>>,
    ends: Vec<Tensor>,
}

/// One tensor of the Hugging Face layout.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Published name, such as `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// Published element type.
    pub dtype: Dtype,
    /// Published shape.
    pub shape: Vec<usize>,
    pub(crate) field: Field,
}

/// Element types of the published safetensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// bfloat16.
    Bf16,
    /// Bytes: MXFP4 blocks and scales.
    U8,
}

impl Checkpoint {
    /// The checkpoint of a shape and a seed. The released goldens use seed 20.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] when the numbers of the shape contradict each other.
    pub fn new(shape: Shape, seed: u64) -> Result<Self> {
        shape.check()?;
        let maker = Maker { shape: &shape, seed };
        let layers = (0..shape.layers.len()).map(|layer| maker.layer(layer)).collect();
        let ends = maker.ends();
        Ok(Self { shape, layers, ends })
    }

    /// The shape that it was made for.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// All tensors, layer by layer, then embedding, last norm and unembedding.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.layers.iter().flatten().chain(&self.ends)
    }

    /// The tensors of one layer, in file order.
    pub(crate) fn layer(&self, layer: usize) -> &[Tensor] {
        &self.layers[layer]
    }

    /// Embedding, last norm and unembedding.
    pub(crate) fn ends(&self) -> &[Tensor] {
        &self.ends
    }

    /// Bytes of all tensors together, as the published index states it under `total_size`.
    #[must_use]
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors().map(|tensor| tensor.byte_count() as u64).sum()
    }

    /// A tensor by its Hugging Face name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors().find(|tensor| tensor.name == name)
    }

    /// The values of a tensor, row-major. Of the experts' matrices, which are stored as `_blocks` and `_scales`, give the
    /// name without the ending (`….mlp.experts.gate_up_proj`): the values come back decoded, `[experts, rows, columns]`.
    #[must_use]
    pub fn values(&self, name: &str) -> Option<Vec<f32>> {
        if let Some(tensor) = self.tensor(name) {
            let bytes = tensor.bytes();
            return Some(match tensor.dtype {
                Dtype::Bf16 => bytes.as_chunks().0.iter().map(|&two| f32_from_bf16(u16::from_le_bytes(two))).collect(),
                Dtype::U8 => bytes.iter().map(|&byte| f32::from(byte)).collect(),
            });
        }
        let blocks = self.tensor(&format!("{name}_blocks"))?.bytes();
        let scales = self.tensor(&format!("{name}_scales"))?.bytes();
        let decode = |(block, scale): (&[u8; 16], &u8)| {
            let scale = 2f32.powi(i32::from(*scale) - 127);
            block.map(|byte| [byte & 15, byte >> 4].map(|code| E2M1[usize::from(code)] * scale))
        };
        Some(blocks.as_chunks::<16>().0.iter().zip(&scales).flat_map(decode).flatten().collect())
    }
}

impl Tensor {
    /// Bytes of the published tensor.
    #[must_use]
    pub fn byte_count(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.byte_count()
    }

    /// The published bytes. Of the full-size shapes, single tensors exceed a gigabyte.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.byte_count()];
        self.field.fill(0, &mut bytes);
        bytes
    }
}

impl Dtype {
    /// Bytes of one element.
    #[must_use]
    pub const fn byte_count(self) -> usize {
        match self {
            Self::Bf16 => 2,
            Self::U8 => 1,
        }
    }

    /// The name in a safetensors header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bf16 => "BF16",
            Self::U8 => "U8",
        }
    }
}

struct Maker<'a> {
    shape: &'a Shape,
    seed: u64,
}

impl Maker<'_> {
    fn words(&self, name: &str) -> Words {
        Words::new(name, self.seed)
    }

    fn normal(&self, name: String, shape: &[usize], mean: f64, deviation: f64) -> Tensor {
        let field = Field::Normal(Normal::new(self.words(&name), mean, deviation));
        Tensor { name, dtype: Dtype::Bf16, shape: shape.to_vec(), field }
    }

    fn layer(&self, layer: usize) -> Vec<Tensor> {
        let Shape { hidden_size: hidden, experts, heads, .. } = *self.shape;
        let spread = &self.shape.spread;
        let (query, key) = (self.shape.query_width(), self.shape.key_width());
        let narrow = (96.0 / hidden as f64).sqrt();
        let normal = |name: &str, shape: &[usize], mean: f64, deviation: f64| {
            self.normal(format!("model.layers.{layer}.{name}"), shape, mean, deviation)
        };
        let output_weight = spread.attention_output_weight * (512.0 / query as f64).sqrt();
        let mut tensors = vec![
            normal("input_layernorm.weight", &[hidden], 1.0, spread.norm),
            normal("self_attn.o_proj.bias", &[hidden], 0.0, spread.attention_output_bias),
            normal("self_attn.o_proj.weight", &[hidden, query], 0.0, output_weight),
        ];
        let projections = [("q", query), ("k", key), ("v", key)];
        for (which, width) in projections {
            let name = format!("self_attn.{which}_proj.bias");
            tensors.push(normal(&name, &[width], 0.0, spread.query_key_value_bias));
        }
        for (which, width) in projections {
            let name = format!("self_attn.{which}_proj.weight");
            tensors.push(normal(&name, &[width, hidden], 0.0, spread.query_key_value_weight * narrow));
        }
        tensors.push(normal("self_attn.sinks", &[heads], 1.0, spread.sink));
        tensors.push(normal("mlp.router.bias", &[experts], 0.0, spread.router_bias));
        tensors.push(normal("mlp.router.weight", &[experts, hidden], 0.0, spread.router_weight * narrow));
        tensors.extend(self.experts(layer));
        tensors.push(normal("post_attention_layernorm.weight", &[hidden], 1.0, spread.norm));
        tensors
    }

    fn experts(&self, layer: usize) -> Vec<Tensor> {
        let Shape { hidden_size: hidden, intermediate_size: inner, experts, .. } = *self.shape;
        let Spread { gate_up_bias, gate_up_scales, down_bias, down_scales, .. } = self.shape.spread;
        let mut tensors = Vec::with_capacity(6);
        for (which, rows, columns, bias, scales) in [
            ("gate_up", 2 * inner, hidden, gate_up_bias, gate_up_scales),
            ("down", hidden, inner, down_bias, down_scales),
        ] {
            let name = |end: &str| format!("model.layers.{layer}.mlp.experts.{which}_proj_{end}");
            let shape = vec![experts, rows, columns / 32];
            tensors.push(self.normal(name("bias"), &[experts, rows], 0.0, bias));
            let blocks = Field::Blocks(self.words(&name("blocks")));
            let block_shape = [shape.as_slice(), &[16]].concat();
            tensors.push(Tensor { name: name("blocks"), dtype: Dtype::U8, shape: block_shape, field: blocks });
            let scales = Field::Scales(Scales::new(self.words(&name("scales")), scales));
            tensors.push(Tensor { name: name("scales"), dtype: Dtype::U8, shape, field: scales });
        }
        tensors
    }

    fn ends(&self) -> Vec<Tensor> {
        let Shape { hidden_size: hidden, vocabulary_size: vocabulary, .. } = *self.shape;
        let spread = &self.shape.spread;
        let name = "model.embed_tokens.weight".to_string();
        let mut embedding = Normal::new(self.words(&name), 0.0, spread.embedding);
        if let Some((row, deviation)) = spread.embedding_exception {
            embedding = embedding.with_exception(row * hidden..(row + 1) * hidden, deviation);
        }
        let field = Field::Normal(embedding);
        let narrow = (96.0 / hidden as f64).sqrt();
        vec![
            Tensor { name, dtype: Dtype::Bf16, shape: vec![vocabulary, hidden], field },
            self.normal("model.norm.weight".into(), &[hidden], 1.0, spread.norm),
            self.normal("lm_head.weight".into(), &[vocabulary, hidden], 0.0, spread.unembedding * narrow),
        ]
    }
}
