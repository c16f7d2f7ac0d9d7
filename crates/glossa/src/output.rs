//! What `glossa run` shows: the answer on standard output; chain of thought, calls, progress and figures on standard error.
//!
//! So a pipe gets the answer and nothing else. It must not know how tokens come about.

use std::io::{IsTerminal, Stderr, Stdout, Write, stderr, stdout};

use harmony::{Event, Header, Role};

use crate::console::{DIM, PLAIN, printable};
use crate::error::Error;

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// What the user reads: final answers and preambles.
    Answer,
    /// Chain of thought.
    Reasoning,
    /// A message to a tool.
    Call,
}

/// Shows a turn as it comes: `A` takes the answer, `B` everything beside it.
pub(crate) struct Display<A: Write, B: Write> {
    answer: A,
    /// Whether the answer goes to a terminal, which its control characters must not steer.
    answer_is_terminal: bool,
    beside: B,
    /// Whether what stands beside the answer is dimmed.
    dims: bool,
    hide_reasoning: bool,
    part: Option<Part>,
    /// Whether the last thing written as answer left its line open.
    line_open: bool,
}

impl Part {
    /// Only the channels meant for users count as answer; a message without channel does too.
    pub(crate) fn of(header: &Header) -> Self {
        match (&header.recipient, header.channel.as_deref()) {
            (Some(_), _) => Self::Call,
            (None, None | Some("final" | "commentary")) if header.author.role == Role::Assistant => Self::Answer,
            (None, _) => Self::Reasoning,
        }
    }
}

impl Display<Stdout, Stderr> {
    pub(crate) fn new(hide_reasoning: bool) -> Self {
        let (answer_is_terminal, dims) = (stdout().is_terminal(), stderr().is_terminal());
        let (answer, beside) = (stdout(), stderr());
        Self { answer, answer_is_terminal, beside, dims, hide_reasoning, part: None, line_open: false }
    }
}

impl<A: Write, B: Write> Display<A, B> {
    pub(crate) fn show(&mut self, event: &Event) -> Result<(), Error> {
        match event {
            Event::MessageStarted(header) => {
                let part = Part::of(header);
                self.part = Some(part);
                if let (Part::Call, Some(recipient)) = (part, &header.recipient) {
                    self.write_beside(&format!("[to {recipient}] "));
                }
            }
            Event::TextDelta(text) => match self.part {
                Some(Part::Answer) => self.write_answer(text)?,
                Some(Part::Call) => self.write_beside(text),
                Some(Part::Reasoning) if !self.hide_reasoning => self.write_beside(text),
                Some(Part::Reasoning) | None => {}
            },
            Event::MessageEnded(_) => self.end_message()?,
        }
        Ok(())
    }

    /// Shows text as it is: `--raw`.
    pub(crate) fn show_raw(&mut self, text: &str) -> Result<(), Error> {
        self.part = Some(Part::Answer);
        self.write_answer(text)
    }

    /// Ends the line that is open; an empty line parts thoughts from answers.
    pub(crate) fn end_message(&mut self) -> Result<(), Error> {
        let shown_beside = match self.part.take() {
            Some(Part::Answer) => {
                if std::mem::take(&mut self.line_open) {
                    self.answer.write_all(b"\n")?;
                    self.answer.flush()?;
                }
                false
            }
            Some(Part::Call) => true,
            Some(Part::Reasoning) => !self.hide_reasoning,
            None => false,
        };
        if shown_beside {
            let _ = self.beside.write_all(b"\n\n");
        }
        Ok(())
    }

    fn write_answer(&mut self, text: &str) -> Result<(), Error> {
        if self.answer_is_terminal {
            self.answer.write_all(printable(text).as_bytes())?;
        } else {
            self.answer.write_all(text.as_bytes())?;
        }
        self.line_open = if text.is_empty() { self.line_open } else { !text.ends_with('\n') };
        Ok(self.answer.flush()?)
    }

    /// What stands beside the answer may get lost when nobody takes it; the answer goes on.
    fn write_beside(&mut self, text: &str) {
        let _ = if self.dims {
            write!(self.beside, "{DIM}{}{PLAIN}", printable(text))
        } else {
            self.beside.write_all(text.as_bytes())
        };
    }
}

#[cfg(test)]
mod tests {
    use harmony::{Author, Terminator};

    use super::*;

    fn header(role: Role, channel: Option<&str>, recipient: Option<&str>) -> Event {
        let text = |text: &str| text.to_owned();
        let (channel, recipient) = (channel.map(text), recipient.map(text));
        Event::MessageStarted(Header { author: Author::from(role), recipient, channel, content_type: None })
    }

    /// A thought, a preamble, a call and an answer, shown with the given settings.
    fn shown(terminal: bool, hide_reasoning: bool) -> (String, String) {
        let mut display = Display {
            answer: Vec::new(),
            answer_is_terminal: terminal,
            beside: Vec::new(),
            dims: terminal,
            hide_reasoning,
            part: None,
            line_open: false,
        };
        for (channel, recipient, text) in [
            ("analysis", None, "thought"),
            ("commentary", None, "First, "),
            ("commentary", Some("functions.f"), "{}"),
            ("a new channel", None, "?"),
            ("final", None, "an\x1b[2Jswer"),
        ] {
            let text = Event::TextDelta(text.into());
            for event in [header(Role::Assistant, Some(channel), recipient), text, Event::MessageEnded(Terminator::End)]
            {
                display.show(&event).unwrap();
            }
        }
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(display.answer), text(display.beside))
    }

    #[test]
    fn thoughts_and_calls_stand_beside_the_answer() {
        let (answer, beside) = shown(false, false);
        assert_eq!(answer, "First, \nan\x1b[2Jswer\n", "a pipe gets the bytes");
        assert_eq!(beside, "thought\n\n[to functions.f] {}\n\n?\n\n");
        let (_, beside) = shown(false, true);
        assert_eq!(beside, "[to functions.f] {}\n\n", "hidden reasoning is not shown, of unknown channels neither");
    }

    #[test]
    fn a_terminal_is_not_steered_and_thoughts_are_dim() {
        let (answer, beside) = shown(true, false);
        assert_eq!(answer, "First, \nan[2Jswer\n");
        assert!(beside.starts_with("\x1b[2mthought\x1b[0m\n\n"), "{beside:?}");
    }

    #[test]
    fn only_the_assistant_answers() {
        let part = |event| match event {
            Event::MessageStarted(header) => Part::of(&header),
            _ => unreachable!("a header"),
        };
        assert_eq!(part(header(Role::Assistant, None, None)), Part::Answer);
        assert_eq!(part(header(Role::User, Some("final"), None)), Part::Reasoning);
        assert_eq!(part(header(Role::Assistant, Some("final"), Some("python"))), Part::Call);
    }
}
