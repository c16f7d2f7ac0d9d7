//! What every engine is asked to measure, in the words that each of them understands.

use std::path::Path;

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::error::{Error, Result};

#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) threads: usize,
    /// Lengths of prompts, in tokens.
    pub(super) prompt: Vec<usize>,
    /// Tokens in the context before decoding.
    pub(super) depth: Vec<usize>,
    /// Sequences decoded at once.
    pub(super) batch: Vec<usize>,
    /// Tokens decoded per run and sequence.
    pub(super) decode: usize,
    pub(super) runs: usize,
    /// Whether Glossa rounds dense weights to 8 bits.
    pub(super) eight_bits: bool,
    /// Token ids are drawn below this.
    pub(super) vocabulary: Option<u64>,
}

impl Job {
    pub(super) fn parse(arguments: &mut Arguments) -> Result<Self> {
        let all = std::thread::available_parallelism().map_or(1, usize::from);
        let job = Self {
            threads: arguments.number("--threads")?.unwrap_or(all),
            prompt: list(arguments, "--prompt", &[512])?,
            depth: list(arguments, "--depth", &[0, 4096])?,
            batch: list(arguments, "--batch", &[8, 16])?,
            decode: arguments.number("--decode")?.unwrap_or(32),
            runs: arguments.number("--runs")?.unwrap_or(5),
            eight_bits: arguments.flag("--q8"),
            vocabulary: None,
        };
        for (name, number) in [("--threads", job.threads), ("--decode", job.decode), ("--runs", job.runs)] {
            if number == 0 {
                return Err(Error::Usage(format!("{name} 0: expected at least 1")));
            }
        }
        Ok(job)
    }

    /// For `glossa bench`.
    pub(super) fn glossa_arguments(&self) -> Vec<String> {
        let mut words = vec!["--threads".into(), self.threads.to_string()];
        for (name, numbers) in [("--prompt", &self.prompt), ("--depth", &self.depth), ("--batch", &self.batch)] {
            if !numbers.is_empty() {
                words.extend([name.into(), joined(numbers)]);
            }
        }
        words.extend(["--dense-weights".into(), if self.eight_bits { "q8" } else { "published" }.into()]);
        words.extend(["--decode".into(), self.decode.to_string(), "--runs".into(), self.runs.to_string()]);
        words
    }

    /// For the peers' drivers, and for the record.
    pub(super) fn json(&self, model: &Path) -> Value {
        let Self { threads, prompt, depth, batch, decode, runs, eight_bits, vocabulary } = self;
        json!({"model": model, "threads": threads, "prompt": prompt, "depth": depth, "batch": batch, "decode": decode,
            "runs": runs, "eight_bits": eight_bits, "vocabulary": vocabulary})
    }
}

fn joined(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

fn list(arguments: &mut Arguments, name: &str, default: &[usize]) -> Result<Vec<usize>> {
    let Some(text) = arguments.option(name)? else { return Ok(default.to_vec()) };
    let number = |word: &str| {
        word.parse().map_err(|_| Error::Usage(format!("{name} {text}: expected whole numbers with commas between")))
    };
    text.split(',').map(number).collect()
}
