//! One random tensor as a rule: any range of its elements can be made, in any order, without the rest.

use std::ops::Range;

use crate::numbers::{Words, f32_from_bf16, normal_step};

/// The rule behind one tensor of the Hugging Face layout.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field {
    /// bf16 values.
    Normal(Normal),
    /// Bytes of two E2M1 codes each, all 16 codes alike, −0 included.
    Blocks(Words),
    /// E8M0 bytes.
    Scales(Scales),
}

/// Nearly normal bf16 values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Normal {
    words: Words,
    mean: f64,
    step: f64,
    exception: Option<(Range<usize>, f64)>,
}

/// Evenly drawn scale bytes `low .. low + count`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scales {
    words: Words,
    low: u8,
    count: u64,
}

impl Normal {
    pub(crate) fn new(words: Words, mean: f64, deviation: f64) -> Self {
        Self { words, mean, step: normal_step(deviation), exception: None }
    }

    /// Gives the elements of a range another standard deviation.
    pub(crate) fn with_exception(mut self, elements: Range<usize>, deviation: f64) -> Self {
        self.exception = Some((elements, normal_step(deviation)));
        self
    }

    /// Calls `put` with the position in the range and the bits of each element from `first` on.
    #[inline]
    fn each(&self, first: usize, count: usize, mut put: impl FnMut(usize, u16)) {
        let end = first + count;
        let (inside, step) = self.exception.clone().unwrap_or((0..0, self.step));
        let cut = |at: usize| at.clamp(first, end);
        for (from, to, step) in [
            (first, cut(inside.start), self.step),
            (cut(inside.start), cut(inside.end), step),
            (cut(inside.end), end, self.step),
        ] {
            for index in from..to {
                put(index - first, self.words.normal(index as u64, self.mean, step));
            }
        }
    }

    /// bf16 bytes of the elements from `first` on, as many as `out` holds.
    pub(crate) fn fill_bf16(&self, first: usize, out: &mut [u8]) {
        let out = out.as_chunks_mut::<2>().0;
        self.each(first, out.len(), |at, bits| out[at] = bits.to_le_bytes());
    }

    /// The same values as f32.
    pub(crate) fn fill_f32(&self, first: usize, out: &mut [f32]) {
        self.each(first, out.len(), |at, bits| out[at] = f32_from_bf16(bits));
    }
}

impl Scales {
    pub(crate) fn new(words: Words, [low, high]: [u8; 2]) -> Self {
        Self { words, low, count: u64::from(high - low) + 1 }
    }

    #[inline]
    pub(crate) fn at(&self, index: usize) -> u8 {
        self.low + ((self.words.at(index as u64) >> 33) % self.count) as u8
    }
}

impl Field {
    /// Bytes of the smallest piece that [`Self::fill`] can make.
    pub(crate) fn unit_bytes(&self) -> usize {
        match self {
            Self::Normal(_) => 2,
            Self::Blocks(_) => 8,
            Self::Scales(_) => 1,
        }
    }

    /// The published bytes of the units from `first` on, as many as `out` holds.
    pub(crate) fn fill(&self, first: usize, out: &mut [u8]) {
        match self {
            Self::Normal(normal) => normal.fill_bf16(first, out),
            Self::Blocks(words) => {
                for (index, word) in (first as u64..).zip(out.as_chunks_mut::<8>().0) {
                    *word = words.at(index).to_le_bytes();
                }
            }
            Self::Scales(scales) => {
                for (index, byte) in (first..).zip(out) {
                    *byte = scales.at(index);
                }
            }
        }
    }
}
