//! The end of the model: final norm, unembedding and cross-entropy, in chunks of rows, so that `tokens × vocabulary` logits
//! never exist. Only rows whose next token counts are computed. It must not know layers.

use kernels::{Matrix, Target, Training};
use model::ModelConfig;

use crate::batch::Batch;
use crate::layer::linear_backward;
use crate::parameters::Layout;

/// Rows of logits that exist at a time.
const CHUNK_ROWS: usize = 256;
/// Rows per task of the gathering loop.
const TASK_ROWS: usize = 64;

/// Sums over the rows that count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    /// Loss in nats times the rows' weights.
    pub(crate) loss: f64,
    /// Rows whose most likely token was right.
    pub(crate) correct: usize,
}

/// Working memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    rows: Vec<f32>,
    normed: Vec<f32>,
    scales: Vec<f32>,
    logits: Vec<f32>,
    chunk_gradient: Vec<f32>,
    normed_gradient: Vec<f32>,
    row_gradient: Vec<f32>,
    targets: Vec<(u32, f32)>,
    results: Vec<(f32, bool)>,
}

/// The loss of a batch, every row's weight times `scale`. With `gradients`, replaces `stream` (the residual stream after the
/// last layer, `[tokens, hidden]`) by its gradient and adds the parameters' gradients.
pub(crate) fn cross_entropy(
    (config, layout): (&ModelConfig, &Layout),
    compute: &mut Training,
    (parameters, batch, scale): (&[f32], &Batch, f32),
    stream: &mut [f32],
    mut gradients: Option<&mut [f32]>,
    scratch: &mut Scratch,
) -> Sums {
    let (hidden, vocabulary) = (config.hidden_size, config.vocabulary_size);
    let count = batch.rows.len();
    let Scratch { rows, normed, scales, logits, chunk_gradient, normed_gradient, row_gradient, targets, results } =
        scratch;
    rows.resize(count * hidden, 0.0);
    compute.for_each_chunk(rows, TASK_ROWS * hidden, |task, rows| {
        for (row, &token) in rows.chunks_exact_mut(hidden).zip(&batch.rows[task * TASK_ROWS..]) {
            row.copy_from_slice(&stream[token as usize * hidden..][..hidden]);
        }
    });
    normed.resize(count * hidden, 0.0);
    scales.resize(count, 0.0);
    let norm = &parameters[layout.final_norm.clone()];
    compute.rms_norm(rows, norm, config.rms_norm_epsilon, normed, scales);
    targets.clear();
    targets.extend(batch.targets.iter().map(|&(id, weight)| (id, weight * scale)));
    normed_gradient.resize(count * hidden, 0.0);
    let unembedding = &parameters[layout.unembedding.clone()];
    let mut sums = Sums::default();
    for first in (0..count).step_by(CHUNK_ROWS) {
        let rows = CHUNK_ROWS.min(count - first);
        let range = first * hidden..(first + rows) * hidden;
        logits.resize(rows * vocabulary, 0.0);
        compute.multiply(
            Matrix::new(&normed[range.clone()], rows, hidden),
            Matrix::new(unembedding, vocabulary, hidden).transposed(),
            None,
            Target { values: logits, stride: vocabulary, accumulate: false },
        );
        results.resize(rows, (0.0, false));
        compute.cross_entropy(logits, &targets[first..first + rows], results);
        sums.loss += results.iter().map(|&(loss, _)| f64::from(loss)).sum::<f64>();
        sums.correct += results.iter().filter(|&&(_, correct)| correct).count();
        if let Some(gradients) = gradients.as_deref_mut() {
            let matrix = (unembedding, hidden, vocabulary);
            let to = &mut gradients[layout.unembedding.clone()];
            linear_backward(compute, (&normed[range.clone()], logits, rows), matrix, chunk_gradient, to);
            normed_gradient[range].copy_from_slice(chunk_gradient);
        }
    }
    if let Some(gradients) = gradients {
        row_gradient.clear();
        row_gradient.resize(count * hidden, 0.0);
        let to = &mut gradients[layout.final_norm.clone()];
        compute.rms_norm_backward((rows, norm, scales), normed_gradient, row_gradient, to);
        stream.fill(0.0);
        for (&token, row) in batch.rows.iter().zip(row_gradient.chunks_exact(hidden)) {
            stream[token as usize * hidden..][..hidden].copy_from_slice(row);
        }
    }
    sums
}
