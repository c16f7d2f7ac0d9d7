//! What `glossa run` shows: the answer on standard output; chain of thought, calls, progress and figures on standard error.
//!
//! So a pipe gets the answer and nothing else. It must not know how tokens come about.

use std::io::{IsTerminal, Stdout, Write, stderr, stdout};

use engine::{Finish, FinishReason};
use harmony::{Event, Header, Role};

use crate::error::Error;

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";
const CLEAR_LINE: &str = "\r\x1b[K";

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

/// Shows a turn as it comes.
pub(crate) struct Display {
    answer: Stdout,
    dims: bool,
    hide_reasoning: bool,
    part: Option<Part>,
    /// Whether the last thing written on the terminal ended its line.
    line_open: bool,
}

/// Shows what goes on before the first token; silent when standard error is no terminal.
pub(crate) struct Progress {
    shown: bool,
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

impl Display {
    pub(crate) fn new(hide_reasoning: bool) -> Self {
        Self { answer: stdout(), dims: stderr().is_terminal(), hide_reasoning, part: None, line_open: false }
    }

    pub(crate) fn show(&mut self, event: &Event) -> Result<(), Error> {
        match event {
            Event::MessageStarted(header) => {
                let part = Part::of(header);
                self.part = Some(part);
                if let (Part::Call, Some(recipient)) = (part, &header.recipient) {
                    self.aside(&format!("[to {recipient}] "));
                }
            }
            Event::TextDelta(text) => match self.part {
                Some(Part::Answer) => {
                    self.answer.write_all(text.as_bytes())?;
                    self.answer.flush()?;
                    self.line_open = !text.ends_with('\n');
                }
                Some(Part::Call) => self.aside(text),
                Some(Part::Reasoning) if !self.hide_reasoning => self.aside(text),
                Some(Part::Reasoning) | None => {}
            },
            Event::MessageEnded(_) => self.end_message()?,
        }
        Ok(())
    }

    /// Writes bytes as they are: `--raw`.
    pub(crate) fn show_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.answer.write_all(bytes)?;
        self.answer.flush()?;
        self.part = Some(Part::Answer);
        self.line_open = !bytes.ends_with(b"\n");
        Ok(())
    }

    /// Ends the line that is open; an empty line parts thoughts from answers.
    pub(crate) fn end_message(&mut self) -> Result<(), Error> {
        let shown_aside = match self.part.take() {
            Some(Part::Answer) => {
                if self.line_open {
                    self.answer.write_all(b"\n")?;
                    self.answer.flush()?;
                }
                false
            }
            Some(Part::Call) => true,
            Some(Part::Reasoning) => !self.hide_reasoning,
            None => false,
        };
        self.line_open = false;
        if shown_aside {
            eprint!("\n\n");
        }
        Ok(())
    }

    fn aside(&self, text: &str) {
        if self.dims {
            eprint!("{DIM}{}{PLAIN}", printable(text));
        } else {
            eprint!("{text}");
        }
    }
}

/// Model output must not steer the terminal: control characters except line ends and tabs are left out of asides.
fn printable(text: &str) -> String {
    text.chars().filter(|character| matches!(character, '\n' | '\t') || !character.is_control()).collect()
}

impl Progress {
    /// Shows nothing until told, and nothing at all when `quiet` or not on a terminal.
    pub(crate) fn show(&mut self, quiet: bool, text: &str) {
        if !quiet && stderr().is_terminal() {
            eprint!("{CLEAR_LINE}{DIM}{text}{PLAIN}");
            self.shown = true;
        }
    }

    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            eprint!("{CLEAR_LINE}");
        }
    }

    pub(crate) fn new() -> Self {
        Self { shown: false }
    }
}

/// One line of figures.
pub(crate) fn figures(finish: &Finish, loading: std::time::Duration) -> String {
    let prefill = finish.prompt_tokens as f64 / finish.first_token.as_secs_f64().max(1e-9);
    // The first token comes out of reading the prompt; the others each took a step.
    let steps = finish.generated_tokens.saturating_sub(1);
    let decode = steps as f64 / finish.decode.as_secs_f64().max(1e-9);
    let speed = if steps == 0 { String::new() } else { format!(", {decode:.2} tokens/s") };
    format!(
        "loaded in {:.2} s · prompt {} tokens, {prefill:.1} tokens/s · first token after {:.2} s · {} tokens{speed} · {}",
        loading.as_secs_f64(),
        finish.prompt_tokens,
        finish.first_token.as_secs_f64(),
        finish.generated_tokens,
        reason(finish.reason),
    )
}

/// Why it ended, in words.
pub(crate) fn reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop(_) => "stop",
        FinishReason::Length => "length: --max-tokens reached",
        FinishReason::Context => "context full",
        FinishReason::Cancelled => "interrupted",
    }
}
