//! OpenAI's Codex CLI with Glossa as its provider, once as it comes and once as small as it can be made.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::installed;
use crate::serving::{Server, model_for_long_prompts};

const PROGRAM: &str = "node_modules/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex";
/// What the files of `clients/codex` say where every server has something else.
const ADDRESS: &str = "http://127.0.0.1:8080";
const MODEL: &str = "gpt-oss-20b";

/// What is left out of a configuration to see how Codex is without it.
const NO_SEARCH: &str = "web_search = \"disabled\"\n";

/// Runs one turn with a configuration of `clients/codex`; gives the events that Codex prints.
#[track_caller]
fn turn(configuration: &str, left_out: &str, arguments: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let model = model_for_long_prompts(folder.path());
    let mut server = Server::start_with(
        &[&["--alias", MODEL, "--set", "model.temperature=0", model.to_str().unwrap()], arguments].concat(),
    );
    let home = folder.path().join("home");
    copy(&installed::scripts("codex"), &home);
    let written = fs::read_to_string(home.join(configuration)).unwrap();
    for wanted in [ADDRESS, MODEL, left_out] {
        assert!(written.contains(wanted), "{configuration} does not have {wanted:?}");
    }
    fs::write(home.join("config.toml"), written.replace(ADDRESS, server.url()).replace(left_out, "")).unwrap();

    let mut command = Command::new(installed::program("codex", PROGRAM));
    command.args(["exec", "--json", "--skip-git-repo-check", "--sandbox", "read-only", "What is 384 + 517?"]);
    let printed = server.satisfies(command.env("CODEX_HOME", &home));
    let events: Vec<Value> = printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    for wrong in ["error", "turn.failed"] {
        assert!(!kinds.contains(&wrong), "{printed}\n--- the server:\n{}", server.log());
    }
    assert_eq!(kinds.last(), Some(&"turn.completed"), "{printed}\n--- the server:\n{}", server.log());
    events
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn answers(events: &[Value]) -> Vec<&str> {
    let items = events.iter().filter(|event| event["type"] == "item.completed").map(|event| &event["item"]);
    items.filter(|item| item["type"] == "agent_message").filter_map(|item| item["text"].as_str()).collect()
}

/// At temperature 0, so that no luck is needed. Codex' own prompt is far beyond what the tiny model understands, so only that it ends well is asked for.
#[test]
fn as_configured_for_glossa() {
    turn("config.toml", "", &[]);
}

#[test]
fn with_a_tool_that_is_passed_over() {
    turn("config.toml", NO_SEARCH, &["--set", "server.hosted_tools=ignore"]);
}

#[test]
fn for_small_models() {
    let events = turn("small.toml", "", &[]);
    let answers = answers(&events);
    assert!(answers.iter().any(|answer| answer.contains("901")), "{answers:?}");
}
