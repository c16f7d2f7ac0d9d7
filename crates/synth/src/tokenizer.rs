//! tokenizer.json, tokenizer_config.json and special_tokens_map.json of a vocabulary of any size. With all 199,998 ranks
//! tokenizer.json is the released file, byte for byte.

use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::json::indented;
use crate::merges::{Vocabulary, special_names};
use crate::plan::FilePlan;

/// Pre-tokenisation of o200k_base, alternative by alternative.
const PATTERN: [&str; 7] = [
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
    r"\s*[\r\n]+",
    r"\s+(?!\S)",
    r"\s+",
];

/// The three files: `ranks` byte-pair tokens, then the special tokens.
pub(crate) fn plans(ranks: usize) -> Result<Vec<FilePlan>> {
    let vocabulary = Vocabulary::new(ranks)?;
    let specials: Vec<(usize, String)> = (ranks..).zip(special_names()).collect();
    Ok(vec![
        FilePlan::text("tokenizer.json", indented(&tokenizer(&vocabulary, &specials))),
        FilePlan::text("tokenizer_config.json", indented(&tokenizer_config(&specials)) + "\n"),
        FilePlan::text(
            "special_tokens_map.json",
            indented(&json!({"bos_token": "<|startoftext|>", "eos_token": "<|return|>", "pad_token": "<|endoftext|>"}))
                + "\n",
        ),
    ])
}

fn tokenizer(vocabulary: &Vocabulary, specials: &[(usize, String)]) -> Value {
    let added: Vec<Value> = specials
        .iter()
        .map(|(id, name)| {
            json!({"id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                   "special": true})
        })
        .collect();
    let byte_level = |add_prefix_space: bool, trim_offsets: bool, use_regex: bool| {
        json!({"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": trim_offsets,
               "use_regex": use_regex})
    };
    let vocab: Map<String, Value> = vocabulary.spellings().zip(0..).map(|(token, id)| (token, id.into())).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": PATTERN.join("|")}, "behavior": "Isolated", "invert": false},
                byte_level(false, true, false),
            ],
        },
        "post_processor": byte_level(true, false, true),
        "decoder": byte_level(true, true, true),
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": true,
            "vocab": vocab,
            "merges": vocabulary.merges(),
        },
    })
}

fn tokenizer_config(specials: &[(usize, String)]) -> Value {
    let decoder: Map<String, Value> = specials
        .iter()
        .map(|(id, name)| {
            let token = json!({"content": name, "lstrip": false, "normalized": false, "rstrip": false,
                               "single_word": false, "special": true});
            (id.to_string(), token)
        })
        .collect();
    json!({
        "added_tokens_decoder": decoder,
        "bos_token": "<|startoftext|>",
        "clean_up_tokenization_spaces": false,
        "eos_token": "<|return|>",
        "extra_special_tokens": {},
        "model_input_names": ["input_ids", "attention_mask"],
        // "No limit" as transformers writes it.
        "model_max_length": 1e30,
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "PreTrainedTokenizerFast",
    })
}
