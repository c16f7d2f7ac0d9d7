//! Events back to whole messages, for those who need no stream.

use super::{Event, Header, Parser, Terminator};
use crate::chat::{Content, Message, Role};
use crate::error::Error;
use crate::vocabulary::Vocabulary;

/// A message and what ended it.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedMessage {
    /// The message; its content is one text.
    pub message: Message,
    /// What ended it.
    pub terminator: Terminator,
}

/// Puts events together.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    complete: Vec<ParsedMessage>,
    open: Option<(Header, String)>,
}

impl Collector {
    /// Takes the next event of a parser.
    pub fn push(&mut self, event: Event) {
        match event {
            Event::MessageStarted(header) => self.open = Some((header, String::new())),
            Event::TextDelta(delta) => {
                if let Some((_, text)) = &mut self.open {
                    text.push_str(&delta);
                }
            }
            Event::MessageEnded(terminator) => {
                let message = self.open.take().map(|(header, text)| message(header, text));
                self.complete.extend(message.map(|message| ParsedMessage { message, terminator }));
            }
        }
    }

    /// The messages that are complete, oldest first.
    pub fn messages(&self) -> &[ParsedMessage] {
        &self.complete
    }

    /// The header of the message that is open and its content so far.
    pub fn open(&self) -> Option<(&Header, &str)> {
        self.open.as_ref().map(|(header, text)| (header, text.as_str()))
    }

    /// The messages that are complete, oldest first.
    pub fn into_messages(self) -> Vec<ParsedMessage> {
        self.complete
    }
}

/// All messages of a finished stream that began after `<|start|>` and the role, or without a role before `<|start|>`.
///
/// # Errors
/// If the vocabulary lacks a control token of harmony; the tokens themselves can not fail.
pub fn parse_all(vocabulary: &Vocabulary, role: Option<Role>, tokens: &[u32]) -> Result<Vec<ParsedMessage>, Error> {
    Ok(collect(Parser::new(vocabulary, role)?, tokens))
}

fn collect(mut parser: Parser, tokens: &[u32]) -> Vec<ParsedMessage> {
    let mut collector = Collector::default();
    let mut events = Vec::new();
    for &token in tokens {
        parser.push(token, &mut events);
        events.drain(..).for_each(|event| collector.push(event));
    }
    parser.finish(&mut events);
    events.drain(..).for_each(|event| collector.push(event));
    collector.into_messages()
}

fn message(header: Header, text: String) -> Message {
    let Header { author, recipient, channel, content_type } = header;
    Message { author, recipient, content: vec![Content::Text { text }], channel, content_type }
}
