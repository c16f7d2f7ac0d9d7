//! `glossa run`: streams, pipes, JSON, seeds, limits, interrupts.

use std::io::Read;
use std::process::{Command, Stdio};

use synth::{GgufOptions, Layout, Shape};

use crate::{Model, glossa, json, stdout};

const FIXED: [&str; 6] = ["--date", "2026-01-02", "--seed", "7", "--max-tokens", "12"];

fn run_json(model: &Model, options: &[&str]) -> serde_json::Value {
    let mut arguments = vec!["run", model.path(), "Hello", "--json"];
    arguments.extend(FIXED);
    arguments.extend(options);
    json(&stdout(&arguments, b""))
}

#[test]
fn a_seed_repeats_the_answer_and_options_change_the_prompt() {
    let model = Model::tiny();
    let first = run_json(&model, &[]);
    assert_eq!(first["token_ids"], run_json(&model, &["--threads", "1", "--chunk", "5"])["token_ids"]);
    assert_eq!(
        first["token_ids"].as_array().unwrap().len() as u64,
        first["usage"]["generated_tokens"].as_u64().unwrap()
    );
    let prompt_tokens = |value: &serde_json::Value| value["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!(prompt_tokens(&run_json(&model, &["--instructions", "Be brief."])) > prompt_tokens(&first));
    // Without a later --date the given one stands; a run of low effort has another prompt.
    assert_ne!(first["token_ids"], run_json(&model, &["--effort", "high"])["token_ids"]);
}

#[test]
fn greedy_equals_the_most_likely_token_of_logits() {
    let model = Model::tiny();
    let first = run_json(&model, &["--temperature", "0", "--exact", "--max-tokens", "1"]);
    let (conversation, ids, out) = (model.file("c.json"), model.file("ids.json"), model.file("out.safetensors"));
    let system = r#"{"type": "system_content", "model_identity": "You are ChatGPT, a large language model trained by OpenAI.",
        "reasoning_effort": "Medium", "conversation_start_date": "2026-01-02", "knowledge_cutoff": "2024-06",
        "channel_config": {"valid_channels": ["analysis", "commentary", "final"], "channel_required": true}}"#;
    let text = format!(
        r#"{{"messages": [{{"role": "system", "content": [{system}]}}, {{"role": "user", "content": "Hello"}}]}}"#
    );
    std::fs::write(&conversation, text).unwrap();
    let rendered = stdout(&["render", conversation.to_str().unwrap(), "--ids", "--model", model.path()], b"");
    std::fs::write(&ids, &rendered).unwrap();
    assert_eq!(json(&rendered).as_array().unwrap().len() as u64, first["usage"]["prompt_tokens"].as_u64().unwrap());
    stdout(&["logits", model.path(), "--ids", ids.to_str().unwrap(), "--out", out.to_str().unwrap(), "--last"], b"");
    let bytes = std::fs::read(out).unwrap();
    let values =
        bytes[bytes.len() - 512 * 4..].chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap()));
    let best = values.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
    assert_eq!(first["token_ids"][0], best as u64);
}

#[test]
fn raw_prints_every_token_and_takes_control_tokens() {
    let model = Model::tiny();
    let prompt = "<|start|>user<|message|>hi<|end|><|start|>assistant";
    let output = glossa(
        &["run", model.path(), prompt, "--raw", "--max-tokens", "20", "--seed", "1", "--logit-bias", "500=100"],
        b"",
    );
    assert!(output.status.success());
    // Biased so, every token is <|end|>, which ends no raw generation.
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), "<|end|>".repeat(20));
    let figures = String::from_utf8(output.stderr).unwrap();
    assert!(figures.contains(" 20 tokens"), "{figures}");
}

#[test]
fn quiet_is_quiet() {
    let model = Model::tiny();
    let output = glossa(&["run", model.path(), "Hi", "--max-tokens", "3", "--raw", "--quiet"], b"");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn stop_tokens_of_harmony_and_of_the_model_end_a_turn() {
    let model = Model::tiny();
    let stopped = |bias: &str| {
        let value = run_json(&model, &["--logit-bias", bias]);
        (value["finish_reason"].clone(), value["stop_id"].clone(), value["usage"]["generated_tokens"].clone())
    };
    // Return, call and end of text; then a token that only the model's own configuration names.
    for id in [495, 505, 492] {
        assert_eq!(stopped(&format!("{id}=100")), ("stop".into(), id.into(), 1.into()));
    }
    assert_eq!(stopped("300=100"), ("length".into(), serde_json::Value::Null, 12.into()));
    std::fs::write(model.path.join("generation_config.json"), r#"{"eos_token_id": [300, 500]}"#).unwrap();
    assert_eq!(stopped("300=100"), ("stop".into(), 300.into(), 1.into()));
    // The end of a message is not the end of a turn, whatever the file says.
    assert_eq!(stopped("500=100"), ("length".into(), serde_json::Value::Null, 12.into()));
}

#[test]
fn a_prompt_comes_through_a_pipe() {
    let model = Model::tiny();
    let tokens = |arguments: &[&str], input: &[u8]| {
        let mut all = vec!["run", model.path(), "--json"];
        all.extend(FIXED);
        all.extend(arguments);
        json(&stdout(&all, input))["token_ids"].clone()
    };
    let expected = tokens(&["Hello"], b"");
    assert_eq!(tokens(&["-"], b"Hello\n"), expected);
    assert_eq!(tokens(&[], b"Hello\r\n"), expected);
    assert_eq!(tokens(&["Sum up:", "-"], b"A text.\n"), tokens(&["Sum up:\n\nA text."], b""));
}

#[test]
fn a_vocabulary_inside_gguf_and_none_at_all() {
    let gguf = Model::write(Shape::tiny(), Layout::Gguf(GgufOptions::default()));
    let output = glossa(&["run", gguf.path(), "Hello", "--max-tokens", "3"], b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let original = Model::write(Shape::tiny(), Layout::Original);
    let output = glossa(&["run", original.path(), "Hello", "--max-tokens", "3"], b"");
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && message.contains("tokenizer.json"), "{message}");
}

#[test]
fn the_context_ends_a_generation() {
    let model = Model::tiny();
    let arguments = ["run", model.path(), "Hi", "--raw", "--context", "10", "--logit-bias", "500=100", "--json"];
    // --raw and --json exclude each other: wrong usage, exit code 2.
    assert_eq!(glossa(&arguments, b"").status.code(), Some(2));
    let output = glossa(&arguments[..8], b"");
    assert!(String::from_utf8(output.stderr).unwrap().contains("context full"));
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_cleanly_with_what_was_said() {
    let model = Model::tiny();
    let mut child = Command::new(env!("CARGO_BIN_EXE_glossa"))
        .args(["run", model.path(), "Hi", "--raw", "--logit-bias", "500=100", "--max-tokens", "100000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut start = [0; 14];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"<|end|><|end|>");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8(output.stderr).unwrap().contains("interrupted"), "the figures still come");
    assert!(rest.ends_with("<|end|>\n"), "whole tokens and a closed line");
}
