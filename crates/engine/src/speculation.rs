//! A sequence's drafts on trial: whether to try some in the next step, and what came of them. It must not know models or other
//! sequences.

use crate::draft::{DraftOutcome, DraftPace, DraftSituation, DraftSource, NgramDrafts, StepCosts};
use crate::job::Drafts;

/// Drafts of one sequence.
pub(crate) struct Speculation {
    source: NgramDrafts,
    /// Nothing where every match is tried.
    pace: Option<DraftPace>,
    most: usize,
    /// What is tried in this step; empty for none.
    draft: Vec<u32>,
    matched_tokens: usize,
    other_rows: usize,
}

impl Speculation {
    /// Nothing for a sequence that is not to try any.
    pub(crate) fn new(tokens: &[u32], drafts: Drafts) -> Option<Self> {
        let limits = drafts.limits()?;
        let pace = matches!(drafts, Drafts::Paced(_)).then(DraftPace::new);
        let (source, most) = (NgramDrafts::new(tokens, limits), limits.draft_tokens_max);
        Some(Self { source, pace, most, draft: Vec::new(), matched_tokens: 0, other_rows: 0 })
    }

    /// A token was generated.
    pub(crate) fn push(&mut self, id: u32) {
        self.source.push(id);
    }

    /// Decides what to try in the next step beside `other_rows` rows; at most `most` tokens.
    pub(crate) fn prepare(&mut self, costs: &StepCosts, other_rows: usize, most: usize) {
        self.source.propose(self.most.min(most), &mut self.draft);
        (self.matched_tokens, self.other_rows) = (self.source.matched_tokens(), other_rows);
        let situation = DraftSituation { matched_tokens: self.matched_tokens, most: self.draft.len(), other_rows };
        if let Some(pace) = &self.pace {
            self.draft.truncate(pace.best_draft_tokens(costs, situation));
        }
    }

    /// Nothing is tried in the next step.
    pub(crate) fn rest(&mut self) {
        self.draft.clear();
    }

    /// What is tried.
    pub(crate) fn draft(&self) -> &[u32] {
        &self.draft
    }

    /// So many of the tokens on trial came.
    pub(crate) fn observe(&mut self, costs: &StepCosts, accepted: usize) {
        let Self { matched_tokens, other_rows, .. } = *self;
        let outcome = DraftOutcome { matched_tokens, other_rows, proposed: self.draft.len(), accepted };
        self.pace.iter_mut().for_each(|pace| pace.observe_drafts(costs, outcome));
        self.draft.clear();
    }
}
