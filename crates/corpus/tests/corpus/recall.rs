//! What is recalled was told last; what was never told is not invented.

use corpus::{Check, Item, Skill};
use harmony::Role;

use crate::drawn::{answer, assert_effort_shows, items};

/// What the user said before the last question, oldest first.
fn told(item: &Item) -> Vec<String> {
    let users = item.conversation.messages.iter().filter(|message| message.author.role == Role::User);
    let mut told: Vec<String> = users.map(harmony::Message::text).collect();
    told.pop();
    told
}

#[test]
fn the_value_was_told_and_is_said() {
    let mut unknown = 0;
    for item in items(Skill::Recall, 4_000) {
        let answer = answer(&item.conversation).unwrap();
        let Check::Says(says) = &item.checks[0] else { panic!("{:?}", item.checks) };
        assert!(answer.contains(says.as_str()), "{answer}: {says}");
        if says == "not told" {
            unknown += 1;
            continue;
        }
        assert!(told(&item).iter().any(|message| message.contains(says.as_str())), "{item:?}");
    }
    assert!((300..1_000).contains(&unknown), "{unknown}");
}

#[test]
fn the_latest_counts() {
    let mut seen = 0;
    for item in items(Skill::Recall, 4_000) {
        let Check::Says(says) = &item.checks[0] else { panic!("{:?}", item.checks) };
        let changes = ["that was wrong. ", "It changed: ", "No, wait. ", "Something is new. "];
        let told = told(&item);
        let changed = told.iter().rfind(|message| changes.iter().any(|change| message.contains(change)));
        if let Some(changed) = changed {
            assert!(changed.contains(says.as_str()), "{told:?}: {says}");
            seen += 1;
        }
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn what_is_called_unknown_was_not_told() {
    for item in items(Skill::Recall, 4_000) {
        let answer = answer(&item.conversation).unwrap();
        let Some(topic) = answer.strip_prefix("You have not told me your ") else { continue };
        let told = told(&item).join(" ");
        for name in ["name", "age", "city"] {
            if topic == format!("{name} yet.") {
                assert!(!told.contains(&format!("My {name} is")), "{told}: {answer}");
            }
        }
        for animal in ["dog", "cat"] {
            if topic == format!("name of your {animal} yet.") {
                assert!(!told.contains(&format!(" {animal},")) && !told.contains(&format!("my {animal} ")), "{told}");
            }
        }
    }
}

#[test]
fn earlier_turns_have_no_thoughts_and_efforts_show() {
    for item in items(Skill::Recall, 500) {
        let thoughts = item.conversation.messages.iter().filter(|said| said.channel.as_deref() == Some("analysis"));
        assert_eq!(thoughts.count(), 1);
    }
    assert_effort_shows(Skill::Recall);
}
