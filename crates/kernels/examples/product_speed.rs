//! Times the products of one layer of gpt-oss-20b with packed weights: bytes and multiply-adds per second. It knows no model.
//!
//! `cargo run --release -p kernels --example product_speed -- [TOKENS] [HIDDEN] [EXPERTS] [RUNS] [EARLY]`. It cycles through enough layers
//! that no cache holds them, and prints a hash of the results. EARLY says whether products of few tokens ask for weights early: 0, 1, or
//! what is tried if it is left out (with experts enough to try it).

#![expect(clippy::print_stdout, reason = "a benchmark talks to its user")]

use std::time::Instant;

use kernels::{
    Backend, Bytes, Cpu, DenseFormat, DenseMatrix, Early, ExpertWeights, GateUp, IsaKind, LinearWeights, Mxfp4Layout,
    Mxfp4Matrix, Routing, WeightForm,
};

/// Layers that are cycled through.
const LAYERS: usize = 4;
const CHOSEN: usize = 4;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|text| text.parse().expect("a number")).collect();
    let number = |place: usize, default: usize| numbers.get(place).copied().unwrap_or(default);
    let (tokens, hidden, experts, runs) = (number(0, 1), number(1, 2880), number(2, 32), number(3, 20));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let early = numbers.get(4).map(|&early| Early { one: early > 0, few: early > 0 });
    for form in [WeightForm::Packed, WeightForm::PackedEight] {
        let cpu = Cpu::with_form(IsaKind::best(), threads, form).expect("this processor's best");
        let cpu = match early {
            Some(early) => cpu.with_early(early),
            None => cpu,
        };
        // Experts first: they settle what asks early.
        mixture(&cpu, tokens, hidden, experts, runs);
        dense(&cpu, form, tokens, hidden, runs);
    }
}

/// Bytes that look random and are the same every time.
fn noise(length: usize, seed: u64, map: impl Fn(u8) -> u8) -> Bytes {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length);
    for _ in 0..length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.push(map((state >> 56) as u8));
    }
    Bytes::from_vec(bytes)
}

/// bf16 values near 1, both signs.
fn dense_matrix(rows: usize, columns: usize) -> DenseMatrix {
    let values: Vec<u8> =
        noise(rows * columns, 7, |byte| byte).iter().flat_map(|&byte| [byte, 0x3c | (byte & 0x80)]).collect();
    DenseMatrix { format: DenseFormat::BF16, rows, columns, bytes: Bytes::from_vec(values) }
}

fn mxfp4(experts: usize, rows: usize, columns: usize) -> Mxfp4Matrix {
    let blocks = experts * rows * columns / 32;
    Mxfp4Matrix {
        layout: Mxfp4Layout::Split,
        experts,
        rows,
        columns,
        blocks: noise(blocks * 16, 3, |byte| byte),
        scales: noise(blocks, 5, |byte| 117 + byte % 8),
    }
}

fn activations(cpu: &Cpu, rows: usize, columns: usize) -> <Cpu as Backend>::Rows {
    // A table of activations, looked up row by row.
    let values: Vec<u8> = (0..rows * columns).flat_map(|i| ((i as f32 * 0.37).sin()).to_le_bytes()).collect();
    let matrix = DenseMatrix { format: DenseFormat::F32, rows, columns, bytes: Bytes::from_vec(values) };
    let table = cpu.load_exact_linear(LinearWeights { matrix, bias: None });
    let mut x = <Cpu as Backend>::Rows::default();
    cpu.embed(&table, &(0..rows as u32).collect::<Vec<_>>(), &mut x);
    x
}

fn report(what: &str, seconds: &mut [f64], bytes: f64, products: f64, hash: f64) {
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    println!(
        "{what}: {:.1} µs, {:.1} GB/s, {:.1} GMAC/s, hash {hash:e}",
        median * 1e6,
        bytes / median * 1e-9,
        products / median * 1e-9
    );
}

fn dense(cpu: &Cpu, form: WeightForm, tokens: usize, hidden: usize, runs: usize) {
    let rows = 5120 * hidden / 2880;
    let load = |_| cpu.load_linear(LinearWeights { matrix: dense_matrix(rows, hidden), bias: None });
    let layers: Vec<_> = (0..LAYERS).map(load).collect();
    let (x, mut out) = (activations(cpu, tokens, hidden), <Cpu as Backend>::Rows::default());
    let time = |run: usize, out: &mut _| {
        let start = Instant::now();
        cpu.linear(&layers[run % LAYERS], &x, out);
        start.elapsed().as_secs_f64()
    };
    let mut seconds: Vec<f64> = (0..runs).map(|run| time(run, &mut out)).collect();
    let weight_bytes = if form == WeightForm::Packed { 2.0 } else { 34.0 / 32.0 };
    let products = (rows * hidden) as f64;
    let what = format!("dense {form:?}");
    report(&what, &mut seconds, products * weight_bytes, products * tokens as f64, sum(cpu, &out));
}

fn mixture(cpu: &Cpu, tokens: usize, hidden: usize, experts: usize, runs: usize) {
    let load = |_| {
        cpu.load_experts(ExpertWeights {
            gate_up: GateUp::Interleaved(mxfp4(experts, 2 * hidden, hidden)),
            gate_up_bias: vec![0.1; experts * 2 * hidden],
            down: mxfp4(experts, hidden, hidden),
            down_bias: vec![0.1; experts * hidden],
            swiglu_limit: 7.0,
        })
    };
    let layers: Vec<_> = (0..LAYERS).map(load).collect();
    let x = activations(cpu, tokens, hidden);
    let mut residual = activations(cpu, tokens, hidden);
    let choice = |token: usize, place: usize| ((token * 7 + place * (experts / CHOSEN).max(1)) % experts) as u32;
    let mut routing = Routing { experts_per_row: CHOSEN, experts: Vec::new(), weights: Vec::new() };
    for token in 0..tokens {
        routing.experts.extend((0..CHOSEN).map(|place| choice(token, place)));
        routing.weights.extend([0.25; CHOSEN]);
    }
    let mut touched = routing.experts.clone();
    touched.sort_unstable();
    touched.dedup();
    let mut time = |run: usize| {
        let start = Instant::now();
        cpu.experts(&layers[run % LAYERS], &x, &routing, &mut residual);
        start.elapsed().as_secs_f64()
    };
    let mut seconds: Vec<f64> = (0..runs).map(&mut time).collect();
    let weights = (3 * hidden * hidden) as f64;
    let bytes = weights * touched.len() as f64 * 17.0 / 32.0;
    report(
        &format!("experts, {:?}", cpu.early()),
        &mut seconds,
        bytes,
        weights * (CHOSEN * tokens) as f64,
        sum(cpu, &residual),
    );
}

fn sum(cpu: &Cpu, x: &<Cpu as Backend>::Rows) -> f64 {
    let mut values = Vec::new();
    cpu.read(x, &mut values);
    values.iter().map(|&value| f64::from(value)).sum()
}
