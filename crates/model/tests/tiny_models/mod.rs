//! Small checkpoints as plain data that a test can damage before they are written. Their values come from `synth`; how they
//! are laid out in files is written here once more, so that damaged files differ from good ones only where a test says.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::allow_attributes, reason = "an expectation would fail in the binaries that use everything")]

pub(crate) mod gguf_files;
pub(crate) mod safetensors_files;

use kernels::decode::decode_mxfp4_block;
use kernels::{DenseMatrix, GateUp, Mxfp4Layout, Mxfp4Matrix};
use synth::Shape;

/// Two layers, as small as the format allows while every dimension differs from the others.
pub(crate) fn shape() -> Shape {
    Shape {
        vocabulary_size: 160,
        hidden_size: 64,
        intermediate_size: 32,
        layers: Shape::alternating(2),
        experts: 5,
        experts_per_token: 2,
        heads: 6,
        kv_heads: 3,
        head_dim: 16,
        ..Shape::tiny()
    }
}

/// A tensor as it is stored.
#[derive(Clone)]
pub(crate) struct StoredTensor {
    pub(crate) name: String,
    pub(crate) dtype: String,
    /// Slowest dimension first.
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
    /// Instead of the true place in the data.
    pub(crate) offsets: Option<[u64; 2]>,
}

/// The tensors of `synth`'s checkpoint under their Hugging Face names.
pub(crate) fn published_tensors(shape: Shape) -> Vec<StoredTensor> {
    let checkpoint = synth::Checkpoint::new(shape, 20).unwrap();
    let stored = |tensor: &synth::Tensor| StoredTensor {
        name: tensor.name.clone(),
        dtype: tensor.dtype.name().into(),
        shape: tensor.shape.clone(),
        bytes: tensor.bytes(),
        offsets: None,
    };
    checkpoint.tensors().map(stored).collect()
}

/// The one tensor of this name.
pub(crate) fn named<'a>(tensors: &'a mut [StoredTensor], name: &str) -> &'a mut StoredTensor {
    tensors.iter_mut().find(|tensor| tensor.name == name).unwrap_or_else(|| panic!("no {name}"))
}

/// All values of a dense matrix, decoded.
pub(crate) fn dense_values(matrix: &DenseMatrix) -> Vec<f32> {
    let mut values = vec![0.0; matrix.rows * matrix.columns];
    for (row, out) in values.chunks_exact_mut(matrix.columns).enumerate() {
        kernels::decode::decode_dense(matrix.format, matrix.row(row), 0, out);
    }
    values
}

/// One row of one expert's matrix, decoded.
pub(crate) fn expert_row(matrix: &Mxfp4Matrix, expert: usize, row: usize) -> Vec<f32> {
    let size = matrix.layout.block_bytes();
    let blocks = matrix.row_blocks(expert, row).chunks_exact(size);
    let decoded = blocks.enumerate().flat_map(|(index, block)| {
        let (nibbles, scale) = match matrix.layout {
            Mxfp4Layout::Split => (block, matrix.row_scales(expert, row)[index]),
            Mxfp4Layout::Joined => (&block[1..], block[0]),
        };
        let mut values = [0.0; 32];
        decode_mxfp4_block(matrix.layout, nibbles, scale, &mut values);
        values
    });
    decoded.collect()
}

/// The gate row and the up row of one expert's unit, however they are stored.
pub(crate) fn gate_and_up_rows(gate_up: &GateUp, expert: usize, unit: usize) -> [Vec<f32>; 2] {
    match gate_up {
        GateUp::Interleaved(both) => [2 * unit, 2 * unit + 1].map(|row| expert_row(both, expert, row)),
        GateUp::Halves(both) => [unit, both.rows / 2 + unit].map(|row| expert_row(both, expert, row)),
        GateUp::Separate { gate, up } => [gate, up].map(|matrix| expert_row(matrix, expert, unit)),
    }
}
