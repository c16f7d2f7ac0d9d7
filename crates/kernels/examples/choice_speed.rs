//! Times an unembedding as large as gpt-oss's, all logits beside those that a choice needs, in turn. It knows no model.
//!
//! `cargo run --release -p kernels --example choice_speed -- [SPREAD_PERCENT] [RUNS] [EARLY]`. SPREAD_PERCENT is the logits' standard
//! deviation: the smaller it is, the more tokens could be drawn. EARLY says whether products of few tokens ask for weights early.

#![expect(clippy::print_stdout, reason = "a benchmark talks to its user")]

use std::time::Instant;

use kernels::{
    Backend, Bytes, Choice, Cpu, DenseFormat, DenseMatrix, Early, IsaKind, LinearWeights, WeightForm, decode,
};

const ROWS: usize = 201_088;
const COLUMNS: usize = 2880;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|text| text.parse().expect("a number")).collect();
    let spread = numbers.first().copied().unwrap_or(200) as f32 / 100.0;
    let runs = numbers.get(1).copied().unwrap_or(9);
    let early = numbers.get(2).is_some_and(|&early| early > 0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let matrix = bell(ROWS, COLUMNS, spread / (COLUMNS as f32).sqrt(), 1);
    for form in [WeightForm::PackedEight, WeightForm::Packed] {
        let cpu = Cpu::with_form(IsaKind::best(), threads, form).expect("this processor's best");
        let cpu = cpu.with_early(Early { one: early, few: early });
        let start = Instant::now();
        let layer = cpu.load_unembedding(LinearWeights { matrix: matrix.clone(), bias: None });
        println!("{form:?}, packed in {:.1} s", start.elapsed().as_secs_f64());
        for count in [1, 2, 4, 8, 16] {
            let table = cpu.load_exact_linear(LinearWeights { matrix: bell(count, COLUMNS, 1.0, 2), bias: None });
            let (mut x, mut out) = Default::default();
            cpu.embed(&table, &(0..count as u32).collect::<Vec<_>>(), &mut x);
            let mut times = [const { Vec::new() }; 3];
            for run in 0..runs {
                for (way, times) in times.iter_mut().enumerate() {
                    let temperature = [0.0, 0.0, 1.0][way];
                    let choices: Vec<Choice> =
                        (0..count).map(|row| Choice { temperature, seed: run as u64, draw: row as u64 }).collect();
                    let start = Instant::now();
                    if way == 0 {
                        cpu.linear(&layer, &x, &mut out);
                    } else {
                        cpu.choosable(&layer, &x, &choices, &mut out);
                    }
                    times.push(start.elapsed().as_secs_f64() * 1e3);
                }
            }
            let [all, greatest, drawn] = times.map(|mut times| {
                times.sort_by(f64::total_cmp);
                times[times.len() / 2]
            });
            let (greatest_share, drawn_share) = (greatest / all, drawn / all);
            println!(
                "{count:>3} rows: all {all:6.2} ms, the greatest {greatest:6.2} ({greatest_share:.2}), one drawn {drawn:6.2} ({drawn_share:.2})"
            );
        }
    }
}

/// bf16 numbers about as a normal distribution has them.
fn bell(rows: usize, columns: usize, deviation: f32, seed: u64) -> DenseMatrix {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(2 * rows * columns);
    for _ in 0..rows * columns {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Four uniform numbers of 12 bits; their sum's deviation is 4096 · √(4 / 12).
        let sum: u64 = (0..4).map(|part| state >> (16 + 12 * part) & 0xFFF).sum();
        let value = (sum as f32 - 8190.0) / 2364.8 * deviation;
        bytes.extend(decode::f32_to_bf16(value).to_le_bytes());
    }
    DenseMatrix { format: DenseFormat::BF16, rows, columns, bytes: Bytes::from_vec(bytes) }
}
