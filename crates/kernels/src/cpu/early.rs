//! Whether products of few tokens ask for weights before they read them: tried on a model's own weights when they are loaded,
//! since processors differ. It must not know what is asked for, nor how early.
//!
//! Zen 5 reads a fifth faster where it is asked, and three times as fast beside the products of eight tokens; Zen 4 is slowed
//! down where there is one. Results are the same, bit for bit.

use std::time::Instant;

use super::activations::{Activations, Form};
use super::isa::Isa;
use super::packed_linear::product;
use super::product::Output;
use crate::packed::{PANEL_ROWS, PackedMatrix};
use crate::pool::Pool;

/// Weights that are read to try it: many times what caches hold.
const TRIED_BYTES: usize = 96 << 20;
/// Memory has phases, so each round tries both ways and has one vote.
const ROUNDS: usize = 7;
/// Panels of a task meanwhile.
const TASK_PANELS: usize = 16;
/// Tokens that stand for few.
const FEW: usize = 4;

/// Which products ask early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Early {
    /// Those of one token with experts.
    pub one: bool,
    /// Those of several tokens.
    pub few: bool,
}

/// What products need of the backend.
#[derive(Clone, Copy)]
pub(super) struct Device<'a> {
    pub(super) isa: &'static Isa,
    pub(super) pool: &'a Pool,
    pub(super) early: Early,
}

/// What is faster on this machine, by reading some of a matrix several times; `None` where it is too small to tell.
pub(super) fn tried(device: Device<'_>, matrix: &PackedMatrix) -> Option<Early> {
    let panels = TRIED_BYTES / matrix.panel_bytes();
    let fits = matrix.bytes.len() / matrix.panel_bytes() >= panels;
    fits.then(|| Early { one: is_faster(device, matrix, (panels, 1)), few: is_faster(device, matrix, (panels, FEW)) })
}

fn is_faster(device: Device<'_>, matrix: &PackedMatrix, size: (usize, usize)) -> bool {
    let time = |asks| {
        let start = Instant::now();
        read(Device { early: Early { one: asks, few: asks }, ..device }, matrix, size);
        start.elapsed()
    };
    // Pages are mapped when they are read for the first time.
    time(false);
    let votes = (0..ROUNDS).filter(|_| time(true) < time(false)).count();
    votes > ROUNDS / 2
}

/// Multiplies the first panels with zeros.
fn read(Device { isa, pool, early }: Device<'_>, matrix: &PackedMatrix, (panels, tokens): (usize, usize)) {
    let mut activations = Activations::default();
    activations.resize(Form::of(matrix.format, isa), tokens, matrix.columns);
    pool.run(panels.div_ceil(TASK_PANELS), &|task| {
        let mut out = [0.0; FEW * PANEL_ROWS];
        for panel in task * TASK_PANELS..((task + 1) * TASK_PANELS).min(panels) {
            let place = (panel / matrix.panels(), panel % matrix.panels(), 1);
            let out = Output { start: out.as_mut_ptr(), stride: PANEL_ROWS };
            // SAFETY: the results have room for the tokens of one panel and are this task's own.
            unsafe { (isa.multiply_packed)(&product(matrix, place, (&activations, 0, tokens), early, out)) };
        }
    });
}
