//! A step and what comes of it: logits for the rows that wanted them, tokens from the logits, ends. It must not know who is computed
//! when.

use std::time::{Duration, Instant};

use model::Span;

use super::Steps;
use crate::error::Error;
use crate::generation::Event;
use crate::scheduler::Row;
use crate::sequence::{Moment, Sequence};

impl Steps {
    /// Computes rows and hands out what came of them.
    pub(super) fn compute(&mut self, rows: &[Row]) {
        let began = Instant::now();
        let members: Vec<&Sequence> = rows.iter().map(|row| &self.running[self.member(row.number)]).collect();
        let inputs: Vec<Vec<u32>> = rows.iter().zip(&members).map(|(row, sequence)| sequence.input(row)).collect();
        let spans = rows.iter().zip(&members).zip(&inputs);
        let spans: Vec<Span<'_>> = spans.map(|((row, sequence), ids)| sequence.span(row, ids)).collect();
        let reading = rows.iter().zip(&members).filter(|(_, sequence)| !sequence.view().is_generating);
        let read: usize = reading.map(|(row, _)| row.tokens).sum();
        let tells = members.iter().any(|sequence| sequence.unlogged() == Some(0));
        let outcome = self.model.forward(&spans, &mut self.logits);
        let now = Instant::now();
        let took = now - began;
        self.stats.steps += 1;
        self.stats.read_tokens += read as u64;
        if !tells {
            // Rows of logits would pass for the price of tokens.
            self.pace.observe(read, took);
        }
        if read == 0 {
            let all = rows.iter().map(|row| row.tokens + row.drafts).sum();
            self.costs.observe_step(all, took.as_secs_f64());
        }
        let mut logits = std::mem::take(&mut self.logits);
        match outcome {
            // Only those that have such logits fail, if they can be told.
            Err(error) if !is_told_by(&error, &logits) => self.fail_all(error, rows),
            Ok(()) => self.hand_out(rows, (&mut logits, false), took),
            Err(_) => self.hand_out(rows, (&mut logits, true), took),
        }
        self.logits = logits;
    }

    /// Gives each row the logits that it wanted; some may be broken. Rows whose masks are not there yet come last.
    fn hand_out(&mut self, rows: &[Row], (mut logits, some_broken): (&mut [f32], bool), took: Duration) {
        let now = Instant::now();
        let vocabulary_size = self.model.config().vocabulary_size;
        let mut unmasked = Vec::new();
        let mut given = 0;
        for row in rows {
            let member = self.member(row.number);
            let (rows, prompt_rows) = (self.running[member].logit_rows(row), self.running[member].prompt_rows(row));
            let (first, own) =
                (given, logits.split_off_mut(..rows * vocabulary_size).expect("there are as many as were wanted"));
            given += rows;
            let own = match own.iter().position(|logit| some_broken && !logit.is_finite()) {
                None => own,
                Some(at) if at < (prompt_rows + 1) * vocabulary_size => {
                    let token = at % vocabulary_size;
                    self.fail(member, Error::Model(model::Error::NonFiniteLogits { token }));
                    continue;
                }
                // Behind a guess; perhaps it is never asked for.
                Some(at) => &mut own[..at / vocabulary_size * vocabulary_size],
            };
            if self.running[member].awaits_mask(row) {
                unmasked.push((row, first, own));
            } else {
                self.commit(member, (row, first), own, now);
            }
        }
        if !unmasked.is_empty() {
            self.wait_for_masks(unmasked.iter().map(|(row, ..)| *row), took);
        }
        for (row, first, own) in unmasked {
            self.commit(self.member(row.number), (row, first), own, now);
        }
    }

    /// Ends all rows of a step that failed as a whole; the first is told why.
    fn fail_all(&mut self, error: model::Error, rows: &[Row]) {
        let mut error = Some(error);
        for row in rows {
            self.fail(self.member(row.number), error.take().map_or(Error::StepFailed, Error::Model));
        }
    }

    /// Takes a row's results over: tokens that are computed now, and those that follow from its logits, of which the pass had others
    /// before the `first`, unless their mask is late.
    fn commit(&mut self, member: usize, (row, first): (&Row, usize), logits: &mut [f32], now: Instant) {
        let sequence = &mut self.running[member];
        let vocabulary_size = self.model.config().vocabulary_size;
        let is_late = sequence.awaits_mask(row);
        let (prompt, logits) = logits.split_at_mut(sequence.prompt_rows(row) * vocabulary_size);
        if !logits.is_empty() && sequence.needs_all(row, &logits[..vocabulary_size]) {
            self.model.complete(first, &mut logits[..vocabulary_size]);
        }
        sequence.advance(row.tokens);
        sequence.tell_prompt(prompt, vocabulary_size);
        if is_late {
            self.put_off(member, row, &logits[..vocabulary_size]);
        } else {
            self.choose(member, row.drafts, logits, now);
        }
    }

    /// Chooses tokens behind the last computed one, one after another as long as they are what was tried.
    pub(super) fn choose(&mut self, member: usize, drafts: usize, mut logits: &mut [f32], now: Instant) {
        let sequence = &mut self.running[member];
        let vocabulary_size = self.model.config().vocabulary_size;
        let moment = Moment { context_tokens: self.limits.context_tokens, vocabulary_size, now };
        let before = sequence.tokens.len();
        let (mut end, mut accepted) = (Ok(sequence.end_of_reading()), 0);
        if end != Ok(None) {
            logits = &mut [];
        }
        let given = logits.len() / vocabulary_size;
        for place in 0..given {
            let (own, later) = logits[place * vocabulary_size..].split_at_mut(vocabulary_size);
            let chosen = match sequence.choose(own, (later, place), moment) {
                Ok(chosen) => chosen,
                Err(error) => {
                    end = Err(error);
                    break;
                }
            };
            end = Ok(chosen.end);
            self.stats.guarded += u64::from(chosen.was_guarded);
            self.stats.forced_tokens += chosen.forced as u64;
            let is_draft = sequence.draft()[..drafts].get(accepted) == Some(&chosen.id);
            let goes_on = chosen.end.is_none() && !chosen.was_guarded && chosen.forced == 0;
            if !goes_on
                || !is_draft
                || accepted + 1 == given
                || !sequence.compute_mask(vocabulary_size, &mut self.stats)
            {
                break;
            }
            accepted += 1;
        }
        sequence.computed += accepted;
        if drafts > 0 && accepted < drafts {
            self.model.truncate(sequence.id.expect("it runs"), sequence.computed);
        }
        if !logits.is_empty() {
            sequence.observe_draft(&self.costs, accepted);
        }
        self.stats.generated_tokens += (sequence.tokens.len() - before) as u64;
        self.stats.drafted_tokens += drafts as u64;
        self.stats.accepted_tokens += accepted as u64;
        self.keep_prefix(member);
        self.forget(member);
        match end {
            Ok(None) => self.ask_for_mask(member),
            Ok(Some(reason)) => {
                let sequence = self.running.remove(member);
                self.finish(sequence, reason, now);
            }
            Err(error) => self.fail(member, error.into()),
        }
    }

    /// Ends a running sequence that a step broke. What the cache has of it was computed by steps that did not fail.
    fn fail(&mut self, member: usize, error: Error) {
        let mut sequence = self.running.remove(member);
        self.close(&mut sequence);
        self.stats.ended += 1;
        self.stats.failed += 1;
        self.parting.push((sequence.reader, Event::Failed(error)));
    }
}

/// Whether a failed step's logits say whose they are.
fn is_told_by(error: &model::Error, logits: &[f32]) -> bool {
    matches!(error, model::Error::NonFiniteLogits { .. }) && logits.iter().any(|logit| !logit.is_finite())
}
