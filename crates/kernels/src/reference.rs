//! The slow twin: every op of [`Backend`] written obviously, in f64, one value at a time. Fast backends are held to it.
//!
//! It must not know instruction sets or threads. Formulas: the gpt-oss reference implementation.

use std::ops::Range;
use std::sync::Arc;

use crate::backend::{
    Attention, Backend, ExpertWeights, KV_BLOCK_POSITIONS, KvPrecision, LinearWeights, RotaryTable, Routing,
    top_experts,
};
use crate::byte_vector::STEPS;
use crate::decode::{bf16_to_f32, decode_dense, decode_mxfp4_block, f32_to_bf16};
use crate::storage::{DenseMatrix, GateUp, Mxfp4Layout, Mxfp4Matrix};

/// The reference backend; activations are f64.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference;

/// Activations, a vector per row.
pub(crate) type Rows = Vec<Vec<f64>>;

/// Keys and values of one layer, a vector per position; forgets nothing, windows are applied when attending.
pub struct Kv {
    precision: KvPrecision,
    head_dim: usize,
    keys: Vec<Vec<f64>>,
    values: Vec<Vec<f64>>,
}

/// A block's keys and values.
pub struct Page {
    keys: Vec<Vec<f64>>,
    values: Vec<Vec<f64>>,
}

impl Backend for Reference {
    type Rows = Rows;
    type Kv = Kv;
    type Page = Arc<Page>;
    type Linear = LinearWeights;
    type Experts = ExpertWeights;

    fn load_linear(&self, weights: LinearWeights) -> LinearWeights {
        weights
    }

    fn load_experts(&self, weights: ExpertWeights) -> ExpertWeights {
        weights
    }

    fn new_kv(&self, _kv_heads: usize, head_dim: usize, _window: Option<usize>, precision: KvPrecision) -> Kv {
        Kv { precision, head_dim, keys: Vec::new(), values: Vec::new() }
    }

    fn kv_bytes(&self, kv: &Kv) -> usize {
        kv.keys.iter().chain(&kv.values).map(|row| row.len() * size_of::<f64>()).sum()
    }

    fn kv_page(&self, kv: &Kv, index: usize) -> Option<Arc<Page>> {
        let positions = index * KV_BLOCK_POSITIONS..(index + 1) * KV_BLOCK_POSITIONS;
        let page = Page { keys: kv.keys.get(positions.clone())?.to_vec(), values: kv.values.get(positions)?.to_vec() };
        Some(Arc::new(page))
    }

    /// What was forgotten is never looked at again, so zeros stand for it.
    fn restore_kv<'a>(&self, kv: &mut Kv, forgotten: usize, pages: impl Iterator<Item = &'a Arc<Page>>) {
        assert!(kv.keys.is_empty());
        for page in pages {
            let width = page.keys[0].len();
            let missing = (forgotten * KV_BLOCK_POSITIONS).saturating_sub(kv.keys.len());
            kv.keys.extend(vec![vec![0.0; width]; missing]);
            kv.values.extend(vec![vec![0.0; width]; missing]);
            kv.keys.extend_from_slice(&page.keys);
            kv.values.extend_from_slice(&page.values);
        }
    }

    /// It forgets nothing.
    fn forget_kv(&self, _kv: &mut Kv) {}

    fn truncate_kv(&self, kv: &mut Kv, length: usize) {
        kv.keys.truncate(length);
        kv.values.truncate(length);
    }

    /// Two vectors of f64 per position.
    fn kv_block_bytes(&self, kv_heads: usize, head_dim: usize, _precision: KvPrecision) -> usize {
        2 * KV_BLOCK_POSITIONS * kv_heads * head_dim * size_of::<f64>()
    }

    fn kv_kind(&self) -> String {
        "reference".into()
    }

    fn describe(&self) -> String {
        "the reference in f64".into()
    }

    /// The slow twin does not count.
    fn kv_blocks_in_use(&self) -> usize {
        0
    }

    fn write_page(&self, page: &Arc<Page>, out: &mut Vec<u8>) {
        let values = page.keys.iter().chain(&page.values).flatten();
        out.extend(values.flat_map(|value| value.to_le_bytes()));
    }

    fn read_page(&self, _kv: &Kv, bytes: &[u8]) -> Option<Arc<Page>> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let width = numbers.len() / (2 * KV_BLOCK_POSITIONS);
        if !rest.is_empty() || width == 0 || !numbers.len().is_multiple_of(2 * KV_BLOCK_POSITIONS) {
            return None;
        }
        let mut rows: Vec<Vec<f64>> =
            numbers.chunks(width).map(|row| row.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()).collect();
        let values = rows.split_off(KV_BLOCK_POSITIONS);
        Some(Arc::new(Page { keys: rows, values }))
    }

    fn resize(&self, x: &mut Rows, rows: usize, columns: usize) {
        *x = vec![vec![0.0; columns]; rows];
    }

    fn embed(&self, table: &LinearWeights, ids: &[u32], out: &mut Rows) {
        *out = ids.iter().map(|&id| dense_row(&table.matrix, id as usize)).collect();
    }

    fn rms_norm(&self, x: &Rows, weight: &[f32], epsilon: f32, out: &mut Rows) {
        *out = x
            .iter()
            .map(|row| {
                let mean_square = row.iter().map(|value| value * value).sum::<f64>() / row.len() as f64;
                let scale = 1.0 / (mean_square + f64::from(epsilon)).sqrt();
                row.iter().zip(weight).map(|(value, &weight)| value * scale * f64::from(weight)).collect()
            })
            .collect();
    }

    fn linear(&self, layer: &LinearWeights, x: &Rows, out: &mut Rows) {
        *out = vec![vec![0.0; layer.matrix.rows]; x.len()];
        for output in 0..layer.matrix.rows {
            let weights = dense_row(&layer.matrix, output);
            let bias = layer.bias.as_ref().map_or(0.0, |bias| f64::from(bias[output]));
            for (x, out) in x.iter().zip(out.iter_mut()) {
                out[output] = dot(&weights, x) + bias;
            }
        }
    }

    fn add(&self, x: &Rows, residual: &mut Rows) {
        for (x, residual) in x.iter().flatten().zip(residual.iter_mut().flatten()) {
            *residual += x;
        }
    }

    fn rope(&self, x: &mut Rows, table: &RotaryTable) {
        let half = table.half;
        for (row, values) in x.iter_mut().enumerate() {
            for head in values.chunks_exact_mut(2 * half) {
                for i in 0..half {
                    let (cos, sin) = (f64::from(table.cos[row * half + i]), f64::from(table.sin[row * half + i]));
                    let (first, second) = (head[i], head[i + half]);
                    head[i] = first * cos - second * sin;
                    head[i + half] = second * cos + first * sin;
                }
            }
        }
    }

    fn write_kv(&self, kv: &mut Kv, keys: &Rows, values: &Rows, rows: Range<usize>) {
        let (precision, head_dim) = (kv.precision, kv.head_dim);
        let keep = |row: &Vec<f64>| row.chunks(head_dim).flat_map(|head| rounded(head, precision)).collect();
        kv.keys.extend(keys[rows.clone()].iter().map(keep));
        kv.values.extend(values[rows].iter().map(keep));
    }

    fn attend(&self, shape: Attention<'_>, queries: &Rows, kv: &Kv, rows: Range<usize>, out: &mut Rows) {
        let first_position = kv.keys.len() - rows.len();
        let dim = shape.head_dim;
        for (index, row) in rows.enumerate() {
            let position = first_position + index;
            let start = shape.window.map_or(0, |window| (position + 1).saturating_sub(window));
            for head in 0..shape.heads {
                let query = &queries[row][head * dim..(head + 1) * dim];
                let kv_head = head / (shape.heads / shape.kv_heads) * dim;
                let logits: Vec<f64> = kv.keys[start..=position]
                    .iter()
                    .map(|key| dot(query, &key[kv_head..kv_head + dim]) / (dim as f64).sqrt())
                    .collect();
                let sink = f64::from(shape.sinks[head]);
                let greatest = logits.iter().copied().fold(sink, f64::max);
                let total = (sink - greatest).exp() + logits.iter().map(|logit| (logit - greatest).exp()).sum::<f64>();
                for i in 0..dim {
                    let values = &kv.values[start..=position];
                    out[row][head * dim + i] = logits
                        .iter()
                        .zip(values)
                        .map(|(logit, value)| (logit - greatest).exp() / total * value[kv_head + i])
                        .sum();
                }
            }
        }
    }

    fn route(&self, logits: &Rows, experts_per_row: usize, out: &mut Routing) {
        let chosen = logits.iter().flat_map(|row| top_experts(row.iter().copied(), experts_per_row));
        let (experts, weights): (Vec<u32>, Vec<f32>) = chosen.map(|(expert, weight)| (expert, weight as f32)).unzip();
        *out = Routing { experts_per_row, experts, weights };
    }

    fn experts(&self, layer: &ExpertWeights, x: &Rows, routing: &Routing, residual: &mut Rows) {
        let k = routing.experts_per_row;
        for (row, (x, residual)) in x.iter().zip(residual.iter_mut()).enumerate() {
            for slot in row * k..(row + 1) * k {
                let output = expert(layer, routing.experts[slot] as usize, x);
                for (residual, value) in residual.iter_mut().zip(output) {
                    *residual += f64::from(routing.weights[slot]) * value;
                }
            }
        }
    }

    fn gather(&self, x: &Rows, picked: &[usize], out: &mut Rows) {
        *out = picked.iter().map(|&row| x[row].clone()).collect();
    }

    fn read(&self, x: &Rows, out: &mut Vec<f32>) {
        out.extend(x.iter().flatten().map(|&value| value as f32));
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A head's key or value as the cache gives it back.
fn rounded(head: &[f64], precision: KvPrecision) -> Vec<f64> {
    match precision {
        KvPrecision::F32 => head.to_vec(),
        KvPrecision::BF16 => head.iter().map(|&value| f64::from(bf16_to_f32(f32_to_bf16(value as f32)))).collect(),
        KvPrecision::Q8 if head.iter().any(|value| !value.is_finite()) => vec![f64::NAN; head.len()],
        KvPrecision::Q8 => {
            let greatest = head.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
            let scale = f64::from((greatest / STEPS) as f32);
            let step = |value: f64| if greatest == 0.0 { 0.0 } else { (value * STEPS / greatest).round_ties_even() };
            head.iter().map(|&value| scale * step(value)).collect()
        }
    }
}

fn dense_row(matrix: &DenseMatrix, row: usize) -> Vec<f64> {
    let mut values = vec![0.0; matrix.columns];
    decode_dense(matrix.format, matrix.row(row), 0, &mut values);
    values.into_iter().map(f64::from).collect()
}

fn mxfp4_row(matrix: &Mxfp4Matrix, expert: usize, row: usize) -> Vec<f64> {
    let blocks = matrix.row_blocks(expert, row).chunks_exact(matrix.layout.block_bytes());
    let mut values = [0.0; 32];
    blocks
        .enumerate()
        .flat_map(|(index, block)| {
            let (nibbles, scale) = match matrix.layout {
                Mxfp4Layout::Split => (block, matrix.row_scales(expert, row)[index]),
                Mxfp4Layout::Joined => (&block[1..], block[0]),
            };
            decode_mxfp4_block(matrix.layout, nibbles, scale, &mut values);
            values.map(f64::from)
        })
        .collect()
}

fn gate_and_up(weights: &GateUp, expert: usize, unit: usize) -> (Vec<f64>, Vec<f64>) {
    match weights {
        GateUp::Interleaved(both) => (mxfp4_row(both, expert, 2 * unit), mxfp4_row(both, expert, 2 * unit + 1)),
        GateUp::Halves(both) => (mxfp4_row(both, expert, unit), mxfp4_row(both, expert, both.rows / 2 + unit)),
        GateUp::Separate { gate, up } => (mxfp4_row(gate, expert, unit), mxfp4_row(up, expert, unit)),
    }
}

fn expert(layer: &ExpertWeights, expert: usize, x: &[f64]) -> Vec<f64> {
    let intermediate = layer.down.columns;
    let limit = f64::from(layer.swiglu_limit);
    let activation: Vec<f64> = (0..intermediate)
        .map(|unit| {
            let (gate, up) = gate_and_up(&layer.gate_up, expert, unit);
            let bias = &layer.gate_up_bias[(expert * intermediate + unit) * 2..];
            let gate = dot(&gate, x) + f64::from(bias[0]);
            let gate = if gate > limit { limit } else { gate };
            let up = (dot(&up, x) + f64::from(bias[1])).clamp(-limit, limit);
            gate / (1.0 + (-1.702 * gate).exp()) * (up + 1.0)
        })
        .collect();
    (0..layer.down.rows)
        .map(|output| {
            let bias = f64::from(layer.down_bias[expert * layer.down.rows + output]);
            dot(&mxfp4_row(&layer.down, expert, output), &activation) + bias
        })
        .collect()
}
