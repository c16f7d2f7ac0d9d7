//! Linear layers with packed weights: against what their roundings say, against the exact product, and bit for bit however many
//! tokens, layers and threads there are.

use std::collections::BTreeMap;

use kernels::{Backend, Cpu, DenseFormat, DenseMatrix, Reference, WeightForm};

use crate::packed::{self, BATCHES, Rounded};
use crate::random::Random;
use crate::{read, rows};

/// Every way from an encoding to a packed form, with the columns of a block of it.
const CASES: [(WeightForm, DenseFormat, usize); 9] = [
    (WeightForm::Packed, DenseFormat::BF16, 1),
    (WeightForm::Packed, DenseFormat::Q8_0, 32),
    (WeightForm::PackedEight, DenseFormat::Q8_0, 32),
    (WeightForm::PackedEight, DenseFormat::BF16, 1),
    (WeightForm::PackedEight, DenseFormat::F32, 1),
    (WeightForm::PackedEight, DenseFormat::F16, 1),
    (WeightForm::PackedEight, DenseFormat::Q4_0, 32),
    (WeightForm::PackedEight, DenseFormat::Q5_1, 32),
    (WeightForm::PackedEight, DenseFormat::Q6K, 256),
];
const TOKENS: usize = 33;
/// What sums in f32 may add to the roundings, as a part of the magnitudes.
const F32_TOLERANCE: f64 = 1e-5;

/// The first rows of the tokens through a layer.
fn run(cpu: &Cpu, layer: &<Cpu as Backend>::Linear, x: &<Cpu as Backend>::Rows, tokens: &[usize]) -> Vec<f32> {
    let (mut picked, mut out) = Default::default();
    cpu.gather(x, tokens, &mut picked);
    cpu.linear(layer, &picked, &mut out);
    read(cpu, &out)
}

/// Compares all batches of a layer with the twin and with the exact product.
fn check(backends: &[(String, Cpu)], form: WeightForm, matrix: &DenseMatrix, bias: Option<&[f32]>, x: &[f32]) {
    let (outputs, columns) = (matrix.rows, matrix.columns);
    let weights = packed::weights(form, matrix);
    let mut exact = Default::default();
    Reference.linear(&packed::linear(matrix, bias), &rows(&Reference, x, columns), &mut exact);
    for (name, cpu) in backends {
        let what = format!("{} {outputs}x{columns}, {name}", matrix.format.name());
        let round = |row| packed::activations(form, matrix.format, cpu.isa(), row);
        let rounded: Vec<Rounded> = x.chunks_exact(columns).map(round).collect();
        let layer = cpu.load_linear(packed::linear(matrix, bias));
        let all = rows(cpu, x, columns);
        let whole = run(cpu, &layer, &all, &(0..TOKENS).collect::<Vec<_>>());
        for (token, found) in whole.chunks_exact(outputs).enumerate() {
            let x = &x[token * columns..][..columns];
            for (row, &found) in found.iter().enumerate() {
                let (weights, rounded, found) = (&weights[row], &rounded[token], f64::from(found));
                let sum = packed::dot(&weights.values, &rounded.values, bias.map_or(0.0, |bias| bias[row]));
                let slack = F32_TOLERANCE * sum.magnitude;
                assert!((found - sum.value).abs() <= slack, "{what}: [{token}, {row}] {found} instead of {sum:?}");
                // Each factor is off by half a step at most.
                let bound = (0..columns)
                    .map(|k| weights.steps[k] * f64::from(x[k].abs()) + rounded.steps[k] * weights.values[k].abs());
                let (bound, exact): (f64, f64) = (bound.sum::<f64>() / 2.0, exact[token][row]);
                let error = (found - exact).abs();
                assert!(
                    error <= bound + slack,
                    "{what}: [{token}, {row}] {found} is {error} off {exact} (at most {bound})"
                );
            }
        }
        for batch in BATCHES {
            // The last tokens, so that a token stands at another place in every batch.
            let first = TOKENS - batch;
            let found = run(cpu, &layer, &all, &(first..TOKENS).collect::<Vec<_>>());
            let same = packed::bits(&found) == packed::bits(&whole[first * outputs..]);
            assert!(same, "{what}: {batch} tokens give other bits than {TOKENS}");
        }
    }
}

#[test]
fn of_every_format_and_shape() {
    let mut random = Random::new(21);
    for form in [WeightForm::Packed, WeightForm::PackedEight] {
        let backends = packed::backends(form);
        for (_, format, block) in CASES.into_iter().filter(|case| case.0 == form) {
            for (place, outputs) in [1, 15, 16, 17, 31, 33, 48, 5 * 16 + 3].into_iter().enumerate() {
                let columns: &[usize] = match block {
                    1 => &[[18, 32, 40], [64, 80, 96]][place % 2],
                    32 => &[[32, 96], [64, 160]][place % 2],
                    _ => &[512],
                };
                for &columns in columns {
                    let matrix = packed::random_matrix(&mut random, format, outputs, columns);
                    let (bias, x) = (random.values(outputs), random.values(TOKENS * columns));
                    check(&backends, form, &matrix, (place % 3 > 0).then_some(&bias), &x);
                }
            }
        }
    }
}

#[test]
fn of_the_width_of_the_model() {
    let mut random = Random::new(22);
    for (form, format) in [
        (WeightForm::Packed, DenseFormat::BF16),
        (WeightForm::Packed, DenseFormat::Q8_0),
        (WeightForm::PackedEight, DenseFormat::BF16),
    ] {
        let matrix = packed::random_matrix(&mut random, format, 51, 2880);
        let (bias, x) = (random.values(51), random.values(TOKENS * 2880));
        check(&packed::backends(form), form, &matrix, Some(&bias), &x);
    }
}

#[test]
fn added_to_a_residual() {
    let mut random = Random::new(23);
    for (form, format, block) in CASES {
        // Few and many panels, so that with few tokens one task has several of them.
        for (outputs, columns) in [(16, 64), (83, 64), (3, 96), (163, 32)].map(|(rows, width)| (rows, width.max(block)))
        {
            let matrix = packed::random_matrix(&mut random, format, outputs, columns);
            let (bias, x) = (random.values(outputs), random.values(TOKENS * columns));
            let before = random.values(TOKENS * outputs);
            let mut known = BTreeMap::new();
            for (name, cpu) in packed::backends(form) {
                let layer = cpu.load_linear(packed::linear(&matrix, Some(&bias)));
                let (all, residual) = (rows(&cpu, &x, columns), rows(&cpu, &before, outputs));
                let (mut picked, mut scratch, mut sum, mut apart) = Default::default();
                for batch in BATCHES.into_iter().rev() {
                    let what = format!("{} {outputs}x{columns}, {batch} tokens, {name}", format.name());
                    let first: Vec<usize> = (0..batch).collect();
                    cpu.gather(&all, &first, &mut picked);
                    cpu.gather(&residual, &first, &mut sum);
                    cpu.gather(&residual, &first, &mut apart);
                    cpu.linear_add(&layer, &picked, &mut scratch, &mut sum);
                    cpu.linear(&layer, &picked, &mut scratch);
                    cpu.add(&scratch, &mut apart);
                    let (sum, apart) = (read(&cpu, &sum), read(&cpu, &apart));
                    crate::assert_close(&sum, &apart, 1e-6, &what);
                    // Neither the number of tokens nor that of threads matters; the greatest batch comes first.
                    let known = known.entry(cpu.isa()).or_insert_with(|| packed::bits(&sum));
                    assert!(packed::bits(&sum) == known[..sum.len()], "{what}: other bits than before");
                }
            }
        }
    }
}

#[test]
fn several_that_read_the_same() {
    let mut random = Random::new(24);
    let columns = 96;
    let shapes = [(DenseFormat::BF16, 33), (DenseFormat::F32, 17), (DenseFormat::Q8_0, 48), (DenseFormat::BF16, 5)];
    let matrices = shapes.map(|(format, outputs)| packed::random_matrix(&mut random, format, outputs, columns));
    let (bias, x) = (random.values(48), random.values(TOKENS * columns));
    for form in [WeightForm::Packed, WeightForm::PackedEight] {
        for (name, cpu) in packed::backends(form) {
            let load = |matrix: &DenseMatrix| cpu.load_linear(packed::linear(matrix, Some(&bias[..matrix.rows])));
            let layers: Vec<_> = matrices.iter().map(load).collect();
            for batch in BATCHES {
                let x = rows(&cpu, &x[..batch * columns], columns);
                let (mut first, mut second, mut third, mut fourth, mut alone) = Default::default();
                let outs = [&mut first, &mut second, &mut third, &mut fourth];
                cpu.linears([&layers[0], &layers[1], &layers[2], &layers[3]], &x, outs);
                for (layer, found) in layers.iter().zip([first, second, third, fourth]) {
                    cpu.linear(layer, &x, &mut alone);
                    let (found, alone) = (read(&cpu, &found), read(&cpu, &alone));
                    assert!(packed::bits(&found) == packed::bits(&alone), "{batch} tokens, {name}: not as one by one");
                }
            }
        }
    }
}
