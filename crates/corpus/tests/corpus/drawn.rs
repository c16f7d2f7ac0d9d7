//! Items of a skill, and views of their last turn.

use corpus::{Item, Skill, item};
use harmony::{Conversation, Message, ReasoningEffort, Role};

/// So many items, the same every time.
pub(crate) fn items(skill: Skill, count: u64) -> impl Iterator<Item = Item> {
    (0..count).map(move |index| item(skill, 5, index))
}

/// The last thing the user said.
pub(crate) fn asked(conversation: &Conversation) -> String {
    let user = conversation.messages.iter().rfind(|message| message.author.role == Role::User);
    user.unwrap().text()
}

/// The messages after the last of the user.
pub(crate) fn last_turn(conversation: &Conversation) -> &[Message] {
    let user = conversation.messages.iter().rposition(|message| message.author.role == Role::User);
    &conversation.messages[user.unwrap() + 1..]
}

pub(crate) fn answer(conversation: &Conversation) -> Option<String> {
    let last = conversation.messages.last().unwrap();
    (last.channel.as_deref() == Some("final")).then(|| last.text())
}

/// All thoughts of the last turn.
pub(crate) fn thought(conversation: &Conversation) -> String {
    let thoughts = last_turn(conversation).iter().filter(|message| {
        message.author.role == Role::Assistant
            && message.recipient.is_none()
            && message.channel.as_deref() == Some("analysis")
    });
    thoughts.map(Message::text).collect::<Vec<_>>().join("\n")
}

/// The calls of the last turn.
pub(crate) fn calls(conversation: &Conversation) -> Vec<&Message> {
    let of_assistant = |message: &&Message| message.author.role == Role::Assistant && message.recipient.is_some();
    last_turn(conversation).iter().filter(of_assistant).collect()
}

/// The whole numbers in a text.
pub(crate) fn numbers(text: &str) -> Vec<i64> {
    text.split(|character: char| !character.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// The median length of the thoughts grows with the effort.
pub(crate) fn assert_effort_shows(skill: Skill) {
    let medians = [ReasoningEffort::Low, ReasoningEffort::Medium, ReasoningEffort::High].map(|effort| {
        let with_effort = items(skill, 600).filter(|item| item.effort == effort);
        let mut lengths: Vec<usize> = with_effort.map(|item| thought(&item.conversation).len()).collect();
        lengths.sort_unstable();
        lengths[lengths.len() / 2]
    });
    assert!(medians[0] > 0 && medians[0] < medians[1] && medians[1] < medians[2], "{skill}: {medians:?}");
}
