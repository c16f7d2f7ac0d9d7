//! What computing with packed weights rounds, written obviously in f64, and the backends that do so.
//!
//! It must not know how anything is packed. A value that was rounded keeps its step: it is off by half of that at most.

use kernels::{Cpu, DenseFormat, DenseMatrix, Early, IsaKind, LinearWeights, WeightForm, decode};

use crate::random::{self, Random};

/// Numbers of threads that must give the same bits.
const THREADS: [usize; 3] = [1, 2, 3];

/// Blocks of activations whose greatest magnitude is below this count as zeros.
const BYTES_MIN: f32 = 1e-30;

/// Batches of a test: tiles of few tokens, decoded panels and what remains of their tiles.
pub(crate) const BATCHES: [usize; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 17, 32, 33];

/// Values after a rounding.
pub(crate) struct Rounded {
    pub(crate) values: Vec<f64>,
    /// Twice the greatest error, by value.
    pub(crate) steps: Vec<f64>,
}

/// A sum, and the sum of its terms' magnitudes, which the rounding of f32 is a part of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) value: f64,
    pub(crate) magnitude: f64,
}

/// Every instruction set with one, two and three threads, which differ in what asks for weights early.
pub(crate) fn backends(form: WeightForm) -> Vec<(String, Cpu)> {
    let backend = |kind: IsaKind, threads| {
        let early = Early { one: threads == 2, few: threads < 3 };
        let cpu = Cpu::with_form(kind, threads, form).expect("available").with_early(early);
        (format!("{form:?}, {} with {threads} threads", kind.name()), cpu)
    };
    IsaKind::available().into_iter().flat_map(|kind| THREADS.map(|threads| backend(kind, threads))).collect()
}

impl Rounded {
    /// As they are.
    pub(crate) fn exact(x: &[f32]) -> Self {
        Self { values: x.iter().copied().map(f64::from).collect(), steps: vec![0.0; x.len()] }
    }

    /// To bf16: eight bits, so that half a step is the 512th part of the value at most.
    pub(crate) fn to_bf16(x: &[f32]) -> Self {
        let round = |&value: &f32| f64::from(decode::bf16_to_f32(decode::f32_to_bf16(value)));
        Self { values: x.iter().map(round).collect(), steps: x.iter().map(|x| f64::from(x.abs()) / 256.0).collect() }
    }

    /// To whole 127ths of each block's greatest magnitude, ties to even.
    pub(crate) fn to_bytes(x: &[f32]) -> Self {
        let mut rounded = Self { values: Vec::new(), steps: Vec::new() };
        for block in x.chunks(32) {
            let greatest = block.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            let (step, inverse) = (greatest / 127.0, 127.0 / greatest);
            for x in block {
                let (value, step) = if greatest < BYTES_MIN {
                    (0.0, 2.0 * f64::from(greatest))
                } else {
                    (f64::from((x * inverse).round_ties_even()) * f64::from(step), f64::from(step))
                };
                rounded.values.push(value);
                rounded.steps.push(step);
            }
        }
        rounded
    }

    /// Dense weights to bytes: the step is a f16, halves go away from zero.
    fn to_eight_bits(weights: &[f32]) -> Self {
        let mut rounded = Self { values: Vec::new(), steps: Vec::new() };
        for block in weights.chunks(32) {
            let greatest = block.iter().fold(0.0_f32, |most, weight| most.max(weight.abs()));
            let step = decode::f16_to_f32(decode::f32_to_f16(greatest / 127.0));
            for weight in block {
                let byte = if step == 0.0 { 0.0 } else { (weight * (1.0 / step)).round().clamp(-127.0, 127.0) };
                rounded.values.push(f64::from(byte) * f64::from(step));
                rounded.steps.push(f64::from(step));
            }
        }
        rounded
    }
}

/// The rows of a dense matrix as a form holds them.
pub(crate) fn weights(form: WeightForm, matrix: &DenseMatrix) -> Vec<Rounded> {
    (0..matrix.rows)
        .map(|row| {
            let mut values = vec![0.0; matrix.columns];
            decode::decode_dense(matrix.format, matrix.row(row), 0, &mut values);
            if is_eight(form, matrix.format) && matrix.format != DenseFormat::Q8_0 {
                Rounded::to_eight_bits(&values)
            } else {
                Rounded::exact(&values)
            }
        })
        .collect()
}

/// A row of activations as the weights of a form ask for it.
pub(crate) fn activations(form: WeightForm, format: DenseFormat, isa: IsaKind, x: &[f32]) -> Rounded {
    if is_eight(form, format) {
        Rounded::to_bytes(x)
    } else if isa == IsaKind::Avx512Bf16 && format == DenseFormat::BF16 {
        Rounded::to_bf16(x)
    } else {
        Rounded::exact(x)
    }
}

fn is_eight(form: WeightForm, format: DenseFormat) -> bool {
    form == WeightForm::PackedEight || format == DenseFormat::Q8_0
}

/// `Σ w·x + start`.
pub(crate) fn dot(weights: &[f64], x: &[f64], start: f32) -> Sum {
    let start = f64::from(start);
    weights.iter().zip(x).fold(Sum { value: start, magnitude: start.abs() }, |sum, (weight, x)| Sum {
        value: sum.value + weight * x,
        magnitude: sum.magnitude + (weight * x).abs(),
    })
}

pub(crate) fn linear(matrix: &DenseMatrix, bias: Option<&[f32]>) -> LinearWeights {
    LinearWeights { matrix: matrix.clone(), bias: bias.map(<[f32]>::to_vec) }
}

pub(crate) fn random_matrix(random: &mut Random, format: DenseFormat, rows: usize, columns: usize) -> DenseMatrix {
    let bytes = random.encoded(format, rows * columns);
    random::matrix(format, rows, columns, bytes)
}

pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().copied().map(f32::to_bits).collect()
}
