//! Rotary position embedding with YaRN: inverse frequencies and the cosine/sine table of a batch. It must not know attention.
//!
//! Formulas: YaRN (arXiv 2309.00071), as the gpt-oss reference computes them; everything in f64, rounded once to f32.

use kernels::RotaryTable;

use crate::config::{Rope, Yarn};

/// The frequencies of a model's rotary embedding.
#[derive(Clone, Debug)]
pub struct Frequencies {
    /// Radians per position, `[head_dim / 2]`.
    pub inverse: Vec<f64>,
    /// Factor of both cosine and sine ("concentration", "attention scaling").
    pub concentration: f64,
}

impl Frequencies {
    /// Computes the frequencies for heads of `head_dim` values.
    #[must_use]
    pub fn new(rope: &Rope, head_dim: usize) -> Self {
        let plain: Vec<f64> = (0..head_dim / 2).map(|i| rope.theta.powf(-2.0 * i as f64 / head_dim as f64)).collect();
        match &rope.yarn {
            Some(yarn) if yarn.factor > 1.0 => Self {
                inverse: interpolate(&plain, yarn, rope.theta, head_dim),
                concentration: 0.1 * yarn.factor.ln() + 1.0,
            },
            Some(_) | None => Self { inverse: plain, concentration: 1.0 },
        }
    }

    /// Appends the cosines and sines of one position to the table.
    pub fn push(&self, position: usize, table: &mut RotaryTable) {
        table.half = self.inverse.len();
        for inverse in &self.inverse {
            let (sin, cos) = (position as f64 * inverse).sin_cos();
            table.cos.push((cos * self.concentration) as f32);
            table.sin.push((sin * self.concentration) as f32);
        }
    }
}

/// High frequencies are kept, low ones divided by the factor, with a linear ramp between.
fn interpolate(plain: &[f64], yarn: &Yarn, theta: f64, head_dim: usize) -> Vec<f64> {
    let dim = head_dim as f64;
    let boundary = |rotations: f64| {
        dim * (yarn.original_context as f64 / (rotations * std::f64::consts::TAU)).ln() / (2.0 * theta.ln())
    };
    let (mut low, mut high) = (boundary(yarn.beta_fast), boundary(yarn.beta_slow));
    if yarn.truncate {
        (low, high) = (low.floor(), high.ceil());
    }
    (low, high) = (low.max(0.0), high.min(dim - 1.0));
    if low == high {
        high += 0.001;
    }
    let blend = |(i, &inverse): (usize, &f64)| {
        let ramp = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
        inverse / yarn.factor * ramp + inverse * (1.0 - ramp)
    };
    plain.iter().enumerate().map(blend).collect()
}
