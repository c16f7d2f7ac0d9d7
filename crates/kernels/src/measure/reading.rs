//! Reads memory as fast as it comes, one stream per thread. It must not know whose memory it is.

#![expect(clippy::needless_range_loop, reason = "sums are indexed by constants, so that they stay in registers")]

use std::sync::atomic::{AtomicU64, Ordering};

use crate::cpu::IsaKind;
use crate::pool::Pool;

/// What a thread reads before it takes the next part: long enough for the processor's prefetching, short enough that no thread
/// waits long for another at the end.
const PART_BYTES: usize = 8 << 20;
/// Read by one step of the loop: four cache lines.
const STEP_BYTES: usize = 256;

/// The wrapping sum of all whole 64-bit words.
pub(super) fn sum(bytes: &[u8], pool: &Pool) -> u64 {
    let total = AtomicU64::new(0);
    let isa = IsaKind::best();
    pool.run(bytes.len().div_ceil(PART_BYTES), &|part| {
        let start = part * PART_BYTES;
        let end = bytes.len().min(start + PART_BYTES);
        total.fetch_add(sum_on(isa, &bytes[start..end]), Ordering::Relaxed);
    });
    total.into_inner()
}

fn sum_on(isa: IsaKind, bytes: &[u8]) -> u64 {
    match isa {
        IsaKind::Scalar => sum_words(bytes),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `IsaKind::best` gives only what this processor has.
        IsaKind::Avx2 => unsafe { sum_avx2(bytes) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        IsaKind::Avx512 | IsaKind::Avx512Vnni | IsaKind::Avx512Bf16 => unsafe { sum_avx512(bytes) },
        #[cfg(not(target_arch = "x86_64"))]
        IsaKind::Avx2 | IsaKind::Avx512 | IsaKind::Avx512Vnni | IsaKind::Avx512Bf16 => sum_words(bytes),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sum_avx2(bytes: &[u8]) -> u64 {
    use std::arch::x86_64::{__m256i, _mm256_add_epi64, _mm256_loadu_si256, _mm256_setzero_si256, _mm256_storeu_si256};
    let mut sums = [_mm256_setzero_si256(); 8];
    let (steps, rest) = bytes.as_chunks::<STEP_BYTES>();
    for step in steps {
        for lane in 0..8 {
            // SAFETY: a step has eight vectors.
            let value = unsafe { _mm256_loadu_si256(step.as_ptr().cast::<__m256i>().add(lane)) };
            sums[lane] = _mm256_add_epi64(sums[lane], value);
        }
    }
    let mut words = [[0_u64; 4]; 8];
    for (words, &sum) in words.iter_mut().zip(&sums) {
        // SAFETY: four words are a vector.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), sum) };
    }
    words.as_flattened().iter().fold(sum_words(rest), |sum, &word| sum.wrapping_add(word))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn sum_avx512(bytes: &[u8]) -> u64 {
    use std::arch::x86_64::{
        __m512i, _mm512_add_epi64, _mm512_loadu_si512, _mm512_reduce_add_epi64, _mm512_setzero_si512,
    };
    let mut sums = [_mm512_setzero_si512(); 4];
    let (steps, rest) = bytes.as_chunks::<STEP_BYTES>();
    for step in steps {
        for lane in 0..4 {
            // SAFETY: a step has four vectors.
            let value = unsafe { _mm512_loadu_si512(step.as_ptr().cast::<__m512i>().add(lane)) };
            sums[lane] = _mm512_add_epi64(sums[lane], value);
        }
    }
    let whole = _mm512_add_epi64(_mm512_add_epi64(sums[0], sums[1]), _mm512_add_epi64(sums[2], sums[3]));
    sum_words(rest).wrapping_add(_mm512_reduce_add_epi64(whole).cast_unsigned())
}

/// The same in plain Rust.
fn sum_words(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().fold(0, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
}
