//! The same model opens from every layout with the same configuration and the same weights.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod tiny_models;

use std::path::Path;

use kernels::{DenseFormat, GateUp, Mxfp4Layout};
use model::checkpoint::{GgufVocabulary, TensorKind};
use model::{AttentionKind, Checkpoint, LayerWeights, Layout, ModelConfig, Rope, VocabularySource, Yarn};
use synth::{GgufOptions, Shape, Writer};
use tempfile::TempDir;
use tiny_models::{dense_values, expert_row, gate_and_up_rows};

fn write(shape: Shape, layout: synth::Layout, folder: &Path) -> Checkpoint {
    let written = Writer::new(shape).layout(layout).tokenizer(true).write(folder).unwrap();
    Checkpoint::open(&written.model).unwrap()
}

fn gguf(dense: synth::DenseFormat, fused_gate_up: bool, files: usize) -> synth::Layout {
    synth::Layout::Gguf(GgufOptions { dense, fused_gate_up, files })
}

fn tiny_config() -> ModelConfig {
    ModelConfig {
        vocabulary_size: 512,
        hidden_size: 96,
        intermediate_size: 64,
        layers: [AttentionKind::Sliding, AttentionKind::Full].repeat(2),
        heads: 8,
        kv_heads: 2,
        head_dim: 64,
        experts: 8,
        experts_per_token: 4,
        sliding_window: 8,
        swiglu_limit: 7.0,
        rms_norm_epsilon: 1e-5,
        rope: Rope {
            theta: 150_000.0,
            yarn: Some(Yarn { factor: 32.0, beta_fast: 32.0, beta_slow: 1.0, original_context: 4096, truncate: false }),
        },
        context_length: 131_072,
    }
}

/// Vectors and expert values are equal exactly; matrices when `dense_exact` says that no rounding lies between.
fn assert_same_weights(one: &Checkpoint, other: &Checkpoint, dense_exact: bool) {
    let dense = |one: &kernels::DenseMatrix, other: &kernels::DenseMatrix| {
        assert_eq!((one.rows, one.columns), (other.rows, other.columns));
        let (one, other) = (dense_values(one), dense_values(other));
        let largest = one.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let allowed = if dense_exact { 0.0 } else { largest / 200.0 };
        assert!(one.iter().zip(&other).all(|(one, other)| (one - other).abs() <= allowed));
    };
    dense(&one.embedding, &other.embedding);
    dense(&one.unembedding, &other.unembedding);
    assert_eq!(one.final_norm, other.final_norm);
    assert_eq!(one.layers.len(), other.layers.len());
    for (one, other) in one.layers.iter().zip(&other.layers) {
        let vectors = |layer: &LayerWeights| {
            [
                layer.attention_norm.clone(),
                layer.query_bias.clone(),
                layer.key_bias.clone(),
                layer.value_bias.clone(),
                layer.output_bias.clone(),
                layer.sinks.clone(),
                layer.mlp_norm.clone(),
                layer.router_bias.clone(),
                layer.gate_up_bias.clone(),
                layer.down_bias.clone(),
            ]
        };
        assert_eq!(vectors(one), vectors(other));
        let matrices = |layer: &LayerWeights| {
            [&layer.query, &layer.key, &layer.value, &layer.output, &layer.router].map(Clone::clone)
        };
        for (one, other) in matrices(one).iter().zip(&matrices(other)) {
            dense(one, other);
        }
        for expert in 0..one.down.experts {
            for row in 0..one.down.rows {
                assert_eq!(expert_row(&one.down, expert, row), expert_row(&other.down, expert, row));
            }
            for unit in 0..one.gate_up_bias.len() / one.down.experts / 2 {
                let [one, other] = [one, other].map(|layer| gate_and_up_rows(&layer.gate_up, expert, unit));
                assert_eq!(one, other, "expert {expert}, unit {unit}");
            }
        }
    }
}

#[test]
fn every_layout_holds_the_same_model() {
    let folder = TempDir::new().unwrap();
    let open = |name: &str, layout| write(Shape::tiny(), layout, &folder.path().join(name));
    let reference = open("sharded", synth::Layout::HuggingFace { shards: 3 });
    assert_eq!(reference.config, tiny_config());
    assert_eq!(reference.layout, Layout::HuggingFace);
    assert_eq!((reference.files.len(), reference.tensors.len()), (3, 4 * 19 + 3));
    let cases = [
        ("single", synth::Layout::HuggingFace { shards: 1 }, Layout::HuggingFace, 1, true),
        ("original", synth::Layout::Original, Layout::Original, 1, true),
        ("bf16", gguf(synth::DenseFormat::Bf16, false, 1), Layout::Gguf, 1, true),
        ("f32-fused", gguf(synth::DenseFormat::F32, true, 1), Layout::Gguf, 1, true),
        ("f16-split", gguf(synth::DenseFormat::F16, false, 4), Layout::Gguf, 4, false),
        ("q8-fused-split", gguf(synth::DenseFormat::Q8_0, true, 3), Layout::Gguf, 3, false),
    ];
    for (name, written, layout, files, exact) in cases {
        let checkpoint = open(name, written);
        assert_eq!(checkpoint.config, tiny_config(), "{name}");
        assert_eq!((checkpoint.layout, checkpoint.files.len()), (layout, files), "{name}");
        assert_same_weights(&reference, &checkpoint, exact);
    }
}

#[test]
fn weights_are_the_published_values_in_place() {
    let folder = TempDir::new().unwrap();
    let checkpoint = write(Shape::tiny(), synth::Layout::HuggingFace { shards: 3 }, folder.path());
    let published = synth::Checkpoint::new(Shape::tiny(), 20).unwrap();
    let values = |name: &str| published.values(name).unwrap();
    let layer = &checkpoint.layers[2];
    let name = |suffix: &str| format!("model.layers.2.{suffix}");
    assert_eq!(layer.query.format, DenseFormat::BF16);
    assert_eq!(dense_values(&layer.query), values(&name("self_attn.q_proj.weight")));
    assert_eq!(dense_values(&layer.output), values(&name("self_attn.o_proj.weight")));
    assert_eq!(dense_values(&checkpoint.unembedding), values("lm_head.weight"));
    assert_eq!(layer.sinks, values(&name("self_attn.sinks")));
    assert_eq!(layer.gate_up_bias, values(&name("mlp.experts.gate_up_proj_bias")));
    let GateUp::Interleaved(gate_up) = &layer.gate_up else { panic!("published order") };
    assert_eq!(gate_up.layout, Mxfp4Layout::Split);
    let decoded: Vec<f32> = (0..8 * 128).flat_map(|row| expert_row(gate_up, row / 128, row % 128)).collect();
    assert_eq!(decoded, values(&name("mlp.experts.gate_up_proj")));
    for bytes in [&gate_up.blocks, &gate_up.scales, &layer.query.bytes, &checkpoint.embedding.bytes] {
        assert!(bytes.is_mapped(), "nothing large is copied");
    }
}

#[test]
fn any_path_into_a_checkpoint_opens_it() {
    let folder = TempDir::new().unwrap();
    let sharded = folder.path().join("sharded");
    let reference = write(Shape::tiny(), synth::Layout::HuggingFace { shards: 3 }, &sharded);
    assert_same_weights(
        &reference,
        &Checkpoint::open(&sharded.join("model-00001-of-00002.safetensors")).unwrap(),
        true,
    );
    let single = folder.path().join("single");
    write(Shape::tiny(), synth::Layout::HuggingFace { shards: 1 }, &single);
    let file = std::fs::read_dir(&single).unwrap().map(|entry| entry.unwrap().path());
    let file =
        file.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "safetensors")).unwrap();
    assert_same_weights(&reference, &Checkpoint::open(&file).unwrap(), true);
    let original = folder.path().join("model/original");
    write(Shape::tiny(), synth::Layout::Original, &original);
    assert_eq!(Checkpoint::open(&folder.path().join("model")).unwrap().layout, Layout::Original);
    let split = folder.path().join("split");
    write(Shape::tiny(), gguf(synth::DenseFormat::Bf16, true, 3), &split);
    assert_same_weights(&reference, &Checkpoint::open(&split.join("model-00003-of-00003.gguf")).unwrap(), true);
    assert_same_weights(&reference, &Checkpoint::open(&split).unwrap(), true);
    let one = folder.path().join("one");
    write(Shape::tiny(), gguf(synth::DenseFormat::Bf16, false, 1), &one);
    // A blob store keeps files under names without an extension.
    std::fs::rename(one.join("model.gguf"), one.join("sha256-0f")).unwrap();
    assert_same_weights(&reference, &Checkpoint::open(&one.join("sha256-0f")).unwrap(), true);
}

#[test]
fn vocabulary_and_stop_tokens_are_found() {
    let folder = TempDir::new().unwrap();
    let hugging_face = write(Shape::tiny(), synth::Layout::HuggingFace { shards: 1 }, &folder.path().join("a"));
    assert_eq!(hugging_face.vocabulary, VocabularySource::TokenizerJson(folder.path().join("a/tokenizer.json")));
    assert_eq!(hugging_face.stop_ids, [495, 492]);
    let checkpoint = write(Shape::tiny(), gguf(synth::DenseFormat::Bf16, false, 2), &folder.path().join("b"));
    let VocabularySource::Gguf(GgufVocabulary { model, pre, tokens, types, merges }) = checkpoint.vocabulary else {
        panic!("{:?}", checkpoint.vocabulary)
    };
    assert_eq!((model.as_str(), pre.as_deref()), ("gpt2", Some("gpt-4o")));
    assert_eq!((tokens.len(), types.len(), merges.is_empty()), (512, 512, false));
    assert_eq!((tokens[495].as_str(), types[495]), ("<|return|>", 3));
    assert_eq!(checkpoint.stop_ids, [495, 492, 505]);
    // An original/ folder has no tokenizer of its own; the model directory above it does.
    let above = folder.path().join("a");
    Writer::new(Shape::tiny()).layout(synth::Layout::Original).write(above.join("original")).unwrap();
    let original = Checkpoint::open(&above.join("original")).unwrap();
    assert_eq!(original.vocabulary, hugging_face.vocabulary);
    assert_eq!(original.stop_ids, hugging_face.stop_ids);
}

#[test]
fn the_tensor_table_accounts_for_every_byte() {
    let folder = TempDir::new().unwrap();
    let checkpoint = write(Shape::tiny(), synth::Layout::HuggingFace { shards: 3 }, folder.path());
    let published = synth::Checkpoint::new(Shape::tiny(), 20).unwrap();
    assert_eq!(checkpoint.tensor_bytes(), published.tensor_bytes());
    let on_disk: u64 = checkpoint.files.iter().map(|file| std::fs::metadata(&file.path).unwrap().len()).sum();
    assert_eq!(checkpoint.file_bytes(), on_disk);
    let kinds = checkpoint.kinds();
    assert_eq!(kinds.iter().map(|kind| kind.bytes).sum::<u64>(), published.tensor_bytes());
    let count = |kind| kinds.iter().find(|summary| summary.kind == kind).unwrap().tensors;
    let counts = TensorKind::ALL.map(count);
    assert_eq!(counts, [1, 9, 4 * 9, 4 * 2, 4 * 6, 1]);
    for tensor in &checkpoint.tensors {
        assert_eq!(tensor.shape, published.tensor(&tensor.name).unwrap().shape, "{}", tensor.name);
    }
}
