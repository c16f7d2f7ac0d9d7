//! The GGUF layout (version 3, architecture `gpt-oss`): one file or several, with the vocabulary inside.
//!
//! Experts are stored in 17-byte MXFP4 blocks with gate and up rows apart; the other matrices in a chosen format; norms,
//! biases, sinks and the router in F32.

mod container;
mod keys;

use container::{GgmlType, GgufTensor};

use crate::dense::DenseFormat;
use crate::error::{Error, Result};
use crate::field::{Field, Normal};
use crate::original::published;
use crate::plan::{Content, FilePlan, Pick};
use crate::tensors::{Checkpoint, Tensor};

/// What a GGUF writer may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GgufOptions {
    /// Encoding of attention matrices, embedding and unembedding.
    pub dense: DenseFormat,
    /// One tensor `ffn_gate_up_exps` (gate rows, then up rows, per expert) instead of two.
    pub fused_gate_up: bool,
    /// Number of files that the tensors are split over.
    pub files: usize,
}

impl Default for GgufOptions {
    /// One file, bf16, gate and up apart.
    fn default() -> Self {
        Self { dense: DenseFormat::Bf16, fused_gate_up: false, files: 1 }
    }
}

/// All files; several are named `model-00001-of-0000N.gguf`, and the first holds all keys.
pub(crate) fn plans(checkpoint: &Checkpoint, options: GgufOptions) -> Result<Vec<FilePlan>> {
    let keys = keys::keys(checkpoint.shape())?;
    let tensors = tensors(checkpoint, options)?;
    let files = options.files;
    if files == 0 || files > tensors.len() {
        let expected = format!("1 to {} (tensors)", tensors.len());
        return Err(Error::Shape { field: "files", found: files.to_string(), expected });
    }
    if files == 1 {
        return Ok(vec![container::plan("model.gguf".into(), &keys, tensors)]);
    }
    let total = tensors.len();
    let mut tensors = tensors.into_iter();
    let mut plans = Vec::with_capacity(files);
    for file in 0..files {
        let mut own = if file == 0 { keys.clone() } else { container::Keys::default() };
        keys::split(&mut own, file, files, total);
        let count = (file + 1) * total / files - file * total / files;
        let name = format!("model-{:05}-of-{files:05}.gguf", file + 1);
        plans.push(container::plan(name, &own, tensors.by_ref().take(count).collect()));
    }
    Ok(plans)
}

fn tensors(checkpoint: &Checkpoint, options: GgufOptions) -> Result<Vec<GgufTensor>> {
    let [embedding, norm, unembedding] = checkpoint.ends() else { unreachable!("Checkpoint::new makes these three") };
    let mut tensors = vec![dense(embedding, "token_embd.weight".into(), options.dense)?];
    for layer in 0..checkpoint.shape().layers.len() {
        let tensor = |name: &str| published(checkpoint, layer, name);
        let name = |name: &str| format!("blk.{layer}.{name}");
        for (from, to) in [
            ("input_layernorm.weight", "attn_norm.weight"),
            ("post_attention_layernorm.weight", "post_attention_norm.weight"),
            ("self_attn.q_proj.bias", "attn_q.bias"),
            ("self_attn.k_proj.bias", "attn_k.bias"),
            ("self_attn.v_proj.bias", "attn_v.bias"),
            ("self_attn.o_proj.bias", "attn_output.bias"),
            ("self_attn.sinks", "attn_sinks.weight"),
            ("mlp.router.weight", "ffn_gate_inp.weight"),
            ("mlp.router.bias", "ffn_gate_inp.bias"),
            ("mlp.experts.down_proj_bias", "ffn_down_exps.bias"),
        ] {
            tensors.push(dense(tensor(from), name(to), DenseFormat::F32)?);
        }
        for (from, to) in [("q", "attn_q"), ("k", "attn_k"), ("v", "attn_v"), ("o", "attn_output")] {
            let matrix = tensor(&format!("self_attn.{from}_proj.weight"));
            tensors.push(dense(matrix, name(&format!("{to}.weight")), options.dense)?);
        }
        tensors.push(experts(checkpoint, layer, "down", name("ffn_down_exps.weight"), None));
        let width = checkpoint.shape().intermediate_size;
        let picks: &[(&str, Pick)] = if options.fused_gate_up {
            &[("ffn_gate_up_exps", Pick::GateThenUp { width })]
        } else {
            &[("ffn_gate_exps", Pick::Gate), ("ffn_up_exps", Pick::Up)]
        };
        for &(to, pick) in picks {
            tensors.push(experts(checkpoint, layer, "gate_up", name(&format!("{to}.weight")), Some(pick)));
            tensors.push(picked_bias(tensor("mlp.experts.gate_up_proj_bias"), name(&format!("{to}.bias")), pick));
        }
    }
    tensors.push(dense(norm, "output_norm.weight".into(), DenseFormat::F32)?);
    tensors.push(dense(unembedding, "output.weight".into(), options.dense)?);
    Ok(tensors)
}

fn normal(tensor: &Tensor) -> &Normal {
    match &tensor.field {
        Field::Normal(normal) => normal,
        Field::Blocks(_) | Field::Scales(_) => unreachable!("only bf16 tensors are stored as numbers"),
    }
}

fn dense(tensor: &Tensor, name: String, format: DenseFormat) -> Result<GgufTensor> {
    let columns = tensor.shape.last().copied().unwrap_or(1);
    if !columns.is_multiple_of(format.block_values()) {
        let what = format!("{name} with rows of {columns} values in {format:?} (blocks of {})", format.block_values());
        return Err(Error::Inexpressible { layout: "GGUF", what });
    }
    let content = Content::dense(normal(tensor), tensor.shape.iter().product(), format);
    Ok(GgufTensor { name, kind: format.into(), shape: tensor.shape.clone(), content })
}

/// Half of the rows (or all of them, reordered) of the gate/up bias, in F32. Each bias row is one value.
fn picked_bias(tensor: &Tensor, name: String, pick: Pick) -> GgufTensor {
    let (experts, rows) = (tensor.shape[0], picked_rows(tensor.shape[1], pick));
    let content = Content::dense(normal(tensor), experts * rows, DenseFormat::F32).with_rows(experts * rows, 1, pick);
    GgufTensor { name, kind: GgmlType::F32, shape: vec![experts, rows], content }
}

fn experts(checkpoint: &Checkpoint, layer: usize, which: &str, name: String, pick: Option<Pick>) -> GgufTensor {
    let blocks = published(checkpoint, layer, &format!("mlp.experts.{which}_proj_blocks"));
    let scales = published(checkpoint, layer, &format!("mlp.experts.{which}_proj_scales"));
    let (Field::Blocks(words), Field::Scales(scale_field)) = (&blocks.field, &scales.field) else {
        unreachable!("Checkpoint::new gives the experts blocks and scales")
    };
    let [experts, rows, row_blocks] = scales.shape[..] else { unreachable!("scales have three dimensions") };
    let mut content = Content::joined(*words, scale_field, experts * rows * row_blocks);
    let mut kept = rows;
    if let Some(pick) = pick {
        kept = picked_rows(rows, pick);
        content = content.with_rows(experts * kept, row_blocks, pick);
    }
    GgufTensor { name, kind: GgmlType::Mxfp4, shape: vec![experts, kept, row_blocks * 32], content }
}

fn picked_rows(rows: usize, pick: Pick) -> usize {
    match pick {
        Pick::Gate | Pick::Up => rows / 2,
        Pick::GateThenUp { .. } => rows,
    }
}

#[cfg(test)]
mod tests {
    use super::{GgmlType, GgufOptions, tensors};
    use crate::dense::DenseFormat;
    use crate::shape::Shape;
    use crate::tensors::Checkpoint;

    /// The counts that readers of the public files print.
    #[test]
    fn tensors_per_type_as_in_the_public_files() {
        for (shape, f32, q8_0, mxfp4) in [(Shape::gpt_oss_20b(), 289, 98, 72), (Shape::gpt_oss_120b(), 433, 146, 108)] {
            let checkpoint = Checkpoint::new(shape, 20).unwrap();
            let options = GgufOptions { dense: DenseFormat::Q8_0, ..GgufOptions::default() };
            let tensors = tensors(&checkpoint, options).unwrap();
            let count = |kind| tensors.iter().filter(|tensor| tensor.kind == kind).count();
            assert_eq!((count(GgmlType::F32), count(GgmlType::Q8_0), count(GgmlType::Mxfp4)), (f32, q8_0, mxfp4));
        }
    }
}
