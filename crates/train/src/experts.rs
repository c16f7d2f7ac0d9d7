//! The experts of a layer, forward and backward, over tokens sorted by expert. It must not know attention or the loss.
//!
//! Gate and up rows are interleaved in the checkpoint; as matrices with doubled stride they are two products with results of
//! their own, so that the activation goes over plain slices.

use std::ops::Range;

use kernels::{Matrix, Target, Training};

use crate::layer::{self, Layer, linear_backward};
use crate::routing::Routing;

/// Rows per task of the gathering and scattering loops.
const TASK_ROWS: usize = 64;

/// What the backward pass needs; one row per slot of the routing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activations {
    inputs: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    activated: Vec<f32>,
    outputs: Vec<f32>,
}

/// Working memory of the backward pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    outputs: Vec<f32>,
    activated: Vec<f32>,
    inputs: Vec<f32>,
    choices: Vec<f32>,
    router: Vec<f32>,
    rows: Vec<f32>,
}

/// One expert's weights, and the slots of its tokens.
struct Expert<'a> {
    slots: Range<usize>,
    /// `[2 × intermediate, hidden]`, interleaved.
    gate_up: &'a [f32],
    gate_bias: Vec<f32>,
    up_bias: Vec<f32>,
    down: &'a [f32],
    down_bias: &'a [f32],
}

/// The part of expert `index` of `count` in a tensor.
fn part(range: &Range<usize>, index: usize, count: usize) -> Range<usize> {
    let length = range.len() / count;
    range.start + index * length..range.start + (index + 1) * length
}

impl<'a> Expert<'a> {
    fn new(layer: &Layer<'a>, routing: &Routing, index: usize) -> Self {
        let (ranges, count) = (layer.ranges, layer.config.experts);
        let of = |range| &layer.parameters[part(range, index, count)];
        let bias = of(&ranges.gate_up_bias);
        Self {
            slots: routing.starts[index]..routing.starts[index + 1],
            gate_up: of(&ranges.gate_up),
            gate_bias: bias.iter().copied().step_by(2).collect(),
            up_bias: bias.iter().copied().skip(1).step_by(2).collect(),
            down: of(&ranges.down),
            down_bias: of(&ranges.down_bias),
        }
    }
}

/// Adds what the experts say of `input` to `out`, both `[tokens, hidden]`.
pub(crate) fn forward(
    layer: &Layer<'_>,
    compute: &mut Training,
    (input, routing): (&[f32], &Routing),
    kept: &mut Activations,
    out: &mut [f32],
) {
    let (hidden, inner) = (layer.config.hidden_size, layer.config.intermediate_size);
    let slots = routing.tokens.len();
    kept.inputs.resize(slots * hidden, 0.0);
    compute.for_each_chunk(&mut kept.inputs, TASK_ROWS * hidden, |task, rows| {
        for (row, &token) in rows.chunks_exact_mut(hidden).zip(&routing.tokens[task * TASK_ROWS..]) {
            row.copy_from_slice(&input[token as usize * hidden..][..hidden]);
        }
    });
    for buffer in [&mut kept.gate, &mut kept.up, &mut kept.activated] {
        buffer.resize(slots * inner, 0.0);
    }
    kept.outputs.resize(slots * hidden, 0.0);
    for index in 0..layer.config.experts {
        let expert = Expert::new(layer, routing, index);
        let Range { start, end } = expert.slots.clone();
        let (count, wide, narrow) = (end - start, start * hidden..end * hidden, start * inner..end * inner);
        let inputs = Matrix::new(&kept.inputs[wide.clone()], count, hidden);
        let halves = [(&mut kept.gate, 0, &expert.gate_bias), (&mut kept.up, hidden, &expert.up_bias)];
        for (half, offset, bias) in halves {
            let weight = Matrix::with_stride(&expert.gate_up[offset..], inner, hidden, 2 * hidden).transposed();
            let values = &mut half[narrow.clone()];
            compute.multiply(inputs, weight, Some(bias), Target { values, stride: inner, accumulate: false });
        }
        let (gate, up, limit) = (&kept.gate[narrow.clone()], &kept.up[narrow.clone()], layer.config.swiglu_limit);
        compute.swiglu(gate, up, limit, &mut kept.activated[narrow.clone()]);
        compute.multiply(
            Matrix::new(&kept.activated[narrow], count, inner),
            Matrix::new(expert.down, hidden, inner).transposed(),
            Some(expert.down_bias),
            Target { values: &mut kept.outputs[wide], stride: hidden, accumulate: false },
        );
    }
    combine(compute, routing, &kept.outputs, hidden, out);
}

/// `out[token] += Σ weight · outputs[slot]`.
fn combine(compute: &Training, routing: &Routing, outputs: &[f32], hidden: usize, out: &mut [f32]) {
    let chosen = routing.slots.len() / (out.len() / hidden).max(1);
    compute.for_each_chunk(out, TASK_ROWS * hidden, |task, rows| {
        for (index, row) in rows.chunks_exact_mut(hidden).enumerate() {
            let choices = (task * TASK_ROWS + index) * chosen..(task * TASK_ROWS + index + 1) * chosen;
            for (&slot, &weight) in routing.slots[choices.clone()].iter().zip(&routing.weights[choices]) {
                add_scaled(&outputs[slot as usize * hidden..][..hidden], weight, row);
            }
        }
    });
}

fn add_scaled(x: &[f32], factor: f32, sum: &mut [f32]) {
    sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += factor * x);
}

/// A dot product in sixteen running sums.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (a_chunks, b_chunks) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..16 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Writes the gradient of the experts' input into `scratch.hidden`, from that of their output (`stream`); adds those of the
/// experts' and the router's parameters.
pub(crate) fn backward(
    layer: &Layer<'_>,
    compute: &mut Training,
    kept: &mut layer::Activations,
    scratch: &mut layer::Scratch,
    (stream, gradients): (&[f32], &mut [f32]),
    balance: f32,
) {
    let (hidden, count) = (layer.config.hidden_size, layer.config.experts);
    let work = &mut scratch.experts;
    output_gradients(layer, compute, (&kept.routing, &kept.experts.outputs), stream, work);
    work.inputs.resize(kept.routing.tokens.len() * hidden, 0.0);
    for index in 0..count {
        expert_backward(layer, compute, (&mut kept.experts, &kept.routing, index), work, gradients);
    }
    let (tokens, routing) = (stream.len() / hidden, &kept.routing);
    work.router.resize(tokens * count, 0.0);
    routing.backward(&work.choices, balance, &mut work.router);
    compute.column_sums(&work.router, &mut gradients[layer.ranges.router_bias.clone()]);
    linear_backward(
        compute,
        (&kept.mlp_input, &work.router, tokens),
        (&layer.parameters[layer.ranges.router.clone()], hidden, count),
        &mut scratch.hidden,
        &mut gradients[layer.ranges.router.clone()],
    );
    let chosen = layer.config.experts_per_token;
    compute.for_each_chunk(&mut scratch.hidden, TASK_ROWS * hidden, |task, rows| {
        for (index, row) in rows.chunks_exact_mut(hidden).enumerate() {
            let first = (task * TASK_ROWS + index) * chosen;
            for &slot in &routing.slots[first..first + chosen] {
                let input = &work.inputs[slot as usize * hidden..][..hidden];
                row.iter_mut().zip(input).for_each(|(sum, value)| *sum += value);
            }
        }
    });
}

/// By slot the gradient of the expert's output, and by choice the gradient of its weight.
fn output_gradients(
    layer: &Layer<'_>,
    compute: &Training,
    (routing, outputs): (&Routing, &[f32]),
    stream: &[f32],
    work: &mut Scratch,
) {
    let (hidden, chosen) = (layer.config.hidden_size, layer.config.experts_per_token);
    work.outputs.resize(outputs.len(), 0.0);
    compute.for_each_chunk(&mut work.outputs, TASK_ROWS * hidden, |task, rows| {
        for (index, row) in rows.chunks_exact_mut(hidden).enumerate() {
            let slot = task * TASK_ROWS + index;
            let (token, weight) = (routing.tokens[slot] as usize, routing.slot_weights[slot]);
            row.iter_mut().zip(&stream[token * hidden..]).for_each(|(to, from)| *to = weight * from);
        }
    });
    work.choices.resize(routing.slots.len(), 0.0);
    compute.for_each_chunk(&mut work.choices, TASK_ROWS * chosen, |task, choices| {
        for (index, choice) in choices.iter_mut().enumerate() {
            let place = task * TASK_ROWS * chosen + index;
            let output = &outputs[routing.slots[place] as usize * hidden..][..hidden];
            *choice = dot(output, &stream[place / chosen * hidden..][..hidden]);
        }
    });
}

fn expert_backward(
    layer: &Layer<'_>,
    compute: &mut Training,
    (kept, routing, index): (&mut Activations, &Routing, usize),
    work: &mut Scratch,
    gradients: &mut [f32],
) {
    let (hidden, inner, count) = (layer.config.hidden_size, layer.config.intermediate_size, layer.config.experts);
    let (ranges, expert) = (layer.ranges, Expert::new(layer, routing, index));
    let Range { start, end } = expert.slots.clone();
    let (rows, wide, narrow) = (end - start, start * hidden..end * hidden, start * inner..end * inner);
    if rows == 0 {
        return;
    }
    let out_gradient = &work.outputs[wide.clone()];
    compute.column_sums(out_gradient, &mut gradients[part(&ranges.down_bias, index, count)]);
    linear_backward(
        compute,
        (&kept.activated[narrow.clone()], out_gradient, rows),
        (expert.down, inner, hidden),
        &mut work.activated,
        &mut gradients[part(&ranges.down, index, count)],
    );
    let (gate, up) = (&mut kept.gate[narrow.clone()], &mut kept.up[narrow.clone()]);
    compute.swiglu_backward(gate, up, layer.config.swiglu_limit, &work.activated);
    let bias_gradient = part(&ranges.gate_up_bias, index, count);
    let weight_gradient = part(&ranges.gate_up, index, count);
    let inputs = Matrix::new(&kept.inputs[wide.clone()], rows, hidden);
    for (half, values) in [&kept.gate[narrow.clone()], &kept.up[narrow]].into_iter().enumerate() {
        work.rows.clear();
        work.rows.resize(inner, 0.0);
        compute.column_sums(values, &mut work.rows);
        for (sum, value) in gradients[bias_gradient.clone()].iter_mut().skip(half).step_by(2).zip(&work.rows) {
            *sum += value;
        }
        let half_gradient = Matrix::new(values, rows, inner);
        let weight = Matrix::with_stride(&expert.gate_up[half * hidden..], inner, hidden, 2 * hidden);
        let target = Target { values: &mut work.inputs[wide.clone()], stride: hidden, accumulate: half == 1 };
        compute.multiply(half_gradient, weight, None, target);
        let values = &mut gradients[weight_gradient.clone()][half * hidden..];
        compute.multiply(
            half_gradient.transposed(),
            inputs,
            None,
            Target { values, stride: 2 * hidden, accumulate: true },
        );
    }
}
