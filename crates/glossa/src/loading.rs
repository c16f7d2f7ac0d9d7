//! Opens what a command names: models, their vocabularies, devices. It must not know what they are used for.

use std::path::Path;

use harmony::{GgufTokenizer, Vocabulary};
use kernels::IsaKind;
use model::{Checkpoint, Device, VocabularySource};

use crate::arguments::{ComputeArguments, VocabularyArguments};
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
    let threads = match arguments.threads {
        None => std::thread::available_parallelism().map_or(1, usize::from),
        Some(threads @ 1..=1024) => threads,
        Some(threads) => {
            return Err(Error::Option { name: "threads", found: threads.to_string(), expected: "1 to 1024".into() });
        }
    };
    if arguments.chunk == 0 {
        return Err(Error::Option { name: "chunk", found: "0".into(), expected: "at least 1".into() });
    }
    let isa = match arguments.isa.as_str() {
        "auto" => IsaKind::best(),
        "reference" => return Ok(Device::Reference),
        name => IsaKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| Error::Option {
            name: "isa",
            found: name.into(),
            expected: "auto, scalar, avx2, avx512 or reference".into(),
        })?,
    };
    if !isa.is_available() {
        let available: Vec<_> = IsaKind::available().into_iter().map(IsaKind::name).collect();
        let available = available.join(", ");
        return Err(model::Error::IsaUnavailable { isa: isa.name(), available }.into());
    }
    Ok(Device::Cpu { isa, threads })
}

/// A whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}
