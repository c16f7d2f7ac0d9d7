//! Jobs under constraints: what is allowed comes and nothing else, forced tokens take no steps, and who waits for a mask holds nobody up.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use super::automaton::failure;
use super::*;
use crate::constrained::{Constrained, Return};

/// How a job ended.
#[derive(Debug, PartialEq)]
enum End {
    Reason(FinishReason),
    Failed(String),
}

/// A job under way: what it has said.
struct Said {
    generation: Generation,
    ids: Vec<u32>,
    guarded: usize,
    end: Option<End>,
}

fn job(constraint: &Automaton, tokens_max: usize) -> Job {
    let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    let (constraint, tokens_max) = (constraint.boxed(), Some(tokens_max));
    Job { sampling, tokens_max, constraint, drafts: Drafts::Off, ..Job::new(vec![5, 6, 7]) }
}

fn free(tokens_max: usize) -> Job {
    Job { constraint: None, ..job(&Automaton::new(vec![vec![1]]), tokens_max) }
}

fn at_temperature(job: Job, temperature: f32) -> Job {
    Job { sampling: Sampling { temperature, seed: 3, ..Sampling::default() }, ..job }
}

fn steps() -> Steps {
    Steps::new(Box::new(model()), limits(400, 24)).unwrap()
}

fn submit(steps: &mut Steps, job: Job) -> Said {
    let (generation, reader) = Generation::new();
    steps.submit(job, reader, Instant::now());
    let newest = steps.waiting.last_mut().unwrap();
    newest.constrained.iter_mut().for_each(Constrained::be_cheap);
    Said { generation, ids: Vec::new(), guarded: 0, end: None }
}

fn step(steps: &mut Steps) {
    steps.prepare(Instant::now());
    steps.step(Instant::now());
    steps.tell_ends();
}

/// Steps until the first of those that run has said so many tokens and sits out, since its next mask is held.
fn step_until_late(steps: &mut Steps, late: &mut Said, place: usize) {
    while late.read().ids.len() < place || !steps.running[0].is_late() {
        step(steps);
    }
    assert_eq!(late.ids.len(), place);
}

impl Said {
    fn read(&mut self) -> &mut Self {
        while let Some(event) = self.generation.try_next() {
            match event {
                Event::Token(token) => self.ids.push(token.id),
                Event::Guarded(_) => self.guarded += 1,
                Event::Finished(finish) => self.end = Some(End::Reason(finish.reason)),
                Event::Failed(Error::Constraint { reason }) => self.end = Some(End::Failed(reason)),
                Event::PromptRead { .. } | Event::PromptLogprobs(_) => {}
                Event::Failed(error) => panic!("{error}"),
            }
        }
        self
    }
}

/// A job alone from beginning to end: what it says, how it ends, and the figures.
fn run(job: Job) -> (Said, Stats) {
    let mut steps = steps();
    let mut said = submit(&mut steps, job);
    while !steps.is_idle() {
        step(&mut steps);
    }
    said.read();
    (said, steps.stats())
}

/// Six tokens, of which four leave no choice.
fn cycle() -> Automaton {
    Automaton::new(vec![(10..30).collect(), vec![7], vec![8], vec![9], (20..50).collect(), vec![3]])
}

fn check(automaton: &Automaton, ids: &[u32]) {
    let mut own = automaton.clone();
    for &id in ids {
        assert!(own.allowed().contains(&id), "{id} at {}", own.at());
        own.push(id).unwrap();
    }
}

#[test]
fn forced_tokens_take_no_steps_and_change_nothing() {
    for temperature in [0.0, 1.0] {
        let (forced, with) = run(at_temperature(job(&cycle(), 60), temperature));
        let (plain, without) = run(at_temperature(job(&cycle().unforced(), 60), temperature));
        check(&cycle(), &forced.ids);
        assert_eq!((&forced.ids, forced.end), (&plain.ids, plain.end));
        assert_eq!(forced.ids.len(), 60);
        assert_eq!((with.steps, with.forced_tokens, with.generated_tokens), (20, 40, 60));
        assert_eq!((without.steps, without.forced_tokens, without.masks), (60, 0, 60));
    }
}

#[test]
fn a_constraint_that_forces_for_ever_keeps_to_limits() {
    let endless = Automaton::new(vec![vec![4], vec![5], vec![6]]);
    let (said, stats) = run(job(&endless, 50));
    assert_eq!((said.ids.len(), said.end, stats.steps), (50, Some(End::Reason(FinishReason::Length)), 1));
    let (said, _) = run(Job { stop_ids: vec![6], ..job(&endless, 50) });
    assert_eq!((&said.ids[..], said.end), (&[4, 5, 6][..], Some(End::Reason(FinishReason::Stop(6)))));
    let (said, stats) = run(Job { tokens_max: None, ..job(&endless, 1) });
    assert_eq!((said.ids.len(), said.end), (CONTEXT - 3, Some(End::Reason(FinishReason::Context))));
    assert_eq!(stats.steps, 1);
}

#[test]
fn drafts_change_nothing() {
    let wide: Vec<u32> = (0..40).collect();
    let narrow: Vec<u32> = (20..50).collect();
    for automaton in [Automaton::new(vec![wide.clone()]), Automaton::new(vec![wide, narrow]), cycle()] {
        for temperature in [0.0, 0.2] {
            let drafts = Drafts::Always(DraftLimits { ngram_min: 2, ngram_max: 4, draft_tokens_max: 6 });
            let own = at_temperature(job(&automaton, 80), temperature);
            let (with, stats) = run(Job { drafts, ..own.clone() });
            let (without, _) = run(own);
            check(&automaton, &with.ids);
            assert_eq!((&with.ids, with.ids.len(), stats.failed), (&without.ids, 80, 0));
            // Behind forced tokens nobody guesses.
            assert!(stats.drafted_tokens > 0 || automaton.allowed().len() == 20, "{stats:?}");
        }
    }
}

#[test]
fn a_guard_goes_through_the_constraint() {
    let thought = Automaton::new(vec![vec![1], (5..50).collect(), (5..40).collect()]).unforced();
    let own = Job { guards: Some(Guards { budget_tokens: Some(6), ..guards() }), ..job(&thought, 20) };
    let (said, stats) = run(Job { constraint: thought.clone().always(&CLOSE).boxed(), ..own.clone() });
    assert_eq!((said.guarded, stats.guarded, said.end), (1, 1, Some(End::Reason(FinishReason::Length))));
    let at = said.ids.windows(3).position(|ids| ids == CLOSE).unwrap();
    let (before, after) = (&said.ids[..at], &said.ids[at + 3..]);
    check(&thought, before);
    let mut behind = thought.clone().always(&CLOSE);
    said.ids[..at + 3].iter().for_each(|&id| behind.push(id).unwrap());
    check(&behind, after);
    let (said, stats) = run(own);
    assert!(matches!(&said.end, Some(End::Failed(reason)) if reason.starts_with("2 is not in")), "{:?}", said.end);
    assert_eq!((stats.failed, &said.ids[..]), (1, before), "what is refused never came");
}

#[test]
fn a_guard_may_strike_among_forced_tokens() {
    let thought = Automaton::new(vec![vec![1], vec![5], vec![6], vec![8], vec![9]]).always(&CLOSE);
    let own = Job { guards: Some(Guards { budget_tokens: Some(2), ..guards() }), ..job(&thought, 9) };
    let (said, stats) = run(own);
    assert_eq!(said.ids, [1, 5, 6, 2, 3, 4, 5, 6, 8]);
    assert_eq!((stats.guarded, stats.steps, stats.forced_tokens), (1, 1, 5));
}

#[test]
fn a_constraint_that_fails_ends_its_job_alone() {
    let wide = || Automaton::new(vec![(10..50).collect()]);
    let at =
        |place: usize, reason: &'static str| move |at: usize| if at == place { Err(failure(reason)) } else { Ok(()) };
    let panics = |at: usize| if at == 3 { panic!("as told") } else { Ok(()) };
    let broken = [
        (wide().before_mask(at(0, "no first mask")), "no first mask", 0),
        (wide().before_mask(at(3, "no mask")), "no mask", 3),
        (wide().before_push(at(3, "no push")), "no push", 3),
        (wide().before_mask(panics), "the constraint panicked; report this", 3),
        (wide().before_push(panics), "the constraint panicked; report this", 3),
        (Automaton::new(vec![(10..50).collect(), Vec::new()]), "the constraint allows no token at all; report this", 1),
        (
            Automaton::new(vec![vec![10], vec![50]]),
            "the constraint forces token 50 of a vocabulary of 50; report this",
            1,
        ),
    ];
    for (automaton, reason, tokens) in broken {
        for drafts in [Drafts::Off, Drafts::Always(DraftLimits { ngram_min: 2, ngram_max: 4, draft_tokens_max: 6 })] {
            let mut steps = steps();
            let jobs = [Job { drafts, ..job(&automaton, 30) }, free(30), job(&wide(), 30)];
            let mut said = jobs.map(|job| submit(&mut steps, job));
            while !steps.is_idle() {
                step(&mut steps);
            }
            let [broken, free_one, constrained] = said.each_mut().map(Said::read);
            assert_eq!((broken.end.as_ref(), broken.ids.len()), (Some(&End::Failed(reason.into())), tokens));
            assert_eq!(free_one.ids, run(free(30)).0.ids);
            assert_eq!(constrained.ids, run(job(&wide(), 30)).0.ids);
            assert_eq!((steps.stats().failed, steps.stats().ended), (1, 3));
            steps.cache.as_mut().unwrap().clear(&mut *steps.model);
            assert_eq!(steps.model.kv_blocks_in_use(), 0, "nothing is leaked");
        }
    }
}

/// The same automaton with a mask that waits, at one place, until the sender says a word or is dropped.
fn held(automaton: Automaton, place: usize) -> (Automaton, Sender<()>) {
    let (word, wait) = channel();
    let wait = Mutex::new(wait);
    let before = move |at| {
        if at == place {
            let _ = wait.lock().unwrap().recv();
        }
        Ok(())
    };
    (automaton.before_mask(before), word)
}

fn wide() -> Automaton {
    Automaton::new(vec![(0..40).collect(), (20..50).collect()])
}

#[test]
fn a_late_mask_holds_nobody_up_and_takes_no_step_again() {
    for place in [0, 2] {
        let (slow, word) = held(wide(), place);
        let mut steps = steps();
        let mut late = submit(&mut steps, job(&slow, 12));
        let mut other = submit(&mut steps, free(30));
        let mut constrained = submit(&mut steps, job(&wide(), 30));
        while other.read().end.is_none() || constrained.read().end.is_none() {
            step(&mut steps);
            assert!(late.read().ids.len() <= place);
        }
        let mut newcomer = submit(&mut steps, job(&cycle(), 12));
        while newcomer.read().end.is_none() {
            step(&mut steps);
        }
        step_until_late(&mut steps, &mut late, place);
        let before = steps.stats();
        assert!(before.late_masks > 0 && !steps.is_idle());
        // Nobody else is left: steps wait, and compute nothing.
        (0..3).for_each(|_| step(&mut steps));
        assert_eq!(steps.stats().steps, before.steps);
        drop(word);
        while !steps.is_idle() {
            step(&mut steps);
        }
        assert_eq!(late.read().ids, run(job(&wide(), 12)).0.ids);
        let steps_after = steps.stats().steps - before.steps;
        assert_eq!(steps_after as usize, 12 - place - 1, "the row that waited is not computed again");
        assert_eq!(other.ids, run(free(30)).0.ids);
        assert_eq!(constrained.ids, run(job(&wide(), 30)).0.ids);
    }
}

#[test]
fn who_waits_for_a_mask_can_be_cancelled_and_runs_out_of_time() {
    for cancels in [true, false] {
        let (slow, word) = held(wide(), 2);
        let mut steps = steps();
        let deadline = (!cancels).then(|| Instant::now() + Duration::from_secs(3600));
        let mut late = submit(&mut steps, Job { deadline, ..job(&slow, 12) });
        step_until_late(&mut steps, &mut late, 2);
        if cancels {
            late.generation.canceller().cancel();
            step(&mut steps);
        } else {
            steps.prepare(Instant::now() + Duration::from_secs(7200));
            steps.tell_ends();
        }
        let reason = if cancels { FinishReason::Cancelled } else { FinishReason::Deadline };
        assert_eq!((late.read().ids.len(), &late.end, steps.is_idle()), (2, &Some(End::Reason(reason)), true));
        // Its mask comes when nobody wants it any more.
        drop(word);
        let mut next = submit(&mut steps, job(&wide(), 12));
        while !steps.is_idle() {
            step(&mut steps);
        }
        assert_eq!(next.read().ids, run(job(&wide(), 12)).0.ids);
    }
}

#[test]
fn who_waits_for_a_mask_can_be_set_back() {
    let (slow, word) = held(wide(), 2);
    // Enough for one long job, and for the beginning of a short one.
    let mut steps = Steps::new(Box::new(model()), limits(28, 24)).unwrap();
    let mut late = submit(&mut steps, job(&slow, 12));
    step_until_late(&mut steps, &mut late, 2);
    // It goes before who came first.
    let mut other = submit(&mut steps, Job { priority: Priority::High, ..free(90) });
    while other.read().end.is_none() {
        step(&mut steps);
    }
    let stats = steps.stats();
    assert!(stats.late_masks > 0 && stats.preempted > 0, "{stats:?}");
    assert_eq!(late.read().ids.len(), 2);
    drop(word);
    while !steps.is_idle() {
        step(&mut steps);
    }
    assert_eq!(late.read().ids, run(job(&wide(), 12)).0.ids);
    assert_eq!(other.ids, run(free(90)).0.ids);
}

#[test]
fn masks_that_take_long_are_not_computed_between_drafts() {
    let mut own = Constrained::new(wide().boxed().unwrap());
    assert!(!own.is_cheap() && !own.is_ready());
    for (took_us, is_cheap) in [(999, true), (1000, false), (1, true)] {
        let loan = own.lend().unwrap();
        assert!(own.lend().is_none(), "it is away");
        let (mut held, took) = (loan.held, Duration::from_micros(took_us));
        let mask = held.mask(VOCABULARY).0;
        own.take_back(Return { held, mask, took });
        assert!(own.lend().is_none(), "it has its mask");
        assert_eq!((own.is_ready(), own.is_cheap()), (true, is_cheap));
        let id = own.take_mask().unwrap().ids().next().unwrap();
        own.push(id).unwrap();
    }
}
