//! Seeded random weights in every encoding, for the twin tests.

use kernels::{Bytes, DenseFormat, DenseMatrix, Mxfp4Layout, Mxfp4Matrix};

/// A splitmix64 sequence.
pub(crate) struct Random(u64);

/// A matrix over encoded bytes.
pub(crate) fn matrix(format: DenseFormat, rows: usize, columns: usize, bytes: Vec<u8>) -> DenseMatrix {
    DenseMatrix { format, rows, columns, bytes: Bytes::from_vec(bytes) }
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Values between −1.5 and 1.5.
    pub(crate) fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32 * 3.0 - 1.5).collect()
    }

    /// Random blocks whose f16 scales are sane.
    pub(crate) fn encoded(&mut self, format: DenseFormat, count: usize) -> Vec<u8> {
        let scales: &[usize] = match format {
            DenseFormat::F32 => return self.values(count).iter().flat_map(|value| value.to_le_bytes()).collect(),
            DenseFormat::BF16 => {
                let bits = |value: &f32| kernels::decode::f32_to_bf16(*value).to_le_bytes();
                return self.values(count).iter().flat_map(bits).collect();
            }
            DenseFormat::F16 => return (0..count).flat_map(|_| self.half().to_le_bytes()).collect(),
            DenseFormat::Q8_0 | DenseFormat::Q4_0 | DenseFormat::Q5_0 => &[0],
            DenseFormat::Q4_1 | DenseFormat::Q5_1 | DenseFormat::Q4K | DenseFormat::Q5K => &[0, 2],
            DenseFormat::Q2K => &[80, 82],
            DenseFormat::Q3K => &[108],
            DenseFormat::Q6K => &[208],
        };
        let mut bytes: Vec<u8> =
            (0..count / format.block_values() * format.block_bytes()).map(|_| self.next() as u8).collect();
        for block in bytes.chunks_exact_mut(format.block_bytes()) {
            for &at in scales {
                block[at..at + 2].copy_from_slice(&self.half().to_le_bytes());
            }
        }
        bytes
    }

    /// Random E2M1 codes with scales that keep sums near one.
    pub(crate) fn mxfp4(&mut self, layout: Mxfp4Layout, experts: usize, rows: usize, columns: usize) -> Mxfp4Matrix {
        let blocks = experts * rows * columns / 32;
        let mut scale = || (118 + self.next() % 6) as u8;
        let scales: Vec<u8> = (0..blocks).map(|_| scale()).collect();
        let mut bytes: Vec<u8> = (0..blocks * layout.block_bytes()).map(|_| self.next() as u8).collect();
        let scales = match layout {
            Mxfp4Layout::Split => scales,
            Mxfp4Layout::Joined => {
                bytes.chunks_exact_mut(17).zip(scales).for_each(|(block, scale)| block[0] = scale);
                Vec::new()
            }
        };
        Mxfp4Matrix { layout, experts, rows, columns, blocks: Bytes::from_vec(bytes), scales: Bytes::from_vec(scales) }
    }

    /// An f16 between 2^-8 and 2^-6 with either sign.
    fn half(&mut self) -> u16 {
        let bits = self.next();
        ((7 + bits % 2) << 10 | (bits >> 8 & 0x3FF) | (bits >> 20 & 1) << 15) as u16
    }
}
