//! What can go wrong while a checkpoint is written.

use std::path::{Path, PathBuf};

/// The result of everything that writes.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a checkpoint could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused to create or write a file.
    #[error("{}: cannot write: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The numbers of a shape contradict each other.
    #[error("shape: {field} is {found}, expected {expected}")]
    Shape {
        /// The field of [`crate::Shape`].
        field: &'static str,
        /// Its value.
        found: String,
        /// What would be possible.
        expected: String,
    },
    /// The layout has no place for something in the shape.
    #[error("the {layout} layout cannot express {what}; write the Hugging Face layout instead")]
    Inexpressible {
        /// The layout's name.
        layout: &'static str,
        /// The setting that it has no key for.
        what: String,
    },
    /// More ranks were asked for than the vocabulary has.
    #[error("tokenizer: {asked} ranks asked for, but o200k_base has {known}")]
    Ranks {
        /// How many.
        asked: usize,
        /// How many there are.
        known: usize,
    },
}

impl Error {
    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write { path: path.to_path_buf(), source }
    }
}
