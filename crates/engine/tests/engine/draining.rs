//! What those see who run an engine: figures at any time, the way to a graceful end, and places that dropped jobs give back.

use std::time::Duration;

use engine::{Ends, Error, Event, FinishReason, Job, Limits};

use crate::watched::{Gate, free, job, limits, read, settle, watched};

/// Nothing waits so long unless it waits for ever.
const LOST: Duration = Duration::from_secs(120);

#[test]
fn a_draining_engine_finishes_what_it_has() {
    let (gate, before) = Gate::new();
    let (engine, _) = watched(&[5], limits(64, 16), 64, before);
    let running = engine.submit(Job { tokens_max: Some(3), ..job(&[1]) }).unwrap();
    let waiting = engine.submit(Job { tokens_max: Some(2), ..job(&[2]) }).unwrap();
    gate.arrive();
    assert_eq!((engine.is_draining(), engine.jobs_left()), (false, 2));
    engine.drain();
    let refused = engine.submit(job(&[3])).err().unwrap();
    assert!(matches!(refused, Error::Draining), "{refused}");
    assert_eq!((engine.is_draining(), engine.jobs_left(), engine.wait_for_jobs(Duration::ZERO)), (true, 2, false));
    gate.open();
    assert!(engine.wait_for_jobs(LOST));
    assert_eq!((engine.jobs_left(), engine.is_alive()), (0, true));
    for (generation, tokens) in [(running, 3), (waiting, 2)] {
        let (ids, finish) = read(generation);
        assert_eq!((ids.len(), finish.reason), (tokens, FinishReason::Length));
    }
    assert!(matches!(engine.submit(job(&[3])), Err(Error::Draining)), "for good");
}

#[test]
fn figures_are_there_before_the_first_step_and_during_each() {
    let (gate, before) = Gate::new();
    let limits = Limits { kv_bytes_max: Some(100 * 256), sequences_max: 1, ..limits(64, 16) };
    let (engine, _) = watched(&[5, 6, 9], limits, 64, before);
    let stats = engine.stats();
    assert_eq!((stats.kv_blocks_max, stats.kv_block_bytes, stats.kv_block_tokens), (100, 256, 64));
    assert_eq!((stats.kv_bytes(), stats.kv_bytes_max()), (0, 25_600));
    let first = engine.submit(Job { tokens_max: Some(2), ..job(&[1; 20]) }).unwrap();
    gate.arrive();
    let waiting = [2, 3].map(|id| engine.submit(Job { stop_ids: vec![9], ..job(&[id]) }).unwrap());
    let stats = engine.stats();
    assert_eq!((stats.submitted, stats.running, stats.queued, stats.begun), (3, 1, 2, 1));
    gate.pass();
    gate.arrive();
    let stats = engine.stats();
    assert_eq!((stats.read_tokens, stats.steps, stats.kv_bytes()), (16, 1, 2 * 256));
    gate.open();
    read(first);
    waiting.into_iter().for_each(|generation| assert_eq!(read(generation).1.reason, FinishReason::Stop(9)));
    // Whoever has read the end finds it in the figures.
    let stats = engine.stats();
    assert_eq!((stats.running, stats.queued, stats.ended), (0, 0, 3));
    assert_eq!(stats.ends, Ends { stop: 2, length: 1, ..Ends::default() });
    assert_eq!((stats.read_tokens, stats.generated_tokens, stats.kv_blocks), (22, 2 + 3 + 3, 0));
}

#[test]
fn every_end_is_counted_by_its_reason() {
    let (engine, _) = free(&[5, 9], limits(8, 16));
    let ends = [
        Job { stop_ids: vec![9], ..job(&[1]) },
        Job { tokens_max: Some(1), ..job(&[1]) },
        Job { tokens_max: Some(0), ..job(&[1]) },
        job(&[1]),
        Job { deadline: Some(std::time::Instant::now()), ..job(&[1]) },
    ];
    ends.into_iter().for_each(|job| drop(read(engine.submit(job).unwrap())));
    let cancelled = engine.submit(job(&[1])).unwrap();
    cancelled.canceller().cancel();
    let reason = read(cancelled).1.reason;
    let stats = engine.stats();
    let Ends { stop, length, context, memory, deadline, cancelled } = stats.ends;
    assert_eq!((stop, length, memory, deadline), (1, 2, 0, 1));
    // It may have been faster.
    let expected = if reason == FinishReason::Cancelled { (1, 1) } else { (2, 0) };
    assert_eq!((context, cancelled), expected);
    assert_eq!((stats.ended, stats.ends.total()), (6, 6));
}

#[test]
fn a_dropped_job_gives_its_place_back_with_the_next_step() {
    let (gate, before) = Gate::new();
    let (engine, calls) = watched(&[5], Limits { queue_max: 2, ..limits(64, 16) }, 64, before);
    let running = engine.submit(Job { tokens_max: Some(9), ..job(&[1]) }).unwrap();
    gate.arrive();
    let waiting = [2, 3].map(|id| engine.submit(job(&[id])).unwrap());
    assert!(matches!(engine.submit(job(&[4])), Err(Error::QueueFull { queued: 2, most: 2 })));
    drop(waiting);
    gate.pass();
    gate.arrive();
    // The other goes on, and is in no hurry to end.
    let stats = engine.stats();
    assert_eq!((stats.running, stats.queued, stats.ends.cancelled), (1, 0, 2));
    let taken = [5, 6].map(|id| engine.submit(Job { tokens_max: Some(1), ..job(&[id]) }).unwrap());
    gate.open();
    assert_eq!(read(running).0.len(), 9);
    taken.into_iter().for_each(|generation| assert_eq!(read(generation).0.len(), 1));
    let begun = settle(engine, &calls).into_iter().filter(|call| *call == crate::watched::Call::Open).count();
    assert_eq!(begun, 3, "the dropped ones cost no step");
}

#[test]
fn who_is_cancelled_in_the_queue_hears_of_it_before_the_next_step() {
    let (gate, before) = Gate::new();
    let (engine, _) = watched(&[5], limits(64, 16), 64, before);
    let running = engine.submit(Job { tokens_max: Some(3), ..job(&[1]) }).unwrap();
    gate.arrive();
    let mut waiting = engine.submit(job(&[2])).unwrap();
    waiting.canceller().cancel();
    gate.pass();
    gate.arrive();
    let heard = waiting.try_next();
    gate.open();
    assert!(matches!(heard, Some(Event::Finished(_))), "{heard:?}");
    assert_eq!(read(running).0.len(), 3);
}

#[test]
fn a_dropped_job_gives_its_memory_back_with_the_next_step() {
    let (gate, before) = Gate::new();
    let limits = Limits { kv_bytes_max: Some(100 * 256), sequences_max: 2, ..limits(300, 300) };
    let (engine, _) = watched(&[5], limits, 300, before);
    let uncached = |prompt: &[u32]| Job { cached: false, ..job(prompt) };
    let kept = engine.submit(Job { tokens_max: Some(4), ..uncached(&[1]) }).unwrap();
    gate.arrive();
    let dropped = engine.submit(uncached(&[2; 200])).unwrap();
    gate.pass();
    gate.arrive();
    gate.pass();
    gate.arrive();
    assert_eq!(engine.stats().running, 2);
    assert_eq!(engine.stats().kv_blocks, 2 + 1, "its first 64 tokens, whose window has passed");
    drop(dropped);
    gate.pass();
    gate.arrive();
    let stats = engine.stats();
    assert_eq!((stats.running, stats.kv_blocks), (1, 2), "before the step that follows");
    gate.open();
    read(kept);
}
