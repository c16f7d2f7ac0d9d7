//! `cargo xtask tidy`: the house rules that no compiler checks. STYLE.md says why each rule exists.
//!
//! Rules are pure functions over text; only this file and `files` touch the disk.

mod code;
mod edges;
mod files;
mod source;
mod words;

use std::fmt;

use crate::error::{Error, Result};
use crate::process::{metadata, root};

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Violation {
    path: String,
    line: Option<usize>,
    what: String,
}

/// Checks every file that git knows or would add, and the dependency edges; prints each violation.
pub(crate) fn run() -> Result<()> {
    let mut violations = Vec::new();
    let texts = files::texts(&root())?;
    for (path, text) in &texts {
        violations.extend(words::check(path, text));
        if path.ends_with(".rs") {
            violations.extend(source::check(path, text));
        }
    }
    let packages = edges::packages(&metadata()?);
    violations.extend(edges::check(&packages));
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        return Err(Error::Untidy(violations.len()));
    }
    println!("tidy: {} text files and {} crates keep the house rules", texts.len(), packages.len());
    Ok(())
}

impl Violation {
    fn file(path: &str, what: String) -> Self {
        Self { path: path.into(), line: None, what }
    }

    fn line(path: &str, line: usize, what: String) -> Self {
        Self { path: path.into(), line: Some(line), what }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "{}:{line}: {}", self.path, self.what),
            None => write!(formatter, "{}: {}", self.path, self.what),
        }
    }
}
