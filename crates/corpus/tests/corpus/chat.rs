//! Small talk: a thought says again what it is about, so that the answer can follow from it.

use corpus::Skill;

use crate::drawn::{asked, items, thought};

#[test]
fn yes_or_no_questions_are_repeated_in_the_thought() {
    let mut seen = 0;
    for item in items(Skill::Chat, 4_000) {
        let (thought, asked) = (thought(&item.conversation), asked(&item.conversation).to_lowercase());
        let Some((_, rest)) = thought.split_once("The user asks about this, yes or no: ") else { continue };
        let question = rest.split('.').next().unwrap();
        assert!(question.len() > 5 && asked.contains(&question.to_lowercase()), "{asked}: {thought}");
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn thoughts_about_facts_name_the_fact() {
    let mut seen = 0;
    for item in items(Skill::Chat, 4_000) {
        let (thought, asked) = (thought(&item.conversation), asked(&item.conversation).to_lowercase());
        let Some((_, rest)) = thought.split_once("The user asks about this: ") else { continue };
        let words: Vec<&str> = rest.split('.').next().unwrap().split(' ').filter(|word| word.len() > 3).collect();
        // In other words than the question's now and then, but about the same thing.
        assert!(words.iter().any(|word| asked.contains(word)), "{asked}: {thought}");
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
}
