//! One item on its way to the agent: what it means, its tokens where they are known, where it came from. It must not know its
//! neighbours.

use agent::{Call, Item, Part, Said, Tool, ToolName};

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::history::HistoryItem;
use crate::lower::sealed::Thought;
use crate::wire::fields::At;
use crate::wire::responses::{Meaning, Role};

/// An item on its way.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Where it stands in the request.
    pub(super) path: String,
    /// What it means.
    pub(super) meaning: Meaning,
    /// Its tokens as sampled.
    pub(super) tokens: Option<Vec<u32>>,
}

impl Piece {
    /// An item that is kept here.
    pub(super) fn of(item: &HistoryItem, path: &str) -> Result<Self, ApiError> {
        let meaning = Meaning::read(At { value: &item.value, path: path.to_owned() })?;
        Ok(Self { path: path.to_owned(), meaning, tokens: item.tokens.clone() })
    }

    /// An item that a client sent.
    pub(super) fn new(app: &App, caller: &Caller, path: &str, meaning: &Meaning) -> Result<Self, ApiError> {
        let piece = Self { path: path.to_owned(), meaning: meaning.clone(), tokens: None };
        let Meaning::Reasoning { text, sealed: Some(sealed) } = meaning else { return Ok(piece) };
        match Thought::open(app, caller, sealed) {
            Some(Thought { text, tokens }) => {
                Ok(Self { meaning: Meaning::Reasoning { text, sealed: None }, tokens, ..piece })
            }
            // Sealed elsewhere, but told openly as well.
            None if !text.is_empty() => Ok(piece),
            None => {
                let path = format!("{path}.encrypted_content");
                let message = format!(
                    "{path} cannot be opened: it was changed, or sealed by another server or for another key; leave the reasoning item out"
                );
                Err(ApiError { code: Some("invalid_encrypted_content"), ..ApiError::invalid(path, message) })
            }
        }
    }

    /// What the developer says here.
    pub(super) fn developer(&self) -> Option<&str> {
        match &self.meaning {
            Meaning::Message { role: Role::Developer, text } => Some(text),
            _ => None,
        }
    }

    /// Whether the model wrote it.
    pub(super) fn is_of_model(&self) -> bool {
        matches!(
            self.meaning,
            Meaning::Reasoning { .. } | Meaning::Call(_) | Meaning::Message { role: Role::Assistant(_), .. }
        )
    }

    /// Whether it is a thought that says something.
    pub(super) fn is_thought(&self) -> bool {
        matches!(&self.meaning, Meaning::Reasoning { text, .. } if !text.is_empty() || self.tokens.is_some())
    }

    /// The id of the call that it is.
    pub(super) fn call_id(&self) -> Option<&str> {
        match &self.meaning {
            Meaning::Call(call) | Meaning::Hosted { call, .. } => Some(&call.id),
            _ => None,
        }
    }

    /// What the agent is given. Tools say in which namespace a call belongs that does not say it itself.
    pub(super) fn items(self, tools: &[Tool]) -> Vec<Item> {
        let said = |part, tokens| Item::Said(Said { part, tokens });
        match self.meaning {
            Meaning::Message { role: Role::User, text } => vec![Item::User(text)],
            Meaning::Message { role: Role::Developer, text } => vec![Item::Developer(text)],
            Meaning::Message { role: Role::Assistant(phase), text } => {
                vec![said(Part::Message { phase, text }, self.tokens)]
            }
            Meaning::Reasoning { text, sealed: _ } if text.is_empty() && self.tokens.is_none() => Vec::new(),
            Meaning::Reasoning { text, sealed: _ } => vec![said(Part::Reasoning(text), self.tokens)],
            Meaning::Call(call) => {
                let tool = place(call.tool, tools);
                vec![said(Part::Call(Call { tool, ..call }), self.tokens)]
            }
            Meaning::Output { call_id, text } => vec![Item::Output { call_id, text }],
            Meaning::Hosted { call, output } => {
                let answer = output.map(|text| Item::Output { call_id: call.id.clone(), text });
                std::iter::once(said(Part::Call(call), self.tokens)).chain(answer).collect()
            }
            Meaning::Reference(_) | Meaning::Compaction(_) | Meaning::Unseen => Vec::new(),
        }
    }
}

/// Clients that do not know namespaces leave them out.
fn place(tool: ToolName, tools: &[Tool]) -> ToolName {
    if tool.namespace != "functions" || tools.iter().any(|known| known.name == tool) {
        return tool;
    }
    let mut named = tools.iter().filter(|known| known.name.name == tool.name);
    match (named.next(), named.next()) {
        (Some(known), None) => known.name.clone(),
        _ => tool,
    }
}
