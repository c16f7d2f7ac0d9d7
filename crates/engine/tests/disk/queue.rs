//! The writer behind the caller's back: what it accepts is on disk after a flush, what it refuses is counted.

use std::sync::Arc;

use engine::disk::DiskWriter;

use crate::shelf::{OVERHEAD, Shelf, key, payload};

#[test]
fn what_was_accepted_is_on_disk_after_a_flush() {
    let shelf = Shelf::new();
    let store = Arc::new(shelf.open(10_000_000));
    // Room for three records at a time: how many of these are accepted is chance, what becomes of them is not.
    let writer = DiskWriter::start(Arc::clone(&store), 3 * (OVERHEAD + 1000)).unwrap();
    let accepted: Vec<u32> = (0..100).filter(|&n| writer.try_write(key(n), 1, payload(n, 1, 1000))).collect();
    assert!(accepted.len() >= 3 && accepted[..3] == [0, 1, 2], "{accepted:?}");
    writer.flush();
    for number in 0..100 {
        let expected = accepted.contains(&number).then(|| payload(number, 1, 1000));
        assert_eq!(store.read(&key(number), 1), expected);
    }
    let stats = store.stats();
    assert_eq!((stats.records, stats.dropped), (accepted.len() as u64, 100 - accepted.len() as u64));
    // An empty queue takes it all again.
    assert!((200..203).all(|n| writer.try_write(key(n), 1, payload(n, 1, 1000))));
    writer.flush();
    writer.flush();
    assert_eq!(store.stats().records, accepted.len() as u64 + 3);
}

#[test]
fn a_record_larger_than_the_queue_is_dropped() {
    let shelf = Shelf::new();
    let store = Arc::new(shelf.open(10_000));
    let writer = DiskWriter::start(Arc::clone(&store), OVERHEAD + 100).unwrap();
    assert!(!writer.try_write(key(1), 0, vec![0; 101]));
    assert!(writer.try_write(key(1), 0, vec![0; 100]));
    writer.flush();
    assert_eq!((store.stats().records, store.stats().dropped), (1, 1));
}

#[test]
fn dropping_the_writer_writes_all() {
    let shelf = Shelf::new();
    let store = Arc::new(shelf.open(10_000_000));
    let writer = DiskWriter::start(Arc::clone(&store), 1_000_000).unwrap();
    assert!((0..50).all(|n| writer.try_write(key(n), 0, payload(n, 0, 1000))));
    drop(writer);
    assert!((0..50).all(|n| store.read(&key(n), 0) == Some(payload(n, 0, 1000))));
    // Whoever starts a writer and has nothing to write does not wait.
    let idle = DiskWriter::start(store, 1_000_000).unwrap();
    idle.flush();
}
