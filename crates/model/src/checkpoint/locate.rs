//! From the path that a user names to the files of a checkpoint. It must not know what is inside them.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use kernels::Bytes;

use crate::Error;

/// Name of the table that says which shard holds which tensor.
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// Most parts of a split GGUF file.
pub(super) const PARTS_MAX: usize = 4096;

/// The files of a checkpoint.
pub(super) enum Located {
    /// Safetensors with their configuration.
    Safetensors {
        /// Where config.json and its companions lie.
        directory: PathBuf,
        /// Where the tensors are.
        weights: Weights,
    },
    /// The parts of a GGUF checkpoint in order, at least one.
    Gguf(Vec<PathBuf>),
}

/// Where the tensors of a safetensors checkpoint are.
pub(super) enum Weights {
    /// In the shards that this index names.
    Indexed(PathBuf),
    /// In one file.
    Single(PathBuf),
    /// In several files that no index names.
    Unindexed(Vec<PathBuf>),
}

/// Finds the files.
///
/// # Errors
/// [`Error::Io`], [`Error::NotACheckpoint`] or [`Error::MissingFile`].
pub(super) fn locate(path: &Path) -> Result<Located, Error> {
    let metadata = fs::metadata(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    if metadata.is_dir() {
        return locate_in_directory(path);
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
    if extension == "gguf" || starts_as_gguf(path)? {
        return Ok(Located::Gguf(gguf_parts(path)?));
    }
    if extension != "safetensors" {
        let found = format!("a file of {} bytes of another kind", metadata.len());
        return Err(Error::NotACheckpoint { path: path.to_path_buf(), found });
    }
    let directory = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let index = directory.join(INDEX);
    // One shard stands for the whole set that it belongs to.
    let weights = if numbered(path).is_some() && index.is_file() {
        Weights::Indexed(index)
    } else {
        Weights::Single(path.into())
    };
    Ok(Located::Safetensors { directory, weights })
}

/// Maps a file read-only.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn map(path: &Path) -> Result<Bytes, Error> {
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(io)?;
    // An empty file cannot be mapped everywhere; as an empty header it is refused with its path.
    if file.metadata().map_err(io)?.len() == 0 {
        return Ok(Bytes::from_vec(Vec::new()));
    }
    Bytes::map(&file).map_err(io)
}

fn locate_in_directory(directory: &Path) -> Result<Located, Error> {
    let safetensors = |weights| Ok(Located::Safetensors { directory: directory.to_path_buf(), weights });
    let index = directory.join(INDEX);
    if index.is_file() {
        return safetensors(Weights::Indexed(index));
    }
    let single = directory.join("model.safetensors");
    if single.is_file() {
        return safetensors(Weights::Single(single));
    }
    let mut shards = files_with_extension(directory, "safetensors")?;
    match shards.len() {
        0 => {}
        1 if numbered(&shards[0]).is_none() => return safetensors(Weights::Single(shards.remove(0))),
        _ => return safetensors(Weights::Unindexed(shards)),
    }
    let original = directory.join("original");
    if original.is_dir() && !files_with_extension(&original, "safetensors")?.is_empty() {
        return locate_in_directory(&original);
    }
    let ggufs = files_with_extension(directory, "gguf")?;
    // One file, or the parts of one set: its first part stands for it.
    let beginnings: Vec<_> = ggufs.iter().filter(|path| numbered(path).is_none_or(|part| part.number == 1)).collect();
    match beginnings.as_slice() {
        [only] => return Ok(Located::Gguf(gguf_parts(only)?)),
        [] => {}
        [_, _, ..] => {
            let found = format!("a directory with {} GGUF models, so name one of the files", beginnings.len());
            return Err(Error::NotACheckpoint { path: directory.to_path_buf(), found });
        }
    }
    if directory.join("config.json").is_file() {
        let expected = format!("the weights that belong to config.json ({INDEX} and its shards, or this one file)");
        return Err(Error::MissingFile { path: single, expected });
    }
    let found = "a directory without safetensors or GGUF files".into();
    Err(Error::NotACheckpoint { path: directory.to_path_buf(), found })
}

fn files_with_extension(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, Error> {
    let io = |source| Error::Io { path: directory.to_path_buf(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension)) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn starts_as_gguf(path: &Path) -> Result<bool, Error> {
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let mut start = Vec::new();
    File::open(path).map_err(io)?.take(4).read_to_end(&mut start).map_err(io)?;
    Ok(start == b"GGUF")
}

/// `stem-NUMBER-of-COUNT.extension`, both of five digits.
pub(super) struct Numbered<'a> {
    stem: &'a str,
    pub(super) number: usize,
    pub(super) count: usize,
}

pub(super) fn numbered(path: &Path) -> Option<Numbered<'_>> {
    let (rest, count) = path.file_stem()?.to_str()?.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let digits = |text: &str| (text.len() == 5).then(|| text.parse().ok()).flatten();
    Some(Numbered { stem, number: digits(number)?, count: digits(count)? })
}

fn gguf_parts(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let Some(Numbered { stem, number, count }) = numbered(path) else { return Ok(vec![path.to_path_buf()]) };
    if count == 0 || count > PARTS_MAX || number == 0 || number > count {
        let found = format!("a part numbered {number} of {count} (1 to at most {PARTS_MAX} parts are read)");
        return Err(Error::NotACheckpoint { path: path.to_path_buf(), found });
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("gguf");
    let parts = (1..=count).map(|number| {
        let part = path.with_file_name(format!("{stem}-{number:05}-of-{count:05}.{extension}"));
        if part.is_file() {
            return Ok(part);
        }
        let expected = format!("part {number} of {count}, beside {}", path.display());
        Err(Error::MissingFile { path: part, expected })
    });
    parts.collect()
}
