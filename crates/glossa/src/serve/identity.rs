//! What a model is, to the letter of its weights, for what outlives the process. It must not know what is kept under that name.
//!
//! Hashing gigabytes takes seconds to minutes, so the hash is kept beside the model with the files' sizes and times, and taken again when
//! one of them is another.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use kernels::KvPrecision;
use model::{Checkpoint, Device, Precision};
use ring::digest::{Context, Digest, SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::console::say;
use crate::error::Error;
use crate::{loading, packs, shipped};

/// The file that keeps a hash.
const NOTED: &str = "glossa-identity.json";
/// Bytes read at a time.
const PIECE_BYTES: usize = 4 << 20;

/// A hash and what it was taken of.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Noted {
    files: Vec<Stamp>,
    sha256: String,
}

/// What a file looks like from outside.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
struct Stamp {
    name: String,
    bytes: u64,
    modified_ns: u64,
}

/// Names a model by its weights, its shape, and the way in which keys and values come about: other kernels round differently.
pub(super) fn of(
    place: Option<&Path>,
    checkpoint: &Checkpoint,
    device: Device,
    (precision, kv): (Precision, KvPrecision),
) -> Result<String, Error> {
    let isa = loading::isa_name(device);
    let weights = match place {
        Some(place) => weights(place, checkpoint)?,
        None => format!("built-in {}", spelled(digest(&SHA256, shipped::WEIGHTS))),
    };
    Ok(format!("{weights} {:?} {precision:?} {kv:?} {isa}", checkpoint.config))
}

fn weights(place: &Path, checkpoint: &Checkpoint) -> Result<String, Error> {
    let files: Vec<PathBuf> = checkpoint.files.iter().map(|file| file.path.clone()).collect();
    let stamps: Vec<Stamp> = files.iter().map(|path| stamp(path)).collect::<Result<_, _>>()?;
    let beside = packs::beside_model(place, NOTED);
    let noted = std::fs::read(&beside).ok().and_then(|bytes| serde_json::from_slice::<Noted>(&bytes).ok());
    if let Some(noted) = noted.filter(|noted| noted.files == stamps) {
        return Ok(noted.sha256);
    }
    say("hashing the weights, once …\n");
    let mut context = Context::new(&SHA256);
    for path in &files {
        hash(path, &mut context).map_err(|source| Error::Read { path: path.clone(), source })?;
    }
    let noted = Noted { files: stamps, sha256: spelled(context.finish()) };
    let text = serde_json::to_vec(&noted).map_err(std::io::Error::other);
    if let Err(error) = text.and_then(|text| std::fs::write(&beside, text)) {
        tracing::warn!(path = %beside.display(), %error, "the hash of the weights cannot be kept; the next start takes it again");
    }
    Ok(noted.sha256)
}

fn spelled(digest: Digest) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn stamp(path: &Path) -> Result<Stamp, Error> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    let since = metadata.modified().map_err(unreadable)?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Stamp { name, bytes: metadata.len(), modified_ns: since.as_nanos() as u64 })
}

fn hash(path: &Path, context: &mut Context) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(()),
            count => context.update(&piece[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use synth::{Layout, Shape};

    use model::Checkpoint;

    use super::{NOTED, weights};
    use crate::packs::beside_model;

    #[test]
    fn a_hash_is_kept_until_a_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("model");
        synth::Writer::new(Shape::tiny()).layout(Layout::HuggingFace { shards: 1 }).write(&place).unwrap();
        let noted = beside_model(&place, NOTED);
        let open = || Checkpoint::open(&place).unwrap();
        let first = weights(&place, &open()).unwrap();
        assert_eq!(first.len(), 64);
        // Only what was kept can say this.
        let kept = std::fs::read_to_string(&noted).unwrap();
        std::fs::write(&noted, kept.replace(&first, "kept")).unwrap();
        assert_eq!(weights(&place, &open()).unwrap(), "kept");
        std::fs::write(&noted, "{").unwrap();
        assert_eq!(weights(&place, &open()).unwrap(), first);
        let file = open().files[0].path.clone();
        let mut bytes = std::fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let time = std::time::SystemTime::now() + std::time::Duration::from_secs(7);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        assert_ne!(weights(&place, &open()).unwrap(), first);
    }
}
