//! A large layer of whose results one is chosen: a rough copy in 4 bits tells which rows could be it, and only those are multiplied
//! with their own weights. It must not know tokens or settings.
//!
//! What is chosen is what all rows' own products would have given. A result of the copy is off by `Σ e·x`, e being the errors of
//! the row's weights. Taken as independent, centred errors, its variance is at most the greatest mean square of a block's errors
//! times `Σ x²`; a row is passed over only where it would have to be off by [`DEVIATIONS`] times the root of that, which is also
//! more than it can be off when all of x is one column: E2M1's errors are at most 4 times their root mean square.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::activations::{Activations, Form};
use super::packed_linear::{PackedLinear, product};
use super::product::Output;
use super::products::Device;
use super::{Cpu, Rows};
use crate::choice::{Best, Choice};
use crate::pack::PackStore;
use crate::packed::{BLOCK_COLUMNS, PANEL_ROWS, PackedFormat, PackedMatrix};
use crate::pool::Pool;
use crate::rough::{SPREAD_BYTES, Spreads, pack_rough};
use crate::storage::{Bytes, DenseMatrix};

/// Bytes of a layer from which on it is worth a copy.
pub(super) const SCREENED_FROM_BYTES: usize = 64 << 20;
/// Rows of x that are screened together; more are multiplied as usual: they share what is read.
pub(super) const ROWS_MAX: usize = 16;
/// Standard deviations that a result of the copy may be off: one in 10¹⁵ is off by more.
const DEVIATIONS: f32 = 8.0;
/// Panels whose own products are computed first, those with the greatest results: they say how good a result must be.
const FIRST_PANELS: usize = 24;
/// Panels of a task that only looks at results.
const LOOKED_AT: usize = 512;
/// Steps of an activation's byte.
const STEPS: f32 = 254.0;
/// What bf16 is off at most, relative.
const BF16_ERROR: f32 = 1.0 / 512.0;

/// A layer and its rough copy.
pub struct Screened {
    pub(super) full: PackedLinear,
    rough: PackedLinear,
    /// [`Spreads`] of each panel.
    spreads: Bytes,
}

/// How far the copy's results are off at most, per unit of a row's [`Spreads`].
#[derive(Clone, Copy, Debug)]
struct Margin {
    errors: f32,
    sizes: f32,
}

/// One row of x on its way.
struct Search<'a> {
    choice: Choice,
    margin: Margin,
    best: Best,
    /// The row's results: the copy's, then here and there the layer's own.
    out: &'a mut [f32],
    /// Panels whose own products are known.
    known: Vec<bool>,
    /// Those that come next.
    next: Vec<usize>,
}

impl Screened {
    /// Copies a layer, of whose rows `full` was made; `None` where that is not worth it or not possible.
    pub(super) fn pack(
        full: PackedLinear,
        (source, has_bias): (&DenseMatrix, bool),
        from_bytes: usize,
        (pool, store): (&Pool, &PackStore),
    ) -> Result<Self, PackedLinear> {
        if has_bias || !is_worth_it(&full.matrix, from_bytes) {
            return Err(full);
        }
        let PackedMatrix { format, rows, columns, .. } = full.matrix;
        let panels = full.matrix.panels();
        let known: Vec<OnceLock<Spreads>> = vec![OnceLock::new(); panels];
        let size = (panels, PackedFormat::Mxfp4.panel_bytes(columns));
        let bytes = store.filled(pool, &[&source.bytes], size, |panel, out| {
            let _ = known[panel].set(pack_rough(source, format, panel, out));
        });
        let spreads = store.filled(pool, &[&source.bytes], (panels, SPREAD_BYTES), |panel, out| {
            let made = || pack_rough(source, format, panel, &mut vec![0; size.1]);
            known[panel].get_or_init(made).write(out);
        });
        let matrix = PackedMatrix { format: PackedFormat::Mxfp4, rows, columns, bytes };
        Ok(Self { full, rough: PackedLinear::new(matrix, Vec::new()), spreads })
    }

    /// Bytes of the copy of such a layer.
    pub(super) fn copy_bytes(format: PackedFormat, (rows, columns): (usize, usize)) -> usize {
        let matrix = PackedMatrix { format, rows, columns, bytes: Bytes::from_vec(Vec::new()) };
        let copied = PackedFormat::Mxfp4.panel_bytes(columns) + SPREAD_BYTES;
        if is_worth_it(&matrix, SCREENED_FROM_BYTES) { matrix.panels() * copied } else { 0 }
    }

    fn spreads(&self, panel: usize) -> Spreads {
        Spreads::read(&self.spreads[panel * SPREAD_BYTES..][..SPREAD_BYTES])
    }
}

fn is_worth_it(matrix: &PackedMatrix, from_bytes: usize) -> bool {
    let bytes = matrix.panels() * matrix.panel_bytes();
    bytes >= from_bytes && matrix.columns.is_multiple_of(BLOCK_COLUMNS) && matrix.format != PackedFormat::Mxfp4
}

impl Margin {
    /// For a row of x that the layer multiplies in this form, and the copy in bytes.
    fn of(x: &[f32], form: Form) -> Self {
        let (mut squares, mut rounding) = (0.0_f32, 0.0_f32);
        for block in x.chunks(BLOCK_COLUMNS) {
            squares += block.iter().map(|value| value * value).sum::<f32>();
            let step = block.iter().fold(0.0_f32, |most, value| most.max(value.abs())) / STEPS;
            rounding += block.len() as f32 * step * step;
        }
        let (norm, rounding) = (squares.sqrt(), rounding.sqrt());
        let apart = match form {
            Form::Bytes { .. } => 0.0,
            Form::BF16 => rounding + norm * BF16_ERROR,
            Form::F32 => rounding,
        };
        Self { errors: DEVIATIONS * (norm + rounding), sizes: DEVIATIONS * apart }
    }

    /// For each row of a panel.
    #[inline(always)]
    fn of_panel(self, spreads: &Spreads) -> [f32; PANEL_ROWS] {
        std::array::from_fn(|row| spreads.errors[row] * self.errors + spreads.sizes[row] * self.sizes)
    }
}

impl Cpu {
    /// `out = x·Wᵀ`, each row good enough for its choice: the results that could be chosen are the layer's own, the others near them.
    pub(super) fn screened(&self, layer: &Screened, x: &Rows, choices: &[Choice], out: &mut Rows) {
        assert!(x.columns == layer.full.matrix.columns && choices.len() == x.rows);
        out.resize(x.rows, layer.full.matrix.rows);
        let device = self.device();
        let form = layer.full.form(self.isa);
        self.packed_product(layer.rough.form(self.isa), vec![(&layer.rough, &mut *out)], x, false);
        let mut activations = Activations::default();
        activations.fill(self.isa, &self.pool, form, (x.rows, x.columns), |row| x.row(row));
        let columns = out.columns;
        let searches = choices.iter().zip(out.values.chunks_exact_mut(columns)).enumerate();
        let searches = searches.map(|(row, (&choice, out))| Search::new(choice, Margin::of(x.row(row), form), out));
        let mut searches: Vec<Search<'_>> = searches.collect();
        find_first(device, &mut searches);
        multiply_next(device, layer, &activations, &mut searches);
        find_rest(device, layer, &mut searches);
        multiply_next(device, layer, &activations, &mut searches);
    }
}

impl<'a> Search<'a> {
    fn new(choice: Choice, margin: Margin, out: &'a mut [f32]) -> Self {
        let panels = out.len().div_ceil(PANEL_ROWS);
        Self { choice, margin, best: Best::above(0.0), out, known: vec![false; panels], next: Vec::new() }
    }

    fn panel(&self, panel: usize) -> &[f32] {
        let start = panel * PANEL_ROWS;
        &self.out[start..(start + PANEL_ROWS).min(self.out.len())]
    }
}

/// The panels with the greatest results of the copy.
fn find_first(device: Device<'_>, searches: &mut [Search<'_>]) {
    for search in searches {
        let greatest: Vec<AtomicU32> = search.known.iter().map(|_| AtomicU32::new(0)).collect();
        device.pool.run(greatest.len().div_ceil(LOOKED_AT), &|task| {
            let panels = task * LOOKED_AT..((task + 1) * LOOKED_AT).min(greatest.len());
            for panel in panels {
                let most = search.panel(panel).iter().fold(f32::NEG_INFINITY, |most, &value| most.max(value));
                greatest[panel].store(most.to_bits(), Ordering::Relaxed);
            }
        });
        let value = |panel: &usize| f32::from_bits(greatest[*panel].load(Ordering::Relaxed));
        let mut panels: Vec<usize> = (0..greatest.len()).collect();
        if panels.len() > FIRST_PANELS {
            panels.select_nth_unstable_by(FIRST_PANELS, |a, b| value(b).total_cmp(&value(a)));
            panels.truncate(FIRST_PANELS);
        }
        search.next = panels;
    }
}

/// The panels with a row that could still be chosen.
fn find_rest(device: Device<'_>, layer: &Screened, searches: &mut [Search<'_>]) {
    for search in searches {
        let &mut Search { choice, margin, best, ref known, .. } = search;
        let may: Vec<AtomicBool> = known.iter().map(|_| AtomicBool::new(false)).collect();
        device.pool.run(may.len().div_ceil(LOOKED_AT), &|task| {
            let panels = task * LOOKED_AT..((task + 1) * LOOKED_AT).min(may.len());
            for panel in panels.filter(|&panel| !known[panel]) {
                let margins = margin.of_panel(&layer.spreads(panel));
                let ids = (panel * PANEL_ROWS) as u32..;
                let rows = search.panel(panel).iter().zip(&margins).zip(ids);
                let reaches = |may, ((value, margin), id)| may | choice.may_reach(&best, value + margin, id);
                may[panel].store(rows.fold(false, reaches), Ordering::Relaxed);
            }
        });
        search.next = (0..may.len()).filter(|&panel| may[panel].load(Ordering::Relaxed)).collect();
    }
}

/// Puts the layer's own products of the next panels in the place of the copy's.
fn multiply_next(device: Device<'_>, layer: &Screened, activations: &Activations, searches: &mut [Search<'_>]) {
    let all: Vec<(usize, usize)> = (searches.iter().enumerate())
        .flat_map(|(row, search)| search.next.iter().map(move |&panel| (row, panel)))
        .collect();
    let mut values = vec![0.0; all.len() * PANEL_ROWS];
    let shared = Output { start: values.as_mut_ptr(), stride: PANEL_ROWS };
    device.pool.run(all.len(), &|task| {
        let (row, panel) = all[task];
        // SAFETY: sixteen values are this task's own, and the product is of one panel and one row of x.
        unsafe {
            let out = Output { start: shared.place(task, 0), stride: PANEL_ROWS };
            let product = product(&layer.full.matrix, (0, panel, 1), (activations, row, 1), device.early, out);
            (device.isa.multiply_packed)(&product);
        }
    });
    for ((row, panel), values) in all.into_iter().zip(values.chunks_exact(PANEL_ROWS)) {
        let Search { out, known, .. } = &mut searches[row];
        let out = &mut out[panel * PANEL_ROWS..];
        let count = out.len().min(PANEL_ROWS);
        out[..count].copy_from_slice(&values[..count]);
        known[panel] = true;
    }
    for search in searches {
        let panels = std::mem::take(&mut search.next);
        if search.best.id.is_none() {
            let values = panels.iter().flat_map(|&panel| search.panel(panel));
            search.best = Best::above(values.copied().filter(|value| value.is_finite()).fold(f32::NEG_INFINITY, f32::max));
        }
        let mut best = search.best;
        for panel in panels {
            for (&value, id) in search.panel(panel).iter().zip((panel * PANEL_ROWS) as u32..) {
                search.choice.offer(&mut best, value, id);
            }
        }
        search.best = best;
    }
}

#[cfg(test)]
mod tests;
