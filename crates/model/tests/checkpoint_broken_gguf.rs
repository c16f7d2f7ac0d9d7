//! Broken GGUF checkpoints: each is refused in one line that names the file and the tensor or key.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod tiny_models;

use std::fs;
use std::path::Path;

use model::Checkpoint;
use tempfile::TempDir;
use tiny_models::StoredTensor;
use tiny_models::gguf_files::{ARRAY, BF16_TENSOR, BLOCK_BYTES, F32_TENSOR, GgufFile, TEXT, U16, U32, text};

/// What a test does to a good file: to the data before it is written, or to the bytes.
enum Damage {
    Data(fn(&mut GgufFile)),
    Bytes(fn(&mut Vec<u8>)),
}
use Damage::{Bytes, Data};

/// What a test does to the parts of a set, or to their files.
type SetDamage = fn(&mut [GgufFile], &Path);

/// What breaks, how, and what the message must say.
type Case = (&'static str, Damage, &'static [&'static str]);

const HEADER_CASES: [Case; 17] = [
    ("magic", Bytes(|it| it[0] = b'g'), &["magic", "GGUF", "gGUF"]),
    ("empty file", Bytes(Vec::clear), &["magic", "0 bytes"]),
    ("version 1", Bytes(|it| put(it, 4, &1_u32.to_le_bytes())), &["version", "2 or 3", "found 1"]),
    ("big endian", Bytes(|it| put(it, 4, &3_u32.to_be_bytes())), &["version", "big-endian"]),
    ("huge tensor count", Bytes(|it| put(it, 8, &u64::MAX.to_le_bytes())), &["tensor count", "at most"]),
    ("huge key count", Bytes(|it| put(it, 16, &(1_u64 << 40).to_le_bytes())), &["key count", "at most"]),
    ("more tensors than there are", Bytes(|it| put(it, 8, &60_000_u64.to_le_bytes())), &["GGUF", "tensor"]),
    ("more keys than there are", Bytes(|it| put(it, 16, &60_000_u64.to_le_bytes())), &["GGUF", "key"]),
    ("huge key", Bytes(|it| put(it, 24, &u64::MAX.to_le_bytes())), &["name of key 0", "at most"]),
    ("truncated header", Bytes(|it| it.truncate(300)), &["GGUF", "truncated"]),
    ("truncated data", Bytes(|it| it.truncate(it.len() - 40)), &["tensor", "data offset", "truncated"]),
    (
        "string past the end",
        Bytes(|it| after_key(it, "gpt-oss.rope.scaling.type", &(1_u64 << 23).to_le_bytes())),
        &["gpt-oss.rope.scaling.type", "truncated"],
    ),
    ("value type", Data(|it| it.set("odd", 13, vec![])), &["key odd", "value type", "13"]),
    (
        "array of arrays",
        Data(|it| it.set("odd", ARRAY, [9_u32.to_le_bytes().as_slice(), &[0; 8]].concat())),
        &["key odd", "array of arrays"],
    ),
    (
        "huge array",
        Data(|it| it.set("odd", ARRAY, [4_u32.to_le_bytes().as_slice(), &[255; 8]].concat())),
        &["key odd", "at most"],
    ),
    (
        "key twice",
        Data(|it| it.keys.push(("tokenizer.ggml.pre".into(), TEXT, text("x")))),
        &["key tokenizer.ggml.pre", "twice"],
    ),
    (
        "text that is none",
        Data(|it| it.set("odd", TEXT, [1_u64.to_le_bytes().as_slice(), &[0xff]].concat())),
        &["key odd", "UTF-8"],
    ),
];

const TENSOR_CASES: [Case; 20] = [
    ("missing", Data(|it| drop(it.remove("blk.1.attn_k.bias"))), &["blk.1.attn_k.bias", "missing", "[48]"]),
    ("missing unembedding", Data(|it| drop(it.remove("output.weight"))), &["output.weight", "missing", "[160, 64]"]),
    ("missing embedding", Data(|it| drop(it.remove("token_embd.weight"))), &["token_embd.weight", "missing"]),
    (
        "missing half of the experts",
        Data(|it| drop(it.remove("blk.0.ffn_up_exps.weight"))),
        &["blk.0.ffn_up_exps.weight", "missing"],
    ),
    (
        "extra",
        Data(|it| it.push("blk.2.attn_k.bias".into(), F32_TENSOR, zeros())),
        &["blk.2.attn_k.bias", "unexpected", "F32 [2]"],
    ),
    ("extra layer", Data(|it| it.set_count("gpt-oss.block_count", 1)), &["blk.1.", "unexpected"]),
    (
        "duplicate",
        Data(|it| it.push("output_norm.weight".into(), F32_TENSOR, zeros())),
        &["output_norm.weight", "duplicate"],
    ),
    (
        "shape",
        Data(|it| it.tensor("blk.0.attn_v.weight").0.shape = vec![64, 48]),
        &["blk.0.attn_v.weight", "shape", "[48, 64]", "[64, 48]"],
    ),
    (
        "dimensions",
        Data(|it| it.tensor("blk.0.attn_v.weight").0.shape = vec![1; 5]),
        &["blk.0.attn_v.weight", "dimensions", "5"],
    ),
    (
        "overflowing shape",
        Data(|it| it.tensor("blk.0.attn_v.weight").0.shape = vec![1 << 40, 1 << 40]),
        &["blk.0.attn_v.weight", "shape"],
    ),
    (
        "dimension above 2^63",
        Data(|it| it.tensor("blk.0.attn_v.weight").0.shape = vec![48, usize::MAX]),
        &["blk.0.attn_v.weight", "2^63"],
    ),
    (
        "rows of broken blocks",
        Data(|it| it.tensor("blk.0.attn_v.weight").1 = 12),
        &["blk.0.attn_v.weight", "whole blocks of 256", "Q4_K"],
    ),
    (
        "unknown encoding",
        Data(|it| it.tensor("blk.0.attn_v.weight").1 = 99),
        &["blk.0.attn_v.weight", "dtype", "unknown type 99"],
    ),
    (
        "encoding that is not read",
        Data(|it| it.tensor("blk.0.attn_v.weight").1 = 20),
        &["blk.0.attn_v.weight", "dtype", "IQ4_NL"],
    ),
    ("MXFP4 outside the experts", Data(dense_mxfp4), &["blk.0.attn_v.weight", "dtype", "MXFP4"]),
    ("experts in another encoding", Data(plain_experts), &["blk.1.ffn_down_exps.weight", "expected MXFP4", "BF16"]),
    (
        "experts in Ollama's early encoding",
        Data(|it| it.tensor("blk.1.ffn_down_exps.weight").1 = 4),
        &["blk.1.ffn_down_exps.weight", "Ollama"],
    ),
    (
        "misaligned",
        Data(|it| it.tensor("blk.0.attn_v.bias").0.offsets = Some([33, 0])),
        &["blk.0.attn_v.bias", "multiple of 32", "33"],
    ),
    ("overlap", Data(|it| it.tensor("blk.0.attn_v.bias").0.offsets = Some([0, 0])), &["data offsets", "overlap"]),
    (
        "past the end",
        Data(|it| it.tensor("blk.0.attn_v.bias").0.offsets = Some([u64::MAX - 31, 0])),
        &["blk.0.attn_v.bias", "data offset"],
    ),
];

const KEY_CASES: [Case; 23] = [
    (
        "architecture",
        Data(|it| it.set("general.architecture", TEXT, text("qwen3moe"))),
        &["unknown architecture", "qwen3moe"],
    ),
    (
        "no architecture",
        Data(|it| it.unset("general.architecture")),
        &["unknown architecture", "no general.architecture"],
    ),
    (
        "architecture of another type",
        Data(|it| it.set_count("general.architecture", 1)),
        &["general.architecture", "a string"],
    ),
    ("missing key", Data(|it| it.unset("gpt-oss.expert_used_count")), &["gpt-oss.expert_used_count", "no such key"]),
    (
        "key of another type",
        Data(|it| it.set("gpt-oss.expert_count", TEXT, text("5"))),
        &["gpt-oss.expert_count", "whole number", "5"],
    ),
    (
        "negative",
        Data(|it| it.set("gpt-oss.expert_count", 5, (-5_i32).to_le_bytes().into())),
        &["gpt-oss.expert_count", "-5"],
    ),
    ("no layers", Data(|it| it.set_count("gpt-oss.block_count", 0)), &["gpt-oss.block_count", "found 0"]),
    (
        "too many layers",
        Data(|it| it.set_count("gpt-oss.block_count", 1 << 31)),
        &["gpt-oss.block_count", "2147483648"],
    ),
    ("odd head_dim", Data(|it| set_head_dim(it, 15)), &["gpt-oss.attention.key_length", "even", "15"]),
    (
        "value_length differs",
        Data(|it| it.set_count("gpt-oss.attention.value_length", 32)),
        &["gpt-oss.attention.value_length", "16", "32"],
    ),
    (
        "partial rotary",
        Data(|it| it.set_count("gpt-oss.rope.dimension_count", 8)),
        &["gpt-oss.rope.dimension_count", "16", "8"],
    ),
    (
        "heads",
        Data(|it| it.set_count("gpt-oss.attention.head_count_kv", 4)),
        &["gpt-oss.attention.head_count_kv", "divisor"],
    ),
    (
        "more chosen than experts",
        Data(|it| it.set_count("gpt-oss.expert_used_count", 6)),
        &["gpt-oss.expert_used_count", "1 to 5"],
    ),
    ("vocabulary", Data(|it| it.set_count("gpt-oss.vocab_size", 170)), &["token_embd.weight", "[170, 64]"]),
    (
        "more tokens than rows",
        Data(|it| it.set_count("gpt-oss.vocab_size", 150)),
        &["tokenizer.ggml.tokens", "at most 150", "160"],
    ),
    (
        "stop token",
        Data(|it| it.set_count("tokenizer.ggml.eos_token_id", 160)),
        &["tokenizer.ggml.eos_token_id", "160"],
    ),
    (
        "linear scaling",
        Data(|it| it.set("gpt-oss.rope.scaling.type", TEXT, text("linear"))),
        &["gpt-oss.rope.scaling.type", "yarn or none", "linear"],
    ),
    (
        "factor without type",
        Data(|it| it.unset("gpt-oss.rope.scaling.type")),
        &["gpt-oss.rope.scaling.type", "no such key"],
    ),
    (
        "concentration",
        Data(|it| it.set_number("gpt-oss.rope.scaling.attn_factor", 1.5)),
        &["gpt-oss.rope.scaling.attn_factor", "1.5"],
    ),
    (
        "NaN epsilon",
        Data(|it| it.set_number("gpt-oss.attention.layer_norm_rms_epsilon", f64::NAN)),
        &["layer_norm_rms_epsilon", "NaN"],
    ),
    (
        "pattern length",
        Data(|it| {
            it.set(
                "gpt-oss.attention.sliding_window_pattern",
                ARRAY,
                [7_u32.to_le_bytes().as_slice(), &1_u64.to_le_bytes(), &[1]].concat(),
            )
        }),
        &["sliding_window_pattern", "2 entries"],
    ),
    (
        "alignment",
        Data(|it| it.set("general.alignment", U32, 48_u32.to_le_bytes().into())),
        &["general.alignment", "power of two", "48"],
    ),
    (
        "parts without names",
        Data(|it| it.set("split.count", U16, 3_u16.to_le_bytes().into())),
        &["split.count", "-00001-of-0000N.gguf", "found 3"],
    ),
];

#[test]
fn damaged_headers_are_refused() {
    HEADER_CASES.iter().for_each(refuses);
}

#[test]
fn damaged_tensors_are_refused_by_name() {
    TENSOR_CASES.iter().for_each(refuses);
}

#[test]
fn impossible_keys_are_refused_by_name() {
    KEY_CASES.iter().for_each(refuses);
}

#[test]
fn nan_scales_are_refused_and_nibbles_of_255_are_not() {
    let name = "blk.1.ffn_up_exps.weight";
    // Expert 2, row 9, second block of the row.
    let block = (2 * 32 + 9) * 2 + 1;
    let mut file = GgufFile::tiny();
    file.tensor(name).0.bytes[block * BLOCK_BYTES + 1..][..16].fill(255);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.gguf");
    fs::write(&path, file.to_bytes()).unwrap();
    Checkpoint::open(&path).unwrap();
    file.tensor(name).0.bytes[block * BLOCK_BYTES] = 255;
    fs::write(&path, file.to_bytes()).unwrap();
    assert_refused(&path, "NaN", &[name, "NaN scale", "expert 2", "row 9"]);
}

#[test]
fn broken_sets_are_refused() {
    let cases: [(&str, SetDamage, &[&str]); 5] = [
        (
            "missing part",
            |_, folder| fs::remove_file(folder.join("m-00002-of-00003.gguf")).unwrap(),
            &["m-00002-of-00003.gguf", "missing file"],
        ),
        ("parts swapped", |parts, _| parts.swap(1, 2), &["m-00002-of-00003.gguf", "split.no", "expected 1", "found 2"]),
        (
            "other count",
            |parts, _| parts[1].set("split.count", U16, 4_u16.to_le_bytes().into()),
            &["m-00002-of-00003.gguf", "split.count", "found 4"],
        ),
        ("lost tensor", |parts, _| drop(parts[2].tensors.pop()), &["m-00001-of-00003.gguf", "split.tensors.count"]),
        (
            "tensor in two parts",
            |parts, _| {
                let one = parts[0].tensors[0].clone();
                parts[2].tensors[0] = one;
            },
            &["m-00003-of-00003.gguf", "duplicate", "token_embd.weight"],
        ),
    ];
    for (name, damage, expected) in cases {
        let folder = TempDir::new().unwrap();
        let mut parts = GgufFile::tiny().split(3);
        let write = |parts: &[GgufFile]| {
            for (number, part) in parts.iter().enumerate() {
                fs::write(folder.path().join(format!("m-{:05}-of-00003.gguf", number + 1)), part.to_bytes()).unwrap();
            }
        };
        write(&parts);
        damage(&mut parts, folder.path());
        if name != "missing part" {
            write(&parts);
        }
        let path = folder.path().join("m-00001-of-00003.gguf");
        let error = Checkpoint::open(&path).err().expect(name).to_string();
        assert!(expected.iter().all(|part| error.contains(part)), "{name}: {error}");
    }
}

fn refuses((name, damage, expected): &Case) {
    let folder = TempDir::new().unwrap();
    let mut file = GgufFile::tiny();
    if let Data(damage) = damage {
        damage(&mut file);
    }
    let mut bytes = file.to_bytes();
    if let Bytes(damage) = damage {
        damage(&mut bytes);
    }
    let path = folder.path().join("model.gguf");
    fs::write(&path, bytes).unwrap();
    assert_refused(&path, name, expected);
}

fn assert_refused(path: &Path, name: &str, expected: &[&str]) {
    let error = Checkpoint::open(path).err().unwrap_or_else(|| panic!("{name}: opened")).to_string();
    assert!(error.contains(path.to_str().unwrap()), "{name}: no path: {error}");
    assert!(!error.contains('\n'), "{name}: {error}");
    for part in expected {
        assert!(error.contains(part), "{name}: no {part:?} in: {error}");
    }
}

fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    bytes[offset..offset + value.len()].copy_from_slice(value);
}

/// Overwrites the start of a key's value.
fn after_key(bytes: &mut [u8], key: &str, value: &[u8]) {
    let start = bytes.windows(key.len()).position(|window| window == key.as_bytes()).unwrap();
    put(bytes, start + key.len() + 4, value);
}

fn zeros() -> StoredTensor {
    StoredTensor { name: String::new(), dtype: String::new(), shape: vec![2], bytes: vec![0; 8], offsets: None }
}

fn dense_mxfp4(file: &mut GgufFile) {
    let (tensor, encoding) = file.tensor("blk.0.attn_v.weight");
    (tensor.bytes, *encoding) = (vec![0; 48 * 2 * BLOCK_BYTES], 39);
}

fn plain_experts(file: &mut GgufFile) {
    let (tensor, encoding) = file.tensor("blk.1.ffn_down_exps.weight");
    (tensor.bytes, *encoding) = (vec![0; 5 * 64 * 32 * 2], BF16_TENSOR);
}

fn set_head_dim(file: &mut GgufFile, head_dim: usize) {
    file.set_count("gpt-oss.attention.key_length", head_dim);
    file.set_count("gpt-oss.attention.value_length", head_dim);
}
