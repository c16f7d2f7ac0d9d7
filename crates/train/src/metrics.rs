//! The figures of a run, a line of JSON per step. It must not know how they are measured or drawn.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable::replace_file;
use crate::error::Error;

/// What is known after a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Steps done.
    pub step: u64,
    /// Tokens read since the run began.
    pub tokens: u64,
    /// Mean loss of the step's tokens, in nats.
    pub loss: f64,
    /// Share of the step's tokens that were the most likely.
    pub accuracy: f64,
    /// How unequally the experts were used; experts per token at best.
    pub balance: f64,
    /// Length of the gradient before clipping.
    pub gradient_norm: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Tokens of the step by its time.
    pub tokens_per_s: f64,
    /// Mean loss of documents that are not learnt from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// Share of their tokens that were the most likely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// Seconds of computing since the run began, interruptions left out.
    pub elapsed_s: f64,
}

/// The file of a run's lines.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    lines: Vec<Line>,
}

impl Log {
    /// Opens the file for what comes after a step: later lines, which a run wrote between its last checkpoint and its end,
    /// are cut off, and so is a line that is not whole. Step 0 begins anew.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Write`].
    pub fn open(path: &Path, step: u64) -> Result<Self, Error> {
        let kept: Vec<(Line, Vec<u8>)> = whole_lines(path)?.into_iter().filter(|(line, _)| line.step <= step).collect();
        // As they stood: a number that is read and written again may differ in its last digit.
        replace_file(path, |out| kept.iter().try_for_each(|(_, text)| out.write_all(text)))?;
        let lines = kept.into_iter().map(|(line, _)| line).collect();
        let file = OpenOptions::new().append(true).open(path);
        let file = file.map_err(|source| Error::Write { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file, lines })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn append(&mut self, line: Line) -> Result<(), Error> {
        let written = self.file.write_all(text(&line).as_bytes());
        written.map_err(|source| Error::Write { path: self.path.clone(), source })?;
        self.lines.push(line);
        Ok(())
    }

    /// All lines of the run so far.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

/// The whole lines of a file, up to the first that is not; none when there is no such file.
///
/// # Errors
/// [`Error::Read`].
pub fn read(path: &Path) -> Result<Vec<Line>, Error> {
    Ok(whole_lines(path)?.into_iter().map(|(line, _)| line).collect())
}

fn whole_lines(path: &Path) -> Result<Vec<(Line, Vec<u8>)>, Error> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        bytes => bytes.map_err(|source| Error::Read { path: path.to_owned(), source })?,
    };
    let whole = bytes.split_inclusive(|&byte| byte == b'\n').take_while(|line| line.ends_with(b"\n"));
    Ok(whole.map_while(|line| Some((serde_json::from_slice(line).ok()?, line.to_vec()))).collect())
}

fn text(line: &Line) -> String {
    serde_json::to_string(line).expect("a line is plain data with names for keys") + "\n"
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use super::{Line, Log, read};

    pub(crate) fn line(step: u64, loss: f64) -> Line {
        Line {
            step,
            tokens: step * 100,
            loss,
            accuracy: 0.5,
            balance: 2.25,
            gradient_norm: 1.5,
            learning_rate: 0.003,
            tokens_per_s: 1234.5,
            validation_loss: step.is_multiple_of(10).then_some(loss + 0.125),
            validation_accuracy: step.is_multiple_of(10).then_some(0.25),
            elapsed_s: step as f64 / 8.0,
        }
    }

    #[test]
    fn lines_come_back_and_are_cut_at_the_resumed_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = Log::open(&path, 0).unwrap();
        let all: Vec<Line> = (1..=20).map(|step| line(step, step as f64 / 64.0)).collect();
        all.iter().for_each(|line| log.append(*line).unwrap());
        assert_eq!(log.lines(), all);
        assert_eq!(read(&path).unwrap(), all);
        // A kill in the middle of a line.
        let torn = [&fs::read(&path).unwrap()[..], b"{\"step\":21,\"tok"].concat();
        fs::write(&path, torn).unwrap();
        let before = fs::read_to_string(&path).unwrap();
        let mut log = Log::open(&path, 13).unwrap();
        assert!(before.starts_with(&fs::read_to_string(&path).unwrap()));
        assert_eq!(log.lines(), &all[..13]);
        log.append(line(14, 9.0)).unwrap();
        assert_eq!(read(&path).unwrap().last(), Some(&line(14, 9.0)));
        assert_eq!(read(&path).unwrap().len(), 14);
        assert!(Log::open(&path, 0).unwrap().lines().is_empty());
    }

    #[test]
    fn only_validated_steps_say_so() {
        let text = super::text(&line(3, 0.5));
        assert!(!text.contains("validation") && text.ends_with("}\n"), "{text}");
        assert!(super::text(&line(10, 0.5)).contains(r#""validation_loss":0.625"#));
    }
}
