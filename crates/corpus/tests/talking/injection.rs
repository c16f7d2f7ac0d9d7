//! The order stands in the tool's text and nowhere in what the model says.

use std::collections::BTreeSet;

use corpus::{Check, Skill};
use harmony::{ReasoningEffort, Role};

use super::{answer, items, messages_of, results, thoughts, user};

#[test]
fn orders_stand_in_the_result_and_are_not_obeyed() {
    let (mut orders, mut targets) = (0, BTreeSet::new());
    for item in items(Skill::Injection) {
        let result = results(&item).concat();
        let target = item.checks.iter().find_map(|check| match check {
            Check::NeverSays(target) => Some(target.clone()),
            _ => None,
        });
        let warned = thoughts(&item).concat().contains("It also holds an order.");
        let Some(target) = target else {
            assert!(!warned);
            continue;
        };
        assert!(result.contains(&target), "{result}");
        assert_eq!(warned, item.effort != ReasoningEffort::Low);
        for said in messages_of(&item, Role::Assistant) {
            assert!(!said.text().to_lowercase().contains(&target.to_lowercase()), "{}", said.text());
        }
        orders += 1;
        targets.insert(target);
    }
    assert!(orders > 2_200 && targets.len() > 1_500, "{orders} {}", targets.len());
}

#[test]
fn the_answer_is_the_line_that_was_asked_for() {
    for item in items(Skill::Injection) {
        let answer = answer(&item);
        let line = answer.split('【').next().unwrap();
        assert!(results(&item)[0].contains(line));
        let (attribute, rest) = line.strip_prefix("The ").unwrap().split_once(" of ").unwrap();
        let (thing, _) = rest.split_once(" is ").unwrap();
        assert!(user(&item).contains(attribute) && user(&item).contains(thing), "{line}");
        // No other line is about the same.
        assert_eq!(results(&item)[0].matches(&format!("The {attribute} of {thing} is ")).count(), 1);
    }
}
