//! What is particular to an 8-bit cache: vectors of zeros, magnitudes far apart, great sinks, and what the rounding costs.

use kernels::{Backend, Cpu, IsaKind, KvPrecision, Reference};

use crate::attention::Case;
use crate::random::Random;
use crate::{assert_close, backends};

/// Even heads for pairs, odd ones and those too long for them.
const SHAPES: [(usize, usize, usize); 5] = [(8, 1, 64), (4, 2, 18), (2, 1, 7), (1, 1, 512), (2, 2, 514)];

fn eight_bits(random: &mut Random, shape: (usize, usize, usize), positions: usize) -> Case {
    Case { precision: KvPrecision::Q8, ..Case::new(random, shape, positions) }
}

#[test]
fn vectors_of_zeros() {
    let mut random = Random::new(50);
    for shape in SHAPES {
        let (columns, all_zero) = (shape.1 * shape.2, [0, 63, 64, 65, 130]);
        let mut case = eight_bits(&mut random, shape, 140);
        for position in all_zero {
            case.keys[position * columns..][..columns].fill(0.0);
            case.values[position * columns..][..columns].fill(-0.0);
        }
        case.compare("some zeros", (0, &[1, 70, 69]), 0.0, |_, found| assert!(found.iter().all(|x| x.is_finite())));
        case.values.fill(0.0);
        case.compare("no values", (0, &[140]), 0.0, |_, found| assert!(found.iter().all(|&x| x == 0.0)));
        case.keys.fill(0.0);
        case.queries.fill(0.0);
        case.compare("nothing", (0, &[140]), 0.0, |_, found| assert!(found.iter().all(|&x| x == 0.0)));
    }
}

#[test]
fn magnitudes_far_apart() {
    let mut random = Random::new(51);
    for shape in SHAPES {
        let columns = shape.1 * shape.2;
        for window in [None, Some(70)] {
            let mut case = Case { window, ..eight_bits(&mut random, shape, 200) };
            // Positions whose values differ by twenty powers of ten, a few of them in sight of each query.
            for (position, values) in case.values.chunks_exact_mut(columns).enumerate() {
                let factor = [1e-15, 1.0, 1e5, 1e-3][position % 4];
                values.iter_mut().for_each(|value| *value *= factor);
            }
            case.compare("values of all sizes", (0, &[1, 150, 49]), 0.0, |_, _| ());
            case.keys.iter_mut().for_each(|key| *key *= 1e25);
            case.queries.iter_mut().for_each(|query| *query *= 1e-25);
            case.values.iter_mut().for_each(|value| *value *= 1e29);
            case.compare("great keys and values, small queries", (0, &[150, 50]), 0.0, |what, found| {
                assert!(found.iter().all(|x| x.is_finite()), "{what}");
            });
            // What is this small may vanish, and nothing more.
            case.values.iter_mut().for_each(|value| *value *= 1e-38);
            case.values.iter_mut().for_each(|value| *value *= 1e-38);
            case.compare("small values", (0, &[200]), 0.0, |what, found| {
                assert!(found.iter().all(|x| x.abs() < 1e-30), "{what}");
            });
        }
    }
}

#[test]
fn great_scores_and_sinks() {
    let mut random = Random::new(52);
    for shape in SHAPES {
        let mut case = eight_bits(&mut random, shape, 150);
        // Under a sink this great nothing may be left of the values, not even a billionth.
        case.sinks.fill(1000.0);
        case.compare("great sinks", (0, &[100, 50]), 0.0, |what, found| {
            assert!(found.iter().all(|value| value.abs() < 1e-30), "{what}");
        });
        case.sinks.fill(-1000.0);
        case.compare("small sinks", (0, &[149, 1]), 0.0, |_, _| ());
        // A hundred times as great, scores are off by a hundred times 4e-5 and now and then by several times that.
        case.queries.iter_mut().for_each(|query| *query *= 100.0);
        for sinks in [[-1000.0, 1000.0], [0.0, 300.0]] {
            case.sinks = sinks.into_iter().cycle().take(shape.0).collect();
            case.compare("great scores", (0, &[100, 50]), 2e-2, |_, _| ());
        }
    }
}

#[test]
fn results_do_not_depend_on_runs_bit_for_bit() {
    let mut random = Random::new(53);
    for shape in [(8, 1, 64), (6, 2, 18), (3, 1, 32), (2, 1, 7)] {
        for window in [None, Some(70)] {
            let case = Case { window, ..eight_bits(&mut random, shape, 1200) };
            for (name, cpu) in backends() {
                let together = case.run(&cpu, &[1200]);
                for chunks in [&[1000, 1, 1, 60, 7, 131][..], &[64, 1, 600, 535]] {
                    assert!(case.run(&cpu, chunks) == together, "{}, {name}, {chunks:?}", case.what());
                }
            }
        }
    }
}

#[test]
fn what_is_behind_a_truncation_is_forgotten() {
    for kind in IsaKind::available() {
        let cpu = Cpu::new(kind, 1).expect("available");
        for (heads, kv_heads, head_dim) in [(8, 1, 64), (2, 1, 7)] {
            let mut random = Random::new(54);
            let case = eight_bits(&mut random, (heads, kv_heads, head_dim), 80);
            let rows = |values: &[f32], columns| crate::rows(&cpu, values, columns);
            let columns = kv_heads * head_dim;
            let (keys, values) = (rows(&case.keys, columns), rows(&case.values, columns));
            let poison = rows(&vec![f32::NAN; 40 * columns], columns);
            let queries = rows(&case.queries, heads * head_dim);
            let shape = kernels::Attention { heads, kv_heads, head_dim, sinks: &case.sinks, window: None };
            let mut kv = cpu.new_kv(kv_heads, head_dim, None, KvPrecision::Q8);
            let mut out = Default::default();
            cpu.resize(&mut out, 80, heads * head_dim);
            cpu.write_kv(&mut kv, &keys, &values, 0..50);
            cpu.write_kv(&mut kv, &poison, &poison, 0..40);
            cpu.truncate_kv(&mut kv, 50);
            cpu.write_kv(&mut kv, &keys, &values, 50..80);
            cpu.attend(shape, &queries, &kv, 0..80, &mut out);
            assert!(crate::read(&cpu, &out) == case.run(&cpu, &[80]), "{}", kind.name());
        }
    }
}

/// The errors that are told to users: as a share of the results' own root mean square, for normal inputs.
#[test]
fn what_the_rounding_costs() {
    let mut random = Random::new(55);
    let mut normal = |count: usize| -> Vec<f32> {
        (0..count).map(|_| (0..12).map(|_| random.values(1)[0]).sum::<f32>() / 3.0).collect()
    };
    let (heads, head_dim, positions) = (8, 64, 600);
    let exact = Case {
        queries: normal(positions * heads * head_dim),
        keys: normal(positions * head_dim),
        values: normal(positions * head_dim),
        sinks: vec![0.0; heads],
        ..Case::new(&mut Random::new(56), (heads, 1, head_dim), positions)
    };
    let run = |precision| Case { precision, ..exact.clone() };
    let (past, last) = (positions - 100, &[100]);
    let expected = exact.run_after(&Reference, past, last);
    let error = |found: &[f32]| {
        let square = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>();
        let differences = square(&mut found.iter().zip(&expected).map(|(a, b)| a - b));
        (differences / square(&mut expected.iter().copied())).sqrt()
    };
    let of_bf16 = error(&run(KvPrecision::BF16).run_after(&Reference, past, last));
    let twin = run(KvPrecision::Q8).run_after(&Reference, past, last);
    let of_bytes = error(&twin);
    assert!((0.001..0.003).contains(&of_bf16), "{of_bf16}");
    assert!((0.005..0.012).contains(&of_bytes), "{of_bytes}");
    for (name, cpu) in backends() {
        let found = run(KvPrecision::Q8).run_after(&cpu, past, last);
        assert!((error(&found) - of_bytes).abs() < 1e-4, "{name}: {}", error(&found));
        assert_close(&found, &twin, 3e-4, &name);
    }
}
