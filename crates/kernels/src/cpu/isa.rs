//! The table of instruction sets: one row each, chosen once per process at run time. It must not know what is computed when.
//!
//! To add an instruction set: implement [`Lanes`](super::lanes::Lanes), add a line to `instances!` below and to `IsaKind`.

use super::attention;
use super::dot;
use super::lanes;
use super::pairs;
use super::panel;
use super::rows;
use super::screen::look;
use super::tile;
use crate::error::Error;
use crate::storage::{DenseFormat, Mxfp4Layout};

/// The instruction sets that kernels exist for, slowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IsaKind {
    /// Plain Rust; runs everywhere.
    Scalar,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// The same with VNNI: sums of four products of bytes at a time (Cascade Lake, Ice Lake).
    Avx512Vnni,
    /// The same with BF16 and VBMI: sums of two products of bf16 at a time, tables of 64 bytes (Sapphire Rapids, Zen 4).
    Avx512Bf16,
}

/// The kernels of one instruction set. Only [`Isa::get`] hands it out, after detection, so calling them is sound as far as
/// the instruction set goes; each entry's own requirements stand at the generic function it instantiates.
pub struct Isa {
    /// Which instruction set this is.
    pub kind: IsaKind,
    pub(super) dot_dense: unsafe fn(DenseFormat, *const u8, usize, *const f32) -> f32,
    pub(super) dot_mxfp4: unsafe fn(Mxfp4Layout, *const u8, *const u8, usize, *const f32) -> f32,
    pub(super) decode_dense: unsafe fn(DenseFormat, *const u8, usize, usize, *mut f32),
    pub(super) decode_mxfp4: unsafe fn(Mxfp4Layout, *const u8, *const u8, usize, usize, *mut f32),
    pub(super) multiply: unsafe fn(&tile::Product),
    /// Rows of a register tile: panels are padded to a multiple of it.
    pub(super) tile_rows: usize,
    pub(super) decode_panel: unsafe fn(*const u8, usize, *mut u8),
    pub(super) multiply_packed: unsafe fn(&panel::Product),
    /// Whether bf16 weights are multiplied with activations rounded to bf16.
    pub(super) bf16_pairs: bool,
    pub(super) quantise: Quantise,
    pub(super) rms_norm: unsafe fn(&[f32], &[f32], f32, &mut [f32]) -> f32,
    pub(super) add_scaled: unsafe fn(&[f32], f32, &mut [f32]),
    pub(super) swiglu: unsafe fn(&[f32], &[f32], f32, &mut [f32]),
    pub(super) attend_f32: unsafe fn(&attention::Job<'_, f32>),
    pub(super) attend_bf16: unsafe fn(&attention::Job<'_, u16>),
    pub(super) attend_q8: unsafe fn(&attention::Job<'_, i8>),
    pub(super) to_bytes: ToBytes,
    pub(super) greatest: unsafe fn(&[f32]) -> (f32, usize),
    pub(super) reaching: unsafe fn(&look::Look<'_>) -> u64,
    /// Kernels over a bf16 cache in pairs, which then takes the place of the other.
    pub(super) pairs: Option<pairs::Kernels>,
    /// The same over an 8-bit cache.
    pub(super) byte_pairs: Option<pairs::Kernels>,
}

/// [`rows::quantise`].
type Quantise = unsafe fn(&[f32], &mut [i8], f32) -> (f32, i32);

/// [`rows::to_bytes`].
pub(super) type ToBytes = unsafe fn(&[f32], &mut [i8]) -> f32;

impl IsaKind {
    /// All kinds, slowest first.
    pub const ALL: [Self; 5] = [Self::Scalar, Self::Avx2, Self::Avx512, Self::Avx512Vnni, Self::Avx512Bf16];

    /// The name that users give.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512vnni",
            Self::Avx512Bf16 => "avx512bf16",
        }
    }

    /// Whether this processor has the instruction set.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => Self::Avx512.is_available() && is_x86_feature_detected!("avx512vnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => {
                Self::Avx512Vnni.is_available()
                    && is_x86_feature_detected!("avx512bf16")
                    && is_x86_feature_detected!("avx512vbmi")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 | Self::Avx512Vnni | Self::Avx512Bf16 => false,
        }
    }

    /// The kinds that this processor has, slowest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|kind| kind.is_available()).collect()
    }

    /// The fastest kind that this processor has.
    #[must_use]
    pub fn best() -> Self {
        Self::available().last().copied().unwrap_or(Self::Scalar)
    }
}

impl Isa {
    /// The kernels of an instruction set, or `None` when this processor lacks it.
    #[must_use]
    pub fn get(kind: IsaKind) -> Option<&'static Self> {
        if !kind.is_available() {
            return None;
        }
        match kind {
            IsaKind::Scalar => Some(&scalar::TABLE),
            #[cfg(target_arch = "x86_64")]
            IsaKind::Avx2 => Some(&avx2::TABLE),
            #[cfg(target_arch = "x86_64")]
            IsaKind::Avx512 => Some(&avx512::TABLE),
            #[cfg(target_arch = "x86_64")]
            IsaKind::Avx512Vnni => Some(&avx512vnni::TABLE),
            #[cfg(target_arch = "x86_64")]
            IsaKind::Avx512Bf16 => Some(&avx512bf16::TABLE),
            #[cfg(not(target_arch = "x86_64"))]
            IsaKind::Avx2 | IsaKind::Avx512 | IsaKind::Avx512Vnni | IsaKind::Avx512Bf16 => None,
        }
    }
}

impl Isa {
    /// The kernels of an instruction set.
    ///
    /// # Errors
    /// When this processor lacks it.
    pub(super) fn require(kind: IsaKind) -> Result<&'static Self, Error> {
        Self::get(kind).ok_or_else(|| Error::IsaUnavailable {
            isa: kind.name(),
            available: IsaKind::available().into_iter().map(IsaKind::name).collect::<Vec<_>>().join(", "),
        })
    }
}

/// Instantiates every generic kernel for one instruction set; the generics are `inline(always)`, so that they are compiled
/// with the features named here.
macro_rules! instances {
    ($module:ident, $kind:ident, $lanes:ty, panels $panels:literal x $panel_tokens:literal, rows $rows:literal, tokens $tokens:literal, $(#[$feature:meta])?) => {
        mod $module {
            use super::*;

            pub(super) static TABLE: Isa = Isa {
                kind: IsaKind::$kind,
                dot_dense,
                dot_mxfp4,
                decode_dense,
                decode_mxfp4,
                multiply,
                tile_rows: $rows,
                decode_panel,
                multiply_packed,
                bf16_pairs: <panel::$kind as panel::PanelLanes>::BF16_PAIRS,
                quantise,
                rms_norm,
                add_scaled,
                swiglu,
                attend_f32,
                attend_bf16,
                attend_q8,
                to_bytes,
                greatest,
                reaching,
                pairs: pairs::kernels(IsaKind::$kind),
                byte_pairs: pairs::byte_kernels(IsaKind::$kind),
            };

            instances!(@ $(#[$feature])? dot_dense, dot::dense::<$lanes>, (format: DenseFormat, row: *const u8, columns: usize, x: *const f32) -> f32);
            instances!(@ $(#[$feature])? dot_mxfp4, dot::mxfp4::<$lanes>, (layout: Mxfp4Layout, blocks: *const u8, scales: *const u8, columns: usize, x: *const f32) -> f32);
            instances!(@ $(#[$feature])? decode_dense, tile::decode_dense::<$lanes>, (format: DenseFormat, row: *const u8, start: usize, length: usize, out: *mut f32) -> ());
            instances!(@ $(#[$feature])? decode_mxfp4, tile::decode_mxfp4::<$lanes>, (layout: Mxfp4Layout, blocks: *const u8, scales: *const u8, start: usize, length: usize, out: *mut f32) -> ());
            instances!(@ $(#[$feature])? multiply, tile::multiply::<$lanes, $rows, $tokens>, (product: &tile::Product) -> ());
            instances!(@ $(#[$feature])? decode_panel, panel::decode::<panel::$kind>, (values: *const u8, blocks: usize, out: *mut u8) -> ());
            instances!(@ $(#[$feature])? multiply_packed, panel::multiply::<panel::$kind, $panels, $panel_tokens>, (product: &panel::Product) -> ());
            instances!(@ $(#[$feature])? quantise, rows::quantise, (x: &[f32], out: &mut [i8], steps: f32) -> (f32, i32));
            instances!(@ $(#[$feature])? rms_norm, rows::rms_norm::<$lanes>, (x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) -> f32);
            instances!(@ $(#[$feature])? add_scaled, rows::add_scaled::<$lanes>, (x: &[f32], factor: f32, out: &mut [f32]) -> ());
            instances!(@ $(#[$feature])? swiglu, rows::swiglu::<$lanes>, (gate: &[f32], up: &[f32], limit: f32, out: &mut [f32]) -> ());
            instances!(@ $(#[$feature])? attend_f32, attention::attend::<$lanes, f32>, (job: &attention::Job<'_, f32>) -> ());
            instances!(@ $(#[$feature])? attend_bf16, attention::attend::<$lanes, u16>, (job: &attention::Job<'_, u16>) -> ());
            instances!(@ $(#[$feature])? attend_q8, attention::attend::<$lanes, i8>, (job: &attention::Job<'_, i8>) -> ());
            instances!(@ $(#[$feature])? to_bytes, rows::to_bytes, (x: &[f32], out: &mut [i8]) -> f32);
            instances!(@ $(#[$feature])? greatest, look::greatest, (values: &[f32]) -> (f32, usize));
            instances!(@ $(#[$feature])? reaching, look::reaching, (look: &look::Look<'_>) -> u64);
        }
    };
    (@ $(#[$feature:meta])? $name:ident, $generic:expr, ($($argument:ident: $type:ty),*) -> $result:ty) => {
        $(#[$feature])?
        unsafe fn $name($($argument: $type),*) -> $result {
            // SAFETY: the caller keeps the generic function's contract, and the table is handed out only where the
            // processor has the instruction set.
            unsafe { $generic($($argument),*) }
        }
    };
}

instances!(scalar, Scalar, lanes::Scalar, panels 1 x 2, rows 2, tokens 2,);
#[cfg(target_arch = "x86_64")]
instances!(avx2, Avx2, lanes::Avx2, panels 1 x 2, rows 3, tokens 4, #[target_feature(enable = "avx2,fma,f16c")]);
#[cfg(target_arch = "x86_64")]
instances!(avx512, Avx512, lanes::Avx512, panels 2 x 5, rows 5, tokens 5, #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]);
#[cfg(target_arch = "x86_64")]
instances!(avx512vnni, Avx512Vnni, lanes::Avx512, panels 2 x 5, rows 5, tokens 5, #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]);
#[cfg(target_arch = "x86_64")]
instances!(avx512bf16, Avx512Bf16, lanes::Avx512, panels 2 x 5, rows 5, tokens 5, #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx512vbmi")]);
