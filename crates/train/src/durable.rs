//! Files that are whole or not there: written aside, brought to the disk, then renamed. It must not know what is in them.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::error::Error;

/// Replaces a file at once: whoever looks sees the old one or the whole new one, also after a power cut. The new one is
/// written beside it as `<name>.partial`; what a killed process leaves of that is overwritten the next time.
///
/// # Errors
/// [`Error::Write`] when the folder cannot be written or the disk is full; the old file stays.
pub fn replace_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let replace = || {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&partial)?);
        write(&mut out)?;
        out.into_inner()?.sync_all()?;
        fs::rename(&partial, path)?;
        sync_folder(path)
    };
    replace().map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Makes a folder and those above it.
///
/// # Errors
/// [`Error::Write`].
pub fn create_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Brings a rename to the disk. Only Unix opens folders as files; elsewhere the file system's own order has to do.
fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;

    use super::replace_file;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace_file(&path, |out| out.write_all(b"old")).unwrap();
        let error = replace_file(&path, |out| {
            out.write_all(b"new")?;
            Err(io::Error::other("full"))
        });
        assert!(error.unwrap_err().to_string().contains("file: cannot be written: full"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        replace_file(&path, |out| out.write_all(b"newer")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
