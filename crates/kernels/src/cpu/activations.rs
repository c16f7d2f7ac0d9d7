//! Activations in the form that packed weights are multiplied with: signed bytes with a scale per block, pairs of bf16, or f32.
//! It must not know weights beyond their encoding.

use std::sync::atomic::{AtomicBool, Ordering};

use super::isa::Isa;
use super::panel::is_moderate_scale;
use crate::decode::f32_to_bf16;
use crate::packed::{BLOCK_COLUMNS, PackedFormat};
use crate::pool::Pool;

/// The greatest byte.
const STEPS: f32 = 127.0;
/// Tokens of a task; as few are converted by the caller alone.
const TASK_TOKENS: usize = 8;

/// What the weights ask for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// Signed bytes: what the weights have added to them, and what their scales must still be multiplied with.
    Bytes { offset: i32, factor: f32 },
    /// Rounded to bf16.
    BF16,
    /// As they are.
    F32,
}

/// Activations `[tokens, columns]` in a form, columns filled up to whole blocks with zeros.
#[derive(Default)]
pub(super) struct Activations {
    bytes: Vec<u8>,
    /// `[tokens, blocks]`.
    scales: Vec<f32>,
    /// `[tokens, blocks]`: what sums begin with.
    starts: Vec<i32>,
    /// Whether a scale is not [moderate](is_moderate_scale).
    is_extreme: AtomicBool,
    blocks: usize,
    stride: usize,
}

/// Places for one token, for whoever fills it block by block.
#[derive(Clone, Copy)]
pub(super) struct Places {
    bytes: *mut u8,
    scales: *mut f32,
    starts: *mut i32,
    is_extreme: *const AtomicBool,
    blocks: usize,
    stride: usize,
}

// SAFETY: tasks fill disjoint blocks; whoever makes one sees to that.
unsafe impl Sync for Places {}

impl Form {
    /// The form for weights of a format.
    pub(super) fn of(format: PackedFormat, isa: &Isa) -> Self {
        match format {
            // The codes are doubled values plus 12.
            PackedFormat::Mxfp4 => Self::Bytes { offset: 12, factor: 0.5 },
            PackedFormat::Q8 => Self::Bytes { offset: 128, factor: 1.0 },
            PackedFormat::BF16 if isa.bf16_pairs => Self::BF16,
            PackedFormat::BF16 => Self::F32,
        }
    }

    const fn value_bytes(self) -> usize {
        match self {
            Self::Bytes { .. } => 1,
            Self::BF16 => 2,
            Self::F32 => 4,
        }
    }
}

impl Activations {
    /// Makes room.
    pub(super) fn resize(&mut self, form: Form, tokens: usize, columns: usize) {
        *self.is_extreme.get_mut() = false;
        self.blocks = columns.div_ceil(BLOCK_COLUMNS);
        self.stride = self.blocks * BLOCK_COLUMNS * form.value_bytes();
        self.bytes.resize(tokens * self.stride, 0);
        if let Form::Bytes { .. } = form {
            self.scales.resize(tokens * self.blocks, 0.0);
            self.starts.resize(tokens * self.blocks, 0);
        }
    }

    pub(super) fn places(&mut self) -> Places {
        Places {
            bytes: self.bytes.as_mut_ptr(),
            scales: self.scales.as_mut_ptr(),
            starts: self.starts.as_mut_ptr(),
            is_extreme: &raw const self.is_extreme,
            blocks: self.blocks,
            stride: self.stride,
        }
    }

    /// Converts the rows that `row_at` gives.
    pub(super) fn fill<'a>(
        &mut self,
        isa: &Isa,
        pool: &Pool,
        form: Form,
        (tokens, columns): (usize, usize),
        row_at: impl Fn(usize) -> &'a [f32] + Sync,
    ) {
        self.resize(form, tokens, columns);
        let places = self.places();
        pool.run(tokens.div_ceil(TASK_TOKENS), &|task| {
            for token in task * TASK_TOKENS..((task + 1) * TASK_TOKENS).min(tokens) {
                let row = row_at(token);
                assert_eq!(row.len(), columns);
                for (block, values) in row.chunks(BLOCK_COLUMNS).enumerate() {
                    // SAFETY: room was made; each token is one task's.
                    unsafe { places.put(isa, form, token, block, values) };
                }
            }
        });
    }

    /// Whether the scales of all tokens are [moderate](is_moderate_scale).
    pub(super) fn are_moderate(&self) -> bool {
        !self.is_extreme.load(Ordering::Relaxed)
    }

    /// Activations, scales and starts from a token on, and the bytes from token to token.
    pub(super) fn at_token(&self, token: usize) -> (*const u8, *const f32, *const i32, usize) {
        let at = token * self.blocks;
        let (scales, starts) = (self.scales.as_ptr().wrapping_add(at), self.starts.as_ptr().wrapping_add(at));
        (self.bytes[token * self.stride..].as_ptr(), scales, starts, self.stride)
    }
}

impl Places {
    /// Converts a block of a token; columns that are missing are zeros.
    ///
    /// # Safety
    /// [`Activations::resize`] made room for it in this form, and nobody else touches it meanwhile.
    pub(super) unsafe fn put(&self, isa: &Isa, form: Form, token: usize, block: usize, values: &[f32]) {
        let mut whole = [0.0; BLOCK_COLUMNS];
        let values: &[f32; BLOCK_COLUMNS] = if let Ok(values) = values.try_into() {
            values
        } else {
            whole[..values.len()].copy_from_slice(values);
            &whole
        };
        // SAFETY: as required.
        unsafe {
            let to = self.bytes.add(token * self.stride + block * BLOCK_COLUMNS * form.value_bytes());
            match form {
                Form::Bytes { offset, factor } => {
                    let bytes = std::slice::from_raw_parts_mut(to.cast::<i8>(), BLOCK_COLUMNS);
                    let (scale, sum) = (isa.quantise)(values, bytes, STEPS);
                    let at = token * self.blocks + block;
                    let scale = scale * factor;
                    *self.scales.add(at) = scale;
                    if !is_moderate_scale(scale) {
                        (*self.is_extreme).store(true, Ordering::Relaxed);
                    }
                    *self.starts.add(at) = -offset * sum;
                }
                Form::BF16 => {
                    let to = to.cast::<[[u8; 2]; BLOCK_COLUMNS]>();
                    to.write_unaligned(values.map(|value| f32_to_bf16(value).to_le_bytes()));
                }
                Form::F32 => to.cast::<[f32; BLOCK_COLUMNS]>().write_unaligned(*values),
            }
        }
    }
}
