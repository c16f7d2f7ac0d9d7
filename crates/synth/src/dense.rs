//! The encodings that GGUF files use for matrices which are not experts.

use crate::field::Normal;
use crate::numbers::f16_from_f32;

/// How GGUF stores the attention matrices, the embedding and the unembedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenseFormat {
    /// Single precision: the same values as bf16.
    F32,
    /// Half precision: the same values as bf16, except that what is smaller than 2^-17 is rounded to a multiple of 2^-24.
    F16,
    /// bfloat16, as published.
    Bf16,
    /// Blocks of 32: a half-precision scale and 32 signed bytes. Lossy.
    Q8_0,
}

impl DenseFormat {
    /// Values per block.
    #[must_use]
    pub const fn block_values(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q8_0 => 32,
        }
    }

    /// Bytes per block.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q8_0 => 34,
        }
    }

    /// The format by the name users know it by.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "f32" => Some(Self::F32),
            "f16" => Some(Self::F16),
            "bf16" => Some(Self::Bf16),
            "q8_0" => Some(Self::Q8_0),
            _ => None,
        }
    }

    /// Encodes the blocks from `first` on, as many as `out` holds.
    pub(crate) fn fill(self, values: &Normal, first: usize, out: &mut [u8]) {
        if self == Self::Bf16 {
            return values.fill_bf16(first, out);
        }
        let mut scratch = [0f32; 1024];
        let blocks_at_once = scratch.len() / self.block_values();
        for (step, out) in out.chunks_mut(blocks_at_once * self.block_bytes()).enumerate() {
            let scratch = &mut scratch[..out.len() / self.block_bytes() * self.block_values()];
            values.fill_f32((first + step * blocks_at_once) * self.block_values(), scratch);
            match self {
                Self::F32 => put(scratch, out, f32::to_le_bytes),
                Self::F16 => put(scratch, out, |value| f16_from_f32(value).to_le_bytes()),
                Self::Bf16 => unreachable!("returned above"),
                Self::Q8_0 => {
                    for (values, block) in scratch.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
                        *block = q8_0(values);
                    }
                }
            }
        }
    }
}

fn put<const N: usize>(values: &[f32], out: &mut [u8], encode: impl Fn(f32) -> [u8; N]) {
    for (&value, bytes) in values.iter().zip(out.as_chunks_mut::<N>().0) {
        *bytes = encode(value);
    }
}

/// The largest magnitude becomes ±127; the scale is stored in half precision after the values were divided by the exact one.
fn q8_0(values: &[f32; 32]) -> [u8; 34] {
    let largest = values.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    let scale = largest / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let mut block = [0; 34];
    block[..2].copy_from_slice(&f16_from_f32(scale).to_le_bytes());
    for (byte, value) in block[2..].iter_mut().zip(values) {
        *byte = ((value * inverse).round() as i8).cast_unsigned();
    }
    block
}

#[cfg(test)]
mod tests {
    use super::q8_0;

    #[test]
    fn a_block_of_eight_bits() {
        let mut values = [0f32; 32];
        (values[0], values[1], values[2], values[31]) = (127.0, -63.5, 0.4, -127.0);
        let block = q8_0(&values);
        assert_eq!(block[..2], 0x3C00u16.to_le_bytes(), "scale 1");
        assert_eq!(block[2..5].iter().map(|&byte| byte.cast_signed()).collect::<Vec<_>>(), [127, -64, 0]);
        assert_eq!(block[33].cast_signed(), -127);
        assert_eq!(q8_0(&[0.0; 32]), [0; 34]);
    }
}
