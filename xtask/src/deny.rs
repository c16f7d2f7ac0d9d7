//! Licences, bans and sources of our dependencies, checked by cargo-deny against deny.toml.
//!
//! A machine without cargo-deny gets it under `target/tools`, once: a build of two minutes on two idle cores. The check never
//! passes because the tool is missing.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::Result;
use crate::process::{cargo, root, run as run_command, target_folder};

/// The version that deny.toml was written for.
const VERSION: &str = "0.20.2";

/// Checks everything but advisories, which need the network and change without us.
pub(crate) fn run() -> Result<()> {
    let mut command = Command::new(program()?);
    command.current_dir(root()).args(["--locked", "--workspace", "check", "licenses", "bans", "sources"]);
    run_command(&mut command)
}

fn program() -> Result<PathBuf> {
    let on_path = PathBuf::from("cargo-deny");
    if answers(&on_path) {
        return Ok(on_path);
    }
    let tools = target_folder()?.join("tools");
    let own = tools.join("bin").join("cargo-deny");
    if !answers(&own) {
        eprintln!("    installing cargo-deny {VERSION} into {}", tools.display());
        let package = format!("cargo-deny@{VERSION}");
        let mut install = cargo();
        // Left to itself, cargo builds it in a temporary folder and not among our own crates.
        install.env_remove("CARGO_TARGET_DIR").args(["install", "--quiet", "--locked", &package, "--root"]).arg(&tools);
        run_command(&mut install)?;
    }
    Ok(own)
}

fn answers(program: &PathBuf) -> bool {
    let status = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
