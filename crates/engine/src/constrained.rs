//! A sequence's constraint on its way: where it is, the mask behind the last token, and a row of logits that waits for one. It must not
//! know threads, other sequences or why something is forbidden.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::constraint::{Constraint, ConstraintError, Mask};

/// Masks that took less are computed between drafts, on the step thread.
const CHEAP: Duration = Duration::from_millis(1);

/// A constraint whose panics are errors, since whoever wrote it must not end the engine.
pub(crate) struct Held(Option<Box<dyn Constraint>>);

/// A constraint that is lent to have its mask computed.
pub(crate) struct Loan {
    pub(crate) held: Held,
    /// What its last mask took; nothing before the first.
    pub(crate) took: Option<Duration>,
    /// Gone once nobody wants the mask any more.
    pub(crate) wanted: Weak<()>,
}

/// A constraint that comes back with its mask.
pub(crate) struct Return {
    pub(crate) held: Held,
    pub(crate) mask: Result<Arc<Mask>, ConstraintError>,
    pub(crate) took: Duration,
}

/// What a sequence has of its constraint.
pub(crate) struct Constrained {
    /// Nothing while it is lent.
    held: Option<Held>,
    /// Behind the last token.
    mask: Option<Result<Arc<Mask>, ConstraintError>>,
    took: Option<Duration>,
    /// Masks that took less are computed between drafts.
    cheap: Duration,
    wanted: Arc<()>,
    /// Logits behind the last token `[vocabulary]`, whose mask was late.
    row: Option<Vec<f32>>,
}

impl Constrained {
    pub(crate) fn new(constraint: Box<dyn Constraint>) -> Self {
        let (held, wanted) = (Some(Held::new(constraint)), Arc::new(()));
        Self { held, mask: None, took: None, cheap: CHEAP, wanted, row: None }
    }

    /// Has every mask pass for cheap once one was computed, however slow the machine is.
    #[cfg(test)]
    pub(crate) fn be_cheap(&mut self) {
        self.cheap = Duration::MAX;
    }

    /// Whether the next token can be chosen, or is known to fail.
    pub(crate) fn is_ready(&self) -> bool {
        self.mask.is_some()
    }

    /// Whether a mask takes no longer than it takes to ask another thread for it, as far as is known.
    pub(crate) fn is_cheap(&self) -> bool {
        self.took.is_some_and(|took| took < self.cheap)
    }

    /// Hands the constraint over to have its mask computed, unless that was done already.
    pub(crate) fn lend(&mut self) -> Option<Loan> {
        self.take_ready();
        let held = self.held.take_if(|_| self.mask.is_none())?;
        Some(Loan { held, took: self.took, wanted: Arc::downgrade(&self.wanted) })
    }

    /// Takes the mask if it lies ready; whether the next token can be chosen.
    pub(crate) fn take_ready(&mut self) -> bool {
        if let (None, Some(held)) = (&self.mask, &mut self.held) {
            self.mask = held.guarded(|constraint| Ok(constraint.ready_mask())).transpose();
        }
        self.is_ready()
    }

    /// Takes the constraint back.
    pub(crate) fn take_back(&mut self, returned: Return) {
        let Return { held, mask, took } = returned;
        (self.held, self.mask, self.took) = (Some(held), Some(mask), Some(took));
    }

    /// Computes the mask here, and says what it took.
    pub(crate) fn compute(&mut self, vocabulary_size: usize) -> Option<Duration> {
        let held = self.held.as_mut()?;
        let (mask, took) = held.mask(vocabulary_size);
        (self.mask, self.took) = (Some(mask), Some(took));
        Some(took)
    }

    /// Whether the mask leaves other tokens than this one, several of them.
    pub(crate) fn forbids(&self, id: u32) -> bool {
        let mask = self.mask.as_ref().and_then(|mask| mask.as_ref().ok());
        mask.is_some_and(|mask| mask.only().is_none() && !mask.allows(id))
    }

    /// The mask to choose the next token by.
    ///
    /// # Errors
    /// When the constraint could not tell it.
    pub(crate) fn take_mask(&mut self) -> Result<Arc<Mask>, ConstraintError> {
        self.mask.take().expect("nobody chooses before the mask is there")
    }

    /// Takes the token that came.
    ///
    /// # Errors
    /// When the constraint refuses it.
    pub(crate) fn push(&mut self, id: u32) -> Result<(), ConstraintError> {
        self.mask = None;
        self.held().guarded(|constraint| constraint.push(id))
    }

    /// Tokens that come next whatever the model says.
    ///
    /// # Errors
    /// When one of them does not exist.
    pub(crate) fn forced(&mut self, vocabulary_size: usize) -> Result<Vec<u32>, ConstraintError> {
        let ids = self.held().guarded(|constraint| Ok(constraint.forced()))?;
        match ids.iter().find(|&&id| id as usize >= vocabulary_size) {
            None => Ok(ids),
            Some(id) => Err(error(format!(
                "the constraint forces token {id} of a vocabulary of {vocabulary_size}; report this"
            ))),
        }
    }

    /// Keeps the row of the next token until its mask comes.
    pub(crate) fn keep_row(&mut self, logits: &[f32]) {
        self.row = Some(logits.to_vec());
    }

    /// The row that was kept.
    pub(crate) fn row_mut(&mut self) -> &mut Option<Vec<f32>> {
        &mut self.row
    }

    /// Whether a row waits for its mask.
    pub(crate) fn is_late(&self) -> bool {
        self.row.is_some()
    }

    fn held(&mut self) -> &mut Held {
        self.held.as_mut().expect("a constraint is back before a token comes")
    }
}

impl Held {
    pub(crate) fn new(constraint: Box<dyn Constraint>) -> Self {
        Self(Some(constraint))
    }

    /// The mask for a vocabulary of so many tokens, of which it allows one at least, and what it took.
    pub(crate) fn mask(&mut self, vocabulary_size: usize) -> (Result<Arc<Mask>, ConstraintError>, Duration) {
        let began = Instant::now();
        let mask = self.guarded(|constraint| constraint.mask());
        let took = began.elapsed();
        let allows = |mask: &Mask| mask.ids().next().is_some_and(|id| (id as usize) < vocabulary_size);
        let mask = match mask {
            Ok(mask) if !allows(&mask) => Err(error("the constraint allows no token at all; report this".to_owned())),
            mask => mask,
        };
        (mask, took)
    }

    fn guarded<T>(
        &mut self,
        call: impl FnOnce(&mut Box<dyn Constraint>) -> Result<T, ConstraintError>,
    ) -> Result<T, ConstraintError> {
        let constraint = self.0.as_mut().expect("it is there until it is dropped");
        // Whatever state a panic leaves behind is not looked at again: the job fails.
        let outcome = catch_unwind(AssertUnwindSafe(|| call(constraint)));
        outcome.unwrap_or_else(|_| Err(error("the constraint panicked; report this".to_owned())))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let constraint = self.0.take();
        // Nobody is left who could be told.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(constraint)));
    }
}

fn error(reason: String) -> ConstraintError {
    ConstraintError { reason }
}
