//! How users write, and books of phrases kept as text. It must not know what the phrases mean.

use crate::draw::Draw;

/// Puts values into the places of a template: `{name}` becomes the value of `name`.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = template.to_owned();
    for (key, value) in values {
        text = text.replace(&format!("{{{key}}}"), value);
    }
    text
}

/// A user's message as users write it: with or without capital, full stop or a kind word. Its first word must not be a name.
pub(super) fn said(draw: &mut Draw, message: &str) -> String {
    let message = typed(draw, message);
    match draw.below(30) {
        0 => format!("Hi! {message}"),
        1 => format!("Hello! {message}"),
        2 if message.ends_with('?') => format!("Please tell me: {message}"),
        3 if message.ends_with(['?', '.']) => format!("{message} Thanks!"),
        4 if message.ends_with('?') => format!("{message} Please answer."),
        5 if message.ends_with('?') => format!("I have a question. {message}"),
        _ => message,
    }
}

/// The same within a longer message: with or without capital and full stop.
pub(super) fn typed(draw: &mut Draw, message: &str) -> String {
    let mut message = message.to_owned();
    if draw.chance(12) {
        message = message.trim_end_matches(['?', '.', '!']).to_owned();
    }
    if draw.chance(14) {
        let first = message.chars().next().map_or(0, char::len_utf8);
        message = message[..first].to_lowercase() + &message[first..];
    }
    message
}

/// One thing that users say in several ways, with what is thought and answered.
///
/// In a book's text a subject starts with its name in brackets, for readers; `? ` opens a way to ask, `- `, `+ ` and `! ` the thoughts added at low,
/// medium and high effort, `= ` the answer.
#[derive(Default)]
pub(super) struct Subject {
    pub(super) asks: Vec<&'static str>,
    pub(super) low: &'static str,
    pub(super) medium: &'static str,
    pub(super) high: &'static str,
    pub(super) answer: &'static str,
}

/// Reads a book of subjects.
pub(super) fn subjects(book: &'static str) -> Vec<Subject> {
    let mut subjects: Vec<Subject> = Vec::new();
    for line in book.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            subjects.push(Subject::default());
            continue;
        }
        let subject = subjects.last_mut().expect("a book opens with a subject's name");
        match line.split_once(' ').expect("a line has a sign and a text") {
            ("?", ask) => subject.asks.push(ask),
            ("-", low) => subject.low = low,
            ("+", medium) => subject.medium = medium,
            ("!", high) => subject.high = high,
            ("=", answer) => subject.answer = answer,
            (sign, text) => unreachable!("a book's line starts with an unknown sign {sign:?}: {text}"),
        }
    }
    subjects
}

/// The lines of a list, each cut at its bars.
pub(super) fn rows<const COLUMNS: usize>(list: &'static str) -> Vec<[&'static str; COLUMNS]> {
    list.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut cells = line.split('|').map(str::trim);
            let row = std::array::from_fn(|_| cells.next().expect("a row has all its columns"));
            assert!(cells.next().is_none(), "a row has too many columns: {line}");
            row
        })
        .collect()
}

/// One of the values.
pub(super) fn one<'a, T>(draw: &mut Draw, values: &'a [T]) -> &'a T {
    &values[draw.below(values.len())]
}
