//! The training kernels by instruction set: one row each, as in `isa.rs`. It must not know what is computed when.

use super::attention::{self, Gradients, Job};
use super::orthogonal::{self, Moved, MuonStep};
use super::product::{self, Product, Source};
use super::rows::{self, AdamStep};
use crate::cpu::isa::IsaKind;
use crate::cpu::lanes;

/// The kernels of one instruction set; calling one is sound where [`Table::get`] gave it out and its own contract is kept.
pub(super) struct Table {
    /// Rows of a register tile.
    pub(super) tile_rows: usize,
    /// Columns of a register tile.
    pub(super) tile_columns: usize,
    pub(super) pack: unsafe fn(&Source, usize, *mut f32),
    pub(super) multiply: unsafe fn(&Product),
    pub(super) attend: unsafe fn(&Job),
    pub(super) attend_backward: unsafe fn(&Job, &Gradients),
    pub(super) rms_norm: unsafe fn(&[f32], &[f32], f32, &mut [f32]) -> f32,
    pub(super) rms_norm_backward: unsafe fn(&rows::Normed<'_>, &[f32], &mut [f32], &mut [f32]),
    pub(super) rotate: unsafe fn(*mut f32, usize, &[f32], &[f32], f32),
    pub(super) swiglu: unsafe fn(&[f32], &[f32], f32, &mut [f32]),
    pub(super) swiglu_backward: unsafe fn(&mut [f32], &mut [f32], f32, &[f32]),
    pub(super) cross_entropy: unsafe fn(&mut [f32], usize, f32) -> (f32, bool),
    pub(super) muon: unsafe fn(&MuonStep, &Moved),
    pub(super) adam: unsafe fn(&AdamStep, &mut rows::Moving<'_>, &[f32]),
}

impl Table {
    /// The kernels of an instruction set that the caller has found available.
    pub(super) fn get(kind: IsaKind) -> &'static Self {
        match kind {
            IsaKind::Scalar => &scalar::TABLE,
            #[cfg(target_arch = "x86_64")]
            IsaKind::Avx2 => &avx2::TABLE,
            #[cfg(target_arch = "x86_64")]
            IsaKind::Avx512 | IsaKind::Avx512Vnni | IsaKind::Avx512Bf16 => &avx512::TABLE,
            #[cfg(not(target_arch = "x86_64"))]
            IsaKind::Avx2 | IsaKind::Avx512 | IsaKind::Avx512Vnni | IsaKind::Avx512Bf16 => {
                unreachable!("not available on this architecture")
            }
        }
    }
}

macro_rules! instances {
    ($module:ident, $lanes:ty, rows $rows:literal, vectors $vectors:literal, $(#[$feature:meta])?) => {
        mod $module {
            use super::*;
            use crate::cpu::lanes::Lanes;

            pub(super) static TABLE: Table = Table {
                tile_rows: $rows,
                tile_columns: $vectors * <$lanes>::WIDTH,
                pack,
                multiply,
                attend,
                attend_backward,
                rms_norm,
                rms_norm_backward,
                rotate,
                swiglu,
                swiglu_backward,
                cross_entropy,
                muon,
                adam,
            };

            instances!(@ $(#[$feature])? pack, product::pack::<$lanes, $vectors>, (source: &Source, panel: usize, packed: *mut f32) -> ());
            instances!(@ $(#[$feature])? multiply, product::multiply::<$lanes, $rows, $vectors>, (product: &Product) -> ());
            instances!(@ $(#[$feature])? attend, attention::forward::<$lanes, $rows, $vectors>, (job: &Job) -> ());
            instances!(@ $(#[$feature])? attend_backward, attention::backward::<$lanes, $rows, $vectors>, (job: &Job, gradients: &Gradients) -> ());
            instances!(@ $(#[$feature])? rms_norm, crate::cpu::rows::rms_norm::<$lanes>, (x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) -> f32);
            instances!(@ $(#[$feature])? rms_norm_backward, rows::rms_norm_backward::<$lanes>, (input: &rows::Normed<'_>, dy: &[f32], dx: &mut [f32], dw: &mut [f32]) -> ());
            instances!(@ $(#[$feature])? rotate, rows::rotate::<$lanes>, (x: *mut f32, half: usize, cos: &[f32], sin: &[f32], direction: f32) -> ());
            instances!(@ $(#[$feature])? swiglu, rows::swiglu::<$lanes>, (gate: &[f32], up: &[f32], limit: f32, out: &mut [f32]) -> ());
            instances!(@ $(#[$feature])? swiglu_backward, rows::swiglu_backward::<$lanes>, (gate: &mut [f32], up: &mut [f32], limit: f32, dy: &[f32]) -> ());
            instances!(@ $(#[$feature])? cross_entropy, rows::cross_entropy::<$lanes>, (row: &mut [f32], target: usize, weight: f32) -> (f32, bool));
            instances!(@ $(#[$feature])? muon, orthogonal::muon::<$lanes, $rows, $vectors>, (step: &MuonStep, moved: &Moved) -> ());
            instances!(@ $(#[$feature])? adam, rows::adam, (step: &AdamStep, moving: &mut rows::Moving<'_>, gradients: &[f32]) -> ());
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

instances!(scalar, lanes::Scalar, rows 4, vectors 1,);
#[cfg(target_arch = "x86_64")]
instances!(avx2, lanes::Avx2, rows 6, vectors 2, #[target_feature(enable = "avx2,fma,f16c")]);
#[cfg(target_arch = "x86_64")]
instances!(avx512, lanes::Avx512, rows 12, vectors 2, #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]);
