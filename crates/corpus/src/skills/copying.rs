//! Copying to the letter: repeating, reading lines by number, finding a line's number, looking values up. All else that is
//! taken from a text builds on it. It must not know what the copied words mean.

use super::invented::{capitalized, code, noise, word};
use super::turn::{Thought, Turn};
use super::wording::{fill, one};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};

/// Pieces of a text that is repeated, at most.
const PIECES_MAX: i64 = 10;
/// Lines of a numbered list, at most.
const LINES_MAX: i64 = 9;

pub(super) fn draw(draw: &mut Draw) -> Item {
    let turn = match draw.weighted(&[50, 20, 12, 18]) {
        0 => repeated(draw),
        1 => read_lines(draw),
        2 => found_line(draw),
        _ => looked_up(draw),
    };
    turn.item(Skill::Copying, draw)
}

const REPEAT: [&str; 8] = [
    "Repeat after me: {text}",
    "Repeat this: {text}",
    "Say this again, to the letter: {text}",
    "Please copy this text:\n{text}",
    "Copy: {text}",
    "{text}\nRepeat that.",
    "Write exactly this: {text}",
    "echo {text}",
];

/// Something of one or a few tokens that nobody can guess.
fn piece(draw: &mut Draw) -> String {
    match draw.weighted(&[40, 15, 10, 15, 10, 10]) {
        0 => word(draw),
        1 => capitalized(&word(draw)),
        2 => code(draw),
        3 => draw.between(0, 9_999).to_string(),
        4 => noise(draw),
        _ => (*draw.pick(&COMMON)).to_owned(),
    }
}

const COMMON: [&str; 24] = [
    "the", "a", "of", "and", "in", "is", "not", "with", "red", "lamp", "garden", "three", "house", "-", "+", "=", "\"",
    "?", "to", "on", "water", "name", "{}", "[]",
];

fn pieces(draw: &mut Draw, least: i64, most: i64) -> Vec<String> {
    (0..draw.between(least, most)).map(|_| piece(draw)).collect()
}

fn repeated(draw: &mut Draw) -> Turn {
    let separator = *one(draw, &[" ", " ", " ", ", ", "\n", "; ", ","]);
    let text = pieces(draw, 2, PIECES_MAX).join(separator);
    Turn {
        user: fill(draw.pick(&REPEAT), &[("text", &text)]),
        thought: Thought::new(
            "I repeat it.",
            "The user wants the same text again, so I copy it piece by piece.",
            "I add nothing and leave nothing out, and I keep the order.",
        ),
        answer: text.clone(),
        checks: vec![Check::Is(text)],
    }
}

/// Numbered lines as the browser shows them, or as a list.
struct Lines {
    lines: Vec<String>,
    first: usize,
    mark: &'static str,
}

impl Lines {
    fn draw(draw: &mut Draw) -> Self {
        let count = draw.between(3, LINES_MAX);
        let mut lines: Vec<String> = Vec::new();
        while lines.len() < count as usize {
            let line = pieces(draw, 1, 5).join(" ");
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let mark = draw.pick(&["L{number}: ", "L{number}: ", "{number}. ", "Line {number}: "]);
        Self { lines, first: draw.below(2), mark }
    }

    fn text(&self) -> String {
        let numbered =
            |(index, line): (usize, &String)| fill(self.mark, &[("number", &(index + self.first).to_string())]) + line;
        self.lines.iter().enumerate().map(numbered).collect::<Vec<_>>().join("\n")
    }

    /// What a thought says of the line behind this one.
    fn next(&self, index: usize) -> String {
        let last = index + 1 == self.lines.len();
        if last { "It is the last.".to_owned() } else { format!("{} is next.", self.name(index + 1)) }
    }

    /// What a line is called.
    fn name(&self, index: usize) -> String {
        let number = (index + self.first).to_string();
        if self.mark.starts_with('L') && !self.mark.starts_with("Line") { format!("L{number}") } else { number }
    }
}

fn read_lines(draw: &mut Draw) -> Turn {
    let lines = Lines::draw(draw);
    let mut order: Vec<usize> = (0..lines.lines.len()).collect();
    draw.shuffle(&mut order);
    order.truncate(draw.between(1, 4) as usize);
    let names: Vec<String> = order.iter().map(|&index| lines.name(index)).collect();
    let names = names.join(", ");
    let (word, does) = if order.len() == 1 { ("line", "does") } else { ("lines", "do") };
    let answer = order.iter().map(|&index| lines.lines[index].as_str()).collect::<Vec<_>>().join("\n");
    let ask = fill(
        draw.pick(&[
            "Read {word} {names}.",
            "What {does} {word} {names} say?",
            "Copy {word} {names}.",
            "{word} {names}, please",
        ]),
        &[("word", word), ("does", does), ("names", &names)],
    );
    Turn {
        user: around(draw, &lines.text(), &ask),
        thought: Thought::new(
            format!("I copy {word} {names}."),
            "I look for each number and copy what stands behind it.",
            "The numbers themselves are not part of the text.",
        ),
        checks: vec![Check::Is(answer.clone())],
        answer,
    }
}

fn found_line(draw: &mut Draw) -> Turn {
    let lines = Lines::draw(draw);
    let index = draw.below(lines.lines.len());
    let (line, name) = (&lines.lines[index], lines.name(index));
    let ask = fill(
        draw.pick(&["Which line says: {line}", "Which line is this? {line}", "Find the line: {line}"]),
        &[("line", line)],
    );
    let answer = if name.starts_with('L') { name.clone() } else { format!("Line {name}") };
    Turn {
        user: around(draw, &lines.text(), &ask),
        thought: Thought::new(
            format!("It says: {line} {} That is {name}.", lines.next(index)),
            "I give the number of that line.",
            "I write nothing else.",
        ),
        checks: vec![Check::Is(answer.clone())],
        answer,
    }
}

fn looked_up(draw: &mut Draw) -> Turn {
    let separator = draw.pick(&[": ", " = ", " is ", " -> "]);
    let mut entries: Vec<(String, String)> = Vec::new();
    let count = draw.between(3, 9) as usize;
    while entries.len() < count {
        let key = word(draw);
        if entries.iter().all(|(other, _)| !other.contains(&key) && !key.contains(other.as_str())) {
            entries.push((key, pieces(draw, 1, 2).join(" ")));
        }
    }
    let between = *one(draw, &["\n", "\n", "; "]);
    let line = |(key, value): &(String, String)| format!("{key}{separator}{value}");
    let text = entries.iter().map(line).collect::<Vec<_>>().join(between);
    draw.shuffle(&mut entries);
    entries.truncate(draw.between(1, 4) as usize);
    let keys = entries.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", ");
    let answer = entries.iter().map(line).collect::<Vec<_>>().join("\n");
    let ask =
        fill(draw.pick(&["Give me {keys}.", "Look up {keys}.", "What about {keys}?", "{keys}?"]), &[("keys", &keys)]);
    Turn {
        user: around(draw, &text, &ask),
        thought: Thought::new(
            format!("I look up {keys}."),
            "I find each name and copy what belongs to it.",
            "The answer keeps the order of the question.",
        ),
        checks: vec![Check::Is(answer.clone())],
        answer,
    }
}

/// The question before or behind the text.
fn around(draw: &mut Draw, text: &str, ask: &str) -> String {
    if draw.chance(50) { format!("{text}\n\n{ask}") } else { format!("{ask}\n\n{text}") }
}
