//! What is not byte for byte what was written is never given back.

use std::fs;

use crate::shelf::{OVERHEAD, Shelf, key, payload};

#[test]
fn what_was_written_is_read() {
    let shelf = Shelf::new();
    let store = shelf.open(10_000_000);
    for (number, bytes) in [0, 1, 7, 4096, 1_000_003].into_iter().enumerate() {
        let number = number as u32;
        for kind in [0, 1, 255] {
            let whole = payload(number, kind, bytes);
            let (head, tail) = whole.split_at(bytes / 3);
            assert!(!store.contains(&key(number), kind) && store.read(&key(number), kind).is_none());
            store.write(&key(number), kind, &[head, &[], tail]).unwrap();
            assert!(store.contains(&key(number), kind));
            assert_eq!(store.read(&key(number), kind), Some(whole));
        }
    }
    let stats = store.stats();
    assert_eq!((stats.records, stats.hits, stats.misses, stats.damaged), (15, 15, 15, 0));
    assert_eq!(stats.bytes, 15 * OVERHEAD + 3 * (1 + 7 + 4096 + 1_000_003));
    // No parts at all are a payload of no bytes.
    store.write(&key(99), 0, &[]).unwrap();
    assert_eq!(store.read(&key(99), 0), Some(Vec::new()));
}

#[test]
fn a_record_that_is_there_is_not_written_again() {
    let shelf = Shelf::new();
    let store = shelf.open(1000);
    store.write(&key(1), 0, &[b"first"]).unwrap();
    store.write(&key(1), 0, &[b"second"]).unwrap();
    assert_eq!(store.read(&key(1), 0).unwrap(), b"first");
    assert_eq!(store.stats().records, 1);
}

#[test]
fn every_change_of_a_file_is_noticed() {
    let shelf = Shelf::new();
    let store = shelf.open(10_000);
    let expected = payload(1, 0, 40);
    store.write(&key(1), 0, &[&expected]).unwrap();
    let path = shelf.only_record();
    let good = fs::read(&path).unwrap();
    assert_eq!(good.len() as u64, OVERHEAD + 40);

    let truncated = (0..good.len()).map(|length| good[..length].to_vec());
    let flipped = (0..good.len()).flat_map(|at| (1..=255).map(move |mask| (at, mask))).map(|(at, mask)| {
        let mut bad = good.clone();
        bad[at] ^= mask;
        bad
    });
    let longer = (1..100).map(|more| [good.as_slice(), &vec![0; more]].concat());
    let twice = [good.as_slice(), &good].concat();
    let mut checked = 0;
    for bad in truncated.chain(flipped).chain(longer).chain([twice]) {
        fs::write(&path, &bad).unwrap();
        assert!(store.read(&key(1), 0).is_none(), "{bad:?}");
        checked += 1;
        assert!(!path.exists(), "a damaged file stayed");
        assert_eq!((store.stats().damaged, store.stats().records, store.stats().bytes), (checked, 0, 0));
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(store.read(&key(1), 0), Some(expected));
    // The place of a damaged record is free for a good one.
    fs::write(&path, b"bad").unwrap();
    assert!(store.contains(&key(1), 0) && store.read(&key(1), 0).is_none());
    store.write(&key(1), 0, &[b"new"]).unwrap();
    assert_eq!(store.read(&key(1), 0).unwrap(), b"new");
}

#[test]
fn a_record_in_another_ones_place_is_foreign() {
    let shelf = Shelf::new();
    let store = shelf.open(10_000);
    store.write(&key(1), 0, &[b"one"]).unwrap();
    let one = shelf.only_record();
    store.write(&key(2), 0, &[b"two"]).unwrap();
    let two = shelf.files(".record").into_iter().find(|path| *path != one).unwrap();
    let of_kind_3 = one.to_string_lossy().replace("-00.", "-03.");
    fs::copy(&one, two).unwrap();
    fs::copy(&one, of_kind_3).unwrap();
    assert!(store.read(&key(2), 0).is_none() && store.read(&key(1), 3).is_none());
    assert_eq!(store.read(&key(1), 0).unwrap(), b"one");
    assert_eq!(store.stats().damaged, 2);
}
