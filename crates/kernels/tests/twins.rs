//! Every instruction set against the slow twin, over awkward shapes: odd row counts, tails, every format, windows, bf16 caches.

mod random;

use kernels::{
    Attention, Backend, Cpu, DenseFormat, ExpertWeights, GateUp, IsaKind, KvPrecision, LinearWeights, Mxfp4Layout,
    Reference, RotaryTable, Routing,
};
use random::Random;

const THREADS: [usize; 2] = [1, 3];

fn backends() -> impl Iterator<Item = (String, Cpu)> {
    IsaKind::available().into_iter().flat_map(|kind| {
        THREADS.map(|threads| {
            let name = format!("{} with {threads} threads", kind.name());
            (name, Cpu::new(kind, threads).expect("available"))
        })
    })
}

/// Brings host values to a backend's rows through the embedding op.
fn rows<B: Backend>(backend: &B, values: &[f32], columns: usize) -> B::Rows {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let count = values.len() / columns;
    let table = backend
        .load_linear(LinearWeights { matrix: random::matrix(DenseFormat::F32, count, columns, bytes), bias: None });
    let ids: Vec<u32> = (0..count as u32).collect();
    let mut out = B::Rows::default();
    backend.embed(&table, &ids, &mut out);
    out
}

fn read<B: Backend>(backend: &B, rows: &B::Rows) -> Vec<f32> {
    let mut out = Vec::new();
    backend.read(rows, &mut out);
    out
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-3f32, |scale, value| scale.max(value.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= tolerance * scale,
            "{what}: [{i}] {found} instead of {expected} (scale {scale})"
        );
    }
}

/// Runs a computation on the reference and on every CPU backend and compares the values.
macro_rules! compare {
    ($tolerance:expr, $what:expr, |$backend:ident| $body:expr) => {{
        let expected = {
            let $backend = &Reference;
            $body
        };
        for (name, cpu) in backends() {
            let $backend = &cpu;
            assert_close(&$body, &expected, $tolerance, &format!("{}, {name}", $what));
        }
    }};
}

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

#[test]
fn attention_over_windows_chunks_and_precisions() {
    let mut random = Random::new(4);
    let shapes = [(1, 1, 64), (8, 2, 64), (6, 3, 32), (5, 5, 18), (4, 1, 80), (3, 1, 130)];
    for (heads, kv_heads, head_dim) in shapes {
        for window in [None, Some(1), Some(8), Some(64), Some(100)] {
            for precision in [KvPrecision::F32, KvPrecision::BF16] {
                let chunks: &[usize] = if head_dim == 64 { &[1, 70, 1, 128, 3, 64, 33] } else { &[5, 1, 77] };
                let total: usize = chunks.iter().sum();
                let sinks = random.values(heads);
                let queries: Vec<f32> = random.values(total * heads * head_dim).iter().map(|q| 3.0 * q).collect();
                let keys = random.values(total * kv_heads * head_dim);
                let values = random.values(total * kv_heads * head_dim);
                let what = format!("{heads}/{kv_heads} heads of {head_dim}, window {window:?}, {precision:?}");
                compare!(5e-6, what, |backend| {
                    let shape = Attention { heads, kv_heads, head_dim, sinks: &sinks, window };
                    let queries = rows(backend, &queries, heads * head_dim);
                    let keys = rows(backend, &keys, kv_heads * head_dim);
                    let values = rows(backend, &values, kv_heads * head_dim);
                    let mut kv = backend.new_kv(kv_heads, head_dim, window, precision);
                    let mut out = Default::default();
                    backend.resize(&mut out, total, heads * head_dim);
                    let mut start = 0;
                    for &chunk in chunks {
                        backend.write_kv(&mut kv, &keys, &values, start..start + chunk);
                        backend.attend(shape, &queries, &kv, start..start + chunk, &mut out);
                        start += chunk;
                    }
                    read(backend, &out)
                });
            }
        }
    }
}

#[test]
fn a_window_bounds_the_cache() {
    let cpu = Cpu::new(IsaKind::best(), 1).expect("available");
    let row = rows(&cpu, &[1.0; 64], 64);
    let mut kv = cpu.new_kv(1, 64, Some(128), KvPrecision::BF16);
    let mut most = 0;
    for _ in 0..2000 {
        cpu.write_kv(&mut kv, &row, &row, 0..1);
        most = most.max(cpu.kv_bytes(&kv));
    }
    // 128 positions can touch three blocks of 64, and one more is begun.
    assert!(most <= 4 * 64 * 128 * 2, "{most}");
    assert!(most >= 128 * 128 * 2, "{most}");
}

#[test]
fn experts_in_every_layout() {
    let mut random = Random::new(5);
    let shapes =
        [(5, 32, 32, 1, 2), (8, 96, 64, 2, 4), (3, 64, 160, 9, 3), (32, 1056, 96, 40, 4), (2, 32, 1088, 30, 1)];
    for (experts, hidden, intermediate, batch, k) in shapes {
        for arrangement in 0..6 {
            let layout = if arrangement % 2 == 0 { Mxfp4Layout::Split } else { Mxfp4Layout::Joined };
            let mut mxfp4 = |rows, columns| random.mxfp4(layout, experts, rows, columns);
            let gate_up = match arrangement / 2 {
                0 => GateUp::Interleaved(mxfp4(2 * intermediate, hidden)),
                1 => GateUp::Halves(mxfp4(2 * intermediate, hidden)),
                _ => GateUp::Separate { gate: mxfp4(intermediate, hidden), up: mxfp4(intermediate, hidden) },
            };
            let down = mxfp4(hidden, intermediate);
            let (gate_up_bias, down_bias) =
                (random.values(experts * 2 * intermediate), random.values(experts * hidden));
            let (x, router) = (random.values(batch * hidden), random.values(batch * experts));
            compare!(
                5e-6,
                format!("{experts} experts {hidden}x{intermediate}, {batch} rows, arrangement {arrangement}"),
                |backend| {
                    let layer = backend.load_experts(ExpertWeights {
                        gate_up: gate_up.clone(),
                        gate_up_bias: gate_up_bias.clone(),
                        down: down.clone(),
                        down_bias: down_bias.clone(),
                        swiglu_limit: 7.0,
                    });
                    let x = rows(backend, &x, hidden);
                    let (mut routing, mut residual) = (Routing::default(), Default::default());
                    backend.route(&rows(backend, &router, experts), k, &mut routing);
                    assert_eq!(routing.experts.len(), batch * k);
                    backend.gather(&x, &(0..batch).collect::<Vec<_>>(), &mut residual);
                    backend.experts(&layer, &x, &routing, &mut residual);
                    read(backend, &residual)
                }
            );
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

#[test]
fn results_do_not_depend_on_threads() {
    let mut random = Random::new(6);
    let (outputs, inputs, batch) = (203, 512, 17);
    let bytes = random.encoded(DenseFormat::BF16, outputs * inputs);
    let x = random.values(batch * inputs);
    let results: Vec<Vec<f32>> = [1, 2, 5]
        .into_iter()
        .map(|threads| {
            let cpu = Cpu::new(IsaKind::best(), threads).expect("available");
            let matrix = random::matrix(DenseFormat::BF16, outputs, inputs, bytes.clone());
            let layer = cpu.load_linear(LinearWeights { matrix, bias: None });
            let mut out = Default::default();
            cpu.linear(&layer, &rows(&cpu, &x, inputs), &mut out);
            read(&cpu, &out)
        })
        .collect();
    assert!(results.iter().all(|result| *result == results[0]));
}
