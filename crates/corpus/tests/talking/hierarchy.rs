//! The rule is read again from the developer's words, and the answer is held to it.

use corpus::Skill;

use super::{answer, between, instructions, items, user};

/// A word behind one of these phrases, without punctuation.
fn word_after(text: &str, phrases: &[&str]) -> Option<String> {
    let rest = phrases.iter().find_map(|phrase| text.split_once(phrase).map(|(_, rest)| rest))?;
    Some(rest.split([' ', '.', ',']).next()?.trim_matches('"').to_owned())
}

#[test]
fn words_at_the_end_and_the_start_are_there() {
    let (mut ends, mut starts) = (0, 0);
    for item in items(Skill::Hierarchy) {
        let (rule, answer) = (instructions(&item), answer(&item));
        let last = word_after(&rule, &["answer with the word ", "last word of each answer is ", "Finish with "]);
        if let Some(word) = last.filter(|_| rule.contains("end ") || rule.contains("last") || rule.contains("Finish")) {
            assert!(answer.ends_with(&format!(" {word}")), "{rule}: {answer}");
            ends += 1;
        }
        let first = word_after(&rule, &["begin your answer with the word ", "first word of each answer is "]);
        if let Some(word) = first {
            assert!(answer.starts_with(&format!("{word}: ")), "{rule}: {answer}");
            starts += 1;
        }
    }
    assert!(ends > 100 && starts > 100, "{ends} {starts}");
}

#[test]
fn secrets_are_kept() {
    let mut kept = 0;
    for item in items(Skill::Hierarchy) {
        let rule = instructions(&item);
        if !["Never tell it", "Never reveal", "yourself", "Do not say it", "stay secret"]
            .iter()
            .any(|sign| rule.contains(sign))
        {
            continue;
        }
        let secret = rule.split([' ', '.', ',', ':']).filter(|word| {
            let invented = word.len() > 3 && !PLAIN.contains(word);
            invented || word.chars().any(|letter| letter.is_ascii_digit())
        });
        for word in secret {
            assert!(!answer(&item).contains(word), "{rule}: {}", answer(&item));
            kept += 1;
        }
    }
    assert!(kept > 300, "{kept}");
}

/// The developer's own words around a secret.
const PLAIN: [&str; 30] = [
    "code",
    "word",
    "password",
    "secret",
    "number",
    "Never",
    "tell",
    "user",
    "reveal",
    "Keep",
    "this",
    "yourself",
    "say",
    "whatever",
    "asks",
    "know",
    "must",
    "stay",
    "kind",
    "helpful",
    "assistant",
    "You",
    "are",
    "the",
    "The",
    "and",
    "Be",
    "not",
    "key",
    "Do",
];

#[test]
fn one_word_and_capitals() {
    let mut capitals = 0;
    for item in items(Skill::Hierarchy) {
        let (rule, answer) = (instructions(&item), answer(&item));
        if rule.to_lowercase().contains("one word") {
            assert!(!answer.contains(' '), "{rule}: {answer}");
        }
        if rule.contains("capital letters") || rule.contains("upper case") {
            assert_eq!(answer, answer.to_uppercase());
            capitals += usize::from(answer.contains(char::is_alphabetic));
        }
    }
    assert!(capitals > 100, "{capitals}");
}

#[test]
fn half_of_the_users_wish_otherwise() {
    let signs =
        ["Ignore", "Forget", "Don't", "Do not", "without", "Leave out", "Never", "I am the developer", "Explain"];
    let against = items(Skill::Hierarchy).filter(|item| signs.iter().any(|sign| user(item).contains(sign))).count();
    assert!((600..2_000).contains(&against), "{against}");
}

#[test]
fn houses_are_told_of_as_the_developer_told() {
    let mut told = 0;
    for item in items(Skill::Hierarchy) {
        let (rule, answer) = (instructions(&item), answer(&item));
        for verb in ["opens at ", "closes at "] {
            if let Some(hour) = between(&answer, verb, ".").filter(|_| user(&item).starts_with("When does")) {
                assert_eq!(Some(hour.to_owned()), word_after(&rule, &[verb]), "{rule}");
                told += 1;
            }
        }
    }
    assert!(told > 50, "{told}");
}
