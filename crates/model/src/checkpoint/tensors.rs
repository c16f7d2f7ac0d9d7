//! The tensors of all files of a checkpoint, handed out once each by name under a check of encoding and shape; what is left
//! over at the end is refused. It must not know the names that a layout uses.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use kernels::decode::{bf16_to_f32, f16_to_f32};
use kernels::{Bytes, DenseFormat, DenseMatrix, Mxfp4Layout, Mxfp4Matrix};

use super::encoding::Encoding;
use super::scales::ScaledTensor;
use super::{CheckpointFile, TensorInfo, TensorKind};
use crate::Error;
use crate::error::printable;

/// Values that share an MXFP4 scale.
pub(super) const BLOCK_VALUES: usize = 32;

/// Every tensor that the files hold and nobody has taken yet.
pub(super) struct Tensors {
    /// The file or directory that messages about missing tensors name.
    origin: PathBuf,
    files: Vec<CheckpointFile>,
    stored: BTreeMap<String, Stored>,
    taken: Vec<TensorInfo>,
    scaled: Vec<ScaledTensor>,
}

/// What was taken from all files.
pub(super) struct Taken {
    pub(super) files: Vec<CheckpointFile>,
    pub(super) tensors: Vec<TensorInfo>,
    /// Those whose scales are to be looked at.
    pub(super) scaled: Vec<ScaledTensor>,
}

struct Stored {
    file: usize,
    encoding: Encoding,
    shape: Vec<usize>,
    bytes: Bytes,
}

/// The shape of one expert projection, `[experts, rows, columns]`.
#[derive(Clone, Copy)]
pub(super) struct ExpertShape {
    pub(super) experts: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Tensors {
    pub(super) fn new(origin: &Path) -> Self {
        let origin = origin.to_path_buf();
        Self { origin, files: Vec::new(), stored: BTreeMap::new(), taken: Vec::new(), scaled: Vec::new() }
    }

    /// Adds the tensors of one mapped file.
    pub(super) fn add_file(
        &mut self,
        path: &Path,
        bytes: &Bytes,
        entries: impl IntoIterator<Item = (String, Encoding, Vec<usize>, Range<usize>)>,
    ) -> Result<(), Error> {
        let file = self.files.len();
        self.files.push(CheckpointFile { path: path.to_path_buf(), bytes: bytes.len() as u64 });
        for (name, encoding, shape, range) in entries {
            let bytes = bytes.slice(range.start, range.len()).expect("the header parser checked the range");
            if let Some(first) = self.stored.get(&name) {
                let other = self.files[first.file].path.clone();
                return Err(Error::DuplicateTensor { path: path.to_path_buf(), tensor: printable(&name), other });
            }
            self.stored.insert(name, Stored { file, encoding, shape, bytes });
        }
        Ok(())
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.stored.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.stored.keys().map(String::as_str)
    }

    /// The shape of a tensor, before it is taken.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.stored.get(name).map(|stored| stored.shape.as_slice())
    }

    /// A `[rows, columns]` matrix in whatever dense format it has, still in its file.
    pub(super) fn dense(
        &mut self,
        kind: TensorKind,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<DenseMatrix, Error> {
        let stored = self.take(kind, name, &[rows, columns])?;
        let Encoding::Dense(format) = stored.encoding else {
            return Err(self.wrong_encoding(
                name,
                &stored,
                "a dense format (F32, F16, BF16, Q8_0, Q4_0 to Q5_1 or Q2_K to Q6_K)",
            ));
        };
        Ok(DenseMatrix { format, rows, columns, bytes: stored.bytes })
    }

    /// A norm, bias or sink vector of any shape, widened exactly to f32; all values are finite.
    pub(super) fn vector(&mut self, kind: TensorKind, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let stored = self.take(kind, name, shape)?;
        let values: Vec<f32> = match stored.encoding {
            Encoding::Dense(DenseFormat::F32) => values_of(&stored.bytes, f32::from_le_bytes),
            Encoding::Dense(DenseFormat::F16) => values_of(&stored.bytes, |pair| f16_to_f32(u16::from_le_bytes(pair))),
            Encoding::Dense(DenseFormat::BF16) => {
                values_of(&stored.bytes, |pair| bf16_to_f32(u16::from_le_bytes(pair)))
            }
            Encoding::Dense(_) | Encoding::U8 | Encoding::Mxfp4 | Encoding::Other(_) => {
                return Err(self.wrong_encoding(name, &stored, "F32, F16 or BF16"));
            }
        };
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let path = self.files[stored.file].path.clone();
            return Err(Error::NotFinite { path, tensor: name.to_owned(), index, found: values[index] });
        }
        self.taken.last_mut().expect("it was just taken").widened = true;
        Ok(values)
    }

    /// Expert matrices whose nibbles and scales are two U8 tensors (safetensors).
    pub(super) fn split_experts(
        &mut self,
        blocks: &str,
        scales: &str,
        shape: ExpertShape,
    ) -> Result<Mxfp4Matrix, Error> {
        let ExpertShape { experts, rows, columns } = shape;
        let groups = columns / BLOCK_VALUES;
        let nibbles = self.take(TensorKind::Experts, blocks, &[experts, rows, groups, BLOCK_VALUES / 2])?;
        if nibbles.encoding != Encoding::U8 {
            return Err(self.wrong_encoding(blocks, &nibbles, "U8 (two MXFP4 values per byte)"));
        }
        let exponents = self.take(TensorKind::Experts, scales, &[experts, rows, groups])?;
        if exponents.encoding != Encoding::U8 {
            return Err(self.wrong_encoding(scales, &exponents, "U8 (E8M0 scales)"));
        }
        let layout = Mxfp4Layout::Split;
        let matrix = Mxfp4Matrix { layout, experts, rows, columns, blocks: nibbles.bytes, scales: exponents.bytes };
        self.scaled.push(ScaledTensor { file: exponents.file, tensor: scales.to_owned(), matrix: matrix.clone() });
        Ok(matrix)
    }

    /// Expert matrices in GGUF's blocks of 17 bytes.
    pub(super) fn joined_experts(&mut self, name: &str, shape: ExpertShape) -> Result<Mxfp4Matrix, Error> {
        let ExpertShape { experts, rows, columns } = shape;
        if let Some(stored) = self.stored.get(name)
            && stored.encoding != Encoding::Mxfp4
        {
            let path = self.files[stored.file].path.clone();
            return Err(Error::ExpertEncoding {
                path,
                tensor: name.to_owned(),
                found: stored.encoding.name().to_owned(),
            });
        }
        let stored = self.take(TensorKind::Experts, name, &[experts, rows, columns])?;
        let (layout, scales) = (Mxfp4Layout::Joined, Bytes::from_vec(Vec::new()));
        let matrix = Mxfp4Matrix { layout, experts, rows, columns, blocks: stored.bytes, scales };
        self.scaled.push(ScaledTensor { file: stored.file, tensor: name.to_owned(), matrix: matrix.clone() });
        Ok(matrix)
    }

    /// Refuses a safetensors tensor that holds experts outside MXFP4.
    pub(super) fn refuse_plain_experts(&self, name: &str) -> Result<(), Error> {
        let Some(stored) = self.stored.get(name) else { return Ok(()) };
        let path = self.files[stored.file].path.clone();
        Err(Error::ExpertEncoding { path, tensor: name.to_owned(), found: stored.encoding.name().to_owned() })
    }

    /// Ends the loading: refuses what nobody took.
    pub(super) fn finish(self) -> Result<Taken, Error> {
        let Self { origin: _, files, stored, taken, scaled } = self;
        if let Some((name, extra)) = stored.first_key_value() {
            return Err(Error::ExtraTensor {
                path: files[extra.file].path.clone(),
                tensor: printable(name),
                expected: taken.len(),
                found: format!("{} {:?}", extra.encoding.name(), extra.shape),
            });
        }
        Ok(Taken { files, tensors: taken, scaled })
    }

    fn take(&mut self, kind: TensorKind, name: &str, shape: &[usize]) -> Result<Stored, Error> {
        let Some(stored) = self.stored.remove(name) else {
            let expected = format!("shape {shape:?}");
            return Err(Error::MissingTensor { path: self.origin.clone(), tensor: name.to_owned(), expected });
        };
        if stored.shape != shape {
            return Err(Error::Tensor {
                path: self.files[stored.file].path.clone(),
                tensor: name.to_owned(),
                property: "shape",
                expected: format!("{shape:?}"),
                found: format!("{:?}", stored.shape),
            });
        }
        self.taken.push(TensorInfo {
            name: name.to_owned(),
            format: stored.encoding.name().to_owned(),
            shape: stored.shape.clone(),
            bytes: stored.bytes.len() as u64,
            kind,
            file: stored.file,
            widened: false,
        });
        Ok(stored)
    }

    fn wrong_encoding(&self, name: &str, stored: &Stored, expected: &str) -> Error {
        Error::Tensor {
            path: self.files[stored.file].path.clone(),
            tensor: name.to_owned(),
            property: "dtype",
            expected: expected.to_owned(),
            found: stored.encoding.name().to_owned(),
        }
    }
}

fn values_of<const SIZE: usize>(bytes: &[u8], widen: impl Fn([u8; SIZE]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<SIZE>().0.iter().map(|&value| widen(value)).collect()
}
