//! Where output goes: streams that are closed early, files that are not regular.

#![cfg(unix)]

use std::fs;
use std::process::{Command, Output, Stdio};

use crate::{Model, glossa, json};

/// Runs the program in a shell line, where M stands for the program and the model.
fn shell(line: &str, model: &Model) -> Output {
    let program = format!("{} run {}", env!("CARGO_BIN_EXE_glossa"), model.path());
    Command::new("sh").args(["-c", &line.replace('M', &program)]).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let model = Model::tiny();
    for line in ["M Hi --json --max-tokens 2", "M Hi --raw --max-tokens 200 --logit-bias 500=100"] {
        let output = shell(&format!("{{ {line}; echo \"code $?\" >&2; }} | true"), &model);
        let messages = String::from_utf8(output.stderr).unwrap();
        assert!(messages.contains("code 0") && !messages.contains("panicked"), "{line}: {messages}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_no_panic() {
    let output = shell("M Hi --json --max-tokens 2 > /dev/full", &Model::tiny());
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.starts_with("glossa: standard output: "), "{message}");
}

#[test]
fn the_answer_does_not_need_standard_error() {
    let model = Model::tiny();
    let line = "M Hi --raw --max-tokens 5 --logit-bias 500=100";
    let output = shell(&format!("{line} 2>&-"), &model);
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "<|end|>".repeat(5) + "\n");
}

#[test]
fn logits_go_where_the_path_leads() {
    let model = Model::tiny();
    let ids = model.file("ids.json");
    fs::write(&ids, "[1, 2]").unwrap();
    let logits = |out: &std::path::Path| {
        glossa(&["logits", model.path(), "--ids", ids.to_str().unwrap(), "--out", out.to_str().unwrap()], b"")
    };
    let (plain, target, link) = (model.file("a"), model.file("target"), model.file("link"));
    assert!(logits(&plain).status.success());
    fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    assert!(logits(&link).status.success());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "the link stays");
    assert_eq!(fs::read(&target).unwrap(), fs::read(&plain).unwrap());
    let folder = model.file("folder");
    fs::create_dir(&folder).unwrap();
    let refused = logits(&folder);
    assert!(!refused.status.success());
    assert!(String::from_utf8(refused.stderr).unwrap().contains("folder"));
    // A pipe gets the bytes and stays a pipe.
    let pipe = model.file("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = Command::new("cat").arg(&pipe).stdout(Stdio::piped()).spawn().unwrap();
    assert!(logits(&pipe).status.success());
    assert_eq!(reader.wait_with_output().unwrap().stdout, fs::read(&plain).unwrap());
    assert!(!fs::metadata(&pipe).unwrap().is_file());
}

#[test]
fn an_interrupted_computation_leaves_nothing_behind() {
    let model = Model::tiny();
    let (ids, out) = (model.file("ids.json"), model.file("out.safetensors"));
    fs::write(&ids, format!("[{}1]", "1,".repeat(100_000))).unwrap();
    let partial = model.file("out.safetensors.partial");
    let mut child = Command::new(env!("CARGO_BIN_EXE_glossa"))
        .args(["logits", model.path(), "--ids", ids.to_str().unwrap(), "--out", out.to_str().unwrap(), "--chunk", "16"])
        .spawn()
        .unwrap();
    // The file has grown: the handler is there.
    while fs::metadata(&partial).map_or(0, |file| file.len()) < 1 << 20 {
        assert!(child.try_wait().unwrap().is_none(), "ended by itself");
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!partial.exists() && !out.exists());
}

#[test]
fn control_characters_stay_inside_json() {
    // U+009B is a terminal's control sequence introducer.
    let line =
        crate::stdout(&["render"], "{\"messages\": [{\"role\": \"user\", \"content\": \"\u{9b}2J\"}]}".as_bytes());
    assert!(!line.trim_end().contains(char::is_control), "{line:?}");
    assert!(json(&line)["text"].as_str().unwrap().contains('\u{9b}'));
}
