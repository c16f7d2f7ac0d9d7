//! Opening: locate the files, read hyperparameters and headers, take every tensor, check what is left.
//! It must not know what any tensor is called.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kernels::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::json::{self, Fields, Pairs};
use super::locate::{INDEX, Located, Weights as Where, locate, map, numbered};
use super::tensors::{Taken, Tensors};
use super::{Checkpoint, Layout, Weights, gguf, gguf_model, hugging_face, original, safetensors, vocabulary};
use crate::Error;
use crate::error::printable;

pub(super) fn open(path: &Path) -> Result<Checkpoint, Error> {
    match locate(path)? {
        Located::Safetensors { directory, weights } => open_safetensors(&directory, &weights),
        Located::Gguf(parts) => open_gguf(&parts),
    }
}

fn open_safetensors(directory: &Path, place: &Where) -> Result<Checkpoint, Error> {
    let config_path = directory.join("config.json");
    if !config_path.is_file() {
        let expected = "the model's configuration beside its safetensors".into();
        return Err(Error::MissingFile { path: config_path, expected });
    }
    let map: Map<String, Value> = json::read(&config_path, "a model configuration")?;
    let fields = Fields::new(&config_path, &map);
    // Only OpenAI's own configuration says nothing about what it configures.
    let named = fields.get("model_type").is_some() || fields.get("architectures").is_some();
    if !named && fields.get("num_experts").is_none() {
        let found = "neither model_type nor the fields of original/config.json".into();
        return Err(Error::Architecture { path: config_path, found });
    }
    let layout = if named { Layout::HuggingFace } else { Layout::Original };
    let (config, weights, tensors) = if layout == Layout::HuggingFace {
        let configuration = hugging_face::configuration(&config_path, &fields)?;
        let mut tensors = read_safetensors(directory, place, layout)?;
        let weights = hugging_face::weights(&mut tensors, &configuration)?;
        (configuration.config, weights, tensors)
    } else {
        let config = original::configuration(&config_path, &fields)?;
        let mut tensors = read_safetensors(directory, place, layout)?;
        let weights = original::weights(&mut tensors, &config)?;
        (config, weights, tensors)
    };
    let above = layout == Layout::Original;
    let stop_ids = vocabulary::stop_ids(directory, above, (&config_path, &map), config.vocabulary_size)?;
    let Weights { embedding, unembedding, final_norm, layers } = weights;
    let Taken { files, tensors, scaled } = tensors.finish()?;
    let vocabulary = vocabulary::beside(directory, above);
    Ok(Checkpoint {
        layout,
        config,
        embedding,
        unembedding,
        final_norm,
        layers,
        tensors,
        files,
        stop_ids,
        vocabulary,
        scaled,
    })
}

/// A checkpoint of the Hugging Face layout that is in memory; `path` is only for messages.
pub(super) fn from_memory(path: &Path, config_json: &[u8], safetensors: Vec<u8>) -> Result<Checkpoint, Error> {
    let map: Map<String, Value> = json::parse(path, config_json, "a model configuration")?;
    let fields = Fields::new(path, &map);
    let configuration = hugging_face::configuration(path, &fields)?;
    let mut tensors = Tensors::new(path);
    add_bytes(&mut tensors, path, &Bytes::from_vec(safetensors))?;
    let Weights { embedding, unembedding, final_norm, layers } = hugging_face::weights(&mut tensors, &configuration)?;
    let config = configuration.config;
    let mut stop_ids = Vec::new();
    vocabulary::add_stop_ids(&mut stop_ids, &fields, config.vocabulary_size)?;
    let Taken { files, tensors, scaled } = tensors.finish()?;
    let (layout, vocabulary) = (Layout::HuggingFace, super::VocabularySource::None);
    Ok(Checkpoint {
        layout,
        config,
        embedding,
        unembedding,
        final_norm,
        layers,
        tensors,
        files,
        stop_ids,
        vocabulary,
        scaled,
    })
}

fn read_safetensors(directory: &Path, place: &Where, layout: Layout) -> Result<Tensors, Error> {
    match place {
        Where::Indexed(index) => read_indexed(directory, index),
        Where::Single(path) => {
            let mut tensors = Tensors::new(path);
            add_shard(&mut tensors, path)?;
            Ok(tensors)
        }
        // OpenAI's own loader reads every file of the directory; in Hugging Face's layout the index is part of the model.
        Where::Unindexed(paths) if layout == Layout::Original => {
            let mut tensors = Tensors::new(directory);
            paths.iter().try_for_each(|path| add_shard(&mut tensors, path).map(drop))?;
            Ok(tensors)
        }
        Where::Unindexed(paths) => {
            let expected = format!("the index of the {} safetensors files in this directory", paths.len());
            Err(Error::MissingFile { path: directory.join(INDEX), expected })
        }
    }
}

/// Adds a file's tensors and gives their names.
fn add_shard(tensors: &mut Tensors, path: &Path) -> Result<BTreeSet<String>, Error> {
    add_bytes(tensors, path, &map(path)?)
}

fn add_bytes(tensors: &mut Tensors, path: &Path, bytes: &Bytes) -> Result<BTreeSet<String>, Error> {
    let entries = safetensors::parse_header(path, bytes)?;
    let names = entries.iter().map(|entry| entry.name.clone()).collect();
    tensors.add_file(
        path,
        bytes,
        entries.into_iter().map(|entry| (entry.name, entry.encoding, entry.shape, entry.range)),
    )?;
    Ok(names)
}

#[derive(Deserialize)]
struct Index {
    weight_map: Pairs<String>,
}

fn read_indexed(directory: &Path, index_path: &Path) -> Result<Tensors, Error> {
    let Index { weight_map: Pairs(pairs) } = json::read(index_path, "a safetensors index with a weight_map")?;
    let mut shards: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (tensor, shard) in &pairs {
        if !names.insert(tensor.as_str()) {
            let (path, other) = (index_path.to_path_buf(), index_path.to_path_buf());
            return Err(Error::DuplicateTensor { path, tensor: printable(tensor), other });
        }
        if Path::new(shard).file_name().is_none_or(|name| name != shard.as_str()) {
            let field = format!("weight_map.{}", printable(tensor));
            let (expected, found) = ("a file name without directories".into(), printable(shard));
            return Err(Error::Field { path: index_path.to_path_buf(), field, expected, found });
        }
        shards.entry(shard).or_default().insert(tensor);
    }
    let mut tensors = Tensors::new(index_path);
    for (shard, promised) in &shards {
        let path = directory.join(shard);
        if !path.is_file() {
            let expected = format!("the shard with {} tensors that {} names", promised.len(), index_path.display());
            return Err(Error::MissingFile { path, expected });
        }
        let held = add_shard(&mut tensors, &path)?;
        if let Some(lost) = promised.iter().find(|name| !held.contains(**name)) {
            let expected = format!("it in this shard, as {} says", index_path.display());
            return Err(Error::MissingTensor { path, tensor: printable(lost), expected });
        }
    }
    Ok(tensors)
}

fn open_gguf(parts: &[PathBuf]) -> Result<Checkpoint, Error> {
    let first = &parts[0];
    let bytes = map(first)?;
    let header = gguf::parse_header(first, &bytes)?;
    let metadata = header.metadata;
    let mut tensors = Tensors::new(first);
    add_part(&mut tensors, first, &bytes, header.tensors)?;
    let declared = metadata.optional_count("split.count")?.unwrap_or(1).max(1);
    if declared != parts.len() {
        let expected = match numbered(first) {
            Some(name) => format!("{}, as the file name says", name.count),
            None => "1, or a file name ending in -00001-of-0000N.gguf".into(),
        };
        return Err(metadata.wrong("split.count", &expected, &declared.to_string()));
    }
    let mut total = tensors.names().count();
    check_part_number(&metadata, 0)?;
    for (number, path) in parts.iter().enumerate().skip(1) {
        let bytes = map(path)?;
        let gguf::Header { metadata, tensors: entries } = gguf::parse_header(path, &bytes)?;
        check_part_number(&metadata, number)?;
        let count = metadata.count("split.count")?;
        if count != parts.len() {
            return Err(metadata.wrong("split.count", &format!("{}, as in part 1", parts.len()), &count.to_string()));
        }
        total += entries.len();
        add_part(&mut tensors, path, &bytes, entries)?;
    }
    if let Some(declared) = metadata.optional_count("split.tensors.count")?
        && declared != total
    {
        return Err(metadata.wrong(
            "split.tensors.count",
            &format!("{total}, as in all parts together"),
            &declared.to_string(),
        ));
    }
    let embedding_rows = tensors.shape("token_embd.weight").and_then(|shape| shape.first().copied());
    let configuration = gguf_model::configuration(first, &bytes, &metadata, embedding_rows)?;
    let Weights { embedding, unembedding, final_norm, layers } = gguf_model::weights(&mut tensors, &configuration)?;
    let config = configuration.config;
    let stop_ids = vocabulary::gguf_stop_ids(&bytes, &metadata, config.vocabulary_size)?;
    let Taken { files, tensors, scaled } = tensors.finish()?;
    let (layout, vocabulary) = (Layout::Gguf, vocabulary::gguf_vocabulary(&bytes, &metadata)?);
    Ok(Checkpoint {
        layout,
        config,
        embedding,
        unembedding,
        final_norm,
        layers,
        tensors,
        files,
        stop_ids,
        vocabulary,
        scaled,
    })
}

fn check_part_number(metadata: &super::gguf_values::Metadata, number: usize) -> Result<(), Error> {
    match metadata.optional_count("split.no")? {
        None if number == 0 => Ok(()),
        Some(found) if found == number => Ok(()),
        other => {
            let found = other.map_or("no such key".into(), |found| found.to_string());
            Err(metadata.wrong("split.no", &format!("{number}, as the file name says (counted from 0)"), &found))
        }
    }
}

fn add_part(tensors: &mut Tensors, path: &Path, bytes: &Bytes, entries: Vec<gguf::Entry>) -> Result<(), Error> {
    tensors.add_file(
        path,
        bytes,
        entries.into_iter().map(|entry| (entry.name, entry.encoding, entry.shape, entry.range)),
    )
}
