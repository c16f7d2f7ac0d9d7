//! The repository's files: tracked ones and new ones that are not ignored, as git lists them; in a copy without git, all
//! but what cargo and xtask make.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};
use crate::process::output;

/// Folders that are made, not written; git ignores them.
const MADE: [&str; 3] = [".git", "target", "models"];

/// Every text file with its path from the root. Files that are not UTF-8 (test data) are left out.
pub(super) fn texts(root: &Path) -> Result<Vec<(String, String)>> {
    let paths = if root.join(".git").exists() { listed_by_git(root)? } else { found_on_disk(root)? };
    let mut texts = Vec::new();
    for path in paths {
        let full = root.join(&path);
        // Deleted but not yet committed, or a link to a folder.
        if !full.is_file() {
            continue;
        }
        let bytes = fs::read(&full).map_err(|source| Error::file(&full, source))?;
        if let Ok(text) = String::from_utf8(bytes) {
            texts.push((path, text));
        }
    }
    Ok(texts)
}

fn listed_by_git(root: &Path) -> Result<Vec<String>> {
    let mut command = Command::new("git");
    // A checkout may belong to another user than the one who runs the check.
    command.current_dir(root).args(["-c", "safe.directory=*", "ls-files", "-z"]);
    command.args(["--cached", "--others", "--exclude-standard"]);
    let listed = output(&mut command)?;
    Ok(String::from_utf8_lossy(&listed).split_terminator('\0').map(String::from).collect())
}

fn found_on_disk(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let full = root.join(&folder);
        for entry in fs::read_dir(&full).map_err(|source| Error::file(&full, source))? {
            let entry = entry.map_err(|source| Error::file(&full, source))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if !entry.path().is_dir() {
                found.push(path);
            } else if !MADE.contains(&name.as_str()) {
                folders.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{found_on_disk, listed_by_git, texts};
    use crate::process::root;

    #[test]
    fn this_file_is_among_them() {
        let texts = texts(&root()).unwrap();
        let (_, text) = texts.iter().find(|(path, _)| path == "xtask/src/tidy/files.rs").unwrap();
        assert!(text.starts_with("//! The repository's files"));
        assert!(texts.iter().all(|(path, _)| !path.starts_with("target/")));
        let on_disk = found_on_disk(&root()).unwrap();
        assert!(on_disk.contains(&"xtask/src/tidy/files.rs".to_string()));
        assert!(on_disk.iter().all(|path| !path.starts_with("target/")));
        if root().join(".git").exists() {
            assert!(listed_by_git(&root()).unwrap().contains(&"Cargo.toml".to_string()));
        }
    }
}
