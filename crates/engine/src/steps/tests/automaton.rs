//! A constraint that a test can see through: sets of tokens in a cycle. It must not know the engine.

use std::sync::{Arc, Condvar, Mutex};

use crate::constraint::{Constraint, ConstraintError, Mask};

/// What happens before something at a place, counted in tokens.
type Before = Arc<dyn Fn(usize) -> Result<(), ConstraintError> + Send + Sync>;

/// One set of tokens after another, and from the beginning.
#[derive(Clone)]
pub(super) struct Automaton {
    sets: Arc<Vec<Vec<u32>>>,
    at: usize,
    forces: bool,
    /// Taken at any place, though no mask allows them.
    always: Vec<u32>,
    before_mask: Before,
    before_push: Before,
}

impl Automaton {
    pub(super) fn new(sets: Vec<Vec<u32>>) -> Self {
        let nothing: Before = Arc::new(|_| Ok(()));
        let (before_mask, before_push) = (Arc::clone(&nothing), nothing);
        Self { sets: Arc::new(sets), at: 0, forces: true, always: Vec::new(), before_mask, before_push }
    }

    /// One that forces nothing.
    pub(super) fn unforced(self) -> Self {
        Self { forces: false, ..self }
    }

    pub(super) fn always(self, ids: &[u32]) -> Self {
        Self { always: ids.to_vec(), ..self }
    }

    pub(super) fn before_mask(
        self,
        before: impl Fn(usize) -> Result<(), ConstraintError> + Send + Sync + 'static,
    ) -> Self {
        Self { before_mask: Arc::new(before), ..self }
    }

    pub(super) fn before_push(
        self,
        before: impl Fn(usize) -> Result<(), ConstraintError> + Send + Sync + 'static,
    ) -> Self {
        Self { before_push: Arc::new(before), ..self }
    }

    pub(super) fn boxed(&self) -> Option<Box<dyn Constraint>> {
        Some(Box::new(self.clone()))
    }

    /// What may come now.
    pub(super) fn allowed(&self) -> &[u32] {
        &self.sets[self.at % self.sets.len()]
    }

    /// Tokens until now.
    pub(super) fn at(&self) -> usize {
        self.at
    }
}

impl Constraint for Automaton {
    fn mask(&mut self) -> Result<Arc<Mask>, ConstraintError> {
        (self.before_mask)(self.at)?;
        let mut mask = Mask::none(super::VOCABULARY);
        self.allowed().iter().for_each(|&id| mask.allow(id));
        Ok(Arc::new(mask))
    }

    fn push(&mut self, id: u32) -> Result<(), ConstraintError> {
        (self.before_push)(self.at)?;
        if !self.allowed().contains(&id) && !self.always.contains(&id) {
            return Err(failure(format!("{id} is not in {:?}", self.allowed())));
        }
        self.at += 1;
        Ok(())
    }

    fn forced(&mut self) -> Vec<u32> {
        // A few at a time, as constraints may.
        let next = (self.at..self.at + 4).map(|at| &self.sets[at % self.sets.len()]);
        next.take_while(|set| self.forces && set.len() == 1).map(|set| set[0]).collect()
    }

    fn boxed_clone(&self) -> Box<dyn Constraint> {
        Box::new(self.clone())
    }
}

impl std::fmt::Debug for Automaton {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Automaton").field("at", &self.at).finish_non_exhaustive()
    }
}

/// Counts the engine's steps, so that a mask can be late however fast the machine is.
#[derive(Default)]
pub(super) struct StepCount {
    taken: Mutex<u64>,
    changed: Condvar,
}

impl StepCount {
    pub(super) fn advance(&self, steps: u64) {
        *self.taken.lock().unwrap() += steps;
        self.changed.notify_all();
    }

    /// Waits until so many more were taken.
    pub(super) fn wait(&self, steps: u64) {
        let taken = self.taken.lock().unwrap();
        let until = *taken + steps;
        drop(self.changed.wait_while(taken, |taken| *taken < until).unwrap());
    }
}

pub(super) fn failure(reason: impl Into<String>) -> ConstraintError {
    ConstraintError { reason: reason.into() }
}
