//! How the program speaks to a terminal: progress, messages of one line, text that can't steer it. It must not know models.

use std::io::{IsTerminal, Write, stderr};

use harmony::Terminator;

pub(crate) const DIM: &str = "\x1b[2m";
pub(crate) const PLAIN: &str = "\x1b[0m";
pub(crate) const CLEAR_LINE: &str = "\r\x1b[K";

/// Shows what goes on before the first token; silent when standard error is no terminal.
pub(crate) struct Progress {
    shown: bool,
}

impl Progress {
    /// Shows nothing until told, and nothing at all when `quiet` or not on a terminal.
    pub(crate) fn show(&mut self, quiet: bool, text: &str) {
        if !quiet && stderr().is_terminal() {
            say(&format!("{CLEAR_LINE}{DIM}{}{PLAIN}", printable(text)));
            self.shown = true;
        }
    }

    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            say(CLEAR_LINE);
        }
    }

    pub(crate) fn new() -> Self {
        Self { shown: false }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Writes to standard error; if nobody takes it, nothing is lost that the command was asked for.
pub(crate) fn say(text: &str) {
    let _ = stderr().write_all(text.as_bytes());
}

/// Text for one line of a message: control characters are escaped, so that input can't forge lines or steer a terminal.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut line, character| {
        if character.is_control() {
            line.extend(character.escape_unicode());
        } else {
            line.push(character);
        }
        line
    })
}

/// A JSON document as one line: control characters, which JSON allows only inside strings, are escaped there.
pub(crate) fn json_line(value: &serde_json::Value) -> String {
    let escape = |character: char| match character {
        character if character.is_control() => format!("\\u{:04x}", u32::from(character)),
        character => character.to_string(),
    };
    value.to_string().chars().map(escape).collect()
}

/// What ended a message, for programs.
pub(crate) fn terminator(terminator: Terminator) -> &'static str {
    match terminator {
        Terminator::End => "end",
        Terminator::Call => "call",
        Terminator::Return => "return",
        Terminator::EndOfText => "end_of_text",
        Terminator::Implied => "implied",
        Terminator::EndOfStream => "end_of_stream",
    }
}

/// Model output must not steer the terminal: control characters except line ends and tabs are left out.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|character| matches!(character, '\n' | '\t') || !character.is_control()).collect()
}
