//! Experts and their routing: every arrangement, sums far outside the clamps, values that are not numbers.

use kernels::{Backend, Cpu, ExpertWeights, GateUp, IsaKind, Mxfp4Layout, Routing};

use crate::random::Random;
use crate::{assert_close, compare, read, rows};

/// Sends every row to its experts and gives the rows plus what comes back.
fn run<B: Backend>(backend: &B, weights: &ExpertWeights, router: &[f32], k: usize, x: &[f32]) -> Vec<f32> {
    let (hidden, count) = (weights.down.rows, weights.down.experts);
    let layer = backend.load_experts(ExpertWeights {
        gate_up: weights.gate_up.clone(),
        gate_up_bias: weights.gate_up_bias.clone(),
        down: weights.down.clone(),
        down_bias: weights.down_bias.clone(),
        swiglu_limit: weights.swiglu_limit,
    });
    let x = rows(backend, x, hidden);
    let (mut routing, mut residual) = (Routing::default(), Default::default());
    backend.route(&rows(backend, router, count), k, &mut routing);
    let batch = router.len() / count;
    assert_eq!(routing.experts.len(), batch * k);
    backend.gather(&x, &(0..batch).collect::<Vec<_>>(), &mut residual);
    backend.experts(&layer, &x, &routing, &mut residual);
    read(backend, &residual)
}

/// Random experts, gate and up in one of three arrangements, in one of two layouts.
fn weights(
    random: &mut Random,
    arrangement: usize,
    experts: usize,
    hidden: usize,
    intermediate: usize,
) -> ExpertWeights {
    let layout = if arrangement.is_multiple_of(2) { Mxfp4Layout::Split } else { Mxfp4Layout::Joined };
    let mut mxfp4 = |rows, columns| random.mxfp4(layout, experts, rows, columns);
    let gate_up = match arrangement / 2 {
        0 => GateUp::Interleaved(mxfp4(2 * intermediate, hidden)),
        1 => GateUp::Halves(mxfp4(2 * intermediate, hidden)),
        _ => GateUp::Separate { gate: mxfp4(intermediate, hidden), up: mxfp4(intermediate, hidden) },
    };
    let down = mxfp4(hidden, intermediate);
    ExpertWeights {
        gate_up,
        gate_up_bias: random.values(experts * 2 * intermediate),
        down,
        down_bias: random.values(experts * hidden),
        swiglu_limit: 7.0,
    }
}

#[test]
fn experts_in_every_layout() {
    let mut random = Random::new(5);
    let shapes =
        [(5, 32, 32, 1, 2), (8, 96, 64, 2, 4), (3, 64, 160, 9, 3), (32, 1056, 96, 40, 4), (2, 32, 1088, 30, 1)];
    for (experts, hidden, intermediate, batch, k) in shapes {
        for arrangement in 0..6 {
            let weights = weights(&mut random, arrangement, experts, hidden, intermediate);
            let (x, router) = (random.values(batch * hidden), random.values(batch * experts));
            let what = format!("{experts} experts {hidden}x{intermediate}, {batch} rows, arrangement {arrangement}");
            compare!(5e-6, what, |backend| run(backend, &weights, &router, k, &x));
        }
    }
}

#[test]
fn sums_far_outside_the_clamps() {
    let mut random = Random::new(7);
    for (hidden, intermediate, batch) in [(64, 96, 1), (96, 64, 9), (32, 160, 33)] {
        let weights = weights(&mut random, 0, 4, hidden, intermediate);
        let x: Vec<f32> = random.values(batch * hidden).iter().map(|value| 3e4 * value).collect();
        let router = random.values(batch * 4);
        // What comes back is thousands of times smaller than the rows, so it is looked at without them; a sum that lands
        // between the clamps by chance carries the rounding of its large terms.
        compare!(1e-3, format!("{hidden}x{intermediate}, {batch} rows"), |backend| {
            let sums = run(backend, &weights, &router, 2, &x);
            sums.iter().zip(&x).map(|(sum, x)| sum - x).collect::<Vec<_>>()
        });
    }
}

#[test]
fn what_is_not_a_number_stays_visible() {
    let mut random = Random::new(8);
    let (hidden, intermediate) = (64, 96);
    for batch in [1, 2, 9] {
        let router = random.values(batch * 4);
        let clean = weights(&mut random, 0, 4, hidden, intermediate);
        let x = random.values(batch * hidden);
        // A bias that is not a number reaches only the gate (even places), only the up projection (odd), or only what follows.
        for (what, unit) in [("gate", 0), ("up", 1), ("gate of the last vector", 2 * intermediate - 2)] {
            let mut weights = ExpertWeights {
                gate_up: clean.gate_up.clone(),
                down: clean.down.clone(),
                ..weights(&mut random, 0, 4, hidden, intermediate)
            };
            for expert in 0..4 {
                weights.gate_up_bias[expert * 2 * intermediate + unit] = f32::NAN;
            }
            compare!(5e-6, format!("{what}, {batch} rows"), |backend| {
                let found = run(backend, &weights, &router, 2, &x);
                assert!(found.iter().all(|value| value.is_nan()), "{what}, {batch} rows: swallowed");
                found
            });
        }
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = x.clone();
            x[(batch - 1) * hidden + 5] = value;
            compare!(5e-6, format!("{value} in row {}", batch - 1), |backend| {
                let found = run(backend, &clean, &router, 2, &x);
                assert!(
                    !found[(batch - 1) * hidden + 5].is_finite()
                        && found[..(batch - 1) * hidden].iter().all(|value| value.is_finite())
                );
                found
            });
        }
    }
}

#[test]
fn routing_breaks_ties_by_the_lower_number_and_survives_nan() {
    let cpu = Cpu::new(IsaKind::Scalar, 1).expect("scalar runs everywhere");
    let logits = rows(&cpu, &[1.0, 3.0, 3.0, 2.0, 3.0, f32::NAN, f32::NAN, f32::NAN, f32::NAN, 0.0], 5);
    let mut routing = Routing::default();
    cpu.route(&logits, 2, &mut routing);
    assert_eq!(routing.experts, [1, 2, 4, 0]);
    assert_close(&routing.weights, &[0.5, 0.5, 1.0, 0.0], 1e-7, "weights");
}
