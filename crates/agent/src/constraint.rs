//! What the model may write next, token by token, from the rules of a turn: whole messages that the turn allows, and texts in the forms
//! that were asked for. It must not know how a turn is run or how grammars work.
//!
//! A message's header is held to a grammar of its own (`header`), text in a form to that form's grammar (`forms`), and all other text
//! is free: its mask is made once per vocabulary. So thoughts cost nothing, however long they are.

mod alone;
mod forms;
mod frame;
mod header;

use std::fmt;
use std::sync::Arc;

use engine::{Constraint, ConstraintError, Mask};
use grammar::{Grammar, Matcher, Mode};
use harmony::{Event, Parser};

use crate::error::Error;
use crate::policy::{Kind, Policy, Progress};
use crate::request::TurnRequest;
pub use alone::Forms;
use forms::Form;
pub(crate) use frame::Frame;
use frame::{Ends, Text};

/// All that a turn's constraints share.
pub(crate) struct Rules {
    frame: Arc<Frame>,
    policy: Policy,
    forms: forms::Forms,
}

/// The constraint of one generation.
#[derive(Clone)]
pub(crate) struct TurnConstraint {
    rules: Arc<Rules>,
    progress: Progress,
    place: Place,
}

/// Where the model writes.
#[derive(Clone)]
enum Place {
    /// Between messages; of the tokens that open one so many have come.
    Between(usize),
    /// In a header.
    Header { matcher: Matcher, parser: Box<Parser> },
    /// In a text without a form.
    Free { kind: Kind, said: bool },
    /// In a text that has one.
    Held { kind: Kind, matcher: Matcher },
    /// Behind all that is decided here.
    Over,
}

impl Rules {
    /// The rules of a turn; whatever cannot be enforced is found here, before anything is generated.
    ///
    /// # Errors
    /// [`Error::Form`].
    pub(crate) fn new(frame: &Arc<Frame>, request: &TurnRequest, policy: &Policy) -> Result<Self, Error> {
        let forms = forms::Forms::new(frame.tokens(), request, policy)?;
        let rules = Self { frame: Arc::clone(frame), policy: policy.clone(), forms };
        // What every turn begins with, and what follows its last thought, are made now rather than between two tokens.
        for progress in [Progress::default(), Progress { thoughts: usize::MAX, ..Progress::default() }] {
            rules.headers(&progress).map_err(|ConstraintError { reason }| engine::Error::Constraint { reason })?;
        }
        Ok(rules)
    }

    /// The grammar of the headers that may come now.
    fn headers(&self, progress: &Progress) -> Result<Grammar, ConstraintError> {
        let source = header::source(&self.policy, progress, self.forms.answer_is_json());
        self.frame
            .tokens()
            .compile(&source, Mode::Strict)
            .map_err(|error| ConstraintError { reason: format!("the headers of messages cannot be held: {error}") })
    }

    fn header(&self, progress: &Progress) -> Result<Place, ConstraintError> {
        let matcher = self.headers(progress)?.matcher();
        Ok(Place::Header { matcher, parser: Box::new(self.frame.parser()) })
    }

    fn text(&self, kind: Kind) -> Place {
        match self.forms.of(&kind) {
            Form::Free => Place::Free { kind, said: false },
            Form::Held(grammar) => Place::Held { kind, matcher: grammar.matcher() },
        }
    }
}

impl TurnConstraint {
    /// The constraint of a message whose first tokens, behind `<|start|>assistant`, have been written.
    ///
    /// # Errors
    /// When those tokens are against the rules.
    pub(crate) fn new(rules: &Arc<Rules>, progress: Progress, written: &[u32]) -> Result<Self, ConstraintError> {
        let place = rules.header(&progress)?;
        let mut constraint = Self { rules: Arc::clone(rules), progress, place };
        written.iter().try_for_each(|&id| constraint.push(id))?;
        Ok(constraint)
    }

    /// A header is complete, which says what follows it.
    fn begin(&mut self, header: &harmony::Header) {
        let kind = self.rules.policy.kind(header);
        // Where only calls may follow, anything else says that there is none; whoever reads it ends the turn.
        self.place = if self.rules.policy.allows(&kind, &self.progress) { self.rules.text(kind) } else { Place::Over };
    }

    /// A message is over.
    fn end(&mut self, kind: &Kind) {
        self.progress.note(kind);
        self.place = match kind {
            Kind::Thought | Kind::Message(crate::item::Phase::Commentary) => Place::Between(0),
            Kind::Message(crate::item::Phase::Final) | Kind::Call(_) => Place::Over,
        };
    }
}

impl Constraint for TurnConstraint {
    fn mask(&mut self) -> Result<Arc<Mask>, ConstraintError> {
        let frame = &self.rules.frame;
        match &mut self.place {
            Place::Between(come) => Ok(frame.only(&frame.opening()[*come..][..1])),
            Place::Header { matcher, parser: _ } => matcher.mask().map_err(refused),
            Place::Free { kind, said } => Ok(frame.text(text_of(kind, *said))),
            Place::Held { kind, matcher } => {
                let ends = frame.ends(ends_of(kind));
                if matcher.is_over() {
                    return Ok(frame.only(ends));
                }
                let mask = matcher.mask().map_err(refused)?;
                if !matcher.is_complete() {
                    return Ok(mask);
                }
                let mut mask = Arc::unwrap_or_clone(mask);
                ends.iter().for_each(|&id| mask.allow(id));
                Ok(Arc::new(mask))
            }
            Place::Over => Ok(frame.text(Text::Any)),
        }
    }

    fn ready_mask(&self) -> Option<Arc<Mask>> {
        match &self.place {
            Place::Free { kind, said } => Some(self.rules.frame.text(text_of(kind, *said))),
            Place::Over => Some(self.rules.frame.text(Text::Any)),
            Place::Between(_) | Place::Header { .. } | Place::Held { .. } => None,
        }
    }

    fn push(&mut self, id: u32) -> Result<(), ConstraintError> {
        let rules = Arc::clone(&self.rules);
        let frame = &rules.frame;
        match &mut self.place {
            Place::Between(come) => {
                if frame.opening()[*come] != id {
                    return Err(misplaced(id, "between two messages"));
                }
                *come += 1;
                if *come == frame.opening().len() {
                    self.place = rules.header(&self.progress)?;
                }
            }
            Place::Header { matcher, parser } => {
                matcher.push(id).map_err(refused)?;
                let mut events = Vec::new();
                parser.push(id, &mut events);
                let started = events.into_iter().find_map(|event| match event {
                    Event::MessageStarted(header) => Some(header),
                    Event::TextDelta(_) | Event::MessageEnded(_) => None,
                });
                started.iter().for_each(|header| self.begin(header));
            }
            Place::Free { kind, said } => {
                let kind = kind.clone();
                if frame.text(text_of(&kind, *said)).allows(id) {
                    *said = true;
                    if frame.ends(ends_of(&kind)).contains(&id) {
                        self.end(&kind);
                    }
                } else {
                    return Err(misplaced(id, "in a text"));
                }
            }
            Place::Held { kind, matcher } => {
                if matcher.is_complete() && frame.ends(ends_of(kind)).contains(&id) {
                    let kind = kind.clone();
                    self.end(&kind);
                } else {
                    matcher.push(id).map_err(refused)?;
                }
            }
            Place::Over => {}
        }
        Ok(())
    }

    fn forced(&mut self) -> Vec<u32> {
        let frame = &self.rules.frame;
        match &mut self.place {
            Place::Between(come) => frame.opening()[*come..].to_vec(),
            Place::Header { matcher, parser: _ } => matcher.forced(),
            Place::Held { kind, matcher } if matcher.is_over() => frame.ends(ends_of(kind))[..1].to_vec(),
            Place::Held { kind: _, matcher } => matcher.forced(),
            Place::Free { .. } | Place::Over => Vec::new(),
        }
    }

    fn boxed_clone(&self) -> Box<dyn Constraint> {
        Box::new(self.clone())
    }
}

impl fmt::Debug for TurnConstraint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.place {
            Place::Between(_) => "between messages",
            Place::Header { .. } => "in a header",
            Place::Free { .. } => "in free text",
            Place::Held { .. } => "in a form",
            Place::Over => "behind the end",
        };
        formatter.debug_struct("TurnConstraint").field("place", &place).finish_non_exhaustive()
    }
}

/// What ends a message; the first is what is forced where nothing else can come.
fn ends_of(kind: &Kind) -> Ends {
    match kind {
        Kind::Thought | Kind::Message(crate::item::Phase::Commentary) => Ends::Message,
        Kind::Message(crate::item::Phase::Final) => Ends::Answer,
        Kind::Call(_) => Ends::Call,
    }
}

/// A message for people says something before it ends.
fn text_of(kind: &Kind, said: bool) -> Text {
    match kind {
        Kind::Message(_) if !said => Text::Endless,
        _ => Text::Ended(ends_of(kind)),
    }
}

fn refused(error: grammar::Error) -> ConstraintError {
    ConstraintError { reason: error.to_string() }
}

fn misplaced(id: u32, place: &str) -> ConstraintError {
    ConstraintError { reason: format!("token {id} cannot stand {place}") }
}
