//! Linear layers and experts in either form, and the products of the CPU backend with them. It must not know attention.

use std::sync::{OnceLock, PoisonError};

use super::activations::Form;
use super::early::{self, Early};
use super::experts::Experts;
use super::isa::Isa;
use super::packed_experts::PackedExperts;
use super::packed_linear::{self, PackedLinear};
use super::product::{self, EncodedRow, Output};
use super::screen::Screened;
use super::{Cpu, Rows};
use crate::backend::LinearWeights;
use crate::pool::Pool;
use crate::storage::DenseMatrix;

/// Rows of a task where sums have one order, rounded up to whole register tiles.
const ONE_ORDER_TASK_ROWS: usize = 16;

/// In which form weights are computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightForm {
    /// Where and as they lie, in f32: exact.
    AsTheyLie,
    /// In panels, of published precision; activations are rounded to 8 bits per block of 32, or to bf16 for dense bf16 weights.
    Packed,
    /// The same, and dense weights in 8 bits.
    PackedEight,
}

/// What products need of the backend.
#[derive(Clone, Copy)]
pub(super) struct Device<'a> {
    pub(super) isa: &'static Isa,
    pub(super) pool: &'a Pool,
    pub(super) early: Early,
}

/// A linear layer on the CPU.
pub enum Linear {
    /// As it lies.
    Plain(LinearWeights),
    /// In panels.
    Packed(PackedLinear),
    /// The same with a rough copy, for choosing.
    Screened(Screened),
}

/// One layer's experts on the CPU.
pub enum LayerExperts {
    /// As they lie.
    Plain(Experts),
    /// In panels.
    Packed(PackedExperts),
}

impl Cpu {
    /// `out[t] (+)= W·x[t] + b`.
    pub(super) fn product(&self, layer: &LinearWeights, x: &Rows, out: &mut Rows, accumulate: bool) {
        let matrix = &layer.matrix;
        assert!(x.columns == matrix.columns && out.columns == matrix.rows && out.rows == x.rows);
        let row_bytes = matrix.format.row_bytes(matrix.columns);
        // Beside packed layers, whose sums have one order, routers and the like keep to one, too: a token's result must not depend
        // on its neighbours.
        let one_order = self.form != WeightForm::AsTheyLie;
        let step = match one_order {
            true => ONE_ORDER_TASK_ROWS.next_multiple_of(self.isa.tile_rows),
            false => product::task_rows(self.isa, x.rows, row_bytes),
        };
        let shared = Output { start: out.values.as_mut_ptr(), stride: matrix.rows };
        self.pool.run(matrix.rows.div_ceil(step), &|task| {
            let start = task * step;
            let count = step.min(matrix.rows - start);
            let bias = layer.bias.as_ref().map(|bias| &bias[start..start + count]);
            // SAFETY: `out` is `[x.rows, matrix.rows]`, asserted above, and this task alone touches these columns.
            unsafe {
                let out = Output { start: shared.place(0, start), stride: shared.stride };
                for token in 0..x.rows {
                    let to = std::slice::from_raw_parts_mut(out.place(token, 0), count);
                    match (bias, accumulate) {
                        (Some(bias), true) => to.iter_mut().zip(bias).for_each(|(to, bias)| *to += bias),
                        (Some(bias), false) => to.copy_from_slice(bias),
                        (None, true) => {}
                        (None, false) => to.fill(0.0),
                    }
                }
                let row_at = |row| EncodedRow::dense(matrix, start + row);
                if one_order {
                    product::multiply_by_panels(self.isa, count, row_at, x.input(), out);
                } else {
                    product::multiply(self.isa, count, row_at, x.input(), out);
                }
            }
        });
    }

    /// The packed layers of one form that read the same activations.
    pub(super) fn packed_product(
        &self,
        form: Form,
        layers: Vec<(&PackedLinear, &mut Rows)>,
        x: &Rows,
        accumulate: bool,
    ) {
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let activations = &mut scratch.activations;
        activations.fill(self.isa, &self.pool, form, (x.rows, x.columns), |row| x.row(row));
        let part = |(layer, out): (_, &mut Rows)| {
            let layer: &PackedLinear = layer;
            assert!(layer.matrix.columns == x.columns && layer.matrix.rows == out.columns && out.rows == x.rows);
            packed_linear::Part { layer, out: Output { start: out.values.as_mut_ptr(), stride: out.columns } }
        };
        let parts: Vec<_> = layers.into_iter().map(part).collect();
        // SAFETY: the shapes were asserted, and the results are borrowed for this call.
        unsafe { packed_linear::multiply(self.device(), &parts, (activations, x.rows), accumulate) };
    }
}

impl Cpu {
    /// The same backend with this settled: for comparing, a model's weights settle it otherwise.
    #[must_use]
    pub fn with_early(mut self, early: Early) -> Self {
        self.early = OnceLock::from(early);
        self
    }

    /// Which products ask for weights early: what was settled, or none.
    #[must_use]
    pub fn early(&self) -> Early {
        self.early.get().copied().unwrap_or_default()
    }

    /// Settles whether products ask early by trying it, if these experts are large enough and it is not settled yet.
    pub(super) fn settle_early(&self, experts: &PackedExperts) {
        if self.early.get().is_none()
            && let Some(early) = early::tried(self.device(), experts.gate_up())
        {
            self.early.get_or_init(|| early);
        }
    }

    /// The same backend, with rough copies of unembeddings from so many bytes on: for comparing.
    #[must_use]
    pub fn with_screened_from(mut self, bytes: usize) -> Self {
        self.screened_from = bytes;
        self
    }

    /// Bytes of the rough copy that an unembedding gets in a form; 0 where it gets none.
    #[must_use]
    pub fn rough_bytes(unembedding: &DenseMatrix, form: WeightForm) -> usize {
        let format = PackedLinear::format(unembedding.format, form);
        format.map_or(0, |format| Screened::copy_bytes(format, (unembedding.rows, unembedding.columns)))
    }

    pub(super) fn device(&self) -> Device<'_> {
        Device { isa: self.isa, pool: &self.pool, early: self.early() }
    }
}

impl Linear {
    pub(super) fn rows(&self) -> usize {
        self.packed().map_or_else(|layer| layer.matrix.rows, |layer| layer.matrix.rows)
    }

    /// In panels, or else as it lies.
    pub(super) const fn packed(&self) -> Result<&PackedLinear, &LinearWeights> {
        match self {
            Self::Plain(layer) => Err(layer),
            Self::Packed(layer) | Self::Screened(Screened { full: layer, .. }) => Ok(layer),
        }
    }
}
