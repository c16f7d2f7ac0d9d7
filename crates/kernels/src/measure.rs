//! What this machine can do at best: bytes read per second and products per second of each dot product it has. Every figure
//! of the engine is told as a share of these. It must not know models, nor how a figure is shown.
//!
//! Every loop gives its sums back, so that no compiler can leave the work out.

mod dots;
mod reading;

use std::time::{Duration, Instant};

use crate::cpu::IsaKind;
use crate::pool::Pool;

/// A dot product that some kernel is built on. A multiply-accumulate is one product and one sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dot {
    /// f32 times f32 in plain Rust.
    F32Scalar,
    /// u8 times i8, summed in i32, in plain Rust.
    Int8Scalar,
    /// f32 with fused multiply-add, 256 bits.
    F32Avx2,
    /// u8 times i8 by `vpmaddubsw`, `vpmaddwd` and `vpaddd`, 256 bits.
    Int8Avx2,
    /// f32 with fused multiply-add, 512 bits.
    F32Avx512,
    /// u8 times i8, four summed into each i32, by `vpdpbusd`, 512 bits.
    Int8Avx512Vnni,
    /// bf16 times bf16, two summed into each f32, by `vdpbf16ps`, 512 bits.
    Bf16Avx512,
}

/// How fast memory was read.
#[derive(Clone, Copy, Debug)]
pub struct Bandwidth {
    /// Threads that read, each its own parts.
    pub threads: usize,
    /// Bytes read by each run.
    pub bytes: usize,
    /// Of all runs the one in the middle.
    pub bytes_per_second: f64,
    /// Of all runs the fastest.
    pub best_bytes_per_second: f64,
    /// The sum of what was read.
    pub checksum: u64,
}

/// How fast one dot product goes when its inputs lie in the first-level cache.
#[derive(Clone, Copy, Debug)]
pub struct DotPeak {
    /// Which one.
    pub dot: Dot,
    /// Threads that computed, each on its own.
    pub threads: usize,
    /// Of all runs the fastest: what disturbs a run is no property of the processor.
    pub macs_per_second: f64,
    /// The sum of what was computed.
    pub checksum: f64,
}

impl Dot {
    /// All, slowest instruction set first.
    pub const ALL: [Self; 7] = [
        Self::F32Scalar,
        Self::Int8Scalar,
        Self::F32Avx2,
        Self::Int8Avx2,
        Self::F32Avx512,
        Self::Int8Avx512Vnni,
        Self::Bf16Avx512,
    ];

    /// A name for tables and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32Scalar => "f32 scalar",
            Self::Int8Scalar => "int8 scalar",
            Self::F32Avx2 => "f32 avx2 fma",
            Self::Int8Avx2 => "int8 avx2 maddubs",
            Self::F32Avx512 => "f32 avx512 fma",
            Self::Int8Avx512Vnni => "int8 avx512 vnni",
            Self::Bf16Avx512 => "bf16 avx512",
        }
    }

    /// The instruction set that it needs.
    #[must_use]
    pub const fn isa(self) -> IsaKind {
        match self {
            Self::F32Scalar | Self::Int8Scalar => IsaKind::Scalar,
            Self::F32Avx2 | Self::Int8Avx2 => IsaKind::Avx2,
            Self::F32Avx512 => IsaKind::Avx512,
            Self::Int8Avx512Vnni => IsaKind::Avx512Vnni,
            Self::Bf16Avx512 => IsaKind::Avx512Bf16,
        }
    }
}

/// Reads all of `bytes` `runs` times (at least once) on all threads of the pool. The bytes must be many times the last cache, and
/// must have been written (or read, if they are a file's) before, or the first run measures something else.
#[must_use]
pub fn bandwidth(bytes: &[u8], pool: &Pool, runs: usize) -> Bandwidth {
    let mut checksum = 0;
    let mut rates = Vec::new();
    for _ in 0..runs.max(1) {
        let (sum, time) = timed(|| reading::sum(bytes, pool));
        checksum = sum;
        rates.push(bytes.len() as f64 / time.as_secs_f64().max(f64::EPSILON));
    }
    let (bytes_per_second, best_bytes_per_second) = middle_and_most(&mut rates);
    Bandwidth { threads: pool.threads(), bytes: bytes.len(), bytes_per_second, best_bytes_per_second, checksum }
}

/// Measures each dot product that this processor has, `runs` times (at least once) for about `duration`, on all threads of the pool.
#[must_use]
pub fn dot_peaks(pool: &Pool, duration: Duration, runs: usize) -> Vec<DotPeak> {
    Dot::ALL.into_iter().filter_map(|dot| dot_peak(dot, pool, duration, runs)).collect()
}

/// Measures one dot product; `None` when this processor lacks it.
#[must_use]
pub fn dot_peak(dot: Dot, pool: &Pool, duration: Duration, runs: usize) -> Option<DotPeak> {
    let kernel = dots::Kernel::get(dot)?;
    let run = |passes| timed(|| dots::run(&kernel, pool, passes));
    // So many passes that a run takes about as long as asked for.
    let mut passes = 1 << 6;
    while run(passes).1 < duration && passes < 1 << 40 {
        passes *= 2;
    }
    let macs = passes as f64 * kernel.macs_per_pass as f64 * pool.threads() as f64;
    let mut checksum = 0.0;
    let mut rates = Vec::new();
    for _ in 0..runs.max(1) {
        let (sum, time) = run(passes);
        checksum = sum;
        rates.push(macs / time.as_secs_f64().max(f64::EPSILON));
    }
    Some(DotPeak { dot, threads: pool.threads(), macs_per_second: middle_and_most(&mut rates).1, checksum })
}

fn timed<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

fn middle_and_most(rates: &mut [f64]) -> (f64, f64) {
    rates.sort_by(f64::total_cmp);
    (rates[rates.len() / 2], rates[rates.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_are_read() {
        let bytes: Vec<u8> = (0..20_000_003_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let expected = |bytes: &[u8]| {
            let (whole, _) = bytes.as_chunks::<8>();
            whole.iter().fold(0_u64, |sum, &word| sum.wrapping_add(u64::from_le_bytes(word)))
        };
        for threads in [1, 2, 3] {
            let pool = Pool::new(threads).unwrap();
            for length in [0, 7, 8, 255, 256, 264, 20_000_000, 20_000_003] {
                let measured = bandwidth(&bytes[..length], &pool, 2);
                assert_eq!(measured.checksum, expected(&bytes[..length]), "{length} bytes, {threads} threads");
                assert_eq!((measured.bytes, measured.threads), (length, threads));
                assert!(measured.best_bytes_per_second >= measured.bytes_per_second);
            }
        }
    }

    #[test]
    fn every_dot_product_of_this_processor_is_measured_on_the_same_sums() {
        let pool = Pool::new(2).unwrap();
        let peaks = dot_peaks(&pool, Duration::from_micros(200), 3);
        let available = Dot::ALL.into_iter().filter(|dot| dot.isa().is_available()).count();
        assert_eq!(peaks.len(), available);
        for peak in peaks {
            assert!(peak.macs_per_second > 1e6 && peak.macs_per_second < 1e14, "{peak:?}");
            assert!(peak.checksum.is_finite() && peak.checksum != 0.0, "{peak:?}");
        }
    }
}
