//! Prompts that were read before: what is found of them, in memory and on the disk, and for whom. The model remembers every token it
//! holds, so a wrong page is a wrong answer.

use std::path::Path;

use engine::{DiskCache, DraftLimits, Drafts, Engine, Event, Finish, Generation, Job, Limits, Sampling};
use model::{AttentionKind, ModelConfig, Scripted, Span};

use crate::watched::{VOCABULARY, config, limits};

const BLOCK: usize = 8;

fn model() -> Scripted {
    let config =
        ModelConfig { layers: vec![AttentionKind::Full, AttentionKind::Sliding], sliding_window: 13, ..config(10_000) };
    Scripted::remembering(config).with_blocks_of(BLOCK)
}

fn serving(disk: Option<&Path>) -> Engine {
    let disk = disk.map(|folder| DiskCache::new(folder.to_owned(), 1 << 20, "a model".into()));
    Engine::new(Box::new(model()), Limits { disk, ..Limits::serving(10_000, 1 << 20) }).unwrap()
}

fn prompt(seed: u32, tokens: usize) -> Vec<u32> {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % VOCABULARY as u32
    };
    (0..tokens).map(|_| next()).collect()
}

fn job(prompt: &[u32]) -> Job {
    let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    let drafts = Drafts::Always(DraftLimits::default());
    Job { sampling, tokens_max: Some(12), drafts, ..Job::new(prompt.to_vec()) }
}

fn read(generation: Generation) -> (Vec<u32>, Finish) {
    let mut ids = Vec::new();
    for event in generation {
        match event {
            Event::Token(token) => ids.push(token.id),
            Event::Finished(finish) => return (ids, finish),
            Event::PromptRead { .. } | Event::PromptLogprobs(_) => {}
            Event::Guarded(report) => panic!("{report:?}"),
            Event::Failed(error) => panic!("{error}"),
        }
    }
    panic!("no end");
}

/// Runs a job, holds what it says to what a fresh model says, and gives the tokens said and those found.
fn ask(engine: &Engine, job: Job) -> (Vec<u32>, usize) {
    let cold = Engine::new(Box::new(model()), limits(10_000, 64)).unwrap();
    let expected = read(cold.submit(job.clone()).unwrap()).0;
    let (said, finish) = read(engine.submit(job).unwrap());
    assert_eq!(said, expected);
    (said, finish.cached_tokens)
}

#[test]
fn a_conversation_is_read_once() {
    let engine = serving(None);
    let first = prompt(1, 500);
    let (answer, found) = ask(&engine, job(&first));
    assert_eq!(found, 0);
    assert_eq!(ask(&engine, job(&prompt(2, 300))).1, 0, "somebody else's question");
    let second = [&first[..], &answer, &prompt(3, 40)].concat();
    let (_, found) = ask(&engine, job(&second));
    // The last token of the answer was never computed.
    assert_eq!(found, (first.len() + answer.len() - 1) / BLOCK * BLOCK);
    // The same again, all but the last token.
    assert_eq!(ask(&engine, job(&second)).1, (second.len() - 1) / BLOCK * BLOCK);
    // Another way on from the middle.
    let branch = [&first[..203], &prompt(4, 40)].concat();
    assert_eq!(ask(&engine, job(&branch)).1, 200);
    let stats = engine.stats();
    assert_eq!((stats.cache.lookups, stats.cache.hits), (5, 3));
}

#[test]
fn who_comes_together_with_the_same_beginning_reads_it_once() {
    let engine = serving(None);
    let shared = prompt(1, 2000);
    let jobs: Vec<Job> = (0..5).map(|seed| job(&[&shared[..], &prompt(10 + seed, 30)].concat())).collect();
    let generations: Vec<Generation> = jobs.into_iter().map(|job| engine.submit(job).unwrap()).collect();
    let found: Vec<usize> = generations.into_iter().map(|generation| read(generation).1.cached_tokens).collect();
    // Whoever is first to be seen by the engine reads it.
    assert_eq!(found.iter().filter(|&&found| found == 0).count(), 1, "{found:?}");
    assert_eq!(found.iter().filter(|&&found| found == 2000).count(), 4, "{found:?}");
}

#[test]
fn nobody_finds_what_is_not_theirs_or_not_kept() {
    let engine = serving(None);
    let first = prompt(1, 100);
    ask(&engine, Job { tenant: b"clinic".to_vec(), ..job(&first) });
    assert_eq!(ask(&engine, Job { tenant: b"bank".to_vec(), ..job(&first) }).1, 0);
    assert_eq!(ask(&engine, Job { tenant: b"clinic".to_vec(), cached: false, ..job(&first) }).1, 0);
    assert_eq!(ask(&engine, Job { tenant: b"clinic".to_vec(), ..job(&first) }).1, 96);
    ask(&engine, Job { cached: false, ..job(&prompt(2, 100)) });
    assert_eq!(ask(&engine, job(&prompt(2, 100))).1, 0);
}

#[test]
fn prefixes_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let first = prompt(1, 500);
    let (answer, found) = ask(&serving(Some(folder.path())), job(&first));
    assert_eq!(found, 0);
    let second = [&first[..], &answer, &prompt(3, 40)].concat();
    let engine = serving(Some(folder.path()));
    let (_, found) = ask(&engine, job(&second));
    assert_eq!(found, (first.len() + answer.len() - 1) / BLOCK * BLOCK);
    assert_eq!(engine.stats().cache.disk_tokens, found as u64);
    // From the middle, at a place where a message began.
    let third = prompt(5, 400);
    ask(&engine, Job { boundaries: vec![203], ..job(&third) });
    drop(engine);
    let engine = serving(Some(folder.path()));
    assert_eq!(ask(&engine, job(&[&third[..203], &prompt(6, 40)].concat())).1, 200);
    drop(engine);
    // Another model finds nothing.
    let disk = Some(DiskCache::new(folder.path().to_owned(), 1 << 20, "another model".into()));
    let other = Engine::new(Box::new(model()), Limits { disk, ..Limits::serving(10_000, 1 << 20) }).unwrap();
    assert_eq!(ask(&other, job(&first)).1, 0);
}

#[test]
fn the_disk_gives_up_ends_of_what_was_used_before_beginnings() {
    let folder = tempfile::tempdir().unwrap();
    let serving = || {
        // Room for one of the prompts and some of the other: a record has 120 bytes.
        let disk = Some(DiskCache::new(folder.path().to_owned(), 7_000, "a model".into()));
        Engine::new(Box::new(model()), Limits { disk, ..Limits::serving(10_000, 1 << 20) }).unwrap()
    };
    let shared = || Job { boundaries: vec![40], ..job(&prompt(1, 200)) };
    // Whoever drops an engine waits until all is written.
    assert_eq!(ask(&serving(), shared()).1, 0);
    let engine = serving();
    assert_eq!(ask(&engine, shared()).1, 192);
    assert_eq!(ask(&engine, job(&prompt(2, 300))).1, 0);
    drop(engine);
    assert_eq!(ask(&serving(), shared()).1, 40);
}

#[test]
fn damaged_records_cost_time_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let first = prompt(1, 500);
    ask(&serving(Some(folder.path())), job(&first));
    let mut damaged = 0;
    for version in std::fs::read_dir(folder.path()).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        for fan in std::fs::read_dir(version.path()).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
            for record in std::fs::read_dir(fan.path()).unwrap().flatten() {
                let mut bytes = std::fs::read(record.path()).unwrap();
                damaged += 1;
                if damaged % 5 == 0 {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    std::fs::write(record.path(), bytes).unwrap();
                }
            }
        }
    }
    assert!(damaged > 50);
    let engine = serving(Some(folder.path()));
    let (_, found) = ask(&engine, job(&first));
    assert!(found < 496 && engine.stats().cache.disk.unwrap().damaged > 0);
    assert_eq!(ask(&engine, job(&first)).1, 496, "what was read again is kept again");
}

#[test]
fn a_span_of_a_model_that_remembers_says_what_its_tokens_say() {
    // The oracle of these tests is itself one that hears a wrong page.
    use model::{Model, Wanted};
    let mut model = model();
    let (right, wrong) = (prompt(1, 64), prompt(2, 64));
    let mut logits = Vec::new();
    let mut answers = Vec::new();
    for ids in [&right, &wrong] {
        let sequence = model.open_sequence();
        model.forward(&[Span { sequence, ids, wanted: Wanted::None }], &mut logits).unwrap();
        let pages: Vec<_> =
            (0..8).map(|index| model.keep_page(sequence, AttentionKind::Full, index).unwrap()).collect();
        let window: Vec<_> =
            (6..8).map(|index| model.keep_page(sequence, AttentionKind::Sliding, index).unwrap()).collect();
        answers.push((pages, window));
    }
    let mut said = Vec::new();
    for (full, sliding) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let sequence = model.open_from(&answers[full].0, &answers[sliding].1);
        let ids: Vec<u32> = (0..32).chain(0..32).collect();
        model.forward(&[Span { sequence, ids: &ids, wanted: Wanted::All }], &mut logits).unwrap();
        said.push(logits.clone());
    }
    assert!(said[0] != said[1] && said[3] != said[2] && said[0] != said[3]);
}
