//! `cargo xtask ci`: everything that must hold before a commit is pushed, the cheap steps first.
//!
//! The tests come last and nothing is printed after them, so that their summary ends the output.

use std::process::Command;
use std::time::Instant;

use crate::arguments::Arguments;
use crate::error::{Error, Result};
use crate::process::{cargo, run as run_command};
use crate::{clients, deny, services, tidy};

type Step = (&'static str, fn() -> Result<()>);

/// All steps in order.
const STEPS: [Step; 9] = [
    ("fmt", || run_cargo(&["fmt", "--all", "--check"])),
    ("clippy", || run_cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    ("tidy", tidy::run),
    ("deny", deny::run),
    ("docs", || run_command(with_strict_docs(cargo().args(["doc", "--workspace", "--no-deps"])))),
    ("doctests", || run_cargo(&["test", "--workspace", "--doc"])),
    ("services", services::step),
    ("clients", clients::install),
    ("tests", || run_cargo(&["test", "--workspace", "--lib", "--bins", "--tests"])),
];

/// Runs all steps, or those named; the first failure ends it.
pub(crate) fn run(arguments: &mut Arguments) -> Result<()> {
    let mut chosen = Vec::new();
    while let Some(name) = arguments.positional() {
        let known = STEPS.into_iter().find(|(step, _)| *step == name);
        chosen.push(known.ok_or_else(|| Error::Usage(format!("ci has no step {name:?}; see `cargo xtask help`")))?);
    }
    arguments.finish()?;
    for (step, work) in if chosen.is_empty() { STEPS.to_vec() } else { chosen } {
        eprintln!("=== {step}");
        let start = Instant::now();
        work().map_err(|source| Error::Step { step, source: Box::new(source) })?;
        if step != "tests" {
            eprintln!("    {step} is well, {:.1} s", start.elapsed().as_secs_f64());
        }
    }
    Ok(())
}

fn run_cargo(arguments: &[&str]) -> Result<()> {
    run_command(cargo().args(arguments))
}

fn with_strict_docs(command: &mut Command) -> &mut Command {
    command.env("RUSTDOCFLAGS", "-D warnings")
}
