//! Reads memory as fast as it comes, one stream per thread. It must not know whose memory it is.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::cpu::IsaKind;
use crate::pool::Pool;

/// What a thread reads before it takes the next part: long enough for the processor's prefetching, short enough that no thread
/// waits long for another at the end.
const PART_BYTES: usize = 8 << 20;
/// Read by one step of the loop: four cache lines.
const STEP_BYTES: usize = 256;
const STEP_WORDS: usize = STEP_BYTES / 8;

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
    sum_words(bytes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn sum_avx512(bytes: &[u8]) -> u64 {
    sum_words(bytes)
}

/// Written so that the compiler keeps the sums in vectors, each independent of the others.
#[inline(always)]
fn sum_words(bytes: &[u8]) -> u64 {
    let mut sums = [0_u64; STEP_WORDS];
    let (steps, rest) = bytes.as_chunks::<STEP_BYTES>();
    for step in steps {
        let (words, _) = step.as_chunks::<8>();
        for (sum, &word) in sums.iter_mut().zip(words) {
            *sum = sum.wrapping_add(u64::from_le_bytes(word));
        }
    }
    let (words, _) = rest.as_chunks::<8>();
    let rest = words.iter().map(|&word| u64::from_le_bytes(word));
    sums.into_iter().chain(rest).fold(0, u64::wrapping_add)
}
