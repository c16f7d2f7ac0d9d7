//! The check at open that no MXFP4 scale is E8M0's not-a-number, byte 255. It must not know what the weights mean.
//!
//! The scales of gpt-oss-20b are some 600 million bytes, apart from the nibbles in safetensors but every seventeenth byte
//! in GGUF, so the check is a plain maximum over blocks (no branch per byte) shared among all processors.

use std::sync::atomic::{AtomicUsize, Ordering};

use kernels::{Mxfp4Layout, Mxfp4Matrix};

use super::CheckpointFile;
use super::tensors::BLOCK_VALUES;
use crate::Error;

/// E8M0's only not-a-number.
const NOT_A_NUMBER: u8 = 255;
/// Scales that a thread takes at a time: 1 MB when they lie apart, 17 MB of blocks when they do not.
const PIECE_SCALES: usize = 1 << 20;

/// A tensor that holds scales.
#[derive(Clone)]
pub(super) struct ScaledTensor {
    pub(super) file: usize,
    /// Name of the tensor with the scales.
    pub(super) tensor: String,
    pub(super) matrix: Mxfp4Matrix,
}

/// A run of scales: `count` of them in tensor `tensor`, from scale number `first`.
struct Piece {
    tensor: usize,
    first: usize,
    count: usize,
}

/// Refuses the first scale of 255, in the order of `scaled`.
///
/// # Errors
/// [`Error::ScaleNotANumber`].
pub(super) fn refuse_nan_scales(files: &[CheckpointFile], scaled: &[ScaledTensor]) -> Result<(), Error> {
    let pieces = cut(scaled);
    let next = AtomicUsize::new(0);
    // Index of the first piece with a bad scale; all pieces before it are looked at, so the answer is always the same.
    let worst = AtomicUsize::new(usize::MAX);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(pieces.len());
    let scan = || {
        while let Some((index, piece)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            pieces.get(index).map(|piece| (index, piece))
        } {
            if has_nan(&scaled[piece.tensor].matrix, piece) {
                worst.fetch_min(index, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Where the system gives no more threads, those that run do all the work.
            if std::thread::Builder::new().spawn_scoped(scope, scan).is_err() {
                break;
            }
        }
        scan();
    });
    let Some(piece) = pieces.get(worst.into_inner()) else { return Ok(()) };
    let ScaledTensor { file, tensor, matrix } = &scaled[piece.tensor];
    let scale = (piece.first..piece.first + piece.count)
        .find(|&scale| scale_at(matrix, scale) == NOT_A_NUMBER)
        .expect("the piece has such a scale");
    let row = scale / (matrix.columns / BLOCK_VALUES);
    Err(Error::ScaleNotANumber {
        path: files[*file].path.clone(),
        tensor: tensor.clone(),
        expert: row / matrix.rows,
        row: row % matrix.rows,
    })
}

fn cut(scaled: &[ScaledTensor]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (tensor, ScaledTensor { matrix, .. }) in scaled.iter().enumerate() {
        let total = matrix.experts * matrix.rows * (matrix.columns / BLOCK_VALUES);
        for first in (0..total).step_by(PIECE_SCALES) {
            pieces.push(Piece { tensor, first, count: PIECE_SCALES.min(total - first) });
        }
    }
    pieces
}

fn has_nan(matrix: &Mxfp4Matrix, piece: &Piece) -> bool {
    let Piece { tensor: _, first, count } = *piece;
    let largest = match matrix.layout {
        Mxfp4Layout::Split => {
            matrix.scales[first..first + count].iter().fold(0, |largest: u8, &scale| largest.max(scale))
        }
        Mxfp4Layout::Joined => {
            let (blocks, _) = matrix.blocks[first * 17..(first + count) * 17].as_chunks::<17>();
            blocks.iter().fold(0, |largest: u8, block| largest.max(block[0]))
        }
    };
    largest == NOT_A_NUMBER
}

fn scale_at(matrix: &Mxfp4Matrix, scale: usize) -> u8 {
    match matrix.layout {
        Mxfp4Layout::Split => matrix.scales[scale],
        Mxfp4Layout::Joined => matrix.blocks[scale * matrix.layout.block_bytes()],
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use kernels::Bytes;

    use super::{
        BLOCK_VALUES, CheckpointFile, Error, Mxfp4Layout, Mxfp4Matrix, PIECE_SCALES, ScaledTensor, refuse_nan_scales,
    };

    const ROWS: usize = 3;
    const GROUPS: usize = 5;
    /// Enough scales for several pieces, the last one short.
    const EXPERTS: usize = 2 * PIECE_SCALES / (ROWS * GROUPS) + 1;

    fn tensor(layout: Mxfp4Layout, bad: &[usize]) -> ScaledTensor {
        let mut scales = vec![254_u8; EXPERTS * ROWS * GROUPS];
        for &scale in bad {
            scales[scale] = 255;
        }
        let (blocks, scales) = match layout {
            Mxfp4Layout::Split => (Vec::new(), scales),
            // Nibble bytes of 255 are ordinary weights.
            Mxfp4Layout::Joined => {
                (scales.iter().flat_map(|&scale| [[scale; 1].as_slice(), &[255; 16]].concat()).collect(), Vec::new())
            }
        };
        let (blocks, scales) = (Bytes::from_vec(blocks), Bytes::from_vec(scales));
        let matrix =
            Mxfp4Matrix { layout, experts: EXPERTS, rows: ROWS, columns: GROUPS * BLOCK_VALUES, blocks, scales };
        ScaledTensor { file: 0, tensor: format!("{layout:?}"), matrix }
    }

    #[test]
    fn the_first_bad_scale_is_named_and_no_nibble_is_mistaken_for_one() {
        let files = [CheckpointFile { path: PathBuf::from("shard"), bytes: 0 }];
        for layout in [Mxfp4Layout::Split, Mxfp4Layout::Joined] {
            assert!(refuse_nan_scales(&files, &[tensor(layout, &[]), tensor(layout, &[])]).is_ok());
            let total = EXPERTS * ROWS * GROUPS;
            for first in [0, 1, PIECE_SCALES - 1, PIECE_SCALES, total - 1] {
                let error = refuse_nan_scales(&files, &[tensor(layout, &[]), tensor(layout, &[first, total - 1])]);
                let Err(Error::ScaleNotANumber { expert, row, .. }) = error else {
                    panic!("{layout:?} {first}: {error:?}")
                };
                assert_eq!((expert, row), (first / GROUPS / ROWS, first / GROUPS % ROWS), "{layout:?} {first}");
            }
        }
    }
}
