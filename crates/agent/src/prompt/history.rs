//! The items of a conversation as messages, each by itself, and which of them are dropped. It must not know what stands before them.

use std::collections::HashMap;

use harmony::{Conversation, DeveloperContent, Message, Renderer, Role};

use crate::envelope::Envelope;
use crate::error::Error;
use crate::item::{Call, CallKind, Item, Part, Phase, Said};
use crate::policy::{channel_of, channel_or};
use crate::replay;
use crate::request::{ReasoningContext, TurnRequest};

/// An item's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Nothing for a thought that the model does not see again.
    pub(super) tokens: Vec<u32>,
    /// Items of one unit are dropped together: a call, its output, and the thoughts before it.
    unit: usize,
    /// What a user said.
    is_user: bool,
}

/// The messages of all items, in order.
pub(super) fn pieces(renderer: &Renderer, envelope: &Envelope, request: &TurnRequest) -> Result<Vec<Piece>, Error> {
    let history = &request.history;
    let last_final = history.iter().rposition(is_final);
    let forgets = |index: usize| match request.reasoning_context {
        ReasoningContext::CurrentTurn => last_final.is_some_and(|last| index < last),
        ReasoningContext::AllTurns => false,
    };
    let mut calls: HashMap<&str, (&Call, &'static str, usize)> = HashMap::new();
    let mut units = Units::default();
    let mut pieces = Vec::with_capacity(history.len());
    for (index, item) in history.iter().enumerate() {
        let mut unit = units.of(item);
        let render = |message| {
            let rendered = renderer.render_conversation(&Conversation::from(vec![message]));
            rendered.map_err(|error| at(index, error))
        };
        let tokens = match item {
            Item::User(text) => render(Message::new(Role::User, text.as_str()))?,
            Item::Developer(text) => {
                let content = DeveloperContent::default().with_instructions(text);
                render(Message::new(Role::Developer, content))?
            }
            Item::Output { call_id, text } => {
                let unknown = || Error::UnknownCall { call_id: call_id.clone() };
                let (call, channel, with) = calls.get(call_id.as_str()).ok_or_else(unknown)?;
                unit = *with;
                render(Message::tool_result(call.tool.to_string(), *channel, text))?
            }
            Item::Said(said) => {
                let verbatim = said.tokens.as_deref().filter(|tokens| replay::is_sound(envelope, tokens));
                if let Part::Call(call) = &said.part {
                    let channel = verbatim.and_then(|tokens| replay::channel(envelope, tokens));
                    let channel = channel_or(channel, channel_of(&call.tool, request));
                    calls.insert(&call.id, (call, channel, unit));
                }
                match (said, verbatim) {
                    (Said { part: Part::Reasoning(_), .. }, _) if forgets(index) => Vec::new(),
                    (_, Some(tokens)) => {
                        let mut message = Vec::with_capacity(envelope.opening.len() + tokens.len());
                        replay::append(envelope, tokens, &mut message);
                        message
                    }
                    (said, None) => render(message(&said.part, request))?,
                }
            }
        };
        pieces.push(Piece { tokens, unit, is_user: matches!(item, Item::User(_)) });
    }
    Ok(pieces)
}

/// Leaves out the oldest units until the rest has at most so many tokens, but never what the user said last and never the last
/// unit; and how many items that were.
pub(super) fn shorten(mut pieces: Vec<Piece>, room: usize) -> (Vec<Piece>, usize) {
    let mut tokens: usize = pieces.iter().map(|piece| piece.tokens.len()).sum();
    let unit_of = |piece: &Piece| piece.unit;
    let last_user = pieces.iter().rfind(|piece| piece.is_user).map(unit_of);
    let last_item = pieces.last().map(unit_of);
    let last = pieces.iter().map(unit_of).max().unwrap_or(0);
    let mut dropped = 0;
    for unit in (0..last).filter(|&unit| ![last_user, last_item].contains(&Some(unit))) {
        if tokens <= room {
            break;
        }
        pieces.retain(|piece| {
            let goes = piece.unit == unit;
            if goes {
                tokens -= piece.tokens.len();
                dropped += 1;
            }
            !goes
        });
    }
    (pieces, dropped)
}

/// Counts units as items come.
#[derive(Default)]
struct Units {
    current: usize,
    is_open: bool,
    /// Calls of this unit that were not answered yet.
    unanswered: Vec<String>,
    /// Whether a call of this unit was answered: what the model says next begins another, unless calls are left.
    answered: bool,
}

impl Units {
    fn of(&mut self, item: &Item) -> usize {
        let alone = matches!(item, Item::User(_) | Item::Developer(_));
        let continues = match item {
            Item::User(_) | Item::Developer(_) => false,
            Item::Output { .. } => true,
            Item::Said(_) => !self.answered || !self.unanswered.is_empty(),
        };
        if self.is_open && !continues {
            self.close();
        }
        let unit = self.current;
        match item {
            Item::Said(Said { part: Part::Call(call), .. }) => self.unanswered.push(call.id.clone()),
            Item::Output { call_id, .. } => {
                self.unanswered.retain(|open| open != call_id);
                self.answered = true;
            }
            Item::User(_) | Item::Developer(_) | Item::Said(_) => {}
        }
        self.is_open = true;
        if alone || is_final(item) {
            self.close();
        }
        unit
    }

    fn close(&mut self) {
        *self = Self { current: self.current + 1, ..Self::default() };
    }
}

fn is_final(item: &Item) -> bool {
    matches!(item, Item::Said(Said { part: Part::Message { phase: Phase::Final, .. }, .. }))
}

/// The error of a message that was rendered alone, with its place in the history.
fn at(index: usize, error: harmony::Error) -> harmony::Error {
    match error {
        harmony::Error::HeaderField { index: _, field, value, reason } => {
            harmony::Error::HeaderField { index, field, value, reason }
        }
        other => other,
    }
}

fn message(part: &Part, request: &TurnRequest) -> Message {
    let said = |text: &str, channel: &str| Message::new(Role::Assistant, text).with_channel(channel);
    match part {
        Part::Reasoning(text) => said(text, "analysis"),
        Part::Message { phase: Phase::Commentary, text } => said(text, "commentary"),
        Part::Message { phase: Phase::Final, text } => said(text, "final"),
        Part::Call(call) => {
            let channel = channel_of(&call.tool, request);
            let kind = match (call.kind, channel) {
                (CallKind::Function, "commentary") => "<|constrain|>json",
                (CallKind::Function | CallKind::Custom, _) => "code",
            };
            said(&call.input, channel).with_recipient(call.tool.to_string()).with_content_type(kind)
        }
    }
}
