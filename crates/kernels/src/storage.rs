//! Weights where they lie: read-only bytes of a memory-mapped file (or of the heap) and the matrix formats over them.
//!
//! Nothing here computes, and nothing is converted: a matrix keeps the encoding it was published in.

use std::fs::File;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::huge::HugeBytes;

/// A cheaply cloned, read-only run of bytes inside a mapped file or a heap buffer.
#[derive(Clone)]
pub struct Bytes {
    owner: Arc<Owner>,
    range: Range<usize>,
}

/// An encoding of dense (non-expert) matrices. Block formats are those of GGUF, unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenseFormat {
    /// IEEE single precision, little-endian.
    F32,
    /// IEEE half precision, little-endian.
    F16,
    /// bfloat16, little-endian.
    BF16,
    /// 32 values: f16 scale, 32 × i8.
    Q8_0,
    /// 32 values: f16 scale, 16 bytes of nibbles minus 8.
    Q4_0,
    /// 32 values: f16 scale, f16 minimum, 16 bytes of nibbles.
    Q4_1,
    /// 32 values: f16 scale, 4 bytes of fifth bits, 16 bytes of nibbles, minus 16.
    Q5_0,
    /// 32 values: f16 scale, f16 minimum, 4 bytes of fifth bits, 16 bytes of nibbles.
    Q5_1,
    /// 256 values in 84 bytes: 2 bits each, 4-bit scales and minimums per 16.
    Q2K,
    /// 256 values in 110 bytes: 3 bits each, 6-bit scales per 16.
    Q3K,
    /// 256 values in 144 bytes: 4 bits each, 6-bit scales and minimums per 32.
    Q4K,
    /// 256 values in 176 bytes: 5 bits each, 6-bit scales and minimums per 32.
    Q5K,
    /// 256 values in 210 bytes: 6 bits each, i8 scales per 16.
    Q6K,
}

/// A row-major `[rows, columns]` matrix in one of the dense formats.
#[derive(Clone)]
pub struct DenseMatrix {
    /// How the values are encoded.
    pub format: DenseFormat,
    /// Number of rows (outputs of a linear layer, or vocabulary entries).
    pub rows: usize,
    /// Number of columns (inputs); a multiple of `format.block_values()`.
    pub columns: usize,
    /// `rows × format.row_bytes(columns)` bytes.
    pub bytes: Bytes,
}

/// Where the nibbles and scales of an MXFP4 block lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mxfp4Layout {
    /// Safetensors: a tensor of 16-byte blocks (byte `i` holds value `2i` low, `2i + 1` high) and a tensor of E8M0 scales.
    Split,
    /// GGUF: 17-byte blocks, scale first (byte `i` holds value `i` low, `i + 16` high).
    Joined,
}

/// MXFP4 matrices `[experts, rows, columns]` of one expert projection: E2M1 values, one E8M0 scale per 32 along the columns.
#[derive(Clone)]
pub struct Mxfp4Matrix {
    /// Where nibbles and scales lie.
    pub layout: Mxfp4Layout,
    /// Number of experts.
    pub experts: usize,
    /// Rows of each expert's matrix.
    pub rows: usize,
    /// Columns of each expert's matrix; a multiple of 32.
    pub columns: usize,
    /// `Split`: `experts × rows × columns/32 × 16` bytes; `Joined`: `… × 17` bytes.
    pub blocks: Bytes,
    /// `Split`: `experts × rows × columns/32` bytes; `Joined`: empty.
    pub scales: Bytes,
}

/// How the gate and up projections of the experts are stored; `I` is the intermediate size.
#[derive(Clone)]
pub enum GateUp {
    /// One matrix of `2·I` rows: even rows gate, odd rows up (OpenAI and Hugging Face).
    Interleaved(Mxfp4Matrix),
    /// One matrix of `2·I` rows: the first `I` gate, the last `I` up (fused GGUF).
    Halves(Mxfp4Matrix),
    /// Two matrices of `I` rows (GGUF).
    Separate {
        /// The gate projection.
        gate: Mxfp4Matrix,
        /// The up (linear) projection.
        up: Mxfp4Matrix,
    },
}

enum Owner {
    Mapped(memmap2::Mmap),
    Heap(Vec<u8>),
    Huge(HugeBytes),
}

impl Bytes {
    /// Maps a whole file read-only.
    ///
    /// # Errors
    /// Whatever the system says when the file cannot be mapped.
    pub fn map(file: &File) -> std::io::Result<Self> {
        // SAFETY: the map is read-only and private to this process. If another process truncates the file meanwhile the
        // system ends us with SIGBUS, and if it writes, values change: the operator owns the file, as with any mapped model.
        let map = unsafe { memmap2::MmapOptions::new().map(file)? };
        let range = 0..map.len();
        Ok(Self { owner: Arc::new(Owner::Mapped(map)), range })
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { owner: Arc::new(Owner::Heap(bytes)), range }
    }

    /// Bytes in memory of our own that were filled before.
    #[must_use]
    pub fn from_huge(bytes: HugeBytes) -> Self {
        let range = 0..bytes.as_slice().len();
        Self { owner: Arc::new(Owner::Huge(bytes)), range }
    }

    /// Asks for huge pages, which systems with large folios give a mapped file when it is read for the first time.
    pub fn want_huge_pages(&self) {
        #[cfg(target_os = "linux")]
        if let Owner::Mapped(map) = &*self.owner {
            // A wish: where it is not granted everything works, only slower.
            let _ = map.advise_range(memmap2::Advice::HugePage, self.range.start, self.range.len());
        }
    }

    /// Reads what of a mapped file is not in memory of this process yet; returns when it is, or when the system cannot.
    pub fn read_in(&self) {
        #[cfg(target_os = "linux")]
        if let Owner::Mapped(map) = &*self.owner {
            // A wish, too: what is not read now is read when it is needed.
            let _ = map.advise_range(memmap2::Advice::PopulateRead, self.range.start, self.range.len());
        }
    }

    /// Says that these bytes are not needed soon: what was read of a mapped file stops counting as memory of this process.
    pub fn release(&self) {
        #[cfg(unix)]
        if let Owner::Mapped(map) = &*self.owner {
            // SAFETY: the map is of a file and read-only, so that pages which are read again come from the file again.
            let _ = unsafe {
                map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, self.range.start, self.range.len())
            };
        }
    }

    /// A part of these bytes, sharing the owner; `None` when it reaches past the end.
    #[must_use]
    pub fn slice(&self, start: usize, length: usize) -> Option<Self> {
        let begin = self.range.start.checked_add(start)?;
        let end = begin.checked_add(length)?;
        (end <= self.range.end).then(|| Self { owner: Arc::clone(&self.owner), range: begin..end })
    }

    /// Whether the bytes lie in a mapped file, so that they cost page cache and not heap.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        matches!(*self.owner, Owner::Mapped(_))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let all: &[u8] = match &*self.owner {
            Owner::Mapped(map) => map,
            Owner::Heap(bytes) => bytes,
            Owner::Huge(bytes) => bytes.as_slice(),
        };
        &all[self.range.clone()]
    }
}

impl DenseFormat {
    /// Every format, for tables and tests.
    pub const ALL: [Self; 13] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// Values per block; rows are whole blocks.
    #[must_use]
    pub const fn block_values(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 => 32,
            Self::Q2K | Self::Q3K | Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes per block.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q2K => 84,
            Self::Q3K => 110,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Bytes of a row of `columns` values, which must be whole blocks.
    #[must_use]
    pub const fn row_bytes(self, columns: usize) -> usize {
        columns / self.block_values() * self.block_bytes()
    }

    /// The name users know the format by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q2K => "Q2_K",
            Self::Q3K => "Q3_K",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
        }
    }
}

impl DenseMatrix {
    /// The rows `first .. first + count`, sharing the bytes.
    ///
    /// # Panics
    /// When the rows do not exist: our bug, the loader checked the shape.
    #[must_use]
    pub fn rows(&self, first: usize, count: usize) -> Self {
        let row_bytes = self.format.row_bytes(self.columns);
        let bytes = self.bytes.slice(first * row_bytes, count * row_bytes).expect("rows inside the matrix");
        Self { format: self.format, rows: count, columns: self.columns, bytes }
    }

    /// The encoded bytes of one row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[u8] {
        let row_bytes = self.format.row_bytes(self.columns);
        &self.bytes[row * row_bytes..(row + 1) * row_bytes]
    }
}

impl GateUp {
    /// The one matrix or the two.
    pub fn matrices(&self) -> impl Iterator<Item = &Mxfp4Matrix> {
        let (first, second) = match self {
            Self::Interleaved(both) | Self::Halves(both) => (both, None),
            Self::Separate { gate, up } => (gate, Some(up)),
        };
        std::iter::once(first).chain(second)
    }
}

impl Mxfp4Matrix {
    /// Nibble bytes (and, when joined, scales) of one row of one expert.
    #[must_use]
    pub fn row_blocks(&self, expert: usize, row: usize) -> &[u8] {
        let length = self.columns / 32 * self.layout.block_bytes();
        let start = (expert * self.rows + row) * length;
        &self.blocks[start..start + length]
    }

    /// Scale bytes of one row of one expert; empty when they are joined to the blocks.
    #[must_use]
    pub fn row_scales(&self, expert: usize, row: usize) -> &[u8] {
        match self.layout {
            Mxfp4Layout::Joined => &[],
            Mxfp4Layout::Split => {
                let length = self.columns / 32;
                let start = (expert * self.rows + row) * length;
                &self.scales[start..start + length]
            }
        }
    }
}

impl Mxfp4Layout {
    /// Bytes of a block of 32 values in the `blocks` tensor.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Split => 16,
            Self::Joined => 17,
        }
    }
}
