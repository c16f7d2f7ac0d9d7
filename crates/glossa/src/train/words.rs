//! What a run says: the estimate before, a line while it goes on, the figures at the end. It must not know how they come about.

use std::fmt::Write;
use std::io::{IsTerminal, stderr};
use std::ops::Range;
use std::time::{Duration, Instant};

use kernels::IsaKind;
use train::estimate::Estimate;
use train::metrics::Line;
use train::recipe::Schedule;

use crate::console::{CLEAR_LINE, DIM, PLAIN, say};

/// Between two lines where nobody sees them change.
const PLAIN_EVERY: Duration = Duration::from_secs(10);
/// Between two states of the line on a terminal.
const LIVE_EVERY: Duration = Duration::from_millis(200);
/// Steps that the shown speed and loss are means of.
const RECENT_STEPS: usize = 20;

/// The estimate as text.
pub(super) fn estimate(
    estimate: &Estimate,
    schedule: &Schedule,
    tokens_per_s: f64,
    steps: Range<u64>,
    (isa, threads): (IsaKind, usize),
) -> String {
    let Estimate { parameters, active_parameters, flops_per_token, memory_bytes, checkpoint_bytes, export_bytes } =
        *estimate;
    let tokens = steps.end.saturating_sub(steps.start) as f64 * schedule.tokens_per_step as f64;
    let mut out = format!(
        "model    {} parameters, {} of them per token\n",
        count(parameters as f64),
        count(active_parameters as f64)
    );
    let _ = writeln!(
        out,
        "work     {} steps of {} tokens: {} tokens, {}FLOP each",
        steps.end.saturating_sub(steps.start),
        schedule.tokens_per_step,
        count(tokens),
        count(flops_per_token),
    );
    let _ = writeln!(
        out,
        "time     about {} at {} tokens/s, {:.0} GFLOP/s ({}, {threads} threads, measured)",
        duration(tokens / tokens_per_s),
        count(tokens_per_s),
        tokens_per_s * flops_per_token * 1e-9,
        isa.name(),
    );
    let _ = writeln!(
        out,
        "memory   {}B for micro-batches of {} tokens{}",
        count(memory_bytes as f64),
        schedule.micro_batch_tokens,
        if schedule.recompute { ", activations computed again" } else { "" },
    );
    let _ = writeln!(
        out,
        "disk     {}B of checkpoints, {}B of exported model",
        count(checkpoint_bytes as f64),
        count(export_bytes as f64)
    );
    out
}

/// The figures at the end.
pub(super) fn summary(lines: &[Line]) -> String {
    let Some(last) = lines.last() else { return String::new() };
    let mut out = format!(
        "trained  {} steps, {} tokens in {} · loss {:.4}",
        last.step,
        count(last.tokens as f64),
        duration(last.elapsed_s),
        recent(lines, |line| line.loss),
    );
    let validated = lines.iter().rev().find_map(|line| line.validation_loss.zip(line.validation_accuracy));
    if let Some((loss, accuracy)) = validated {
        let _ = write!(out, " · validation {loss:.4}, {:.1} % of tokens right", 100.0 * accuracy);
    }
    out + "\n"
}

/// The progress of a run on standard error: one line that changes on a terminal, plain lines now and then elsewhere.
pub(super) struct Display {
    live: bool,
    last: u64,
    first: u64,
    began: Instant,
    shown: Option<Instant>,
}

impl Display {
    pub(super) fn new(first: u64, last: u64) -> Self {
        Self { live: stderr().is_terminal(), last, first, began: Instant::now(), shown: None }
    }

    pub(super) fn show(&mut self, line: &Line, lines: &[Line]) {
        let every = if self.live { LIVE_EVERY } else { PLAIN_EVERY };
        let due = self.shown.is_none_or(|shown| shown.elapsed() >= every);
        if !due && line.validation_loss.is_none() && line.step != self.last {
            return;
        }
        self.shown = Some(Instant::now());
        let text = self.text(line, lines);
        match (self.live, line.validation_loss) {
            (true, None) => say(&format!("{CLEAR_LINE}{DIM}{text}{PLAIN}")),
            // What was measured stays.
            (true, Some(_)) => say(&format!("{CLEAR_LINE}{text}\n")),
            (false, _) => say(&format!("{text}\n")),
        }
    }

    pub(super) fn finish(&self) {
        if self.live {
            say(CLEAR_LINE);
        }
    }

    fn text(&self, line: &Line, lines: &[Line]) -> String {
        let mut text = format!("step {}/{} · loss {:.4}", line.step, self.last, recent(lines, |line| line.loss));
        if let (Some(loss), Some(accuracy)) = (line.validation_loss, line.validation_accuracy) {
            let _ = write!(text, " · validation {loss:.4}, {:.1} % right", 100.0 * accuracy);
        }
        let _ = write!(text, " · {} tokens/s", count(recent(lines, |line| line.tokens_per_s)));
        if line.step < self.last {
            let done = (line.step - self.first).max(1) as f64;
            let left = self.began.elapsed().as_secs_f64() / done * (self.last - line.step) as f64;
            let _ = write!(text, " · {} left", duration(left));
        }
        text
    }
}

/// The mean of the last steps.
fn recent(lines: &[Line], figure: impl Fn(&Line) -> f64) -> f64 {
    let recent = &lines[lines.len().saturating_sub(RECENT_STEPS)..];
    recent.iter().map(figure).sum::<f64>() / recent.len().max(1) as f64
}

/// Three digits and a letter: 3.74 M.
pub(super) fn count(value: f64) -> String {
    let (divisor, letter) = match value {
        value if value >= 999.5e6 => (1e9, " G"),
        value if value >= 999.5e3 => (1e6, " M"),
        value if value >= 999.5 => (1e3, " k"),
        _ => (1.0, " "),
    };
    let value = value / divisor;
    let digits = match value {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        value if divisor > 1.0 || value.fract() != 0.0 => 2,
        _ => 0,
    };
    format!("{value:.digits$}{letter}").trim_end().to_owned()
}

/// Seconds in the words of people.
fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..=119 => format!("{whole} s"),
        120..=5999 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::{count, duration};

    #[test]
    fn counts_have_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (7.0, "7"),
            (64.0, "64.0"),
            (999.0, "999"),
            (1000.0, "1.00 k"),
            (21_432.0, "21.4 k"),
            (999_600.0, "1.00 M"),
            (3_744_000.0, "3.74 M"),
            (2.5e9, "2.50 G"),
        ] {
            assert_eq!(count(value), text);
        }
    }

    #[test]
    fn durations_are_readable() {
        let texts = [0.4, 119.0, 125.0, 5999.0, 7321.0].map(duration);
        assert_eq!(texts, ["0 s", "119 s", "2 min 05 s", "99 min 59 s", "2 h 02 min"]);
    }
}
