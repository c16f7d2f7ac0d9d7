//! Results are the same bit for bit, however many threads there are.

use kernels::{
    Attention, Backend, Cpu, DenseFormat, ExpertWeights, GateUp, IsaKind, KvPrecision, LinearWeights, Mxfp4Layout,
    Routing,
};

use crate::random::{self, Random};
use crate::{read, rows};

#[track_caller]
fn assert_same_bits(what: &str, run: impl Fn(&Cpu) -> Vec<f32>) {
    for isa in IsaKind::available() {
        let bits = |threads| -> Vec<u32> {
            let cpu = Cpu::new(isa, threads).expect("available");
            run(&cpu).into_iter().map(f32::to_bits).collect()
        };
        let one = bits(1);
        for threads in [2, 3, 5] {
            assert!(bits(threads) == one, "{what}, {isa:?}: {threads} threads give other bits than one");
        }
    }
}

#[test]
fn of_linear_layers() {
    let mut random = Random::new(6);
    let (outputs, inputs) = (603, 512);
    for format in [DenseFormat::BF16, DenseFormat::Q8_0] {
        let bytes = random.encoded(format, outputs * inputs);
        for batch in [1, 17, 130] {
            let x = random.values(batch * inputs);
            assert_same_bits(&format!("{} with {batch} rows", format.name()), |cpu| {
                let matrix = random::matrix(format, outputs, inputs, bytes.clone());
                let layer = cpu.load_linear(LinearWeights { matrix, bias: None });
                let x = rows(cpu, &x, inputs);
                let (mut normed, mut out) = Default::default();
                cpu.rms_norm(&x, &vec![0.7; inputs], 1e-5, &mut normed);
                cpu.linear(&layer, &normed, &mut out);
                cpu.linear_add(&layer, &x, &mut normed, &mut out);
                read(cpu, &out)
            });
        }
    }
}

#[test]
fn of_experts() {
    let mut random = Random::new(13);
    let (experts, hidden, intermediate, k) = (6, 256, 224, 3);
    for batch in [1, 5, 70] {
        let gate_up = random.mxfp4(Mxfp4Layout::Split, experts, 2 * intermediate, hidden);
        let down = random.mxfp4(Mxfp4Layout::Split, experts, hidden, intermediate);
        let (gate_up_bias, down_bias) = (random.values(experts * 2 * intermediate), random.values(experts * hidden));
        let (x, router) = (random.values(batch * hidden), random.values(batch * experts));
        assert_same_bits(&format!("{batch} rows"), |cpu| {
            let layer = cpu.load_experts(ExpertWeights {
                gate_up: GateUp::Interleaved(gate_up.clone()),
                gate_up_bias: gate_up_bias.clone(),
                down: down.clone(),
                down_bias: down_bias.clone(),
                swiglu_limit: 7.0,
            });
            let (mut routing, mut residual) = (Routing::default(), Default::default());
            cpu.route(&rows(cpu, &router, experts), k, &mut routing);
            cpu.resize(&mut residual, batch, hidden);
            cpu.experts(&layer, &rows(cpu, &x, hidden), &routing, &mut residual);
            read(cpu, &residual)
        });
    }
}

#[test]
fn of_attention() {
    let mut random = Random::new(14);
    let (heads, kv_heads, head_dim, positions) = (6, 2, 64, 1201);
    let sinks = random.values(heads);
    let queries = random.values(positions * heads * head_dim);
    let (keys, values) =
        (random.values(positions * kv_heads * head_dim), random.values(positions * kv_heads * head_dim));
    for window in [None, Some(70)] {
        for precision in [KvPrecision::F32, KvPrecision::BF16, KvPrecision::Q8] {
            assert_same_bits(&format!("window {window:?}, {precision:?}"), |cpu| {
                let shape = Attention { heads, kv_heads, head_dim, sinks: &sinks, window };
                let queries = rows(cpu, &queries, heads * head_dim);
                let (keys, values) = (rows(cpu, &keys, kv_heads * head_dim), rows(cpu, &values, kv_heads * head_dim));
                let mut kv = cpu.new_kv(kv_heads, head_dim, window, precision);
                let mut out = Default::default();
                cpu.resize(&mut out, positions, heads * head_dim);
                // Few rows over many positions are cut in another way than many rows.
                cpu.write_kv(&mut kv, &keys, &values, 0..1000);
                for rows in [1000..1090, 1090..1091, 1091..1100, 1100..positions] {
                    cpu.write_kv(&mut kv, &keys, &values, rows.clone());
                    cpu.attend(shape, &queries, &kv, rows, &mut out);
                }
                read(cpu, &out)
            });
        }
    }
}
