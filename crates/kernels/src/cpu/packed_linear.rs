//! Linear layers with packed weights: one or several that read the same activations, in one fork-join. It must not know layers
//! of a model.

use super::activations::{Activations, Form};
use super::early::Early;
use super::isa::Isa;
use super::panel::{DIRECT_TOKENS, Encoding, Product};
use super::product::Output;
use super::products::{Device, WeightForm};
use crate::backend::LinearWeights;
use crate::pack::PackStore;
use crate::packed::{PANEL_ROWS, PackedFormat, PackedMatrix, dense_rows, pack_bf16, pack_q8};
use crate::pool::Pool;
use crate::storage::DenseFormat;

/// Tasks per thread when few tokens are computed: enough that a thread which is held up holds nobody else up.
const TASKS_PER_THREAD: usize = 12;
/// Weight bytes of such a task at least.
const TASK_BYTES_MIN: usize = 64 << 10;
/// Panels of a task when many tokens are computed; a multiple of every tile's.
const TASK_PANELS: usize = 2;

/// A linear layer in panels.
pub struct PackedLinear {
    pub(super) matrix: PackedMatrix,
    /// By row, filled up to whole panels.
    bias: Vec<f32>,
}

/// A layer and where its results go, `[tokens, rows]`.
pub(super) struct Part<'a> {
    pub(super) layer: &'a PackedLinear,
    pub(super) out: Output,
}

impl PackedLinear {
    /// In which format a layer is packed: in eight bits, or as published; `None` where it stays as it lies, or no packed form holds it
    /// exactly.
    pub(super) const fn format(published: DenseFormat, form: WeightForm) -> Option<PackedFormat> {
        match (form, published) {
            (WeightForm::AsTheyLie, _) => None,
            (_, DenseFormat::Q8_0) | (WeightForm::PackedEight, _) => Some(PackedFormat::Q8),
            (WeightForm::Packed, DenseFormat::BF16) => Some(PackedFormat::BF16),
            (WeightForm::Packed, _) => None,
        }
    }

    /// Packs a layer, unless it has no [format](Self::format).
    pub(super) fn pack(weights: &LinearWeights, form: WeightForm, (pool, store): (&Pool, &PackStore)) -> Option<Self> {
        let source = &weights.matrix;
        let format = Self::format(source.format, form)?;
        let panels = source.rows.div_ceil(PANEL_ROWS);
        let size = (panels, format.panel_bytes(source.columns));
        let bytes = store.filled(pool, &[&source.bytes], size, |panel, out| {
            let rows = dense_rows(source, panel);
            match format {
                PackedFormat::BF16 => pack_bf16(source.columns, &rows, out),
                PackedFormat::Q8 | PackedFormat::Mxfp4 => pack_q8(source.format, source.columns, &rows, out),
            }
        });
        let matrix = PackedMatrix { format, rows: source.rows, columns: source.columns, bytes };
        Some(Self::new(matrix, weights.bias.clone().unwrap_or_default()))
    }

    /// A layer of packed rows; a bias that is missing is zero.
    pub(super) fn new(matrix: PackedMatrix, mut bias: Vec<f32>) -> Self {
        bias.resize(matrix.panels() * PANEL_ROWS, 0.0);
        Self { matrix, bias }
    }

    /// The form of activations that the layer reads.
    pub(super) fn form(&self, isa: &Isa) -> Form {
        Form::of(self.matrix.format, isa)
    }
}

/// `out (+)= x·Wᵀ + b` for every part.
///
/// # Safety
/// Each part's results have room for the tokens and the layer's rows, and nobody else touches them meanwhile.
pub(super) unsafe fn multiply(
    device: Device<'_>,
    parts: &[Part<'_>],
    (activations, tokens): (&Activations, usize),
    accumulate: bool,
) {
    if tokens == 0 {
        // The smallest tile has one.
        return;
    }
    let mut tasks = Vec::new();
    let weight_bytes: usize = parts.iter().map(|part| part.layer.matrix.bytes.len()).sum();
    for (index, part) in parts.iter().enumerate() {
        let step = task_panels(device, tokens, weight_bytes, &part.layer.matrix);
        let panels = part.layer.matrix.panels();
        tasks.extend((0..panels).step_by(step).map(|first| (index, first, step.min(panels - first))));
    }
    device.pool.run(tasks.len(), &|task| {
        let (index, first, count) = tasks[task];
        // SAFETY: panels of a part are one task's; the rest is passed on.
        unsafe { parts[index].run(device, (activations, tokens), (first, count), accumulate) };
    });
}

/// Panels of a task.
pub(super) fn task_panels(device: Device<'_>, tokens: usize, weight_bytes: usize, matrix: &PackedMatrix) -> usize {
    if tokens > Encoding::of(matrix.format).direct_tokens_max(device.early) {
        return TASK_PANELS;
    }
    // What is read again for more tokens is read from a cache, but takes its time.
    let turns = tokens.div_ceil(DIRECT_TOKENS);
    let bytes = (weight_bytes / (device.pool.threads() * TASKS_PER_THREAD * turns)).max(TASK_BYTES_MIN);
    bytes.div_ceil(matrix.panel_bytes())
}

impl Part<'_> {
    /// Some panels of the layer.
    ///
    /// # Safety
    /// As [`multiply`].
    unsafe fn run(
        &self,
        Device { isa, early, .. }: Device<'_>,
        (activations, tokens): (&Activations, usize),
        (first, count): (usize, usize),
        accumulate: bool,
    ) {
        let (matrix, start) = (&self.layer.matrix, first * PANEL_ROWS);
        let rows = (count * PANEL_ROWS).min(matrix.rows - start);
        let bias = &self.layer.bias[start..start + count * PANEL_ROWS];
        // SAFETY: as required; rows that only fill the last panel go to memory of our own first.
        unsafe {
            if rows == bias.len() {
                for token in 0..tokens {
                    let to = std::slice::from_raw_parts_mut(self.out.place(token, start), rows);
                    begin(to, bias, accumulate);
                }
                let out = Output { start: self.out.place(0, start), stride: self.out.stride };
                (isa.multiply_packed)(&product(matrix, (0, first, count), (activations, 0, tokens), early, out));
                return;
            }
            let mut whole = bias.repeat(tokens);
            if accumulate {
                // What was there comes before the product, as above: which panels share a task depends on threads and tokens.
                for (token, values) in whole.chunks_exact_mut(bias.len()).enumerate() {
                    let from = std::slice::from_raw_parts(self.out.place(token, start), rows);
                    begin(&mut values[..rows], from, true);
                }
            }
            let out = Output { start: whole.as_mut_ptr(), stride: bias.len() };
            (isa.multiply_packed)(&product(matrix, (0, first, count), (activations, 0, tokens), early, out));
            for (token, values) in whole.chunks_exact(bias.len()).enumerate() {
                let to = std::slice::from_raw_parts_mut(self.out.place(token, start), rows);
                to.copy_from_slice(&values[..rows]);
            }
        }
    }
}

fn begin(to: &mut [f32], values: &[f32], accumulate: bool) {
    if accumulate {
        to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
    } else {
        to.copy_from_slice(values);
    }
}

/// The product of some panels of a matrix with some tokens.
pub(super) fn product(
    matrix: &PackedMatrix,
    (index, first, count): (usize, usize, usize),
    (activations, token, tokens): (&Activations, usize, usize),
    early: Early,
    out: Output,
) -> Product {
    let (x, x_scales, x_starts, x_stride) = activations.at_token(token);
    let panel = matrix.panel(index, first);
    Product {
        encoding: Encoding::of(matrix.format),
        scales: panel.as_ptr(),
        scales_stride: panel.len(),
        values: panel[matrix.format.values_start(matrix.columns)..].as_ptr(),
        values_stride: panel.len(),
        // Tasks follow each other in memory, and those that a thread does, too.
        ahead: panel.as_ptr().wrapping_add(count * panel.len()),
        ahead_stride: panel.len(),
        early,
        panels: count,
        blocks: matrix.blocks(),
        x,
        x_stride,
        x_scales,
        x_starts,
        tokens,
        out: out.start,
        out_stride: out.stride,
    }
}
