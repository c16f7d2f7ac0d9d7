//! The mixture of experts on CPUs: tokens are grouped by expert, so that each chosen expert's weights are read once per batch.
//!
//! Must not know layers or sequences. Three fork-joins: gate, up and SwiGLU; down; the weighted sum, in the order of the
//! routing, so that results depend neither on threads nor on the grouping.

use super::isa::Isa;
use super::product::{EncodedRow, Input, Output, multiply, task_rows};
use super::tile::{arrange, arranged_index};
use crate::backend::{ExpertWeights, Routing};
use crate::pool::Pool;
use crate::storage::{GateUp, Mxfp4Matrix};

/// Largest number of SwiGLU units per task.
const UNITS_MAX: usize = 64;

/// One layer's experts, kept where they lie.
pub struct Experts {
    weights: ExpertWeights,
}

/// Working memory, kept between layers.
#[derive(Default)]
pub(super) struct Scratch {
    /// `[slots, hidden]`: inputs, grouped by expert, in nibble order.
    inputs: Vec<f32>,
    /// `[slots, intermediate]`: SwiGLU outputs, in nibble order.
    activations: Vec<f32>,
    /// `[slots, hidden]`.
    outputs: Vec<f32>,
}

/// The slots (pairs of row and choice) of one expert, consecutive in the scratch buffers.
pub(super) struct Group {
    pub(super) expert: usize,
    pub(super) first: usize,
    pub(super) slots: usize,
}

/// A run of weight rows (or units) of one group.
struct Task {
    group: usize,
    start: usize,
    count: usize,
}

impl Experts {
    pub(super) fn new(weights: ExpertWeights) -> Self {
        Self { weights }
    }

    /// `residual[r] += Σ_j weight[r, j] · expert[r, j](x[r])`.
    pub(super) fn run(
        &self,
        isa: &'static Isa,
        pool: &Pool,
        x: &[f32],
        routing: &Routing,
        scratch: &mut Scratch,
        residual: &mut [f32],
    ) {
        let (hidden, intermediate) = (self.weights.down.rows, self.weights.down.columns);
        let slots = routing.experts.len();
        let (groups, slot_of) = group(&routing.experts);
        scratch.inputs.resize(slots * hidden, 0.0);
        scratch.activations.resize(slots * intermediate, 0.0);
        scratch.outputs.resize(slots * hidden, 0.0);

        let layout = self.input_layout().layout;
        let inputs = Output { start: scratch.inputs.as_mut_ptr(), stride: hidden };
        pool.run(slots, &|choice| {
            // SAFETY: each choice has a slot of its own, and the buffer has `slots` rows.
            let to = unsafe { std::slice::from_raw_parts_mut(inputs.place(slot_of[choice], 0), hidden) };
            arrange(layout, &x[choice / routing.experts_per_row * hidden..][..hidden], to);
        });

        let tasks = tasks(&groups, intermediate, |slots| {
            (task_rows(isa, slots, 2 * row_bytes(self.input_layout())) / if slots > 2 { 2 } else { 1 })
                .clamp(1, UNITS_MAX)
        });
        let activations = Output { start: scratch.activations.as_mut_ptr(), stride: intermediate };
        pool.run(tasks.len(), &|task| self.gate_up(isa, &groups, &tasks[task], &scratch.inputs, activations));

        let down = row_bytes(&self.weights.down);
        let tasks = tasks_of_rows(&groups, hidden, isa, down);
        let outputs = Output { start: scratch.outputs.as_mut_ptr(), stride: hidden };
        pool.run(tasks.len(), &|task| self.down(isa, &groups, &tasks[task], &scratch.activations, outputs));

        let out = Output { start: residual.as_mut_ptr(), stride: hidden };
        pool.run(slots / routing.experts_per_row, &|row| {
            // SAFETY: each row is one task's own; the slices are `hidden` long.
            let residual = unsafe { std::slice::from_raw_parts_mut(out.place(row, 0), hidden) };
            let choices = row * routing.experts_per_row..(row + 1) * routing.experts_per_row;
            for (&slot, &weight) in slot_of[choices.clone()].iter().zip(&routing.weights[choices]) {
                let output = &scratch.outputs[slot * hidden..][..hidden];
                // SAFETY: both slices are `hidden` long.
                unsafe { (isa.add_scaled)(output, weight, residual) };
            }
        });
    }

    fn gate_up(&self, isa: &'static Isa, groups: &[Group], task: &Task, inputs: &[f32], activations: Output) {
        let (hidden, intermediate) = (self.weights.down.rows, self.weights.down.columns);
        let group = &groups[task.group];
        let bias = 2 * (group.expert * intermediate + task.start);
        let bias = &self.weights.gate_up_bias[bias..bias + 2 * task.count];
        // Gate and up in turn, as published: then the weights are read as one stream.
        let mut sums = bias.repeat(group.slots);
        let row_at = |row: usize| self.gate_up_row(group.expert, task.start + row / 2, row % 2 == 1);
        let input =
            Input { values: &inputs[group.first * hidden..], stride: hidden, tokens: group.slots, columns: hidden };
        let out = Output { start: sums.as_mut_ptr(), stride: 2 * task.count };
        // SAFETY: `sums` is this task's own and has `slots × 2·count` places.
        unsafe { multiply(isa, 2 * task.count, row_at, input, out) };
        let (mut gate, mut up, mut activated) = ([0.0; UNITS_MAX], [0.0; UNITS_MAX], [0.0; UNITS_MAX]);
        for (slot, row) in sums.chunks_exact(2 * task.count).enumerate() {
            for ((pair, gate), up) in row.chunks_exact(2).zip(&mut gate).zip(&mut up) {
                (*gate, *up) = (pair[0], pair[1]);
            }
            let activated = &mut activated[..task.count];
            // SAFETY: the three slices have `count` values.
            unsafe { (isa.swiglu)(&gate[..task.count], &up[..task.count], self.weights.swiglu_limit, activated) };
            for (unit, &value) in (task.start..).zip(&*activated) {
                let index = arranged_index(self.weights.down.layout, unit);
                // SAFETY: slot and unit belong to this task alone.
                unsafe { *activations.place(group.first + slot, index) = value };
            }
        }
    }

    fn down(&self, isa: &'static Isa, groups: &[Group], task: &Task, activations: &[f32], outputs: Output) {
        let (hidden, intermediate) = (self.weights.down.rows, self.weights.down.columns);
        let group = &groups[task.group];
        let bias = &self.weights.down_bias[group.expert * hidden + task.start..][..task.count];
        // SAFETY: this task's slots and rows are its own; the buffer has them all.
        unsafe {
            let out = Output { start: outputs.place(group.first, task.start), stride: outputs.stride };
            for slot in 0..group.slots {
                std::slice::from_raw_parts_mut(out.place(slot, 0), task.count).copy_from_slice(bias);
            }
            let input = Input {
                values: &activations[group.first * intermediate..],
                stride: intermediate,
                tokens: group.slots,
                columns: intermediate,
            };
            let row_at = |row| EncodedRow::mxfp4(&self.weights.down, group.expert, task.start + row);
            multiply(isa, task.count, row_at, input, out);
        }
    }

    fn gate_up_row(&self, expert: usize, unit: usize, is_up: bool) -> EncodedRow<'_> {
        match &self.weights.gate_up {
            GateUp::Interleaved(both) => EncodedRow::mxfp4(both, expert, 2 * unit + usize::from(is_up)),
            GateUp::Halves(both) => EncodedRow::mxfp4(both, expert, unit + if is_up { both.rows / 2 } else { 0 }),
            GateUp::Separate { gate, up } => EncodedRow::mxfp4(if is_up { up } else { gate }, expert, unit),
        }
    }

    fn input_layout(&self) -> &Mxfp4Matrix {
        match &self.weights.gate_up {
            GateUp::Interleaved(both) | GateUp::Halves(both) => both,
            GateUp::Separate { gate, .. } => gate,
        }
    }
}

fn row_bytes(matrix: &Mxfp4Matrix) -> usize {
    matrix.columns / 32 * 17
}

/// Groups the choices by expert, keeping their order; also says which slot each choice got.
pub(super) fn group(experts: &[u32]) -> (Vec<Group>, Vec<usize>) {
    let mut order: Vec<usize> = (0..experts.len()).collect();
    order.sort_by_key(|&choice| experts[choice]);
    let mut groups: Vec<Group> = Vec::new();
    let mut slot_of = vec![0; experts.len()];
    for (slot, &choice) in order.iter().enumerate() {
        slot_of[choice] = slot;
        let expert = experts[choice] as usize;
        match groups.last_mut() {
            Some(group) if group.expert == expert => group.slots += 1,
            _ => groups.push(Group { expert, first: slot, slots: 1 }),
        }
    }
    (groups, slot_of)
}

fn tasks(groups: &[Group], total: usize, step: impl Fn(usize) -> usize) -> Vec<Task> {
    let cut = |(index, group): (usize, &Group)| {
        let step = step(group.slots);
        (0..total).step_by(step).map(move |start| Task { group: index, start, count: step.min(total - start) })
    };
    groups.iter().enumerate().flat_map(cut).collect()
}

fn tasks_of_rows(groups: &[Group], rows: usize, isa: &Isa, row_bytes: usize) -> Vec<Task> {
    tasks(groups, rows, |slots| task_rows(isa, slots, row_bytes))
}
