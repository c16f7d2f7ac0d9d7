//! Keeps records; it must not know what they mean.

/// Where records are kept.
#[derive(Clone, Debug)]
pub struct Store;

/// What went wrong.
#[derive(Debug)]
pub struct Error;

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the store failed")
    }
}
