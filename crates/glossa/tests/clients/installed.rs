//! Where the pinned clients are, and their scripts. It must not know what the scripts do.

use std::path::{Path, PathBuf};

/// A folder of `clients/` in the repository.
pub(crate) fn scripts(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients").join(folder)
}

/// A folder that `cargo xtask clients` has filled to its end.
#[track_caller]
pub(crate) fn packages(folder: &str) -> PathBuf {
    let target =
        Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("cargo's folder for tests lies in the target folder");
    let folder = target.join("clients").join(folder);
    assert!(folder.join("complete").is_file(), "{} is not installed; run `cargo xtask clients`", folder.display());
    folder
}

/// A program among the packages.
#[track_caller]
pub(crate) fn program(folder: &str, path: &str) -> PathBuf {
    let program = packages(folder).join(path);
    assert!(program.is_file(), "{} is not there; remove its folder and run `cargo xtask clients`", program.display());
    program
}
