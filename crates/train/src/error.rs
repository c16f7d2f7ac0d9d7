//! What can go wrong in training, with what, where and what to do.

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model's shape cannot be trained.
    #[error("{what} is {found}; the trainer needs {needed}")]
    Shape {
        /// Which number.
        what: &'static str,
        /// Its value.
        found: usize,
        /// What it must be.
        needed: &'static str,
    },
    /// A sample that does not fit the model.
    #[error("sample {index}: {problem}")]
    Sample {
        /// Its place in the batch.
        index: usize,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The processor or the system refused.
    #[error(transparent)]
    Kernels(#[from] kernels::Error),
}
