//! How the values of a panel lie, and what of them depends on it: vectors of weights, scales and sums. It must not know tiles.

use std::ops::RangeInclusive;

use super::PanelLanes;
use crate::cpu::early::Early;
use crate::packed::{BLOCK_COLUMNS, PANEL_ROWS, PackedFormat};

/// Bytes of a block of decoded codes.
const CODE_BYTES: usize = PANEL_ROWS * BLOCK_COLUMNS;

/// Most tokens for which dense weights are not asked for early.
const DENSE_TOKENS_UNASKED: usize = 2;

/// How the values of a panel lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cpu) enum Encoding {
    /// Nibbles of E2M1.
    Mxfp4,
    /// The same decoded by [`decode`](super::decode).
    Codes,
    /// Decoded, with scales and activations' scales whose products are normal numbers for sure: see [`is_moderate`].
    ModerateCodes,
    Q8,
    BF16,
}

impl Encoding {
    pub(in crate::cpu) const fn of(format: PackedFormat) -> Self {
        match format {
            PackedFormat::Mxfp4 => Self::Mxfp4,
            PackedFormat::Q8 => Self::Q8,
            PackedFormat::BF16 => Self::BF16,
        }
    }

    /// Most tokens that are multiplied panel by panel, straight from this encoding: tiles of several panels read it in several
    /// streams, and nibbles must be decoded first for them. By measurement: what asks early keeps up for longer.
    pub(in crate::cpu) const fn direct_tokens_max(self, early: Early) -> usize {
        match (self, early.few) {
            (Self::Mxfp4, true) => 32,
            (Self::Mxfp4 | Self::BF16, _) | (Self::Q8, true) => 16,
            (Self::Q8, false) => 4,
            (Self::Codes | Self::ModerateCodes, _) => 0,
        }
    }

    /// Whether so many tokens ask for weights before they read them. Dense weights come at full speed without it unless there is
    /// much to compute with each.
    pub(super) const fn asks(self, early: Early, tokens: usize) -> bool {
        match self {
            Self::Mxfp4 if tokens == 1 => early.one,
            Self::Mxfp4 => early.few,
            Self::Q8 | Self::BF16 => early.few && tokens > DENSE_TOKENS_UNASKED,
            Self::Codes | Self::ModerateCodes => false,
        }
    }

    /// Bytes of the scales of a block, all rows together.
    pub(super) fn scale_bytes(self) -> usize {
        match self {
            Self::Mxfp4 | Self::Codes | Self::ModerateCodes => PackedFormat::Mxfp4.scale_bytes(),
            Self::Q8 => PackedFormat::Q8.scale_bytes(),
            Self::BF16 => PackedFormat::BF16.scale_bytes(),
        }
    }

    /// Whether it is what [`decode`](super::decode) makes.
    pub(super) fn is_decoded(self) -> bool {
        matches!(self, Self::Codes | Self::ModerateCodes)
    }
}

/// The exponents that an E8M0 scale and an activation's scale may have, so that their product has one from 1 to 253: it can be
/// had by adding the one to the other.
const MODERATE: RangeInclusive<u8> = 64..=190;

/// Whether all E8M0 scales are moderate.
pub(in crate::cpu) fn is_moderate(scales: &[u8]) -> bool {
    let (least, most) = scales.iter().fold((u8::MAX, 0), |(least, most), &scale| (least.min(scale), most.max(scale)));
    MODERATE.contains(&least) && MODERATE.contains(&most)
}

/// Whether an activation's scale is positive and moderate.
pub(in crate::cpu) fn is_moderate_scale(scale: f32) -> bool {
    let bits = scale.to_bits();
    bits >> 31 == 0 && MODERATE.contains(&((bits >> 23) as u8))
}

/// Weights that become unsigned bytes; scales and sums are those of E2M1 codes unless said otherwise.
#[expect(clippy::undocumented_unsafe_blocks, reason = "pointers as `Product` says")]
pub(super) trait Words {
    /// Bytes of a block's values.
    const BLOCK_BYTES: usize;
    /// Bytes of a block's scales.
    const SCALE_BYTES: usize = PackedFormat::Mxfp4.scale_bytes();
    /// The weights of columns `8 · octet ..` and of the four behind them.
    unsafe fn octet<L: PanelLanes>(block: *const u8, octet: usize) -> (L::Words, L::Words);
    #[inline(always)]
    unsafe fn scales<L: PanelLanes>(from: *const u8) -> L::Floats {
        unsafe { L::scales_e8m0(from) }
    }
    /// The product of [`Words::scales`] and an activation's scale.
    #[inline(always)]
    unsafe fn scaled<L: PanelLanes>(scales: L::Floats, x: *const f32) -> L::Floats {
        unsafe { L::mul(scales, L::floats(*x)) }
    }
    #[inline(always)]
    unsafe fn dot<L: PanelLanes>(sum: L::Integers, words: L::Words, x: *const i8) -> L::Integers {
        unsafe { L::dot_codes(sum, words, x) }
    }
}

pub(super) struct Nibbles;
pub(super) struct Codes;
/// The units that multiply floats are those that add up products of bytes; adding exponents leaves them to those.
pub(super) struct ModerateCodes;
pub(super) struct Eights;

#[expect(clippy::undocumented_unsafe_blocks, reason = "pointers as `Product` says")]
impl Words for Nibbles {
    const BLOCK_BYTES: usize = PackedFormat::Mxfp4.value_bytes();
    #[inline(always)]
    unsafe fn octet<L: PanelLanes>(block: *const u8, octet: usize) -> (L::Words, L::Words) {
        unsafe { L::codes(block.add(octet * 64)) }
    }
}

#[expect(clippy::undocumented_unsafe_blocks, reason = "pointers as `Product` says")]
impl Words for Codes {
    const BLOCK_BYTES: usize = CODE_BYTES;
    #[inline(always)]
    unsafe fn octet<L: PanelLanes>(block: *const u8, octet: usize) -> (L::Words, L::Words) {
        unsafe { (L::words(block.add(octet * 128)), L::words(block.add(octet * 128 + 64))) }
    }
}

#[expect(clippy::undocumented_unsafe_blocks, reason = "pointers as `Product` says")]
impl Words for ModerateCodes {
    const BLOCK_BYTES: usize = CODE_BYTES;
    #[inline(always)]
    unsafe fn octet<L: PanelLanes>(block: *const u8, octet: usize) -> (L::Words, L::Words) {
        unsafe { Codes::octet::<L>(block, octet) }
    }
    #[inline(always)]
    unsafe fn scales<L: PanelLanes>(from: *const u8) -> L::Floats {
        unsafe { L::powers_e8m0(from) }
    }
    #[inline(always)]
    unsafe fn scaled<L: PanelLanes>(powers: L::Floats, x: *const f32) -> L::Floats {
        unsafe { L::mul_powers(powers, x) }
    }
}

#[expect(clippy::undocumented_unsafe_blocks, reason = "pointers as `Product` says")]
impl Words for Eights {
    const BLOCK_BYTES: usize = PackedFormat::Q8.value_bytes();
    const SCALE_BYTES: usize = PackedFormat::Q8.scale_bytes();
    #[inline(always)]
    unsafe fn octet<L: PanelLanes>(block: *const u8, octet: usize) -> (L::Words, L::Words) {
        unsafe { Codes::octet::<L>(block, octet) }
    }
    #[inline(always)]
    unsafe fn scales<L: PanelLanes>(from: *const u8) -> L::Floats {
        unsafe { L::scales_f16(from) }
    }
    #[inline(always)]
    unsafe fn dot<L: PanelLanes>(sum: L::Integers, words: L::Words, x: *const i8) -> L::Integers {
        unsafe { L::dot(sum, words, x) }
    }
}
