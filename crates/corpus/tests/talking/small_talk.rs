//! Answers to small questions, computed again; answers that must not know; commands that must exist.

use std::collections::{BTreeMap, BTreeSet};

use corpus::Skill;
use harmony::{Content, ReasoningEffort};

use super::{answer, between, items, thoughts, user};

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The numbers of a text, in order.
fn numbers(text: &str) -> Vec<i64> {
    let parts = text.split(|letter: char| !letter.is_ascii_digit());
    parts.filter_map(|part| part.parse().ok()).collect()
}

#[test]
fn counting_comparing_and_days_are_right() {
    let (mut counted, mut compared, mut days) = (0, 0, 0);
    for item in items(Skill::Chat) {
        let (user, answer) = (user(&item).to_lowercase(), answer(&item));
        match numbers(&user)[..] {
            [from, to] if user.contains("count ") || user.contains("the numbers from") => {
                let up = (from.min(to)..=from.max(to)).collect::<Vec<_>>();
                let expected = if from < to { up } else { up.into_iter().rev().collect() };
                assert_eq!(numbers(&answer), expected, "{user}");
                counted += 1;
            }
            [one, other] if user.contains("larger") || user.contains("smaller") => {
                let expected = if user.contains("larger") { one.max(other) } else { one.min(other) };
                assert_eq!(numbers(&answer)[0], expected, "{user}");
                compared += 1;
            }
            _ => {}
        }
        for (side, step) in [("after", 1), ("before", 6)] {
            let asked = DAYS.iter().position(|day| user.contains(&format!("day {side} {}", day.to_lowercase())));
            if let Some(day) = asked {
                assert!(answer.contains(DAYS[(day + step) % 7]), "{user}: {answer}");
                days += 1;
            }
        }
    }
    assert!(counted > 50 && compared > 50 && days > 20, "{counted} {compared} {days}");
}

#[test]
fn what_is_to_be_repeated_is_repeated() {
    let mut repeated = 0;
    for item in items(Skill::Chat) {
        if let Some((_, words)) = user(&item).split_once("Repeat after me: ") {
            assert_eq!(answer(&item), words);
            repeated += 1;
        }
        if let Some(name) = between(&answer(&item), "Nice to meet you, ", "!") {
            assert!(user(&item).contains(name));
        }
    }
    assert!(repeated > 20, "{repeated}");
}

#[test]
fn nothing_is_known_of_the_unknown() {
    let (mut answers, mut dated) = (BTreeSet::new(), 0);
    for item in items(Skill::Unknown) {
        let answer = answer(&item);
        let Content::System(system) = &item.conversation.messages[0].content[0] else { panic!() };
        if let Some(date) = answer.strip_prefix("Today is ") {
            assert_eq!(system.conversation_start_date.as_deref(), Some(date.trim_end_matches('.')));
            dated += 1;
            continue;
        }
        assert!(answer.starts_with("I don't know") || answer.starts_with("I don't understand"), "{answer}");
        if let Some(name) = between(&answer, "I don't know ", ". If you give me") {
            assert!(user(&item).contains(name), "{answer}");
            continue;
        }
        answers.insert(answer);
    }
    assert!(dated > 50 && (6..20).contains(&answers.len()), "{dated} {answers:?}");
}

#[test]
fn commands_exist_and_paths_are_the_users() {
    let mut paths = 0;
    let manual: BTreeSet<String> = items(Skill::Manual).map(|item| answer(&item)).collect();
    // Lines of the manual are the manual's own concern.
    let is_from_manual = |said: &str| manual.iter().any(|line| line.starts_with(said));
    for skill in [Skill::Identity, Skill::Refusal, Skill::Unknown] {
        for item in items(skill) {
            let answer = answer(&item);
            let Some(command) = between(&answer, "`", "`").filter(|_| !is_from_manual(&answer)) else { continue };
            if command.starts_with("--") {
                assert_eq!(command, "--effort high");
                continue;
            }
            let path = between(command, "glossa run ", " \"your question\"").unwrap_or_else(|| panic!("{answer}"));
            if path != "PATH" {
                assert!(user(&item).to_lowercase().contains(path), "{answer}");
                paths += 1;
            }
        }
    }
    assert!(paths > 200, "{paths}");
}

#[test]
fn refusals_are_kind_and_give_nothing() {
    let mut refused = 0;
    for item in items(Skill::Refusal) {
        let answer = answer(&item);
        if let Some(reason) = between(&answer, "I'm sorry, I can't help with that, because ", ".") {
            refused += 1;
            assert!(answer.ends_with("I am glad to help with something else."));
            assert_eq!(item.effort == ReasoningEffort::Low, !thoughts(&item).concat().contains(reason));
        } else {
            let kind = ["I'm so sorry", "I can't", "I am too small", "I never learnt"];
            assert!(kind.iter().any(|opening| answer.starts_with(opening)), "{answer}");
        }
    }
    assert!(refused > 1_000, "{refused}");
}

#[test]
fn one_question_has_one_answer() {
    let mut conflicts = BTreeSet::new();
    let mut answers = BTreeMap::<String, (Skill, String)>::new();
    for skill in [Skill::Chat, Skill::Identity, Skill::Refusal, Skill::Unknown] {
        let all = (0..12_000).map(|index| corpus::item(skill, 8, index));
        // What is known of the date depends on the system message.
        for item in all.filter(|item| !user(item).contains("date") && !user(item).contains("day")) {
            let asked = user(&item).to_lowercase().trim_matches(['?', '.', '!', ' ']).to_owned();
            let answer = answer(&item);
            let (other, first) = answers.entry(asked).or_insert_with(|| (skill, answer.clone())).clone();
            if first != answer {
                conflicts.insert(format!("{other}, {skill}: {}: {first} / {answer}", user(&item)));
            }
        }
    }
    assert!(conflicts.is_empty(), "{conflicts:#?}");
}
