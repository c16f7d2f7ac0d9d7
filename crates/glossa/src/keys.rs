//! `glossa key`: makes API keys. It must not know how they are checked.

use std::io::{Write, stdout};

use server::{KeyLimits, Keys};

use crate::arguments::{KeyArguments, KeyCommand, NewKeyArguments};
use crate::console::say;
use crate::error::Error;

/// `glossa key`.
pub(crate) fn run(arguments: &KeyArguments) -> Result<(), Error> {
    let KeyCommand::New(arguments) = &arguments.command;
    let NewKeyArguments { keys, owner, admin, requests_per_minute, tokens_per_minute, parallel } = arguments;
    let (&requests_per_minute, &tokens_per_minute, &parallel) = (requests_per_minute, tokens_per_minute, parallel);
    let key = Keys::add_new(keys, owner, *admin, KeyLimits { requests_per_minute, tokens_per_minute, parallel })?;
    writeln!(stdout(), "{key}")?;
    say(&format!("its hash stands in {}; the key itself is kept nowhere\n", keys.display()));
    Ok(())
}
