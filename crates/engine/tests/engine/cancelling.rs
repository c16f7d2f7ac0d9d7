//! Ends before the end: a dropped reader, a canceller, a dropped engine.

use std::sync::mpsc::channel;
use std::time::Duration;

use engine::FinishReason;

use crate::watched::{Call, Gate, free, job, limits, read, settle, watched};

fn forwards(calls: &[Call]) -> usize {
    calls.iter().filter(|call| matches!(call, Call::Forward(..))).count()
}

#[test]
fn dropping_a_generation_frees_the_engine() {
    let (gate, before) = Gate::new();
    let (engine, calls) = watched(&[5], limits(10, 16), 10, before);
    let dropped = engine.submit(job(&[1])).unwrap();
    let kept = engine.submit(job(&[2])).unwrap();
    gate.arrive();
    drop(dropped);
    gate.open();
    assert_eq!(read(kept).0.len(), 9);
    let calls = settle(engine, &calls);
    assert_eq!(calls.iter().position(|call| *call == Call::Close), Some(2), "one step, and no more: {calls:?}");
    assert_eq!(forwards(&calls), 1 + 9);
}

#[test]
fn a_job_cancelled_while_it_waits_costs_no_step() {
    let (gate, before) = Gate::new();
    let (engine, calls) = watched(&[5], limits(10, 16), 10, before);
    let first = engine.submit(job(&[1])).unwrap();
    let waiting = engine.submit(job(&[2])).unwrap();
    gate.arrive();
    waiting.canceller().cancel();
    gate.open();
    assert_eq!(read(first).0.len(), 9);
    let (ids, finish) = read(waiting);
    assert_eq!((ids.len(), finish.reason), (0, FinishReason::Cancelled));
    assert_eq!(forwards(&settle(engine, &calls)), 9);
}

#[test]
fn cancelling_while_the_prompt_is_read() {
    let (gate, before) = Gate::new();
    let (engine, calls) = watched(&[5], limits(10, 2), 10, before);
    let generation = engine.submit(job(&[1; 6])).unwrap();
    let canceller = generation.canceller();
    gate.arrive();
    gate.pass();
    gate.arrive();
    canceller.clone().cancel();
    gate.open();
    let (ids, finish) = read(generation);
    assert_eq!((ids.len(), finish.reason), (0, FinishReason::Cancelled));
    assert_eq!((finish.first_token, finish.decode), (None, None));
    assert_eq!(finish.kv_bytes, 4, "two chunks of two were computed");
    assert_eq!(forwards(&settle(engine, &calls)), 2);
}

#[test]
fn cancelling_while_tokens_are_generated() {
    let (gate, before) = Gate::new();
    let (engine, calls) = watched(&[5, 6, 7, 8], limits(64, 16), 64, before);
    let generation = engine.submit(job(&[1])).unwrap();
    let canceller = generation.canceller();
    gate.arrive();
    gate.pass();
    gate.arrive();
    canceller.cancel();
    gate.open();
    let (ids, finish) = read(generation);
    assert_eq!((&ids[..], finish.reason), (&[5, 6][..], FinishReason::Cancelled), "the held step is finished");
    assert_eq!(forwards(&settle(engine, &calls)), 2);
}

#[test]
fn dropping_the_engine_ends_every_job() {
    // Far more steps than can be taken before `drop` is called; each rests a little, so that this fails in bounded time
    // and memory should the engine ever work on. How fast anything is does not matter otherwise.
    const CONTEXT: usize = 10_000;
    let (enter, entered) = channel();
    let before = move |step| {
        if step == 3 {
            enter.send(()).unwrap();
        } else if step > 3 {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    };
    let (engine, calls) = watched(&[5], limits(CONTEXT, 16), CONTEXT, Box::new(before));
    let running = engine.submit(job(&[1])).unwrap();
    let waiting = [2, 3].map(|id| engine.submit(job(&[id])).unwrap());
    entered.recv().unwrap();
    let calls = settle(engine, &calls);
    let (ids, finish) = read(running);
    assert_eq!(finish.reason, FinishReason::Cancelled);
    assert!((2..CONTEXT - 1).contains(&ids.len()));
    assert_eq!(forwards(&calls), ids.len(), "the jobs that waited cost no step");
    for generation in waiting {
        let (ids, finish) = read(generation);
        assert_eq!((ids.len(), finish.reason), (0, FinishReason::Cancelled));
    }
}

#[test]
fn what_was_generated_is_read_after_the_engine_is_gone() {
    let (engine, _) = free(&[5, 6], limits(64, 16));
    let generation = engine.submit(engine::Job { tokens_max: Some(2), ..job(&[1]) }).unwrap();
    // The next job is generated only when the one before is done.
    read(engine.submit(engine::Job { tokens_max: Some(1), ..job(&[1]) }).unwrap());
    drop(engine);
    let (ids, finish) = read(generation);
    assert_eq!((&ids[..], finish.reason), (&[5, 6][..], FinishReason::Length));
}
