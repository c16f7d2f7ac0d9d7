//! RMSNorm, forward and backward, and sums of columns.

use super::{AWKWARD, assert_gradient, assert_near, differences, dot, on_every_machine, random, wide};

const EPSILON: f32 = 1e-5;

/// `x / sqrt(mean(x²) + epsilon) · weight` by rows; also the factors.
fn twin(x: &[f64], weight: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (mut out, mut scales) = (Vec::new(), Vec::new());
    for row in x.chunks_exact(weight.len()) {
        let scale = 1.0 / (dot(row, row) / row.len() as f64 + f64::from(EPSILON)).sqrt();
        out.extend(row.iter().zip(weight).map(|(x, weight)| x * scale * weight));
        scales.push(scale);
    }
    (out, scales)
}

#[test]
fn forward_is_the_twins() {
    for columns in AWKWARD {
        for rows in [0, 1, 63, 65, 130] {
            let (x, weight) = (random(rows * columns, 1), random(columns, 2));
            let (out, scales) = twin(&wide(&x), &wide(&weight));
            on_every_machine(
                |training| {
                    let (mut out, mut scales) = (vec![f32::NAN; x.len()], vec![f32::NAN; rows]);
                    training.rms_norm(&x, &weight, EPSILON, &mut out, &mut scales);
                    [out, scales]
                },
                |[found, found_scales], isa| {
                    let what = format!("{rows} rows of {columns}, {isa}");
                    assert_near(found, &out, 1e-6, &what);
                    assert_near(found_scales, &scales, 1e-6, &what);
                },
            );
        }
    }
}

#[test]
fn epsilon_counts_where_values_are_small() {
    let x: Vec<f32> = random(3 * 33, 1).iter().map(|value| value * 1e-3).collect();
    let weight = random(33, 2);
    let (expected, _) = twin(&wide(&x), &wide(&weight));
    on_every_machine(
        |training| {
            let (mut out, mut scales) = (vec![0.0; x.len()], vec![0.0; 3]);
            training.rms_norm(&x, &weight, EPSILON, &mut out, &mut scales);
            [out]
        },
        |[out], isa| assert_near(out, &expected, 1e-6, isa),
    );
}

#[test]
fn backward_is_the_twins_slope() {
    for (rows, columns) in [(3, 1), (2, 5), (65, 13), (66, 31), (1, 33), (3, 257)] {
        let (x, weight, out_gradient) = (random(rows * columns, 1), random(columns, 2), random(rows * columns, 3));
        // Both gradients are added to what is there.
        let (x_before, weight_before) = (random(rows * columns, 4), random(columns, 5));
        let [wide_x, wide_weight, weights] = [&x, &weight, &out_gradient].map(|values| wide(values));
        let mut by_x = differences(&wide_x, 0..x.len(), |x| dot(&twin(x, &wide_weight).0, &weights));
        let mut by_weight = differences(&wide_weight, 0..columns, |weight| dot(&twin(&wide_x, weight).0, &weights));
        for (slopes, before) in [(&mut by_x, &x_before), (&mut by_weight, &weight_before)] {
            slopes.iter_mut().zip(before).for_each(|(slope, before)| *slope += f64::from(*before));
        }
        on_every_machine(
            |training| {
                let (mut out, mut scales) = (vec![0.0; x.len()], vec![0.0; rows]);
                training.rms_norm(&x, &weight, EPSILON, &mut out, &mut scales);
                let (mut x_gradient, mut weight_gradient) = (x_before.clone(), weight_before.clone());
                let input = (&x[..], &weight[..], &scales[..]);
                training.rms_norm_backward(input, &out_gradient, &mut x_gradient, &mut weight_gradient);
                [x_gradient, weight_gradient]
            },
            |[x_gradient, weight_gradient], isa| {
                let what = format!("{rows} rows of {columns}, {isa}");
                assert_gradient(x_gradient, &by_x, &format!("x of {what}"));
                assert_gradient(weight_gradient, &by_weight, &format!("weight of {what}"));
            },
        );
    }
}

#[test]
fn column_sums_are_added() {
    for columns in AWKWARD {
        for rows in [0, 1, 63, 64, 65, 200] {
            let (x, before) = (random(rows * columns, 1), random(columns, 2));
            let mut expected = wide(&before);
            for row in x.chunks_exact(columns) {
                expected.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            on_every_machine(
                |training| {
                    let mut sums = before.clone();
                    training.column_sums(&x, &mut sums);
                    [sums]
                },
                |[sums], isa| assert_near(sums, &expected, 3e-6, &format!("{rows} rows of {columns}, {isa}")),
            );
        }
    }
}
