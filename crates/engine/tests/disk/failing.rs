//! Disks that fail: the write is an error and leaves nothing, everything else goes on.

use std::fs;

use engine::disk::DiskStore;
use engine::{DiskLimits, Error};

use crate::shelf::{Shelf, VERSION, key, open, payload};

#[test]
fn a_folder_that_cannot_be_made_is_refused() {
    let shelf = Shelf::new();
    let folder = shelf.path().join("file");
    fs::write(&folder, b"in the way").unwrap();
    let error = DiskStore::open(&DiskLimits { folder: folder.clone(), bytes_max: 1000 }, VERSION).unwrap_err();
    assert!(error.to_string().contains("file: "), "{error}");
    assert!(matches!(error, Error::DiskFolder { path, .. } if path == folder));
}

#[test]
fn a_failed_write_leaves_nothing_and_reading_goes_on() {
    let shelf = Shelf::new();
    let store = shelf.open(10_000);
    store.write(&key(1), 0, &[b"one"]).unwrap();
    let record = shelf.only_record();
    store.write(&key(2), 0, &[b"two"]).unwrap();
    // A folder in the place of the record: the file is written aside, but cannot be renamed.
    fs::remove_file(&record).unwrap();
    fs::create_dir_all(record.join("inside")).unwrap();
    store.write(&key(1), 0, &[b"one"]).unwrap_err();
    assert!(!store.contains(&key(1), 0) && store.read(&key(1), 0).is_none());
    assert!(shelf.files(".partial").is_empty());
    // A file in the place of its folder: it cannot even be written aside.
    let fan_out = record.parent().unwrap();
    fs::remove_dir_all(fan_out).unwrap();
    fs::write(fan_out, b"in the way").unwrap();
    store.write(&key(1), 0, &[b"one"]).unwrap_err();
    assert!(!store.contains(&key(1), 0) && store.read(&key(1), 0).is_none());
    assert_eq!((store.stats().write_errors, store.stats().damaged), (2, 0));
    assert_eq!(store.read(&key(2), 0).unwrap(), b"two");
    fs::remove_file(fan_out).unwrap();
    store.write(&key(1), 0, &[b"one"]).unwrap();
    assert_eq!(store.read(&key(1), 0).unwrap(), b"one");
}

#[test]
fn a_folder_that_vanishes_is_made_again() {
    let shelf = Shelf::new();
    let folder = shelf.path().join("cache");
    let store = open(&folder, 10_000, VERSION);
    store.write(&key(1), 0, &[b"one"]).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert!(store.read(&key(1), 0).is_none());
    assert_eq!(store.stats().bytes, 0);
    store.write(&key(1), 0, &[b"one"]).unwrap();
    assert_eq!(store.read(&key(1), 0).unwrap(), b"one");
}

/// The test runs itself again where files may not grow beyond 8 KiB, 16 blocks of the shell's: writing then fails in the middle of a file, as it does
/// when a disk is full.
#[cfg(target_os = "linux")]
#[test]
fn a_write_that_fails_halfway_leaves_nothing() {
    let own = std::env::current_exe().unwrap();
    let limited = "ulimit -f 16 && trap '' XFSZ && exec \"$0\" --exact --ignored failing::where_files_are_short";
    let output = std::process::Command::new("sh").arg("-c").arg(limited).arg(own).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "makes sense only where files cannot grow; the other test runs it there"]
fn where_files_are_short() {
    let shelf = Shelf::new();
    let store = shelf.open(10_000_000);
    let short = payload(1, 0, 2000);
    store.write(&key(1), 0, &[&short]).unwrap();
    for bytes in [9000, 20_000, 2_000_000] {
        store.write(&key(2), 0, &[&payload(2, 0, bytes)]).unwrap_err();
        assert!(shelf.files(".partial").is_empty());
        assert!(store.read(&key(2), 0).is_none());
    }
    assert_eq!(store.read(&key(1), 0), Some(short));
    assert_eq!((store.stats().write_errors, store.stats().records), (3, 1));
}
