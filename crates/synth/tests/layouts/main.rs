//! The same numbers in every layout, of shapes that are not the presets', however the writer is set up.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod gguf;
mod safetensors;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use synth::{Checkpoint, DenseFormat, Error, GgufOptions, LayerKind, Layout, Shape, Writer, Yarn};

/// Nothing in it is a power of two or a preset's number, where the format leaves a choice.
fn odd_shape() -> Shape {
    Shape {
        name: "odd".into(),
        vocabulary_size: 331,
        hidden_size: 160,
        intermediate_size: 96,
        layers: Shape::alternating(5),
        experts: 7,
        experts_per_token: 3,
        heads: 6,
        kv_heads: 3,
        head_dim: 80,
        sliding_window: 5,
        rope_theta: 10_000.5,
        yarn: None,
        ..Shape::tiny()
    }
}

fn write(writer: &Writer) -> (tempfile::TempDir, synth::Written) {
    let folder = tempfile::tempdir().unwrap();
    let written = writer.write(&folder).unwrap();
    (folder, written)
}

#[test]
fn small_buffers_and_many_threads_change_nothing() {
    let whole = Writer::new(odd_shape()).threads(1);
    for layout in [
        Layout::HuggingFace { shards: 3 },
        Layout::Original,
        Layout::Gguf(GgufOptions { files: 2, ..GgufOptions::default() }),
    ] {
        let (_one, expected) = write(&whole.clone().layout(layout));
        let (_two, written) = write(&whole.clone().layout(layout).threads(5).buffer_bytes(997));
        assert_eq!(expected.bytes, written.bytes);
        for (one, two) in expected.files.iter().zip(&written.files) {
            assert_eq!(one.file_name(), two.file_name());
            assert!(fs::read(one).unwrap() == fs::read(two).unwrap(), "{}", two.display());
        }
    }
}

#[test]
fn progress_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    let writer = Writer::new(Shape::tiny()).buffer_bytes(100_000);
    let written = writer.write_with_progress(&folder, |done, total| seen.push((done, total))).unwrap();
    assert_eq!(seen.first(), Some(&(0, written.bytes)));
    assert_eq!(seen.last(), Some(&(written.bytes, written.bytes)));
    assert!(seen.is_sorted() && seen.len() > 10);
    let on_disk: u64 = written.files.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert_eq!(on_disk, written.bytes);
}

#[test]
fn hugging_face_shards_hold_every_tensor_once() {
    let checkpoint = Checkpoint::new(odd_shape(), 4).unwrap();
    for shards in [1, 2, 3, 4, 6] {
        let (folder, written) = write(&Writer::new(odd_shape()).seed(4).layout(Layout::HuggingFace { shards }));
        let weights = written.files.iter().filter(|file| file.extension().is_some_and(|end| end == "safetensors"));
        let mut tensors = HashMap::new();
        for (name, tensor) in weights.flat_map(|file| safetensors::read(file)) {
            assert!(tensors.insert(name, tensor).is_none(), "a tensor in two shards");
        }
        for tensor in checkpoint.tensors() {
            let (shape, bytes) = tensors.remove(&tensor.name).unwrap();
            assert_eq!(shape, tensor.shape);
            assert!(bytes == tensor.bytes(), "{}", tensor.name);
        }
        assert!(tensors.is_empty());
        assert_eq!(folder.path().join("model.safetensors.index.json").is_file(), shards > 1);
        assert_eq!(folder.path().join("model.safetensors").is_file(), shards == 1);
    }
}

#[test]
fn original_stacks_query_key_and_value() {
    let checkpoint = Checkpoint::new(odd_shape(), 20).unwrap();
    let (folder, _) = write(&Writer::new(odd_shape()).layout(Layout::Original));
    let tensors = safetensors::read(&folder.path().join("model.safetensors"));
    assert_eq!(tensors.len(), 3 + 5 * 15);
    let (shape, bytes) = &tensors["block.4.attn.qkv.weight"];
    assert_eq!(shape, &[480 + 240 + 240, 160]);
    let parts = ["q", "k", "v"].map(|which| format!("model.layers.4.self_attn.{which}_proj.weight"));
    let expected: Vec<f32> = parts.iter().flat_map(|name| checkpoint.values(name).unwrap()).collect();
    assert!(safetensors::bf16_values(bytes) == expected);
    let config = fs::read_to_string(folder.path().join("config.json")).unwrap();
    assert!(config.contains("\"rope_scaling_factor\": 1.0"), "no YaRN: {config}");
}

/// GGUF's name of every dense tensor, layer by layer, and whether it is always F32.
const NAMES: [(&str, &str, bool); 14] = [
    ("input_layernorm.weight", "attn_norm.weight", true),
    ("post_attention_layernorm.weight", "post_attention_norm.weight", true),
    ("self_attn.q_proj.weight", "attn_q.weight", false),
    ("self_attn.k_proj.weight", "attn_k.weight", false),
    ("self_attn.v_proj.weight", "attn_v.weight", false),
    ("self_attn.o_proj.weight", "attn_output.weight", false),
    ("self_attn.q_proj.bias", "attn_q.bias", true),
    ("self_attn.k_proj.bias", "attn_k.bias", true),
    ("self_attn.v_proj.bias", "attn_v.bias", true),
    ("self_attn.o_proj.bias", "attn_output.bias", true),
    ("self_attn.sinks", "attn_sinks.weight", true),
    ("mlp.router.weight", "ffn_gate_inp.weight", true),
    ("mlp.router.bias", "ffn_gate_inp.bias", true),
    ("mlp.experts.down_proj_bias", "ffn_down_exps.bias", true),
];

fn assert_close(name: &str, values: &[f32], expected: &[f32], format: DenseFormat) {
    assert_eq!(values.len(), expected.len(), "{name}");
    match format {
        DenseFormat::F32 | DenseFormat::Bf16 => assert!(values == expected, "{name}"),
        // Half a step of half precision's smallest numbers; larger bf16 values fit exactly.
        DenseFormat::F16 => {
            assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 2f32.powi(-25)), "{name}");
        }
        // Half a step of the block's scale, and the rounding of the scale itself.
        DenseFormat::Q8_0 => {
            for (values, expected) in values.chunks(32).zip(expected.chunks(32)) {
                let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
                let close = |(a, b): (&f32, &f32)| (a - b).abs() <= largest * (0.5 / 127.0 + 2f32.powi(-11));
                assert!(values.iter().zip(expected).all(close), "{name}");
            }
        }
    }
}

fn assert_gguf(files: &[&Path], checkpoint: &Checkpoint, options: GgufOptions) {
    let mut tensors = HashMap::new();
    for file in files {
        tensors.extend(gguf::read(file).tensors);
    }
    let kind = [DenseFormat::F32, DenseFormat::F16, DenseFormat::Q8_0, DenseFormat::Bf16]
        .into_iter()
        .zip([0, 1, 8, 30])
        .find_map(|(format, kind)| (format == options.dense).then_some(kind))
        .unwrap();
    let mut compare = |name: &str, published: &str, always_f32: bool| {
        let tensor = tensors.remove(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(tensor.kind, if always_f32 { 0 } else { kind }, "{name}");
        assert_eq!(tensor.shape, checkpoint.tensor(published).unwrap().shape, "{name}");
        let format = if always_f32 { DenseFormat::F32 } else { options.dense };
        assert_close(name, &tensor.values, &checkpoint.values(published).unwrap(), format);
    };
    compare("token_embd.weight", "model.embed_tokens.weight", false);
    compare("output_norm.weight", "model.norm.weight", true);
    compare("output.weight", "lm_head.weight", false);
    for layer in 0..checkpoint.shape().layers.len() {
        for (published, name, always_f32) in NAMES {
            compare(&format!("blk.{layer}.{name}"), &format!("model.layers.{layer}.{published}"), always_f32);
        }
    }
    for layer in 0..checkpoint.shape().layers.len() {
        assert_experts(&mut tensors, checkpoint, layer, options.fused_gate_up);
    }
    assert!(tensors.is_empty());
}

fn assert_experts(
    tensors: &mut HashMap<String, gguf::Decoded>,
    checkpoint: &Checkpoint,
    layer: usize,
    fused_gate_up: bool,
) {
    let Shape { hidden_size: hidden, intermediate_size: inner, experts, .. } = *checkpoint.shape();
    let mut take = |name: &str| tensors.remove(&format!("blk.{layer}.{name}")).unwrap_or_else(|| panic!("{name}"));
    let values = |name: &str| checkpoint.values(&format!("model.layers.{layer}.mlp.experts.{name}")).unwrap();
    let down = take("ffn_down_exps.weight");
    assert_eq!((down.kind, down.shape), (39, vec![experts, hidden, inner]));
    assert!(down.values == values("down_proj"));
    let wanted: &[(&str, usize)] =
        if fused_gate_up { &[("ffn_gate_up_exps", 2)] } else { &[("ffn_gate_exps", 0), ("ffn_up_exps", 1)] };
    for &(name, which) in wanted {
        for (end, published, columns) in [("weight", "gate_up_proj", hidden), ("bias", "gate_up_proj_bias", 1)] {
            let tensor = take(&format!("{name}.{end}"));
            // Published rows alternate gate, up, gate, up; here they come sorted.
            let published = values(published);
            let pick = |rows: &[f32], odd: usize| -> Vec<f32> {
                rows.chunks(columns).skip(odd).step_by(2).flatten().copied().collect()
            };
            let expert =
                |rows: &[f32]| if which == 2 { [pick(rows, 0), pick(rows, 1)].concat() } else { pick(rows, which) };
            let expected: Vec<f32> = published.chunks(2 * inner * columns).flat_map(expert).collect();
            assert!(tensor.values == expected, "{name}.{end}");
            let rows = if which == 2 { 2 * inner } else { inner };
            assert_eq!(tensor.shape[..2], [experts, rows]);
        }
    }
}

#[test]
fn gguf_holds_the_same_numbers() {
    for (dense, fused_gate_up, files) in [
        (DenseFormat::Bf16, false, 1),
        (DenseFormat::F32, true, 3),
        (DenseFormat::F16, false, 4),
        (DenseFormat::Q8_0, true, 1),
    ] {
        let options = GgufOptions { dense, fused_gate_up, files };
        let (_folder, written) = write(&Writer::new(odd_shape()).seed(9).layout(Layout::Gguf(options)));
        assert_eq!(written.files.len(), files);
        assert_eq!(written.model, written.files[0]);
        let paths: Vec<&Path> = written.files.iter().map(AsRef::as_ref).collect();
        assert_gguf(&paths, &Checkpoint::new(odd_shape(), 9).unwrap(), options);
    }
}

#[test]
fn gguf_keys() {
    let layers = vec![LayerKind::Full, LayerKind::Sliding, LayerKind::Sliding];
    let yarn = Some(Yarn { factor: 4.0, beta_fast: 16.0, beta_slow: 1.0, truncate: false });
    let shape = Shape { layers, yarn, ..odd_shape() };
    let options = GgufOptions { files: 3, ..GgufOptions::default() };
    let (_folder, written) = write(&Writer::new(shape).layout(Layout::Gguf(options)));
    let parts: Vec<gguf::Gguf> = written.files.iter().map(|file| gguf::read(file)).collect();
    let total: usize = parts.iter().map(|part| part.tensors.len()).sum();
    for (number, part) in parts.iter().enumerate() {
        let name = written.files[number].file_name().unwrap().to_str().unwrap();
        assert_eq!(name, format!("model-0000{}-of-00003.gguf", number + 1));
        assert_eq!(part.keys["split.no"], number.to_string());
        assert_eq!(part.keys["split.count"], "3");
        assert_eq!(part.keys["split.tensors.count"], total.to_string());
        assert_eq!(part.keys.contains_key("general.architecture"), number == 0);
    }
    for (key, value) in [
        ("general.architecture", "gpt-oss"),
        ("gpt-oss.block_count", "3"),
        ("gpt-oss.embedding_length", "160"),
        ("gpt-oss.expert_feed_forward_length", "96"),
        ("gpt-oss.expert_count", "7"),
        ("gpt-oss.expert_used_count", "3"),
        ("gpt-oss.attention.head_count", "6"),
        ("gpt-oss.attention.head_count_kv", "3"),
        ("gpt-oss.attention.key_length", "80"),
        ("gpt-oss.attention.sliding_window", "5"),
        ("gpt-oss.attention.sliding_window_pattern", "false|true|true"),
        ("gpt-oss.rope.freq_base", "10000.5"),
        ("gpt-oss.rope.scaling.type", "yarn"),
        ("gpt-oss.rope.scaling.factor", "4"),
        ("gpt-oss.rope.scaling.yarn_beta_fast", "16"),
        ("tokenizer.ggml.model", "gpt2"),
        ("tokenizer.ggml.pre", "gpt-4o"),
        ("tokenizer.ggml.bos_token_id", "310"),
        ("tokenizer.ggml.eos_token_id", "314"),
    ] {
        assert_eq!(parts[0].keys[key], value, "{key}");
    }
    let tokens: Vec<&str> = parts[0].keys["tokenizer.ggml.tokens"].split('|').collect();
    assert!(tokens.len() > 331 && parts[0].keys["tokenizer.ggml.tokens"].ends_with("<|endofprompt|>"));
    assert!(!parts[0].keys.contains_key("gpt-oss.rope.scaling.yarn_beta_slow"));
}

#[test]
fn impossible_shapes_are_refused_before_anything_is_written() {
    let cases = [
        ("hidden_size", Shape { hidden_size: 100, ..odd_shape() }),
        ("intermediate_size", Shape { intermediate_size: 0, ..odd_shape() }),
        ("layers", Shape { layers: vec![], ..odd_shape() }),
        ("experts_per_token", Shape { experts_per_token: 8, ..odd_shape() }),
        ("kv_heads", Shape { kv_heads: 4, ..odd_shape() }),
        ("head_dim", Shape { head_dim: 7, ..odd_shape() }),
        ("vocabulary_size", Shape { vocabulary_size: 20, ..odd_shape() }),
    ];
    for (expected, shape) in cases {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("model");
        match Writer::new(shape).write(&target) {
            Err(Error::Shape { field, .. }) => assert_eq!(field, expected),
            other => panic!("{expected}: {other:?}"),
        }
        assert!(!target.exists());
    }
}

#[test]
fn what_a_layout_cannot_say_is_refused() {
    let gguf = Layout::Gguf(GgufOptions::default());
    let eight_bits = Layout::Gguf(GgufOptions { dense: DenseFormat::Q8_0, ..GgufOptions::default() });
    let truncated = Some(Yarn { factor: 32.0, beta_fast: 32.0, beta_slow: 1.0, truncate: true });
    for (layout, shape, word) in [
        (Layout::Original, Shape { layers: vec![LayerKind::Full; 2], ..odd_shape() }, "alternate"),
        (Layout::Original, Shape { rms_norm_epsilon: 1e-6, ..odd_shape() }, "epsilon"),
        (Layout::Original, Shape { yarn: truncated, ..odd_shape() }, "truncated"),
        (gguf, Shape { yarn: truncated, ..odd_shape() }, "truncated"),
        (gguf, Shape { swiglu_limit: 6.0, ..odd_shape() }, "swiglu_limit"),
        (eight_bits, Shape { head_dim: 6, ..odd_shape() }, "attn_output"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let error = Writer::new(shape).layout(layout).write(&folder).unwrap_err();
        assert!(matches!(error, Error::Inexpressible { .. }) && error.to_string().contains(word), "{error}");
    }
    let too_many = Layout::Gguf(GgufOptions { files: 10_000, ..GgufOptions::default() });
    assert!(Writer::new(odd_shape()).layout(too_many).write(tempfile::tempdir().unwrap()).is_err());
}

#[test]
fn an_unwritable_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = Writer::new(Shape::tiny()).write(file.join("model")).unwrap_err().to_string();
    assert!(error.contains("file/model"), "{error}");
}
