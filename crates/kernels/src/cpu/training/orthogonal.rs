//! Muon: the momentum of a matrix, made orthogonal, is the direction of its step. It must not know layers.
//!
//! A matrix is one task of one thread, so results don't depend on the number of threads. Formulas: Jordan et al., "Muon: An
//! optimizer for hidden layers in neural networks" (2024), with the size of the step of arXiv 2502.16982, equation 4.

use super::product::{Room, View, block, strip_len};
use super::{Training, with_scratch};
use crate::cpu::lanes::Lanes;
use crate::cpu::product::Output;

/// Newton–Schulz iterations of a step.
const ITERATIONS: usize = 5;
/// Coefficients of `aX + b(XXᵀ)X + c(XXᵀ)²X`: singular values end between 0.7 and 1.2, which is near enough.
const COEFFICIENTS: [f32; 3] = [3.4445, -4.7750, 2.0315];
/// Keeps the norm of a gradient that is all zero from dividing by zero.
const EPSILON: f32 = 1e-7;
/// The root of a step's mean square at learning rate 1, which is about AdamW's.
const ROOT_MEAN_SQUARE: f32 = 0.2;

/// A matrix inside the vectors of parameters, moments and gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its first value.
    pub start: usize,
    /// Rows.
    pub rows: usize,
    /// Columns, adjacent.
    pub columns: usize,
    /// From row to row.
    pub stride: usize,
}

impl Place {
    /// One past its last value.
    #[must_use]
    pub fn end(&self) -> usize {
        self.start + (self.rows.max(1) - 1) * self.stride + self.columns
    }
}

/// What Muon needs besides the vectors.
#[derive(Clone, Copy, Debug)]
pub struct MuonStep {
    /// Learning rate, of AdamW's size.
    pub learning_rate: f32,
    /// Decay of the running mean of gradients.
    pub momentum: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// By which the gradients are multiplied first (clipping).
    pub gradient_scale: f32,
}

/// A matrix to be moved: where it begins in each vector.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Moved {
    pub(in crate::cpu) parameters: *mut f32,
    pub(in crate::cpu) momentum: *mut f32,
    pub(in crate::cpu) gradients: *const f32,
    pub(in crate::cpu) place: Place,
    /// Working memory of [`scratch_len`] values.
    pub(in crate::cpu) scratch: *mut f32,
}

impl Training {
    /// One step of Muon for some matrices, which share no value.
    ///
    /// # Panics
    /// When a matrix is empty or outside the vectors.
    pub fn muon(
        &self,
        step: &MuonStep,
        matrices: &[Place],
        (parameters, momentum): (&mut [f32], &mut [f32]),
        gradients: &[f32],
    ) {
        assert!(parameters.len() == momentum.len() && parameters.len() == gradients.len());
        for place in matrices {
            let whole = place.rows > 0 && place.columns > 0 && place.columns <= place.stride;
            assert!(whole && place.end() <= parameters.len(), "a matrix inside the vectors");
        }
        let vector = |start| Output { start, stride: 1 };
        let (parameters, momentum) = (vector(parameters.as_mut_ptr()), vector(momentum.as_mut_ptr()));
        let gradients = vector(gradients.as_ptr().cast_mut());
        self.pool.run(matrices.len(), &|task| {
            let place = matrices[task];
            with_scratch(scratch_len(&place), |scratch| {
                // SAFETY: the place is inside the vectors, and this task alone has it.
                unsafe {
                    let moved = Moved {
                        parameters: parameters.place(place.start, 0),
                        momentum: momentum.place(place.start, 0),
                        gradients: gradients.place(place.start, 0),
                        place,
                        scratch: scratch.as_mut_ptr(),
                    };
                    (self.table.muon)(step, &moved);
                }
            });
        });
    }
}

/// Values of working memory for a matrix, whatever the instruction set.
pub(in crate::cpu) fn scratch_len(place: &Place) -> usize {
    let (short, long) = (place.rows.min(place.columns), place.rows.max(place.columns));
    let (wide, wider) = (short.next_multiple_of(64), long.next_multiple_of(64));
    // X twice, XXᵀ twice, a packed side, strips of any tile's height.
    2 * short * long + 2 * short * short + wider * wide + strip_len(short + 64, 16)
}

/// One step of Muon for one matrix.
///
/// # Safety
/// The pointers are valid for the place's shape (those of the parameters' vectors with its stride), and no one else touches them.
#[inline(always)]
pub(in crate::cpu) unsafe fn muon<L: Lanes, const ROWS: usize, const VECTORS: usize>(step: &MuonStep, moved: &Moved) {
    let Place { rows, columns, stride, .. } = moved.place;
    let (short, long) = (rows.min(columns), rows.max(columns));
    let is_wide = rows <= columns;
    // SAFETY: every index is inside the matrix; the parts of the working memory follow one another as in `scratch_len`.
    unsafe {
        let x = moved.scratch;
        let mut squares = 0.0;
        for row in 0..rows {
            for column in 0..columns {
                let at = row * stride + column;
                let gradient = *moved.gradients.add(at) * step.gradient_scale;
                let mean = step.momentum * *moved.momentum.add(at) + (1.0 - step.momentum) * gradient;
                *moved.momentum.add(at) = mean;
                // Nesterov's look ahead.
                let value = step.momentum * mean + (1.0 - step.momentum) * gradient;
                squares += value * value;
                *x.add(if is_wide { row * long + column } else { column * long + row }) = value;
            }
        }
        let factor = 1.0 / (squares.sqrt() + EPSILON);
        for i in 0..short * long {
            *x.add(i) *= factor;
        }
        let result = orthogonal::<L, ROWS, VECTORS>(x, short, long);
        let size = step.learning_rate * ROOT_MEAN_SQUARE * (long as f32).sqrt();
        let decay = 1.0 - step.learning_rate * step.weight_decay;
        for row in 0..rows {
            for column in 0..columns {
                let parameter = moved.parameters.add(row * stride + column);
                let direction = *result.add(if is_wide { row * long + column } else { column * long + row });
                *parameter = *parameter * decay - size * direction;
            }
        }
    }
}

/// Newton–Schulz iterations over `X` `[short, long]`, of a Frobenius norm of at most 1; where the result lies.
#[inline(always)]
unsafe fn orthogonal<L: Lanes, const ROWS: usize, const VECTORS: usize>(
    x: *mut f32,
    short: usize,
    long: usize,
) -> *const f32 {
    let [a, b, c] = COEFFICIENTS;
    // SAFETY: `x` begins the working memory of `scratch_len`.
    unsafe {
        let (mut x, mut next) = (x, x.add(short * long));
        let square = next.add(short * long);
        let mixed = square.add(short * short);
        let packed = mixed.add(short * short);
        let packed_values = long.next_multiple_of(64) * short.next_multiple_of(64);
        let room = Room { packed, strips: packed.add(packed_values) };
        let rows = |start: *mut f32, row| View { start, row, column: 1 };
        for _ in 0..ITERATIONS {
            let transposed = View { start: x, row: 1, column: long };
            block::<L, ROWS, VECTORS>((short, long, short), rows(x, long), transposed, (square, short, false), &room);
            let squares = rows(square, short);
            block::<L, ROWS, VECTORS>((short, short, short), squares, squares, (mixed, short, false), &room);
            for i in 0..short * short {
                *mixed.add(i) = b * *square.add(i) + c * *mixed.add(i);
            }
            for i in 0..short {
                *mixed.add(i * short + i) += a;
            }
            block::<L, ROWS, VECTORS>(
                (short, short, long),
                rows(mixed, short),
                rows(x, long),
                (next, long, false),
                &room,
            );
            std::mem::swap(&mut x, &mut next);
        }
        x
    }
}
