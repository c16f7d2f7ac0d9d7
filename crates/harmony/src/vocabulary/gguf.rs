//! Builds the tokenizer that a GGUF file carries in its metadata; knows nothing of the file itself.

use super::assemble::{Entry, Parts, assemble, kind_of_added};
use super::pretokenize::{GPT_2, O200K, Pretokenizer};
use super::{TokenKind, Vocabulary, byte_level};
use crate::error::Error;

/// The `tokenizer.ggml.*` values of a GGUF file.
#[derive(Clone, Copy, Debug)]
pub struct GgufTokenizer<'a, Text> {
    /// `tokenizer.ggml.model`: `gpt2` is byte-level BPE.
    pub model: &'a str,
    /// `tokenizer.ggml.pre`: which regular expression cuts the text.
    pub pre: &'a str,
    /// `tokenizer.ggml.tokens`: spellings by id.
    pub tokens: &'a [Text],
    /// `tokenizer.ggml.token_type`: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte.
    pub token_types: &'a [i32],
    /// `tokenizer.ggml.merges`: two spellings with a space between, best first.
    pub merges: &'a [Text],
}

/// What a pre-tokenizer's name stands for.
struct Pre {
    names: &'static [&'static str],
    expression: &'static str,
    /// Whether the tokenizer it stands for takes whole pieces without merging.
    ignore_merges: bool,
}

const PRES: [Pre; 4] = [
    Pre { names: &["gpt-4o", "llama4"], expression: O200K, ignore_merges: true },
    Pre { names: &["gpt-2"], expression: GPT_2, ignore_merges: false },
    Pre {
        names: &["llama-bpe", "llama3", "llama-v3"],
        expression: concat!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|",
            r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
        ignore_merges: true,
    },
    Pre {
        names: &["qwen2"],
        expression: concat!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|",
            r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
        ignore_merges: false,
    },
];

pub(super) fn read<Text: AsRef<str>>(parts: &GgufTokenizer<'_, Text>) -> Result<Vocabulary, Error> {
    if parts.model != "gpt2" {
        return Err(unsupported("tokenizer.ggml.model", "\"gpt2\"", format!("{:?}", parts.model)));
    }
    let pre = PRES.iter().find(|pre| pre.names.contains(&parts.pre)).ok_or_else(|| {
        unsupported("tokenizer.ggml.pre", "gpt-4o, llama4, gpt-2, llama-bpe or qwen2", format!("{:?}", parts.pre))
    })?;
    if parts.tokens.len() != parts.token_types.len() {
        return Err(inconsistent(
            "tokenizer.ggml.token_type".to_owned(),
            "one entry for each token",
            format!("{} for {} tokens", parts.token_types.len(), parts.tokens.len()),
        ));
    }
    let merges = parts.merges.iter().enumerate().map(|(index, merge)| split_merge(index, merge.as_ref()));
    let merges = merges.collect::<Result<Vec<_>, _>>()?;
    assemble(Parts {
        entries: entries(parts)?,
        merges: merges.into_iter(),
        ignore_merges: pre.ignore_merges,
        pretokenizer: Pretokenizer::new([pre.expression]).expect("the expressions of the table are valid"),
        tokens_field: "tokenizer.ggml.tokens",
        merges_field: "tokenizer.ggml.merges",
    })
}

fn entries<Text: AsRef<str>>(parts: &GgufTokenizer<'_, Text>) -> Result<Vec<Entry>, Error> {
    let entry = |(id, (spelling, kind)): (u32, (&Text, &i32))| {
        let spelling = spelling.as_ref();
        let (bytes, kind) = match kind {
            1 | 6 => {
                let bytes = byte_level::bytes_of(spelling).map_err(|_| {
                    inconsistent(format!("tokenizer.ggml.tokens[{id}]"), "byte-level text", format!("{spelling:?}"))
                })?;
                (bytes, TokenKind::Ordinary)
            }
            2 | 3 => (spelling.as_bytes().to_vec(), TokenKind::Control),
            4 => (spelling.as_bytes().to_vec(), kind_of_added(spelling, false)),
            5 => (Vec::new(), TokenKind::Absent),
            other => {
                return Err(inconsistent(format!("tokenizer.ggml.token_type[{id}]"), "1 to 6", other.to_string()));
            }
        };
        Ok(Entry { id, bytes, kind })
    };
    (0..).zip(parts.tokens.iter().zip(parts.token_types)).map(entry).collect()
}

fn split_merge(index: usize, merge: &str) -> Result<(&str, &str), Error> {
    merge.split_once(' ').ok_or_else(|| {
        inconsistent(format!("tokenizer.ggml.merges[{index}]"), "two tokens with a space between", format!("{merge:?}"))
    })
}

fn unsupported(field: &str, expected: &'static str, found: String) -> Error {
    Error::TokenizerUnsupported { field: field.to_owned(), expected, found }
}

fn inconsistent(field: String, expected: &'static str, found: String) -> Error {
    Error::TokenizerInconsistent { field, expected, found }
}
