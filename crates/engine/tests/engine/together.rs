//! Many jobs at once over a real model: each says what it says alone, token for token, whatever runs beside it, is found, drafted or set
//! back. And what the engine says no to when it is full.

use std::time::{Duration, Instant};

use engine::{DraftLimits, Drafts, Engine, Error, Event, FinishReason, Job, Limits, Priority, Sampling, SharedChunk};
use kernels::IsaKind;
use model::{Checkpoint, Device, Model, Precision, Scripted};
use synth::{Layout, Shape, Writer};

use crate::watched::{Gate, config, job, limits, read, watched};

pub(crate) fn model() -> Box<dyn Model> {
    let folder = tempfile::tempdir().unwrap();
    let written = Writer::new(Shape::tiny()).layout(Layout::HuggingFace { shards: 1 }).write(folder.path()).unwrap();
    let device = Device::Cpu { isa: IsaKind::best(), threads: 2 };
    model::load(Checkpoint::open(&written.model).unwrap(), device, Precision::Default).unwrap()
}

/// Prompts that begin alike, of many lengths, some of which repeat themselves.
fn jobs() -> Vec<Job> {
    let ids = |from: u32, count: usize| (from..).map(|index| (index * index + 3 * index) % 500).take(count);
    let lengths = [3, 64, 65, 130, 200, 1, 300, 97, 128, 20];
    (lengths.into_iter().enumerate())
        .map(|(index, length)| {
            let temperature = if index % 3 == 2 { 1.0 } else { 0.0 };
            let prompt: Vec<u32> = match index % 4 {
                0 | 1 => ids(7, length).collect(),
                2 => ids(index as u32 * 100, 10).cycle().take(length).collect(),
                _ => ids(7, length / 2).chain(ids(index as u32, length - length / 2)).collect(),
            };
            let sampling = Sampling { temperature, seed: index as u64, ..Sampling::default() };
            let drafts = if index < 2 { Drafts::default() } else { Drafts::Always(DraftLimits::default()) };
            Job { sampling, tokens_max: Some(10 + 7 * index), drafts, ..Job::new(prompt) }
        })
        .collect()
}

#[test]
fn each_job_says_what_it_says_alone() {
    let plain = Engine::new(model(), Limits::single(4096, 64)).unwrap();
    let alone = |job: Job| read(plain.submit(Job { drafts: Drafts::Off, ..job }).unwrap()).0;
    let expected: Vec<Vec<u32>> = jobs().into_iter().map(alone).collect();
    let bytes = plain.kv_shape().block_bytes;
    let tight = Limits { kv_bytes_max: Some(34 * bytes), sequences_max: 4, ..Limits::serving(4096, 0) };
    let wide =
        Limits { shared_chunk: SharedChunk::Tokens(16), chunk_tokens: 48, ..Limits::serving(4096, 1000 * bytes) };
    for limits in [tight, wide] {
        let engine = Engine::new(model(), limits).unwrap();
        for _ in 0..2 {
            let generations: Vec<_> = jobs().into_iter().map(|job| engine.submit(job).unwrap()).collect();
            for (generation, expected) in generations.into_iter().zip(&expected) {
                let (ids, finish) = read(generation);
                assert_eq!((&ids, finish.reason), (expected, FinishReason::Length));
            }
        }
        let stats = engine.stats();
        assert!(stats.cache.hits > 2 && stats.accepted_tokens > 0, "{stats:?}");
    }
}

#[test]
fn drafts_change_nothing_but_the_number_of_steps() {
    let repeating = Scripted::remembering(config(4096));
    let engine = Engine::new(Box::new(repeating), Limits::single(4096, 64)).unwrap();
    let job = |drafts| Job {
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        tokens_max: Some(300),
        drafts,
        ..Job::new((0..20).collect())
    };
    let (plain, without) = read(engine.submit(job(Drafts::Off)).unwrap());
    let (drafted, with) = read(engine.submit(job(Drafts::Always(DraftLimits::default()))).unwrap());
    assert_eq!(plain, drafted);
    assert_eq!((without.drafted_tokens, without.accepted_tokens), (0, 0));
    assert!(with.accepted_tokens > 50 && with.drafted_tokens >= with.accepted_tokens, "{with:?}");
}

#[test]
fn a_full_queue_says_so_and_a_free_place_is_taken() {
    let (gate, before) = Gate::new();
    let (engine, _) = watched(&[5], Limits { queue_max: 2, ..limits(64, 16) }, 64, before);
    let running = engine.submit(Job { tokens_max: Some(2), ..job(&[1]) }).unwrap();
    gate.arrive();
    let waiting = [2, 3].map(|id| engine.submit(Job { tokens_max: Some(1), ..job(&[id]) }).unwrap());
    let refused = engine.submit(job(&[4])).err().unwrap();
    assert!(matches!(refused, Error::QueueFull { queued: 2, most: 2 }), "{refused}");
    gate.open();
    for generation in [running].into_iter().chain(waiting) {
        assert_eq!(read(generation).1.reason, FinishReason::Length);
    }
    assert_eq!(read(engine.submit(Job { tokens_max: Some(1), ..job(&[4]) }).unwrap()).0, [5]);
}

#[test]
fn a_prompt_that_no_memory_holds_is_refused() {
    let engine = Engine::new(model(), Limits::serving(4096, 1 << 16)).unwrap();
    let refused = engine.submit(job(&[1; 2000])).err().unwrap().to_string();
    assert!(refused.starts_with("the prompt of 2000 tokens needs"), "{refused}");
}

#[test]
fn who_waits_longer_than_its_deadline_ends() {
    let (gate, before) = Gate::new();
    let (engine, _) = watched(&[5], limits(64, 16), 64, before);
    let running = engine.submit(Job { tokens_max: Some(2), ..job(&[1]) }).unwrap();
    gate.arrive();
    let deadline = Some(Instant::now());
    let late = engine.submit(Job { deadline, ..job(&[2]) }).unwrap();
    let patient =
        engine.submit(Job { deadline: Some(Instant::now() + Duration::from_secs(3600)), ..job(&[3]) }).unwrap();
    gate.open();
    assert_eq!(read(running).0.len(), 2);
    assert_eq!((read(late).1.reason, read(patient).1.reason), (FinishReason::Deadline, FinishReason::Context));
}

#[test]
fn a_higher_priority_goes_first() {
    let (gate, before) = Gate::new();
    let (engine, calls) = watched(&[5], limits(64, 16), 64, before);
    let first = engine.submit(Job { tokens_max: Some(1), ..job(&[1]) }).unwrap();
    gate.arrive();
    let others = [(2, Priority::Low), (3, Priority::Normal), (4, Priority::High)]
        .map(|(id, priority)| engine.submit(Job { tokens_max: Some(1), priority, ..job(&[id]) }).unwrap());
    gate.open();
    [first].into_iter().chain(others).for_each(|generation| assert_eq!(read(generation).0, [5]));
    let calls = crate::watched::settle(engine, &calls);
    let begun = calls.iter().filter_map(|call| match call {
        crate::watched::Call::Forward(ids, _) => Some(ids[0]),
        _ => None,
    });
    assert_eq!(begun.collect::<Vec<_>>(), [1, 4, 3, 2]);
}

#[test]
fn a_guard_ends_a_thought_and_the_reader_hears_of_it() {
    use engine::{GuardKind, Guards, ReasoningShape};
    let (engine, _) = watched(&[1, 9, 9, 9, 9, 9, 9, 9, 9, 7], limits(64, 16), 64, Box::new(|_| Ok(())));
    let reasoning = ReasoningShape { open: vec![1], ends: vec![2], close: vec![2, 3] };
    let guards = Some(Guards { reasoning, budget_tokens: Some(4), loops: None });
    let mut events = Vec::new();
    for event in engine.submit(Job { guards, tokens_max: Some(9), ..job(&[8]) }).unwrap() {
        match event {
            Event::Token(token) => events.push(token.id),
            Event::Guarded(report) => {
                assert_eq!((report.kind, report.at_token, report.reasoning_tokens), (GuardKind::Budget, 5, 4));
                events.push(100);
            }
            Event::Finished(finish) => assert_eq!(finish.guard.map(|report| report.kind), Some(GuardKind::Budget)),
            Event::PromptRead { .. } | Event::PromptLogprobs(_) => {}
            Event::Failed(error) => panic!("{error}"),
        }
    }
    assert_eq!(events, [1, 9, 9, 9, 9, 100, 2, 3, 9, 9]);
    assert_eq!(engine.stats().guarded, 1);
}
