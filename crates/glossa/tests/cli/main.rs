//! The command line as people use it: the real program, on synthetic models, through files and pipes.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod bench;
mod broken;
mod held;
mod load;
mod logits;
mod run;
mod scripted_server;
mod serve;
mod streams;
mod text;
mod train;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use synth::{Layout, Shape, Writer};

/// A synthetic model in a folder of its own, deleted afterwards.
struct Model {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Model {
    fn write(shape: Shape, layout: Layout) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = matches!(layout, Layout::HuggingFace { .. });
        let written = Writer::new(shape).layout(layout).tokenizer(tokenizer).write(folder.path()).unwrap();
        Self { path: written.model, folder }
    }

    fn tiny() -> Self {
        Self::write(Shape::tiny(), Layout::HuggingFace { shards: 3 })
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Runs the program with something piped in.
fn glossa(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_glossa"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments does not read; that is no failure of the test.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// Runs the program, which must succeed, and gives its standard output.
#[track_caller]
fn stdout(arguments: &[&str], input: &[u8]) -> String {
    let output = glossa(arguments, input);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A golden file of the model crate's tests.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/golden").join(name)
}
