//! The mixture of experts over packed weights: tokens are grouped by expert, so that each chosen expert is read once per batch.
//!
//! It must not know layers or sequences. Gate and up panels take turns, so that sixteen units' gates and ups meet in registers;
//! what SwiGLU gives goes on as bytes. Three fork-joins: gate and up; down; the weighted sum in the order of the routing.

use std::cell::RefCell;

use super::activations::{Activations, Form, Places};
use super::experts::{Group, group};
use super::packed_linear::{product, task_panels};
use super::panel::{self, Encoding};
use super::product::Output;
use super::products::Device;
use crate::backend::{ExpertWeights, Routing};
use crate::pack::PackStore;
use crate::packed::{BLOCK_COLUMNS, PANEL_ROWS, PackedFormat, PackedMatrix, expert_row, pack_mxfp4};
use crate::pool::Pool;
use crate::storage::{GateUp, Mxfp4Matrix};

/// Units of a task of gate and up are whole blocks of the next product's columns: two pairs of panels.
const TASK_PAIRS: usize = BLOCK_COLUMNS / PANEL_ROWS;
/// Panels of those.
const TASK_PANELS: usize = 2 * TASK_PAIRS;

/// One layer's experts in panels.
pub struct PackedExperts {
    /// Panels of gate and up in turn, sixteen units each.
    gate_up: PackedMatrix,
    /// `[experts, panels, 16]`, in the same turns.
    gate_up_bias: Vec<f32>,
    down: PackedMatrix,
    /// `[experts, hidden]`.
    down_bias: Vec<f32>,
    swiglu_limit: f32,
}

/// Working memory, kept between layers.
#[derive(Default)]
pub(super) struct Scratch {
    /// By slot, grouped by expert.
    inputs: Activations,
    activated: Activations,
    /// `[slots, hidden]`.
    outputs: Vec<f32>,
}

/// Working memory of a thread.
#[derive(Default)]
struct Local {
    codes: Vec<u8>,
    sums: Vec<f32>,
}

thread_local! {
    static LOCAL: RefCell<Local> = RefCell::default();
}

impl PackedExperts {
    pub(super) fn pack(weights: &ExpertWeights, (pool, store): (&Pool, &PackStore)) -> Self {
        let (gate_up, down) = (pack_gate_up(weights, pool, store), pack_plain(&weights.down, pool, store));
        let (experts, units) = (weights.down.experts, weights.down.columns);
        let pairs = units.div_ceil(BLOCK_COLUMNS) * TASK_PAIRS;
        let mut gate_up_bias = vec![0.0; experts * pairs * 2 * PANEL_ROWS];
        for (bias, to) in weights.gate_up_bias.chunks(2 * units).zip(gate_up_bias.chunks_mut(pairs * 2 * PANEL_ROWS)) {
            for (row, &value) in bias.iter().enumerate() {
                let (unit, is_up) = (row / 2, row % 2);
                to[(unit / PANEL_ROWS * 2 + is_up) * PANEL_ROWS + unit % PANEL_ROWS] = value;
            }
        }
        let (down_bias, swiglu_limit) = (weights.down_bias.clone(), weights.swiglu_limit);
        Self { gate_up, gate_up_bias, down, down_bias, swiglu_limit }
    }

    pub(super) fn gate_up(&self) -> &PackedMatrix {
        &self.gate_up
    }

    /// `residual[r] += Σ_j weight[r, j] · expert[r, j](x[r])`.
    pub(super) fn run(
        &self,
        device: Device<'_>,
        x: &[f32],
        routing: &Routing,
        scratch: &mut Scratch,
        residual: &mut [f32],
    ) {
        let Device { isa, pool, .. } = device;
        let (hidden, units) = (self.down.rows, self.down.columns);
        let slots = routing.experts.len();
        let (groups, slot_of) = group(&routing.experts);
        let mut choice_of = vec![0; slots];
        slot_of.iter().enumerate().for_each(|(choice, &slot)| choice_of[slot] = choice);
        let form = Form::of(PackedFormat::Mxfp4, isa);
        let Scratch { inputs, activated, outputs } = scratch;
        inputs.fill(isa, pool, form, (slots, hidden), |slot| {
            &x[choice_of[slot] / routing.experts_per_row * hidden..][..hidden]
        });
        activated.resize(form, slots, units);
        outputs.resize(slots * hidden, 0.0);

        let places = activated.places();
        let whole = self.gate_up.panels() / TASK_PANELS;
        let read = groups.len() * self.gate_up.panels() * self.gate_up.panel_bytes();
        let tasks =
            tasks(&groups, whole, |slots| task_panels(device, slots, read, &self.gate_up).div_ceil(TASK_PANELS));
        pool.run(tasks.len(), &|task| {
            let (group, first, count) = tasks[task];
            for part in first..first + count {
                self.activate(device, &groups[group], part, inputs, places);
            }
        });

        let read = groups.len() * self.down.panels() * self.down.panel_bytes();
        let tasks = self::tasks(&groups, self.down.panels(), |slots| task_panels(device, slots, read, &self.down));
        let out = Output { start: outputs.as_mut_ptr(), stride: hidden };
        pool.run(tasks.len(), &|task| {
            let (group, first, count) = tasks[task];
            self.down(device, &groups[group], (first, count), activated, out);
        });

        let out = Output { start: residual.as_mut_ptr(), stride: hidden };
        pool.run(slots / routing.experts_per_row, &|row| {
            // SAFETY: each row is one task's own; the slices are `hidden` long.
            let residual = unsafe { std::slice::from_raw_parts_mut(out.place(row, 0), hidden) };
            let choices = row * routing.experts_per_row..(row + 1) * routing.experts_per_row;
            for (&slot, &weight) in slot_of[choices.clone()].iter().zip(&routing.weights[choices]) {
                // SAFETY: both slices are `hidden` long.
                unsafe { (isa.add_scaled)(&outputs[slot * hidden..][..hidden], weight, residual) };
            }
        });
    }

    /// Units `32 · part ..` of a group: products, SwiGLU, and the result as the next product's activations.
    fn activate(&self, device: Device<'_>, group: &Group, part: usize, inputs: &Activations, activated: Places) {
        let (isa, width) = (device.isa, TASK_PANELS * PANEL_ROWS);
        let first = part * TASK_PANELS;
        let bias = &self.gate_up_bias[(group.expert * self.gate_up.panels() + first) * PANEL_ROWS..][..width];
        let units = BLOCK_COLUMNS.min(self.down.columns - part * BLOCK_COLUMNS);
        let form = Form::of(PackedFormat::Mxfp4, isa);
        LOCAL.with_borrow_mut(|Local { codes, sums }| {
            sums.clear();
            (0..group.slots).for_each(|_| sums.extend_from_slice(bias));
            let out = Output { start: sums.as_mut_ptr(), stride: width };
            let panels = (group.expert, first, TASK_PANELS);
            // SAFETY: `sums` is this thread's own and has room for all slots.
            unsafe { multiply(device, &self.gate_up, panels, (inputs, group), out, codes) };
            for (slot, sums) in sums.chunks_exact(width).enumerate() {
                let mut values = [0.0; BLOCK_COLUMNS];
                for (pair, values) in sums.chunks_exact(2 * PANEL_ROWS).zip(values.chunks_exact_mut(PANEL_ROWS)) {
                    let (gate, up) = pair.split_at(PANEL_ROWS);
                    // SAFETY: the three slices are equally long.
                    unsafe { (isa.swiglu)(gate, up, self.swiglu_limit, values) };
                }
                // SAFETY: room was made for all slots; this block of this slot is this task's own.
                unsafe { activated.put(isa, form, group.first + slot, part, &values[..units]) };
            }
        });
    }

    fn down(
        &self,
        device: Device<'_>,
        group: &Group,
        (first, count): (usize, usize),
        activated: &Activations,
        outputs: Output,
    ) {
        let (hidden, start) = (self.down.rows, first * PANEL_ROWS);
        let (rows, width) = ((count * PANEL_ROWS).min(hidden - start), count * PANEL_ROWS);
        let bias = &self.down_bias[group.expert * hidden + start..][..rows];
        let panels = (group.expert, first, count);
        LOCAL.with_borrow_mut(|Local { codes, sums }| {
            // SAFETY: this task's slots and rows are its own, and the buffer has them all; rows that only fill the last panel
            // stay in memory of this thread.
            unsafe {
                let own = |slot| std::slice::from_raw_parts_mut(outputs.place(group.first + slot, start), rows);
                if rows == width {
                    (0..group.slots).for_each(|slot| own(slot).copy_from_slice(bias));
                    let out = Output { start: outputs.place(group.first, start), stride: outputs.stride };
                    multiply(device, &self.down, panels, (activated, group), out, codes);
                    return;
                }
                sums.clear();
                sums.resize(group.slots * width, 0.0);
                sums.chunks_exact_mut(width).for_each(|sums| sums[..rows].copy_from_slice(bias));
                let out = Output { start: sums.as_mut_ptr(), stride: width };
                multiply(device, &self.down, panels, (activated, group), out, codes);
                let filled = sums.chunks_exact(width).enumerate();
                filled.for_each(|(slot, sums)| own(slot).copy_from_slice(&sums[..rows]));
            }
        });
    }
}

/// Some panels of an expert times the slots of a group; the nibbles are decoded first where there are many.
///
/// # Safety
/// The results have room for the slots and panels, and nobody else touches them meanwhile.
unsafe fn multiply(
    Device { isa, early, .. }: Device<'_>,
    matrix: &PackedMatrix,
    (expert, first, count): (usize, usize, usize),
    (activations, group): (&Activations, &Group),
    out: Output,
    codes: &mut Vec<u8>,
) {
    let tokens = (activations, group.first, group.slots);
    let mut whole = product(matrix, (expert, first, count), tokens, early, out);
    if group.slots > Encoding::Mxfp4.direct_tokens_max(early) {
        let length = matrix.blocks() * PANEL_ROWS * BLOCK_COLUMNS;
        codes.resize((count * length).max(codes.len()), 0);
        for panel in 0..count {
            // SAFETY: the panel has so many blocks, and the codes have room for them.
            unsafe {
                let values = whole.values.add(panel * whole.values_stride);
                (isa.decode_panel)(values, whole.blocks, codes[panel * length..].as_mut_ptr());
            }
        }
        let is_moderate = |panel| panel::is_moderate(matrix.scales(expert, panel));
        let are_moderate = activations.are_moderate() && (first..first + count).all(is_moderate);
        whole.encoding = if are_moderate { Encoding::ModerateCodes } else { Encoding::Codes };
        (whole.values, whole.values_stride) = (codes.as_ptr(), length);
    }
    // SAFETY: as required.
    unsafe { (isa.multiply_packed)(&whole) };
}

/// By group, runs of `step(slots)` of `total` things.
fn tasks(groups: &[Group], total: usize, step: impl Fn(usize) -> usize) -> Vec<(usize, usize, usize)> {
    let cut = |(index, group): (usize, &Group)| {
        let step = step(group.slots);
        (0..total).step_by(step).map(move |first| (index, first, step.min(total - first)))
    };
    groups.iter().enumerate().flat_map(cut).collect()
}

fn pack_plain(source: &Mxfp4Matrix, pool: &Pool, store: &PackStore) -> PackedMatrix {
    let (format, panels) = (PackedFormat::Mxfp4, source.rows.div_ceil(PANEL_ROWS));
    let size = (source.experts * panels, format.panel_bytes(source.columns));
    let bytes = store.filled(pool, &[&source.blocks, &source.scales], size, |panel, out| {
        let (expert, first) = (panel / panels, panel % panels * PANEL_ROWS);
        let rows = std::array::from_fn(|row| expert_row(source, expert, first + row));
        pack_mxfp4(source.layout, source.columns, &rows, out);
    });
    PackedMatrix { format, rows: source.rows, columns: source.columns, bytes }
}

fn pack_gate_up(weights: &ExpertWeights, pool: &Pool, store: &PackStore) -> PackedMatrix {
    let (units, experts) = (weights.down.columns, weights.down.experts);
    let (source, published) = match &weights.gate_up {
        GateUp::Interleaved(both) | GateUp::Halves(both) => (both, vec![&both.blocks, &both.scales]),
        GateUp::Separate { gate, up } => (gate, vec![&gate.blocks, &gate.scales, &up.blocks, &up.scales]),
    };
    let panels = units.div_ceil(BLOCK_COLUMNS) * TASK_PANELS;
    let (format, columns) = (PackedFormat::Mxfp4, source.columns);
    let size = (experts * panels, format.panel_bytes(columns));
    let bytes = store.filled(pool, &published, size, |panel, out| {
        let (expert, is_up) = (panel / panels, panel % 2 == 1);
        let first = panel % panels / 2 * PANEL_ROWS;
        let rows = std::array::from_fn(|row| {
            let unit = first + row;
            let there = unit < units;
            match &weights.gate_up {
                GateUp::Interleaved(both) => expert_row(both, expert, 2 * unit + usize::from(is_up)).filter(|_| there),
                GateUp::Halves(both) => {
                    there.then(|| expert_row(both, expert, unit + if is_up { units } else { 0 })).flatten()
                }
                GateUp::Separate { gate, up } => expert_row(if is_up { up } else { gate }, expert, unit),
            }
        });
        pack_mxfp4(source.layout, columns, &rows, out);
    });
    PackedMatrix { format, rows: panels * PANEL_ROWS, columns, bytes }
}
