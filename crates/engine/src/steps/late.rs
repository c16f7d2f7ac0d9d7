//! Masks that are not there when their logits are: how long a step waits for them, and how sequences go on without another pass of the
//! model. It must not know how masks are computed.

use std::time::{Duration, Instant};

use super::Steps;
use crate::constrained::{Constrained, Return};
use crate::scheduler::Row;
use crate::sequence::Sequence;
use crate::stats::Stats;

/// A step waits at least so long for a mask, and at least this share of the time that it took.
pub(super) const GRACE_MIN: Duration = Duration::from_millis(1);
const GRACE_SHARE: u32 = 20;

/// Waiting for nothing but masks, the engine looks so often whether somebody has come, gone or run out of time.
const SLICE: Duration = Duration::from_millis(5);

impl Steps {
    /// Has the mask behind a running sequence's last token computed, beside whatever the model does meanwhile.
    pub(super) fn ask_for_mask(&mut self, member: usize) {
        let sequence = &mut self.running[member];
        if let Some(loan) = sequence.constrained.as_mut().and_then(Constrained::lend) {
            self.masks.lend(sequence.number, loan);
        }
    }

    /// Waits for the masks of these rows, not much longer than the step took: others go on with the next. Who is alone has time.
    pub(super) fn wait_for_masks<'a>(&mut self, rows: impl Iterator<Item = &'a Row> + Clone, took: Duration) {
        let is_alone = self.running.len() == 1 && self.waiting.is_empty();
        let grace = if is_alone { SLICE.max(self.grace_min) } else { self.grace_min.max(took / GRACE_SHARE) };
        let until = Instant::now() + grace;
        while rows.clone().any(|row| self.running[self.member(row.number)].awaits_mask(row)) {
            let Some((number, returned)) = self.masks.next(Some(until)) else { break };
            self.take_back(number, returned);
        }
    }

    /// Keeps a row's logits `[vocabulary]` until their mask comes; until then the sequence sits out. What it tried was in vain.
    pub(super) fn put_off(&mut self, member: usize, row: &Row, logits: &[f32]) {
        let sequence = &mut self.running[member];
        sequence.constrained.iter_mut().for_each(|own| own.keep_row(logits));
        if row.drafts > 0 {
            sequence.rest_draft();
            self.model.truncate(sequence.id.expect("it runs"), sequence.computed);
        }
        self.stats.late_masks += 1;
        self.keep_prefix(member);
        self.forget(member);
    }

    /// Takes the masks that have come, and chooses by those whose rows wait for them.
    pub(super) fn choose_late(&mut self, now: Instant) {
        while let Some((number, returned)) = self.masks.next(None) {
            self.take_back(number, returned);
        }
        let late = self.running.iter_mut().filter_map(|sequence| Some((sequence.number, sequence.take_row()?)));
        for (number, mut row) in late.collect::<Vec<_>>() {
            self.choose(self.member(number), 0, &mut row, now);
        }
    }

    /// If anybody waits for a mask: waits for the first that comes, a little while.
    pub(super) fn wait_for_late(&mut self) {
        if self.running.iter().any(Sequence::is_late)
            && let Some((number, returned)) = self.masks.next(Some(Instant::now() + SLICE))
        {
            self.take_back(number, returned);
        }
    }

    /// Gives a constraint back to its sequence, unless that has ended.
    fn take_back(&mut self, number: u64, returned: Return) {
        self.stats.count_mask(returned.took);
        let mut everyone = self.running.iter_mut().chain(&mut self.waiting);
        let sequence = everyone.find(|sequence| sequence.number == number);
        if let Some(own) = sequence.and_then(|sequence| sequence.constrained.as_mut()) {
            own.take_back(returned);
        }
    }
}

impl Sequence {
    /// The row that waits for a mask, once that is there.
    fn take_row(&mut self) -> Option<Vec<f32>> {
        self.constrained.as_mut().filter(|own| own.is_ready())?.row_mut().take()
    }

    /// Sees to the mask behind a token that was on trial; whether it is there. One that may take long is left to another thread.
    pub(super) fn compute_mask(&mut self, vocabulary_size: usize, stats: &mut Stats) -> bool {
        let Some(own) = &mut self.constrained else { return true };
        if own.take_ready() {
            return true;
        }
        let took = if own.is_cheap() { own.compute(vocabulary_size) } else { None };
        took.into_iter().for_each(|took| stats.count_mask(took));
        took.is_some()
    }
}
