//! What the engine refuses, each with the values a person needs. It must not know how an error is shown.

use crate::constraint::ConstraintError;

/// Everything that this crate refuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model refused or failed.
    #[error(transparent)]
    Model(#[from] model::Error),

    /// A sampling setting outside its range.
    #[error("{name} is {found}: expected a number {expected}")]
    SettingOutOfRange {
        /// The setting.
        name: &'static str,
        /// Its value.
        found: f32,
        /// The range in words.
        expected: &'static str,
    },

    /// More biased tokens than allowed.
    #[error("logit_bias has {found} entries: expected at most {most}")]
    TooManyBiases {
        /// Entries given.
        found: usize,
        /// Entries allowed.
        most: usize,
    },

    /// A biased token that does not exist.
    #[error("logit_bias names token {id}: expected an id below {vocabulary_size}")]
    BiasOutsideVocabulary {
        /// The id.
        id: u32,
        /// Size of the vocabulary.
        vocabulary_size: usize,
    },

    /// A prompt that leaves no room for an answer.
    #[error(
        "the prompt has {prompt} tokens: expected fewer than the context of {context_tokens}; shorten it or raise the context"
    )]
    PromptTooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens of the context.
        context_tokens: usize,
    },

    /// A prompt without tokens.
    #[error("the prompt is empty: expected at least one token; give a text")]
    PromptEmpty,

    /// A prompt whose keys and values alone are more than all jobs together may hold.
    #[error(
        "the prompt of {prompt} tokens needs {bytes} bytes of keys and values: expected at most {most}; shorten it or raise the memory for keys and values"
    )]
    PromptExceedsMemory {
        /// Tokens of the prompt.
        prompt: usize,
        /// Bytes that they need.
        bytes: usize,
        /// Bytes that there are.
        most: usize,
    },

    /// The engine finishes what it has and takes nothing new.
    #[error(
        "the engine is being shut down and takes no new jobs; send this one to another, or again after the restart"
    )]
    Draining,

    /// Too many jobs wait already.
    #[error("{queued} jobs wait already: expected fewer than {most}; try again later or raise the length of the queue")]
    QueueFull {
        /// Jobs that wait.
        queued: usize,
        /// Places in the queue.
        most: usize,
    },

    /// The model failed in a step of several jobs; the first of them was told why.
    #[error("the model failed in a step that computed several jobs, this one among them; submit it again")]
    StepFailed,

    /// The job's constraint could not say what may come next, or refused what was forced.
    #[error("the output cannot be held to its form: {reason}")]
    Constraint {
        /// What the constraint says.
        reason: String,
    },

    /// A list of a reasoning shape that is empty or too long.
    #[error("the guards' list {list} has {found} tokens: expected from 1 to {most}")]
    GuardTokens {
        /// The list.
        list: &'static str,
        /// Its tokens.
        found: usize,
        /// Tokens allowed.
        most: usize,
    },

    /// A token of a reasoning shape that does not exist.
    #[error("the guards' list {list} names token {id}: expected an id below {vocabulary_size}")]
    GuardTokenOutsideVocabulary {
        /// The list.
        list: &'static str,
        /// The id.
        id: u32,
        /// Size of the vocabulary.
        vocabulary_size: usize,
    },

    /// A limit outside its range.
    #[error("{name} is {found}: expected a number from {least} to {most}")]
    LimitOutOfRange {
        /// The limit.
        name: &'static str,
        /// Its value.
        found: usize,
        /// Least value allowed.
        least: usize,
        /// Greatest value allowed.
        most: usize,
    },

    /// The system gave no thread for the steps.
    #[error("the engine's thread cannot start: {source}; end other programs or raise the limit of threads and memory")]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },

    /// The folder of the disk cache cannot be used.
    #[error("the disk cache cannot use {path}: {source}; choose another folder or change its permissions")]
    DiskFolder {
        /// The folder or the file inside it.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// The step thread is gone, which only a bug of ours can cause.
    #[error("the engine has stopped; restart the program and report this")]
    Stopped,
}

impl From<ConstraintError> for Error {
    fn from(error: ConstraintError) -> Self {
        Self::Constraint { reason: error.reason }
    }
}
