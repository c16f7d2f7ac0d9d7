//! Where a checkpoint keeps its vocabulary and which tokens it says end a turn. It must not know how text is tokenised.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::gguf_values::Metadata;
use super::json::{self, Fields};
use super::validate::VOCABULARY_MAX;
use crate::Error;

/// Most merges of a GGUF vocabulary.
const MERGES_MAX: usize = 1 << 23;
/// Most tokens that may end a turn.
const STOP_IDS_MAX: usize = 64;

/// Where the vocabulary is.
#[derive(Clone, Debug, PartialEq)]
pub enum VocabularySource {
    /// A tokenizer.json of Hugging Face's tokenizers.
    TokenizerJson(PathBuf),
    /// Inside the GGUF file.
    Gguf(GgufVocabulary),
    /// The checkpoint has none: the released o200k_harmony is meant.
    None,
}

/// A GGUF file's vocabulary, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct GgufVocabulary {
    /// `tokenizer.ggml.model`; `gpt2` is byte-level BPE.
    pub model: String,
    /// `tokenizer.ggml.pre`: how text is split before merging; `gpt-4o` for the released vocabulary.
    pub pre: Option<String>,
    /// Tokens by id, in byte-level spelling.
    pub tokens: Vec<String>,
    /// Token types by id (1 normal, 3 control, 4 user defined, 5 unused, 6 byte); empty when the file has none.
    pub types: Vec<u32>,
    /// Merges in order of rank, the two halves apart by a space; empty when the file has none.
    pub merges: Vec<String>,
}

/// The tokenizer.json beside a configuration file, or for an `original/` directory in the directory above it.
pub(super) fn beside(directory: &Path, also_above: bool) -> VocabularySource {
    let above = also_above.then(|| above(directory));
    [Some(directory.to_path_buf()), above]
        .into_iter()
        .flatten()
        .map(|directory| directory.join("tokenizer.json"))
        .find(|path| path.is_file())
        .map_or(VocabularySource::None, VocabularySource::TokenizerJson)
}

/// `eos_token_id` of generation_config.json and config.json, in that order, each id once.
pub(super) fn stop_ids(
    directory: &Path,
    also_above: bool,
    config: (&Path, &Map<String, Value>),
    vocabulary_size: usize,
) -> Result<Vec<u32>, Error> {
    let mut found = Vec::new();
    for directory in [Some(directory.to_path_buf()), also_above.then(|| above(directory))].into_iter().flatten() {
        let path = directory.join("generation_config.json");
        if path.is_file() {
            let map: Map<String, Value> = json::read(&path, "a generation configuration")?;
            add_stop_ids(&mut found, &Fields::new(&path, &map), vocabulary_size)?;
            break;
        }
    }
    let (path, map) = config;
    add_stop_ids(&mut found, &Fields::new(path, map), vocabulary_size)?;
    Ok(found)
}

fn above(directory: &Path) -> PathBuf {
    match (directory.file_name(), directory.parent()) {
        (Some(_), Some(parent)) => parent.to_path_buf(),
        _ => directory.join(".."),
    }
}

/// Adds the `eos_token_id` of a configuration.
pub(super) fn add_stop_ids(found: &mut Vec<u32>, fields: &Fields<'_>, vocabulary_size: usize) -> Result<(), Error> {
    const FIELD: &str = "eos_token_id";
    let Some(value) = fields.get(FIELD) else { return Ok(()) };
    let list = match value {
        Value::Array(list) => list.as_slice(),
        single => std::slice::from_ref(single),
    };
    for id in list {
        let known = id.as_u64().filter(|&id| id < vocabulary_size as u64).and_then(|id| u32::try_from(id).ok());
        let expected = format!("at most {STOP_IDS_MAX} token ids below the vocabulary size {vocabulary_size}");
        let known = known
            .filter(|_| list.len() <= STOP_IDS_MAX)
            .ok_or_else(|| fields.wrong(FIELD, &expected, &value.to_string()))?;
        if !found.contains(&known) {
            found.push(known);
        }
    }
    Ok(())
}

/// The ids of GGUF's end-of-sequence and end-of-turn keys, each once.
pub(super) fn gguf_stop_ids(bytes: &[u8], metadata: &Metadata, vocabulary_size: usize) -> Result<Vec<u32>, Error> {
    let mut found = Vec::new();
    let mut add = |key: &str, id: i128| {
        let known = u32::try_from(id).ok().filter(|&id| (id as usize) < vocabulary_size);
        let expected = format!("token ids below the vocabulary size {vocabulary_size}");
        let known = known.ok_or_else(|| metadata.wrong(key, &expected, &id.to_string()))?;
        if !found.contains(&known) {
            found.push(known);
        }
        Ok::<(), Error>(())
    };
    for key in ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"] {
        if let Some(id) = metadata.optional_count(key)? {
            add(key, id as i128)?;
        }
    }
    let key = "tokenizer.ggml.eos_token_ids";
    for id in metadata.optional_integers(bytes, key, STOP_IDS_MAX)?.unwrap_or_default() {
        add(key, id)?;
    }
    Ok(found)
}

/// The vocabulary inside a GGUF file.
pub(super) fn gguf_vocabulary(bytes: &[u8], metadata: &Metadata) -> Result<VocabularySource, Error> {
    let Some(tokens) = metadata.optional_texts(bytes, "tokenizer.ggml.tokens", VOCABULARY_MAX)? else {
        return Ok(VocabularySource::None);
    };
    let key = "tokenizer.ggml.token_type";
    let types = metadata.optional_integers(bytes, key, VOCABULARY_MAX)?.unwrap_or_default();
    let types = types
        .into_iter()
        .map(|kind| u32::try_from(kind).map_err(|_| metadata.wrong(key, "token types", &kind.to_string())));
    let types = types.collect::<Result<Vec<_>, _>>()?;
    if !types.is_empty() && types.len() != tokens.len() {
        return Err(metadata.wrong(key, &format!("{} entries, as tokens", tokens.len()), &types.len().to_string()));
    }
    Ok(VocabularySource::Gguf(GgufVocabulary {
        model: metadata.optional_text("tokenizer.ggml.model")?.unwrap_or("gpt2").to_owned(),
        pre: metadata.optional_text("tokenizer.ggml.pre")?.map(str::to_owned),
        tokens,
        types,
        merges: metadata.optional_texts(bytes, "tokenizer.ggml.merges", MERGES_MAX)?.unwrap_or_default(),
    }))
}
