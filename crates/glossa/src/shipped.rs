//! The tiny model inside the program, and which model a command means. It must not know what models are used for.

use std::path::{Path, PathBuf};

use harmony::Vocabulary;
use model::Checkpoint;

use crate::error::Error;
use crate::loading;

/// How messages name the model inside the program.
const NAME: &str = "the built-in tiny model";
const CONFIG: &[u8] = include_bytes!("../../../models/glossa-tiny/config.json");
/// The weights of the model inside the program, as its file has them.
pub(crate) const WEIGHTS: &[u8] = include_bytes!("../../../models/glossa-tiny/model.safetensors");
const TOKENIZER: &[u8] = include_bytes!("../../../models/glossa-tiny/tokenizer.json");

/// A model to be opened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Named {
    /// The one inside the program.
    Shipped,
    /// A directory or file.
    Path(PathBuf),
}

impl Named {
    /// Tells the model from the prompt: the first word is a model if it is there as a file or directory, or looks like a path.
    pub(crate) fn split<'a>(model: Option<&Path>, words: &'a [String]) -> (Self, &'a [String]) {
        if let Some(path) = model {
            return (Self::Path(path.to_owned()), words);
        }
        match words.split_first() {
            Some((first, rest)) if is_path(first) => (Self::Path(first.into()), rest),
            Some(_) | None => (Self::Shipped, words),
        }
    }

    /// The temperature when none is asked for: 1, as OpenAI recommends for gpt-oss. A model of four million parameters is less
    /// sure of the right digit, and a guess in the middle of a sum spoils the rest.
    pub(crate) fn temperature(&self) -> f32 {
        match self {
            Self::Shipped => 0.3,
            Self::Path(_) => 1.0,
        }
    }

    /// Where the model lies; nothing for the one inside the program.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Shipped => None,
            Self::Path(path) => Some(path),
        }
    }

    /// Opens the model and its vocabulary; whether its scales are numbers is asked when it is loaded.
    pub(crate) fn open(&self) -> Result<(Checkpoint, Vocabulary), Error> {
        match self {
            Self::Path(path) => {
                let checkpoint = Checkpoint::open_without_scales(path)?;
                let vocabulary = loading::vocabulary(path, &checkpoint)?;
                Ok((checkpoint, vocabulary))
            }
            Self::Shipped => {
                let path = Path::new(NAME);
                let checkpoint = Checkpoint::from_memory(path, CONFIG, WEIGHTS.to_vec())?;
                let vocabulary = Vocabulary::from_tokenizer_json(TOKENIZER)
                    .map_err(|source| Error::Vocabulary { path: path.to_owned(), source })?;
                Ok((checkpoint, vocabulary))
            }
        }
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shipped => formatter.write_str(NAME),
            Self::Path(path) => write!(formatter, "{}", path.display()),
        }
    }
}

/// Prose has blanks, and no file carries its name; what has a slash or a model's ending is meant as a path even if it is not
/// there, so that a slip gives an error and not an answer of another model.
fn is_path(word: &str) -> bool {
    let ending = Path::new(word).extension().is_some_and(|ending| {
        let ending = ending.to_ascii_lowercase();
        ending == "gguf" || ending == "safetensors"
    });
    let slash = word.contains(std::path::MAIN_SEPARATOR) && !word.contains(char::is_whitespace);
    word != "-" && (Path::new(word).exists() || ending || slash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_told_from_a_prompt() {
        let split = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            let (named, rest) = Named::split(None, &words);
            (named, rest.to_vec())
        };
        let path = |path: &str| Named::Path(path.into());
        assert_eq!(split(&["What is 1/2 + 1/2?"]), (Named::Shipped, vec!["What is 1/2 + 1/2?".to_owned()]));
        assert_eq!(split(&["Hello"]), (Named::Shipped, vec!["Hello".to_owned()]));
        assert_eq!(split(&["-"]), (Named::Shipped, vec!["-".to_owned()]));
        assert_eq!(split(&[]), (Named::Shipped, Vec::new()));
        assert_eq!(split(&["src", "Hello"]), (path("src"), vec!["Hello".to_owned()]));
        assert_eq!(split(&["no/such/model", "Hello"]), (path("no/such/model"), vec!["Hello".to_owned()]));
        assert_eq!(split(&["lost.GGUF"]), (path("lost.GGUF"), Vec::new()));
        let words = ["src".to_owned()];
        assert_eq!(Named::split(Some(Path::new("m")), &words), (path("m"), &words[..]));
    }

    #[test]
    fn the_shipped_model_opens() {
        let (checkpoint, vocabulary) = Named::Shipped.open().unwrap();
        assert_eq!(vocabulary.size(), checkpoint.config.vocabulary_size);
        let known = vocabulary.stop_ids().unwrap();
        assert!(!checkpoint.stop_ids.is_empty() && checkpoint.stop_ids.iter().all(|id| known.contains(id)));
        assert!(WEIGHTS.len() <= 8 << 20, "at most 8 MB");
    }
}
