//! Cross-entropy with its gradient.

use super::{AWKWARD, assert_gradient, assert_near, differences, on_every_machine, random, wide};

/// Weighted nats of one row.
fn twin(row: &[f64], (target, weight): (u32, f32)) -> f64 {
    let sum: f64 = row.iter().map(|logit| logit.exp()).sum();
    f64::from(weight) * (sum.ln() - row[target as usize])
}

fn computed(logits: &[f32], targets: &[(u32, f32)], check: impl Fn(&[f32], &[f32], &[f32], &str)) {
    on_every_machine(
        |training| {
            let (mut gradient, mut results) = (logits.to_vec(), vec![(f32::NAN, false); targets.len()]);
            training.cross_entropy(&mut gradient, targets, &mut results);
            let correct = results.iter().map(|&(_, correct)| f32::from(u8::from(correct))).collect();
            [gradient, results.iter().map(|&(loss, _)| loss).collect(), correct]
        },
        |[gradient, losses, correct], isa| check(gradient, losses, correct, isa),
    );
}

#[test]
fn losses_and_gradients_are_the_twins() {
    for columns in AWKWARD {
        for rows in [1, 4, 67] {
            // Logits up to ±12 about 3, as a model has them that has learnt something.
            let logits: Vec<f32> = random(rows * columns, 1).iter().map(|value| value * 8.0 + 3.0).collect();
            let targets: Vec<(u32, f32)> =
                (0..rows).map(|row| ((row * 29 % columns) as u32, [1.0, 0.25, 0.0, 3.5][row % 4])).collect();
            let row = |row: usize| wide(&logits[row * columns..][..columns]);
            let losses: Vec<f64> = (0..rows).map(|index| twin(&row(index), targets[index])).collect();
            let slopes: Vec<f64> = (0..rows)
                .flat_map(|index| differences(&row(index), 0..columns, |row| twin(row, targets[index])))
                .collect();
            let best: Vec<f64> = (0..rows)
                .map(|index| {
                    let (row, target) = (row(index), targets[index].0 as usize);
                    f64::from(u8::from(row.iter().all(|logit| *logit <= row[target])))
                })
                .collect();
            computed(&logits, &targets, |gradient, found, correct, isa| {
                let what = format!("{rows} rows of {columns}, {isa}");
                for (index, (found, loss)) in found.iter().zip(&losses).enumerate() {
                    // As fine as logits of that size are.
                    let allowed = 4e-6 * f64::from(targets[index].1);
                    assert!((f64::from(*found) - loss).abs() <= allowed, "{what}: [{index}] is {found}, not {loss}");
                }
                assert_gradient(gradient, &slopes, &what);
                assert_near(correct, &best, 0.0, &what);
            });
        }
    }
}

#[test]
fn equal_logits_count_as_right_and_great_ones_stay_numbers() {
    let mut logits = vec![0.0_f32; 33];
    logits[4] = 9e4;
    logits[20] = 9e4;
    for (target, right, loss) in [(4, 1.0, 2f64.ln()), (20, 1.0, 2f64.ln()), (5, 0.0, 9e4 + 2f64.ln())] {
        let mut slopes = vec![0.0; 33];
        slopes[4] += 0.5;
        slopes[20] += 0.5;
        slopes[target as usize] -= 1.0;
        computed(&logits, &[(target, 1.0)], |gradient, losses, correct, isa| {
            // Nats as fine as an f32 of that size can be.
            assert!((f64::from(losses[0]) - loss).abs() < 0.01, "{losses:?}, {isa}");
            assert_near(correct, &[right], 0.0, isa);
            assert_near(gradient, &slopes, 1e-6, isa);
        });
    }
}

#[test]
#[should_panic(expected = "inside the vocabulary")]
fn a_target_outside_the_row_is_refused() {
    let training = kernels::Training::new(kernels::IsaKind::Scalar, 1).expect("everywhere");
    training.cross_entropy(&mut [0.0; 5], &[(5, 1.0)], &mut [(0.0, false)]);
}
