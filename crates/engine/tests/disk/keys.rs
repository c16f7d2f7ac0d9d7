//! Keys: the same prefix gives the same key, and nothing else does.

use std::collections::{HashMap, HashSet};

use engine::disk::Key;

use crate::shelf::{Random, Shelf};

#[test]
fn a_key_depends_on_version_salt_tokens_and_cut() {
    let root = Key::root(b"version", b"salt");
    let all = [
        root,
        Key::root(b"version", b"other"),
        Key::root(b"other", b"salt"),
        Key::root(b"salt", b"version"),
        Key::root(b"versions", b"alt"),
        Key::root(b"versionsalt", b""),
        Key::root(b"", b"versionsalt"),
        root.child(&[]),
        root.child(&[]).child(&[]),
        root.child(&[0]),
        root.child(&[0, 0]),
        root.child(&[0]).child(&[0]),
        root.child(&[1, 2, 3]),
        root.child(&[1, 2]).child(&[3]),
        root.child(&[1]).child(&[2, 3]),
        root.child(&[3, 2, 1]),
        Key::root(b"version", b"other").child(&[1, 2, 3]),
    ];
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    assert_eq!(root.child(&[1, 2, 3]), Key::root(b"version", b"salt").child(&[1, 2, 3]));
}

/// Files outlive the program: what a key is must not change from one build to the next. The value was computed by
/// Python's hashlib from the description in `key.rs`.
#[test]
fn keys_are_the_same_for_ever() {
    let shelf = Shelf::new();
    let key = Key::root(b"glossa-tiny 5", b"nobody").child(&[200_006, 17_360, 0]);
    shelf.open(1000).write(&key, 7, &[b"payload"]).unwrap();
    let name = shelf.only_record().file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(name, "6ad50503f0649bc31d1784800409d161c9a8f9e7d4cdc8d581578b355be52343-07.record");
}

#[test]
fn random_prefixes_do_not_collide() {
    let mut random = Random(1);
    let (mut prefixes, mut keys) = (HashMap::new(), HashMap::new());
    while prefixes.len() < 100_000 {
        // Few values and short blocks, so that prefixes share starts and many are drawn twice.
        let block = |random: &mut Random| (0..random.below(5)).map(|_| random.below(4) as u32).collect::<Vec<u32>>();
        let prefix: Vec<Vec<u32>> = (0..random.below(6)).map(|_| block(&mut random)).collect();
        let key = prefix.iter().fold(Key::root(b"version", b"salt"), |key, tokens| key.child(tokens));
        assert_eq!(*prefixes.entry(key).or_insert_with(|| prefix.clone()), prefix, "two prefixes with one key");
        assert_eq!(*keys.entry(prefix).or_insert(key), key, "one prefix with two keys");
    }
}
