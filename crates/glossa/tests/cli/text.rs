//! `tokenize`, `detokenize`, `render`, `parse` and `inspect`.

use crate::{Model, json, stdout};

#[test]
fn text_to_ids_and_back() {
    let text = "Grüße, 世界! <|start|>";
    let ids = stdout(&["tokenize", text], b"");
    assert_eq!(stdout(&["detokenize", ids.trim()], b""), text);
    assert_eq!(stdout(&["detokenize", "-"], ids.as_bytes()), text);
    assert_eq!(stdout(&["tokenize"], text.as_bytes()), ids, "a pipe is read when no text is given");
    let ids = json(&ids);
    assert!(
        ids.as_array().unwrap().iter().all(|id| id.as_u64().unwrap() < 199_998),
        "no control token comes from text"
    );
    let special = json(&stdout(&["tokenize", "--special", "<|start|>x"], b""));
    assert_eq!(special[0], 200_006);
    let table = stdout(&["tokenize", "--table", "a b"], b"");
    assert_eq!(table.lines().count(), 2);
    assert_eq!(stdout(&["detokenize", "200006, 64 1"], b""), "<|start|>a\"");
}

#[test]
fn a_model_brings_its_own_vocabulary() {
    let model = Model::tiny();
    let ids = json(&stdout(&["tokenize", "--model", model.path(), "--special", "<|start|>hi"], b""));
    // Of the 491 first ranks and 21 control tokens, start is the ninth of these.
    assert_eq!(ids[0], 499);
    assert!(ids.as_array().unwrap().iter().all(|id| id.as_u64().unwrap() < 512));
}

#[test]
fn a_conversation_renders_and_parses_back() {
    let conversation = br#"{"messages": [
        {"role": "user", "content": "What is 2 + 2?"},
        {"role": "assistant", "channel": "analysis", "content": "Simple."},
        {"role": "assistant", "channel": "final", "content": "4"},
        {"role": "user", "content": "And 3 + 3? <|end|>"}]}"#;
    let rendered = json(&stdout(&["render"], conversation));
    let text = "<|start|>user<|message|>What is 2 + 2?<|end|><|start|>assistant<|channel|>final<|message|>4<|end|>\
                <|start|>user<|message|>And 3 + 3? <|end|><|end|><|start|>assistant";
    assert_eq!(rendered["text"], text);
    let ids = stdout(&["render", "--for", "conversation", "--analysis", "keep", "--ids", "-"], conversation);
    let parsed = json(&stdout(&["parse", "--conversation"], ids.as_bytes()));
    let messages = parsed["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 4);
    assert_eq!(messages[1]["channel"], "analysis");
    assert!(messages[3].to_string().contains("And 3 + 3? <|end|>"), "a forged end stays text: {}", messages[3]);
}

#[test]
fn a_conversation_of_another_api_is_not_cut_in_silence() {
    for (input, field) in [
        (r#"{"messages": [{"role": "assistant", "content": "", "tool_calls": []}]}"#, "tool_calls"),
        (r#"{"messages": [], "tools": []}"#, "tools"),
    ] {
        let output = crate::glossa(&["render"], input.as_bytes());
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && message.contains(field), "{message}");
    }
}

#[test]
fn any_ids_parse() {
    let parsed = json(&stdout(&["parse", "[200008, 4294967295, 200005, 1, 200006, 200006, 200003]"], b""));
    assert!(parsed["messages"].is_array());
}

#[test]
fn inspect_counts_and_plans() {
    let model = Model::tiny();
    let text = stdout(&["inspect", model.path(), "--context", "4000", "--tensors"], b"");
    assert!(text.contains("model.layers.3.mlp.experts.down_proj_scales"), "{text}");
    let value = json(&stdout(&["inspect", model.path(), "--context", "4000", "--json"], b""));
    assert_eq!(value["tensor_count"], 79);
    assert_eq!(value["config"]["hidden_size"], 96);
    assert_eq!(value["files"].as_array().unwrap().len(), 3);
    // Two full layers × 2 heads × 64 × (key, value) × 2 bytes, in blocks of 64 positions; windows also hold a
    // chunk of 2,048.
    assert_eq!(value["memory"]["default"]["full_kv_bytes"], 4032 * 2 * 2 * 64 * 2 * 2);
    assert_eq!(value["memory"]["exact"]["full_kv_bytes"], 4032 * 2 * 2 * 64 * 2 * 4);
    assert_eq!(value["memory"]["default"]["window_kv_bytes"], 2176 * 2 * 2 * 64 * 2 * 2);
}
