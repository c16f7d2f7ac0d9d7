//! Masks that do not come: the engine hears everything else meanwhile.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use engine::{Constraint, ConstraintError, Error, Event, FinishReason, Job, Limits, Mask, Sampling};

use crate::watched::{Call, free, job, read, settle};

/// Allows two tokens, and waits before each mask until a test says so or is gone.
#[derive(Clone, Debug)]
struct Waiting(Arc<Mutex<(Sender<()>, Receiver<()>)>>);

impl Constraint for Waiting {
    fn mask(&mut self) -> Result<Arc<Mask>, ConstraintError> {
        let own = self.0.lock().unwrap();
        // Both fail once the test has let all go on.
        let _ = own.0.send(());
        let _ = own.1.recv();
        Ok(Arc::new(Mask::from_words(32, &[0b1100])))
    }

    fn push(&mut self, id: u32) -> Result<(), ConstraintError> {
        if id < 4 { Ok(()) } else { Err(ConstraintError { reason: format!("{id} came") }) }
    }

    fn forced(&mut self) -> Vec<u32> {
        Vec::new()
    }

    fn boxed_clone(&self) -> Box<dyn Constraint> {
        Box::new(self.clone())
    }
}

/// A constrained job, where it says that it waits, and what lets it go on.
fn waiting(prompt: &[u32]) -> (Job, Receiver<()>, Sender<()>) {
    let ((say, asked), (word, wait)) = (channel(), channel());
    let constraint: Box<dyn Constraint> = Box::new(Waiting(Arc::new(Mutex::new((say, wait)))));
    let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    (Job { constraint: Some(constraint), tokens_max: Some(6), sampling, ..job(prompt) }, asked, word)
}

fn limits() -> Limits {
    Limits { sequences_max: 4, ..Limits::single(64, 16) }
}

#[test]
fn others_come_and_go_while_one_waits_and_then_it_goes_on() {
    let (engine, calls) = free(&[5], limits());
    let (late, asked, word) = waiting(&[1]);
    let late = engine.submit(late).unwrap();
    asked.recv().unwrap();
    for _ in 0..20 {
        let (ids, _) = read(engine.submit(Job { tokens_max: Some(9), ..job(&[2]) }).unwrap());
        assert_eq!(ids, [5; 9]);
    }
    assert_eq!((engine.stats().running, engine.stats().ended), (1, 20));
    drop((asked, word));
    let (ids, finish) = read(late);
    assert_eq!((&ids[..], finish.reason), (&[2; 6][..], FinishReason::Length));
    let stats = engine.stats();
    assert_eq!((stats.masks, stats.late_masks > 0, stats.failed), (6, true, 0));
    let steps = settle(engine, &calls).into_iter().filter(|call| matches!(call, Call::Forward(..))).count();
    assert_eq!(steps, 20 * 9 + 6, "no token is computed twice");
}

#[test]
fn who_waits_alone_is_cancelled_or_dropped() {
    for drops in [false, true] {
        let (engine, _) = free(&[5], limits());
        let (late, asked, _word) = waiting(&[1]);
        let late = engine.submit(late).unwrap();
        asked.recv().unwrap();
        if drops {
            drop(late);
        } else {
            late.canceller().cancel();
            assert_eq!(read(late).1.reason, FinishReason::Cancelled);
        }
        assert!(engine.wait_for_jobs(std::time::Duration::from_secs(60)), "the engine sleeps");
        assert_eq!(engine.stats().ends.cancelled, 1);
    }
}

#[test]
fn dropping_the_engine_does_not_wait_for_a_mask() {
    let (engine, _) = free(&[5], limits());
    let (late, asked, _word) = waiting(&[1]);
    let late = engine.submit(late).unwrap();
    asked.recv().unwrap();
    drop(engine);
    assert_eq!(read(late).1.reason, FinishReason::Cancelled);
}

#[test]
fn a_failure_says_what_and_the_engine_lives() {
    let (engine, _) = free(&[5], limits());
    let forced = engine::Guards {
        reasoning: engine::ReasoningShape { open: vec![1], ends: vec![9], close: vec![9] },
        budget_tokens: Some(2),
        loops: None,
    };
    let (own, ..) = waiting(&[1]);
    let generation = engine.submit(Job { guards: Some(forced), ..own }).unwrap();
    let mut events: Vec<Event> = generation.collect();
    let last = events.pop().unwrap();
    let Event::Failed(error @ Error::Constraint { .. }) = last else { panic!("{last:?}") };
    assert_eq!(error.to_string(), "the output cannot be held to its form: 9 came");
    let tokens = events.iter().filter(|event| matches!(event, Event::Token(token) if token.id == 2)).count();
    assert_eq!((tokens, engine.stats().failed), (2, 1));
    assert_eq!(read(engine.submit(Job { tokens_max: Some(1), ..job(&[4]) }).unwrap()).0, [5]);
}

#[test]
fn a_prompts_own_log_probabilities_go_with_a_constraint() {
    let (engine, _) = free(&[5], limits());
    let (own, asked, word) = waiting(&[1, 2, 3]);
    drop((asked, word));
    let (ids, _) = read(engine.submit(Job { prompt_logprobs: Some(2), ..own.clone() }).unwrap());
    assert_eq!(ids, [2; 6]);
    let nothing = Job { prompt_logprobs: Some(2), tokens_max: Some(0), ..own };
    assert_eq!(read(engine.submit(nothing).unwrap()).1.reason, FinishReason::Length);
    assert_eq!(engine.stats().masks, 6, "none for who wants no token");
}
