//! A simulated engine: steps take what a true cost says, and pace and costs learn from them as they would in the real one.

use engine::{DraftOutcome, DraftPace, DraftSituation, StepCosts};

/// What came of a run, in seconds of the simulation.
pub(crate) struct Run {
    pub(crate) tokens: usize,
    pub(crate) seconds: f64,
    /// The same tokens without drafts.
    pub(crate) plain_seconds: f64,
    /// Draft tokens of every step.
    pub(crate) tried: Vec<usize>,
}

impl Run {
    pub(crate) fn speedup(&self) -> f64 {
        self.plain_seconds / self.seconds
    }
}

/// Seconds of a step on the machine that the prior was measured on, in units of a step of one row.
pub(crate) fn measured(rows: usize) -> f64 {
    StepCosts::new().seconds(rows)
}

/// Generates `tokens` tokens. Before each step `draft` is told how many tokens there are and says how long the match is, how
/// many tokens are proposed, and how many of them would be accepted if all were tried.
pub(crate) fn run(
    tokens: usize,
    truth: impl Fn(usize) -> f64,
    draft: impl FnMut(usize) -> (usize, usize, usize),
) -> Run {
    disturbed_run(tokens, truth, || 1.0, draft)
}

/// The same on a machine that is disturbed: every measured time is multiplied by what `noise` says.
pub(crate) fn disturbed_run(
    tokens: usize,
    truth: impl Fn(usize) -> f64,
    mut noise: impl FnMut() -> f64,
    mut draft: impl FnMut(usize) -> (usize, usize, usize),
) -> Run {
    let (mut costs, mut pace) = (StepCosts::new(), DraftPace::new());
    let mut run = Run { tokens: 0, seconds: 0.0, plain_seconds: 0.0, tried: Vec::new() };
    while run.tokens < tokens {
        let (matched_tokens, most, good) = draft(run.tokens);
        let other_rows = 0;
        let proposed = pace.best_draft_tokens(&costs, DraftSituation { matched_tokens, most, other_rows });
        assert!(proposed <= most);
        let accepted = good.min(proposed);
        costs.observe_step(1 + proposed, truth(1 + proposed) * noise());
        pace.observe_drafts(&costs, DraftOutcome { matched_tokens, other_rows, proposed, accepted });
        run.tokens += 1 + accepted;
        run.seconds += truth(1 + proposed);
        run.plain_seconds += truth(1) * (1 + accepted) as f64;
        run.tried.push(proposed);
    }
    run
}
