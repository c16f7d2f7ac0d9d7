//! Linear layers of every format, and the ops that only stream rows.

use kernels::{Backend, DenseFormat, LinearWeights, RotaryTable};

use crate::random::{self, Random};
use crate::{compare, read, rows};

#[test]
fn linear_of_every_format_and_batch() {
    let mut random = Random::new(1);
    for format in DenseFormat::ALL {
        for (outputs, inputs, batch) in [(1, 256, 1), (7, 512, 2), (43, 256, 3), (83, 1280, 11), (5, 2304, 70)] {
            let bytes = random.encoded(format, outputs * inputs);
            let bias = random.values(outputs);
            let x = random.values(batch * inputs);
            compare!(2e-6, format!("{} {outputs}x{inputs}, {batch} rows", format.name()), |backend| {
                let matrix = random::matrix(format, outputs, inputs, bytes.clone());
                let layer = backend.load_linear(LinearWeights { matrix, bias: Some(bias.clone()) });
                let x = rows(backend, &x, inputs);
                let (mut out, mut scratch) = Default::default();
                backend.linear(&layer, &x, &mut out);
                backend.linear_add(&layer, &x, &mut scratch, &mut out);
                read(backend, &out)
            });
        }
    }
}

#[test]
fn linear_with_tails_and_without_bias() {
    let mut random = Random::new(2);
    for format in [DenseFormat::F32, DenseFormat::F16, DenseFormat::BF16] {
        for (outputs, inputs, batch) in [(3, 1, 1), (6, 31, 2), (41, 1037, 6), (9, 102, 1), (12, 77, 9)] {
            let bytes = random.encoded(format, outputs * inputs);
            let x = random.values(batch * inputs);
            compare!(2e-6, format!("{} {outputs}x{inputs}, {batch} rows", format.name()), |backend| {
                let matrix = random::matrix(format, outputs, inputs, bytes.clone());
                let layer = backend.load_linear(LinearWeights { matrix, bias: None });
                let mut out = Default::default();
                backend.linear(&layer, &rows(backend, &x, inputs), &mut out);
                read(backend, &out)
            });
        }
    }
}

#[test]
fn norm_rope_gather_and_add() {
    let mut random = Random::new(3);
    for (count, heads, half) in [(1, 1, 1), (3, 2, 17), (33, 3, 32), (40, 1, 40)] {
        let columns = heads * 2 * half;
        let (x, weight) = (random.values(count * columns), random.values(columns));
        let angles = random.values(count * half);
        let table = RotaryTable {
            half,
            cos: angles.iter().map(|angle| 1.3 * angle.cos()).collect(),
            sin: angles.iter().map(|angle| 1.3 * angle.sin()).collect(),
        };
        let picked: Vec<usize> = (0..count).rev().step_by(2).collect();
        compare!(1e-6, format!("{count} rows of {columns}"), |backend| {
            let x = rows(backend, &x, columns);
            let (mut normed, mut out) = Default::default();
            backend.rms_norm(&x, &weight, 1e-5, &mut normed);
            backend.rope(&mut normed, &table);
            backend.add(&x, &mut normed);
            backend.gather(&normed, &picked, &mut out);
            read(backend, &out)
        });
    }
}
