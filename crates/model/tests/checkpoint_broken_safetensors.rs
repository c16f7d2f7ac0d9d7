//! Broken safetensors checkpoints: each is refused in one line that names the file and the tensor or field.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod tiny_models;

use std::fs;
use std::path::Path;

use model::Checkpoint;
use serde_json::json;
use tempfile::TempDir;
use tiny_models::StoredTensor;
use tiny_models::safetensors_files::ModelDirectory;

/// What a test does to a good checkpoint: to the data before it is written, or to the files.
enum Damage {
    Data(DataDamage),
    Files(fn(&Path)),
}
use Damage::{Data, Files};

const SHARD: &str = "model-00000-of-00002.safetensors";
const MIDDLE: &str = "model-00001-of-00002.safetensors";
const QUERY: &str = "model.layers.0.self_attn.q_proj.weight";
const BLOCKS: &str = "model.layers.0.mlp.experts.gate_up_proj_blocks";
const SCALES: &str = "model.layers.0.mlp.experts.gate_up_proj_scales";

type DataDamage = fn(&mut ModelDirectory);

/// What breaks, how, and what the message must say.
type Case = (&'static str, Damage, &'static [&'static str]);

const TENSOR_CASES: [Case; 22] = [
    ("dtype of a matrix", Data(|it| it.tensor(QUERY).dtype = "I16".into()), &[SHARD, QUERY, "dtype", "I16"]),
    (
        "dtype the header may not mix with its length",
        Data(|it| it.tensor(QUERY).dtype = "F32".into()),
        &[SHARD, QUERY, "byte length", "F32"],
    ),
    ("dtype of nibbles", Data(|it| it.tensor(BLOCKS).dtype = "I8".into()), &[BLOCKS, "dtype", "U8", "I8"]),
    ("dtype of scales", Data(|it| it.tensor(SCALES).dtype = "F8_E8M0".into()), &[SCALES, "dtype", "U8", "F8_E8M0"]),
    ("shape", Data(|it| it.tensor(QUERY).shape = vec![64, 96]), &[SHARD, QUERY, "shape", "[96, 64]", "[64, 96]"]),
    ("dimensions", Data(|it| it.tensor(QUERY).shape = vec![96 * 64]), &[SHARD, QUERY, "shape", "[96, 64]", "[6144]"]),
    (
        "shape and length disagree",
        Data(|it| it.tensor(QUERY).shape = vec![95, 64]),
        &[QUERY, "byte length", "12160", "12288"],
    ),
    ("overflowing shape", Data(|it| it.tensor(QUERY).shape = vec![usize::MAX, usize::MAX]), &[QUERY, "byte length"]),
    (
        "missing tensor",
        Data(|it| drop(it.remove(QUERY))),
        &["model.safetensors.index.json", QUERY, "missing", "[96, 64]"],
    ),
    ("missing scales", Data(|it| drop(it.remove(SCALES))), &[SCALES, "missing", "[5, 64, 2]"]),
    (
        "missing from its shard",
        Data(|it| {
            it.index = {
                drop(it.remove(QUERY));
                with(it, QUERY, SHARD)
            }
        }),
        &[SHARD, QUERY, "missing"],
    ),
    (
        "extra tensor",
        Data(|it| it.add(tensor("model.layers.2.input_layernorm.weight"))),
        &[SHARD, "model.layers.2.input_layernorm.weight", "unexpected"],
    ),
    (
        "extra tensor outside the index",
        Data(|it| it.files[1].1.push(tensor("stray"))),
        &[MIDDLE, "stray", "unexpected"],
    ),
    ("the same name twice in a file", Data(|it| it.files[0].1.push(tensor(QUERY))), &[SHARD, QUERY, "duplicate"]),
    ("the same name in two files", Data(|it| it.files[1].1.push(tensor(QUERY))), &[MIDDLE, QUERY]),
    (
        "overlap",
        Data(|it| it.tensor("model.layers.0.self_attn.k_proj.bias").offsets = Some([0, 96])),
        &[SHARD, "data offsets", "overlap"],
    ),
    (
        "past the end",
        Data(|it| it.tensor(QUERY).offsets = Some([1 << 40, (1 << 40) + 12288])),
        &[SHARD, QUERY, "data offsets", "truncated"],
    ),
    ("backwards", Data(|it| it.tensor(QUERY).offsets = Some([100, 50])), &[SHARD, QUERY, "data offsets", "[100, 50]"]),
    (
        "NaN scale",
        Data(|it| it.tensor(SCALES).bytes[(3 * 64 + 17) * 2 + 1] = 255),
        &[MIDDLE, SCALES, "NaN scale", "expert 3", "row 17"],
    ),
    (
        "infinite norm",
        Data(|it| it.tensor("model.norm.weight").bytes[10..12].copy_from_slice(&[0x80, 0x7f])),
        &["model.norm.weight", "inf", "index 5"],
    ),
    (
        "NaN sink",
        Data(|it| it.tensor("model.layers.1.self_attn.sinks").bytes[2..4].copy_from_slice(&[0xc0, 0x7f])),
        &["model.layers.1.self_attn.sinks", "NaN", "index 1"],
    ),
    ("experts in bf16", Data(plain_experts), &["model.layers.1.mlp.experts.down_proj", "MXFP4", "BF16"]),
];

const FILE_CASES: [Case; 21] = [
    ("truncated shard", Files(|it| truncate(&it.join(MIDDLE), 40_000)), &[MIDDLE, "truncated"]),
    ("truncated header", Files(|it| truncate(&it.join(MIDDLE), 100)), &[MIDDLE, "header", "truncated"]),
    ("truncated length", Files(|it| truncate(&it.join(MIDDLE), 5)), &[MIDDLE, "header", "5 bytes"]),
    ("empty shard", Files(|it| truncate(&it.join(MIDDLE), 0)), &[MIDDLE, "header", "0 bytes"]),
    (
        "header beyond the file",
        Files(|it| overwrite(&it.join(SHARD), 0, &(1_u64 << 23).to_le_bytes())),
        &[SHARD, "header", "8388608"],
    ),
    (
        "huge header",
        Files(|it| overwrite(&it.join(SHARD), 0, &u64::MAX.to_le_bytes())),
        &[SHARD, "header length", "at most"],
    ),
    (
        "header of zero bytes",
        Files(|it| overwrite(&it.join(SHARD), 0, &[0; 8])),
        &[SHARD, "bad JSON", "safetensors header"],
    ),
    (
        "header that is no JSON",
        Files(|it| overwrite(&it.join(SHARD), 8, b"<html>")),
        &[SHARD, "bad JSON", "safetensors header"],
    ),
    ("bytes after the data", Files(|it| append(&it.join(SHARD), b"more")), &[SHARD, "safetensors data"]),
    (
        "missing shard",
        Files(|it| fs::remove_file(it.join(MIDDLE)).unwrap()),
        &[MIDDLE, "missing file", "model.safetensors.index.json"],
    ),
    (
        "missing index",
        Files(|it| fs::remove_file(it.join("model.safetensors.index.json")).unwrap()),
        &["model.safetensors.index.json", "missing file", "3 safetensors"],
    ),
    (
        "index that is no JSON",
        Files(|it| put(it, "model.safetensors.index.json", "{\"weight_map\": {")),
        &["model.safetensors.index.json", "bad JSON"],
    ),
    (
        "index without a map",
        Files(|it| put(it, "model.safetensors.index.json", "{}")),
        &["model.safetensors.index.json", "weight_map"],
    ),
    (
        "index that leaves the directory",
        Data(|it| it.index = with(it, QUERY, "../../elsewhere.safetensors")),
        &["index.json", QUERY, "../../elsewhere"],
    ),
    (
        "index with a name twice",
        Files(|it| put(it, "model.safetensors.index.json", r#"{"weight_map":{"a":"x","a":"y"}}"#)),
        &["index.json", "tensor a", "duplicate"],
    ),
    ("missing config", Files(|it| fs::remove_file(it.join("config.json")).unwrap()), &["config.json", "missing file"]),
    ("config that is no JSON", Files(|it| put(it, "config.json", "{\"model_type\": ")), &["config.json", "bad JSON"]),
    ("config that is a list", Files(|it| put(it, "config.json", "[]")), &["config.json", "bad JSON"]),
    (
        "generation config that is no JSON",
        Files(|it| put(it, "generation_config.json", "eos")),
        &["generation_config.json", "bad JSON"],
    ),
    ("config without weights", Files(remove_weights), &["model.safetensors", "missing file", "config.json"]),
    (
        "empty directory",
        Files(|it| {
            remove_weights(it);
            fs::remove_file(it.join("config.json")).unwrap();
        }),
        &["not a checkpoint", "directory without"],
    ),
];

#[test]
fn damaged_tensors_are_refused_by_name() {
    TENSOR_CASES.iter().for_each(refuses);
}

#[test]
fn damaged_files_are_refused_by_path() {
    FILE_CASES.iter().for_each(refuses);
}

#[test]
fn the_undamaged_checkpoint_opens() {
    let folder = TempDir::new().unwrap();
    ModelDirectory::hugging_face().write(folder.path());
    Checkpoint::open(folder.path()).unwrap();
}

#[test]
fn a_gap_between_tensors_is_refused() {
    let folder = TempDir::new().unwrap();
    let mut directory = ModelDirectory::single_file();
    // The second tensor gives up its last value, so that two bytes belong to nobody.
    let (first, second) = (directory.files[0].1[0].bytes.len() as u64, &mut directory.files[0].1[1]);
    second.shape[0] -= 1;
    second.offsets =
        Some([first, first + second.bytes.len() as u64 - 2 * second.shape[1..].iter().product::<usize>() as u64]);
    let next = directory.files[0].1[2].name.clone();
    directory.write(folder.path());
    assert_refused(
        folder.path(),
        "gap",
        &["model.safetensors", &next, "data offsets", "where the tensor before it ends"],
    );
}

#[test]
fn paths_that_are_no_checkpoint_are_refused() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "notes.txt", "hello");
    put(folder.path(), "lonely.safetensors", "");
    for (name, expected) in [
        ("absent", ["absent", "cannot be read"]),
        ("notes.txt", ["notes.txt", "not a checkpoint"]),
        ("lonely.safetensors", ["config.json", "missing file"]),
    ] {
        let error = Checkpoint::open(&folder.path().join(name)).err().expect(name).to_string();
        assert!(expected.iter().all(|part| error.contains(part)), "{name}: {error}");
    }
}

#[test]
fn damage_in_the_original_layout_is_refused_too() {
    let cases: [(DataDamage, &[&str]); 5] = [
        (
            |it| drop(it.remove("block.1.attn.qkv.bias")),
            &["model.safetensors", "block.1.attn.qkv.bias", "missing", "[192]"],
        ),
        (|it| it.tensor("block.1.attn.qkv.weight").shape = vec![64, 192], &["block.1.attn.qkv.weight", "[192, 64]"]),
        (
            |it| it.tensor("block.0.mlp.mlp2_weight.scales").bytes[0] = 255,
            &["block.0.mlp.mlp2_weight.scales", "expert 0"],
        ),
        (|it| it.config["num_experts"] = json!(4), &["block.0.mlp.gate.weight", "[4, 64]", "[5, 64]"]),
        (|it| drop(it.config.as_object_mut().unwrap().remove("rope_ntk_beta")), &["config.json", "rope_ntk_beta"]),
    ];
    for (damage, expected) in cases {
        let folder = TempDir::new().unwrap();
        let mut directory = ModelDirectory::original();
        directory.write(folder.path());
        Checkpoint::open(folder.path()).unwrap();
        damage(&mut directory);
        directory.write(folder.path());
        assert_refused(folder.path(), "original", expected);
    }
}

fn refuses((name, damage, expected): &Case) {
    let folder = TempDir::new().unwrap();
    let mut directory = ModelDirectory::hugging_face();
    if let Data(damage) = damage {
        damage(&mut directory);
    }
    directory.write(folder.path());
    if let Files(damage) = damage {
        damage(folder.path());
    }
    assert_refused(folder.path(), name, expected);
}

fn assert_refused(path: &Path, name: &str, expected: &[&str]) {
    let error = Checkpoint::open(path).err().unwrap_or_else(|| panic!("{name}: opened")).to_string();
    assert!(error.contains(path.to_str().unwrap()), "{name}: no path: {error}");
    assert!(!error.contains('\n'), "{name}: {error}");
    for part in expected {
        assert!(error.contains(part), "{name}: no {part:?} in: {error}");
    }
}

fn tensor(name: &str) -> StoredTensor {
    StoredTensor { name: name.into(), dtype: "U8".into(), shape: vec![2], bytes: vec![0; 2], offsets: None }
}

/// The index with one more line.
fn with(directory: &ModelDirectory, tensor: &str, file: &str) -> Option<serde_json::Value> {
    let mut index = directory.index.clone().unwrap();
    index["weight_map"][tensor] = json!(file);
    Some(index)
}

/// The experts' matrices as transformers writes them after dequantising.
fn plain_experts(directory: &mut ModelDirectory) {
    let stem = "model.layers.1.mlp.experts.down_proj";
    directory.remove(&format!("{stem}_scales"));
    let blocks = directory.remove(&format!("{stem}_blocks"));
    let (shape, bytes) = (vec![5, 32, 64], vec![0; 5 * 32 * 64 * 2]);
    directory.add(StoredTensor { name: stem.into(), dtype: "BF16".into(), shape, bytes, ..blocks });
}

fn remove_weights(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().contains("safetensors") {
            fs::remove_file(path).unwrap();
        }
    }
}

fn truncate(path: &Path, length: u64) {
    fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

fn overwrite(path: &Path, offset: usize, bytes: &[u8]) {
    let mut content = fs::read(path).unwrap();
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
    fs::write(path, content).unwrap();
}

fn append(path: &Path, bytes: &[u8]) {
    fs::write(path, [&fs::read(path).unwrap(), bytes].concat()).unwrap();
}

fn put(folder: &Path, name: &str, content: &str) {
    fs::write(folder.join(name), content).unwrap();
}
