//! Whether products of few tokens ask for weights before they read them: tried on a model's own experts when they are loaded,
//! since processors differ. It must not know what is asked for, nor how early.
//!
//! Zen 5 reads experts a tenth to a fifth faster where it is asked, and three times as fast beside the products of eight tokens;
//! Zen 4 is slowed down where there is one. Results are the same, bit for bit.

use std::time::Instant;

use super::activations::{Activations, Form};
use super::isa::IsaKind;
use super::packed_linear::product;
use super::product::Output;
use super::products::Device;
use crate::packed::{PANEL_ROWS, PackedMatrix};

/// Weights of a pass. The next one goes on where it ended, so that caches hold little of what it reads.
const PASS_BYTES: usize = 64 << 20;
/// Passes after which the first weights are read again.
const PASSES: usize = 4;
/// Memory has phases, so each round tries both ways and has one vote.
const ROUNDS: usize = 7;
/// Votes that are enough: where both ways are alike in memory's fast phases, asking gains in the slow ones.
const VOTES_MIN: usize = 3;
/// Panels of a task meanwhile.
const TASK_PANELS: usize = 16;
/// Tokens that stand for one and for few: those that ask near and those that ask far ahead.
const ONE: usize = 1;
const FEW: [usize; 2] = [4, 8];
const TOKENS_MAX: usize = 8;

/// Which products ask early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Early {
    /// Those of one token with experts.
    pub one: bool,
    /// Those of several tokens. More of them are then multiplied straight from their encoding, too: what decoding first gains is
    /// less than what asking does.
    pub few: bool,
}

impl Early {
    /// For people.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self { one: true, few: true } => "asked for early",
            Self { one: false, few: true } => "asked for early by several tokens",
            Self { one: true, few: false } => "asked for early by one token",
            Self { one: false, few: false } => "not asked for early",
        }
    }
}

/// What is faster on this machine, by reading a matrix several times; `None` where it is too small to tell, and where the kernels
/// are not those whose limits were measured.
pub(super) fn tried(device: Device<'_>, matrix: &PackedMatrix) -> Option<Early> {
    let is_measured = matches!(device.isa.kind, IsaKind::Avx512Vnni | IsaKind::Avx512Bf16);
    let trial = Trial::new(device, matrix, PASS_BYTES).filter(|_| is_measured)?;
    Some(trial.run())
}

/// Passes over a matrix.
struct Trial<'a> {
    device: Device<'a>,
    matrix: &'a PackedMatrix,
    /// Panels of all passes and of one.
    all: usize,
    pass: usize,
    /// Where the next pass begins.
    next: usize,
}

impl<'a> Trial<'a> {
    fn new(device: Device<'a>, matrix: &'a PackedMatrix, pass_bytes: usize) -> Option<Self> {
        let pass = (pass_bytes / matrix.panel_bytes()).max(1);
        let (all, there) = (PASSES * pass, matrix.bytes.len() / matrix.panel_bytes());
        (there >= all).then_some(Self { device, matrix, all, pass, next: 0 })
    }

    fn run(mut self) -> Early {
        // Pages are mapped when they are read for the first time.
        (0..PASSES).for_each(|_| self.pass(ONE, false));
        Early { one: self.is_faster(ONE), few: FEW.into_iter().all(|tokens| self.is_faster(tokens)) }
    }

    fn is_faster(&mut self, tokens: usize) -> bool {
        let mut time = |asks| {
            let start = Instant::now();
            self.pass(tokens, asks);
            start.elapsed()
        };
        let vote = |round: &usize| match round % 2 {
            0 => time(true) < time(false),
            _ => time(false) > time(true),
        };
        (0..ROUNDS).filter(vote).count() >= VOTES_MIN
    }

    /// Multiplies the next panels with zeros.
    fn pass(&mut self, tokens: usize, asks: bool) {
        let Self { device: Device { isa, pool, .. }, matrix, all, pass, next } = *self;
        let early = Early { one: asks, few: asks };
        let mut activations = Activations::default();
        activations.resize(Form::of(matrix.format, isa), tokens, matrix.columns);
        pool.run(pass.div_ceil(TASK_PANELS), &|task| {
            let mut out = [0.0; TOKENS_MAX * PANEL_ROWS];
            for panel in task * TASK_PANELS..((task + 1) * TASK_PANELS).min(pass) {
                let panel = (next + panel) % all;
                let place = (panel / matrix.panels(), panel % matrix.panels(), 1);
                let out = Output { start: out.as_mut_ptr(), stride: PANEL_ROWS };
                // SAFETY: the results have room for the tokens of one panel and are this task's own.
                unsafe { (isa.multiply_packed)(&product(matrix, place, (&activations, 0, tokens), early, out)) };
            }
        });
        self.next = (next + pass) % all;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::isa::Isa;
    use crate::packed::PackedFormat;
    use crate::pool::Pool;
    use crate::storage::Bytes;

    fn matrix(matrices: usize) -> PackedMatrix {
        let (format, rows, columns, panels) = (PackedFormat::Mxfp4, 83, 96, 6);
        let length = matrices * panels * format.panel_bytes(columns);
        let bytes = Bytes::from_vec((0..length).map(|place| (place % 251) as u8).collect());
        PackedMatrix { format, rows, columns, bytes }
    }

    #[test]
    fn every_kernel_is_taken_over_the_ends_of_matrices() {
        let pool = Pool::new(2).unwrap();
        for kind in IsaKind::available() {
            let device = Device { isa: Isa::require(kind).unwrap(), pool: &pool, early: Early::default() };
            let matrix = matrix(4);
            // All that is there, so that a pass which begins inside the last matrix must go on in the first.
            let trial = || Trial::new(device, &matrix, 6 * matrix.panel_bytes()).unwrap();
            assert_eq!((trial().all, trial().pass), (24, 6));
            let mut last = Trial { next: 21, ..trial() };
            last.pass(TOKENS_MAX, true);
            assert_eq!(last.next, 3);
            trial().run();
        }
    }

    #[test]
    fn what_is_too_small_or_not_there_is_not_tried() {
        let pool = Pool::new(1).unwrap();
        let device = Device { isa: Isa::require(IsaKind::best()).unwrap(), pool: &pool, early: Early::default() };
        let four_passes = matrix(4);
        let pass_bytes = 6 * four_passes.panel_bytes();
        assert!(Trial::new(device, &four_passes, pass_bytes).is_some());
        assert!(Trial::new(device, &four_passes, pass_bytes + four_passes.panel_bytes()).is_none());
        let being_written = PackedMatrix { bytes: Bytes::from_vec(Vec::new()), ..matrix(1) };
        assert!(Trial::new(device, &being_written, 1).is_none());
        assert_eq!(tried(device, &four_passes), None);
    }
}
