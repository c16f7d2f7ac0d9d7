//! The header of a message, and why no field of it can be read as something else.
//!
//! Fields are encoded as text, so they hold no control token whatever they spell. What is left to forge is the header's
//! own grammar of words: a recipient by white space and `to=`, a role by a tool that calls itself `system`. Such fields
//! are refused.

use super::Renderer;
use crate::chat::{Message, Role};
use crate::error::Error;
use crate::parse::HEADER_FIELD_BYTES_MAX;

/// The spelling in a content type that becomes a control token.
const CONSTRAIN: &str = "<|constrain|>";

impl Renderer {
    pub(super) fn render_header(&self, index: usize, message: &Message, tokens: &mut Vec<u32>) -> Result<(), Error> {
        check(index, message)?;
        tokens.push(self.ids.start);
        self.vocabulary.encode_into(&author(index, message)?, tokens);
        // A message to all is what a message without recipient is; the library leaves the word out too.
        if let Some(recipient) = message.recipient.as_deref().filter(|recipient| *recipient != "all") {
            self.vocabulary.encode_into(&format!(" to={recipient}"), tokens);
        }
        if let Some(channel) = &message.channel {
            tokens.push(self.ids.channel);
            self.vocabulary.encode_into(channel, tokens);
        }
        match message.content_type.as_deref().map(|kind| (kind, kind.strip_prefix(CONSTRAIN))) {
            None => {}
            Some((kind, None)) => self.vocabulary.encode_into(&format!(" {kind}"), tokens),
            Some((_, Some(kind))) => {
                self.vocabulary.encode_into(" ", tokens);
                tokens.push(self.ids.constrain);
                self.vocabulary.encode_into(kind, tokens);
            }
        }
        tokens.push(self.ids.message);
        Ok(())
    }
}

/// Tools are named by their name alone, all others by role and perhaps name.
fn author(index: usize, message: &Message) -> Result<String, Error> {
    match (message.author.role, &message.author.name) {
        (Role::Tool, None) => Err(Error::ToolNameMissing { index }),
        (Role::Tool, Some(name)) => Ok(name.clone()),
        (role @ (Role::System | Role::Developer | Role::User | Role::Assistant), None) => Ok(role.as_str().to_owned()),
        (role @ (Role::System | Role::Developer | Role::User | Role::Assistant), Some(name)) => {
            Ok(format!("{role}:{name}"))
        }
    }
}

fn check(index: usize, message: &Message) -> Result<(), Error> {
    let words = [("name", &message.author.name), ("recipient", &message.recipient), ("channel", &message.channel)];
    for (field, value) in words {
        if let Some(value) = value {
            let reason = bad_word(value)
                .or_else(|| (message.author.role == Role::Tool && field == "name").then(|| bad_tool(value))?);
            refuse(index, field, value, reason)?;
        }
    }
    match &message.content_type {
        Some(kind) => refuse(index, "content type", kind, bad_content_type(kind)),
        None => Ok(()),
    }
}

fn refuse(index: usize, field: &'static str, value: &str, reason: Option<&'static str>) -> Result<(), Error> {
    match reason {
        None => Ok(()),
        Some(reason) => Err(Error::HeaderField { index, field, value: value.to_owned(), reason }),
    }
}

fn bad_word(word: &str) -> Option<&'static str> {
    if word.is_empty() {
        Some("it is empty")
    } else if word.contains(|character: char| character.is_whitespace() || character.is_control()) {
        Some("it holds white space or a control character")
    } else if word.len() > HEADER_FIELD_BYTES_MAX {
        Some("it is longer than 144 bytes")
    } else {
        None
    }
}

/// A tool's name stands where a role stands.
fn bad_tool(name: &str) -> Option<&'static str> {
    let head = name.split(':').next().unwrap_or(name);
    let is_role = [Role::System, Role::Developer, Role::User, Role::Assistant].iter().any(|role| role.as_str() == head);
    if is_role {
        Some("a tool can not be named like a role")
    } else if name.starts_with("to=") {
        Some("it would be read as a recipient")
    } else {
        None
    }
}

/// Content types may have several words, as the parser keeps unknown header words there.
fn bad_content_type(kind: &str) -> Option<&'static str> {
    let words = kind.strip_prefix(CONSTRAIN).unwrap_or(kind);
    if kind.is_empty() {
        Some("it is empty")
    } else if words.contains(char::is_control) {
        Some("it holds a control character")
    } else if kind.len() > HEADER_FIELD_BYTES_MAX {
        Some("it is longer than 144 bytes")
    } else if words.split_whitespace().any(|word| word.starts_with("to=")) {
        Some("it would be read as a recipient")
    } else {
        None
    }
}
