//! Passes over all results of a row, compiled for each instruction set. It must not know where results come from.

use crate::choice::{Best, Choice};
use crate::packed::PANEL_ROWS;
use crate::rough::{SPREAD_BYTES, Spreads};

/// Panels of a pass.
pub(in crate::cpu) const LOOKED_AT: usize = u64::BITS as usize;

/// How far the copy's results are off at most, by a row's [`Spreads`]: `|result| · its part + greatest · (√(errors · its errors + worst · its
/// worst) + sizes · √its sizes)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::cpu) struct Margin {
    /// The greatest magnitude of x; the others are relative to it.
    pub(in crate::cpu) greatest: f32,
    pub(in crate::cpu) errors: f32,
    pub(in crate::cpu) worst: f32,
    pub(in crate::cpu) sizes: f32,
}

/// Up to [`LOOKED_AT`] panels of a row's results.
pub(in crate::cpu) struct Look<'a> {
    pub(in crate::cpu) values: &'a [f32],
    /// [`Spreads`] of each panel.
    pub(in crate::cpu) spreads: &'a [u8],
    pub(in crate::cpu) margin: Margin,
    pub(in crate::cpu) choice: Choice,
    pub(in crate::cpu) best: Best,
    /// The number of the first result.
    pub(in crate::cpu) first: u32,
}

/// The panel with the greatest of some results, and that result.
///
/// # Safety
/// None besides the instruction set.
#[inline(always)]
pub(in crate::cpu) unsafe fn greatest(values: &[f32]) -> (f32, usize) {
    let mut best = (f32::NEG_INFINITY, 0);
    for (panel, values) in values.chunks(PANEL_ROWS).enumerate() {
        let most = match <&[f32; PANEL_ROWS]>::try_from(values) {
            Ok(values) => values.iter().fold(f32::NEG_INFINITY, |most, &value| if value > most { value } else { most }),
            Err(_) => values.iter().fold(f32::NEG_INFINITY, |most, &value| most.max(value)),
        };
        if most > best.0 {
            best = (most, panel);
        }
    }
    best
}

/// Of each panel, the lowest bit first, whether a row of it could be chosen.
///
/// # Safety
/// None besides the instruction set.
#[inline(always)]
pub(in crate::cpu) unsafe fn reaching(look: &Look<'_>) -> u64 {
    let &Look { values, spreads, margin, choice, best, first } = look;
    let mut reaching = 0;
    let (panels, rest) = values.as_chunks::<PANEL_ROWS>();
    let (spreads, _) = spreads.as_chunks::<SPREAD_BYTES>();
    for (panel, values) in panels.iter().enumerate() {
        let spreads = Spreads::read(&spreads[panel]);
        let first = first + (panel * PANEL_ROWS) as u32;
        let mut may = [false; PANEL_ROWS];
        for row in 0..PANEL_ROWS {
            let square = spreads.errors[row] * margin.errors + spreads.worst[row] * margin.worst;
            let off = margin.greatest * (square.sqrt() + spreads.sizes[row].sqrt() * margin.sizes);
            let most = values[row] + values[row].abs() * spreads.parts[row] + off;
            may[row] = choice.may_reach(&best, most, first + row as u32);
        }
        reaching |= u64::from(may.iter().fold(false, |any, &may| any | may)) << panel;
    }
    if !rest.is_empty() {
        // A panel that is not whole is always looked at.
        reaching |= 1 << panels.len();
    }
    reaching
}
