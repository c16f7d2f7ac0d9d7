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

mod ahead;
mod encodings;
mod lanes;

use ahead::{Ahead, Asking, Nothing, Stream, touch};
use encodings::{Codes, Eights, ModerateCodes, Nibbles, Words};
pub(super) use encodings::{Encoding, is_moderate, is_moderate_scale};
pub(super) use lanes::*;

use super::early::Early;
use crate::packed::{BLOCK_COLUMNS, PANEL_ROWS};

/// Tokens that share a register tile of one panel, where weights are multiplied straight from their encoding.
pub(super) const DIRECT_TOKENS: usize = 8;

/// `out[t][16·p + r] += Σ_k w[p][r][k] · x[t][k]`.
#[derive(Clone, Copy)]
pub(super) struct Product {
    pub(super) encoding: Encoding,
    /// Scales of the first panel; the next panel's are `scales_stride` bytes behind.
    pub(super) scales: *const u8,
    pub(super) scales_stride: usize,
    pub(super) values: *const u8,
    pub(super) values_stride: usize,
    /// What will be read next, panel by panel, is fetched while many tokens are multiplied.
    pub(super) ahead: *const u8,
    pub(super) ahead_stride: usize,
    /// Whether few tokens ask for weights before they read them, and so how many are few.
    pub(super) early: Early,
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
        if product.tokens <= product.encoding.direct_tokens_max(product.early) {
            for panel in 0..product.panels {
                direct::<L>(&product.at_panel(panel));
            }
            return;
        }
        let mut panel = 0;
        while panel + PANELS <= product.panels {
            let part = product.at_panel(panel);
            if !product.encoding.is_decoded() {
                (0..PANELS).for_each(|panel| part.at_panel(panel).touch_scales());
            }
            let mut ahead = Ahead::new(&part, PANELS);
            let mut token = 0;
            while token < product.tokens {
                let (tile, ahead) = (part.at_token(token), ahead.turn());
                let rest = product.tokens - token;
                // As even as can be: a tile of one token would take nearly as long as one of several.
                let tokens = rest.div_ceil(rest.div_ceil(TOKENS));
                match tokens {
                    1 => any::<L, PANELS, 1>(&tile, ahead),
                    2 => any::<L, PANELS, 2>(&tile, ahead),
                    3 if TOKENS > 3 => any::<L, PANELS, 3>(&tile, ahead),
                    4 if TOKENS > 4 => any::<L, PANELS, 4>(&tile, ahead),
                    _ => any::<L, PANELS, TOKENS>(&tile, ahead),
                }
                token += tokens;
            }
            panel += PANELS;
        }
        for panel in panel..product.panels {
            for token in 0..product.tokens {
                any::<L, 1, 1>(&product.at_panel(panel).at_token(token), None);
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
                ahead: self.ahead.wrapping_add(panel * self.ahead_stride),
                out: self.out.add(panel * PANEL_ROWS),
                ..*self
            }
        }
    }

    /// # Safety
    /// As [`multiply`].
    #[inline(always)]
    unsafe fn touch_scales(&self) {
        // SAFETY: a panel has the scales of its blocks.
        unsafe { touch(self.scales, self.blocks * self.encoding.scale_bytes()) };
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

/// One panel times all tokens, of which there are few: the first of them read it from memory, the others from the cache.
#[inline(always)]
unsafe fn direct<L: PanelLanes>(product: &Product) {
    // SAFETY: passed on.
    unsafe {
        product.touch_scales();
        for token in (0..product.tokens).step_by(DIRECT_TOKENS) {
            let tile = product.at_token(token);
            let asks = token == 0 && product.encoding.asks(product.early, product.tokens);
            match (product.tokens - token).min(DIRECT_TOKENS) {
                1 => column::<L, 1>(&tile, asks),
                2 => column::<L, 2>(&tile, asks),
                3 => column::<L, 3>(&tile, asks),
                4 => column::<L, 4>(&tile, asks),
                5 => column::<L, 5>(&tile, asks),
                6 => column::<L, 6>(&tile, asks),
                7 => column::<L, 7>(&tile, asks),
                _ => column::<L, DIRECT_TOKENS>(&tile, asks),
            }
        }
    }
}

/// One panel times some tokens, straight from its encoding; the first that read it ask for what comes next.
#[inline(always)]
unsafe fn column<L: PanelLanes, const TOKENS: usize>(product: &Product, asks: bool) {
    let stream = Stream::new(product, TOKENS);
    // SAFETY: passed on.
    unsafe {
        match (product.encoding, asks) {
            (Encoding::Mxfp4, true) => bytes::<L, Nibbles, 1, TOKENS>(product, stream),
            (Encoding::Mxfp4, false) => bytes::<L, Nibbles, 1, TOKENS>(product, Nothing),
            (Encoding::Q8, true) => bytes::<L, Eights, 1, TOKENS>(product, stream),
            (Encoding::BF16, true) => pairs::<L, 1, TOKENS>(product, stream),
            _ => any::<L, 1, TOKENS>(product, None),
        }
    }
}

/// A tile of any encoding but nibbles.
#[inline(always)]
unsafe fn any<L: PanelLanes, const PANELS: usize, const TOKENS: usize>(product: &Product, ahead: Option<*const u8>) {
    // SAFETY: passed on.
    unsafe {
        match product.encoding {
            Encoding::Codes => bytes::<L, Codes, PANELS, TOKENS>(product, ahead),
            Encoding::ModerateCodes => bytes::<L, ModerateCodes, PANELS, TOKENS>(product, ahead),
            Encoding::Q8 => bytes::<L, Eights, PANELS, TOKENS>(product, Nothing),
            Encoding::BF16 => pairs::<L, PANELS, TOKENS>(product, Nothing),
            Encoding::Mxfp4 => unreachable!("nibbles are multiplied directly or decoded first"),
        }
    }
}

#[inline(always)]
unsafe fn bytes<L: PanelLanes, W: Words, const PANELS: usize, const TOKENS: usize>(
    product: &Product,
    asking: impl Asking,
) {
    let Product { scales_stride, values_stride, blocks, x_stride, .. } = *product;
    let (mut scales, mut values, mut x) = (product.scales, product.values, product.x.cast::<i8>());
    // SAFETY: as `multiply` requires.
    unsafe {
        let mut sums = [[L::floats(0.0); TOKENS]; PANELS];
        for block in 0..blocks {
            asking.at_block::<W>(block, blocks);
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
unsafe fn pairs<L: PanelLanes, const PANELS: usize, const TOKENS: usize>(product: &Product, asking: impl Asking) {
    let pair_bytes = if L::BF16_PAIRS { 4 } else { 8 };
    // SAFETY: as `multiply` requires.
    unsafe {
        let mut sums = [[L::floats(0.0); TOKENS]; PANELS];
        for pair in 0..product.blocks * BLOCK_COLUMNS / 2 {
            asking.at_line(pair);
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
