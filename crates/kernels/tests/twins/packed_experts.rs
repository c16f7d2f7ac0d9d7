//! Experts with packed weights: against what their roundings say, against the exact product, and bit for bit in every
//! arrangement and among however many tokens.

use kernels::{
    Backend, Bytes, Cpu, ExpertWeights, GateUp, Mxfp4Layout, Mxfp4Matrix, Reference, Routing, WeightForm, decode,
};

use crate::packed::{self, BATCHES, Rounded, Sum};
use crate::random::Random;
use crate::{read, rows};

const LIMIT: f32 = 7.0;
const TOKENS: usize = 33;
/// What sums in f32 may add to the roundings, as a part of the magnitudes.
const F32_TOLERANCE: f64 = 1e-5;
/// In steps: SwiGLU in f32 may round so near a half to the other side.
const NEAR_HALF: f64 = 2e-3;

/// MXFP4 before it lies in any layout: `[experts, rows, columns]` codes, and scales per 32 of them.
#[derive(Clone)]
pub(crate) struct Codes {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) codes: Vec<u8>,
    pub(crate) scales: Vec<u8>,
}

/// A result of the twin.
#[derive(Clone, Copy, Default)]
pub(crate) struct Expected {
    pub(crate) value: f64,
    pub(crate) magnitude: f64,
    /// How far sums in f32 may be off.
    pub(crate) tolerance: f64,
    /// Of the error against the exact result, each rounding being off by up to half its step, all equally likely.
    variance: f64,
}

/// Experts, before their weights lie in any arrangement.
struct Case {
    experts: usize,
    weights: [Codes; 3],
    gate_up_bias: Vec<f32>,
    down_bias: Vec<f32>,
}

impl Codes {
    /// Random codes with scales that keep sums near one.
    pub(crate) fn random(random: &mut Random, experts: usize, rows: usize, columns: usize) -> Self {
        let count = experts * rows * columns;
        let codes = (0..count).map(|_| (random.next() >> 60) as u8).collect();
        let scales = (0..count / 32).map(|_| (118 + random.next() % 6) as u8).collect();
        Self { rows, columns, codes, scales }
    }

    /// A row's values; a scale of zero makes zeros.
    fn row(&self, expert: usize, row: usize) -> Vec<f64> {
        let start = (expert * self.rows + row) * self.columns;
        let value = |at: usize| match self.scales[at / 32] {
            0 => 0.0,
            scale => f64::from(decode::FP4_VALUES[usize::from(self.codes[at])]) * 2f64.powi(i32::from(scale) - 127),
        };
        (start..start + self.columns).map(value).collect()
    }

    pub(crate) fn matrix(&self, layout: Mxfp4Layout) -> Mxfp4Matrix {
        let (mut blocks, mut scales) = (Vec::new(), Vec::new());
        for (codes, &scale) in self.codes.chunks_exact(32).zip(&self.scales) {
            match layout {
                Mxfp4Layout::Split => {
                    scales.push(scale);
                    blocks.extend((0..16).map(|i| codes[2 * i] | codes[2 * i + 1] << 4));
                }
                Mxfp4Layout::Joined => {
                    blocks.push(scale);
                    blocks.extend((0..16).map(|i| codes[i] | codes[i + 16] << 4));
                }
            }
        }
        let experts = self.codes.len() / (self.rows * self.columns);
        let (blocks, scales) = (Bytes::from_vec(blocks), Bytes::from_vec(scales));
        Mxfp4Matrix { layout, experts, rows: self.rows, columns: self.columns, blocks, scales }
    }

    /// Both, by expert: in turns of so many rows.
    fn with(&self, other: &Self, turn: usize) -> Self {
        fn merge(first: &[u8], second: &[u8], turn: usize) -> Vec<u8> {
            first.chunks(turn).zip(second.chunks(turn)).flat_map(|(first, second)| [first, second].concat()).collect()
        }
        let codes = merge(&self.codes, &other.codes, turn * self.columns);
        let scales = merge(&self.scales, &other.scales, turn * self.columns / 32);
        Self { rows: 2 * self.rows, columns: self.columns, codes, scales }
    }
}

impl Case {
    fn random(random: &mut Random, experts: usize, hidden: usize, units: usize) -> Self {
        let weights = [(units, hidden), (units, hidden), (hidden, units)]
            .map(|(rows, columns)| Codes::random(random, experts, rows, columns));
        let (gate_up_bias, down_bias) = (random.values(experts * 2 * units), random.values(experts * hidden));
        Self { experts, weights, gate_up_bias, down_bias }
    }

    fn hidden(&self) -> usize {
        self.weights[2].rows
    }

    /// The same values in one of three arrangements, in a layout.
    fn arranged(&self, arrangement: usize, layout: Mxfp4Layout) -> ExpertWeights {
        let [gate, up, down] = &self.weights;
        let gate_up = match arrangement {
            0 => GateUp::Interleaved(gate.with(up, 1).matrix(layout)),
            1 => GateUp::Halves(gate.with(up, gate.rows).matrix(layout)),
            _ => GateUp::Separate { gate: gate.matrix(layout), up: up.matrix(layout) },
        };
        ExpertWeights {
            gate_up,
            gate_up_bias: self.gate_up_bias.clone(),
            down: down.matrix(layout),
            down_bias: self.down_bias.clone(),
            swiglu_limit: LIMIT,
        }
    }

    /// A row through its experts.
    fn expected(&self, routing: &Routing, row: usize, x: &[f32]) -> Vec<Expected> {
        let (hidden, units, k) = (self.hidden(), self.weights[0].rows, routing.experts_per_row);
        let mut total = vec![Expected::default(); hidden];
        for slot in row * k..(row + 1) * k {
            let (expert, factor) = (routing.experts[slot] as usize, f64::from(routing.weights[slot]));
            let biases = (&self.gate_up_bias[expert * 2 * units..], &self.down_bias[expert * hidden..]);
            for (total, part) in total.iter_mut().zip(one(&self.weights, expert, biases, x)) {
                total.value += factor * part.value;
                total.magnitude += factor * part.magnitude;
                total.tolerance += factor * part.tolerance;
                total.variance += factor * factor * part.variance;
            }
        }
        total
    }
}

/// `Σ (w·step)² / 12`.
fn variance(weights: &[f64], steps: &[f64]) -> f64 {
    weights.iter().zip(steps).map(|(weight, step)| (weight * step).powi(2) / 12.0).sum()
}

/// One row through one expert, whose biases come first in the slices.
pub(crate) fn one(
    [gate, up, down]: &[Codes; 3],
    expert: usize,
    (gate_up_bias, down_bias): (&[f32], &[f32]),
    x: &[f32],
) -> Vec<Expected> {
    let limit = f64::from(LIMIT);
    let x = Rounded::to_bytes(x);
    let (mut activated, mut variances) = (Vec::new(), Vec::new());
    for unit in 0..gate.rows {
        let (gate, up) = (gate.row(expert, unit), up.row(expert, unit));
        let gate_sum = packed::dot(&gate, &x.values, gate_up_bias[2 * unit]).value;
        let up_sum = packed::dot(&up, &x.values, gate_up_bias[2 * unit + 1]).value;
        let (g, u) = (gate_sum.min(limit), up_sum.clamp(-limit, limit));
        let sigmoid = 1.0 / (1.0 + (-1.702 * g).exp());
        activated.push((g * sigmoid * (u + 1.0)) as f32);
        let by_gate = (u + 1.0) * sigmoid * (1.0 + 1.702 * g * (1.0 - sigmoid)) * f64::from(gate_sum < limit);
        let by_up = g * sigmoid * f64::from(up_sum.abs() < limit);
        variances.push(by_gate.powi(2) * variance(&gate, &x.steps) + by_up.powi(2) * variance(&up, &x.steps));
    }
    let rounded = Rounded::to_bytes(&activated);
    let doubtful = |k: usize| {
        let bytes = f64::from(activated[k]) / rounded.steps[k];
        (bytes.fract().abs() - 0.5).abs() < NEAR_HALF
    };
    let doubts: Vec<f64> = (0..activated.len()).map(|k| if doubtful(k) { rounded.steps[k] } else { 0.0 }).collect();
    (0..down.rows)
        .map(|row| {
            let weights = down.row(expert, row);
            let Sum { value, magnitude } = packed::dot(&weights, &rounded.values, down_bias[row]);
            let other_side: f64 = weights.iter().zip(&doubts).map(|(weight, doubt)| weight.abs() * doubt).sum();
            let before: f64 = weights.iter().zip(&variances).map(|(weight, variance)| weight.powi(2) * variance).sum();
            let variance = before + variance(&weights, &rounded.steps);
            Expected { value, magnitude, tolerance: F32_TOLERANCE * magnitude + other_side, variance }
        })
        .collect()
}

/// The chosen rows through the experts, on top of nothing.
fn run<B: Backend>(backend: &B, layer: &B::Experts, x: &B::Rows, routing: &Routing, tokens: &[usize]) -> Vec<f32> {
    let k = routing.experts_per_row;
    let slots = || tokens.iter().flat_map(|token| token * k..(token + 1) * k);
    let routing = Routing {
        experts_per_row: k,
        experts: slots().map(|slot| routing.experts[slot]).collect(),
        weights: slots().map(|slot| routing.weights[slot]).collect(),
    };
    let mut picked = Default::default();
    backend.gather(x, tokens, &mut picked);
    let hidden = read(backend, &picked).len() / tokens.len();
    let mut out = rows(backend, &vec![0.0; tokens.len() * hidden], hidden);
    backend.experts(layer, &picked, &routing, &mut out);
    read(backend, &out)
}

/// Different experts for each row; of every three rows, two go to the same, so that some experts have many and some none.
fn routing(random: &mut Random, experts: usize, k: usize) -> Routing {
    let mut routing = Routing { experts_per_row: k, ..Routing::default() };
    for token in 0..TOKENS {
        let first = if token % 3 > 0 { 0 } else { random.next() as usize % experts };
        routing.experts.extend((0..k).map(|choice| ((first + choice) % experts) as u32));
        routing.weights.extend(random.values(k).iter().map(|weight| weight.abs() / k as f32 + 0.1));
    }
    routing
}

/// Compares all batches with the twin, and the whole with the exact result.
fn check(case: &Case, routing: &Routing, x: &[f32], cpus: &[(String, Cpu)]) {
    let hidden = case.hidden();
    let expected: Vec<Expected> =
        x.chunks_exact(hidden).enumerate().flat_map(|(row, x)| case.expected(routing, row, x)).collect();
    let everything: Vec<usize> = (0..TOKENS).collect();
    let layer = Reference.load_experts(case.arranged(0, Mxfp4Layout::Split));
    let exact = run(&Reference, &layer, &rows(&Reference, x, hidden), routing, &everything);
    for (name, cpu) in cpus {
        let what = format!("{} experts, {hidden} by {}, {name}", case.experts, case.weights[0].rows);
        let layer = cpu.load_experts(case.arranged(1, Mxfp4Layout::Joined));
        let all = rows(cpu, x, hidden);
        let whole = run(cpu, &layer, &all, routing, &everything);
        let mut squares = 0.0;
        for (place, ((&found, expected), &exact)) in whole.iter().zip(&expected).zip(&exact).enumerate() {
            let Expected { value, magnitude: _, tolerance, variance } = *expected;
            let error = (f64::from(found) - value).abs();
            assert!(error <= tolerance, "{what}: [{place}] {found} instead of {value} ± {tolerance}");
            let error = f64::from(found) - f64::from(exact);
            assert!(error.powi(2) <= 100.0 * variance, "{what}: [{place}] {found} is far off {exact}");
            squares += error.powi(2) / variance / whole.len() as f64;
        }
        assert!((0.3..2.0).contains(&squares), "{what}: errors are {squares} of the variance that roundings have");
        for batch in BATCHES {
            // The last tokens, so that a token stands at another place in every batch.
            let first = TOKENS - batch;
            let found = run(cpu, &layer, &all, routing, &everything[first..]);
            let same = packed::bits(&found) == packed::bits(&whole[first * hidden..]);
            assert!(same, "{what}: {batch} tokens give other bits than {TOKENS}");
        }
    }
}

#[test]
fn of_every_shape() {
    let mut random = Random::new(31);
    let cpus = packed::backends(WeightForm::Packed);
    for (experts, hidden, units, k) in
        [(1, 32, 32, 1), (2, 64, 96, 2), (5, 96, 32, 3), (13, 160, 64, 4), (8, 32, 160, 4), (3, 1056, 64, 2)]
    {
        let case = Case::random(&mut random, experts, hidden, units);
        let (routing, x) = (routing(&mut random, experts, k), random.values(TOKENS * hidden));
        check(&case, &routing, &x, &cpus);
    }
}

#[test]
fn of_the_width_of_the_model() {
    let mut random = Random::new(32);
    let cpus = packed::backends(WeightForm::PackedEight);
    for (hidden, units) in [(2880, 32), (32, 2880)] {
        let case = Case::random(&mut random, 2, hidden, units);
        let (routing, x) = (routing(&mut random, 2, 1), random.values(TOKENS * hidden));
        check(&case, &routing, &x, &cpus);
    }
}

#[test]
fn in_every_arrangement_and_layout() {
    let mut random = Random::new(33);
    for (experts, hidden, units) in [(3, 64, 96), (2, 96, 32), (5, 32, 64)] {
        let case = Case::random(&mut random, experts, hidden, units);
        let (routing, x) = (routing(&mut random, experts, 2), random.values(TOKENS * hidden));
        for (name, cpu) in packed::backends(WeightForm::Packed) {
            let x = rows(&cpu, &x, hidden);
            let found = |arrangement, layout, batch| {
                let layer = cpu.load_experts(case.arranged(arrangement, layout));
                packed::bits(&run(&cpu, &layer, &x, &routing, &(0..batch).collect::<Vec<_>>()))
            };
            for batch in [1, TOKENS] {
                let first = found(0, Mxfp4Layout::Split, batch);
                for arrangement in 0..3 {
                    for layout in [Mxfp4Layout::Split, Mxfp4Layout::Joined] {
                        let same = found(arrangement, layout, batch) == first;
                        assert!(same, "{name}: arrangement {arrangement} in {layout:?}, {batch} tokens");
                    }
                }
            }
        }
    }
}

#[test]
fn on_any_number_of_threads() {
    let mut random = Random::new(34);
    let case = Case::random(&mut random, 4, 256, 224);
    let (routing, x) = (routing(&mut random, 4, 3), random.values(TOKENS * 256));
    for batch in [1, 4, TOKENS] {
        let mut known = std::collections::BTreeMap::new();
        for (name, cpu) in packed::backends(WeightForm::Packed) {
            let layer = cpu.load_experts(case.arranged(0, Mxfp4Layout::Split));
            let tokens: Vec<usize> = (0..batch).collect();
            let found = packed::bits(&run(&cpu, &layer, &rows(&cpu, &x, 256), &routing, &tokens));
            assert!(*known.entry(cpu.isa()).or_insert_with(|| found.clone()) == found, "{batch} tokens, {name}");
        }
    }
}
