//! The cap: who goes first, what counts, what a restart remembers.

use std::fs;

use crate::shelf::{OVERHEAD, Shelf, VERSION, key, payload, readable};

/// Room for exactly four records of [`PAYLOAD`] bytes.
const FOUR: u64 = 4 * (OVERHEAD + PAYLOAD as u64);
const PAYLOAD: usize = 100;

fn write(store: &engine::disk::DiskStore, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        store.write(&key(number), 0, &[&payload(number, 0, PAYLOAD)]).unwrap();
    }
}

#[test]
fn the_least_recently_used_goes_first() {
    let shelf = Shelf::new();
    let store = shelf.open(FOUR);
    write(&store, 0..4);
    assert_eq!((store.stats().bytes, store.stats().evicted), (FOUR, 0), "exactly the cap is within it");
    // A read is a use, a look is none.
    assert!(store.read(&key(0), 0).is_some() && store.contains(&key(1), 0));
    write(&store, [4]);
    assert_eq!(readable(&store, [1, 0, 2, 3, 4]), [0, 2, 3, 4]);
    write(&store, [5, 6]);
    assert_eq!(readable(&store, 0..7), [3, 4, 5, 6]);
    let stats = store.stats();
    assert_eq!((stats.records, stats.bytes, stats.evicted), (4, FOUR, 3));
    assert_eq!(shelf.files(".record").len(), 4);
}

#[test]
fn a_touch_is_a_use_without_a_read() {
    let shelf = Shelf::new();
    let store = shelf.open(FOUR);
    write(&store, 0..4);
    assert!(store.touch(&key(1), 0) && store.touch(&key(0), 0) && !store.touch(&key(7), 0));
    write(&store, [4, 5]);
    assert_eq!(readable(&store, 0..6), [0, 1, 4, 5]);
    assert_eq!(store.stats().hits, 4, "touches are no hits");
}

#[test]
fn a_large_record_takes_the_place_of_several() {
    let shelf = Shelf::new();
    let store = shelf.open(FOUR);
    write(&store, 0..4);
    let most = payload(9, 0, (FOUR - OVERHEAD) as usize);
    store.write(&key(8), 0, &[&most, b"!"]).unwrap();
    assert_eq!((store.stats().refused, store.stats().records), (1, 4), "one byte too many");
    store.write(&key(9), 0, &[&most]).unwrap();
    assert_eq!(store.read(&key(9), 0), Some(most));
    let stats = store.stats();
    assert_eq!((stats.records, stats.bytes, stats.evicted, stats.refused), (1, FOUR, 4, 1));
}

#[test]
fn a_cap_of_nothing_keeps_nothing() {
    let shelf = Shelf::new();
    let store = shelf.open(0);
    write(&store, 0..3);
    assert_eq!((store.stats().refused, store.stats().records), (3, 0));
    assert!(shelf.files(".record").is_empty());
}

#[test]
fn records_and_their_order_survive_a_restart() {
    let shelf = Shelf::new();
    let store = shelf.open(FOUR);
    write(&store, 0..4);
    assert_eq!(readable(&store, [2, 0]), [2, 0]);
    drop(store);
    let store = shelf.open(FOUR);
    assert_eq!((store.stats().records, store.stats().bytes), (4, FOUR));
    write(&store, [4, 5, 6]);
    assert_eq!(readable(&store, 0..7), [0, 4, 5, 6], "1, 3 and 2 went, in this order");
    drop(store);
    // A lower cap counts from the start.
    let store = shelf.open(FOUR / 2);
    assert_eq!((store.stats().records, store.stats().evicted), (2, 2));
    assert_eq!(readable(&store, 0..7), [5, 6]);
}

#[test]
fn other_versions_go_first_and_the_oldest_of_them_before_all() {
    let shelf = Shelf::new();
    let old = shelf.open_version(FOUR, "tiny 0");
    write(&old, [0, 1]);
    assert!(old.read(&key(0), 0).is_some());
    drop(old);
    let store = shelf.open(FOUR);
    assert_eq!((store.stats().records, store.stats().bytes), (2, FOUR / 2), "they count");
    assert!(readable(&store, [0, 1]).is_empty(), "but they are not ours");
    write(&store, [2, 3]);
    drop(store);
    // Used after all of ours, and yet it goes before them.
    let old = shelf.open_version(FOUR, "tiny 0");
    assert_eq!(readable(&old, [1, 0]), [1, 0]);
    drop(old);
    let store = shelf.open(FOUR);
    write(&store, [4]);
    drop(store);
    let old = shelf.open_version(FOUR, "tiny 0");
    assert_eq!(readable(&old, [0, 1]), [0], "1 was used before 0");
    drop(old);
    let store = shelf.open(FOUR);
    write(&store, [5, 6]);
    assert_eq!(readable(&store, 2..7), [3, 4, 5, 6], "0 of the other version went, then 2");
    drop(store);
    // Versions without records leave no folder.
    drop(shelf.open(FOUR));
    let told: Vec<_> = shelf.files("version").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    assert_eq!(told, [format!("{VERSION}\n")]);
}

#[test]
fn strangers_files_stay() {
    let shelf = Shelf::new();
    let store = shelf.open(FOUR);
    write(&store, [0]);
    drop(store);
    let folder = shelf.only_record().parent().unwrap().to_path_buf();
    let version_folder = folder.parent().unwrap();
    let strangers = [
        shelf.path().join("thesis.record"),
        shelf.path().join("12-3.partial"),
        version_folder.join("letter.partial"),
        folder.join("letter.record"),
        folder.join("-.partial"),
        folder.join("mine-12.partial"),
    ];
    for path in &strangers {
        fs::write(path, [0; 10_000]).unwrap();
    }
    for version in [VERSION, "other"] {
        let store = shelf.open_version(FOUR, version);
        assert!(store.stats().bytes <= FOUR);
        write(&store, 1..9);
        assert_eq!(store.stats().records, 4, "{version}");
    }
    assert!(strangers.iter().all(|path| path.exists()));
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let shelf = Shelf::new();
    write(&shelf.open(FOUR), [0]);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let record = shelf.only_record();
    let version_folder = record.parent().unwrap().parent().unwrap();
    assert_eq!((mode(&record), mode(version_folder)), (0o600, 0o700));
}
