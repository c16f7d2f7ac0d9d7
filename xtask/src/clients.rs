//! `cargo xtask clients`: the official clients of other people, at the versions that `clients/` pins, for the tests of the
//! server: Python's from PyPI, JavaScript's and Codex from npm, each list in a folder of `target/clients`.
//!
//! It must not know what the clients are asked to do.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};
use crate::packages::{Python, install_pinned, write};
use crate::process::{output, root, run, target_folder};

/// The folders of `clients/` that npm fills.
const NPM_FOLDERS: [&str; 2] = ["node", "codex"];
const PINS: &str = "requirements.txt";
const MANIFEST: &str = "package.json";
const LOCK: &str = "package-lock.json";
const PURPOSE: &str = "`cargo xtask clients`";

/// Installs what is not there yet in the pinned versions.
pub(crate) fn install() -> Result<()> {
    let (pinned, made) = (root().join("clients"), target_folder()?.join("clients"));
    install_python(&pinned.join("python"), &made.join("python"))?;
    for name in NPM_FOLDERS {
        install_npm(&pinned.join(name), &made.join(name))?;
    }
    Ok(())
}

fn install_python(pinned: &Path, folder: &Path) -> Result<()> {
    let list = pinned.join(PINS);
    install_pinned(folder, &read(&list)?, || {
        let mut probe = Command::new("python3");
        probe.args(["-c", "import ensurepip, venv"]);
        needs(&mut probe, "python3 with its venv module (on Debian the packages python3 and python3-venv)")?;
        announce(folder);
        let python = Python::at(folder);
        python.make()?;
        python.install_list(&list)
    })
}

/// npm installs beside a manifest, so manifest and lock are copied.
fn install_npm(pinned: &Path, folder: &Path) -> Result<()> {
    let (manifest, lock) = (read(&pinned.join(MANIFEST))?, read(&pinned.join(LOCK))?);
    install_pinned(folder, &format!("{manifest}{lock}"), || {
        needs(Command::new("npm").arg("--version"), "npm")?;
        announce(folder);
        write(&folder.join(MANIFEST), &manifest)?;
        write(&folder.join(LOCK), &lock)?;
        let mut command = Command::new("npm");
        // The packages' own scripts are not run: none is needed. The clients run on the Node that comes as a package, so what
        // npm itself runs on does not matter.
        command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]);
        run(command.current_dir(folder))
    })
}

fn needs(probe: &mut Command, what: &'static str) -> Result<()> {
    output(probe).map(drop).map_err(|_| Error::Missing { what, purpose: PURPOSE })
}

fn announce(folder: &Path) {
    eprintln!("installing the pinned clients into {}", folder.display());
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|source| Error::file(path, source))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{LOCK, MANIFEST, NPM_FOLDERS, PINS, needs, read, root};

    #[test]
    fn every_python_package_is_pinned() {
        let list = read(&root().join("clients/python").join(PINS)).unwrap();
        assert!(list.lines().count() > 50);
        for line in list.lines() {
            let (name, version) = line.split_once("==").unwrap_or_default();
            assert!(!name.is_empty() && version.starts_with(|first: char| first.is_ascii_digit()), "{line:?}");
        }
    }

    #[test]
    fn every_npm_package_is_pinned_and_of_the_public_registry() {
        for name in NPM_FOLDERS {
            let folder = root().join("clients").join(name);
            let json =
                |file: &str| -> serde_json::Value { serde_json::from_str(&read(&folder.join(file)).unwrap()).unwrap() };
            for wanted in ["dependencies", "optionalDependencies"].map(|kind| json(MANIFEST)[kind].clone()) {
                for (package, version) in wanted.as_object().into_iter().flatten() {
                    let is_exact = version.as_str().unwrap().starts_with(|first: char| first.is_ascii_digit());
                    assert!(is_exact, "{name}: {package} {version}");
                }
            }
            let lock = json(LOCK);
            let packages = lock["packages"].as_object().unwrap().iter().filter(|(path, _)| !path.is_empty());
            for (path, package) in packages {
                let from = package["resolved"].as_str().unwrap_or("https://registry.npmjs.org/");
                assert!(from.starts_with("https://registry.npmjs.org/"), "{name}: {path} comes from {from}");
                assert!(package["integrity"].is_string(), "{name}: {path} has no hash");
            }
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = needs(&mut Command::new("no-such-program"), "npm").unwrap_err().to_string();
        assert_eq!(error, "npm is missing, and `cargo xtask clients` needs it");
    }
}
