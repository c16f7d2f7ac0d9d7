//! A sequence's next tokens: one that is drawn, and those that a guard or a constraint forces behind it. It must not know where rows of
//! logits come from.

use std::time::Instant;

use super::Sequence;
use crate::constrained::Constrained;
use crate::constraint::ConstraintError;
use crate::generation::{Event, FinishReason};
use crate::guard::GuardReport;
use crate::sampler::Sampled;

/// Tokens that a constraint may force at one go. What it forces beyond comes with the next token, so that none holds up the others.
const FORCED_TOKENS_MAX: usize = 256;

/// What came of choosing a token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen {
    pub(crate) id: u32,
    /// A guard struck: other tokens were forced after this one.
    pub(crate) was_guarded: bool,
    /// So many tokens were forced by the constraint.
    pub(crate) forced: usize,
    /// Whether the job ends here.
    pub(crate) end: Option<FinishReason>,
}

/// Where and when a token is chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) context_tokens: usize,
    pub(crate) vocabulary_size: usize,
    pub(crate) now: Instant,
}

/// The rows behind tokens on trial, which hold as long as those are what comes.
struct Trial<'a> {
    rows: std::slice::ChunksExact<'a, f32>,
    /// The next one last.
    tried: Vec<u32>,
}

impl<'a> Trial<'a> {
    /// The row behind a token that came, if it is known.
    fn row_behind(&mut self, id: u32) -> Option<&'a [f32]> {
        if self.tried.pop() == Some(id) {
            return self.rows.next();
        }
        self.tried.clear();
        None
    }
}

impl Sequence {
    /// Chooses the next token by the model's logits `[vocabulary]`, which are changed. `later` are the rows behind the tokens on trial
    /// from the one at `trial` on.
    ///
    /// # Errors
    /// When the constraint cannot tell what may come, or refuses what is forced; what came before stands.
    pub(crate) fn choose(
        &mut self,
        logits: &mut [f32],
        (later, trial): (&[f32], usize),
        moment: Moment,
    ) -> Result<Chosen, ConstraintError> {
        let mask = self.constrained.as_mut().map(Constrained::take_mask).transpose()?;
        let sampled = self.sampler.sample(logits, mask.as_deref());
        let id = sampled.id;
        let report = self.push(sampled, moment)?;
        let end = self.end(moment);
        let mut chosen = Chosen { id, was_guarded: false, forced: 0, end };
        if end.is_none() && (report.is_some() || self.constrained.is_some()) {
            let tried = self.draft()[trial..].iter().rev().copied().collect();
            let trial = Trial { rows: later.chunks_exact(logits.len()), tried };
            self.force_all(&mut chosen, report, trial, moment)?;
        }
        Ok(chosen)
    }

    /// Forces what must follow the token that was chosen: what a guard wants first, for that is never put off.
    fn force_all(
        &mut self,
        chosen: &mut Chosen,
        mut report: Option<GuardReport>,
        mut trial: Trial<'_>,
        moment: Moment,
    ) -> Result<(), ConstraintError> {
        let mut row = trial.row_behind(chosen.id);
        loop {
            if let Some(report) = report.take().filter(|_| chosen.end.is_none()) {
                chosen.was_guarded = true;
                chosen.end = self.end_thought(report, (&mut row, &mut trial), moment)?;
            }
            let left = FORCED_TOKENS_MAX - chosen.forced;
            if chosen.end.is_some() || left == 0 {
                return Ok(());
            }
            let own = self.constrained.as_mut();
            let forced = own.map_or(Ok(Vec::new()), |own| own.forced(moment.vocabulary_size))?;
            if forced.is_empty() {
                return Ok(());
            }
            for id in forced.into_iter().take(left) {
                report = self.push_forced(id, (&mut row, &mut trial), moment)?;
                chosen.forced += 1;
                chosen.end = self.end(moment);
                if chosen.end.is_some() || report.is_some() {
                    break;
                }
            }
        }
    }

    /// A guard struck: its tokens follow.
    fn end_thought<'a>(
        &mut self,
        report: GuardReport,
        (row, trial): (&mut Option<&'a [f32]>, &mut Trial<'a>),
        moment: Moment,
    ) -> Result<Option<FinishReason>, ConstraintError> {
        self.guarded = Some(report);
        self.reader.send(Event::Guarded(report));
        let close = self.job.guards.as_ref().map(|guards| guards.reasoning.close.clone()).unwrap_or_default();
        for id in close {
            self.push_forced(id, (row, trial), moment)?;
            // Whoever stops at the end of a message still wants the answer behind the thought.
            let end = self.end(moment).filter(|reason| !matches!(reason, FinishReason::Stop(_)));
            if end.is_some() {
                return Ok(end);
            }
        }
        Ok(None)
    }

    /// Takes a token that nobody chose, by the row of its place where that is known.
    fn push_forced<'a>(
        &mut self,
        id: u32,
        (row, trial): (&mut Option<&'a [f32]>, &mut Trial<'a>),
        moment: Moment,
    ) -> Result<Option<GuardReport>, ConstraintError> {
        let forced = self.sampler.force(id, *row);
        *row = trial.row_behind(id);
        self.push(forced, moment)
    }

    /// The constraint hears of it first: what it refuses never came.
    fn push(&mut self, token: Sampled, moment: Moment) -> Result<Option<GuardReport>, ConstraintError> {
        let id = token.id;
        if let Some(own) = &mut self.constrained {
            own.push(id)?;
        }
        self.first_at.get_or_insert(moment.now);
        self.last_at = Some(moment.now);
        self.tokens.push(id);
        self.reader.send(Event::Token(token));
        if let Some(speculation) = &mut self.speculation {
            speculation.push(id);
        }
        Ok(self.guard.as_mut().and_then(|guard| guard.push(id)))
    }

    /// Whether it ends after its last token.
    fn end(&self, moment: Moment) -> Option<FinishReason> {
        if let Some(&last) = self.tokens[self.prompt_tokens..].last()
            && self.job.stop_ids.contains(&last)
        {
            return Some(FinishReason::Stop(last));
        }
        if self.job.tokens_max.is_some_and(|most| self.generated() >= most) {
            return Some(FinishReason::Length);
        }
        (self.tokens.len() >= moment.context_tokens).then_some(FinishReason::Context)
    }
}
