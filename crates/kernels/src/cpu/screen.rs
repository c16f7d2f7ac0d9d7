//! A large layer of whose results one is chosen: a rough copy in 4 bits tells which rows could be it, and only those are multiplied
//! with their own weights. It must not know tokens or settings.
//!
//! What is chosen is what all rows' own products would have given. A result of the copy is off by `Σ e·x`, e being the errors of
//! the row's weights w. What of e is a part of w moves the result in proportion, and is allowed for as such: a row that wins has an x
//! that is like it. The rest is taken as independent of x and centred; with the mean square E of a block it has the variance `Σ E·X`, X being the
//! sum of x² in the block. Of E only the mean and the greatest are kept, so the variance is bounded by the worst order, in which the greatest
//! E meet the greatest X. A row is passed over only where that rest would have to be [`DEVIATIONS`] times the root of it, which is also
//! more than it can be when all of x is one column: no error is more than √32 times its block's root mean square.

pub(super) mod look;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::activations::{Activations, Form};
use super::packed_linear::{PackedLinear, product};
use super::product::Output;
use super::products::Device;
use super::rows::QUANTISED_MIN;
use super::{Cpu, Rows};
use crate::choice::{Best, Choice};
use crate::pack::PackStore;
use crate::packed::{BLOCK_COLUMNS, PANEL_ROWS, PackedFormat, PackedMatrix};
use crate::pool::Pool;
use crate::rough::{SPREAD_BYTES, Spreads, pack_rough};
use crate::storage::{Bytes, DenseMatrix};
use look::{LOOKED_AT, Look, Margin};

/// Bytes of a layer from which on it is worth a copy.
pub(super) const SCREENED_FROM_BYTES: usize = 64 << 20;
/// Rows of x that are screened together; more are multiplied as usual: they share what is read, and each would look for its own.
pub(super) const ROWS_MAX: usize = 8;
/// Standard deviations that a result of the copy may be off: of normal errors one in 10¹⁵ is off by more.
const DEVIATIONS: f32 = 8.0;
/// Panels whose own products are computed first: they say how good a result must be.
const FIRST_PANELS: usize = 24;
/// Steps of an activation's byte.
const STEPS: f32 = 254.0;
/// What bf16 is off at most, relative.
const BF16_ERROR: f32 = 1.0 / 256.0;
/// What may be lost when products are added up in f32, of `√Σx²` times the root of the values' mean square.
const SUMMING: f32 = 1e-3;

/// A layer and its rough copy.
pub struct Screened {
    pub(super) full: PackedLinear,
    rough: PackedLinear,
    /// [`Spreads`] of each panel.
    spreads: Bytes,
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
    /// The greatest result of each pass, and its panel.
    greatest: Vec<(f32, usize)>,
}

impl Screened {
    /// Copies a layer, of whose rows `full` was made; `full` alone where that is not worth it or not possible.
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
        // Copies of what was rounded to bytes and of what was not are different ones.
        let samples = [&source.bytes, &Bytes::from_vec(vec![format as u8])];
        let bytes = store.filled(pool, &samples, size, |panel, out| {
            let _ = known[panel].set(pack_rough(source, format, panel, out));
        });
        let spreads = store.filled(pool, &samples, (panels, SPREAD_BYTES), |panel, out| {
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
}

fn is_worth_it(matrix: &PackedMatrix, from_bytes: usize) -> bool {
    let bytes = matrix.panels() * matrix.panel_bytes();
    bytes >= from_bytes && matrix.columns.is_multiple_of(BLOCK_COLUMNS) && matrix.format != PackedFormat::Mxfp4
}

impl Margin {
    /// For a row of x that the layer multiplies in this form, and the copy in bytes.
    fn of(x: &[f32], form: Form) -> Self {
        let greatest_of = |values: &[f32]| values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let greatest = greatest_of(x);
        let unit = if greatest > 0.0 { greatest } else { 1.0 };
        let mut rounding = 0.0_f32;
        let square = |block: &[f32]| {
            let greatest = greatest_of(block);
            // What is so small becomes zero.
            let steps = if greatest < QUANTISED_MIN { 1.0 } else { STEPS };
            let lost = block.len() as f32 * (greatest / unit / steps).powi(2);
            rounding += lost;
            (block.iter().map(|value| (value / unit).powi(2)).sum::<f32>().sqrt() + lost.sqrt()).powi(2)
        };
        let mut squares: Vec<f32> = x.chunks(BLOCK_COLUMNS).map(square).collect();
        let (norm, rounding) = (squares.iter().sum::<f32>().sqrt(), rounding.sqrt());
        let apart = match form {
            Form::Bytes { .. } => 0.0,
            Form::BF16 => rounding + norm * BF16_ERROR,
            Form::F32 => rounding,
        };
        // With means m and greatest values g of E over n blocks, Σ E·X is at most g · P(n · m / g), P(k) being the sum of the k
        // greatest X. P is concave, so it lies below each of its tangents: any k gives a bound, linear in m and g.
        squares.sort_by(|a, b| b.total_cmp(a));
        let middle = squares.len() / 2;
        let tangent = squares.get(middle).copied().unwrap_or(0.0);
        let above: f32 = squares[..middle].iter().map(|square| square - tangent).sum();
        Self {
            greatest,
            errors: DEVIATIONS * DEVIATIONS * squares.len() as f32 * tangent,
            worst: DEVIATIONS * DEVIATIONS * above,
            sizes: DEVIATIONS * apart + SUMMING * norm,
        }
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
        searches.iter_mut().for_each(Search::note_best);
        find_rest(device, layer, &mut searches);
        multiply_next(device, layer, &activations, &mut searches);
    }
}

impl<'a> Search<'a> {
    fn new(choice: Choice, margin: Margin, out: &'a mut [f32]) -> Self {
        let panels = out.len().div_ceil(PANEL_ROWS);
        Self {
            choice,
            margin,
            best: Best::above(0.0),
            out,
            known: vec![false; panels],
            next: Vec::new(),
            greatest: Vec::new(),
        }
    }

    /// The best of the results that are known.
    fn note_best(&mut self) {
        let known = (0..self.known.len()).filter(|&panel| self.known[panel]);
        let results = known.flat_map(|panel| self.panel(panel).iter().zip((panel * PANEL_ROWS) as u32..));
        let top = results
            .clone()
            .filter(|(value, _)| value.is_finite())
            .fold(f32::NEG_INFINITY, |top, (&value, _)| top.max(value));
        let mut best = Best::above(top);
        results.for_each(|(&value, id)| self.choice.offer(&mut best, value, id));
        self.best = best;
    }

    /// The results of a pass.
    fn looked_at(&self, first: usize) -> &[f32] {
        let start = first * PANEL_ROWS;
        &self.out[start..(start + LOOKED_AT * PANEL_ROWS).min(self.out.len())]
    }

    fn panel(&self, panel: usize) -> &[f32] {
        let start = panel * PANEL_ROWS;
        &self.out[start..(start + PANEL_ROWS).min(self.out.len())]
    }
}

/// Panels with the greatest results of the copy, of each pass one.
fn find_first(device: Device<'_>, searches: &mut [Search<'_>]) {
    let tasks = looks(searches);
    let greatest: Vec<AtomicU64> = tasks.iter().map(|_| AtomicU64::new(0)).collect();
    device.pool.run(tasks.len(), &|task| {
        let (row, first) = tasks[task];
        // SAFETY: the instruction set is the table's.
        let (value, panel) = unsafe { (device.isa.greatest)(searches[row].looked_at(first)) };
        greatest[task].store(u64::from(value.to_bits()) << 32 | (first + panel) as u64, Ordering::Relaxed);
    });
    for ((row, _), greatest) in tasks.into_iter().zip(greatest) {
        let greatest = greatest.into_inner();
        searches[row].greatest.push((f32::from_bits((greatest >> 32) as u32), greatest as u32 as usize));
    }
    for Search { greatest, next, .. } in searches {
        greatest.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        next.extend(greatest.drain(..).take(FIRST_PANELS).map(|(_, panel)| panel));
    }
}

/// The panels with a row that could still be chosen.
fn find_rest(device: Device<'_>, layer: &Screened, searches: &mut [Search<'_>]) {
    let tasks = looks(searches);
    let reaching: Vec<AtomicU64> = tasks.iter().map(|_| AtomicU64::new(0)).collect();
    device.pool.run(tasks.len(), &|task| {
        let (row, first) = tasks[task];
        let &Search { choice, margin, best, .. } = &searches[row];
        let (values, spreads) = (searches[row].looked_at(first), &layer.spreads[first * SPREAD_BYTES..]);
        let look = Look { values, spreads, margin, choice, best, first: (first * PANEL_ROWS) as u32 };
        // SAFETY: the instruction set is the table's.
        reaching[task].store(unsafe { (device.isa.reaching)(&look) }, Ordering::Relaxed);
    });
    for ((row, first), reaching) in tasks.into_iter().zip(reaching) {
        let Search { known, next, .. } = &mut searches[row];
        let reaching = reaching.into_inner();
        let panels = (first..known.len()).take(LOOKED_AT).filter(|panel| reaching >> (panel - first) & 1 == 1);
        next.extend(panels.filter(|&panel| !known[panel]));
    }
}

/// Passes over all results: whose, and the first panel.
fn looks(searches: &[Search<'_>]) -> Vec<(usize, usize)> {
    let of =
        |(row, search): (usize, &Search<'_>)| (0..search.known.len()).step_by(LOOKED_AT).map(move |first| (row, first));
    searches.iter().enumerate().flat_map(of).collect()
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
    searches.iter_mut().for_each(|search| search.next.clear());
}

#[cfg(test)]
mod tests;
