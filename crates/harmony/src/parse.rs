//! From the model's tokens to messages, as they come: a state machine that accepts any token sequence.
//!
//! It must not know what a message is for. Its promise: `MessageStarted`, then any number of `TextDelta`, then
//! `MessageEnded`, again and again, whatever the tokens are; and where the tokens are well-formed, the same messages as
//! the official library gives. The official parser fails on some of what models really write, and with it the whole
//! request; what this one makes of such tokens is listed case by case in the test `recovery`.

mod collect;
mod header;
mod library;

pub use collect::{Collector, ParsedMessage, parse_all};
pub use header::{HEADER_FIELD_BYTES_MAX, Header};

use crate::chat::Role;
use crate::error::Error;
use crate::text_stream::TextStream;
use crate::vocabulary::{HarmonyIds, Vocabulary};
use header::{HeaderTokens, Marker, WithoutMessage};

/// A header has at most so many tokens of text: four fields and the words between them, at one byte for a token. If no
/// `<|message|>` has come by then, it was forgotten, and what does not read as header is streamed as the content it is.
pub const HEADER_TOKENS_MAX: usize = 4 * HEADER_FIELD_BYTES_MAX + 24;

/// What has happened in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A header is complete.
    MessageStarted(Header),
    /// More of the content of the message that started last; never empty, never half a character.
    TextDelta(String),
    /// The message that started last is complete.
    MessageEnded(Terminator),
}

/// What ended a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Terminator {
    /// `<|end|>`
    End,
    /// `<|call|>`: the recipient shall answer.
    Call,
    /// `<|return|>`: the turn is over.
    Return,
    /// `<|endoftext|>`
    EndOfText,
    /// The next message began without a word.
    Implied,
    /// No more tokens came. The message may be cut off: a call that ends so must not be carried out.
    EndOfStream,
}

/// How to read what is not well-formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// As the model most probably meant it: control tokens are structure wherever they stand and never text.
    #[default]
    Tolerant,
    /// As the official library, which writes control tokens within the content out as text and reads a lone content
    /// type as a recipient; where the library fails, as `Tolerant`.
    Library,
}

/// The streaming parser. It holds the header being read and a few bytes, never the content.
#[derive(Clone, Debug)]
pub struct Parser {
    vocabulary: Vocabulary,
    ids: HarmonyIds,
    strictness: Strictness,
    /// The role of a message whose header names none.
    implied_role: Role,
    state: State,
    text: TextStream,
}

#[derive(Clone, Debug)]
enum State {
    /// Before `<|start|>`.
    Between,
    /// Before `<|message|>`.
    Header(HeaderTokens),
    /// Before the end.
    Content,
}

/// What a token means to the parser.
enum Sign<'a> {
    Start,
    Message,
    Channel,
    Constrain,
    End(Terminator),
    Text(&'a [u8]),
    /// A control token without a meaning here, by its spelling.
    Other(&'a [u8]),
    /// An id that holds no token.
    Unknown,
}

impl Parser {
    /// A parser that stands behind `<|start|>` and the given role, as after rendering for completion; without a role
    /// it stands before `<|start|>`, as before a whole conversation.
    ///
    /// # Errors
    /// If the vocabulary lacks a control token of harmony.
    pub fn new(vocabulary: &Vocabulary, role: Option<Role>) -> Result<Self, Error> {
        Ok(Self {
            vocabulary: vocabulary.clone(),
            ids: vocabulary.harmony_ids()?,
            strictness: Strictness::default(),
            implied_role: role.unwrap_or(Role::Assistant),
            state: role.map_or(State::Between, |role| State::Header(HeaderTokens::of_role(role))),
            text: TextStream::default(),
        })
    }

    /// Sets how to read what is not well-formed.
    #[must_use]
    pub fn with_strictness(mut self, strictness: Strictness) -> Self {
        self.strictness = strictness;
        self
    }

    /// Takes the next token and appends what has happened.
    pub fn push(&mut self, token: u32, events: &mut Vec<Event>) {
        // The vocabulary is shared, so this copy is a counter; it lets the state change while the token's bytes are read.
        let vocabulary = self.vocabulary.clone();
        let sign = self.sign(&vocabulary, token);
        match (&mut self.state, sign) {
            (State::Between, Sign::Start) => self.state = State::Header(HeaderTokens::unnamed()),
            // Nothing is open: a repeated terminator ends nothing.
            (State::Between, Sign::End(_) | Sign::Other(_) | Sign::Unknown) => {}
            (State::Between, sign @ (Sign::Message | Sign::Channel | Sign::Constrain | Sign::Text(_))) => {
                self.state = State::Header(HeaderTokens::of_role(self.implied_role));
                self.push_to_header(sign, events);
            }
            (State::Header(_), sign) => self.push_to_header(sign, events),
            (State::Content, sign) => self.push_to_content(sign, events),
        }
    }

    /// Ends the stream: a message that is open ends here. The parser then stands before `<|start|>`.
    pub fn finish(&mut self, events: &mut Vec<Event>) {
        match &self.state {
            State::Between => {}
            State::Header(_) => self.close_header(Terminator::EndOfStream, events),
            State::Content => self.end(Terminator::EndOfStream, events),
        }
        self.state = State::Between;
    }

    /// Whether the tokens so far stand within the content of a message.
    pub fn is_in_content(&self) -> bool {
        matches!(self.state, State::Content)
    }

    /// Whether the tokens so far stand between messages.
    pub fn is_between_messages(&self) -> bool {
        matches!(self.state, State::Between)
    }

    fn sign<'a>(&self, vocabulary: &'a Vocabulary, token: u32) -> Sign<'a> {
        if let Some(bytes) = vocabulary.text_bytes(token) {
            return Sign::Text(bytes);
        }
        let ids = &self.ids;
        match token {
            _ if token == ids.start => Sign::Start,
            _ if token == ids.message => Sign::Message,
            _ if token == ids.channel => Sign::Channel,
            _ if token == ids.constrain => Sign::Constrain,
            _ if token == ids.end => Sign::End(Terminator::End),
            _ if token == ids.call => Sign::End(Terminator::Call),
            _ if token == ids.return_ => Sign::End(Terminator::Return),
            _ if Some(token) == ids.end_of_text => Sign::End(Terminator::EndOfText),
            _ => vocabulary.token_bytes(token).map_or(Sign::Unknown, Sign::Other),
        }
    }

    fn push_to_header(&mut self, sign: Sign<'_>, events: &mut Vec<Event>) {
        let State::Header(header) = &mut self.state else { return };
        match sign {
            Sign::Message => {
                let started = header.complete(self.strictness, self.implied_role);
                events.push(Event::MessageStarted(started));
                self.state = State::Content;
            }
            Sign::Channel => header.mark(Marker::Channel),
            Sign::Constrain => header.mark(Marker::Constrain),
            Sign::Text(bytes) => {
                header.text(bytes);
                let is_prose = self.strictness == Strictness::Tolerant && header.is_prose();
                if is_prose || header.text_tokens() > HEADER_TOKENS_MAX {
                    self.stream_header(events);
                }
            }
            Sign::Start => {
                self.close_header(Terminator::Implied, events);
                self.state = State::Header(HeaderTokens::unnamed());
            }
            Sign::End(terminator) => {
                self.close_header(terminator, events);
                self.state = State::Between;
            }
            Sign::Other(_) | Sign::Unknown => {}
        }
    }

    fn push_to_content(&mut self, sign: Sign<'_>, events: &mut Vec<Event>) {
        match (sign, self.strictness) {
            (Sign::Text(bytes), _) => self.delta(bytes, events),
            (Sign::Unknown, _) => self.delta("\u{FFFD}".as_bytes(), events),
            (Sign::End(terminator @ (Terminator::End | Terminator::Call | Terminator::Return)), _) => {
                self.end(terminator, events)
            }
            (Sign::End(terminator), Strictness::Tolerant) => self.end(terminator, events),
            (Sign::Start, Strictness::Tolerant) => {
                self.end(Terminator::Implied, events);
                self.state = State::Header(HeaderTokens::unnamed());
            }
            (Sign::Channel, Strictness::Tolerant) => {
                self.end(Terminator::Implied, events);
                let mut header = HeaderTokens::of_role(self.implied_role);
                header.mark(Marker::Channel);
                self.state = State::Header(header);
            }
            (Sign::Message | Sign::Constrain | Sign::Other(_), Strictness::Tolerant) => {}
            (sign, Strictness::Library) => self.delta(self.spelling(&sign).as_bytes(), events),
        }
    }

    /// A control token as the library writes it within content.
    fn spelling(&self, sign: &Sign<'_>) -> String {
        let id = match sign {
            Sign::Start => self.ids.start,
            Sign::Message => self.ids.message,
            Sign::Channel => self.ids.channel,
            Sign::Constrain => self.ids.constrain,
            Sign::End(_) => self.ids.end_of_text.unwrap_or(self.ids.end),
            Sign::Text(bytes) | Sign::Other(bytes) => return String::from_utf8_lossy(bytes).into_owned(),
            Sign::Unknown => return char::REPLACEMENT_CHARACTER.to_string(),
        };
        self.vocabulary.special_name(id).unwrap_or_default().to_owned()
    }

    fn delta(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        let mut text = String::new();
        self.text.push(bytes, &mut text);
        if !text.is_empty() {
            events.push(Event::TextDelta(text));
        }
    }

    fn end(&mut self, terminator: Terminator, events: &mut Vec<Event>) {
        let mut text = String::new();
        self.text.finish(&mut text);
        if !text.is_empty() {
            events.push(Event::TextDelta(text));
        }
        events.push(Event::MessageEnded(terminator));
        self.state = State::Between;
    }

    /// The header ends without `<|message|>`: if it names or says anything, that is a message.
    fn close_header(&mut self, terminator: Terminator, events: &mut Vec<Event>) {
        let State::Header(header) = &self.state else { return };
        let WithoutMessage { header, content, named } = header.without_message(self.strictness, self.implied_role);
        // A header that is cut off may be cut in the middle of a name: only content makes a message of it.
        let says = !content.is_empty() || (named && terminator != Terminator::EndOfStream);
        if says {
            events.push(Event::MessageStarted(header));
            events.extend((!content.is_empty()).then_some(Event::TextDelta(content)));
            events.push(Event::MessageEnded(terminator));
        }
    }

    /// The header is longer than a header can be: its rest is content, and more content follows.
    fn stream_header(&mut self, events: &mut Vec<Event>) {
        let State::Header(header) = &self.state else { return };
        let WithoutMessage { header, content, named: _ } = header.without_message(self.strictness, self.implied_role);
        events.push(Event::MessageStarted(header));
        events.extend((!content.is_empty()).then_some(Event::TextDelta(content)));
        self.state = State::Content;
    }
}
