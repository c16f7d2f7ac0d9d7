//! Reads a header: who speaks, to whom, on which channel, in which form. Every sequence of words has a reading.

use super::{Strictness, library};
use crate::chat::{Author, Role};

/// A field of a header has at most so many bytes: longer ones are cut when read and refused when written. Names of
/// functions have at most 64 characters, those of other protocols' tools 128.
pub const HEADER_FIELD_BYTES_MAX: usize = 144;

/// A header as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who speaks.
    pub author: Author,
    /// To whom; without white space and control characters.
    pub recipient: Option<String>,
    /// On which channel.
    pub channel: Option<String>,
    /// How the content is to be read, with all words of the header that have no other meaning.
    pub content_type: Option<String>,
}

/// The tokens of a header so far: stretches of text, each behind its marker.
#[derive(Clone, Debug)]
pub(super) struct HeaderTokens {
    /// The role, if it stands before the tokens or is implied; else the first word names it.
    pub(super) role: Option<Role>,
    pub(super) stretches: Vec<Stretch>,
    text_tokens: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub(super) marker: Marker,
    pub(super) bytes: Vec<u8>,
}

/// What stands before a stretch of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// `<|start|>`, or nothing.
    Start,
    /// `<|channel|>`
    Channel,
    /// `<|constrain|>`
    Constrain,
}

/// A header that ended without `<|message|>`, and the part of its text that must have been meant as content.
pub(super) struct WithoutMessage {
    pub(super) header: Header,
    pub(super) content: String,
    /// Whether the header says enough to be a message without content.
    pub(super) named: bool,
}

pub(super) const CONSTRAIN: &str = "<|constrain|>";

/// The content types that models write; as a lone word they are no recipient.
const CONTENT_TYPES: [&str; 3] = ["json", "code", "text"];

const CHANNELS: [&str; 3] = ["analysis", "commentary", "final"];

/// Words before any control token that no header has.
const PROSE_WORDS_MIN: usize = 8;

/// Bytes below which nothing is taken for prose, so that short headers are never looked at twice.
const PROSE_BYTES_MIN: usize = 32;

/// Markers past this number repeat what is already there; a stream of nothing but markers must not fill the memory.
const STRETCHES_MAX: usize = 64;

impl HeaderTokens {
    pub(super) fn of_role(role: Role) -> Self {
        Self { role: Some(role), ..Self::unnamed() }
    }

    pub(super) fn unnamed() -> Self {
        let start = Stretch { marker: Marker::Start, bytes: Vec::new() };
        Self { role: None, stretches: vec![start], text_tokens: 0 }
    }

    pub(super) fn mark(&mut self, marker: Marker) {
        if self.stretches.len() == STRETCHES_MAX {
            self.stretches.pop();
        }
        self.stretches.push(Stretch { marker, bytes: Vec::new() });
    }

    pub(super) fn text(&mut self, bytes: &[u8]) {
        self.text_tokens += 1;
        let last = self.stretches.last_mut().expect("a header begins with a stretch");
        last.bytes.extend_from_slice(bytes);
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self.stretches.as_slice(), [only] if only.bytes.is_empty())
    }

    /// Whether this is plainly content whose header was left out: nothing but words, more than a header has, none of them
    /// a recipient. Deciding so early lets the text be shown while it comes.
    pub(super) fn is_prose(&self) -> bool {
        let [only] = self.stretches.as_slice() else { return false };
        if self.role.is_none() || only.bytes.len() < PROSE_BYTES_MIN {
            return false;
        }
        let text = String::from_utf8_lossy(&only.bytes);
        let is_long = text.split_whitespace().count() > PROSE_WORDS_MIN || only.bytes.len() > HEADER_FIELD_BYTES_MAX;
        is_long && !text.contains("to=")
    }

    pub(super) fn text_tokens(&self) -> usize {
        self.text_tokens
    }

    /// The header, now that `<|message|>` has come. `implied_role` speaks if nobody is named.
    pub(super) fn complete(&self, strictness: Strictness, implied_role: Role) -> Header {
        let as_the_library = match strictness {
            Strictness::Tolerant => None,
            Strictness::Library => library::complete(self),
        };
        as_the_library.unwrap_or_else(|| {
            let mut reading = Reading::new(self.role);
            for stretch in &self.stretches {
                let text = String::from_utf8_lossy(&stretch.bytes);
                reading.read_words(stretch.marker, &mut text.split_whitespace());
            }
            reading.header(implied_role)
        })
    }

    /// The header and its content if `<|message|>` has not come: the last stretch is read only as far as it reads as
    /// header.
    pub(super) fn without_message(&self, strictness: Strictness, implied_role: Role) -> WithoutMessage {
        let as_the_library = match strictness {
            Strictness::Tolerant => None,
            Strictness::Library => library::without_message(self),
        };
        as_the_library.unwrap_or_else(|| {
            let mut reading = Reading::new(self.role);
            let (last, before) = self.stretches.split_last().expect("a header begins with a stretch");
            for stretch in before {
                let text = String::from_utf8_lossy(&stretch.bytes);
                reading.read_words(stretch.marker, &mut text.split_whitespace());
            }
            let text = String::from_utf8_lossy(&last.bytes);
            let content = reading.read_head(last.marker, &text).to_owned();
            let header = reading.header(implied_role);
            let named = header.channel.is_some() || header.recipient.is_some();
            WithoutMessage { header, content, named }
        })
    }
}

/// What the words read so far have said.
struct Reading {
    author: Option<Author>,
    recipient: Option<String>,
    channel: Option<String>,
    /// Whether `<|constrain|>` stood somewhere, and its words.
    constrain: Option<Vec<String>>,
    /// Words without a meaning of their own.
    others: Vec<String>,
}

impl Reading {
    fn new(role: Option<Role>) -> Self {
        Self { author: role.map(Author::from), recipient: None, channel: None, constrain: None, others: Vec::new() }
    }

    /// Reads all words of a stretch.
    fn read_words(&mut self, marker: Marker, words: &mut dyn Iterator<Item = &str>) {
        let mut words = words.map(visible).filter(|word| !word.is_empty()).peekable();
        match marker {
            Marker::Start => self.read_author(words.peek().map(String::as_str)).then(|| words.next()),
            Marker::Channel => self.read_channel(words.peek().map(String::as_str)).then(|| words.next()),
            // The last one counts.
            Marker::Constrain => {
                self.constrain = Some(Vec::new());
                None
            }
        };
        while let Some(word) = words.next() {
            if let Some(recipient) = word.strip_prefix("to=") {
                // `to= functions.f`: the recipient is the next word. Of several recipients the last counts.
                let recipient = if recipient.is_empty() { words.next() } else { Some(recipient.to_owned()) };
                self.recipient = recipient.or(self.recipient.take());
            } else if let (Marker::Constrain, Some(kinds)) = (marker, &mut self.constrain) {
                kinds.push(word);
            } else {
                self.others.push(word);
            }
        }
    }

    /// Reads the beginning of a stretch as header and returns the rest.
    fn read_head<'a>(&mut self, marker: Marker, text: &'a str) -> &'a str {
        let mut rest = text.trim_start();
        if marker == Marker::Constrain {
            // `<|constrain|>json{"a":1}`: the type is letters.
            let end = rest.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(rest.len());
            self.constrain =
                Some([&rest[..end]].into_iter().filter(|kind| !kind.is_empty()).map(str::to_owned).collect());
            return rest[end..].trim_start();
        }
        let (first, after) = split_word(rest);
        let word = visible(first);
        let word = Some(word.as_str()).filter(|word| !word.is_empty());
        let is_name = match marker {
            Marker::Start => self.read_author(word),
            Marker::Channel | Marker::Constrain => self.read_channel(word),
        };
        if is_name {
            rest = after;
        }
        while let Some(after_to) = rest.strip_prefix("to=") {
            let (recipient, after) = split_word(after_to.trim_start());
            self.recipient =
                Some(visible(recipient)).filter(|recipient| !recipient.is_empty()).or(self.recipient.take());
            rest = after;
        }
        let (kind, after) = split_word(rest);
        if self.recipient.is_some() && CONTENT_TYPES.contains(&kind) {
            self.others.push(kind.to_owned());
            rest = after;
        }
        rest
    }

    /// Whether the first word of the header names who speaks, now or again.
    fn read_author(&mut self, word: Option<&str>) -> bool {
        let Some(word) = word.filter(|word| !word.starts_with("to=")) else { return false };
        let (head, name) = word.split_once(':').map_or((word, None), |(head, name)| (head, Some(name.to_owned())));
        let name = name.filter(|name| !name.is_empty());
        let role: Option<Role> = head.parse().ok();
        match (&mut self.author, role) {
            // `tool:assistant` must not name a tool like a role: a tool's word is its name as a whole, below.
            (Some(author), Some(role)) if author.role == role && role != Role::Tool => {
                author.name = name.or(author.name.take());
                true
            }
            (Some(author), None | Some(Role::Tool)) if author.role == Role::Tool && author.name.is_none() => {
                author.name = Some(word.to_owned());
                true
            }
            (Some(_), _) => false,
            (None, Some(role)) => {
                // A tool is named by its name alone; the bare word `tool` is taken as that.
                let name = if role == Role::Tool { Some(word.to_owned()) } else { name };
                self.author = Some(Author { role, name });
                true
            }
            (None, None) => {
                // `assistantfinal`: the marker between was forgotten.
                let channel = word.strip_prefix("assistant").filter(|channel| CHANNELS.contains(channel));
                self.channel = channel.map(str::to_owned);
                self.author = Some(match channel {
                    Some(_) => Author::from(Role::Assistant),
                    None => Author { role: Role::Tool, name: Some(word.to_owned()) },
                });
                true
            }
        }
    }

    /// Whether the first word behind `<|channel|>` names a channel. Of several channels the last counts.
    fn read_channel(&mut self, word: Option<&str>) -> bool {
        let Some(word) = word.filter(|word| !word.starts_with("to=")) else { return false };
        // `commentaryto=functions.f`: the space between was forgotten.
        let glued =
            CHANNELS.iter().find_map(|channel| Some((channel, word.strip_prefix(channel)?.strip_prefix("to=")?)));
        match glued {
            Some((channel, recipient)) => {
                self.channel = Some((*channel).to_owned());
                self.recipient = Some(recipient.to_owned()).filter(|recipient| !recipient.is_empty());
            }
            None => self.channel = Some(word.to_owned()),
        }
        true
    }

    /// What it all means. Words that are left name the recipient if nothing else does, and else belong to the type.
    fn header(self, implied_role: Role) -> Header {
        let Self { author, mut recipient, channel, constrain, mut others } = self;
        let is_kind = |word: &String| CONTENT_TYPES.contains(&word.as_str());
        let names_recipient = recipient.is_none()
            && channel.as_deref() != Some("final")
            && others.first().is_some_and(|word| !is_kind(word));
        if names_recipient {
            recipient = Some(others.remove(0));
        }
        let content_type = match constrain {
            None => others.join(" "),
            Some(mut kinds) => {
                kinds.append(&mut others);
                format!("{CONSTRAIN}{}", kinds.join(" "))
            }
        };
        let Author { role, name } = author.unwrap_or_else(|| Author::from(implied_role));
        Header {
            author: Author { role, name: name.map(cut) },
            recipient: recipient.map(cut),
            channel: channel.map(cut),
            content_type: Some(cut(content_type)).filter(|kind| !kind.is_empty()),
        }
    }
}

/// The word without control characters.
fn visible(word: &str) -> String {
    word.chars().filter(|character| !character.is_control()).collect()
}

/// The beginning that fits in a header's field: what is read can always be rendered again.
fn cut(mut field: String) -> String {
    let mut end = field.len().min(HEADER_FIELD_BYTES_MAX);
    while !field.is_char_boundary(end) {
        end -= 1;
    }
    field.truncate(field[..end].trim_end().len());
    field
}

/// The first word and what follows the white space behind it.
fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}
