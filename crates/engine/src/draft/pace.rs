//! How many draft tokens are worth their rows, sequence by sequence. It must not know where drafts come from, nor clocks.
//!
//! Two things decide. The *estimate*: with k draft tokens, each accepted with probability a given that those before it were, a
//! step yields 1 + a + a² + … + a^k tokens for the price of 1 + k rows; the best k is the one with most tokens per second,
//! if it beats k = 0 by 5 %. The *credit*: however wrong the estimate is, a draft is tried only if losing all of it is
//! affordable. A sequence begins with a credit of 1.5 tokens, earns 1.5 % of a token with every token it generates, gains what
//! accepted drafts save and pays for rows that were in vain; credit beyond 12 tokens lapses.
//!
//! # The bound
//!
//! Count time in plain steps, that is steps without drafts. What drafts lose in total is at most what the credit began with
//! plus what was earned: n tokens take at most 1.015 n + 1.5 plain steps, whatever the text is and however drafts fail, as
//! far as the costs are known. From 95 tokens on that is at least 0.97 times the plain speed, and in the long run 0.985 times;
//! the difference is room for costs that are known with an error. From any moment on, a further n tokens take at most
//! 1.015 n + 12. Costs that were believed too low are learned from the first steps that show them, and a credit that
//! this makes negative is paid back before anything is tried again.
//!
//! # Learning
//!
//! Acceptance is estimated separately for short and for long matches, so that chance matches in prose don't spoil what is
//! known about copies. An estimate begins with a prior, remembers about the last sixteen draft tokens, and forgets with every
//! token generated, so that it finds its way back to the prior while nothing is tried. Where long matches keep appearing
//! although the estimate is against them, two tokens are tried every 64 tokens; the credit pays for that as well. And where
//! drafts are tried step after step, one step in seventeen goes without: what they gain is only known by comparison.

use super::StepCosts;

/// Tokens that may be lost before anything was gained. It affords four draft tokens by the prior costs.
const CREDIT_FIRST: f64 = 1.5;
/// Credit earned by generating a token.
const CREDIT_PER_TOKEN: f64 = 0.015;
/// Most credit that is kept.
const CREDIT_MAX: f64 = 12.0;
/// What drafts must gain by the estimate.
const GAIN_MIN: f64 = 1.05;
/// Tokens without a draft after which one is tried against the estimate.
const PROBE_AFTER_TOKENS: usize = 64;
/// Tokens of such a draft.
const PROBE_TOKENS: usize = 2;
/// Shortest match that such a draft rests on.
const PROBE_MATCHED_MIN: usize = 6;
/// Steps with drafts after which one goes without.
const PLAIN_AFTER_STEPS: usize = 16;
/// What remains of earlier trials after a trial.
const KEPT_PER_TRIAL: f64 = 0.94;
/// What remains of earlier trials after a generated token.
const KEPT_PER_TOKEN: f64 = 0.99;
/// Trials that the prior is worth.
const PRIOR_TRIALS: f64 = 2.0;
/// Shortest match of each class but the first, and the probability of acceptance that each class begins with.
const CLASS_MATCHED_MIN: [usize; 3] = [4, 6, 8];
const CLASS_PRIOR: [f64; 4] = [0.6, 0.65, 0.75, 0.85];

/// Decides how many draft tokens a sequence tries; one per sequence.
#[derive(Clone, Debug)]
pub struct DraftPace {
    classes: [Acceptance; CLASS_PRIOR.len()],
    /// In tokens, each worth the time that it takes without drafts.
    credit: f64,
    tokens_since_draft: usize,
    steps_since_plain: usize,
}

/// What is known before a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftSituation {
    /// What the draft rests on, as [`super::DraftSource::matched_tokens`] says.
    pub matched_tokens: usize,
    /// Tokens that could be tried: the draft's length, or less where the context or the job ends.
    pub most: usize,
    /// Rows of other sequences in the same step; they wait for this one's rows.
    pub other_rows: usize,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftOutcome {
    /// As in the situation.
    pub matched_tokens: usize,
    /// As in the situation.
    pub other_rows: usize,
    /// Draft tokens in the step; 0 for a plain one.
    pub proposed: usize,
    /// Those that were drawn, before the first that differed.
    pub accepted: usize,
}

/// Draft tokens that were decided about, discounted by age.
#[derive(Clone, Copy, Debug, Default)]
struct Acceptance {
    trials: f64,
    accepted: f64,
}

impl Default for DraftPace {
    fn default() -> Self {
        Self { classes: Default::default(), credit: CREDIT_FIRST, tokens_since_draft: 0, steps_since_plain: 0 }
    }
}

impl DraftPace {
    /// The pace of a sequence of which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many draft tokens to try in the next step, 0 to `most`.
    #[must_use]
    pub fn best_draft_tokens(&self, costs: &StepCosts, situation: DraftSituation) -> usize {
        let DraftSituation { matched_tokens, most, other_rows } = situation;
        if self.steps_since_plain >= PLAIN_AFTER_STEPS {
            return 0;
        }
        let affordable = |&k: &usize| self.credit >= price(costs, other_rows, k);
        let acceptance = self.acceptance(matched_tokens);
        let plain = (other_rows + 1) as f64 / costs.seconds(other_rows + 1);
        let mut best = (plain * GAIN_MIN, 0);
        let (mut expected, mut all_accepted) = (1.0, 1.0);
        // Prices grow with k, so behind the first that is too high nothing is affordable.
        for k in (1..=most).take_while(affordable) {
            all_accepted *= acceptance;
            expected += all_accepted;
            let speed = (other_rows as f64 + expected) / costs.seconds(other_rows + 1 + k);
            if speed >= best.0 {
                best = (speed, k);
            }
        }
        let probes = self.tokens_since_draft >= PROBE_AFTER_TOKENS && matched_tokens >= PROBE_MATCHED_MIN;
        if best.1 == 0 && probes && affordable(&PROBE_TOKENS) { PROBE_TOKENS.min(most) } else { best.1 }
    }

    /// Learns from a step of this sequence; plain steps count too. Costs should have been told of the step before.
    ///
    /// # Panics
    /// When more was accepted than proposed.
    pub fn observe_drafts(&mut self, costs: &StepCosts, outcome: DraftOutcome) {
        let DraftOutcome { matched_tokens, other_rows, proposed, accepted } = outcome;
        assert!(accepted <= proposed, "what is accepted was proposed");
        let generated = accepted + 1;
        let kept = KEPT_PER_TOKEN.powi(generated as i32);
        for class in &mut self.classes {
            class.trials *= kept;
            class.accepted *= kept;
        }
        let class = &mut self.classes[class(matched_tokens)];
        // Draft tokens behind the first that differed were never decided about.
        for index in 0..proposed.min(generated) {
            class.trials = class.trials * KEPT_PER_TRIAL + 1.0;
            class.accepted = class.accepted * KEPT_PER_TRIAL + if index < accepted { 1.0 } else { 0.0 };
        }
        let gained = accepted as f64 - price(costs, other_rows, proposed);
        self.credit = (self.credit + gained + CREDIT_PER_TOKEN * generated as f64).min(CREDIT_MAX);
        self.tokens_since_draft = if proposed > 0 { 0 } else { self.tokens_since_draft + generated };
        self.steps_since_plain = if proposed > 0 { self.steps_since_plain + 1 } else { 0 };
    }

    /// The estimated probability that a draft token is accepted, given that those before it were.
    #[must_use]
    pub fn acceptance(&self, matched_tokens: usize) -> f64 {
        let class = class(matched_tokens);
        let Acceptance { trials, accepted } = self.classes[class];
        (accepted + PRIOR_TRIALS * CLASS_PRIOR[class]) / (trials + PRIOR_TRIALS)
    }
}

/// What `proposed` further rows cost, in tokens that all sequences of the step could have generated instead. However noisy the
/// times are, rows are never believed to earn something.
fn price(costs: &StepCosts, other_rows: usize, proposed: usize) -> f64 {
    let plain = costs.seconds(other_rows + 1);
    (other_rows + 1) as f64 * (costs.seconds(other_rows + 1 + proposed) / plain - 1.0).max(0.0)
}

/// The class of a match.
fn class(matched_tokens: usize) -> usize {
    CLASS_MATCHED_MIN.iter().filter(|&&least| matched_tokens >= least).count()
}
