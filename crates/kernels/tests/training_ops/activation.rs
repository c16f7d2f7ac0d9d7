//! SwiGLU, forward and backward, with its clamps.

use super::{AWKWARD, STEP, assert_gradient, assert_near, differences, dot, on_every_machine, random, wide};

const LIMIT: f32 = 7.0;

fn twin(gate: f64, up: f64) -> f64 {
    let (gate, up) = (gate.min(f64::from(LIMIT)), up.clamp(-f64::from(LIMIT), f64::from(LIMIT)));
    gate / (1.0 + (-1.702 * gate).exp()) * (up + 1.0)
}

fn forward(gate: &[f64], up: &[f64]) -> Vec<f64> {
    gate.iter().zip(up).map(|(&gate, &up)| twin(gate, up)).collect()
}

/// Values up to ±15, so that many are beyond the limit; none so near to it that a difference would see both sides.
fn inputs(count: usize, seed: u64) -> Vec<f32> {
    let away = |value: f32| if (value.abs() - LIMIT).abs() < 10.0 * STEP as f32 { value * 1.1 } else { value };
    random(count, seed).into_iter().map(|value| away(value * 10.0)).collect()
}

fn gradients(gate: &[f32], up: &[f32], out_gradient: &[f32], check: impl Fn(&[f32], &[f32], &str)) {
    on_every_machine(
        |training| {
            let (mut gate, mut up) = (gate.to_vec(), up.to_vec());
            training.swiglu_backward(&mut gate, &mut up, LIMIT, out_gradient);
            [gate, up]
        },
        |[gate, up], isa| check(gate, up, &format!("{} values, {isa}", gate.len())),
    );
}

#[test]
fn forward_is_the_twins() {
    for count in AWKWARD.into_iter().chain([0, 40_000]) {
        let (gate, up) = (inputs(count, 1), inputs(count, 2));
        let expected = forward(&wide(&gate), &wide(&up));
        on_every_machine(
            |training| {
                let mut out = vec![f32::NAN; count];
                training.swiglu(&gate, &up, LIMIT, &mut out);
                [out]
            },
            |[out], isa| assert_near(out, &expected, 1e-6, &format!("{count} values, {isa}")),
        );
    }
}

#[test]
fn backward_is_the_twins_slope() {
    for count in AWKWARD {
        let (gate, up, out_gradient) = (inputs(count, 1), inputs(count, 2), random(count, 3));
        let [wide_gate, wide_up, weights] = [&gate, &up, &out_gradient].map(|values| wide(values));
        let by_gate = differences(&wide_gate, 0..count, |gate| dot(&forward(gate, &wide_up), &weights));
        let by_up = differences(&wide_up, 0..count, |up| dot(&forward(&wide_gate, up), &weights));
        gradients(&gate, &up, &out_gradient, |gate, up, what| {
            assert_gradient(gate, &by_gate, &format!("gate of {what}"));
            assert_gradient(up, &by_up, &format!("up of {what}"));
        });
    }
}

/// Many tasks at once, each value against its own difference.
#[test]
fn backward_of_several_tasks() {
    let count = 40_000;
    let (gate, up, out_gradient) = (inputs(count, 4), inputs(count, 5), random(count, 6));
    let slope = |index: usize, by_gate: bool| {
        let at = |step: f64| {
            let (gate, up) = (f64::from(gate[index]), f64::from(up[index]));
            if by_gate { twin(gate + step, up) } else { twin(gate, up + step) }
        };
        f64::from(out_gradient[index]) * (at(STEP) - at(-STEP)) / (2.0 * STEP)
    };
    let by_gate: Vec<f64> = (0..count).map(|index| slope(index, true)).collect();
    let by_up: Vec<f64> = (0..count).map(|index| slope(index, false)).collect();
    gradients(&gate, &up, &out_gradient, |gate, up, what| {
        assert_near(gate, &by_gate, 1e-6, &format!("gate of {what}"));
        assert_near(up, &by_up, 1e-6, &format!("up of {what}"));
    });
}

/// At the limit the slope is that from inside, as in PyTorch's clamp; one step of the last place further it is 0.
#[test]
fn the_slope_ends_exactly_behind_the_clamp() {
    let (low, high) = (-LIMIT, LIMIT);
    let ups = [low.next_down(), low, low.next_up(), 0.5, high.next_down(), high, high.next_up(), 1e30, -1e30];
    let gates = [high.next_down(), high, high.next_up(), 1e30, -3.0];
    let pairs: Vec<(f32, f32)> = gates.iter().flat_map(|&gate| ups.map(|up| (gate, up))).collect();
    // Each pair in every lane of a vector, and in the rest behind vectors.
    for shift in 0..17 {
        let shifted = pairs.iter().cycle().skip(shift).take(pairs.len() + 17);
        let (gate, up): (Vec<f32>, Vec<f32>) = shifted.copied().unzip();
        let out_gradient = random(gate.len(), 3);
        // The function as it is inside the clamps, also beyond them.
        let smooth = |gate: f64, up: f64| gate / (1.0 + (-1.702 * gate).exp()) * (up + 1.0);
        let limit = f64::from(LIMIT);
        let slope = |index: usize, by_gate: bool| {
            let (gate, up) = (f64::from(gate[index]), f64::from(up[index]));
            let clamped = if by_gate { gate > limit } else { up.abs() > limit };
            if clamped {
                return 0.0;
            }
            let (gate, up) = (gate.min(limit), up.clamp(-limit, limit));
            let at = |step: f64| if by_gate { smooth(gate + step, up) } else { smooth(gate, up + step) };
            f64::from(out_gradient[index]) * (at(STEP) - at(-STEP)) / (2.0 * STEP)
        };
        let by_gate: Vec<f64> = (0..gate.len()).map(|index| slope(index, true)).collect();
        let by_up: Vec<f64> = (0..up.len()).map(|index| slope(index, false)).collect();
        gradients(&gate, &up, &out_gradient, |gate, up, what| {
            assert_near(gate, &by_gate, 1e-6, &format!("gate of {what}, shifted by {shift}"));
            assert_near(up, &by_up, 1e-6, &format!("up of {what}, shifted by {shift}"));
        });
    }
}

#[test]
fn gates_far_below_zero_stay_numbers() {
    let gate: Vec<f32> = (0..37).map(|index| -10f32.powf(index as f32 / 4.0)).collect();
    let (up, out_gradient) = (random(37, 1), random(37, 2));
    let expected = forward(&wide(&gate), &wide(&up));
    on_every_machine(
        |training| {
            let mut out = vec![0.0; 37];
            training.swiglu(&gate, &up, LIMIT, &mut out);
            [out]
        },
        |[out], isa| assert_near(out, &expected, 1e-6, isa),
    );
    gradients(&gate, &up, &out_gradient, |gate, up, what| {
        assert!(gate.iter().chain(up).all(|value| value.is_finite()), "{what}");
        // From e^-60 on there is nothing left.
        assert!(gate[7..].iter().chain(&up[7..]).all(|value| value.abs() < 1e-20), "{what}: {gate:?} {up:?}");
    });
}
