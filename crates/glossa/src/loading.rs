//! Opens what a command names: models, their vocabularies, devices. It must not know what they are used for.

use std::path::Path;

use harmony::{GgufTokenizer, Vocabulary};
use kernels::{Bytes, IsaKind, KvPrecision};
use model::{Checkpoint, Device, Precision, VocabularySource};

use crate::arguments::{ComputeArguments, DenseWeights, KvForm, VocabularyArguments};
use crate::error::Error;

/// The vocabulary of a checkpoint: its own, or o200k_harmony where it fits.
pub(crate) fn vocabulary(path: &Path, checkpoint: &Checkpoint) -> Result<Vocabulary, Error> {
    let vocabulary_size = checkpoint.config.vocabulary_size;
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Vocabulary { path, source }
    };
    let vocabulary = match &checkpoint.vocabulary {
        VocabularySource::TokenizerJson(file) => {
            Vocabulary::from_tokenizer_json(&read(file)?).map_err(unusable(file))?
        }
        VocabularySource::Gguf(stored) => {
            let types: Vec<i32> = stored.types.iter().map(|&kind| i32::try_from(kind).unwrap_or(1)).collect();
            let parts = GgufTokenizer {
                model: &stored.model,
                pre: stored.pre.as_deref().unwrap_or("gpt-4o"),
                tokens: &stored.tokens,
                token_types: &if types.is_empty() { vec![1; stored.tokens.len()] } else { types },
                merges: &stored.merges,
            };
            Vocabulary::from_gguf(&parts).map_err(unusable(path))?
        }
        VocabularySource::None => {
            let known = Vocabulary::o200k_harmony();
            if known.size() != vocabulary_size {
                return Err(Error::NoVocabulary { path: path.to_owned(), vocabulary_size, known: known.size() });
            }
            known
        }
    };
    if vocabulary.size() > vocabulary_size {
        return Err(Error::VocabularyTooLarge { path: path.to_owned(), found: vocabulary.size(), vocabulary_size });
    }
    Ok(vocabulary)
}

/// The vocabulary that a text command names: a tokenizer.json, a model's, or o200k_harmony.
pub(crate) fn named_vocabulary(arguments: &VocabularyArguments) -> Result<Vocabulary, Error> {
    match &arguments.model {
        None => Ok(Vocabulary::o200k_harmony()),
        Some(path) if path.extension().is_some_and(|extension| extension == "json") => {
            Vocabulary::from_tokenizer_json(&read(path)?)
                .map_err(|source| Error::Vocabulary { path: path.clone(), source })
        }
        Some(path) => vocabulary(path, &Checkpoint::open(path)?),
    }
}

/// Where to compute, from `--isa` and `--threads`.
pub(crate) fn device(arguments: &ComputeArguments) -> Result<Device, Error> {
    let threads = threads(arguments.threads)?;
    if arguments.chunk == 0 {
        return Err(Error::Option { name: "chunk", found: "0".into(), expected: "at least 1".into() });
    }
    if arguments.isa == "reference" {
        return Ok(Device::Reference);
    }
    let isa = isa(&arguments.isa, "auto, scalar, avx2, avx512, avx512vnni, avx512bf16 or reference")?;
    Ok(Device::Cpu { isa, threads })
}

/// What computes, as `--isa` spells it.
pub(crate) fn isa_name(device: Device) -> &'static str {
    match device {
        Device::Reference => "reference",
        Device::Cpu { isa, .. } => isa.name(),
    }
}

/// How exactly to compute, from `--exact` and `--dense-weights`.
pub(crate) fn precision(exact: bool, dense_weights: DenseWeights) -> Result<Precision, Error> {
    match (exact, dense_weights) {
        (true, DenseWeights::Published) => Ok(Precision::Exact),
        (true, DenseWeights::Q8) => Err(Error::Option {
            name: "dense-weights",
            found: "q8 with exact precision".into(),
            expected: "published, or without exact precision".into(),
        }),
        (false, DenseWeights::Published) => Ok(Precision::Default),
        (false, DenseWeights::Q8) => Ok(Precision::DenseEight),
    }
}

/// In which precision keys and values are kept, from `--kv`.
pub(crate) fn kv(precision: Precision, kv: KvForm) -> KvPrecision {
    match kv {
        KvForm::Default => precision.kv(),
        KvForm::Q8 => KvPrecision::Q8,
    }
}

/// How many threads, from `--threads`.
pub(crate) fn threads(asked: Option<usize>) -> Result<usize, Error> {
    match asked {
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        Some(threads @ 1..=1024) => Ok(threads),
        Some(threads) => {
            Err(Error::Option { name: "threads", found: threads.to_string(), expected: "1 to 1024".into() })
        }
    }
}

/// An instruction set that this processor has, from `--isa`.
pub(crate) fn isa(name: &str, expected: &str) -> Result<IsaKind, Error> {
    if name == "auto" {
        return Ok(IsaKind::best());
    }
    let named = IsaKind::ALL.into_iter().find(|kind| kind.name() == name);
    let wrong = || Error::Option { name: "isa", found: name.into(), expected: expected.into() };
    let isa = named.ok_or_else(wrong)?;
    if isa.is_available() {
        return Ok(isa);
    }
    let available: Vec<_> = IsaKind::available().into_iter().map(IsaKind::name).collect();
    Err(kernels::Error::IsaUnavailable { isa: isa.name(), available: available.join(", ") }.into())
}

/// Reads weights that are looked up row by row in the background: nothing need wait for the disk later, and what was planned is
/// held from the beginning.
pub(crate) fn read_in_background(weights: Bytes) {
    let reader = std::thread::Builder::new().name("embedding".into());
    // Without a thread they are read when they are needed.
    let _ = reader.spawn(move || weights.read_in());
}

/// A whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}
