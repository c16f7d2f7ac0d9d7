//! The model's tokens, message by message: which belong to the message, and which stand where no token of theirs can stand. It
//! must not know what a message is for.
//!
//! Every message begins with `<|start|>assistant` and is read by a parser of its own. A token that breaks this frame (another
//! role, a header inside of content) is not taken in but reported as astray: whoever generates takes it back and goes on from a sound
//! place. So what was taken in is a well-formed conversation at every moment.

use harmony::{Event, Header, Parser, Role, Terminator};

use crate::envelope::Envelope;

/// What a token meant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Read {
    /// A header is complete.
    Started(Header),
    /// More content.
    Text(String),
    /// The message is over.
    Ended(Terminator),
    /// The token cannot stand behind the message that is over, or over with it, and was not taken in.
    Astray,
    /// The message ended before it said anything, perhaps by a token that was not taken in.
    Empty,
}

/// Reads tokens of the model's messages.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    envelope: Envelope,
    /// Of the tokens that open a message so many have come; nothing inside of a message.
    opened: Option<usize>,
    /// A parser that stands behind the opening of a message.
    fresh: Parser,
    parser: Parser,
    started: bool,
    /// Of the message, behind its opening.
    tokens: Vec<u32>,
    /// Of those, how many are content.
    content_tokens: usize,
}

impl Reader {
    /// A reader that stands behind `<|start|>assistant`.
    pub(crate) fn new(envelope: &Envelope) -> Result<Self, harmony::Error> {
        let fresh = Parser::new(&envelope.vocabulary, Some(Role::Assistant))?;
        let (envelope, parser, tokens) = (envelope.clone(), fresh.clone(), Vec::new());
        Ok(Self { envelope, opened: None, fresh, parser, started: false, tokens, content_tokens: 0 })
    }

    /// Takes a token and appends what it meant; whether it was taken in.
    pub(crate) fn push(&mut self, id: u32, reads: &mut Vec<Read>) -> bool {
        match self.opened {
            Some(opened) => {
                let fits = self.envelope.opening[opened] == id;
                if !fits {
                    reads.push(Read::Astray);
                } else if opened + 1 == self.envelope.opening.len() {
                    self.begin();
                } else {
                    self.opened = Some(opened + 1);
                }
                fits
            }
            None => self.push_to_message(id, reads),
        }
    }

    fn push_to_message(&mut self, id: u32, reads: &mut Vec<Read>) -> bool {
        let ids = &self.envelope.ids;
        let astray = id == ids.start || (id == ids.channel && self.parser.is_in_content());
        let in_content = self.started;
        let mut events = Vec::new();
        self.parser.push(id, &mut events);
        if !astray {
            self.tokens.push(id);
        }
        let over = astray || self.parser.is_between_messages();
        self.content_tokens += usize::from(in_content && !over);
        self.read(events, reads);
        if over && !self.started {
            reads.push(Read::Empty);
        } else if astray {
            reads.push(Read::Astray);
        }
        if over {
            self.opened = Some(0);
        }
        !astray
    }

    fn read(&mut self, events: Vec<Event>, reads: &mut Vec<Read>) {
        for event in events {
            reads.push(match event {
                Event::MessageStarted(header) => {
                    self.started = true;
                    Read::Started(header)
                }
                Event::TextDelta(text) => Read::Text(text),
                Event::MessageEnded(terminator) => Read::Ended(terminator),
            });
        }
    }

    /// No more tokens will come.
    pub(crate) fn finish(&mut self, reads: &mut Vec<Read>) {
        if self.opened.is_none() {
            let mut events = Vec::new();
            self.parser.finish(&mut events);
            self.read(events, reads);
            self.opened = Some(0);
        }
    }

    /// The reader stands behind `<|start|>assistant` again, whatever came before.
    pub(crate) fn begin(&mut self) {
        self.parser = self.fresh.clone();
        (self.opened, self.started, self.content_tokens) = (None, false, 0);
        self.tokens.clear();
    }

    /// The reader stands behind the end of a message again, whatever came since.
    pub(crate) fn close(&mut self) {
        self.opened = Some(0);
    }

    /// Whether a message is open that has said something.
    pub(crate) fn has_started(&self) -> bool {
        self.opened.is_none() && self.started
    }

    /// Whether the reader stands between messages.
    pub(crate) fn is_between(&self) -> bool {
        self.opened.is_some()
    }

    /// The tokens of the message that is open or ended last, behind `<|start|>assistant`.
    pub(crate) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many of them are content: neither header nor end.
    pub(crate) fn content_tokens(&self) -> usize {
        self.content_tokens
    }

    /// Adds the end that the model left out to the message that ended last.
    pub(crate) fn amend(&mut self, end: u32) {
        self.tokens.push(end);
    }
}
