//! Whether what a model wrote as an item's last turn is what the item asks for. It must not know how the model was run.
//!
//! The verdict is strict: it says what is wrong, never what may have been meant.

mod citations;
mod form;
mod prose;
mod schema;

use std::collections::BTreeSet;

use harmony::{Content, Conversation, Message, ParsedMessage, Role, Vocabulary};
use serde_json::Value;

pub use form::is_well_formed;

use crate::item::{Check, Item};
use crate::stream::turn_start;
use citations::{Citation, Displays};
use prose::Lexicon;

/// What is to be said about one turn of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The grammar of headers is intact, each message has a known channel and the content type that belongs there, and the
    /// turn ended by itself: in a final answer or in a call.
    pub well_formed: bool,
    /// Calls in the turn.
    pub calls: usize,
    /// Those of them that a tool of the conversation could carry out: it is declared, and the arguments are JSON and fit its
    /// schema, or are some text where a text is asked for.
    pub valid_calls: usize,
    /// The calls are those of the item, in order.
    pub same_calls: bool,
    /// Citations in the final answer, broken ones included.
    pub citations: usize,
    /// Those of them that name a display and lines that a tool showed.
    pub existing_citations: usize,
    /// The checks of the item that the turn does not pass.
    pub failed: Vec<Check>,
    /// Tokens of the thoughts.
    pub reasoning_tokens: usize,
}

impl Verdict {
    /// Whether nothing is wrong: the form, every call, every citation and every check.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.well_formed
            && self.valid_calls == self.calls
            && self.existing_citations == self.citations
            && self.failed.is_empty()
    }
}

/// Judges turns.
#[derive(Clone, Debug)]
pub struct Judge {
    vocabulary: Vocabulary,
}

impl Judge {
    /// A judge that counts tokens with a vocabulary.
    #[must_use]
    pub fn new(vocabulary: &Vocabulary) -> Self {
        Self { vocabulary: vocabulary.clone() }
    }

    /// What is to be said about a model's messages in an item's last turn, tools' results left out. `malformed` says that
    /// the tokens were not [well-formed](is_well_formed), which the messages may no longer show.
    #[must_use]
    pub fn judge(&self, item: &Item, messages: &[ParsedMessage], malformed: bool) -> Verdict {
        let calls: Vec<&Message> = messages.iter().map(|parsed| &parsed.message).filter(|said| is_call(said)).collect();
        let expected = expected_calls(item);
        let same_calls = calls.len() == expected.len()
            && calls.iter().zip(&expected).all(|(found, expected)| is_same_call(expected, found));
        let last = messages.last().map(|parsed| &parsed.message);
        let answer = last.filter(|message| is_final(message)).map(Message::text);
        let displays = Displays::of(results_in_sight(item, messages));
        let citations = answer.as_deref().map(citations::find).unwrap_or_default();
        let existing: Vec<&Citation> = citations.iter().filter(|citation| displays.has(citation)).collect();
        let (answer, announces) = (answer.as_deref(), announces(messages));
        let facts = Facts { item, answer, same_calls, announces, citations: &citations, displays: &displays };
        Verdict {
            well_formed: !malformed && form::are_well_formed(messages),
            calls: calls.len(),
            valid_calls: calls.iter().filter(|call| is_valid_call(&item.conversation, call)).count(),
            same_calls,
            citations: citations.len(),
            existing_citations: existing.len(),
            failed: item.checks.iter().filter(|check| !passes(check, &facts)).cloned().collect(),
            reasoning_tokens: self.reasoning_tokens(messages),
        }
    }

    fn reasoning_tokens(&self, messages: &[ParsedMessage]) -> usize {
        let messages = messages.iter().map(|parsed| &parsed.message);
        let thoughts =
            messages.filter(|message| message.recipient.is_none() && message.channel.as_deref() == Some("analysis"));
        thoughts.map(|thought| self.vocabulary.encode(&thought.text()).len()).sum()
    }
}

/// The results with which the turn goes on: those behind the call that the model made last, if its calls so far are those of
/// the item, in order. None when the turn is over, or has left the item's road.
#[must_use]
pub fn results_of_last_call<'a>(item: &'a Item, messages: &[ParsedMessage]) -> Option<&'a [Message]> {
    let last = messages.last().filter(|parsed| is_call(&parsed.message))?;
    let calls: Vec<&Message> = messages.iter().map(|parsed| &parsed.message).filter(|said| is_call(said)).collect();
    let expected = expected_calls(item);
    let same = calls.len() <= expected.len()
        && calls.iter().zip(&expected).all(|(found, expected)| is_same_call(expected, found));
    debug_assert!(is_call(&last.message));
    let turn = &item.conversation.messages[turn_start(&item.conversation)..];
    let places = turn.iter().enumerate().filter(|(_, message)| is_call(message)).map(|(place, _)| place + 1);
    let behind = &turn[places.take(calls.len()).last()?..];
    let count = behind.iter().take_while(|message| message.author.role == Role::Tool).count();
    (same && count > 0).then(|| &behind[..count])
}

/// What the checks look at.
struct Facts<'a> {
    item: &'a Item,
    /// The text of the final answer that ended the turn.
    answer: Option<&'a str>,
    same_calls: bool,
    announces: bool,
    citations: &'a [Citation],
    displays: &'a Displays,
}

/// Whether a turn passes a check.
fn passes(check: &Check, facts: &Facts<'_>) -> bool {
    if let Check::SameCalls = check {
        return facts.same_calls;
    }
    if let Check::Announces = check {
        return facts.announces;
    }
    let Some(answer) = facts.answer else {
        // Where the item's own turn ends in a call, nothing is said that should not be.
        let ends_in_call = facts.item.conversation.messages.last().is_some_and(is_call);
        return matches!(check, Check::NeverSays(_)) && ends_in_call;
    };
    match check {
        Check::SameCalls => facts.same_calls,
        Check::Announces => facts.announces,
        Check::Says(text) => says(answer, text),
        Check::NeverSays(text) => !answer.to_lowercase().contains(&text.to_lowercase()),
        Check::Is(text) => answer == text,
        Check::Json(value) => serde_json::from_str::<Value>(answer).is_ok_and(|found| found == *value),
        Check::Cites(text) => {
            let all_exist = facts.citations.iter().all(|citation| facts.displays.has(citation));
            all_exist && facts.citations.iter().any(|citation| facts.displays.lines(citation).contains(text))
        }
        Check::Prose { words_min } => Lexicon::of_the_corpus().is_prose(answer, *words_min, &facts.item.conversation),
    }
}

fn is_call(message: &Message) -> bool {
    message.author.role == Role::Assistant && message.recipient.is_some()
}

/// Whether the message directly before the first call tells the user something.
fn announces(messages: &[ParsedMessage]) -> bool {
    let first_call = messages.iter().position(|parsed| is_call(&parsed.message));
    let before = first_call.and_then(|place| messages[..place].last()).map(|parsed| &parsed.message);
    before.is_some_and(|said| said.channel.as_deref() == Some("commentary") && !said.text().trim().is_empty())
}

fn is_final(message: &Message) -> bool {
    message.recipient.is_none() && message.channel.as_deref() == Some("final")
}

fn expected_calls(item: &Item) -> Vec<&Message> {
    let turn = &item.conversation.messages[turn_start(&item.conversation)..];
    turn.iter().filter(|message| is_call(message)).collect()
}

fn is_same_call(expected: &Message, found: &Message) -> bool {
    let (expected_text, found_text) = (expected.text(), found.text());
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    let same_text = match (json(&expected_text), json(&found_text)) {
        (Some(expected), Some(found)) => expected == found,
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => expected_text.trim() == found_text.trim(),
    };
    expected.recipient == found.recipient && same_text
}

/// The results that the model had before it when it wrote its last message: those of earlier turns, and those of its own
/// calls as long as they were the item's.
fn results_in_sight<'a>(item: &'a Item, messages: &[ParsedMessage]) -> Vec<&'a Message> {
    let earlier = item.conversation.messages[..turn_start(&item.conversation)].iter();
    let mut results: Vec<&Message> = earlier.filter(|message| message.author.role == Role::Tool).collect();
    // What follows the last call is not in sight unless something was written behind it.
    for count in 1..messages.len() {
        results.extend(results_of_last_call(item, &messages[..count]).unwrap_or_default());
    }
    results
}

/// Whether a tool that the conversation declares could carry out a call.
fn is_valid_call(conversation: &Conversation, call: &Message) -> bool {
    let recipient = call.recipient.as_deref().unwrap_or_default();
    let text = call.text();
    let (space, tool) = recipient.split_once('.').unwrap_or((recipient, ""));
    let namespaces = conversation.messages.iter().flat_map(|message| &message.content).filter_map(|part| match part {
        Content::System(content) => content.tools.as_ref()?.get(space),
        Content::Developer(content) => content.tools.as_ref()?.get(space),
        Content::Text { .. } => None,
    });
    namespaces.into_iter().any(|namespace| {
        if namespace.tools.is_empty() {
            return tool.is_empty() && !text.trim().is_empty();
        }
        let Some(declared) = namespace.tools.iter().find(|declared| declared.name == tool) else { return false };
        let Ok(arguments) = serde_json::from_str::<Value>(&text) else { return false };
        match &declared.parameters {
            Some(schema) => schema::fits(&arguments, schema),
            None => arguments.as_object().is_some_and(serde_json::Map::is_empty),
        }
    })
}

/// Whether an answer holds a text. A number is not held by a longer one: neither 12 by 4125, nor by -12 or 12.5.
fn says(answer: &str, text: &str) -> bool {
    let digit = |character: Option<char>| character.is_some_and(|character| character.is_ascii_digit());
    answer.match_indices(text).any(|(start, _)| {
        let mut before = answer[..start].chars().rev();
        let mut after = answer[start + text.len()..].chars();
        let begins_inside = digit(text.chars().next())
            && match before.next() {
                Some('.' | ',') => digit(before.next()),
                Some('-') => !before.next().is_some_and(char::is_alphanumeric),
                other => digit(other),
            };
        let ends_inside = digit(text.chars().next_back())
            && match after.next() {
                Some('.' | ',') => digit(after.next()),
                other => digit(other),
            };
        !begins_inside && !ends_inside
    })
}

/// The words of a text, in lower case.
fn words(text: &str) -> BTreeSet<String> {
    prose::words(text).collect()
}
