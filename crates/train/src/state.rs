//! The checkpoints of a run: everything that the next step depends on, in files that are whole or recognised as torn.
//! It must not know how a step is computed.
//!
//! A file is, little-endian: the magic bytes, u32 version, u32 zero, u64 step, u64 cursor, u64 hash of the layout, u64 hash of
//! the recipe, u64 number of parameters, then parameters, first and second moments as f32, then the u64 hash of all that.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::durable::{create_folder, replace_file};
use crate::error::Error;
use crate::parameters::Layout;

const MAGIC: [u8; 8] = *b"GLOSSRUN";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 56;
const CHECKSUM_BYTES: usize = 8;
/// Vectors of the layout in a file.
const VECTORS: usize = 3;
/// Values that are turned into bytes at a time.
const PIECE_VALUES: usize = 1 << 14;

/// Where a run stands.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Steps done.
    pub step: u64,
    /// Samples drawn from the data, those left out included.
    pub cursor: u64,
    /// What is trained, in the order of the layout.
    pub parameters: Vec<f32>,
    /// Running means of the gradients.
    pub first_moments: Vec<f32>,
    /// Running means of the gradients' squares.
    pub second_moments: Vec<f32>,
}

/// What a checkpoint belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Of the tensors and their order.
    pub layout: u64,
    /// Of everything that decides the course of training.
    pub recipe: u64,
}

/// A checkpoint that was read.
#[derive(Debug)]
pub struct Loaded {
    /// What it holds.
    pub state: State,
    /// Where it lies.
    pub path: PathBuf,
    /// Newer files that are torn and were passed over.
    pub damaged: Vec<PathBuf>,
}

impl State {
    /// The state of a run that has not begun: all zero.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        let zeros = || vec![0.0; layout.length()];
        Self { step: 0, cursor: 0, parameters: zeros(), first_moments: zeros(), second_moments: zeros() }
    }
}

impl Identity {
    /// Of a layout and the hash of a recipe.
    #[must_use]
    pub fn new(layout: &Layout, recipe: u64) -> Self {
        let mut digest = Digest::new();
        for tensor in layout.tensors() {
            digest.bytes(tensor.name.as_bytes());
            tensor.shape.iter().for_each(|&length| digest.bytes(&(length as u64).to_le_bytes()));
        }
        Self { layout: digest.value(), recipe }
    }
}

/// Bytes of a checkpoint of that many parameters.
#[must_use]
pub fn file_bytes(parameters: usize) -> u64 {
    (HEADER_BYTES + CHECKSUM_BYTES) as u64 + VECTORS as u64 * 4 * parameters as u64
}

/// Writes a checkpoint into the folder, then deletes all but the newest `keep` of those up to this step.
///
/// # Errors
/// [`Error::Write`]; what was there before is still there.
///
/// # Panics
/// When the vectors differ in length or `keep` is 0: our bugs.
pub fn save(folder: &Path, state: &State, identity: Identity, keep: usize) -> Result<PathBuf, Error> {
    assert!(keep > 0, "the one that is written is kept");
    let length = state.parameters.len();
    assert!(state.first_moments.len() == length && state.second_moments.len() == length, "vectors of one layout");
    create_folder(folder)?;
    let path = folder.join(format!("step-{:010}.state", state.step));
    replace_file(&path, |out| write(out, state, identity))?;
    let past = files(folder)?.into_iter().filter(|(step, _)| *step <= state.step);
    for (_, path) in past.rev().skip(keep) {
        fs::remove_file(&path).map_err(|source| Error::Write { path, source })?;
    }
    Ok(path)
}

/// Reads the newest whole checkpoint of the folder; nothing if the folder has none at all.
///
/// # Errors
/// [`Error::OtherRun`] when the newest whole one belongs to another shape or recipe, [`Error::Damaged`] when there are files
/// but none is whole, [`Error::Read`].
pub fn load_latest(folder: &Path, identity: Identity) -> Result<Option<Loaded>, Error> {
    let mut damaged = Vec::new();
    for (_, path) in files(folder)?.into_iter().rev() {
        let bytes = fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let Some((state, found)) = parse(&bytes) else {
            damaged.push(path);
            continue;
        };
        let differs = match (found.layout == identity.layout, found.recipe == identity.recipe) {
            (true, true) => return Ok(Some(Loaded { state, path, damaged })),
            (false, _) => "another shape of model",
            (true, false) => "another recipe",
        };
        return Err(Error::OtherRun { path, differs });
    }
    if damaged.is_empty() { Ok(None) } else { Err(Error::Damaged { folder: folder.to_owned(), files: damaged.len() }) }
}

/// Whether the folder holds a checkpoint, whole or not.
///
/// # Errors
/// [`Error::Read`].
pub fn has_any(folder: &Path) -> Result<bool, Error> {
    Ok(!files(folder)?.is_empty())
}

fn write(out: &mut dyn Write, state: &State, identity: Identity) -> io::Result<()> {
    let mut digest = Digest::new();
    let mut header = MAGIC.to_vec();
    header.extend(VERSION.to_le_bytes());
    header.extend([0; 4]);
    let length = state.parameters.len() as u64;
    for number in [state.step, state.cursor, identity.layout, identity.recipe, length] {
        header.extend(number.to_le_bytes());
    }
    digest.words(&header);
    out.write_all(&header)?;
    let mut bytes = Vec::with_capacity(PIECE_VALUES * 4);
    for values in [&state.parameters, &state.first_moments, &state.second_moments] {
        for piece in values.chunks(PIECE_VALUES) {
            bytes.clear();
            bytes.extend(piece.iter().flat_map(|value| value.to_le_bytes()));
            digest.words(&bytes);
            out.write_all(&bytes)?;
        }
    }
    out.write_all(&digest.value().to_le_bytes())
}

/// Nothing when the bytes are not a whole checkpoint of this version.
fn parse(bytes: &[u8]) -> Option<(State, Identity)> {
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    let (header, values) = content.split_first_chunk::<HEADER_BYTES>()?;
    let mut digest = Digest::new();
    digest.words(content);
    let (start, numbers) = header.split_at(16);
    let known = start[..8] == MAGIC && start[8..12] == VERSION.to_le_bytes();
    let mut numbers = numbers.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number));
    let [step, cursor, layout, recipe, length] = std::array::from_fn(|_| numbers.next().unwrap_or_default());
    let whole =
        known && u64::from_le_bytes(*checksum) == digest.value() && bytes.len() as u64 == file_bytes(length as usize);
    if !whole {
        return None;
    }
    let values = values.as_chunks::<4>().0;
    let vector = |index: usize| -> Vec<f32> {
        let length = length as usize;
        values[index * length..(index + 1) * length].iter().map(|value| f32::from_le_bytes(*value)).collect()
    };
    let state = State { step, cursor, parameters: vector(0), first_moments: vector(1), second_moments: vector(2) };
    Some((state, Identity { layout, recipe }))
}

/// The checkpoints of a folder by step, the oldest first; none when there is no such folder.
fn files(folder: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let read = |source| Error::Read { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(read)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(read)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let step = name.strip_prefix("step-").and_then(|rest| rest.strip_suffix(".state"));
        if let Some(step) = step.and_then(|digits| digits.parse().ok()) {
            found.push((step, path));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests;
