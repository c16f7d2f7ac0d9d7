//! Broken inputs: each ends with one line that says where and what to do, an exit code other than 0, and no panic.

use std::fs::{self, OpenOptions};
use std::path::Path;

use synth::{GgufOptions, Layout, Shape};

use crate::{Model, glossa};

/// Where a path is needed in a command.
const MODEL: &str = "MODEL";

const FIRST: &str = "model-00000-of-00002.safetensors";
const LAST: &str = "model-00002-of-00002.safetensors";

type Damage = fn(&Path);

fn shorten(path: &Path, bytes: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
}

/// Replaces a text in a file by another of any length.
fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Replaces bytes in a file by others of the same length.
fn patch(path: &Path, from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the bytes to replace");
    bytes[at..at + to.len()].copy_from_slice(to);
    fs::write(path, bytes).unwrap();
}

/// Writes 255, which E8M0 calls NaN, into the first scale of a tensor.
fn spoil_scale(path: &Path, tensor: &str) {
    let mut bytes = fs::read(path).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let table: serde_json::Value = serde_json::from_slice(&bytes[8..header]).unwrap();
    let start = table[tensor]["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[header + start] = 255;
    fs::write(path, bytes).unwrap();
}

/// What breaks a Hugging Face folder, and what the message must name.
const FOLDERS: [(&str, Damage, &[&str]); 19] = [
    ("truncated shard", |d| shorten(&d.join(FIRST), 100), &[FIRST]),
    ("truncated in the header", |d| fs::write(d.join(FIRST), b"\x10\x00").unwrap(), &[FIRST]),
    ("empty shard", |d| fs::write(d.join(LAST), b"").unwrap(), &[LAST]),
    ("missing shard", |d| fs::remove_file(d.join(LAST)).unwrap(), &[LAST]),
    ("missing index", |d| fs::remove_file(d.join("model.safetensors.index.json")).unwrap(), &["index"]),
    (
        "bad JSON in the index",
        |d| fs::write(d.join("model.safetensors.index.json"), "{").unwrap(),
        &["index.json", "JSON"],
    ),
    ("missing config", |d| fs::remove_file(d.join("config.json")).unwrap(), &["config.json"]),
    ("bad JSON in the config", |d| fs::write(d.join("config.json"), "{\"a\":").unwrap(), &["config.json", "JSON"]),
    ("a config that is no object", |d| fs::write(d.join("config.json"), "[1]").unwrap(), &["config.json"]),
    (
        "unknown architecture",
        |d| replace(&d.join("config.json"), "\"gpt_oss\"", "\"llama\""),
        &["config.json", "llama"],
    ),
    ("wrong dtype", |d| patch(&d.join(FIRST), b"\"dtype\":\"BF16\"", b"\"dtype\":\"I16\" "), &[FIRST, "dtype"]),
    (
        "wrong hidden size",
        |d| replace(&d.join("config.json"), "\"hidden_size\": 96", "\"hidden_size\": 128"),
        &["shape", "128"],
    ),
    (
        "too many layers",
        |d| replace(&d.join("config.json"), "\"num_hidden_layers\": 4", "\"num_hidden_layers\": 5"),
        &["layer"],
    ),
    (
        "no heads",
        |d| replace(&d.join("config.json"), "\"num_attention_heads\": 8", "\"num_attention_heads\": 0"),
        &["num_attention_heads"],
    ),
    (
        "more experts per token than experts",
        |d| replace(&d.join("config.json"), "\"num_experts_per_tok\": 4", "\"num_experts_per_tok\": 9"),
        &["experts"],
    ),
    ("renamed tensor", |d| patch(&d.join(FIRST), b"0.self_attn.sinks", b"0.self_attn.zinks"), &["inks"]),
    (
        "NaN scale",
        |d| spoil_scale(&d.join(FIRST), "model.layers.0.mlp.experts.down_proj_scales"),
        &["down_proj_scales", "NaN"],
    ),
    ("header longer than the file", |d| patch_length(&d.join(FIRST)), &[FIRST]),
    ("broken tokenizer", |d| fs::write(d.join("tokenizer.json"), "{\"model\": {}}").unwrap(), &["tokenizer.json"]),
];

fn patch_length(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    fs::write(path, bytes).unwrap();
}

/// What breaks a GGUF file.
const GGUFS: [(&str, Damage, &[&str]); 6] = [
    ("truncated", |p| shorten(p, 1000), &[".gguf"]),
    ("bad magic", |p| patch(p, b"GGUF", b"GGUX"), &[".gguf"]),
    ("unknown version", |p| patch(p, b"GGUF\x03", b"GGUF\x09"), &["version", "9"]),
    ("unknown architecture", |p| patch(p, b"\x07\0\0\0\0\0\0\0gpt-oss", b"\x07\0\0\0\0\0\0\0gpt-ozz"), &["gpt-ozz"]),
    ("renamed key", |p| patch(p, b"gpt-oss.block_count", b"gpt-oss.block_kount"), &["block_count"]),
    ("renamed tensor", |p| patch(p, b"blk.0.attn_sinks", b"blk.0.attn_zinks"), &["inks"]),
];

/// Wrong arguments on a good model; MODEL stands for its path.
const ARGUMENTS: [(&[&str], &[&str]); 20] = [
    (&["run", MODEL, ""], &["empty"]),
    (&["run", MODEL, "-"], &["empty"]),
    (&["run", MODEL, "Hi", "--temperature", "9"], &["temperature", "9"]),
    (&["run", MODEL, "Hi", "--top-p", "0"], &["top_p"]),
    (&["run", MODEL, "Hi", "--temperature", "NaN"], &["temperature"]),
    (&["run", MODEL, "Hi", "--logit-bias", "x=1"], &["--logit-bias", "x=1"]),
    (&["run", MODEL, "Hi", "--logit-bias", "512=1"], &["512"]),
    (&["run", MODEL, "Hi", "--date", "2026-02-30"], &["--date", "2026-02-30"]),
    (&["run", MODEL, "Hi", "--context", "1000000"], &["--context", "131072"]),
    (&["run", MODEL, "a prompt that is longer than its context", "--context", "16"], &["16"]),
    (&["run", MODEL, "Hi", "--isa", "sse9"], &["--isa", "sse9"]),
    (&["run", MODEL, "Hi", "--threads", "0"], &["--threads"]),
    (&["run", MODEL, "Hi", "--chunk", "0"], &["--chunk"]),
    (&["run", "/nonexistent/model", "Hi"], &["/nonexistent/model"]),
    (&["run", "/dev/null", "Hi"], &["/dev/null"]),
    (&["inspect", MODEL, "--context", "0"], &["--context"]),
    (&["detokenize", "1 two 3"], &["two"]),
    (&["detokenize", "{\n\"a\": \u{1b}]0;x\u{7}1}"], &["token ids"]),
    (&["run", MODEL, "Hi", "--date", "\u{1b}[2J\n"], &["--date", "\\u{1b}"]),
    (&["run", MODEL, "Hi", "--temperature", "-1"], &["temperature", "-1"]),
];

#[track_caller]
fn assert_refused(what: &str, arguments: &[&str], input: &[u8], named: &[&str]) {
    let output = glossa(arguments, input);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{what}: {message}");
    assert!(message.starts_with("glossa: ") && message.trim_end().lines().count() == 1, "{what}: {message}");
    assert!(!message.trim_end().contains(char::is_control), "{what}: {message:?}");
    assert!(output.stdout.is_empty(), "{what} prints nothing else");
    for name in named {
        assert!(message.contains(name), "{what}: {name} is not named in: {message}");
    }
}

#[test]
fn broken_folders() {
    for (what, damage, named) in FOLDERS {
        let model = Model::tiny();
        damage(&model.path);
        let mut named = named.to_vec();
        named.push(model.path());
        assert_refused(what, &["run", model.path(), "Hi", "--max-tokens", "1"], b"", &named);
    }
}

#[test]
fn broken_gguf_files() {
    for (what, damage, named) in GGUFS {
        let model = Model::write(Shape::tiny(), Layout::Gguf(GgufOptions::default()));
        damage(&model.path);
        let mut named = named.to_vec();
        named.push(model.path());
        assert_refused(what, &["inspect", model.path()], b"", &named);
    }
}

#[test]
fn wrong_arguments() {
    let model = Model::tiny();
    for (arguments, named) in ARGUMENTS {
        let arguments: Vec<&str> =
            arguments.iter().map(|&word| if word == MODEL { model.path() } else { word }).collect();
        assert_refused(&arguments.join(" "), &arguments, b"\n", named);
    }
    assert_refused("bytes that are no text", &["run", model.path(), "-"], b"\xFF\xFE", &["UTF-8"]);
}

#[test]
fn wrong_ids() {
    let model = Model::tiny();
    let (ids, out) = (model.file("ids.json"), model.file("out.safetensors"));
    for (content, named) in [
        ("", "ids.json"),
        ("[]", "empty"),
        ("[1, -2]", "-2"),
        ("[1, 512]", "512"),
        ("{\"tokens\": [1]}", "ids.json"),
        (&format!("[{}1]", "1,".repeat(131_072)), "131072"),
    ] {
        fs::write(&ids, content).unwrap();
        let arguments = ["logits", model.path(), "--ids", ids.to_str().unwrap(), "--out", out.to_str().unwrap()];
        assert_refused(content.get(..20).unwrap_or(content), &arguments, b"", &[named]);
        assert!(!out.exists() && !model.file("out.safetensors.partial").exists());
    }
    fs::write(&ids, "[1, 2]").unwrap();
    // What is read is never written over.
    for read in [ids.clone(), model.file(FIRST), model.file("config.json"), model.file("tokenizer.json")] {
        let before = fs::read(&read).unwrap();
        let read_path = read.to_str().unwrap();
        let arguments = ["logits", model.path(), "--ids", ids.to_str().unwrap(), "--out", read_path];
        assert_refused("output over input", &arguments, b"", &[read_path]);
        assert_eq!(fs::read(&read).unwrap(), before);
    }
    let nowhere = model.file("missing/out.safetensors");
    let arguments = ["logits", model.path(), "--ids", ids.to_str().unwrap(), "--out", nowhere.to_str().unwrap()];
    assert_refused("no folder for the output", &arguments, b"", &["missing/out.safetensors"]);
}

#[test]
fn a_scale_that_was_spoiled_after_packing() {
    let model = Model::tiny();
    let packed = glossa(&["pack", model.path()], b"");
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let tensor = "model.layers.0.mlp.experts.down_proj_scales";
    spoil_scale(&model.path.join(FIRST), tensor);
    let run = ["run", model.path(), "Hi", "--max-tokens", "1"];
    assert_refused("NaN scale beside a packed file", &run, b"", &[tensor, "NaN"]);
    assert_refused("NaN scale, exact", &[&run[..], &["--exact"]].concat(), b"", &[tensor, "NaN"]);
}
