//! The repository's files, as git lists them: tracked ones and new ones that are not ignored.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};
use crate::process::output;

/// Every text file with its path from the root. Files that are not UTF-8 (test data) are left out.
pub(super) fn texts(root: &Path) -> Result<Vec<(String, String)>> {
    let mut command = Command::new("git");
    command.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = output(&mut command)?;
    let mut texts = Vec::new();
    for path in String::from_utf8_lossy(&listed).split_terminator('\0') {
        let full = root.join(path);
        // Deleted but not yet committed, or a link to a folder.
        if !full.is_file() {
            continue;
        }
        let bytes = fs::read(&full).map_err(|source| Error::file(&full, source))?;
        if let Ok(text) = String::from_utf8(bytes) {
            texts.push((path.to_string(), text));
        }
    }
    Ok(texts)
}
