//! Names and places of files: which path a record has, what lies in the folder, files that are written aside. It must not
//! know which records are wanted.

use std::fs::{self, DirEntry, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::index::stamp_ns;
use super::key::Key;
use super::record::{FORMAT, Name};

const VERSION_PREFIX: &str = "version-";
const VERSION_FILE: &str = "version";
const RECORD_SUFFIX: &str = ".record";
const PARTIAL_SUFFIX: &str = ".partial";

/// The folder of all versions, seen by one version.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    version: String,
    version_folder: PathBuf,
    /// Numbers the files written aside, from the time of day on: a name that two stores use one after the other, be it in containers
    /// whose processes have the same number, would let the keeper remove the second's file for a leftover of the first.
    partials: AtomicU64,
}

/// What a walk through the folder found; sizes in bytes, stamps in nanoseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Records of this version.
    pub(super) own: Vec<(Name, u64, u64)>,
    /// Records of other versions.
    pub(super) others: Vec<(PathBuf, u64, u64)>,
    /// Files written aside, by the living and the dead.
    pub(super) leftovers: Vec<PathBuf>,
    /// Folders of other versions without any record.
    pub(super) empty_versions: Vec<PathBuf>,
}

impl Folder {
    /// The folder as this version sees it; nothing is made yet.
    pub(super) fn new(root: &Path, version: &str) -> Self {
        let hash = Sha256::new_with_prefix(b"glossa disk version").chain_update(FORMAT.to_le_bytes());
        let hash = hash.chain_update(version).finalize();
        let version_folder = root.join(format!("{VERSION_PREFIX}{}", hexadecimal(&hash[..16])));
        let partials = AtomicU64::new(stamp_ns(SystemTime::now()));
        Self { root: root.into(), version: version.into(), version_folder, partials }
    }

    /// Makes the folders and the file that tells the version to people.
    pub(super) fn prepare(&self) -> io::Result<()> {
        make_private_folder(&self.version_folder)?;
        let path = self.version_folder.join(VERSION_FILE);
        let told = format!("{}\n", self.version);
        if fs::read(&path).is_ok_and(|found| found == told.as_bytes()) {
            return Ok(());
        }
        // A full disk is no reason not to read what is there; only people miss the file.
        fs::write(path, told).or(Ok(()))
    }

    /// The file whose lock makes one process the keeper of the folder.
    pub(super) fn open_lock(&self) -> io::Result<File> {
        private_file().create(true).truncate(false).open(self.root.join("lock"))
    }

    /// Where a record lies.
    pub(super) fn record(&self, name: &Name) -> PathBuf {
        let Name { key, kind } = name;
        self.fan_out(key).join(format!("{}-{kind:02x}{RECORD_SUFFIX}", hexadecimal(key.as_bytes())))
    }

    /// A new file beside the place of a record, locked for as long as it is open, so that nobody takes it for a leftover.
    pub(super) fn create_partial(&self, name: &Name) -> io::Result<(PathBuf, File)> {
        let folder = self.fan_out(&name.key);
        make_private_folder(&folder)?;
        loop {
            let number = self.partials.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{}-{number}{PARTIAL_SUFFIX}", std::process::id()));
            let file = match private_file().create_new(true).open(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                other => other?,
            };
            match lock(&file) {
                // Between the two calls the keeper may have locked the file, or have removed it already.
                Ok(is_ours) if !is_ours || !path.exists() => {}
                Ok(_) => return Ok((path, file)),
                Err(error) => {
                    fs::remove_file(&path).ok();
                    return Err(error);
                }
            }
        }
    }

    /// Walks through all versions. What vanishes meanwhile is left out.
    ///
    /// # Errors
    ///
    /// When a folder cannot be read.
    pub(super) fn census(&self) -> io::Result<Census> {
        let mut census = Census::default();
        for entry in entries(&self.root)? {
            if !text(&entry).starts_with(VERSION_PREFIX) || !is_folder(&entry) {
                continue;
            }
            let version_folder = entry.path();
            let before = census.others.len() + census.leftovers.len();
            for fan_out in entries(&version_folder)?.iter().filter(|entry| is_folder(entry)) {
                self.count(fan_out, version_folder == self.version_folder, &mut census)?;
            }
            if version_folder != self.version_folder && census.others.len() + census.leftovers.len() == before {
                census.empty_versions.push(version_folder);
            }
        }
        Ok(census)
    }

    fn count(&self, fan_out: &DirEntry, is_own: bool, census: &mut Census) -> io::Result<()> {
        for entry in entries(&fan_out.path())? {
            let file_name = text(&entry);
            let Ok(metadata) = entry.metadata() else { continue };
            if !metadata.is_file() {
                continue;
            }
            let (bytes, stamp) = size(&metadata);
            match parse(&file_name) {
                Some(name) if is_own && self.record(&name) == entry.path() => census.own.push((name, bytes, stamp)),
                Some(_) if !is_own => census.others.push((entry.path(), bytes, stamp)),
                None if is_partial(&file_name) => census.leftovers.push(entry.path()),
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    fn fan_out(&self, key: &Key) -> PathBuf {
        self.version_folder.join(hexadecimal(&key.as_bytes()[..1]))
    }
}

/// Tries to lock a file; `false` when somebody else holds it.
///
/// # Errors
///
/// When the file system has no locks.
pub(super) fn lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Removes a file written aside, unless its writer lives.
///
/// # Errors
///
/// When the system refuses; the file then stays for the next time.
pub(super) fn remove_leftover(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    // The lock is held until the file is gone: a writer that made it just now notices, and makes another.
    if lock(&file)? { fs::remove_file(path) } else { Ok(()) }
}

/// Removes the folder of a version if it holds nothing but empty folders of ours.
pub(super) fn remove_empty_version(version_folder: &Path) {
    let folders = entries(version_folder).unwrap_or_default();
    let emptied = folders.iter().filter(|entry| is_folder(entry)).all(|entry| fs::remove_dir(entry.path()).is_ok());
    if emptied && fs::remove_file(version_folder.join(VERSION_FILE)).is_ok() {
        // It fails when a stranger's file is inside, and that is what we want then.
        fs::remove_dir(version_folder).ok();
    }
}

/// Size in bytes and stamp of a file.
pub(super) fn size(metadata: &Metadata) -> (u64, u64) {
    (metadata.len(), metadata.modified().map_or(0, stamp_ns))
}

/// The inverse of a record's file name.
fn parse(file_name: &str) -> Option<Name> {
    let (key, kind) = file_name.strip_suffix(RECORD_SUFFIX)?.split_once('-')?;
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    if key.len() != 64 || kind.len() != 2 {
        return None;
    }
    let mut bytes = [0; 32];
    for (to, digits) in bytes.iter_mut().zip(key.as_bytes().chunks_exact(2)) {
        *to = byte(digits)?;
    }
    Some(Name { key: Key::from_bytes(bytes), kind: byte(kind.as_bytes())? })
}

fn is_partial(file_name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = file_name.strip_suffix(PARTIAL_SUFFIX).and_then(|name| name.split_once('-'));
    parts.is_some_and(|(process, number)| is_number(process) && is_number(number))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a folder holds; nothing when it is not there.
fn entries(folder: &Path) -> io::Result<Vec<DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn text(entry: &DirEntry) -> String {
    entry.file_name().to_string_lossy().into_owned()
}

fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

/// Records hold what people wrote, in a form that can be turned back: nobody but the owner may read them.
fn make_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_stores_use_a_name_for_what_they_write_aside() {
        let root = tempfile::tempdir().unwrap();
        let name = Name { key: Key::root(b"1", b""), kind: 0 };
        let paths = [(), ()].map(|()| {
            let (path, file) = Folder::new(root.path(), "a version").create_partial(&name).unwrap();
            drop(file);
            fs::remove_file(&path).unwrap();
            path
        });
        assert_ne!(paths[0], paths[1]);
    }
}
