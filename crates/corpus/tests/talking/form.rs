//! What all of these skills share: a system message first, thoughts that grow with the effort, no forgotten place in a template.

use std::collections::BTreeSet;

use corpus::{Check, Skill};
use harmony::{Content, ReasoningEffort, Role};

use super::{ITEMS, answer, items, thoughts};

const SKILLS: [Skill; 10] = [
    Skill::Manual,
    Skill::Extraction,
    Skill::Summary,
    Skill::Hierarchy,
    Skill::Injection,
    Skill::Unknown,
    Skill::Identity,
    Skill::Refusal,
    Skill::Chat,
    Skill::Story,
];

#[test]
fn the_system_message_says_the_effort() {
    for skill in SKILLS {
        for item in items(skill).take(300) {
            let first = &item.conversation.messages[0];
            let Content::System(system) = &first.content[0] else { panic!("{skill} opens with {first:?}") };
            assert_eq!(system.reasoning_effort, Some(item.effort), "{skill}");
            assert_eq!(item.skill, skill);
            assert!(!item.checks.is_empty(), "{skill}");
        }
    }
}

#[test]
fn no_template_is_left_unfilled() {
    for skill in SKILLS {
        for item in items(skill) {
            let said = item.conversation.messages.iter().filter(|message| message.author.role != Role::Tool);
            for text in said.filter(|message| message.recipient.is_none()).map(harmony::Message::text) {
                assert!(!text.contains(['{', '}']), "{skill}: {text}");
                assert!(!text.contains("  ") && text.trim() == text, "{skill}: {text:?}");
            }
        }
    }
}

#[test]
fn more_effort_thinks_longer() {
    for skill in SKILLS {
        let median = |effort: ReasoningEffort| {
            let of_effort = items(skill).filter(|item| item.effort == effort);
            let mut lengths: Vec<usize> = of_effort.map(|item| thoughts(&item).concat().len()).collect();
            lengths.sort_unstable();
            assert!(lengths.len() as u64 > ITEMS / 4 && lengths[0] > 0, "{skill}");
            lengths[lengths.len() / 2]
        };
        let [low, medium, high] = [ReasoningEffort::Low, ReasoningEffort::Medium, ReasoningEffort::High].map(median);
        assert!(low < medium && medium < high, "{skill}: {low} {medium} {high}");
    }
}

#[test]
fn the_answer_is_short_unless_it_is_a_story() {
    for skill in SKILLS.into_iter().filter(|skill| *skill != Skill::Story) {
        let longest = items(skill).map(|item| answer(&item)).max_by_key(String::len).unwrap();
        assert!(longest.len() < 230, "{skill}: {longest}");
    }
}

#[test]
fn prompts_differ() {
    // Small talk has few ways to be said; all else is hardly ever asked twice.
    for (skill, least) in [
        (Skill::Manual, 2_000),
        (Skill::Extraction, 2_990),
        (Skill::Summary, 2_990),
        (Skill::Hierarchy, 2_500),
        (Skill::Injection, 2_990),
        (Skill::Unknown, 2_000),
        (Skill::Identity, 900),
        (Skill::Refusal, 2_000),
        (Skill::Chat, 1_500),
        (Skill::Story, 2_500),
    ] {
        let prompts: BTreeSet<String> =
            items(skill).map(|item| super::instructions(&item) + "\n" + &super::user(&item)).collect();
        assert!(prompts.len() >= least, "{skill}: {}", prompts.len());
    }
}

#[test]
fn what_is_to_be_said_is_said() {
    for skill in SKILLS {
        for item in items(skill) {
            let answer = answer(&item);
            for check in &item.checks {
                match check {
                    Check::Says(text) => assert!(answer.contains(text), "{skill}: {answer} lacks {text}"),
                    Check::NeverSays(text) => {
                        assert!(!answer.to_lowercase().contains(&text.to_lowercase()), "{skill}: {answer} has {text}");
                    }
                    Check::Is(text) => assert_eq!(answer, *text),
                    Check::SameCalls | Check::Announces | Check::Json(_) | Check::Cites(_) | Check::Prose { .. } => {}
                }
            }
        }
    }
}
