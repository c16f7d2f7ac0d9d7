//! API keys: which there are, whose they are, and what they may use. It must not know HTTP.
//!
//! The file holds hashes only (SHA-256; keys are 190 random bits, so nothing slower is needed), one `[[key]]` table each. It is read
//! again on demand; what a key has used up is remembered across that.

mod file;
mod usage;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ring::digest::{SHA256, digest};

use crate::caller::Role;
use crate::listener::ServeError;
use crate::{hexadecimal, random};
pub(crate) use usage::{Allowance, Refusal, Usage};

/// SHA-256 of a key.
type Hash = [u8; 32];

/// The keys of a server.
pub struct Keys {
    path: PathBuf,
    known: RwLock<Vec<Key>>,
    used: Mutex<HashMap<Hash, Arc<Usage>>>,
}

/// A key as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    hash: Hash,
    /// Whose it is.
    pub(crate) owner: String,
    /// What it may do.
    pub(crate) role: Role,
    /// What it may use.
    pub(crate) limits: KeyLimits,
}

/// What a key may use; `None` sets no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyLimits {
    /// Requests per minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens per minute, of prompts and answers; what was found in the prefix cache is free.
    pub tokens_per_minute: Option<u32>,
    /// Requests at once.
    pub parallel: Option<u32>,
}

impl Keys {
    /// Reads a keys file.
    ///
    /// # Errors
    /// When it cannot be read, or a key in it is not complete.
    pub fn read(path: &Path) -> Result<Self, ServeError> {
        let known = RwLock::new(file::read(path)?);
        Ok(Self { path: path.to_owned(), known, used: Mutex::default() })
    }

    /// Reads the file again; the old keys stay in force when it cannot be used. Gives the number of keys.
    ///
    /// # Errors
    /// As [`Keys::read`].
    pub fn reload(&self) -> Result<usize, ServeError> {
        let read = file::read(&self.path)?;
        let count = read.len();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(count)
    }

    /// Makes a key, adds its hash to a keys file (made where there is none), and gives the key itself, which is kept nowhere.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn add_new(path: &Path, owner: &str, is_admin: bool, limits: KeyLimits) -> Result<String, ServeError> {
        let text = format!("gl-{}", hexadecimal::write(&random::bytes::<24>()));
        let role = if is_admin { Role::Admin } else { Role::User };
        file::append(path, &Key { hash: hash(&text), owner: owner.to_owned(), role, limits })?;
        Ok(text)
    }

    /// The key of this text, and what it has used. Every known key is compared to its end, so that the time tells nothing.
    pub(crate) fn find(&self, text: &str) -> Option<(Key, Arc<Usage>)> {
        let asked = hash(text);
        let mut found = None;
        for key in self.known.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let difference = key.hash.iter().zip(&asked).fold(0, |sum, (a, b)| sum | (a ^ b));
            if std::hint::black_box(difference) == 0 {
                found = Some(key.clone());
            }
        }
        found.map(|key| self.with_usage(key))
    }

    /// The key of this name, as [`Key::name`] gave it, and what it has used; nothing if it was taken back since.
    pub(crate) fn named(&self, name: &str) -> Option<(Key, Arc<Usage>)> {
        let hash: Hash = hexadecimal::read(name)?;
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|key| key.hash == hash).cloned();
        drop(known);
        found.map(|key| self.with_usage(key))
    }

    fn with_usage(&self, key: Key) -> (Key, Arc<Usage>) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let usage = Arc::clone(used.entry(key.hash).or_default());
        (key, usage)
    }
}

impl Key {
    /// What it is called where it must not be told itself: its hash, as digits.
    pub(crate) fn name(&self) -> String {
        hexadecimal::write(&self.hash)
    }
}

fn hash(text: &str) -> Hash {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::{KeyLimits, Keys};
    use crate::caller::Role;

    #[test]
    fn a_new_key_is_found_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        let limits = KeyLimits { requests_per_minute: Some(3), tokens_per_minute: None, parallel: Some(1) };
        let first = Keys::add_new(&path, "anna \"b\"", true, limits).unwrap();
        let keys = Keys::read(&path).unwrap();
        let second = Keys::add_new(&path, "bert", false, KeyLimits::default()).unwrap();
        assert!(keys.find(&second).is_none(), "not read yet");
        assert_eq!(keys.reload().unwrap(), 2);
        let (key, usage) = keys.find(&first).unwrap();
        assert_eq!((key.owner.as_str(), key.role, key.limits), ("anna \"b\"", Role::Admin, limits));
        assert_eq!(keys.find(&second).unwrap().0.role, Role::User);
        assert!(std::sync::Arc::ptr_eq(&usage, &keys.find(&first).unwrap().1));
        let (named, same) = keys.named(&key.name()).unwrap();
        assert!(named == key && std::sync::Arc::ptr_eq(&usage, &same) && keys.named("").is_none());
        for wrong in ["", "gl-", &first[..first.len() - 1], &first.to_uppercase()] {
            assert!(keys.find(wrong).is_none(), "{wrong:?}");
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&first) && !text.contains(&first[3..]), "only the hash is kept");
    }

    #[test]
    fn an_owner_that_could_keep_nothing_gets_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        for owner in ["", "a\nb", &"a".repeat(257)] {
            let error = Keys::add_new(&path, owner, false, KeyLimits::default()).unwrap_err().to_string();
            assert!(error.contains("owner"), "{error}");
        }
        assert!(!path.exists());
    }

    #[test]
    fn a_broken_file_leaves_the_old_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        let text = Keys::add_new(&path, "anna", false, KeyLimits::default()).unwrap();
        let keys = Keys::read(&path).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        for (broken, words) in [
            (whole.replace("owner", "ovner"), "ovner"),
            (whole.replace("sha256:", "md5:"), "sha256:"),
            (whole.replace("\"user\"", "\"root\""), "root"),
            (format!("{whole}\n{whole}"), "twice"),
            (whole.replace("anna", ""), "owner"),
            (whole.replace("anna", "an\\na"), "owner"),
            (whole.replace("anna", &"a".repeat(257)), "owner"),
            ("[[key".to_owned(), "keys.toml:1"),
        ] {
            std::fs::write(&path, broken).unwrap();
            let error = keys.reload().unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("keys.toml"), "{error}");
            assert!(keys.find(&text).is_some());
        }
        std::fs::write(&path, "").unwrap();
        assert_eq!(keys.reload().unwrap(), 0);
        assert!(keys.find(&text).is_none());
    }
}
