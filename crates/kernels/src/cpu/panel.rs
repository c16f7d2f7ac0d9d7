//! Products with packed weights: panels of sixteen rows times some tokens, in whole blocks. It must not know layers, tasks
//! or where weights come from.
//!
//! Weights are bytes with an offset (12 for doubled E2M1 codes, 128 for `Q8`), activations signed bytes with a scale per
//! block of 32; the sum over a block is exact in integers and begins at `−offset · Σ x`, so that the offset costs nothing. Then
//! it is scaled and added in f32, block after block: a token's result does not depend on which tokens are computed with it,
//! nor on the shape of the tile.

#![expect(
    clippy::needless_range_loop,
    reason = "register tiles are indexed by constants, so that they stay in registers"
)]

mod lanes;

pub(super) use lanes::*;

use std::ops::RangeInclusive;

use crate::packed::{BLOCK_COLUMNS, LINE_BYTES, PANEL_ROWS, PackedFormat};

/// Most tokens that are multiplied with weights straight from their encoding; more share decoded panels.
pub(super) const DIRECT_TOKENS_MAX: usize = 4;

/// Bytes of a block of decoded codes.
const CODE_BYTES: usize = PANEL_ROWS * BLOCK_COLUMNS;

/// How the values of a panel lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Nibbles of E2M1.
    Mxfp4,
    /// The same decoded by [`decode`].
    Codes,
    /// Decoded, with scales and activations' scales whose products are normal numbers for sure: see [`is_moderate`].
    ModerateCodes,
    Q8,
    BF16,
}

impl Encoding {
    /// Bytes of the scales of a block, all rows together.
    fn scale_bytes(self) -> usize {
        match self {
            Self::Mxfp4 | Self::Codes | Self::ModerateCodes => PackedFormat::Mxfp4.scale_bytes(),
            Self::Q8 => PackedFormat::Q8.scale_bytes(),
            Self::BF16 => PackedFormat::BF16.scale_bytes(),
        }
    }

    /// Whether it is what [`decode`] makes.
    fn is_decoded(self) -> bool {
        matches!(self, Self::Codes | Self::ModerateCodes)
    }
}

/// The exponents that an E8M0 scale and an activation's scale may have, so that their product has one from 1 to 253: it can be
/// had by adding the one to the other.
const MODERATE: RangeInclusive<u8> = 64..=190;

/// Whether all E8M0 scales are moderate.
pub(super) fn is_moderate(scales: &[u8]) -> bool {
    let (least, most) = scales.iter().fold((u8::MAX, 0), |(least, most), &scale| (least.min(scale), most.max(scale)));
    MODERATE.contains(&least) && MODERATE.contains(&most)
}

/// Whether an activation's scale is positive and moderate.
pub(super) fn is_moderate_scale(scale: f32) -> bool {
    let bits = scale.to_bits();
    bits >> 31 == 0 && MODERATE.contains(&((bits >> 23) as u8))
}

/// `out[t][16·p + r] += Σ_k w[p][r][k] · x[t][k]`.
#[derive(Clone, Copy)]
pub(super) struct Product {
    pub(super) encoding: Encoding,
    /// Scales of the first panel; the next panel's are `scales_stride` bytes behind.
    pub(super) scales: *const u8,
    pub(super) scales_stride: usize,
    pub(super) values: *const u8,
    pub(super) values_stride: usize,
    pub(super) panels: usize,
    /// Blocks of a row.
    pub(super) blocks: usize,
    /// Activations of the first token, in the form that the encoding asks for.
    pub(super) x: *const u8,
    /// Bytes from token to token.
    pub(super) x_stride: usize,
    /// `[tokens, blocks]`, for activations in bytes.
    pub(super) x_scales: *const f32,
    pub(super) x_starts: *const i32,
    pub(super) tokens: usize,
    /// Results; tokens are `out_stride` values apart, panels sixteen.
    pub(super) out: *mut f32,
    pub(super) out_stride: usize,
}

/// Decodes the E2M1 codes of a panel.
///
/// # Safety
/// `values` holds the blocks, `out` has room for `blocks ·` 512 bytes.
#[inline(always)]
pub(super) unsafe fn decode<L: PanelLanes>(values: *const u8, blocks: usize, out: *mut u8) {
    // SAFETY: as required: a block has four vectors of nibbles, which become eight.
    unsafe {
        for octet in 0..blocks * 4 {
            let (low, high) = L::codes(values.add(octet * 64));
            L::store_words(out.add(octet * 128), low);
            L::store_words(out.add(octet * 128 + 64), high);
        }
    }
}

/// Computes a [`Product`], with a register tile of `PANELS × TOKENS`.
///
/// # Safety
/// The pointers hold what [`Product`] says; nobody else touches the results meanwhile.
#[inline(always)]
pub(super) unsafe fn multiply<L: PanelLanes, const PANELS: usize, const TOKENS: usize>(product: &Product) {
    // SAFETY: passed on; the parts are inside the product.
    unsafe {
        if product.tokens <= DIRECT_TOKENS_MAX && !product.encoding.is_decoded() {
            for panel in 0..product.panels {
                direct::<L>(&product.at_panel(panel));
            }
            return;
        }
        let mut panel = 0;
        while panel + PANELS <= product.panels {
            let part = product.at_panel(panel);
            let mut token = 0;
            while token < product.tokens {
                let tile = part.at_token(token);
                match (product.tokens - token).min(TOKENS) {
                    1 => any::<L, PANELS, 1>(&tile),
                    2 => any::<L, PANELS, 2>(&tile),
                    3 if TOKENS > 3 => any::<L, PANELS, 3>(&tile),
                    4 if TOKENS > 4 => any::<L, PANELS, 4>(&tile),
                    _ => any::<L, PANELS, TOKENS>(&tile),
                }
                token += TOKENS;
            }
            panel += PANELS;
        }
        for panel in panel..product.panels {
            for token in 0..product.tokens {
                any::<L, 1, 1>(&product.at_panel(panel).at_token(token));
            }
        }
    }
}

impl Product {
    /// # Safety
    /// There is such a panel.
    unsafe fn at_panel(&self, panel: usize) -> Self {
        // SAFETY: as required.
        unsafe {
            Self {
                scales: self.scales.add(panel * self.scales_stride),
                values: self.values.add(panel * self.values_stride),
                out: self.out.add(panel * PANEL_ROWS),
                ..*self
            }
        }
    }

    /// # Safety
    /// There is such a token.
    unsafe fn at_token(&self, token: usize) -> Self {
        // SAFETY: as required.
        unsafe {
            Self {
                x: self.x.add(token * self.x_stride),
                x_scales: self.x_scales.wrapping_add(token * self.blocks),
                x_starts: self.x_starts.wrapping_add(token * self.blocks),
                out: self.out.add(token * self.out_stride),
                ..*self
            }
        }
    }
}

/// One panel times all tokens, of which there are few.
#[inline(always)]
unsafe fn direct<L: PanelLanes>(product: &Product) {
    // SAFETY: passed on; a panel has the scales of its blocks.
    unsafe {
        touch(product.scales, product.blocks * product.encoding.scale_bytes());
        match (product.encoding, product.tokens) {
            (Encoding::Mxfp4, 1) => bytes::<L, Nibbles, 1, 1>(product),
            (Encoding::Mxfp4, 2) => bytes::<L, Nibbles, 1, 2>(product),
            (Encoding::Mxfp4, 3) => bytes::<L, Nibbles, 1, 3>(product),
            (Encoding::Mxfp4, _) => bytes::<L, Nibbles, 1, 4>(product),
            (_, 1) => any::<L, 1, 1>(product),
            (_, 2) => any::<L, 1, 2>(product),
            (_, 3) => any::<L, 1, 3>(product),
            (_, _) => any::<L, 1, 4>(product),
        }
    }
}

/// Reads a byte of each cache line.
///
/// Scales lie before their values. Read when they are needed, a line now and then far behind the values' stream, they made the
/// processor lose track of that stream: nibbles came at 53 to 81 % of the speed at which memory is read. Read in their order
/// first, they keep the stream whole: 96 to 100 %.
///
/// # Safety
/// There are so many bytes.
#[inline(always)]
unsafe fn touch(from: *const u8, bytes: usize) {
    for line in (0..bytes).step_by(LINE_BYTES) {
        // SAFETY: as required.
        let _ = unsafe { from.add(line).read_volatile() };
    }
}

/// A tile of any encoding but nibbles.
#[inline(always)]
unsafe fn any<L: PanelLanes, const PANELS: usize, const TOKENS: usize>(product: &Product) {
    // SAFETY: passed on.
    unsafe {
        match product.encoding {
            Encoding::Codes => bytes::<L, Codes, PANELS, TOKENS>(product),
            Encoding::ModerateCodes => bytes::<L, ModerateCodes, PANELS, TOKENS>(product),
            Encoding::Q8 => bytes::<L, Eights, PANELS, TOKENS>(product),
            Encoding::BF16 => pairs::<L, PANELS, TOKENS>(product),
            Encoding::Mxfp4 => unreachable!("nibbles are multiplied directly or decoded first"),
        }
    }
}

/// Weights that become unsigned bytes; scales and sums are those of E2M1 codes unless said otherwise.
#[expect(clippy::undocumented_unsafe_blocks, reason = "pointers as `Product` says")]
trait Words {
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

struct Nibbles;
struct Codes;
/// The units that multiply floats are those that add up products of bytes; adding exponents leaves them to those.
struct ModerateCodes;
struct Eights;

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

#[inline(always)]
unsafe fn bytes<L: PanelLanes, W: Words, const PANELS: usize, const TOKENS: usize>(product: &Product) {
    let Product { scales_stride, values_stride, blocks, x_stride, .. } = *product;
    let (mut scales, mut values, mut x) = (product.scales, product.values, product.x.cast::<i8>());
    // SAFETY: as `multiply` requires.
    unsafe {
        let mut sums = [[L::floats(0.0); TOKENS]; PANELS];
        for block in 0..blocks {
            let mut integers = [[L::integers(0); TOKENS]; PANELS];
            for token in 0..TOKENS {
                let start = L::integers(*product.x_starts.add(token * blocks + block));
                for panel in 0..PANELS {
                    integers[panel][token] = start;
                }
            }
            for octet in 0..4 {
                for panel in 0..PANELS {
                    let (low, high) = W::octet::<L>(values.add(panel * values_stride), octet);
                    for token in 0..TOKENS {
                        let x = x.add(token * x_stride + octet * 8);
                        let sum = W::dot::<L>(integers[panel][token], low, x);
                        integers[panel][token] = W::dot::<L>(sum, high, x.add(4));
                    }
                }
            }
            for panel in 0..PANELS {
                let scale = W::scales::<L>(scales.add(panel * scales_stride));
                for token in 0..TOKENS {
                    let scale = W::scaled::<L>(scale, product.x_scales.add(token * blocks + block));
                    sums[panel][token] = L::fma(L::to_floats(integers[panel][token]), scale, sums[panel][token]);
                }
            }
            scales = scales.add(W::SCALE_BYTES);
            values = values.add(W::BLOCK_BYTES);
            x = x.add(BLOCK_COLUMNS);
        }
        store::<L, PANELS, TOKENS>(product, &sums);
    }
}

#[inline(always)]
unsafe fn pairs<L: PanelLanes, const PANELS: usize, const TOKENS: usize>(product: &Product) {
    let pair_bytes = if L::BF16_PAIRS { 4 } else { 8 };
    // SAFETY: as `multiply` requires.
    unsafe {
        let mut sums = [[L::floats(0.0); TOKENS]; PANELS];
        for pair in 0..product.blocks * BLOCK_COLUMNS / 2 {
            let x = product.x.add(pair * pair_bytes);
            for panel in 0..PANELS {
                let weights = product.values.add(panel * product.values_stride + pair * 64);
                for token in 0..TOKENS {
                    sums[panel][token] = L::dot_bf16(sums[panel][token], weights, x.add(token * product.x_stride));
                }
            }
        }
        store::<L, PANELS, TOKENS>(product, &sums);
    }
}

#[inline(always)]
unsafe fn store<L: PanelLanes, const PANELS: usize, const TOKENS: usize>(
    product: &Product,
    sums: &[[L::Floats; TOKENS]; PANELS],
) {
    // SAFETY: as `multiply` requires.
    unsafe {
        for panel in 0..PANELS {
            for token in 0..TOKENS {
                let to = product.out.add(token * product.out_stride + panel * PANEL_ROWS);
                L::store(to, L::add(L::load(to), sums[panel][token]));
            }
        }
    }
}
