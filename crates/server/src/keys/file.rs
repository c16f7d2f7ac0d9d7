//! The keys file. It must not know who reads it.

use std::io::Write;
use std::path::Path;

use serde::Deserialize;
use store::NAME_BYTES_MAX;

use super::{Key, KeyLimits};
use crate::caller::Role;
use crate::hexadecimal;
use crate::listener::ServeError;

/// What an owner's name is.
const OWNER_FORM: &str = "1 to 256 bytes without control characters";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    key: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    hash: toml::Spanned<String>,
    owner: String,
    #[serde(default)]
    role: RoleWord,
    requests_per_minute: Option<u32>,
    tokens_per_minute: Option<u32>,
    parallel: Option<u32>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RoleWord {
    #[default]
    User,
    Admin,
}

/// All keys of a file.
pub(super) fn read(path: &Path) -> Result<Vec<Key>, ServeError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let what = format!("cannot be read: {error}; `glossa key new --keys FILE` makes one");
        ServeError::Keys { place: path.display().to_string(), what }
    })?;
    let wrong = |at: usize, what: String| {
        let line = text[..at.min(text.len())].matches('\n').count() + 1;
        ServeError::Keys { place: format!("{}:{line}", path.display()), what }
    };
    let file: File = toml::from_str(&text)
        .map_err(|error| wrong(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
    let mut keys: Vec<Key> = Vec::new();
    for row in file.key {
        let Row { hash, owner, role, requests_per_minute, tokens_per_minute, parallel } = row;
        let at = hash.span().start;
        let hash = hash.get_ref().strip_prefix("sha256:").and_then(hexadecimal::read).ok_or_else(|| {
            wrong(at, "expected sha256: and 64 hexadecimal digits, as `glossa key new` writes".into())
        })?;
        if keys.iter().any(|key| key.hash == hash) {
            return Err(wrong(at, "this key stands in the file twice; take one out".into()));
        }
        if !is_name(&owner) {
            return Err(wrong(at, format!("owner {owner:?}: expected {OWNER_FORM}")));
        }
        let role = match role {
            RoleWord::User => Role::User,
            RoleWord::Admin => Role::Admin,
        };
        keys.push(Key { hash, owner, role, limits: KeyLimits { requests_per_minute, tokens_per_minute, parallel } });
    }
    Ok(keys)
}

/// Whether the store can keep anything under this owner's name.
fn is_name(owner: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&owner.len()) && !owner.chars().any(char::is_control)
}

/// Adds a key at the end of a file, which is made where there is none, for its owner's eyes only.
pub(super) fn append(path: &Path, key: &Key) -> Result<(), ServeError> {
    let Key { hash, owner, role, limits } = key;
    if !is_name(owner) {
        let what = format!("a key for owner {owner:?} cannot be made: expected {OWNER_FORM}");
        return Err(ServeError::Keys { place: path.display().to_string(), what });
    }
    let role = match role {
        Role::User => "user",
        Role::Admin => "admin",
    };
    // A JSON string with its escapes is a TOML string, too.
    let owner = serde_json::Value::from(owner.as_str());
    let mut row =
        format!("[[key]]\nhash = \"sha256:{}\"\nowner = {owner}\nrole = \"{role}\"\n", hexadecimal::write(hash));
    let KeyLimits { requests_per_minute, tokens_per_minute, parallel } = limits;
    let limits = [
        ("requests_per_minute", requests_per_minute),
        ("tokens_per_minute", tokens_per_minute),
        ("parallel", parallel),
    ];
    for (name, limit) in limits {
        if let Some(limit) = limit {
            row += &format!("{name} = {limit}\n");
        }
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(format!("{row}\n").as_bytes()));
    written.map_err(|error| {
        let what = format!("cannot be written: {error}; check the folder");
        ServeError::Keys { place: path.display().to_string(), what }
    })
}
