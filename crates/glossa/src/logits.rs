//! `glossa logits`: token ids in, a safetensors file of logits out, written as it is computed.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use model::{Checkpoint, Span, Wanted};
use serde_json::{Value, json};

use crate::arguments::LogitsArguments;
use crate::error::Error;
use crate::loading;
use crate::packs;

pub(crate) fn run(arguments: &LogitsArguments) -> Result<(), Error> {
    let device = loading::device(&arguments.compute)?;
    let ids = read_ids(&arguments.ids)?;
    let precision = loading::precision(!arguments.default_precision, arguments.compute.dense_weights)?;
    let kv = loading::kv(precision, arguments.compute.kv_form);
    let mut model = packs::load(
        Checkpoint::open_without_scales(&arguments.model)?,
        device,
        (precision, kv),
        Some(&arguments.model),
    )?;
    // Refuse a prompt that cannot be finished before hours are spent on its beginning.
    if ids.is_empty() {
        return Err(model::Error::EmptySpan.into());
    }
    let (vocabulary_size, context_length) = (model.config().vocabulary_size, model.config().context_length);
    if ids.len() > context_length {
        return Err(model::Error::ContextExceeded { needed: ids.len(), context_length }.into());
    }
    if let Some(&id) = ids.iter().find(|&&id| id as usize >= vocabulary_size) {
        return Err(model::Error::TokenOutOfRange { id, vocabulary_size }.into());
    }
    let rows = if arguments.last { 1 } else { ids.len() };
    protect(arguments)?;
    let mut out = Out::create(&arguments.out, rows, vocabulary_size)?;
    let partial = out.partial.clone();
    // Without a handler an interrupt still ends the program, but leaves the unfinished file.
    let _ = ctrlc::set_handler(move || {
        if let Some(partial) = &partial {
            let _ = std::fs::remove_file(partial);
        }
        std::process::exit(i32::from(Error::Interrupted.exit_code()));
    });
    let sequence = model.open_sequence();
    let mut logits = Vec::new();
    let mut done = 0;
    for ids_part in ids.chunks(arguments.compute.chunk) {
        done += ids_part.len();
        let wanted = match arguments.last {
            false => Wanted::All,
            true if done == ids.len() => Wanted::Last,
            true => Wanted::None,
        };
        model.forward(&[Span { sequence, ids: ids_part, wanted }], &mut logits)?;
        out.append(&logits)?;
    }
    out.finish()
}

/// Refuses to write over what is read: the ids, or any file of the model.
fn protect(arguments: &LogitsArguments) -> Result<(), Error> {
    let Ok(out) = arguments.out.canonicalize() else { return Ok(()) };
    let ids = arguments.ids.canonicalize().ok();
    let model = arguments.model.canonicalize().ok();
    let folder = model.as_deref().map(|model| if model.is_dir() { model } else { model.parent().unwrap_or(model) });
    let is_model = out.is_file() && folder.is_some_and(|folder| out.starts_with(folder) && is_model_file(&out));
    if ids.as_ref() == Some(&out) || model.as_ref() == Some(&out) || is_model {
        return Err(Error::Overwrite { path: arguments.out.clone() });
    }
    Ok(())
}

/// Whether a file beside a model could be part of it: weights by their header, anything else by its ending.
fn is_model_file(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending {
        "safetensors" => {
            // Our own output has exactly one tensor, `logits`.
            let mut start = [0; 18];
            let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
            read.is_err() || &start[8..] != b"{\"logits\":"
        }
        "json" | "gguf" | "model" | "txt" => true,
        _ => false,
    }
}

fn read_ids(path: &Path) -> Result<Vec<u32>, Error> {
    let wrong = |found: String| Error::Input {
        path: path.to_owned(),
        expected: "a JSON array of token ids, or an object with the array \"ids\"",
        found,
    };
    let value: Value = serde_json::from_slice(&loading::read(path)?).map_err(|error| wrong(error.to_string()))?;
    let list = value.get("ids").unwrap_or(&value).as_array().ok_or_else(|| wrong("another JSON value".into()))?;
    let id =
        |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(|| wrong(value.to_string()));
    list.iter().map(id).collect()
}

/// A safetensors file with one tensor. A regular file is written aside and renamed when complete; anything else that the path
/// leads to (a pipe, a device) is written as it is.
struct Out {
    path: PathBuf,
    partial: Option<PathBuf>,
    file: BufWriter<File>,
}

impl Out {
    fn create(path: &Path, rows: usize, columns: usize) -> Result<Self, Error> {
        let failed = |source| Error::Write { path: path.to_owned(), source };
        // A link stays a link: what it leads to is replaced.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let partial = match target.metadata() {
            Ok(found) if found.is_dir() => return Err(failed(std::io::ErrorKind::IsADirectory.into())),
            Ok(found) if !found.is_file() => None,
            Ok(_) | Err(_) => {
                let mut name = target.file_name().unwrap_or_default().to_owned();
                name.push(".partial");
                Some(target.with_file_name(name))
            }
        };
        let file = File::create(partial.as_ref().unwrap_or(&target)).map_err(failed)?;
        let mut out = Self { path: target, partial, file: BufWriter::new(file) };
        let tensor = json!({"dtype": "F32", "shape": [rows, columns], "data_offsets": [0, rows * columns * 4]});
        let mut header = json!({ "logits": tensor }).to_string();
        // The tensor begins at a multiple of eight, as the format recommends.
        header.extend(std::iter::repeat_n(' ', (8 - header.len() % 8) % 8));
        let length = header.len() as u64;
        out.file
            .write_all(&length.to_le_bytes())
            .and_then(|()| out.file.write_all(header.as_bytes()))
            .map_err(failed)?;
        Ok(out)
    }

    fn append(&mut self, values: &[f32]) -> Result<(), Error> {
        let mut write = || values.iter().try_for_each(|value| self.file.write_all(&value.to_le_bytes()));
        write().map_err(|source| Error::Write { path: self.path.clone(), source })
    }

    fn finish(mut self) -> Result<(), Error> {
        let complete = |out: &mut Self| {
            out.file.flush()?;
            if let Some(partial) = &out.partial {
                std::fs::rename(partial, &out.path)?;
                out.partial = None;
            }
            Ok(())
        };
        complete(&mut self).map_err(|source| Error::Write { path: self.path.clone(), source })
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        if let Some(partial) = &self.partial {
            // An error is already on its way; a leftover that cannot be removed does no harm.
            let _ = std::fs::remove_file(partial);
        }
    }
}
