//! One layer forward and backward: attention and experts, each with its norm and its residual. It must not know the loss.
//!
//! The forward pass leaves in [`Activations`] what the backward pass reads. Formulas: the gpt-oss reference implementation; the
//! gradients are written out by hand from them.

use kernels::{AttentionShape, Matrix, Target, Training};
use model::{AttentionKind, ModelConfig};

use crate::batch::Batch;
use crate::experts;
use crate::parameters::LayerRanges;
use crate::rotary::Angles;
use crate::routing::Routing;

/// What a layer's backward pass needs of its forward pass. Buffers keep their memory from batch to batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activations {
    /// The residual stream before the layer, `[tokens, hidden]`.
    pub(crate) input: Vec<f32>,
    attention_scales: Vec<f32>,
    attention_input: Vec<f32>,
    /// Rotated queries and keys, and values.
    qkv: Vec<f32>,
    attended: Vec<f32>,
    log_sums: Vec<f32>,
    /// The residual stream between attention and experts.
    middle: Vec<f32>,
    mlp_scales: Vec<f32>,
    pub(crate) mlp_input: Vec<f32>,
    pub(crate) routing: Routing,
    pub(crate) experts: experts::Activations,
}

/// Working memory of the passes, kept from batch to batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) hidden: Vec<f32>,
    attended: Vec<f32>,
    qkv: Vec<f32>,
    pub(crate) router: Vec<f32>,
    pub(crate) experts: experts::Scratch,
}

/// All that a layer's passes look at besides activations.
#[derive(Clone, Copy)]
pub(crate) struct Layer<'a> {
    pub(crate) config: &'a ModelConfig,
    pub(crate) kind: AttentionKind,
    pub(crate) ranges: &'a LayerRanges,
    pub(crate) parameters: &'a [f32],
    pub(crate) batch: &'a Batch,
    pub(crate) angles: &'a Angles,
}

impl<'a> Layer<'a> {
    fn attention_shape(&self) -> AttentionShape<'a> {
        let ModelConfig { heads, kv_heads, head_dim, sliding_window, .. } = *self.config;
        let window = match self.kind {
            AttentionKind::Sliding => Some(sliding_window),
            AttentionKind::Full => None,
        };
        AttentionShape { documents: &self.batch.documents, heads, kv_heads, head_dim, window }
    }

    fn tokens(&self) -> usize {
        self.batch.ids.len()
    }

    /// Reads `kept.input`, fills the rest of `kept` and writes the residual stream after the layer.
    pub(crate) fn forward(
        &self,
        compute: &mut Training,
        kept: &mut Activations,
        scratch: &mut Scratch,
        out: &mut Vec<f32>,
    ) {
        let (tokens, hidden, weights) = (self.tokens(), self.config.hidden_size, self.parameters);
        let ranges = self.ranges;
        let shape = self.attention_shape();
        let (row, width) = (shape.row(), self.config.heads * self.config.head_dim);
        kept.attention_scales.resize(tokens, 0.0);
        kept.attention_input.resize(tokens * hidden, 0.0);
        let norm = &weights[ranges.attention_norm.clone()];
        let epsilon = self.config.rms_norm_epsilon;
        compute.rms_norm(&kept.input, norm, epsilon, &mut kept.attention_input, &mut kept.attention_scales);
        kept.qkv.resize(tokens * row, 0.0);
        compute.multiply(
            Matrix::new(&kept.attention_input, tokens, hidden),
            Matrix::new(&weights[ranges.qkv.clone()], row, hidden).transposed(),
            Some(&weights[ranges.qkv_bias.clone()]),
            Target { values: &mut kept.qkv, stride: row, accumulate: false },
        );
        self.rotate(compute, &mut kept.qkv, false);
        kept.attended.resize(tokens * width, 0.0);
        kept.log_sums.resize(tokens * self.config.heads, 0.0);
        compute.attend(&shape, &kept.qkv, &weights[ranges.sinks.clone()], &mut kept.attended, &mut kept.log_sums);
        kept.middle.clone_from(&kept.input);
        compute.multiply(
            Matrix::new(&kept.attended, tokens, width),
            Matrix::new(&weights[ranges.output.clone()], hidden, width).transposed(),
            Some(&weights[ranges.output_bias.clone()]),
            Target { values: &mut kept.middle, stride: hidden, accumulate: true },
        );
        kept.mlp_scales.resize(tokens, 0.0);
        kept.mlp_input.resize(tokens * hidden, 0.0);
        let norm = &weights[ranges.mlp_norm.clone()];
        compute.rms_norm(&kept.middle, norm, epsilon, &mut kept.mlp_input, &mut kept.mlp_scales);
        self.route(compute, kept, scratch);
        out.clone_from(&kept.middle);
        experts::forward(self, compute, (&kept.mlp_input, &kept.routing), &mut kept.experts, out);
    }

    fn route(&self, compute: &mut Training, kept: &mut Activations, scratch: &mut Scratch) {
        let (tokens, hidden, experts) = (self.tokens(), self.config.hidden_size, self.config.experts);
        scratch.router.resize(tokens * experts, 0.0);
        compute.multiply(
            Matrix::new(&kept.mlp_input, tokens, hidden),
            Matrix::new(&self.parameters[self.ranges.router.clone()], experts, hidden).transposed(),
            Some(&self.parameters[self.ranges.router_bias.clone()]),
            Target { values: &mut scratch.router, stride: experts, accumulate: false },
        );
        kept.routing.choose(compute, &scratch.router, experts, self.config.experts_per_token);
    }

    fn rotate(&self, compute: &Training, qkv: &mut [f32], backward: bool) {
        let ModelConfig { heads, kv_heads, head_dim, .. } = *self.config;
        let row = (heads + 2 * kv_heads) * head_dim;
        let angles = (&*self.angles.cos, &*self.angles.sin, head_dim / 2);
        compute.rotate(qkv, (row, heads + kv_heads), angles, &self.batch.positions, backward);
    }

    /// From the gradient of the residual stream after the layer to that before it, in place; adds the parameters' gradients.
    /// `balance` is the weight of this layer's balance loss.
    pub(crate) fn backward(
        &self,
        compute: &mut Training,
        kept: &mut Activations,
        scratch: &mut Scratch,
        (stream, gradients): (&mut [f32], &mut [f32]),
        balance: f32,
    ) {
        let (tokens, hidden) = (self.tokens(), self.config.hidden_size);
        scratch.hidden.resize(tokens * hidden, 0.0);
        experts::backward(self, compute, kept, scratch, (stream, gradients), balance);
        let norm = &self.parameters[self.ranges.mlp_norm.clone()];
        compute.rms_norm_backward(
            (&kept.middle, norm, &kept.mlp_scales),
            &scratch.hidden,
            stream,
            &mut gradients[self.ranges.mlp_norm.clone()],
        );
        self.attention_backward(compute, kept, scratch, (stream, gradients));
    }

    fn attention_backward(
        &self,
        compute: &mut Training,
        kept: &Activations,
        scratch: &mut Scratch,
        (stream, gradients): (&mut [f32], &mut [f32]),
    ) {
        let (tokens, hidden, weights) = (self.tokens(), self.config.hidden_size, self.parameters);
        let (ranges, shape) = (self.ranges, self.attention_shape());
        let (row, width) = (shape.row(), self.config.heads * self.config.head_dim);
        compute.column_sums(stream, &mut gradients[ranges.output_bias.clone()]);
        linear_backward(
            compute,
            (&kept.attended, stream, tokens),
            (&weights[ranges.output.clone()], width, hidden),
            &mut scratch.attended,
            &mut gradients[ranges.output.clone()],
        );
        scratch.qkv.resize(tokens * row, 0.0);
        compute.attend_backward(
            &shape,
            (&kept.qkv, &weights[ranges.sinks.clone()], &kept.attended, &kept.log_sums),
            &scratch.attended,
            &mut scratch.qkv,
            &mut gradients[ranges.sinks.clone()],
        );
        self.rotate(compute, &mut scratch.qkv, true);
        compute.column_sums(&scratch.qkv, &mut gradients[ranges.qkv_bias.clone()]);
        linear_backward(
            compute,
            (&kept.attention_input, &scratch.qkv, tokens),
            (&weights[ranges.qkv.clone()], hidden, row),
            &mut scratch.hidden,
            &mut gradients[ranges.qkv.clone()],
        );
        compute.rms_norm_backward(
            (&kept.input, &weights[ranges.attention_norm.clone()], &kept.attention_scales),
            &scratch.hidden,
            stream,
            &mut gradients[ranges.attention_norm.clone()],
        );
    }
}

/// Backward of `out = x·Wᵀ`, `W` `[outs, ins]`: replaces `x_gradient` and adds to `weight_gradient`.
pub(crate) fn linear_backward(
    compute: &mut Training,
    (x, out_gradient, rows): (&[f32], &[f32], usize),
    (weight, ins, outs): (&[f32], usize, usize),
    x_gradient: &mut Vec<f32>,
    weight_gradient: &mut [f32],
) {
    x_gradient.resize(rows * ins, 0.0);
    compute.multiply(
        Matrix::new(out_gradient, rows, outs),
        Matrix::new(weight, outs, ins),
        None,
        Target { values: x_gradient, stride: ins, accumulate: false },
    );
    compute.multiply(
        Matrix::new(out_gradient, rows, outs).transposed(),
        Matrix::new(x, rows, ins),
        None,
        Target { values: weight_gradient, stride: ins, accumulate: true },
    );
}
