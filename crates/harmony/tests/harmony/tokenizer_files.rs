//! Tokenizer files of other shapes: what is read, and what is refused by the name of its field.

use harmony::{Renderer, Vocabulary};
use serde_json::{Value, json};

use crate::naive_twin::{TEXT_TOKENS, load, tokenizer_json};

/// The file of the released model, rebuilt: 27 MB. It must give the same tokens as the built-in vocabulary.
#[test]
fn the_released_tokenizer_json_is_the_released_vocabulary() {
    let json = tokenizer_json(199_998);
    assert_eq!(json["model"]["merges"].as_array().unwrap().len(), 446_189);
    let file = load(&json);
    let released = Vocabulary::o200k_harmony();
    assert_eq!(file.size(), 200_019);
    assert_eq!(file.harmony_ids().unwrap(), released.harmony_ids().unwrap());
    // It is recognised, so that the linear-time tables serve it.
    assert!(format!("{file:?}").contains("o200k"));
    let texts = ["Hello  world's \n\n naïve 你好 1234567", "<|start|>", "aaaaaaaaaaaaaaaaaaaaaaa", "\u{17F}'\u{17F} İ"];
    for text in texts {
        assert_eq!(file.encode(text), released.encode(text), "{text:?}");
    }
    // Without the last merge the file is another one, and goes through its own merge list; the tokens are the same.
    let mut shorter = json;
    shorter["model"]["merges"].as_array_mut().unwrap().pop();
    let shorter = load(&shorter);
    assert!(format!("{shorter:?}").contains("merges"));
    for text in texts {
        assert_eq!(shorter.encode(text), released.encode(text), "{text:?}");
    }
}

#[test]
fn merges_may_be_strings_and_the_expression_gpt_2s() {
    let mut json = tokenizer_json(TEXT_TOKENS);
    let merges = json["model"]["merges"].as_array().unwrap().iter();
    let merges: Vec<Value> =
        merges.map(|pair| json!(format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))).collect();
    json["model"]["merges"] = Value::Array(merges);
    assert_eq!(load(&json).encode("the inner tests"), load(&tokenizer_json(TEXT_TOKENS)).encode("the inner tests"));

    // GPT-2 keeps digits together and does not cut behind three.
    json["pre_tokenizer"] =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let gpt_2 = load(&json);
    assert_eq!(gpt_2.decode(&gpt_2.encode("it's 12345  x\n")), "it's 12345  x\n");
}

/// The order of the merges decides, not the ids.
#[test]
fn merges_count_by_their_place_in_the_list() {
    let mut json = tokenizer_json(TEXT_TOKENS);
    let next = TEXT_TOKENS + 21;
    for (spelling, id) in [("xq", next + 1), ("qz", next)] {
        json["model"]["vocab"][spelling] = json!(id);
    }
    json["model"]["ignore_merges"] = json!(false);
    for (merges, expected) in [([["x", "q"], ["q", "z"]], "xq|z"), ([["q", "z"], ["x", "q"]], "x|qz")] {
        json["model"]["merges"] = json!(merges);
        let vocabulary = load(&json);
        let pieces: Vec<String> = vocabulary.encode("xqz").iter().map(|&id| vocabulary.decode(&[id])).collect();
        assert_eq!(pieces.join("|"), expected);
    }
    // A whole piece that is a token is that token though no merge leads there, if the file says so.
    json["model"]["vocab"]["xqz"] = json!(next + 2);
    assert_eq!(load(&json).encode("xqz").len(), 2);
    json["model"]["ignore_merges"] = json!(true);
    assert_eq!(load(&json).encode("xqz"), [next + 2]);
}

#[test]
fn added_tokens_of_text_are_found_in_text_and_control_tokens_never() {
    let mut json = tokenizer_json(TEXT_TOKENS);
    let next = TEXT_TOKENS + 21;
    let added = json["added_tokens"].as_array_mut().unwrap();
    added.push(json!({"id": next, "content": "<tool é>", "special": false}));
    // A wrong flag opens no door: what looks like a control token is one.
    added.push(json!({"id": next + 1, "content": "<|forged|>", "special": false}));
    let vocabulary = load(&json);
    assert_eq!(vocabulary.encode("<tool é>"), [next]);
    assert_eq!(vocabulary.special_name(next), None);
    assert!(!vocabulary.encode("<|forged|>").contains(&(next + 1)));
    assert_eq!(vocabulary.special_id("<|forged|>"), Some(next + 1));

    // As released by some, the control tokens stand in the model's vocabulary too.
    json["model"]["vocab"]["<|start|>"] = json!(499);
    let vocabulary = load(&json);
    assert!(!vocabulary.encode("<|start|>").contains(&499));
    assert_eq!(vocabulary.harmony_ids().unwrap().start, 499);
}

#[test]
fn a_vocabulary_without_harmony_is_named_as_such() {
    let mut json = tokenizer_json(TEXT_TOKENS);
    json["added_tokens"].as_array_mut().unwrap().retain(|token| token["content"] != "<|channel|>");
    let message = Renderer::new(&load(&json)).unwrap_err().to_string();
    assert!(message.contains("<|channel|>"), "{message}");
}

/// A change of the tiny file → what the error must name.
const REFUSED: &[(&str, &str, &str)] = &[
    ("/model/type", r#""WordPiece""#, "model.type"),
    ("/model/type", r#""Unigram""#, "model.type"),
    ("/model/byte_fallback", "true", "model.byte_fallback"),
    ("/model/dropout", "0.1", "model.dropout"),
    ("/model/end_of_word_suffix", r#""</w>""#, "model.end_of_word_suffix"),
    ("/model/continuing_subword_prefix", r###""##""###, "model.continuing_subword_prefix"),
    ("/model/merges/7", r#"["a", "nosuchtoken"]"#, "model.merges[7]"),
    ("/model/merges/7", r#"["z", "z"]"#, "model.merges[7]"),
    ("/model/merges/7", r#"["<|start|>", "z"]"#, "model.merges[7]"),
    ("/model/merges/7", r#""nospace""#, "space"),
    ("/model/merges/7", r#"["a"]"#, "line"),
    ("/model/vocab/!", "5", "model.vocab"),
    ("/model/vocab/!", "-1", "line"),
    ("/model/vocab/!", "4294967295", "model.vocab"),
    ("/model/vocab/!", "300", "model.vocab"),
    ("/added_tokens/3/lstrip", "true", "added_tokens[3].lstrip"),
    ("/added_tokens/3/id", "0", "model.vocab"),
    ("/normalizer", r#"{"type": "NFC"}"#, "normalizer"),
    ("/pre_tokenizer", r#"{"type": "Metaspace"}"#, "pre_tokenizer"),
    ("/pre_tokenizer", "null", "pre_tokenizer"),
    ("/pre_tokenizer/pretokenizers", "7", "pre_tokenizer.pretokenizers"),
    ("/pre_tokenizer/pretokenizers/0/behavior", r#""Removed""#, "pre_tokenizer.pretokenizers[0].behavior"),
    ("/pre_tokenizer/pretokenizers/0/pattern", r#"{"Regex": "(a"}"#, "pre_tokenizer.pretokenizers[0]"),
    ("/pre_tokenizer/pretokenizers/0/pattern", "{}", "pre_tokenizer.pretokenizers[0].pattern"),
    ("/pre_tokenizer/pretokenizers/1/type", r#""Whitespace""#, "pre_tokenizer.pretokenizers[1]"),
    ("/pre_tokenizer/pretokenizers/1/add_prefix_space", "true", "pre_tokenizer.pretokenizers[1].add_prefix_space"),
    ("/model", "null", "line"),
];

#[test]
fn what_is_not_supported_is_refused_by_its_field() {
    let tiny = tokenizer_json(TEXT_TOKENS);
    for (pointer, value, field) in REFUSED {
        let mut json = tiny.clone();
        *json.pointer_mut(pointer).unwrap() = serde_json::from_str(value).unwrap();
        let error = Vocabulary::from_tokenizer_json(&serde_json::to_vec(&json).unwrap());
        let message = error.map(|_| ()).expect_err(pointer).to_string();
        assert!(message.contains(field) && !message.contains('\n'), "{pointer} = {value}: {message}");
    }
    for bytes in [b"".as_slice(), b"{", b"[]", b"\xFF", b"null"] {
        assert!(Vocabulary::from_tokenizer_json(bytes).unwrap_err().to_string().contains("tokenizer.json"));
    }
}
