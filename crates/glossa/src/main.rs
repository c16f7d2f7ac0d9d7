//! The command line: parses arguments, puts the rooms together, and talks to the person at the terminal.
//!
//! It must not compute anything about models or text itself.

#![forbid(unsafe_code)]

mod arguments;
mod bench;
mod config;
mod console;
mod date;
mod error;
mod figures;
mod guards;
mod inspect;
mod keys;
mod loading;
mod logits;
mod memory;
mod output;
mod packs;
mod plan;
mod run;
mod self_test;
mod serve;
mod shipped;
mod text;
mod train;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;
use error::Error;

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Config(arguments) => config::run(&arguments),
        Command::Key(arguments) => keys::run(&arguments),
        Command::Pack(arguments) => packs::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Logits(arguments) => logits::run(&arguments),
        Command::Tokenize(arguments) => text::tokenize(&arguments),
        Command::Detokenize(arguments) => text::detokenize(&arguments),
        Command::Render(arguments) => text::render(&arguments),
        Command::Parse(arguments) => text::parse(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has had enough, as `head` does.
        Err(Error::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, Error::Interrupted) {
                console::say(&format!("glossa: {}\n", console::one_line(&error.to_string())));
            }
            ExitCode::from(error.exit_code())
        }
    }
}
