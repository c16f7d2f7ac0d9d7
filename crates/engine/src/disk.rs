//! The disk tier of the prefix cache: opaque records by key, kept within a number of bytes, over restarts. It must not know
//! what the bytes mean, how a model computes them, or when it pays to keep them.
//!
//! The one promise is that a read never gives wrong bytes: it gives what was written under this key, or nothing. It does not
//! rest on any lock, clock or order of writes, only on each record naming its key and carrying a SHA-256 over all of itself.
//! SHA-256 and not a CRC because it is fast enough (about 2 GB/s with the processor's SHA instructions, more than the disks
//! behind it) and leaves no error pattern to argue about.
//!
//! The folder, which may be shared by processes and by versions of a model:
//!
//! | path | what |
//! |---|---|
//! | `lock` | whoever holds its lock evicts and cleans up, for the whole folder; the file is empty and stays |
//! | `version-<hash>/version` | the version in words, for people |
//! | `version-<hash>/<first byte of key>/<key>-<kind>.record` | a record |
//! | `version-<hash>/<first byte of key>/<process>-<number>.partial` | a write under way, locked by its writer until it is renamed |
//!
//! Files with other names are never counted and never touched. A second process on the folder reads and writes like the
//! first; it refuses new records once the folder is a sixteenth above the cap, and takes over when the holder has ended.

mod folder;
mod index;
mod key;
mod reader;
mod record;
mod store;
mod writer;

use std::path::PathBuf;

pub use key::Key;
pub(crate) use reader::DiskReader;
pub use store::{DiskStats, DiskStore};
pub use writer::DiskWriter;

/// Where records are kept and how much room they may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskLimits {
    /// The folder; it is made when it is not there, readable by its owner alone.
    pub folder: PathBuf,
    /// Bytes of all records in the folder together, those of other versions included; 0 keeps nothing. Sizes of files count,
    /// not the blocks that they occupy.
    pub bytes_max: u64,
}
