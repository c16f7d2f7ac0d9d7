//! Reads a Hugging Face `tokenizer.json` with a byte-level BPE model. What is not supported is refused by the name of
//! its field, never guessed.

mod fields;

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::assemble::{Entry, Parts, assemble, kind_of_added};
use super::pretokenize::{GPT_2, Pretokenizer};
use super::{TokenKind, Vocabulary, byte_level};
use crate::error::Error;
use fields::{MergePair, Spelling};

/// What is read before the rest, so that another kind of model is named as such.
#[derive(Deserialize)]
struct Kind {
    model: ModelKind,
}

#[derive(Deserialize)]
struct ModelKind {
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Old files name no type; merges then say that it is BPE.
    merges: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(borrow)]
    model: Model<'a>,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
}

#[derive(Deserialize)]
struct Model<'a> {
    #[serde(default)]
    dropout: Option<f64>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    #[serde(borrow)]
    vocab: HashMap<Spelling<'a>, u32>,
    #[serde(borrow)]
    merges: Vec<MergePair<'a>>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Vocabulary, Error> {
    let syntax = |error: serde_json::Error| Error::TokenizerSyntax { reason: error.to_string() };
    let kind: Kind = serde_json::from_slice(bytes).map_err(syntax)?;
    match (kind.model.kind.as_deref(), kind.model.merges) {
        (Some("BPE"), _) | (None, Some(IgnoredAny)) => {}
        (other, _) => return Err(unsupported("model.type", "\"BPE\"", format!("{other:?}"))),
    }
    let file: File<'_> = serde_json::from_slice(bytes).map_err(syntax)?;
    check_model(&file.model)?;
    check_normalizer(&file.normalizer)?;
    let pretokenizer = pretokenizer(&file.pre_tokenizer)?;
    let mut entries = text_entries(&file.model.vocab, &file.added_tokens);
    entries.extend(added_entries(file.added_tokens)?);
    assemble(Parts {
        entries,
        merges: file.model.merges.iter().map(|pair| (pair.left(), pair.right())),
        ignore_merges: file.model.ignore_merges,
        pretokenizer,
        tokens_field: "model.vocab",
        merges_field: "model.merges",
    })
}

fn unsupported(field: &str, expected: &'static str, found: impl ToString) -> Error {
    Error::TokenizerUnsupported { field: field.to_owned(), expected, found: found.to_string() }
}

fn check_model(model: &Model<'_>) -> Result<(), Error> {
    if let Some(dropout) = model.dropout.filter(|&dropout| dropout != 0.0) {
        return Err(unsupported("model.dropout", "null", dropout));
    }
    let affixes = [
        ("model.continuing_subword_prefix", &model.continuing_subword_prefix),
        ("model.end_of_word_suffix", &model.end_of_word_suffix),
    ];
    for (field, affix) in affixes {
        if let Some(affix) = affix.as_deref().filter(|affix| !affix.is_empty()) {
            return Err(unsupported(field, "null", format!("{affix:?}")));
        }
    }
    if model.byte_fallback {
        return Err(unsupported("model.byte_fallback", "false", "true"));
    }
    Ok(())
}

/// Text is encoded as it is: a normalizer would make decode(encode(text)) another text.
fn check_normalizer(normalizer: &Value) -> Result<(), Error> {
    let members = normalizer.get("normalizers").and_then(Value::as_array);
    if normalizer.is_null() || (normalizer["type"] == "Sequence" && members.is_some_and(Vec::is_empty)) {
        return Ok(());
    }
    Err(unsupported("normalizer", "null", normalizer))
}

/// The tokens of the model. Added tokens may stand among them, by their plain name instead of in byte-level spelling.
fn text_entries(vocab: &HashMap<Spelling<'_>, u32>, added: &[AddedToken]) -> Vec<Entry> {
    let names: HashMap<u32, &str> = added.iter().map(|token| (token.id, token.content.as_str())).collect();
    let of_the_model = vocab.iter().filter(|(spelling, id)| names.get(id) != Some(&spelling.as_str()));
    let entry = |(spelling, &id): (&Spelling<'_>, &u32)| match byte_level::bytes_of(spelling.as_str()) {
        Ok(bytes) => Entry { id, bytes, kind: TokenKind::Ordinary },
        // No text reaches a spelling outside the byte-level alphabet.
        Err(_) => Entry { id, bytes: spelling.as_str().as_bytes().to_vec(), kind: TokenKind::Control },
    };
    of_the_model.map(entry).collect()
}

fn added_entries(added: Vec<AddedToken>) -> Result<Vec<Entry>, Error> {
    let entry = |(index, token): (usize, AddedToken)| {
        for (flag, set) in [("single_word", token.single_word), ("lstrip", token.lstrip), ("rstrip", token.rstrip)] {
            if set {
                return Err(unsupported(
                    &format!("added_tokens[{index}].{flag}"),
                    "false",
                    format!("true for {:?}", token.content),
                ));
            }
        }
        let kind = kind_of_added(&token.content, token.special);
        Ok(Entry { id: token.id, bytes: token.content.into_bytes(), kind })
    };
    added.into_iter().enumerate().map(entry).collect()
}

/// The regular expressions of the pre-tokenizer, in order; the last of its members must be the byte level.
fn pretokenizer(field: &Value) -> Result<Pretokenizer, Error> {
    let mut steps = Vec::new();
    flatten("pre_tokenizer", field, &mut steps)?;
    let mut expressions = Vec::new();
    let mut byte_level = false;
    for (path, step) in steps {
        if byte_level {
            return Err(unsupported(&path, "nothing after ByteLevel", &step["type"]));
        }
        match step["type"].as_str() {
            Some("Split") => expressions.push((path.clone(), split_expression(&path, step)?)),
            Some("Digits") => {
                let expression = if step["individual_digits"] == true { r"\p{N}" } else { r"\p{N}+" };
                expressions.push((path, expression.to_owned()));
            }
            Some("ByteLevel") => {
                if step["add_prefix_space"] == true {
                    return Err(unsupported(&format!("{path}.add_prefix_space"), "false", "true"));
                }
                if step["use_regex"] != false {
                    expressions.push((path, GPT_2.to_owned()));
                }
                byte_level = true;
            }
            _ => return Err(unsupported(&path, "Split, Digits, ByteLevel or a Sequence of them", &step["type"])),
        }
    }
    if !byte_level {
        return Err(unsupported("pre_tokenizer", "a ByteLevel member", field));
    }
    Pretokenizer::new(expressions.iter().map(|(_, expression)| expression.as_str()))
        .map_err(|(index, reason)| unsupported(&expressions[index].0, "a regular expression", reason))
}

/// The members of nested sequences with their paths, in order.
fn flatten<'a>(path: &str, step: &'a Value, steps: &mut Vec<(String, &'a Value)>) -> Result<(), Error> {
    if step["type"] != "Sequence" {
        steps.push((path.to_owned(), step));
        return Ok(());
    }
    let members = step["pretokenizers"].as_array();
    let members =
        members.ok_or_else(|| unsupported(&format!("{path}.pretokenizers"), "a list", &step["pretokenizers"]))?;
    members
        .iter()
        .enumerate()
        .try_for_each(|(index, member)| flatten(&format!("{path}.pretokenizers[{index}]"), member, steps))
}

fn split_expression(path: &str, step: &Value) -> Result<String, Error> {
    // Isolated: matches and what lies between them are pieces, so it is all the same which of them the pattern names.
    if step["behavior"] != "Isolated" {
        return Err(unsupported(&format!("{path}.behavior"), "\"Isolated\"", &step["behavior"]));
    }
    let pattern = &step["pattern"];
    match (pattern["Regex"].as_str(), pattern["String"].as_str()) {
        (Some(expression), _) => Ok(expression.to_owned()),
        (None, Some(text)) => Ok(fancy_regex::escape(text).into_owned()),
        (None, None) => Err(unsupported(&format!("{path}.pattern"), "a Regex or a String", pattern)),
    }
}
