//! A progress bar on standard error: redrawn in place on a terminal, a line every tenth elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

const REDRAW: Duration = Duration::from_millis(100);
const WIDTH: usize = 30;

pub(crate) struct ProgressBar {
    start: Instant,
    drawn: Option<Instant>,
    tenths: u64,
    terminal: bool,
}

impl ProgressBar {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), drawn: None, tenths: 0, terminal: stderr().is_terminal() }
    }

    pub(crate) fn update(&mut self, done: u64, total: u64) {
        let tenths = done * 10 / total.max(1);
        let finished = done == total;
        let due = if self.terminal {
            finished || self.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW)
        } else {
            tenths > self.tenths
        };
        if !due {
            return;
        }
        self.drawn = Some(Instant::now());
        self.tenths = tenths;
        let line = line(done, total, self.start.elapsed());
        let (start, end) = match (self.terminal, finished) {
            (true, false) => ("\r", ""),
            (true, true) => ("\r", "\n"),
            (false, _) => ("", "\n"),
        };
        // Nobody is hurt when standard error is closed.
        let _ = write!(stderr(), "{start}{line}{end}");
    }
}

fn line(done: u64, total: u64, elapsed: Duration) -> String {
    let share = if total == 0 { 1.0 } else { done as f64 / total as f64 };
    let filled = (share * WIDTH as f64) as usize;
    let seconds = elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { done as f64 / seconds } else { 0.0 };
    let left = if rate > 0.0 { (total - done) as f64 / rate } else { 0.0 };
    format!(
        "[{}{}] {:3.0} %  {:.2} of {:.2} GB  {:.0} MB/s  {left:.0} s left  ",
        "#".repeat(filled),
        "-".repeat(WIDTH - filled),
        share * 100.0,
        done as f64 / 1e9,
        total as f64 / 1e9,
        rate / 1e6,
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn half_way() {
        let line = super::line(5_000_000_000, 10_000_000_000, Duration::from_secs(10));
        assert_eq!(
            line,
            format!("[{}{}]  50 %  5.00 of 10.00 GB  500 MB/s  10 s left  ", "#".repeat(15), "-".repeat(15))
        );
        assert!(super::line(0, 0, Duration::ZERO).contains("100 %"));
    }
}
