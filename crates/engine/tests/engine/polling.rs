//! Generations that are polled: one thread reads hundreds of them, woken by hand-made wakers and by nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use engine::{Engine, Error, Event, FinishReason, Generation, Job, Limits};

use crate::watched::{Gate, free, job, limits, watched};

/// A lost wake-up fails a test after this instead of holding it for ever. Nothing waits so long otherwise.
const LOST: Duration = Duration::from_secs(120);

/// Says whom to poll.
struct Bell {
    index: usize,
    rings: Sender<usize>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // The executor may have gone.
        let _ = self.rings.send(self.index);
    }
}

/// What came of generations that were polled by one thread.
struct Polled {
    tokens: Vec<Vec<u32>>,
    reasons: HashMap<usize, FinishReason>,
    failed: usize,
    polls: usize,
    rings: usize,
}

/// Reads all generations to their ends; `each` sees every token and may drop a generation by saying so.
fn poll_all(generations: Vec<Generation>, mut each: impl FnMut(usize, &Generation, usize) -> bool) -> Polled {
    let (rings, rung) = channel();
    let mut polled =
        Polled { tokens: vec![Vec::new(); generations.len()], reasons: HashMap::new(), failed: 0, polls: 0, rings: 0 };
    let mut tasks: Vec<(Option<Generation>, Waker)> = (generations.into_iter().enumerate())
        .map(|(index, generation)| (Some(generation), Arc::new(Bell { index, rings: rings.clone() }).into()))
        .collect();
    (0..tasks.len()).for_each(|index| rings.send(index).unwrap());
    let mut left = tasks.len();
    while left > 0 {
        let index = rung.recv_timeout(LOST).expect("a wake-up is lost");
        polled.rings += 1;
        let (task, waker) = &mut tasks[index];
        let Some(generation) = task else { continue };
        let ended = loop {
            polled.polls += 1;
            match generation.poll_next(&mut Context::from_waker(waker)) {
                Poll::Pending => break false,
                Poll::Ready(None) => break true,
                Poll::Ready(Some(Event::Token(token))) => {
                    polled.tokens[index].push(token.id);
                    if each(index, generation, polled.tokens[index].len()) {
                        break true;
                    }
                }
                Poll::Ready(Some(Event::Finished(finish))) => {
                    polled.reasons.insert(index, finish.reason);
                }
                Poll::Ready(Some(Event::Failed(error))) => {
                    assert!(matches!(error, Error::Stopped), "{error}");
                    polled.failed += 1;
                }
                Poll::Ready(Some(Event::PromptRead { .. } | Event::PromptLogprobs(_) | Event::Guarded(_))) => {}
            }
        };
        if ended {
            *task = None;
            left -= 1;
        }
    }
    polled
}

fn many(context_tokens: usize) -> Limits {
    Limits { sequences_max: 8, queue_max: 1000, ..limits(context_tokens, 16) }
}

#[test]
fn one_thread_reads_hundreds_of_generations() {
    let (engine, _) = free(&[5, 6, 7], many(64));
    let generations: Vec<_> =
        (0..400).map(|index| engine.submit(Job { tokens_max: Some(1 + index % 30), ..job(&[1]) }).unwrap()).collect();
    let polled = poll_all(generations, |index, generation, tokens| {
        if index % 7 == 3 && tokens == 5 {
            generation.canceller().cancel();
        }
        index % 7 == 5 && tokens == 5
    });
    for (index, tokens) in polled.tokens.iter().enumerate() {
        let (most, reason) = (1 + index % 30, polled.reasons.get(&index));
        match index % 7 {
            // Dropped, or cancelled while it still ran.
            5 if most >= 5 => assert_eq!((tokens.len(), reason), (5, None)),
            3 if reason == Some(&FinishReason::Cancelled) => assert!(tokens.len() >= 5 && tokens.len() <= most),
            _ => assert_eq!((tokens.len(), reason), (most, Some(&FinishReason::Length))),
        }
        assert!(tokens.iter().zip([5, 6, 7].into_iter().chain([7].into_iter().cycle())).all(|(&a, b)| a == b));
    }
    let events: usize = polled.tokens.iter().map(|tokens| tokens.len() + 3).sum();
    assert!(polled.polls <= events + polled.rings, "{} polls: nobody polls without being woken", polled.polls);
    assert!(polled.rings <= events + polled.tokens.len(), "{} rings for {events} events", polled.rings);
}

#[test]
fn who_waits_in_the_queue_is_not_woken_until_its_turn() {
    let (gate, before) = Gate::new();
    let (engine, _) = watched(&[5], Limits { queue_max: 1000, ..limits(64, 16) }, 64, before);
    let first = engine.submit(Job { tokens_max: Some(3), ..job(&[1]) }).unwrap();
    gate.arrive();
    let (rings, rung) = channel();
    let mut idle: Vec<Generation> =
        (0..200).map(|_| engine.submit(Job { tokens_max: Some(1), ..job(&[1]) }).unwrap()).collect();
    for (index, generation) in idle.iter_mut().enumerate() {
        let waker = Arc::new(Bell { index, rings: rings.clone() }).into();
        assert!(generation.poll_next(&mut Context::from_waker(&waker)).is_pending());
    }
    gate.pass();
    gate.arrive();
    gate.pass();
    gate.arrive();
    assert!(rung.try_recv().is_err(), "two steps of another wake nobody");
    // A reader that is not polled is read by waiting, and both may be mixed.
    gate.open();
    assert_eq!(crate::watched::read(first).0, [5, 5, 5]);
    assert_eq!(rung.recv_timeout(LOST), Ok(0));
    for generation in idle {
        assert_eq!(crate::watched::read(generation).0, [5]);
    }
}

#[test]
fn many_threads_poll_while_others_drop() {
    let (engine, _) = free(&[5], many(64));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let engine: &Engine = &engine;
            scope.spawn(move || {
                for round in 0..5_usize {
                    let submit = |index: usize| {
                        engine.submit(Job { tokens_max: Some(1 + (index * 7 + round) % 20), ..job(&[1]) }).unwrap()
                    };
                    let polled = poll_all((0..12).map(submit).collect(), |index, _, tokens| {
                        (index + thread) % 3 == 0 && tokens == 3
                    });
                    assert!(polled.reasons.len() >= 8);
                }
            });
        }
    });
    assert!(engine.wait_for_jobs(LOST), "{:?}", engine.stats());
}

#[test]
fn a_stopped_engine_wakes_whoever_polls() {
    let (gate, mut before) = Gate::new();
    let panics = move |step| {
        before(step)?;
        panic!("this panic is part of the test")
    };
    let (engine, _) = watched(&[5], many(64), 64, Box::new(panics));
    let generations: Vec<_> = (0..20).map(|_| engine.submit(job(&[1])).unwrap()).collect();
    gate.arrive();
    assert!(engine.is_alive());
    gate.open();
    assert_eq!(poll_all(generations, |_, _, _| false).failed, 20);
    assert!(engine.wait_for_jobs(LOST));
    assert_eq!((engine.is_alive(), engine.jobs_left(), engine.stats().queued), (false, 0, 0));
    assert!(matches!(engine.submit(job(&[1])), Err(Error::Stopped)));
}

#[test]
fn a_dropped_engine_ends_whoever_polls() {
    let (gate, before) = Gate::new();
    let (engine, _) = watched(&[5], many(64), 64, before);
    let generations: Vec<_> = (0..20).map(|_| engine.submit(job(&[1])).unwrap()).collect();
    gate.arrive();
    let polling = std::thread::spawn(move || poll_all(generations, |_, _, _| false));
    gate.open();
    drop(engine);
    let polled = polling.join().unwrap();
    assert_eq!((polled.reasons.len(), polled.failed), (20, 0));
}
