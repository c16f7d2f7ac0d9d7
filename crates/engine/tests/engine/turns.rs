//! Jobs one after another, whatever became of the one before.

use engine::{Error, Event, FinishReason, Job};

use crate::watched::{Call, free, job, limits, read, settle, watched};

/// More events than any job here has: a generation that never ends fails a test instead of filling the memory.
const EVENTS_MAX: usize = 64;

/// Sequences are opened one at a time, and each is closed.
fn assert_balanced(calls: &[Call], jobs: usize) {
    let edges: Vec<&Call> = calls.iter().filter(|call| !matches!(call, Call::Forward(..))).collect();
    assert_eq!(edges.len(), 2 * jobs);
    assert!(edges.chunks(2).all(|pair| *pair == [&Call::Open, &Call::Close]), "{edges:?}");
}

#[test]
fn jobs_run_in_turn_and_know_nothing_of_each_other() {
    let (engine, calls) = free(&[5, 6, 7], limits(64, 16));
    let generations = [1, 2, 3].map(|id| engine.submit(Job { tokens_max: Some(3), ..job(&[id]) }).unwrap());
    // Read in another order than they run in: a reader holds nobody up.
    for generation in generations.into_iter().rev() {
        let (ids, finish) = read(generation);
        assert_eq!((&ids[..], finish.reason, finish.prompt_tokens), (&[5, 6, 7][..], FinishReason::Length, 1));
    }
    let calls = settle(engine, &calls);
    assert_balanced(&calls, 3);
    let begun = calls.iter().filter_map(|call| match call {
        Call::Forward(ids, _) if ids[0] < 5 => Some(ids[0]),
        Call::Forward(..) | Call::Open | Call::OpenFrom(_) | Call::Close => None,
    });
    assert_eq!(begun.collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_failure_ends_its_own_job_only() {
    // Step 2 is in the prompt, step 4 is the step after the first token.
    for (failing, tokens) in [(2, 0), (4, 1)] {
        let before = move |step| {
            if step == failing { Err(model::Error::NonFiniteLogits { token: 11 }) } else { Ok(()) }
        };
        let (engine, calls) = watched(&[5, 6], limits(64, 2), 64, Box::new(before));
        let mut first = engine.submit(job(&[1; 6])).unwrap();
        let second = engine.submit(Job { tokens_max: Some(2), ..job(&[2]) }).unwrap();
        let events: Vec<Event> = first.by_ref().take(EVENTS_MAX).collect();
        let found = events.iter().filter(|event| matches!(event, Event::Token(_))).count();
        assert_eq!(found, tokens);
        let last = events.last();
        assert!(
            matches!(last, Some(Event::Failed(Error::Model(model::Error::NonFiniteLogits { token: 11 })))),
            "{last:?}"
        );
        assert!(first.next().is_none(), "nothing follows a failure");
        assert_eq!(read(second).0, [5, 6]);
        assert_balanced(&settle(engine, &calls), 2);
    }
}

#[test]
fn a_model_that_panics_stops_the_engine_but_no_reader_waits() {
    let (engine, _) = watched(&[5], limits(64, 16), 64, Box::new(|_| panic!("this panic is part of the test")));
    let last = engine.submit(job(&[1])).unwrap().take(EVENTS_MAX).last();
    assert!(matches!(last, Some(Event::Failed(Error::Stopped))), "{last:?}");
    // Either the thread is gone by now, or it goes with the job in its queue.
    match engine.submit(job(&[1])) {
        Ok(generation) => assert!(matches!(generation.take(EVENTS_MAX).last(), Some(Event::Failed(Error::Stopped)))),
        Err(error) => assert!(matches!(error, Error::Stopped)),
    }
}
