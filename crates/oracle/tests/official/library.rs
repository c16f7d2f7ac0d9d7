//! Loads the official library without the network.
//!
//! It reads the vocabulary from a folder that an environment variable names, and checks the file's hash. A process may
//! not change its environment while it has threads, so each test runs itself again in a child that has the variable.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use openai_harmony::{HarmonyEncoding, HarmonyEncodingName, load_harmony_encoding};
use proptest::test_runner::{Config, RngSeed};

const FOLDER: &str = "TIKTOKEN_ENCODINGS_BASE";

/// Runs the body with the library, in a child process that runs only the test of that name.
pub(crate) fn with_library(test: &str, body: impl FnOnce(&HarmonyEncoding)) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("o200k");
    if std::env::var_os(FOLDER).is_some_and(|set| set == folder.as_os_str()) {
        let library = load_harmony_encoding(HarmonyEncodingName::HarmonyGptOss).unwrap();
        return body(&library);
    }
    write_ranks(&folder, test);
    let this = std::env::current_exe().unwrap();
    let child = Command::new(this).args([test, "--exact", "--nocapture"]).env(FOLDER, &folder).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "no test is called {test}: {stdout}");
}

/// So many random inputs, and no file of failures: the child does not know its source.
pub(crate) fn cases(count: u32) -> Config {
    Config { failure_persistence: None, rng_seed: RngSeed::Fixed(20), ..Config::with_cases(count) }
}

/// Writes the ranks from our own vocabulary in the library's file format. Its check of the hash is at the same time a
/// test that every one of our 199,998 text tokens is right.
fn write_ranks(folder: &Path, test: &str) {
    let file = folder.join("o200k_base.tiktoken");
    if file.exists() {
        return;
    }
    std::fs::create_dir_all(folder).unwrap();
    let vocabulary = harmony::Vocabulary::o200k_harmony();
    let mut lines = String::new();
    for id in 0..199_998 {
        writeln!(lines, "{} {id}", base64(vocabulary.token_bytes(id).unwrap())).unwrap();
    }
    // Several tests may write at once: each its own file, then renamed in one step.
    let own = folder.join(test.replace(':', "-"));
    std::fs::write(&own, lines).unwrap();
    std::fs::rename(own, file).unwrap();
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, &byte| group << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let sextet = group >> (18 - 6 * place) & 63;
            text.push(if place <= chunk.len() { char::from(ALPHABET[sextet as usize]) } else { '=' });
        }
    }
    text
}
