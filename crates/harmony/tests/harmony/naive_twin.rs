//! The merge-list encoder against one that is obviously right, on the tiny vocabulary of the model tests: the first 491
//! ranks of o200k_base and 21 control tokens.

use std::collections::HashMap;

use harmony::{GgufTokenizer, Vocabulary};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

/// The number of text tokens.
pub(crate) const TEXT_TOKENS: u32 = 491;

/// GPT-2's character for each byte.
pub(crate) fn byte_level(bytes: &[u8]) -> String {
    let printable = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let character = |&byte: &u8| match printable(byte) {
        true => char::from(byte),
        false => char::from_u32(256 + (0..byte).filter(|&other| !printable(other)).count() as u32).unwrap(),
    };
    bytes.iter().map(character).collect()
}

/// The first `count` tokens of the released vocabulary.
pub(crate) fn ranks(count: u32) -> Vec<Vec<u8>> {
    let released = Vocabulary::o200k_harmony();
    (0..count).map(|id| released.token_bytes(id).unwrap().to_vec()).collect()
}

/// Every way in which a token splits into two others, in order of the token, then of its parts.
pub(crate) fn merges(ranks: &[Vec<u8>]) -> Vec<[String; 2]> {
    let ids: HashMap<&[u8], usize> = ranks.iter().enumerate().map(|(id, bytes)| (bytes.as_slice(), id)).collect();
    let mut merges = Vec::new();
    for (id, bytes) in ranks.iter().enumerate() {
        for cut in 1..bytes.len() {
            let (left, right) = bytes.split_at(cut);
            if let (Some(&left_id), Some(&right_id)) = (ids.get(left), ids.get(right)) {
                merges.push((id, left_id, right_id, [byte_level(left), byte_level(right)]));
            }
        }
    }
    merges.sort();
    merges.into_iter().map(|(_, _, _, pair)| pair).collect()
}

/// The names of the 21 control tokens from 199,998 on.
pub(crate) fn control_names() -> Vec<String> {
    let released = Vocabulary::o200k_harmony();
    (199_998..200_019).map(|id| released.special_name(id).unwrap().to_owned()).collect()
}

/// A tokenizer.json as released, of the first `count` ranks.
pub(crate) fn tokenizer_json(count: u32) -> Value {
    let ranks = ranks(count);
    let vocab: serde_json::Map<String, Value> =
        ranks.iter().enumerate().map(|(id, bytes)| (byte_level(bytes), json!(id))).collect();
    let added = (count..).zip(control_names()).map(|(id, name)| {
        json!({"id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true})
    });
    let pattern = concat!(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    );
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        ]},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": true,
            "vocab": vocab, "merges": merges(&ranks),
        },
    })
}

pub(crate) fn load(json: &Value) -> Vocabulary {
    Vocabulary::from_tokenizer_json(&serde_json::to_vec(json).unwrap()).unwrap()
}

/// Byte pair encoding by its definition: of all neighbours, join those that give the lowest rank, leftmost first.
fn naive(ranks: &HashMap<Vec<u8>, u32>, piece: &[u8]) -> Vec<u32> {
    let mut parts: Vec<Vec<u8>> = piece.iter().map(|&byte| vec![byte]).collect();
    loop {
        let joined = parts.windows(2).enumerate().filter_map(|(at, pair)| Some((*ranks.get(&pair.concat())?, at)));
        let Some((_, at)) = joined.min() else { break };
        let right = parts.remove(at + 1);
        parts[at].extend(right);
    }
    parts.iter().map(|part| ranks[part]).collect()
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ \t\r\na-eA-E'.st,0-9é你]{0,60}",
        "[a-z ]{0,80}",
        prop::collection::vec(
            prop::sample::select(vec!["in", "er", "the", " the", "tion", " ", "  ", "==", "to", " a"]),
            0..30
        )
        .prop_map(|parts| parts.concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(20), ..ProptestConfig::with_cases(512) })]

    #[test]
    fn the_tiny_vocabulary_encodes_as_its_naive_twin(text in texts()) {
        thread_local! {
            static TINY: (Vocabulary, HashMap<Vec<u8>, u32>) =
                (load(&tokenizer_json(TEXT_TOKENS)), ranks(TEXT_TOKENS).into_iter().zip(0..).collect());
        }
        TINY.with(|(tiny, ranks)| {
            // The pieces are those of the released vocabulary, which has the same expression.
            let mut expected = Vec::new();
            bpe_openai::o200k_base().split(&text).for_each(|piece| expected.extend(naive(ranks, piece.as_bytes())));
            prop_assert_eq!(tiny.encode(&text), expected);
            prop_assert_eq!(tiny.decode(&tiny.encode(&text)), text);
            Ok(())
        })?;
    }
}

#[test]
fn the_tiny_vocabulary_has_its_own_control_ids() {
    let tiny = load(&tokenizer_json(TEXT_TOKENS));
    assert_eq!(tiny.size(), 512);
    let ids = tiny.harmony_ids().unwrap();
    assert_eq!([ids.return_, ids.channel, ids.start, ids.end, ids.message, ids.call], [495, 498, 499, 500, 501, 505]);
    assert_eq!(tiny.stop_ids().unwrap(), [495, 505, 492]);
    assert_eq!(tiny.encode_with_specials("<|start|><|end|>"), [499, 500]);
    assert!(tiny.encode("<|start|><|end|>").iter().all(|&id| id < TEXT_TOKENS));
}

#[test]
fn a_long_unbroken_text_is_no_attack() {
    let tiny = load(&tokenizer_json(TEXT_TOKENS));
    let text = "a".repeat(200_000);
    assert_eq!(tiny.decode(&tiny.encode(&text)), text);
}

/// GGUF keeps the same parts in another form.
#[test]
fn a_gguf_tokenizer_is_the_same_vocabulary() {
    let tiny = load(&tokenizer_json(TEXT_TOKENS));
    let mut tokens: Vec<String> = ranks(TEXT_TOKENS).iter().map(|bytes| byte_level(bytes)).collect();
    tokens.extend(control_names());
    let mut types = vec![1; TEXT_TOKENS as usize];
    types.extend([3; 21]);
    let merges: Vec<String> = merges(&ranks(TEXT_TOKENS)).into_iter().map(|pair| pair.join(" ")).collect();
    let parts = GgufTokenizer { model: "gpt2", pre: "gpt-4o", tokens: &tokens, token_types: &types, merges: &merges };
    let gguf = Vocabulary::from_gguf(&parts).unwrap();
    assert_eq!(gguf.harmony_ids().unwrap(), tiny.harmony_ids().unwrap());
    for text in ["Hello world, this is the test.", "é你🙂\n\n  x", "<|start|>user"] {
        assert_eq!(gguf.encode(text), tiny.encode(text));
        assert_eq!(gguf.encode_with_specials(text), tiny.encode_with_specials(text));
    }
    // User-defined tokens are text, unless they look like control tokens; unused ids hold nothing.
    let more_tokens = [tokens.clone(), ["<tool>", "<|sneaky|>", "[PAD514]"].map(str::to_owned).to_vec()].concat();
    let more_types = [types.as_slice(), &[4, 4, 5]].concat();
    let padded = GgufTokenizer { tokens: &more_tokens, token_types: &more_types, ..parts };
    let padded = Vocabulary::from_gguf(&padded).unwrap();
    assert_eq!(padded.size(), 515);
    assert_eq!(padded.encode("<tool>"), [512]);
    assert!(!padded.encode("<|sneaky|>").contains(&513));
    assert_eq!(padded.special_id("<|sneaky|>"), Some(513));
    assert_eq!(padded.token_bytes(514), None);

    let refused = GgufTokenizer { pre: "deepseek-v3", ..parts };
    let message = Vocabulary::from_gguf(&refused).unwrap_err().to_string();
    assert!(message.contains("tokenizer.ggml.pre") && message.contains("deepseek-v3"), "{message}");
    let refused = GgufTokenizer { model: "llama", ..parts };
    assert!(Vocabulary::from_gguf(&refused).unwrap_err().to_string().contains("tokenizer.ggml.model"));
    let refused = GgufTokenizer { token_types: &types[..5], ..parts };
    assert!(Vocabulary::from_gguf(&refused).unwrap_err().to_string().contains("tokenizer.ggml.token_type"));
}
