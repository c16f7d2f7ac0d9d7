//! Steps that ask the model for choices only, beside steps that ask for all logits. The model spoils all logits but the one that is chosen where
//! nobody asks for them.

use std::sync::Arc;
use std::time::Duration;

use engine::{Constraint, ConstraintError, DraftLimits, Drafts, Engine, Job, Limits, Mask, Sampled, Sampling};
use model::Scripted;

use crate::logprobs::{hear, prompt, samplings};
use crate::watched::{VOCABULARY, config, job};

/// Forbids a third of the vocabulary, another one each time; now and then its mask takes longer than a step waits.
#[derive(Clone, Debug)]
struct Thirds {
    pushed: usize,
    every_late: usize,
}

impl Constraint for Thirds {
    fn mask(&mut self) -> Result<Arc<Mask>, ConstraintError> {
        if self.pushed % self.every_late == self.every_late - 1 {
            std::thread::sleep(Duration::from_millis(15));
        }
        let mut mask = Mask::none(VOCABULARY);
        (0..VOCABULARY).filter(|id| id % 3 != self.pushed % 3).for_each(|id| mask.allow(id as u32));
        Ok(Arc::new(mask))
    }

    fn push(&mut self, _: u32) -> Result<(), ConstraintError> {
        self.pushed += 1;
        Ok(())
    }

    fn forced(&mut self) -> Vec<u32> {
        Vec::new()
    }

    fn boxed_clone(&self) -> Box<dyn Constraint> {
        Box::new(self.clone())
    }
}

fn engine() -> Engine {
    let noisy = Scripted::noisy(config(4096), 5, vec![(7, 6.0), (9, 6.0)]);
    Engine::new(Box::new(noisy), Limits::single(4096, 64)).unwrap()
}

/// What comes where log probabilities are asked for, and where they are not; tokens must be the same.
fn both(engine: &Engine, job: &Job) -> [Vec<Sampled>; 2] {
    let said = [Some(0), None].map(|top_logprobs| {
        let job = Job { top_logprobs, ..job.clone() };
        hear(engine.submit(job).unwrap()).tokens
    });
    let ids = said.each_ref().map(|tokens| tokens.iter().map(|token| token.id).collect::<Vec<_>>());
    assert_eq!(ids[0], ids[1], "{:?}", job.sampling);
    said
}

/// Settings of all kinds; the last two leave a choice.
fn all() -> Vec<Sampling> {
    let warm = Sampling { temperature: 0.8, seed: 11, ..Sampling::default() };
    let greatest = Sampling { top_k: 1, ..warm.clone() };
    samplings().into_iter().chain([warm, greatest]).collect()
}

fn text() -> Vec<u32> {
    prompt(5, 70).into_iter().map(|id| id % VOCABULARY as u32).collect()
}

#[test]
fn whether_probabilities_are_asked_for_changes_no_token() {
    let engine = engine();
    for sampling in all() {
        for drafts in [Drafts::Off, Drafts::Always(DraftLimits::default())] {
            let job = Job { sampling: sampling.clone(), drafts, tokens_max: Some(60), ..job(&text()) };
            let [asked, unasked] = both(&engine, &job);
            let is_free = sampling.logit_bias.is_empty() && sampling.top_k <= 1;
            let are_equal = asked.iter().zip(&unasked).all(|(asked, unasked)| asked.logprob == unasked.logprob);
            assert_eq!(are_equal, !is_free, "all is computed where a setting needs all, and only there: {sampling:?}");
        }
    }
    assert!(engine.stats().accepted_tokens > 50, "draws of later rows count, too: {:?}", engine.stats());
}

#[test]
fn what_a_mask_forbids_is_chosen_anew_from_all() {
    let engine = engine();
    for sampling in all() {
        for (drafts, every_late) in [(Drafts::Off, 1000), (Drafts::Off, 6), (Drafts::Always(DraftLimits::default()), 6)]
        {
            let constraint: Option<Box<dyn Constraint>> = Some(Box::new(Thirds { pushed: 0, every_late }));
            let job = Job { sampling: sampling.clone(), drafts, constraint, tokens_max: Some(40), ..job(&text()) };
            let [said, _] = both(&engine, &job);
            assert!(said.iter().enumerate().all(|(place, token)| token.id as usize % 3 != place % 3));
        }
    }
}
