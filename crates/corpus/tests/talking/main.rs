//! The skills of talk and text, each held to what can be read out of the prompt by other means than those that made it.

#![expect(clippy::unwrap_used, reason = "a test that fails by unwrap says where")]

mod extraction;
mod form;
mod hierarchy;
mod injection;
mod manual;
mod small_talk;
mod story;

use corpus::{Item, Skill};
use harmony::{Content, Message, Role};

/// Items that a property is tested on.
const ITEMS: u64 = 3_000;

fn items(skill: Skill) -> impl Iterator<Item = Item> {
    (0..ITEMS).map(move |index| corpus::item(skill, 7, index))
}

fn messages_of(item: &Item, role: Role) -> impl Iterator<Item = &Message> {
    item.conversation.messages.iter().filter(move |message| message.author.role == role)
}

/// What the user said last.
fn user(item: &Item) -> String {
    messages_of(item, Role::User).last().unwrap().text()
}

/// The developer's instructions, or nothing.
fn instructions(item: &Item) -> String {
    let parts = messages_of(item, Role::Developer).flat_map(|message| &message.content);
    parts
        .filter_map(|part| match part {
            Content::Developer(content) => content.instructions.clone(),
            Content::Text { .. } | Content::System(_) => None,
        })
        .collect()
}

fn answer(item: &Item) -> String {
    let last = item.conversation.messages.last().unwrap();
    assert_eq!(last.channel.as_deref(), Some("final"));
    last.text()
}

/// The thoughts of the last turn.
fn thoughts(item: &Item) -> Vec<String> {
    let messages = &item.conversation.messages;
    let start = messages.iter().rposition(|message| message.author.role == Role::User).unwrap();
    let thoughts =
        messages[start..].iter().filter(|said| said.recipient.is_none() && said.channel.as_deref() == Some("analysis"));
    thoughts.map(Message::text).collect()
}

fn results(item: &Item) -> Vec<String> {
    messages_of(item, Role::Tool).map(Message::text).collect()
}

/// The text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inside, _)| inside)
}
