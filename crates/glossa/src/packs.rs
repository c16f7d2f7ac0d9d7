//! Files of packed weights beside a model: `glossa pack` writes one, and whoever loads the model finds it. It must not know
//! what is in them.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use kernels::{KvPrecision, PackReader, PackStore};
use model::{Checkpoint, Device, Model, Precision};

use crate::arguments::PackArguments;
use crate::console::say;
use crate::error::Error;
use crate::loading;
use crate::self_test;

/// `glossa pack`.
pub(crate) fn run(arguments: &PackArguments) -> Result<(), Error> {
    let precision = loading::precision(false, arguments.dense_weights)?;
    let path = arguments.out.clone().unwrap_or_else(|| beside(&arguments.model, precision));
    let mut out = stdout().lock();
    if arguments.check {
        PackReader::open(&path)?.check().map_err(|source| Error::Read { path: path.clone(), source })?;
        writeln!(out, "{}: whole", path.display())?;
        return Ok(out.flush()?);
    }
    let threads = loading::threads(arguments.threads)?;
    let started = Instant::now();
    let bytes = model::pack(Checkpoint::open(&arguments.model)?, threads, precision, &path)?;
    let gigabytes = bytes as f64 * 1e-9;
    writeln!(out, "{}: {gigabytes:.2} GB, packed in {:.1} s", path.display(), started.elapsed().as_secs_f64())?;
    if arguments.out.is_none() {
        out.flush()?;
        let started = Instant::now();
        self_test::write(&arguments.model, threads, precision)?;
        writeln!(out, "check for the start of a server: computed in {:.1} s", started.elapsed().as_secs_f64())?;
    }
    Ok(out.flush()?)
}

/// Loads a model, with the packed weights beside it if there are any. `place` is nothing for the model inside the program. Scales
/// are looked at where weights are taken that were not packed before; those that were, were looked at then.
pub(crate) fn load(
    checkpoint: Checkpoint,
    device: Device,
    (precision, kv): (Precision, KvPrecision),
    place: Option<&Path>,
) -> Result<Box<dyn Model>, Error> {
    let is_packed = precision != Precision::Exact && device != Device::Reference;
    let path = place.filter(|_| is_packed).map(|place| beside(place, precision));
    let (store, passed_over) = path.as_deref().map_or_else(Default::default, open);
    if matches!(store, PackStore::Memory) {
        checkpoint.check_scales()?;
    }
    let published = checkpoint.clone();
    let model = model::load_with_kv(checkpoint, device, precision, kv, store)?;
    if let Some(path) = path.filter(|_| passed_over.load(Ordering::Relaxed) > 0) {
        published.check_scales()?;
        say(&format!("{}: packed from another model, not used; run `glossa pack` again\n", path.display()));
    }
    Ok(model)
}

/// The packed weights of a file that is there and whole.
fn open(path: &Path) -> (PackStore, Arc<AtomicUsize>) {
    if !path.exists() {
        return Default::default();
    }
    match PackReader::open(path) {
        Ok(reader) => {
            let passed_over = reader.passed_over();
            (PackStore::Reader(reader), passed_over)
        }
        Err(error) => {
            say(&format!("{error}; not used\n"));
            Default::default()
        }
    }
}

/// Whether packed weights lie beside a model.
pub(crate) fn has_pack(model: &Path, precision: Precision) -> bool {
    beside(model, precision).exists()
}

/// Where the packed weights of a model lie.
pub(crate) fn beside(model: &Path, precision: Precision) -> PathBuf {
    let name = match precision {
        Precision::Exact | Precision::Default => "glossa-published.pack",
        Precision::DenseEight => "glossa-q8.pack",
    };
    beside_model(model, name)
}

/// Where a file of ours about a model lies: in its folder, or beside its file.
pub(crate) fn beside_model(model: &Path, name: &str) -> PathBuf {
    if model.is_dir() {
        return model.join(name);
    }
    let mut path = model.as_os_str().to_owned();
    path.push(".");
    path.push(name);
    PathBuf::from(path)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model::Precision;

    use super::beside;

    #[test]
    fn a_file_has_its_pack_beside_it_and_a_folder_within() {
        assert_eq!(beside(Path::new("/m/a.gguf"), Precision::DenseEight), Path::new("/m/a.gguf.glossa-q8.pack"));
        let folder = std::env::temp_dir();
        assert_eq!(beside(&folder, Precision::Default), folder.join("glossa-published.pack"));
    }
}
