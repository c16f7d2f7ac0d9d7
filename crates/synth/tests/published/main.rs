//! The tiny checkpoints are the published generator's, byte for byte, and the full-size ones have the published sizes.
//!
//! The expected hashes were computed in Python from the files of the reference generator (NumPy) and its converter to the
//! `original/` layout, never from our own output. tokenizer.json of `tiny-realvocab` is the file released with gpt-oss
//! (SHA-256 0614fe83cadab421296e664e1f48f4261fa8fef6e03e63bb75c20f38e37d07d3).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod expected;

use std::fs;
use std::path::Path;

use expected::{File, TINY, TINY_MOE128, TINY_MOE128_ORIGINAL, TINY_ORIGINAL, TINY_REALVOCAB};
use synth::{Checkpoint, Layout, Shape, Writer};

fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3))
}

fn assert_files(folder: &Path, expected: &[File]) {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let mut expected_names: Vec<&str> = expected.iter().map(|(name, ..)| *name).collect();
    expected_names.sort_unstable();
    assert_eq!(names, expected_names);
    for (name, byte_count, hash) in expected {
        let bytes = fs::read(folder.join(name)).unwrap();
        assert_eq!((bytes.len(), fnv1a64(&bytes)), (*byte_count, *hash), "{name}");
    }
}

#[test]
fn hugging_face_files() {
    for (shape, expected, tokenizer) in [
        (Shape::tiny(), TINY.as_slice(), true),
        (Shape::tiny_moe128(), &TINY_MOE128, false),
        (Shape::tiny_realvocab(), &TINY_REALVOCAB, true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let written = Writer::new(shape).tokenizer(tokenizer).write(&folder).unwrap();
        assert_eq!(written.model, folder.path());
        assert_eq!(written.bytes, expected.iter().map(|(_, bytes, _)| *bytes as u64).sum::<u64>());
        assert_files(folder.path(), expected);
    }
}

#[test]
fn original_files() {
    for (shape, expected) in [(Shape::tiny(), TINY_ORIGINAL.as_slice()), (Shape::tiny_moe128(), &TINY_MOE128_ORIGINAL)]
    {
        let folder = tempfile::tempdir().unwrap();
        Writer::new(shape).layout(Layout::Original).write(&folder).unwrap();
        assert_files(folder.path(), expected);
    }
}

#[test]
fn published_sizes() {
    for (shape, tensors, bytes) in
        [(Shape::gpt_oss_20b(), 459, 13_761_264_768), (Shape::gpt_oss_120b(), 687, 65_248_815_744)]
    {
        let checkpoint = Checkpoint::new(shape, 20).unwrap();
        assert_eq!(checkpoint.tensors().count(), tensors);
        assert_eq!(checkpoint.tensor_bytes(), bytes);
    }
}

#[test]
fn published_shapes() {
    let checkpoint = Checkpoint::new(Shape::gpt_oss_20b(), 20).unwrap();
    for (name, shape) in [
        ("model.embed_tokens.weight", vec![201_088, 2880]),
        ("model.layers.23.self_attn.q_proj.weight", vec![4096, 2880]),
        ("model.layers.23.self_attn.v_proj.bias", vec![512]),
        ("model.layers.0.self_attn.o_proj.weight", vec![2880, 4096]),
        ("model.layers.0.self_attn.sinks", vec![64]),
        ("model.layers.0.mlp.router.weight", vec![32, 2880]),
        ("model.layers.0.mlp.experts.gate_up_proj_blocks", vec![32, 5760, 90, 16]),
        ("model.layers.0.mlp.experts.down_proj_scales", vec![32, 2880, 90]),
        ("lm_head.weight", vec![201_088, 2880]),
    ] {
        assert_eq!(checkpoint.tensor(name).unwrap().shape, shape, "{name}");
    }
    assert!(checkpoint.tensor("model.layers.24.self_attn.sinks").is_none());
}

/// Expected numbers from NumPy, decoded there from the reference generator's files.
#[test]
fn values_by_name() {
    let checkpoint = Checkpoint::new(Shape::tiny(), 20).unwrap();
    let sinks = checkpoint.values("model.layers.1.self_attn.sinks").unwrap();
    assert_eq!(
        sinks,
        [-0.229_492_19, 0.086_425_78, 1.21875, 0.714_843_75, -1.140625, 0.6875, -0.824_218_75, 0.964_843_75]
    );
    for (name, count, start, hash) in [
        ("gate_up_proj", 8 * 128 * 96, [0.03125, 0.046875, 0.046875, -0.0, -0.0625, 0.125], 0x0F8D_A768_7F2E_2051),
        (
            "down_proj",
            8 * 96 * 64,
            [0.023_437_5, 0.023_437_5, 0.007_812_5, -0.011_718_75, -0.015_625, 0.015_625],
            0xE9F4_58DD_B885_1C2E,
        ),
    ] {
        let values = checkpoint.values(&format!("model.layers.3.mlp.experts.{name}")).unwrap();
        assert_eq!(values.len(), count);
        assert_eq!(values[..6], start);
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(fnv1a64(&bytes), hash, "{name}");
    }
    assert_eq!(checkpoint.values("model.layers.3.mlp.experts.up_proj"), None);
}

#[test]
fn another_seed_is_another_model() {
    let name = "model.layers.0.self_attn.q_proj.weight";
    let bytes = |seed| Checkpoint::new(Shape::tiny(), seed).unwrap().tensor(name).unwrap().bytes();
    assert_eq!(bytes(20), bytes(20));
    assert_ne!(bytes(20), bytes(21));
}
