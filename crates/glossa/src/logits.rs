//! `glossa logits`: token ids in, a safetensors file of logits out, written as it is computed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use model::{Checkpoint, Precision, Span, Wanted};
use serde_json::{Value, json};

use crate::arguments::LogitsArguments;
use crate::error::Error;
use crate::loading;

pub(crate) fn run(arguments: &LogitsArguments) -> Result<(), Error> {
    let device = loading::device(&arguments.compute)?;
    let ids = read_ids(&arguments.ids)?;
    let precision = if arguments.default_precision { Precision::Default } else { Precision::Exact };
    let mut model = model::load(Checkpoint::open(&arguments.model)?, device, precision)?;
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
    let mut out = Out::create(&arguments.out, rows, vocabulary_size)?;
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

/// A safetensors file with one tensor, written beside its place and renamed when complete.
struct Out<'a> {
    path: &'a Path,
    partial: std::path::PathBuf,
    file: BufWriter<File>,
}

impl<'a> Out<'a> {
    fn create(path: &'a Path, rows: usize, columns: usize) -> Result<Self, Error> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = path.with_file_name(name);
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let mut file = BufWriter::new(File::create(&partial).map_err(failed)?);
        let tensor = json!({"dtype": "F32", "shape": [rows, columns], "data_offsets": [0, rows * columns * 4]});
        let mut header = json!({ "logits": tensor }).to_string();
        // The tensor begins at a multiple of eight, as the format recommends.
        header.extend(std::iter::repeat_n(' ', (8 - header.len() % 8) % 8));
        let length = header.len() as u64;
        file.write_all(&length.to_le_bytes()).and_then(|()| file.write_all(header.as_bytes())).map_err(failed)?;
        Ok(Self { path, partial, file })
    }

    fn append(&mut self, values: &[f32]) -> Result<(), Error> {
        let write =
            |file: &mut BufWriter<File>| values.iter().try_for_each(|value| file.write_all(&value.to_le_bytes()));
        write(&mut self.file).map_err(|source| Error::Write { path: self.path.to_owned(), source })
    }

    fn finish(mut self) -> Result<(), Error> {
        let flushed = self.file.flush().and_then(|()| std::fs::rename(&self.partial, self.path));
        flushed.map_err(|source| Error::Write { path: self.path.to_owned(), source })
    }
}
