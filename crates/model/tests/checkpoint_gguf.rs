//! What GGUF files may look like: encodings, fused tensors, split sets, Ollama's names, and keys that are read.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod tiny_models;

use std::fs;
use std::path::Path;

use kernels::{DenseFormat, DenseMatrix, GateUp};
use model::{AttentionKind, Checkpoint, Error, Rope, VocabularySource, Yarn};
use synth::Shape;
use tempfile::TempDir;
use tiny_models::gguf_files::{ARRAY, BF16_TENSOR, BOOL, F32_TENSOR, GgufFile, MXFP4_TENSOR, TEXT, U32, text};
use tiny_models::{StoredTensor, dense_values, expert_row, gate_and_up_rows};

fn open(file: &GgufFile) -> Result<Checkpoint, Error> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.gguf");
    fs::write(&path, file.to_bytes()).unwrap();
    Checkpoint::open(&path)
}

fn write_parts(parts: &[GgufFile], folder: &Path) {
    for (number, part) in parts.iter().enumerate() {
        let name = format!("tiny-{:05}-of-{:05}.gguf", number + 1, parts.len());
        fs::write(folder.join(name), part.to_bytes()).unwrap();
    }
}

/// Two expert matrices as one: per expert the rows of the first, then those of the second, or in turn.
fn fuse(first: &StoredTensor, second: &StoredTensor, interleaved: bool) -> StoredTensor {
    let (experts, rows) = (first.shape[0], first.shape[1]);
    let per_expert = |tensor: &StoredTensor| tensor.bytes.len() / experts;
    let mut bytes = Vec::new();
    for (one, two) in first.bytes.chunks(per_expert(first)).zip(second.bytes.chunks(per_expert(second))) {
        let row_bytes = if interleaved { one.len() / rows } else { one.len() };
        for (one, two) in one.chunks(row_bytes).zip(two.chunks(row_bytes)) {
            bytes.extend([one, two].concat());
        }
    }
    let mut shape = first.shape.clone();
    shape[1] *= 2;
    StoredTensor { shape, bytes, ..first.clone() }
}

fn fuse_gate_up(file: &mut GgufFile, interleaved: bool) {
    for layer in 0..2 {
        for (part, encoding) in [("weight", MXFP4_TENSOR), ("bias", F32_TENSOR)] {
            let [gate, up] = ["gate", "up"].map(|name| file.remove(&format!("blk.{layer}.ffn_{name}_exps.{part}")).0);
            file.push(format!("blk.{layer}.ffn_gate_up_exps.{part}"), encoding, fuse(&gate, &up, interleaved));
        }
    }
}

fn fuse_attention(file: &mut GgufFile) {
    for layer in 0..2 {
        for (part, encoding) in [("weight", BF16_TENSOR), ("bias", F32_TENSOR)] {
            let [mut query, key, value] =
                ["q", "k", "v"].map(|name| file.remove(&format!("blk.{layer}.attn_{name}.{part}")).0);
            query.shape[0] += key.shape[0] + value.shape[0];
            query.bytes.extend([key.bytes, value.bytes].concat());
            file.push(format!("blk.{layer}.attn_qkv.{part}"), encoding, query);
        }
    }
}

fn assert_same(one: &Checkpoint, other: &Checkpoint) {
    assert_eq!(one.config, other.config);
    for (one, other) in one.layers.iter().zip(&other.layers) {
        assert_eq!(dense_values(&one.query), dense_values(&other.query));
        assert_eq!(dense_values(&one.value), dense_values(&other.value));
        assert_eq!((&one.key_bias, &one.sinks), (&other.key_bias, &other.sinks));
        assert_eq!((&one.mlp_norm, &one.gate_up_bias), (&other.mlp_norm, &other.gate_up_bias));
        for (expert, unit) in [(0, 0), (1, 5), (4, 31)] {
            assert_eq!(gate_and_up_rows(&one.gate_up, expert, unit), gate_and_up_rows(&other.gate_up, expert, unit));
            assert_eq!(expert_row(&one.down, expert, unit), expert_row(&other.down, expert, unit));
        }
    }
}

#[test]
fn fused_tensors_hold_the_same_model() {
    let usual = open(&GgufFile::tiny()).unwrap();
    let mut fused = GgufFile::tiny();
    fuse_gate_up(&mut fused, false);
    fuse_attention(&mut fused);
    let fused = open(&fused).unwrap();
    assert!(matches!(fused.layers[0].gate_up, GateUp::Halves(_)));
    assert_same(&usual, &fused);
}

#[test]
fn ollama_names_and_interleaved_rows() {
    let usual = open(&GgufFile::tiny()).unwrap();
    let mut file = GgufFile::tiny();
    for (key, _, value) in &mut file.keys {
        *key = key.replace("gpt-oss.", "gptoss.");
        if key == "general.architecture" {
            *value = text("gptoss");
        }
    }
    file.unset("gptoss.rope.scaling.type");
    file.unset("gptoss.expert_feed_forward_length");
    fuse_gate_up(&mut file, true);
    fuse_attention(&mut file);
    for (tensor, _) in &mut file.tensors {
        for (theirs, ours) in
            [("attn_output", "attn_out"), ("post_attention_norm", "ffn_norm"), ("attn_sinks.weight", "attn_sinks")]
        {
            tensor.name = tensor.name.replace(theirs, ours);
        }
    }
    let ollama = open(&file).unwrap();
    assert!(matches!(ollama.layers[0].gate_up, GateUp::Interleaved(_)));
    assert_same(&usual, &ollama);
}

#[test]
fn every_dense_encoding_is_taken_as_it_is() {
    // The format's own numbers, in the order of `DenseFormat::ALL`.
    let numbers = [0, 1, 30, 8, 2, 3, 6, 7, 10, 11, 12, 13, 14];
    let wide = Shape { hidden_size: 256, head_dim: 128, heads: 4, kv_heads: 2, ..tiny_models::shape() };
    for (format, number) in DenseFormat::ALL.into_iter().zip(numbers) {
        let mut file = GgufFile::of(wide.clone());
        for (tensor, encoding) in &mut file.tensors {
            if *encoding == BF16_TENSOR || tensor.name.ends_with("ffn_gate_inp.weight") {
                let [rows, columns] = tensor.shape[..] else { panic!("{:?}", tensor.shape) };
                let length = rows * format.row_bytes(columns);
                tensor.bytes = (0..length).map(|index| (index * 7 % 251) as u8).collect();
                *encoding = number;
            }
        }
        let stored = file.tensor("blk.1.attn_output.weight").0.bytes.clone();
        let checkpoint = open(&file).unwrap();
        let layer = &checkpoint.layers[1];
        let matrices = [&checkpoint.embedding, &checkpoint.unembedding, &layer.query, &layer.value, &layer.router];
        assert!(matrices.iter().all(|matrix| matrix.format == format), "{format:?}");
        assert_eq!((layer.output.rows, layer.output.columns), (256, 512));
        assert!(*layer.output.bytes == *stored, "{format:?}");
    }
}

#[test]
fn split_sets_open_by_any_part_and_only_whole() {
    let folder = TempDir::new().unwrap();
    let parts = GgufFile::tiny().split(3);
    write_parts(&parts, folder.path());
    let usual = open(&GgufFile::tiny()).unwrap();
    for number in 1..=3 {
        let path = folder.path().join(format!("tiny-{number:05}-of-00003.gguf"));
        let split = Checkpoint::open(&path).unwrap();
        assert_eq!(split.files.len(), 3);
        assert_same(&usual, &split);
    }
}

#[test]
fn keys_are_read() {
    let config = |change: &dyn Fn(&mut GgufFile)| {
        let mut file = GgufFile::tiny();
        change(&mut file);
        open(&file).unwrap().config
    };
    let usual = config(&|_| {});
    let yarn = Yarn { factor: 32.0, beta_fast: 32.0, beta_slow: 1.0, original_context: 4096, truncate: false };
    assert_eq!(usual.rope, Rope { theta: 150_000.0, yarn: Some(yarn.clone()) });
    assert_eq!(usual.layers, [AttentionKind::Sliding, AttentionKind::Full]);
    assert_eq!((usual.rms_norm_epsilon, usual.swiglu_limit, usual.context_length), (1e-5, 7.0, 131_072));
    let changed = config(&|file| {
        file.set_number("gpt-oss.rope.scaling.yarn_beta_fast", 8.0);
        file.set_number("gpt-oss.rope.scaling.yarn_beta_slow", 2.0);
        file.set_number("gpt-oss.rope.scaling.yarn_ext_factor", -1.0);
        file.set_number("gpt-oss.rope.scaling.attn_factor", 1.0);
        file.set_count("gpt-oss.attention.sliding_window", 9);
        file.set_count("gpt-oss.attention.sliding_window_pattern", 1);
        file.set_count("gpt-oss.vocab_size", 160);
    });
    assert_eq!(changed.rope.yarn, Some(Yarn { beta_fast: 8.0, beta_slow: 2.0, ..yarn }));
    assert_eq!((changed.sliding_window, changed.layers.as_slice()), (9, [AttentionKind::Full; 2].as_slice()));
    let flags = [BOOL.to_le_bytes().as_slice(), &2_u64.to_le_bytes(), &[0, 1]].concat();
    let flagged = config(&|file| file.set("gpt-oss.attention.sliding_window_pattern", ARRAY, flags.clone()));
    assert_eq!(flagged.layers, [AttentionKind::Full, AttentionKind::Sliding]);
    assert_eq!(config(&|file| file.set("gpt-oss.rope.scaling.type", TEXT, text("none"))).rope.yarn, None);
}

#[test]
fn alignment_and_version_two_and_a_missing_vocabulary() {
    let mut file = GgufFile::tiny();
    file.alignment = 256;
    file.set("general.alignment", U32, 256_u32.to_le_bytes().to_vec());
    file.version = 2;
    file.unset("tokenizer.ggml.tokens");
    let aligned = open(&file).unwrap();
    assert_eq!(aligned.vocabulary, VocabularySource::None);
    assert_same(&open(&GgufFile::tiny()).unwrap(), &aligned);
}

#[test]
fn matrices_lie_in_the_file() {
    let checkpoint = open(&GgufFile::tiny()).unwrap();
    let GateUp::Separate { gate, up } = &checkpoint.layers[1].gate_up else { panic!("two tensors") };
    let DenseMatrix { bytes, .. } = &checkpoint.layers[1].output;
    assert!([&gate.blocks, &up.blocks, &checkpoint.layers[1].down.blocks, bytes].iter().all(|bytes| bytes.is_mapped()));
}
