//! Facts are found again in the text by the names in the question; summaries hold no word that the text has not.

use corpus::{Check, Skill};

use super::{answer, between, items, user};

/// The line or sentence that starts with these words.
fn line_of<'a>(text: &'a str, beginning: &str) -> Option<&'a str> {
    text.split(['\n', '"']).flat_map(|line| line.split(". ")).find(|line| line.trim_start().starts_with(beginning))
}

#[test]
fn values_are_copied_from_the_text() {
    let mut absent = 0;
    for item in items(Skill::Extraction) {
        if answer(&item).starts_with("The text does not say") {
            absent += 1;
            continue;
        }
        for check in &item.checks {
            match check {
                Check::Says(value) => assert!(user(&item).contains(value), "{value}: {}", user(&item)),
                Check::Is(values) => assert!(values.split(", ").all(|value| user(&item).contains(value))),
                _ => panic!("{check:?}"),
            }
        }
    }
    assert!((200..600).contains(&absent), "{absent}");
}

#[test]
fn the_value_belongs_to_the_name_in_the_question() {
    let mut found = 0;
    for item in items(Skill::Extraction) {
        let (user, answer) = (user(&item), answer(&item));
        // "The room of Torvik is K7-204." stands in the text as "Torvik: K7-204".
        let told = between(&answer, "The ", ".\n").unwrap_or(&answer);
        if let Some((name, value)) = told.split_once(" of ").and_then(|(_, rest)| rest.split_once(" is ")) {
            let name = name.trim_start_matches("sample ");
            let line = line_of(&user, &format!("{name}: ")).or_else(|| line_of(&user, &format!("Sample {name}: ")));
            if let Some(line) = line {
                let value = value.split(". The ").next().unwrap().trim_end_matches('.');
                assert_eq!(line.trim().rsplit(": ").next().unwrap(), value, "{user}");
                found += 1;
            }
        }
        let aged = answer.split_once(" is ").filter(|(_, rest)| rest.contains("years old"));
        if let Some(line) = aged.and_then(|(name, _)| line_of(&user, &format!("{name} is "))) {
            assert!(answer.contains(line.trim_end_matches('.')), "{user}: {answer}");
            found += 1;
        }
    }
    assert!(found > 500, "{found}");
}

#[test]
fn a_name_that_is_absent_has_no_line() {
    for item in items(Skill::Extraction) {
        let answer = answer(&item);
        let Some(name) = between(&answer, "The text does not say the ", ".").and_then(|topic| topic.split_once(" of "))
        else {
            continue;
        };
        assert_eq!(line_of(&user(&item), &format!("{}: ", name.1)), None, "{}", user(&item));
    }
}

#[test]
fn summaries_say_only_what_the_text_says() {
    for item in items(Skill::Summary) {
        let (user, answer) = (user(&item), answer(&item));
        let sentences = answer.matches(". ").count() + 1;
        let two = user.to_lowercase().contains("two sentences");
        assert_eq!(sentences, if two { 2 } else { 1 }, "{user}\n{answer}");
        let text = format!("{} in and but the end", user.to_lowercase());
        let words: Vec<&str> = text.split(|letter: char| !letter.is_alphanumeric()).collect();
        for word in answer.to_lowercase().split(|letter: char| !letter.is_alphanumeric()) {
            assert!(words.contains(&word), "{word}: {user}\n{answer}");
        }
        assert!(answer.len() * 10 < user.len() * 9, "{user}\n{answer}");
    }
}
