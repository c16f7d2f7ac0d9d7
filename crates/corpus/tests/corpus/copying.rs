//! What is copied is found again in the prompt by a reader that knows only how prompts look, and is the answer to the letter.

use std::collections::BTreeMap;

use corpus::{Check, Item, Mixture, Skill, Split, Stream};

use crate::drawn::{answer, asked, assert_effort_shows, numbers, thought};

/// The kinds of prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Repeated,
    LinesRead,
    LineFound,
    LookedUp,
}

/// So many items of either side of the line between seen and unseen prompts.
fn items(count: u64) -> impl Iterator<Item = Item> {
    [Split::Train, Split::HeldOut].into_iter().flat_map(move |split| {
        let stream = Stream::new(11, split, Mixture::only(Skill::Copying));
        (0..count).map(move |index| stream.item(index))
    })
}

/// The text that is to be said again, if the prompt wants that.
fn repeated(prompt: &str) -> Option<&str> {
    let before = [
        "Repeat after me: ",
        "Repeat this: ",
        "Say this again, to the letter: ",
        "Please copy this text:\n",
        "Copy: ",
        "Write exactly this: ",
        "echo ",
    ];
    prompt.strip_suffix("\nRepeat that.").or_else(|| before.iter().find_map(|before| prompt.strip_prefix(before)))
}

/// Text and question, whichever comes first: only the text is a list.
fn parts(prompt: &str) -> (&str, &str) {
    let is_list = |part: &str| part.contains('\n') || part.contains("; ");
    let (first, second) = prompt.split_once("\n\n").expect("a text and a question");
    match (is_list(first), is_list(second)) {
        (true, false) => (first, second),
        (false, true) => (second, first),
        (first_is, _) => panic!("both or neither are a list ({first_is}): {prompt}"),
    }
}

/// What stands before one of the marks, and what behind it.
fn cut<'a>(text: &'a str, marks: &[&str]) -> Option<(&'a str, &'a str)> {
    let at = marks.iter().filter_map(|mark| text.find(mark).map(|at| (at, mark.len()))).min();
    at.map(|(at, length)| (&text[..at], &text[at + length..]))
}

/// Lines by the names that a question may give them and the answer that names them; `None` if they have no numbers.
fn numbered(text: &str) -> Option<Vec<(String, String, &str)>> {
    let line = |line| {
        let (mark, content) = cut(line, &[": ", ". "])?;
        let number = mark.trim_start_matches("Line ").trim_start_matches('L');
        let is_number = number.len() <= 2 && number.bytes().all(|digit| digit.is_ascii_digit()) && !number.is_empty();
        let name = if mark == format!("L{number}") { mark } else { number };
        let answer = if mark == format!("L{number}") { mark.to_owned() } else { format!("Line {number}") };
        is_number.then(|| (name.to_owned(), answer, content))
    };
    text.lines().map(line).collect()
}

/// The names or keys that stand in a question between these words.
fn names<'a>(question: &'a str, frames: &[(&str, &str)]) -> Option<Vec<&'a str>> {
    let inside = |(before, behind): &(&str, &str)| question.strip_prefix(before)?.strip_suffix(behind);
    frames.iter().find_map(inside).map(|names| names.split(", ").collect())
}

/// What kind of prompt it is, and the answer that it wants.
fn read(prompt: &str) -> (Kind, String) {
    if let Some(text) = repeated(prompt) {
        return (Kind::Repeated, text.to_owned());
    }
    let (text, question) = parts(prompt);
    let Some(lines) = numbered(text) else { return (Kind::LookedUp, looked_up(text, question)) };
    for (index, (name, ..)) in lines.iter().enumerate() {
        assert_eq!(numbers(name)[0], numbers(&lines[0].0)[0] + index as i64, "{prompt}");
        assert!(
            lines.iter().filter(|(_, _, content)| *content == lines[index].2).count() == 1,
            "a line twice: {prompt}"
        );
    }
    for words in ["Which line says: ", "Which line is this? ", "Find the line: "] {
        if let Some(wanted) = question.strip_prefix(words) {
            let line = lines.iter().find(|(_, _, content)| *content == wanted).expect("the line is there");
            return (Kind::LineFound, line.1.clone());
        }
    }
    let frames = [
        ("Read line ", "."),
        ("Read lines ", "."),
        ("What does line ", " say?"),
        ("What do lines ", " say?"),
        ("Copy line ", "."),
        ("Copy lines ", "."),
        ("line ", ", please"),
        ("lines ", ", please"),
    ];
    let wanted = names(question, &frames).unwrap_or_else(|| panic!("an unknown question: {question}"));
    assert_eq!(question.contains("lines "), wanted.len() > 1, "{question}");
    let content = |wanted: &&str| lines.iter().find(|(name, ..)| name == wanted).expect("the line is there").2;
    (Kind::LinesRead, wanted.iter().map(content).collect::<Vec<_>>().join("\n"))
}

fn looked_up(text: &str, question: &str) -> String {
    let separators = [": ", " = ", " is ", " -> "];
    let entries: Vec<&str> = if text.contains('\n') { text.lines().collect() } else { text.split("; ").collect() };
    assert!((3..=12).contains(&entries.len()), "{text}");
    let keys: Vec<&str> = entries.iter().map(|entry| cut(entry, &separators).expect("a key and a value").0).collect();
    for (index, key) in keys.iter().enumerate() {
        let others = keys[..index].iter().chain(&keys[index + 1..]);
        assert!(others.into_iter().all(|other| !other.contains(key)), "{key} stands in another key: {text}");
    }
    let frames = [("Give me ", "."), ("Look up ", "."), ("What about ", "?"), ("", "?")];
    let wanted = names(question, &frames).unwrap_or_else(|| panic!("an unknown question: {question}"));
    let entry = |wanted: &&str| {
        let place = keys.iter().position(|key| key == wanted).unwrap_or_else(|| panic!("no {wanted} in {text}"));
        entries[place]
    };
    wanted.iter().map(entry).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_answer_is_what_the_prompt_says_to_the_letter() {
    let mut seen = BTreeMap::<Kind, usize>::new();
    // So many that names and lines would be ambiguous now and then if nothing kept them apart.
    for item in items(8_000) {
        let prompt = asked(&item.conversation);
        let (kind, expected) = read(&prompt);
        assert_eq!(answer(&item.conversation).unwrap(), expected, "{kind:?}: {prompt}");
        assert_eq!(item.checks, [Check::Is(expected)], "{kind:?}: {prompt}");
        *seen.entry(kind).or_default() += 1;
    }
    for (kind, share) in [(Kind::Repeated, 50), (Kind::LinesRead, 20), (Kind::LineFound, 12), (Kind::LookedUp, 18)] {
        // Of 16,000; 250 are four standard deviations of the most frequent.
        assert!(seen[&kind].abs_diff(160 * share) < 250, "{kind:?}: {seen:?}");
    }
}

#[test]
fn the_thought_names_what_is_copied() {
    for item in items(500) {
        let (thought, prompt) = (thought(&item.conversation), asked(&item.conversation));
        let (kind, answer) = read(&prompt);
        match kind {
            Kind::Repeated => assert!(thought.starts_with("I repeat it."), "{thought}"),
            Kind::LinesRead => {
                let (_, question) = parts(&prompt);
                let named = cut(&thought, &[" line ", " lines "]).unwrap().1.split('.').next().unwrap();
                assert_eq!(numbers(named), numbers(question), "{question}: {thought}");
                assert!(question.contains(named), "{question}: {thought}");
            }
            Kind::LineFound => {
                let name = answer.trim_start_matches("Line ");
                let place = format!(" That is {name}.");
                assert!(thought.starts_with("It says: ") && thought.contains(&place), "{thought}");
                let lines = parts(&prompt).0;
                let number: usize = name.trim_start_matches('L').parse().unwrap();
                let next = name.replace(&number.to_string(), &(number + 1).to_string());
                let is_next = lines.lines().any(|line| line.trim_start_matches("Line ").starts_with(&next));
                let says = if is_next { format!(" {next} is next.") } else { " It is the last.".to_owned() };
                assert!(thought.contains(&says), "{prompt}: {thought}");
            }
            Kind::LookedUp => {
                let named = thought.strip_prefix("I look up ").unwrap().split('.').next().unwrap();
                assert!(parts(&prompt).1.contains(named), "{prompt}: {thought}");
                assert_eq!(named.split(", ").count(), answer.lines().count(), "{prompt}: {thought}");
            }
        }
    }
}

#[test]
fn nothing_can_be_guessed() {
    // Texts to be repeated are all different, and most of them are some words long.
    let mut texts: Vec<String> = items(500)
        .map(|item| asked(&item.conversation))
        .filter_map(|prompt| repeated(&prompt).map(str::to_owned))
        .collect();
    let (count, long) = (texts.len(), texts.iter().filter(|text| text.len() > 25).count());
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), count);
    assert!(long * 2 > count, "{long} of {count}");
    // A question is before its text as often as behind.
    let asked = items(500).map(|item| asked(&item.conversation)).filter(|prompt| repeated(prompt).is_none());
    let first: Vec<bool> = asked.map(|prompt| prompt.starts_with(parts(&prompt).0)).collect();
    let share = 100 * first.iter().filter(|text_first| **text_first).count() / first.len();
    assert!((40..60).contains(&share), "{share} %");
}

#[test]
fn effort_shows() {
    assert_effort_shows(Skill::Copying);
}
