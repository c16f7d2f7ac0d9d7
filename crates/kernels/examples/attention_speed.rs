//! Time of attention at the shape of gpt-oss-20b: `attention_speed [POSITIONS] [PROMPT] [THREADS] [LAYERS] [ISA]
//! [f32|bf16|q8] [SECONDS]`.
//!
//! Half of the layers see everything, half a window of 128. Measures a token after POSITIONS, a prompt of PROMPT tokens at once
//! and the appending of its keys and values, and 512 tokens after as many, by the clock and by the processor time of all threads (waiting workers spin
//! a little, and count). Prints a checksum, so that speed can't be bought with wrong answers.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at what it did not expect")]

use std::time::Instant;

use kernels::{Attention, Backend, Bytes, Cpu, DenseFormat, DenseMatrix, IsaKind, KvPrecision, LinearWeights};

const HEADS: usize = 64;
const KV_HEADS: usize = 8;
const HEAD_DIM: usize = 64;
const WINDOW: usize = 128;

/// Rows appended at a time when a cache is filled.
const FILL_ROWS: usize = 512;

struct Bench {
    cpu: Cpu,
    precision: KvPrecision,
    sinks: Vec<f32>,
    /// Time that a figure is the mean of.
    least_seconds: f64,
}

type CpuRows = <Cpu as Backend>::Rows;
type CpuKv = <Cpu as Backend>::Kv;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: usize| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let (positions, prompt, threads, layers) = (number(0, 16_384), number(1, 4096), number(2, 2), number(3, 24));
    let isa = arguments
        .get(4)
        .map_or(IsaKind::best(), |name| IsaKind::available().into_iter().find(|kind| kind.name() == name).unwrap());
    let precision = match arguments.get(5).map_or("bf16", String::as_str) {
        "f32" => KvPrecision::F32,
        "bf16" => KvPrecision::BF16,
        "q8" => KvPrecision::Q8,
        name => panic!("{name} is not a precision"),
    };
    let least_seconds = arguments.get(6).map_or(0.2, |text| text.parse().unwrap());
    let sinks = (0..HEADS).map(|head| (head % 5) as f32 - 2.0).collect();
    let bench = Bench { cpu: Cpu::new(isa, threads).unwrap(), precision, sinks, least_seconds };
    println!("{} with {threads} threads, {precision:?}", isa.name());
    for (name, window) in [("full", None), ("sliding", Some(WINDOW))] {
        bench.decode(name, window, positions, layers.div_ceil(2));
        bench.prefill(name, window, prompt, layers.div_ceil(2));
    }
}

impl Bench {
    /// Rows of values between −1 and 1 that depend on `seed`.
    fn rows(&self, rows: usize, columns: usize, seed: u32) -> CpuRows {
        let value = |i: usize| {
            let mixed = (i as u32).wrapping_mul(0x9E37_79B9).wrapping_add(seed).wrapping_mul(0x85EB_CA6B);
            (mixed ^ (mixed >> 15)) as f32 / u32::MAX as f32 * 2.0 - 1.0
        };
        let bytes: Vec<u8> = (0..rows * columns).flat_map(|i| value(i).to_le_bytes()).collect();
        let matrix = DenseMatrix { format: DenseFormat::F32, rows, columns, bytes: Bytes::from_vec(bytes) };
        let table = self.cpu.load_linear(LinearWeights { matrix, bias: None });
        let mut out = CpuRows::default();
        self.cpu.embed(&table, &(0..rows as u32).collect::<Vec<_>>(), &mut out);
        out
    }

    fn attend(&self, window: Option<usize>, queries: &CpuRows, kv: &CpuKv, rows: usize, out: &mut CpuRows) {
        let shape = Attention { heads: HEADS, kv_heads: KV_HEADS, head_dim: HEAD_DIM, sinks: &self.sinks, window };
        self.cpu.attend(shape, queries, kv, 0..rows, out);
    }

    fn decode(&self, name: &str, window: Option<usize>, positions: usize, layers: usize) {
        let past = self.rows(FILL_ROWS, KV_HEADS * HEAD_DIM, 1);
        let queries = self.rows(1, HEADS * HEAD_DIM, 2);
        let mut out = CpuRows::default();
        self.cpu.resize(&mut out, 1, HEADS * HEAD_DIM);
        let fill = |_| {
            let mut kv = self.cpu.new_kv(KV_HEADS, HEAD_DIM, window, self.precision);
            for start in (0..positions).step_by(FILL_ROWS) {
                self.cpu.write_kv(&mut kv, &past, &past, 0..FILL_ROWS.min(positions - start));
            }
            kv
        };
        let caches: Vec<CpuKv> = (0..layers).map(fill).collect();
        let bytes: usize = caches.iter().map(|kv| self.cpu.kv_bytes(kv)).sum();
        let keys = window.unwrap_or(positions).min(positions);
        self.measure(&format!("decode {name} at {positions}"), keys * layers, bytes, 1, &mut out, |out| {
            for kv in &caches {
                self.attend(window, &queries, kv, 1, out);
            }
        });
    }

    fn prefill(&self, name: &str, window: Option<usize>, prompt: usize, layers: usize) {
        let past = self.rows(prompt, KV_HEADS * HEAD_DIM, 3);
        let queries = self.rows(prompt, HEADS * HEAD_DIM, 4);
        let mut out = CpuRows::default();
        self.cpu.resize(&mut out, prompt, HEADS * HEAD_DIM);
        let keys: usize = (1..=prompt).map(|seen| window.unwrap_or(seen).min(seen)).sum();
        let mut kv = self.cpu.new_kv(KV_HEADS, HEAD_DIM, window, self.precision);
        self.measure(&format!("append {name} of {prompt}"), 0, 0, layers, &mut out, |_| {
            kv = self.cpu.new_kv(KV_HEADS, HEAD_DIM, window, self.precision);
            self.cpu.write_kv(&mut kv, &past, &past, 0..prompt);
        });
        self.measure(&format!("prefill {name} of {prompt}"), keys, 0, layers, &mut out, |out| {
            self.attend(window, &queries, &kv, prompt, out);
        });
        let seen = |position: usize| window.unwrap_or(position).min(position);
        let keys: usize = (prompt + 1..=prompt + FILL_ROWS).map(seen).sum();
        let (past, queries) = (self.rows(FILL_ROWS, KV_HEADS * HEAD_DIM, 5), self.rows(FILL_ROWS, HEADS * HEAD_DIM, 6));
        self.cpu.write_kv(&mut kv, &past, &past, 0..FILL_ROWS);
        self.cpu.resize(&mut out, FILL_ROWS, HEADS * HEAD_DIM);
        self.measure(&format!("chunk {name} of {FILL_ROWS} after {prompt}"), keys, 0, layers, &mut out, |out| {
            self.attend(window, &queries, &kv, FILL_ROWS, out);
        });
    }

    /// `keys` counts what all queries see; `scale` brings the time to all layers.
    fn measure(
        &self,
        what: &str,
        keys: usize,
        bytes: usize,
        scale: usize,
        out: &mut CpuRows,
        mut run: impl FnMut(&mut CpuRows),
    ) {
        // Enough rounds that the system, which counts processor time in steps of milliseconds, counts them well.
        let start = Instant::now();
        run(out);
        let rounds = (self.least_seconds / start.elapsed().as_secs_f64()).clamp(1.0, 1e5).ceil();
        let mut times = Vec::new();
        for _ in 0..5 {
            let (start, spent) = (Instant::now(), processor_seconds());
            (0..rounds as u32).for_each(|_| run(out));
            times.push((start.elapsed().as_secs_f64() / rounds, (processor_seconds() - spent) / rounds));
        }
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let clock = median(&mut times.iter().map(|time| time.0).collect());
        let processor = median(&mut times.iter().map(|time| time.1).collect());
        let macs = (2 * keys * HEADS * HEAD_DIM) as f64;
        let mut values = Vec::new();
        self.cpu.read(out, &mut values);
        let checksum: f64 =
            values.iter().enumerate().map(|(i, &value)| f64::from(value) * ((i % 7) as f64 + 1.0)).sum();
        println!(
            "{what}: {:.2} ms by the clock, {:.2} ms of processor time for all layers; {:.1} GMAC/s by the clock, {:.1} \
             per processor; {:.1} GB/s; checksum {checksum:.4}",
            clock * scale as f64 * 1e3,
            processor * scale as f64 * 1e3,
            macs / clock * 1e-9,
            macs / processor * 1e-9,
            bytes as f64 / clock * 1e-9,
        );
    }
}

/// Processor time of this process's threads, where Linux tells it; else zero.
fn processor_seconds() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let spent = |task: std::fs::DirEntry| -> Option<f64> {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    tasks.filter_map(|task| spent(task.ok()?)).sum::<f64>() * 1e-9
}
