//! How a stored tensor's values are encoded, under the names and numbers of both file formats, and the check that no two
//! tensors share bytes. It must not know which tensors a model has.

use std::ops::Range;
use std::path::Path;

use kernels::DenseFormat;

use crate::Error;
use crate::error::printable;

/// The encoding of a stored tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// A format that dense matrices and vectors may have.
    Dense(DenseFormat),
    /// Plain bytes: nibbles or scales of MXFP4 in safetensors.
    U8,
    /// GGUF's MXFP4: blocks of 17 bytes for 32 values.
    Mxfp4,
    /// Anything else, by the name its format gives it; no such tensor is ever used.
    Other(String),
}

/// GGUF's type numbers for encodings that can be read.
const GGUF_ENCODINGS: [(u32, Encoding); 14] = [
    (0, Encoding::Dense(DenseFormat::F32)),
    (1, Encoding::Dense(DenseFormat::F16)),
    (2, Encoding::Dense(DenseFormat::Q4_0)),
    (3, Encoding::Dense(DenseFormat::Q4_1)),
    (6, Encoding::Dense(DenseFormat::Q5_0)),
    (7, Encoding::Dense(DenseFormat::Q5_1)),
    (8, Encoding::Dense(DenseFormat::Q8_0)),
    (10, Encoding::Dense(DenseFormat::Q2K)),
    (11, Encoding::Dense(DenseFormat::Q3K)),
    (12, Encoding::Dense(DenseFormat::Q4K)),
    (13, Encoding::Dense(DenseFormat::Q5K)),
    (14, Encoding::Dense(DenseFormat::Q6K)),
    (30, Encoding::Dense(DenseFormat::BF16)),
    (39, Encoding::Mxfp4),
];

/// GGUF's type numbers that are only known by name, for the message.
const GGUF_OTHERS: [(u32, &str); 20] = [
    (4, "an early Ollama MXFP4 (type 4, other nibble order)"),
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (40, "NVFP4"),
];

impl Encoding {
    /// The encoding that a safetensors `dtype` names.
    #[must_use]
    pub fn from_safetensors(dtype: &str) -> Self {
        match dtype {
            "F32" => Self::Dense(DenseFormat::F32),
            "F16" => Self::Dense(DenseFormat::F16),
            "BF16" => Self::Dense(DenseFormat::BF16),
            "U8" => Self::U8,
            other => Self::Other(printable(other)),
        }
    }

    /// The encoding that a GGUF type number names.
    #[must_use]
    pub fn from_gguf(number: u32) -> Self {
        if let Some((_, encoding)) = GGUF_ENCODINGS.iter().find(|(known, _)| *known == number) {
            return encoding.clone();
        }
        let name = GGUF_OTHERS.iter().find(|(known, _)| *known == number).map(|(_, name)| (*name).to_owned());
        Self::Other(name.unwrap_or_else(|| format!("unknown type {number}")))
    }

    /// Values and bytes of a block; `None` for encodings that are not read.
    #[must_use]
    pub fn block(&self) -> Option<(usize, usize)> {
        match self {
            Self::Dense(format) => Some((format.block_values(), format.block_bytes())),
            Self::U8 => Some((1, 1)),
            Self::Mxfp4 => Some((32, 17)),
            Self::Other(_) => None,
        }
    }

    /// The name to show.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Dense(format) => format.name(),
            Self::U8 => "U8",
            Self::Mxfp4 => "MXFP4",
            Self::Other(name) => name,
        }
    }
}

/// Refuses tensors that share bytes. Sorts `ranges` by position.
///
/// # Errors
/// [`Error::Tensor`] naming the later of two overlapping tensors.
pub(super) fn refuse_overlaps(path: &Path, ranges: &mut [(&str, Range<usize>)]) -> Result<(), Error> {
    ranges.sort_by_key(|(_, range)| (range.start, range.end));
    for pair in ranges.windows(2) {
        let [(first, first_range), (second, second_range)] = pair else { continue };
        if second_range.start < first_range.end {
            return Err(Error::Tensor {
                path: path.to_path_buf(),
                tensor: printable(second),
                property: "data offsets",
                expected: format!("bytes of its own, after those of {} (file bytes {first_range:?})", printable(first)),
                found: format!("an overlap (file bytes {second_range:?})"),
            });
        }
    }
    Ok(())
}
