//! A word to the user stands before the call, and only there.

use corpus::Skill;
use harmony::{Message, Role};

use crate::drawn::{assert_effort_shows, calls, items, last_turn};

fn is_preamble(message: &Message) -> bool {
    message.author.role == Role::Assistant
        && message.channel.as_deref() == Some("commentary")
        && message.recipient.is_none()
}

#[test]
fn the_word_comes_directly_before_the_call() {
    for item in items(Skill::Preamble, 3_000) {
        let turn = last_turn(&item.conversation);
        let place = turn.iter().position(is_preamble).unwrap();
        assert!(turn[place].text().starts_with("I will ") && turn[place].text().ends_with(" now."));
        assert!(turn[place + 1].recipient.is_some(), "{turn:?}");
        assert_eq!((turn.iter().filter(|said| is_preamble(said)).count(), calls(&item.conversation).len()), (1, 1));
    }
}

#[test]
fn no_place_of_a_template_is_left() {
    for skill in [Skill::Preamble, Skill::Functions, Skill::Recall, Skill::Arithmetic] {
        for item in items(skill, 1_500) {
            for message in item.conversation.messages.iter().filter(|said| said.recipient.is_none()) {
                // A thought that repeats a function's declaration has its brackets, too.
                let text = message.text().replace(" = (_: {\n", "");
                assert!(!text.contains('{') && !text.contains("  "), "{text}");
            }
        }
    }
}

#[test]
fn effort_shows() {
    assert_effort_shows(Skill::Preamble);
}
