//! The inner loops of matrix products, reduced to what limits them: a register tile of dot products whose inputs come from the
//! first-level cache. It must not know what a weight is.
//!
//! A tile of `ROWS` by `TOKENS` sums hides the latency of each; every vector that is loaded is used several times, as in a real
//! kernel. Where the inputs lie is hidden from the compiler anew in every pass, so that nothing is computed once and used twice.

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::PoisonError;

use super::Dot;
use crate::pool::Pool;

/// Vectors that each row and each token has.
const DEPTH: usize = 16;
/// The longest vector, in bytes.
const VECTOR_BYTES: usize = 64;
/// More rows or tokens has no tile.
const TILE_MAX: usize = 6;
const INPUT_BYTES: usize = DEPTH * TILE_MAX * VECTOR_BYTES;

/// A dot product's loop, to be had only where the processor can run it.
pub(super) struct Kernel {
    pass: unsafe fn(&Inputs, usize) -> f64,
    pub(super) macs_per_pass: usize,
    inputs: Inputs,
}

/// Rows and tokens in one encoding, in the order in which the loop takes them.
#[repr(align(64))]
struct Inputs {
    rows: [u8; INPUT_BYTES],
    tokens: [u8; INPUT_BYTES],
}

/// Vectors of inputs and of sums.
///
/// # Safety
/// All methods require the instruction set that [`Dot::isa`] names; `load` reads `BYTES` bytes, at any address.
trait DotLanes {
    /// Bytes of a vector of inputs.
    const BYTES: usize;
    /// Multiply-accumulates of one `dot`.
    const MACS: usize;
    type Input: Copy;
    type Sums: Copy;

    unsafe fn load(from: *const u8) -> Self::Input;
    unsafe fn zero() -> Self::Sums;
    unsafe fn dot(sums: Self::Sums, row: Self::Input, token: Self::Input) -> Self::Sums;
    unsafe fn total(sums: Self::Sums) -> f64;
}

struct F32Scalar;
struct Int8Scalar;

/// Runs `passes` passes on every thread of the pool and gives the sum of all sums.
pub(super) fn run(kernel: &Kernel, pool: &Pool, passes: usize) -> f64 {
    let total = Mutex::new(0.0);
    pool.run(pool.threads(), &|_| {
        // SAFETY: `Kernel::get` gave the kernel after detection.
        let sum = unsafe { (kernel.pass)(&kernel.inputs, passes) };
        *total.lock().unwrap_or_else(PoisonError::into_inner) += sum;
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Kernel {
    /// The loop of a dot product; `None` when this processor lacks it.
    pub(super) fn get(dot: Dot) -> Option<Self> {
        if !dot.isa().is_available() {
            return None;
        }
        match dot {
            Dot::F32Scalar => Some(Self::of::<F32Scalar, 4, 4>(f32_scalar, Inputs::of_f32())),
            Dot::Int8Scalar => Some(Self::of::<Int8Scalar, 4, 4>(int8_scalar, Inputs::of_int8())),
            #[cfg(target_arch = "x86_64")]
            Dot::F32Avx2 => Some(Self::of::<x86::F32Avx2, 3, 4>(f32_avx2, Inputs::of_f32())),
            #[cfg(target_arch = "x86_64")]
            Dot::Int8Avx2 => Some(Self::of::<x86::Int8Avx2, 2, 4>(int8_avx2, Inputs::of_int8())),
            #[cfg(target_arch = "x86_64")]
            Dot::F32Avx512 => Some(Self::of::<x86::F32Avx512, 3, 5>(f32_avx512, Inputs::of_f32())),
            #[cfg(target_arch = "x86_64")]
            Dot::Int8Avx512Vnni => Some(Self::of::<x86::Int8Avx512Vnni, 4, 6>(int8_avx512_vnni, Inputs::of_int8())),
            #[cfg(target_arch = "x86_64")]
            Dot::Bf16Avx512 => Some(Self::of::<x86::Bf16Avx512, 3, 5>(bf16_avx512, Inputs::of_bf16())),
            #[cfg(not(target_arch = "x86_64"))]
            Dot::F32Avx2 | Dot::Int8Avx2 | Dot::F32Avx512 | Dot::Int8Avx512Vnni | Dot::Bf16Avx512 => None,
        }
    }

    fn of<D: DotLanes, const ROWS: usize, const TOKENS: usize>(
        pass: unsafe fn(&Inputs, usize) -> f64,
        inputs: Inputs,
    ) -> Self {
        Self { pass, macs_per_pass: DEPTH * ROWS * TOKENS * D::MACS, inputs }
    }
}

impl Inputs {
    /// Small whole numbers, so that sums stay exact and finite for any number of passes that a person waits for.
    fn filled(value: impl Fn(usize) -> u8) -> Self {
        Self { rows: std::array::from_fn(&value), tokens: std::array::from_fn(value) }
    }

    fn of_int8() -> Self {
        Self::filled(|at| (at % 5) as u8)
    }

    fn of_f32() -> Self {
        Self::filled(|at| if at % 8 < 4 { 1.0_f32 } else { -0.5 }.to_le_bytes()[at % 4])
    }

    fn of_bf16() -> Self {
        // The upper halves of the same numbers.
        Self::filled(|at| if at % 4 < 2 { 1.0_f32 } else { -0.5 }.to_le_bytes()[2 + at % 2])
    }
}

/// Loops count to constants and index, because iterators' own functions lack the instruction set and would not be inlined: the
/// sums would live in memory.
///
/// # Safety
/// The processor has the instruction set of `D`.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "iterators would keep the sums in memory")]
unsafe fn tile<D: DotLanes, const ROWS: usize, const TOKENS: usize>(inputs: &Inputs, passes: usize) -> f64 {
    const { assert!(ROWS <= TILE_MAX && TOKENS <= TILE_MAX && D::BYTES <= VECTOR_BYTES) };
    // SAFETY: the instruction set is the caller's promise. `rows` and `tokens` each hold `DEPTH × TILE_MAX` vectors of the
    // longest kind, and no more than `DEPTH × ROWS` and `DEPTH × TOKENS` of at most that length are loaded.
    unsafe {
        let mut sums = [[D::zero(); TOKENS]; ROWS];
        for _ in 0..passes {
            let mut row = black_box(inputs.rows.as_ptr());
            let mut token = black_box(inputs.tokens.as_ptr());
            for _ in 0..DEPTH {
                let mut rows = [D::load(row); ROWS];
                for r in 1..ROWS {
                    rows[r] = D::load(row.add(r * D::BYTES));
                }
                for t in 0..TOKENS {
                    let token = D::load(token.add(t * D::BYTES));
                    for r in 0..ROWS {
                        sums[r][t] = D::dot(sums[r][t], rows[r], token);
                    }
                }
                row = row.add(ROWS * D::BYTES);
                token = token.add(TOKENS * D::BYTES);
            }
        }
        let mut total = 0.0;
        for r in 0..ROWS {
            for t in 0..TOKENS {
                total += D::total(sums[r][t]);
            }
        }
        total
    }
}

macro_rules! instances {
    ($($(#[$attribute:meta])* $name:ident: $lanes:ty, $rows:literal, $tokens:literal;)*) => {
        $(
            $(#[$attribute])*
            unsafe fn $name(inputs: &Inputs, passes: usize) -> f64 {
                // SAFETY: reached only through `Kernel`, which exists only where the instruction set does.
                unsafe { tile::<$lanes, $rows, $tokens>(inputs, passes) }
            }
        )*
    };
}

instances! {
    f32_scalar: F32Scalar, 4, 4;
    int8_scalar: Int8Scalar, 4, 4;
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    f32_avx2: x86::F32Avx2, 3, 4;
    // Its last instruction takes one cycle, so eight sums are enough, and twelve would not fit into sixteen registers.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    int8_avx2: x86::Int8Avx2, 2, 4;
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    f32_avx512: x86::F32Avx512, 3, 5;
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    int8_avx512_vnni: x86::Int8Avx512Vnni, 4, 6;
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    bf16_avx512: x86::Bf16Avx512, 3, 5;
}

impl DotLanes for F32Scalar {
    const BYTES: usize = 4;
    const MACS: usize = 1;
    type Input = f32;
    type Sums = f32;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> f32 {
        // SAFETY: the caller's pointer is valid for `BYTES` bytes.
        unsafe { from.cast::<f32>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn zero() -> f32 {
        0.0
    }
    #[inline(always)]
    unsafe fn dot(sums: f32, row: f32, token: f32) -> f32 {
        sums + row * token
    }
    #[inline(always)]
    unsafe fn total(sums: f32) -> f64 {
        f64::from(sums)
    }
}

impl DotLanes for Int8Scalar {
    const BYTES: usize = 1;
    const MACS: usize = 1;
    type Input = u8;
    type Sums = i32;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> u8 {
        // SAFETY: the caller's pointer is valid for `BYTES` bytes.
        unsafe { from.read() }
    }
    #[inline(always)]
    unsafe fn zero() -> i32 {
        0
    }
    #[inline(always)]
    unsafe fn dot(sums: i32, row: u8, token: u8) -> i32 {
        sums.wrapping_add(i32::from(row) * i32::from(token as i8))
    }
    #[inline(always)]
    unsafe fn total(sums: i32) -> f64 {
        f64::from(sums)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests {
    use super::*;

    /// What a pass must sum to, from the inputs' bytes alone.
    fn expected(
        inputs: &Inputs,
        element: usize,
        value: impl Fn(&[u8]) -> f64,
        rows: usize,
        tokens: usize,
        vector: usize,
    ) -> f64 {
        let mut total = 0.0;
        for step in 0..DEPTH {
            for (row, token) in (0..rows).flat_map(|row| (0..tokens).map(move |token| (row, token))) {
                for at in (0..vector).step_by(element) {
                    let row = (step * rows + row) * vector + at;
                    let token = (step * tokens + token) * vector + at;
                    total += value(&inputs.rows[row..row + element]) * value(&inputs.tokens[token..token + element]);
                }
            }
        }
        total
    }

    #[test]
    fn passes_sum_every_product() {
        let int8 = |bytes: &[u8]| f64::from(bytes[0]);
        let f32 = |bytes: &[u8]| f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        let bf16 = |bytes: &[u8]| f64::from(f32::from_le_bytes([0, 0, bytes[0], bytes[1]]));
        let pool = Pool::new(2).unwrap();
        for dot in Dot::ALL {
            let Some(kernel) = Kernel::get(dot) else { continue };
            let inputs = &kernel.inputs;
            let one = match dot {
                Dot::F32Scalar => expected(inputs, 4, f32, 4, 4, 4),
                Dot::Int8Scalar => expected(inputs, 1, int8, 4, 4, 1),
                Dot::F32Avx2 => expected(inputs, 4, f32, 3, 4, 32),
                Dot::Int8Avx2 => expected(inputs, 1, int8, 2, 4, 32),
                Dot::F32Avx512 => expected(inputs, 4, f32, 3, 5, 64),
                Dot::Int8Avx512Vnni => expected(inputs, 1, int8, 4, 6, 64),
                Dot::Bf16Avx512 => expected(inputs, 2, bf16, 3, 5, 64),
            };
            assert!(one != 0.0, "{dot:?}");
            assert_eq!(run(&kernel, &pool, 3), 2.0 * 3.0 * one, "{dot:?}");
        }
    }
}
