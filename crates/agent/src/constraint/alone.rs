//! A text that has a form and stands alone, without messages around it. It must not know turns.

use std::sync::Arc;

use engine::{Constraint, ConstraintError, Mask};
use grammar::{Grammar, Matcher};
use harmony::Vocabulary;

use super::forms::answer_form;
use super::frame::Frame;
use super::refused;
use crate::agent::Agent;
use crate::envelope::Envelope;
use crate::error::{Error, FormPlace};
use crate::request::Format;

/// What holds generations to forms where there is no agent.
pub struct Forms {
    frame: Frame,
    ends: Vec<u32>,
}

/// Holds a whole generation to a form; after it only its ends may come.
#[derive(Clone, Debug)]
struct Alone {
    matcher: Matcher,
    /// At least one.
    ends: Vec<u32>,
    size: usize,
    is_over: bool,
}

impl Agent {
    /// A constraint that holds what is generated behind a raw prompt to a form, and ends it by one of [`Agent::stop_ids`]; nothing where
    /// the form is any text.
    ///
    /// # Errors
    /// [`Error::Form`].
    pub fn hold(&self, format: &Format) -> Result<Option<Box<dyn Constraint>>, Error> {
        hold(self.frame(), format, self.stop_ids())
    }
}

impl Forms {
    /// Forms in a vocabulary.
    ///
    /// # Errors
    /// If it lacks a control token of harmony.
    pub fn new(vocabulary: &Vocabulary) -> Result<Self, harmony::Error> {
        Ok(Self { frame: Frame::new(&Envelope::new(vocabulary)?)?, ends: vocabulary.stop_ids()? })
    }

    /// As [`Agent::hold`].
    ///
    /// # Errors
    /// As [`Agent::hold`].
    pub fn hold(&self, format: &Format) -> Result<Option<Box<dyn Constraint>>, Error> {
        hold(&self.frame, format, &self.ends)
    }
}

fn hold(frame: &Frame, format: &Format, ends: &[u32]) -> Result<Option<Box<dyn Constraint>>, Error> {
    let Some((source, mode)) = answer_form(format) else { return Ok(None) };
    let grammar: Grammar = frame.tokens().compile(&source, mode).map_err(|error| Error::Form {
        place: FormPlace::Answer,
        path: error.path().unwrap_or_default(),
        reason: error.to_string(),
    })?;
    let (matcher, ends, size) = (grammar.matcher(), ends.to_vec(), frame.size());
    Ok(Some(Box::new(Alone { matcher, ends, size, is_over: false })))
}

impl Constraint for Alone {
    fn mask(&mut self) -> Result<Arc<Mask>, ConstraintError> {
        let may_go_on = !self.is_over && !self.matcher.is_over();
        let mut mask = if may_go_on { self.matcher.mask().map_err(refused)? } else { Arc::new(Mask::none(self.size)) };
        if !may_go_on || self.matcher.is_complete() {
            let mask = Arc::make_mut(&mut mask);
            self.ends.iter().for_each(|&id| mask.allow(id));
        }
        Ok(mask)
    }

    fn push(&mut self, id: u32) -> Result<(), ConstraintError> {
        if self.is_over || (self.ends.contains(&id) && self.matcher.is_complete()) {
            self.is_over = true;
            return Ok(());
        }
        self.matcher.push(id).map_err(refused)
    }

    fn forced(&mut self) -> Vec<u32> {
        if self.is_over {
            return Vec::new();
        }
        if self.matcher.is_over() { self.ends[..1].to_vec() } else { self.matcher.forced() }
    }

    fn boxed_clone(&self) -> Box<dyn Constraint> {
        Box::new(self.clone())
    }
}
