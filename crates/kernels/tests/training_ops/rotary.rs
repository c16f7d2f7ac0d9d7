//! Rotary pairs, forward and backward.

use super::{assert_gradient, assert_near, differences, dot, on_every_machine, random, wide};

/// Rows of `heads` heads to be rotated and `rest` values that stay.
#[derive(Clone, Copy, Debug)]
struct Case {
    heads: usize,
    half: usize,
    rest: usize,
    rows: usize,
}

impl Case {
    fn stride(self) -> usize {
        self.heads * 2 * self.half + self.rest
    }

    /// Positions that repeat and go back, as in a batch of documents.
    fn positions(self) -> Vec<u32> {
        (0..self.rows).map(|row| (row * 5 % 7) as u32).collect()
    }

    /// Cosines and sines of seven positions, scaled as YaRN scales them.
    fn angles(self) -> (Vec<f32>, Vec<f32>) {
        let angle = |place: usize| (place / self.half) as f64 * 0.3_f64.powf((place % self.half) as f64 / 4.0);
        let scaled = |value: f64| (1.2 * value) as f32;
        let places = || (0..7 * self.half).map(angle);
        (places().map(|angle| scaled(angle.cos())).collect(), places().map(|angle| scaled(angle.sin())).collect())
    }

    fn twin(self, values: &[f64]) -> Vec<f64> {
        let (cos, sin) = self.angles();
        let mut out = values.to_vec();
        for (row, position) in self.positions().into_iter().enumerate() {
            for head in 0..self.heads {
                for pair in 0..self.half {
                    let first = row * self.stride() + head * 2 * self.half + pair;
                    let second = first + self.half;
                    let angle = position as usize * self.half + pair;
                    let (cos, sin) = (f64::from(cos[angle]), f64::from(sin[angle]));
                    out[first] = values[first] * cos - values[second] * sin;
                    out[second] = values[second] * cos + values[first] * sin;
                }
            }
        }
        out
    }

    fn rotated(self, values: &[f32], backward: bool, expected: impl Fn(&[f32], &str)) {
        let ((cos, sin), positions) = (self.angles(), self.positions());
        on_every_machine(
            |training| {
                let mut out = values.to_vec();
                let angles = (&cos[..], &sin[..], self.half);
                training.rotate(&mut out, (self.stride(), self.heads), angles, &positions, backward);
                [out]
            },
            |[out], isa| expected(out, &format!("{self:?}, {isa}")),
        );
    }
}

const CASES: [Case; 6] = [
    Case { heads: 1, half: 1, rest: 0, rows: 1 },
    Case { heads: 3, half: 5, rest: 0, rows: 9 },
    Case { heads: 2, half: 9, rest: 7, rows: 5 },
    Case { heads: 2, half: 16, rest: 32, rows: 3 },
    Case { heads: 1, half: 33, rest: 1, rows: 4 },
    Case { heads: 2, half: 3, rest: 5, rows: 131 },
];

#[test]
fn forward_is_the_twins() {
    for case in CASES {
        let values = random(case.rows * case.stride(), 1);
        let expected = case.twin(&wide(&values));
        case.rotated(&values, false, |out, what| assert_near(out, &expected, 1e-6, what));
    }
}

#[test]
fn backward_is_the_twins_slope() {
    for case in CASES {
        let (at, out_gradient) = (wide(&random(case.rows * case.stride(), 2)), random(case.rows * case.stride(), 3));
        let weights = wide(&out_gradient);
        let slopes = differences(&at, 0..at.len(), |values| dot(&case.twin(values), &weights));
        case.rotated(&out_gradient, true, |gradient, what| assert_gradient(gradient, &slopes, what));
    }
}
