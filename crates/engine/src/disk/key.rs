//! Names of token prefixes. It must not know where records lie.

use sha2::{Digest, Sha256};

/// Both have the same length, and neither is a prefix of the other: no input of one kind can be read as the other kind.
const ROOT_DOMAIN: &[u8; 16] = b"glossa disk root";
const CHILD_DOMAIN: &[u8; 16] = b"glossa disk step";

/// The name of a token prefix: SHA-256 over the model's version, the tenant's salt and every block of tokens so far.
///
/// A key also names how its prefix was cut into blocks, so callers cut at fixed places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 32]);

impl Key {
    /// The empty prefix of a model version for one tenant. Whoever does not know the salt cannot name the tenant's keys.
    pub fn root(version: &[u8], salt: &[u8]) -> Self {
        let mut hash = Sha256::new_with_prefix(ROOT_DOMAIN);
        for part in [version, salt] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The prefix that follows when a block of tokens is added.
    #[must_use]
    pub fn child(&self, tokens: &[u32]) -> Self {
        let mut hash = Sha256::new_with_prefix(CHILD_DOMAIN);
        hash.update(self.0);
        hash.update((tokens.len() as u64).to_le_bytes());
        for token in tokens {
            hash.update(token.to_le_bytes());
        }
        Self(hash.finalize().into())
    }

    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
