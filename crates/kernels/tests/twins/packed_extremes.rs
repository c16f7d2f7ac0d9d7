//! Packed weights and what is very small, very large or no number at all.

use kernels::{Backend, Cpu, DenseFormat, ExpertWeights, GateUp, Mxfp4Layout, Routing, WeightForm};

use crate::packed::{self, Rounded};
use crate::packed_experts::Codes;
use crate::random::{self, Random};
use crate::{read, rows};

/// Tokens whose experts are decoded first, whatever asks early.
const MANY: usize = 40;
const FORMS: [(WeightForm, DenseFormat); 4] = [
    (WeightForm::Packed, DenseFormat::BF16),
    (WeightForm::Packed, DenseFormat::Q8_0),
    (WeightForm::PackedEight, DenseFormat::BF16),
    (WeightForm::PackedEight, DenseFormat::F32),
];
const NOT_FINITE: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];

#[test]
fn dense_sums_of_every_size() {
    let mut random = Random::new(41);
    let (outputs, columns) = (35, 96);
    // From zero over what is subnormal to what is barely finite.
    let sizes = [0.0, 1e-40, 1e-35, 1e-31, 1e-29, 1e-10, 1.0, 1e20, 1e30, 1e36];
    for (form, format) in FORMS {
        let matrix = packed::random_matrix(&mut random, format, outputs, columns);
        let x = random.values(sizes.len() * columns);
        let x: Vec<f32> = x.chunks(columns).zip(sizes).flat_map(|(x, size)| x.iter().map(move |x| x * size)).collect();
        let weights = packed::weights(form, &matrix);
        for (name, cpu) in packed::backends(form) {
            let layer = cpu.load_linear(packed::linear(&matrix, None));
            let mut out = Default::default();
            cpu.linear(&layer, &rows(&cpu, &x, columns), &mut out);
            for (token, found) in read(&cpu, &out).chunks_exact(outputs).enumerate() {
                let rounded = packed::activations(form, format, cpu.isa(), &x[token * columns..][..columns]);
                for (weights, &found) in weights.iter().zip(found) {
                    let sum = packed::dot(&weights.values, &rounded.values, 0.0);
                    // Products below the normal numbers may be lost.
                    let slack = 1e-5 * sum.magnitude + columns as f64 * 2.0 * f64::from(f32::MIN_POSITIVE);
                    let what = format!("{} times {:e}, {name}", format.name(), sizes[token]);
                    assert!((f64::from(found) - sum.value).abs() <= slack, "{what}: {found:e} instead of {sum:?}");
                    assert!(token > 0 || found == 0.0, "{what}: zeros give {found}");
                }
            }
        }
    }
}

#[test]
fn dense_sums_that_are_no_numbers() {
    let mut random = Random::new(42);
    let (outputs, columns) = (35, 66);
    for (form, format) in FORMS {
        let columns = columns / format.block_values() * format.block_values();
        let matrix = packed::random_matrix(&mut random, format, outputs, columns);
        let (bias, x) = (random.values(outputs), random.values(12 * columns));
        for (name, cpu) in packed::backends(form) {
            let layer = cpu.load_linear(packed::linear(&matrix, Some(&bias)));
            for batch in [1, 2, 3, 4, 5, 7, 12] {
                let run = |x: &[f32]| {
                    let mut out = Default::default();
                    cpu.linear(&layer, &rows(&cpu, x, columns), &mut out);
                    read(&cpu, &out)
                };
                let (mut x, place) = (x[..batch * columns].to_vec(), batch / 2);
                let clean = run(&x);
                for value in NOT_FINITE {
                    x[place * columns + columns - 1] = value;
                    check_only(&clean, &run(&x), outputs, place, &format!("{value} of {batch}, {name}"));
                }
            }
        }
    }
}

#[test]
fn dense_weights_that_are_no_numbers() {
    for (form, format) in FORMS.into_iter().filter(|case| case.1 != DenseFormat::Q8_0) {
        for value in NOT_FINITE {
            let mut weights = vec![1.0_f32; 17 * 64];
            weights[16 * 64 + 40] = value;
            let half = |value: &f32| kernels::decode::f32_to_bf16(*value).to_le_bytes();
            let bytes: Vec<u8> = match format {
                DenseFormat::BF16 => weights.iter().flat_map(half).collect(),
                _ => weights.iter().flat_map(|value| value.to_le_bytes()).collect(),
            };
            for (name, cpu) in packed::backends(form) {
                let matrix = random::matrix(format, 17, 64, bytes.clone());
                let layer = cpu.load_linear(packed::linear(&matrix, None));
                let mut out = Default::default();
                cpu.linear(&layer, &rows(&cpu, &[0.5; 64], 64), &mut out);
                let found = read(&cpu, &out);
                assert!(!found[16].is_finite(), "{value} became {}, {name}", found[16]);
                assert!(found[..16].iter().all(|value| value.is_finite()), "{name}");
            }
        }
    }
}

#[test]
fn no_tokens() {
    let mut random = Random::new(43);
    for (form, format) in FORMS {
        for outputs in [32, 35] {
            let matrix = packed::random_matrix(&mut random, format, outputs, 64);
            for (name, cpu) in packed::backends(form) {
                let layer = cpu.load_linear(packed::linear(&matrix, None));
                let (mut x, mut out, mut scratch) = Default::default();
                cpu.resize(&mut x, 0, 64);
                cpu.linear(&layer, &x, &mut out);
                cpu.linear_add(&layer, &x, &mut scratch, &mut out);
                assert!(read(&cpu, &out).is_empty(), "{name}");
            }
        }
    }
}

/// One expert of 32 by 32 whose blocks have these scales, gate and up first; no biases.
fn one_expert(random: &mut Random, gate_up: u8, down: u8) -> [Codes; 3] {
    [gate_up, gate_up, down].map(|scale| Codes { scales: vec![scale; 32], ..Codes::random(random, 1, 32, 32) })
}

fn run_one([gate, up, down]: &[Codes; 3], cpu: &Cpu, x: &[f32]) -> Vec<f32> {
    let layout = Mxfp4Layout::Split;
    let layer = cpu.load_experts(ExpertWeights {
        gate_up: GateUp::Separate { gate: gate.matrix(layout), up: up.matrix(layout) },
        gate_up_bias: vec![0.0; 64],
        down: down.matrix(layout),
        down_bias: vec![0.0; 32],
        swiglu_limit: 7.0,
    });
    let tokens = x.len() / 32;
    let routing = Routing { experts_per_row: 1, experts: vec![0; tokens], weights: vec![1.0; tokens] };
    let mut out = rows(cpu, &vec![0.0; x.len()], 32);
    cpu.experts(&layer, &rows(cpu, x, 32), &routing, &mut out);
    read(cpu, &out)
}

#[test]
fn scales_at_their_ends() {
    let mut random = Random::new(44);
    // What makes up for the scale of gate and up, so that SwiGLU sees moderate sums.
    for (gate_up, down, size) in [(1, 120, 2e36), (253, 120, 2e-29), (120, 1, 1.0), (120, 253, 1e-4), (254, 253, 1e-29)]
    {
        let expert = one_expert(&mut random, gate_up, down);
        let x: Vec<f32> = random.values(MANY * 32).iter().map(|x| x * size).collect();
        for (name, cpu) in packed::backends(WeightForm::Packed) {
            for batch in [1, 3, 6, MANY] {
                let found = run_one(&expert, &cpu, &x[..batch * 32]);
                for (token, found) in found.chunks_exact(32).enumerate() {
                    let sums = crate::packed_experts::one(&expert, 0, (&[0.0; 64], &[0.0; 32]), &x[token * 32..][..32]);
                    for (&found, sum) in found.iter().zip(sums) {
                        let slack = sum.tolerance + 1e-39;
                        let what = format!("scales {gate_up} and {down}, {batch} tokens, {name}");
                        // What is too large for f32 may be infinite.
                        let too_large = sum.magnitude > f64::from(f32::MAX) && !found.is_finite();
                        assert!(
                            (f64::from(found) - sum.value).abs() <= slack || too_large,
                            "{what}: {found:e} instead of {:e} ± {slack:e}",
                            sum.value
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_scale_of_zero_is_nothing() {
    let mut random = Random::new(45);
    // With 2^-127 for it, the largest numbers would give sums near one.
    let x = random.values(MANY * 32);
    for (gate_up, down, size) in [(0, 127, 2e38), (127, 0, 1.0), (0, 0, 2e38)] {
        let x: Vec<f32> = x.iter().map(|x| x * size).collect();
        let expert = one_expert(&mut random, gate_up, down);
        for (name, cpu) in packed::backends(WeightForm::Packed) {
            for batch in [1, 2, 6, MANY] {
                let found = run_one(&expert, &cpu, &x[..batch * 32]);
                assert!(
                    found.iter().all(|&value| value == 0.0),
                    "{gate_up}, {down}, {batch} tokens, {name}: {found:?}"
                );
            }
        }
    }
}

#[test]
fn experts_of_what_is_no_number() {
    let mut random = Random::new(46);
    let expert = one_expert(&mut random, 120, 120);
    let x = random.values(MANY * 32);
    for (name, cpu) in packed::backends(WeightForm::PackedEight) {
        for batch in [1, 2, 3, 4, 5, 7, 12, MANY] {
            let (mut x, place) = (x[..batch * 32].to_vec(), batch / 2);
            let clean = run_one(&expert, &cpu, &x);
            for value in NOT_FINITE {
                x[place * 32 + 31] = value;
                let found = run_one(&expert, &cpu, &x);
                check_only(&clean, &found, 32, place, &format!("{value} of {batch}, {name}"));
            }
        }
    }
}

/// One token has no number left; the others are as if nothing had happened.
fn check_only(clean: &[f32], found: &[f32], width: usize, place: usize, what: &str) {
    for (token, (clean, found)) in clean.chunks_exact(width).zip(found.chunks_exact(width)).enumerate() {
        if token == place {
            assert!(found.iter().all(|value| !value.is_finite()), "{what}: {found:?}");
        } else {
            assert!(packed::bits(found) == packed::bits(clean), "{what}: token {token} is touched");
        }
    }
}

#[test]
fn what_is_tiny_counts_as_zero_in_bytes() {
    assert!(Rounded::to_bytes(&[1e-35; 32]).values.iter().all(|&value| value == 0.0));
    let mut random = Random::new(47);
    let expert = one_expert(&mut random, 200, 120);
    for (name, cpu) in packed::backends(WeightForm::Packed) {
        let (tiny, zero) = (run_one(&expert, &cpu, &[1e-35; 64]), run_one(&expert, &cpu, &[0.0; 64]));
        assert!(packed::bits(&tiny) == packed::bits(&zero), "{name}");
    }
}
