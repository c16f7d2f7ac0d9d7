//! Headers as the official library reads them, for comparison with it: its quirks are kept on purpose, and where it
//! would fail there is no reading.

use super::header::{CONSTRAIN, Header, HeaderTokens, Marker, WithoutMessage};
use crate::chat::{Author, Role};

/// The reading of a header that ended in `<|message|>`.
pub(super) fn complete(tokens: &HeaderTokens) -> Option<Header> {
    let (channel, words) = channel_and_words(tokens)?;
    let mut words: Vec<&str> = words.split_ascii_whitespace().collect();
    let author = author(tokens.role, &mut words)?;
    let (mut recipient, mut content_type) = (None, None);
    let several = words.len() > 1;
    if let Some(last) = words.pop() {
        match last.strip_prefix("to=") {
            Some(name) => recipient = Some(name.to_owned()),
            // A lone word is the recipient, even if it is a content type.
            None if !several => recipient = Some(last.to_owned()),
            None => {
                content_type = Some(last.to_owned());
                recipient = words.pop().map(|word| word.strip_prefix("to=").unwrap_or(word).to_owned());
            }
        }
    }
    words.is_empty().then_some(Header { author, recipient, channel, content_type })
}

/// The reading of a header that ended in a terminator: everything behind the channel is content, a recipient too.
pub(super) fn without_message(tokens: &HeaderTokens) -> Option<WithoutMessage> {
    let role = Some(tokens.role?);
    let (channel, words) = channel_and_words(tokens)?;
    let mut words: Vec<&str> = words.split_ascii_whitespace().collect();
    let author = author(role, &mut words)?;
    let header = Header { author, recipient: None, channel, content_type: None };
    Some(WithoutMessage { header, content: words.join(" "), named: !tokens.is_empty() })
}

/// The channel cut out of the text, and the text that is left with a space before each `<|constrain|>`.
fn channel_and_words(tokens: &HeaderTokens) -> Option<(Option<String>, String)> {
    let mut channel = None;
    let mut words = String::new();
    for stretch in &tokens.stretches {
        let text = String::from_utf8_lossy(&stretch.bytes);
        match stretch.marker {
            Marker::Start => words.push_str(&text),
            Marker::Constrain => words.push_str(&format!(" {CONSTRAIN}{text}")),
            Marker::Channel if channel.is_none() => {
                let end =
                    text.find(|character: char| character.is_whitespace() || character == '<').unwrap_or(text.len());
                let (name, rest) = text.split_at(end);
                channel = Some(name.to_owned()).filter(|name| !name.is_empty());
                channel.as_ref()?;
                words.push_str(rest);
            }
            Marker::Channel => words.push_str(&format!("<|channel|>{text}")),
        }
    }
    Some((channel, words.trim().to_owned()))
}

fn author(role: Option<Role>, words: &mut Vec<&str>) -> Option<Author> {
    let first = words.first().copied();
    let author = match role {
        Some(role) => Author::from(role),
        None => match first?.parse() {
            Ok(Role::Tool) => Author { role: Role::Tool, name: first.map(str::to_owned) },
            Ok(role) => Author::from(role),
            Err(_) if words.len() > 1 || first?.starts_with("to=") => {
                words.remove(0);
                Author { role: Role::Tool, name: first.map(str::to_owned) }
            }
            Err(_) => return None,
        },
    };
    if words.first() == Some(&author.role.as_str()) {
        words.remove(0);
    }
    Some(author)
}
