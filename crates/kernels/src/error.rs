//! What can go wrong when a backend is made: one enum for the crate, each variant with the values a person needs to act on it.
//! It must not know how an error is shown. Wrong shapes are our own bugs and panic instead.

/// Everything that this crate refuses. `Display` is one line: what, expected, found, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An instruction set that this processor lacks.
    #[error("instruction set {isa}: this processor has only {available}; choose one of these")]
    IsaUnavailable {
        /// What was asked for.
        isa: &'static str,
        /// What there is, separated by commas.
        available: String,
    },

    /// A file of packed weights that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Pack {
        /// Which file.
        path: std::path::PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },

    /// The system would not start all threads of a pool.
    #[error("threads: expected {threads}, found that only {started} can run: {source}; ask for fewer threads")]
    Threads {
        /// How many were asked for, the caller's included.
        threads: usize,
        /// How many could run, the caller's included.
        started: usize,
        /// What the system said.
        source: std::io::Error,
    },
}
