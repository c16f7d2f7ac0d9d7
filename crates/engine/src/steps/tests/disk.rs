//! Prompts whose pages lie on the disk: while they are fetched, others go on.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::generation::Finish;
use crate::job::DiskCache;

fn steps(folder: &std::path::Path) -> Steps {
    let disk = Some(DiskCache::new(folder.to_owned(), 1 << 20, "a model".into()));
    Steps::new(Box::new(model()), Limits { disk, ..limits(400, 24) }).unwrap()
}

/// The same with reads that say when they begin, and wait until the test lets each go on, or all by dropping its end, which goes first
/// when a test fails.
fn held(folder: &std::path::Path) -> (Steps, Receiver<()>, Sender<()>) {
    let ((begins, begun), (permits, gate)) = (channel(), channel());
    let mut steps = steps(folder);
    steps.cache.as_mut().unwrap().before_reads(move || {
        // The test may have let all go on.
        let _ = begins.send(());
        let _ = gate.recv();
    });
    (steps, begun, permits)
}

fn submit(steps: &mut Steps, prompt: &[u32], tokens_max: usize) -> Generation {
    let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    let job = Job { sampling, tokens_max: Some(tokens_max), drafts: Drafts::Off, ..Job::new(prompt.to_vec()) };
    let (generation, reader) = Generation::new();
    steps.submit(job, reader, Instant::now());
    generation
}

fn step(steps: &mut Steps) {
    steps.prepare(Instant::now());
    steps.step(Instant::now());
    steps.tell_ends();
}

/// What has come by now.
fn read(generation: &mut Generation) -> (Vec<u32>, Option<Finish>) {
    let (mut ids, mut finish) = (Vec::new(), None);
    while let Some(event) = generation.try_next() {
        match event {
            Event::Token(token) => ids.push(token.id),
            Event::Finished(end) => finish = Some(end),
            Event::PromptRead { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    (ids, finish)
}

fn prompt(seed: u64) -> Vec<u32> {
    let mut random = Random(seed);
    (0..80).map(|_| random.below(VOCABULARY) as u32).collect()
}

/// Has a prompt read and kept on the disk; what the model says to it.
fn read_before(folder: &std::path::Path) -> Vec<u32> {
    let mut steps = steps(folder);
    let mut generation = submit(&mut steps, &prompt(1), 5);
    while !steps.is_idle() {
        step(&mut steps);
    }
    steps.flush();
    read(&mut generation).0
}

#[test]
fn others_go_on_while_a_prompt_is_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let said = read_before(folder.path());
    let (mut steps, _begun, permits) = held(folder.path());
    let mut other = submit(&mut steps, &[1, 2, 3], 90);
    step(&mut steps);
    assert_eq!(read(&mut other).0.len(), 1);
    let mut fetched = submit(&mut steps, &prompt(1), 5);
    let mut same = submit(&mut steps, &prompt(1), 5);
    let mut late = submit(&mut steps, &[4, 5], 3);
    for _ in 0..15 {
        permits.send(()).unwrap();
        step(&mut steps);
        assert_eq!(read(&mut other).0.len(), 1, "a token with every step");
        assert!(fetched.try_next().is_none(), "it waits");
    }
    assert_eq!((steps.stats().queued, read(&mut late).0.len()), (2, 3), "who needs no disk goes first");
    drop(permits);
    let mut heard = (Vec::new(), Vec::new());
    while !steps.is_idle() {
        step(&mut steps);
        let [first, second] = [&mut fetched, &mut same].map(read);
        heard.0.extend(first.0);
        heard.1.extend(second.0);
        for finish in [first.1, second.1].into_iter().flatten() {
            assert_eq!(finish.cached_tokens, 76);
        }
    }
    assert_eq!((&heard.0, &heard.1), (&said, &said));
    assert_eq!(steps.stats().cache.disk_tokens, 76, "once for both");
}

#[test]
fn nobody_waits_for_what_nobody_wants_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let said = read_before(folder.path());
    let (mut steps, _begun, permits) = held(folder.path());
    let dropped = submit(&mut steps, &prompt(1), 5);
    for _ in 0..3 {
        step(&mut steps);
    }
    assert!(steps.cache.as_ref().unwrap().fetching().is_some() && !steps.is_idle());
    drop(dropped);
    step(&mut steps);
    assert!(steps.cache.as_ref().unwrap().fetching().is_none() && steps.is_idle());
    // The thread may still be at a record of the dropped one; the next is served all the same.
    let mut next = submit(&mut steps, &prompt(1), 5);
    step(&mut steps);
    assert!(!steps.is_idle());
    drop(permits);
    while !steps.is_idle() {
        step(&mut steps);
    }
    let (ids, finish) = read(&mut next);
    assert_eq!((ids, finish.unwrap().cached_tokens), (said, 76));
}

#[test]
fn whoever_drops_the_engine_waits_for_the_record_that_is_being_read() {
    let folder = tempfile::tempdir().unwrap();
    read_before(folder.path());
    let (mut steps, begun, permits) = held(folder.path());
    let _left = submit(&mut steps, &prompt(1), 5);
    step(&mut steps);
    begun.recv().unwrap();
    steps.cancel_all(Instant::now());
    assert!(steps.cache.as_ref().unwrap().fetching().is_none());
    drop(permits);
    // The thread is joined, so whatever it would read it has read.
    drop(steps);
    assert_eq!(begun.iter().count(), 0, "no second record is read");
}

#[test]
fn what_cannot_be_fetched_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    let said = read_before(folder.path());
    let (mut steps, _begun, permits) = held(folder.path());
    let mut generation = submit(&mut steps, &prompt(1), 5);
    step(&mut steps);
    // All goes away while the first record is read.
    for version in std::fs::read_dir(folder.path()).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        std::fs::remove_dir_all(version.path()).unwrap();
    }
    drop(permits);
    while !steps.is_idle() {
        step(&mut steps);
    }
    let (ids, finish) = read(&mut generation);
    assert_eq!((ids, finish.unwrap().cached_tokens), (said, 0));
}
