//! Attention over the blocks of the cache: windows, chunks, both precisions, extreme scores, values that are not numbers, memory.

use std::f32::consts::LOG2_E;

use kernels::decode::{bf16_to_f32, f32_to_bf16};
use kernels::{Attention, Backend, Cpu, IsaKind, KvPrecision, Reference};

use crate::random::Random;
use crate::{assert_close, backends, compare, read, rows};

/// The inputs of a layer's attention for one sequence.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) window: Option<usize>,
    pub(crate) precision: KvPrecision,
    /// Whether the scaled queries are bf16 values.
    pub(crate) exact_queries: bool,
    pub(crate) sinks: Vec<f32>,
    /// `[positions, heads · head_dim]`.
    pub(crate) queries: Vec<f32>,
    /// `[positions, kv_heads · head_dim]`.
    pub(crate) keys: Vec<f32>,
    /// `[positions, kv_heads · head_dim]`.
    pub(crate) values: Vec<f32>,
}

/// How far results may be off, as a share of the greatest.
///
/// The kernels over pairs round weights to bf16, 2⁻⁹ of each at most; half of that goes into the sum they are divided by, so
/// that results are off by 2⁻⁸ at most and mostly by a tenth of it. They round the scaled queries likewise, which makes scores
/// of these tests off by about 2e-3 and now and then by four times as much, unless the queries are exact (see
/// [`Case::with_exact_queries`]). Over pairs of bytes, queries and weights have 15 bits below their greatest's power of two: scores
/// are off by about 4e-5 here and weights by less. All other kernels round nothing but their f32 sums; the bytes themselves are the
/// reference's.
fn tolerance(isa: IsaKind, case: &Case) -> f32 {
    match (isa, case.precision) {
        (IsaKind::Avx512Bf16, KvPrecision::BF16) if case.exact_queries => 4e-3,
        (IsaKind::Avx512Bf16, KvPrecision::BF16) => 2e-2,
        (IsaKind::Avx512Bf16 | IsaKind::Avx512Vnni, KvPrecision::Q8) if case.head_dim.is_multiple_of(2) => 3e-4,
        _ => 5e-6,
    }
}

impl Case {
    pub(crate) fn new(
        random: &mut Random,
        (heads, kv_heads, head_dim): (usize, usize, usize),
        positions: usize,
    ) -> Self {
        Self {
            heads,
            kv_heads,
            head_dim,
            window: None,
            precision: KvPrecision::F32,
            exact_queries: false,
            sinks: random.values(heads),
            queries: random.values(positions * heads * head_dim).iter().map(|query| 3.0 * query).collect(),
            keys: random.values(positions * kv_heads * head_dim),
            values: random.values(positions * kv_heads * head_dim),
        }
    }

    /// Moves the queries to where scaling (by log₂ e / √head_dim, since weights are powers of two) makes bf16 values of them.
    fn with_exact_queries(mut self) -> Self {
        let scale = LOG2_E / (self.head_dim as f32).sqrt();
        for query in &mut self.queries {
            *query = bf16_to_f32(f32_to_bf16(*query * scale)) / scale;
        }
        Self { exact_queries: true, ..self }
    }

    /// `[positions, heads · head_dim]`, appended in chunks.
    pub(crate) fn run<B: Backend>(&self, backend: &B, chunks: &[usize]) -> Vec<f32> {
        self.run_after(backend, 0, chunks)
    }

    /// Runs the reference and every CPU backend, lets `check` look at each result, and compares with a tolerance of `least`
    /// or more.
    pub(crate) fn compare(
        &self,
        what: &str,
        (past, chunks): (usize, &[usize]),
        least: f32,
        check: impl Fn(&str, &[f32]),
    ) {
        let what = format!("{what}, {}, {past} and {chunks:?} positions", self.what());
        let expected = self.run_after(&Reference, past, chunks);
        check(&what, &expected);
        for (name, cpu) in backends() {
            let what = format!("{what}, {name}");
            let found = self.run_after(&cpu, past, chunks);
            check(&what, &found);
            assert_close(&found, &expected, tolerance(cpu.isa(), self).max(least), &what);
        }
    }

    /// The same for the last `chunks` after positions whose queries nobody asks about.
    pub(crate) fn run_after<B: Backend>(&self, backend: &B, past: usize, chunks: &[usize]) -> Vec<f32> {
        let &Self { heads, kv_heads, head_dim, window, precision, .. } = self;
        let shape = Attention { heads, kv_heads, head_dim, sinks: &self.sinks, window };
        let queries = rows(backend, &self.queries, heads * head_dim);
        let keys = rows(backend, &self.keys, kv_heads * head_dim);
        let values = rows(backend, &self.values, kv_heads * head_dim);
        let mut kv = backend.new_kv(kv_heads, head_dim, window, precision);
        let mut out = Default::default();
        backend.resize(&mut out, past + chunks.iter().sum::<usize>(), heads * head_dim);
        backend.write_kv(&mut kv, &keys, &values, 0..past);
        let mut start = past;
        for &chunk in chunks {
            backend.write_kv(&mut kv, &keys, &values, start..start + chunk);
            backend.attend(shape, &queries, &kv, start..start + chunk, &mut out);
            start += chunk;
        }
        read(backend, &out).split_off(past * heads * head_dim)
    }

    pub(crate) fn what(&self) -> String {
        let Self { heads, kv_heads, head_dim, window, precision, .. } = self;
        format!("{heads}/{kv_heads} heads of {head_dim}, window {window:?}, {precision:?}")
    }
}

#[test]
fn attention_over_windows_chunks_and_precisions() {
    let mut random = Random::new(4);
    for shape in [(1, 1, 64), (8, 2, 64), (6, 3, 32), (5, 5, 18), (4, 1, 80), (3, 1, 130)] {
        let chunks: &[usize] = if shape.2 == 64 { &[1, 70, 1, 128, 3, 64, 33] } else { &[5, 1, 77] };
        for window in [None, Some(1), Some(8), Some(64), Some(100)] {
            for precision in [KvPrecision::F32, KvPrecision::BF16, KvPrecision::Q8] {
                let case = Case { window, precision, ..Case::new(&mut random, shape, chunks.iter().sum()) };
                case.compare("several chunks", (0, chunks), 0.0, |_, _| ());
            }
        }
    }
}

#[test]
fn rounded_caches_over_block_edges_windows_and_groups() {
    let mut random = Random::new(40);
    let windows = [None, Some(1), Some(5), Some(63), Some(64), Some(65), Some(128)];
    for shape in
        [(8, 1, 64), (6, 2, 64), (1, 1, 64), (16, 2, 32), (3, 1, 18), (8, 1, 18), (2, 2, 80), (5, 1, 2), (4, 2, 7)]
    {
        for window in windows {
            let chunks = [1, 14, 1, 15, 1, 1, 30, 1, 1, 63, 64, 65, 17, 1, 1];
            for precision in [KvPrecision::BF16, KvPrecision::Q8] {
                let new = Case::new(&mut random, shape, chunks.iter().sum());
                let case = Case { window, precision, ..new }.with_exact_queries();
                case.compare("edges", (0, &chunks), 0.0, |_, _| ());
                // What was appended when does not change what is rounded, only the order of f32 sums.
                for (name, cpu) in backends() {
                    let apart = case.run(&cpu, &chunks);
                    let together = case.run(&cpu, &[chunks.iter().sum()]);
                    assert_close(&apart, &together, 5e-6, &format!("in chunks and at once, {}, {name}", case.what()));
                }
            }
        }
    }
}

#[test]
fn long_contexts_of_a_few_rows_are_cut_by_positions() {
    let mut random = Random::new(41);
    for (shape, past) in [((8, 1, 64), 1023), ((3, 1, 32), 2047), ((4, 2, 18), 3170)] {
        for window in [None, Some(1500)] {
            for precision in [KvPrecision::F32, KvPrecision::BF16, KvPrecision::Q8] {
                let chunks = [1, 1, 16, 2, 17, 1];
                let new = Case::new(&mut random, shape, past + chunks.iter().sum::<usize>());
                let mut case = Case { window, precision, ..new }.with_exact_queries();
                // A sink that weighs as much as a thousand positions.
                case.sinks.iter_mut().for_each(|sink| *sink += 7.0);
                case.compare("long", (past, &chunks), 0.0, |_, _| ());
                // The greatest scores lie in a part of their own, far above the sink and the others.
                let columns = case.kv_heads * case.head_dim;
                case.keys[700 * columns..720 * columns].iter_mut().for_each(|key| *key *= 30.0);
                // Scores in the hundreds carry an f32 rounding of about 1e-4, and so do their weights; queries of 15 bits make
                // scores off by thirty times as much as usual.
                let least = if precision == KvPrecision::Q8 { 8e-3 } else { 2e-3 };
                case.compare("long, uneven", (past, &chunks), least, |_, _| ());
            }
        }
    }
}

#[test]
fn scores_of_hundreds_and_sinks_of_a_thousand() {
    let mut random = Random::new(9);
    for window in [None, Some(8)] {
        let mut case = Case { window, ..Case::new(&mut random, (8, 2, 64), 150) };
        // Under a sink this great nothing may be left of the values, not even a billionth.
        case.sinks.fill(1000.0);
        compare!(5e-6, format!("great sinks, {}", case.what()), |backend| {
            let found = case.run(backend, &[150]);
            assert!(found.iter().all(|value| value.abs() < 1e-30));
            found
        });
        case.sinks.fill(-1000.0);
        compare!(5e-6, format!("small sinks, {}", case.what()), |backend| case.run(backend, &[149, 1]));
        // Scores in the hundreds carry an f32 rounding of about 1e-4, and so do their weights.
        case.queries.iter_mut().for_each(|query| *query *= 100.0);
        for sinks in [[-1000.0; 8], [1000.0, -1000.0, 0.0, 300.0, 1000.0, -1000.0, 0.0, 300.0]] {
            case.sinks = sinks.to_vec();
            compare!(2e-3, format!("great scores, {}", case.what()), |backend| case.run(backend, &[100, 50]));
        }
    }
}

#[test]
fn what_is_not_a_number_reaches_those_who_see_it_and_nobody_else() {
    for shape in [(8, 1, 64), (3, 3, 32), (6, 2, 18)] {
        let (queries, columns) = (shape.0 * shape.2, shape.1 * shape.2);
        for window in [None, Some(1), Some(3), Some(70)] {
            for precision in [KvPrecision::F32, KvPrecision::BF16, KvPrecision::Q8] {
                for (position, value) in [(0, f32::NAN), (66, f32::INFINITY), (67, f32::NEG_INFINITY), (129, f32::NAN)]
                {
                    let sees = |row: usize| row >= position && window.is_none_or(|window| row < position + window);
                    let clean = || Case { window, precision, ..Case::new(&mut Random::new(11), shape, 140) };
                    let (mut query, mut key, mut of_value) = (clean(), clean(), clean());
                    query.queries[position * queries] = f32::NAN;
                    key.keys[position * columns] = f32::NAN;
                    of_value.values[position * columns] = value;
                    for (name, case, hit) in [
                        ("query", &query, &(|row| row == position) as &dyn Fn(usize) -> bool),
                        ("key", &key, &sees),
                        ("value", &of_value, &sees),
                    ] {
                        let what = format!("{value} in {name} {position}");
                        case.compare(&what, (0, &[140]), 0.0, |what, found| {
                            for (row, found) in found.chunks_exact(queries).enumerate() {
                                assert_eq!(!found[0].is_finite(), hit(row), "{what}, row {row}");
                            }
                        });
                    }
                }
            }
        }
    }
}

#[test]
fn a_window_bounds_the_cache() {
    let cpu = Cpu::new(IsaKind::best(), 1).expect("available");
    let row = rows(&cpu, &[1.0; 600 * 18], 18);
    let mut random = Random::new(12);
    let most = |window, chunk| Cpu::kv_bytes_max(1, 18, window, KvPrecision::BF16, usize::MAX, chunk);
    // A block of 64 positions holds a key of 18 and a value of 18 rounded up to 32.
    let block = 64 * (18 + 32) * 2;
    assert_eq!(Cpu::kv_bytes_per_position(1, 18, KvPrecision::BF16), (18 + 32) * 2);
    // Bytes, and a scale of 4 bytes each for the key and the value.
    assert_eq!(Cpu::kv_bytes_per_position(1, 18, KvPrecision::Q8), 18 + 32 + 2 * 4);
    assert_eq!((most(Some(128), 1), most(Some(1), 64), most(Some(1), 1)), (3 * block, 2 * block, block));
    for window in [None, Some(1), Some(8), Some(63), Some(64), Some(65), Some(128)] {
        for chunk in [1, 2, 63, 64, 65, 100, 512, 600] {
            let mut kv = cpu.new_kv(1, 18, window, KvPrecision::BF16);
            let (mut positions, mut greatest) = (0, 0);
            for round in 0..300 {
                // Full chunks now and then, and a step back and forth that reaches every alignment.
                let rows = if round % 3 == 0 { chunk } else { 1 + random.next() as usize % chunk };
                cpu.write_kv(&mut kv, &row, &row, 0..rows);
                positions += rows;
                let planned = Cpu::kv_bytes_max(1, 18, window, KvPrecision::BF16, positions, chunk);
                let found = cpu.kv_bytes(&kv);
                assert!(found <= planned, "window {window:?}, chunk {chunk}, {positions}: {found} and {planned}");
                greatest = greatest.max(found);
            }
            let planned = Cpu::kv_bytes_max(1, 18, window, KvPrecision::BF16, positions, chunk);
            assert!(greatest >= planned - block, "window {window:?}, chunk {chunk}: {greatest} and {planned}");
            assert!(window.is_none() || planned == most(window, chunk));
        }
    }
}
