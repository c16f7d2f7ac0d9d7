//! Why a chore failed.

use std::path::{Path, PathBuf};

pub(crate) type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Usage(String),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("cannot start `{command}`: {source}")]
    Start { command: String, source: std::io::Error },
    #[error("{what} is missing, and {purpose} needs it")]
    Missing { what: &'static str, purpose: &'static str },
    #[error("`{command}` failed ({status})")]
    Failed { command: String, status: String },
    #[error("`{command}` printed what could not be read: {reason}")]
    Output { command: String, reason: String },
    #[error("{step} failed: {source}")]
    Step { step: &'static str, source: Box<Error> },
    #[error("{0} house rule(s) broken")]
    Untidy(usize),
    #[error("{0} gate(s) of the model failed")]
    Gates(usize),
    #[error("{}: no tokenizer.json beside the model; give a folder as the trainer writes it", .0.display())]
    NoTokenizer(PathBuf),
    #[error(transparent)]
    Synth(#[from] synth::Error),
    #[error(transparent)]
    Harmony(#[from] harmony::Error),
    #[error(transparent)]
    Model(#[from] model::Error),
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

impl Error {
    pub(crate) fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.to_path_buf(), source }
    }
}
