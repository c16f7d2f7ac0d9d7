//! Other people's packages from their registries, at fixed versions, each in a folder of its own: installed whole or built
//! from the source that the package brings.
//! It must not know what a package is for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::process::run;

/// What builds native code, from the same registry as the packages.
const BUILD_TOOLS: [&str; 2] = ["cmake==4.4.5", "ninja==1.13.2"];

/// Fills `folder`, unless that was once done to its end: an installation that was broken off is done again.
pub(crate) fn install_once(folder: &Path, fill: impl FnOnce() -> Result<()>) -> Result<()> {
    let mark = folder.join("complete");
    if mark.is_file() {
        return Ok(());
    }
    fill()?;
    write(&mark, "")
}

/// Fills `folder` anew, unless it was once filled to the end from the same list of `pins`.
pub(crate) fn install_pinned(folder: &Path, pins: &str, fill: impl FnOnce() -> Result<()>) -> Result<()> {
    let mark = folder.join("complete");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == pins) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|source| Error::file(folder, source))?;
    }
    fill()?;
    write(&mark, pins)
}

/// Writes a file, and the folders above it.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let failed = |source| Error::file(path, source);
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    fs::write(path, text).map_err(failed)
}

/// A Python environment; packages from PyPI come through it.
pub(crate) struct Python {
    folder: PathBuf,
}

/// One tree of sources that cmake knows to build, and where to.
pub(crate) struct NativeBuild<'a> {
    pub(crate) source: &'a Path,
    pub(crate) build: &'a Path,
    /// As cmake takes them, without the `-D`.
    pub(crate) settings: &'a [&'a str],
    pub(crate) targets: &'a [&'a str],
}

impl Python {
    /// The environment in `folder`, whether or not it has been made.
    pub(crate) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf() }
    }

    pub(crate) fn make(&self) -> Result<()> {
        run(Command::new("python3").args(["-m", "venv"]).arg(&self.folder))
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.tool("python")
    }

    /// Installs wheels, which run no code of theirs meanwhile.
    pub(crate) fn install(&self, packages: &[&str]) -> Result<()> {
        run(Command::new(self.program()).args(["-m", "pip", "install", "--only-binary", ":all:"]).args(packages))
    }

    /// Unpacks one wheel into a folder, without what it depends on.
    pub(crate) fn install_into(&self, folder: &Path, package: &str) -> Result<()> {
        let mut install = Command::new(self.program());
        install.args(["-m", "pip", "install", "--only-binary", ":all:", "--no-deps", "--target"]);
        run(install.arg(folder).arg(package))
    }

    /// Installs the wheels of a complete list, one `name==version` a line; what they want besides is not looked up.
    pub(crate) fn install_list(&self, list: &Path) -> Result<()> {
        let mut command = Command::new(self.program());
        command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]);
        run(command.args(["--only-binary", ":all:", "--no-deps", "--requirement"]).arg(list))
    }

    /// Downloads and unpacks a package's source; gives its folder.
    pub(crate) fn source(&self, package: &str, version: &str) -> Result<PathBuf> {
        let sources = self.folder.join("source");
        let mut download = Command::new(self.program());
        download.args(["-m", "pip", "download", "--no-deps", "--no-binary", package]);
        run(download.arg(format!("{package}=={version}")).arg("--dest").arg(&sources))?;
        let name = format!("{}-{version}", package.replace('-', "_"));
        run(Command::new("tar").arg("xf").arg(sources.join(format!("{name}.tar.gz"))).arg("-C").arg(&sources))?;
        Ok(sources.join(name))
    }

    /// Builds some targets, optimised.
    pub(crate) fn build(&self, what: &NativeBuild) -> Result<()> {
        let NativeBuild { source, build, settings, targets } = *what;
        self.install(&BUILD_TOOLS)?;
        let mut configure = Command::new(self.tool("cmake"));
        configure.arg("-S").arg(source).arg("-B").arg(build).args(["-G", "Ninja"]);
        configure.arg(format!("-DCMAKE_MAKE_PROGRAM={}", self.tool("ninja").display()));
        configure.arg("-DCMAKE_BUILD_TYPE=Release");
        configure.args(settings.iter().map(|setting| format!("-D{setting}")));
        run(&mut configure)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut compile = Command::new(self.tool("cmake"));
        compile.arg("--build").arg(build).arg("--parallel").arg(threads.to_string());
        run(compile.arg("--target").args(targets))
    }

    fn tool(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use super::{install_pinned, write};
    use crate::error::Error;

    #[test]
    fn what_is_pinned_is_installed_once_and_anew_for_other_pins() {
        let folder = std::env::temp_dir().join(format!("xtask-pinned-{}", std::process::id()));
        let filled = Cell::new(0);
        let install = |pins: &str| {
            let fill = || {
                filled.set(filled.get() + 1);
                write(&folder.join(pins), "")
            };
            install_pinned(&folder, pins, fill)
        };
        install("a==1").unwrap();
        install("a==1").unwrap();
        assert_eq!(filled.get(), 1);
        install("a==2").unwrap();
        assert!(filled.get() == 2 && !folder.join("a==1").exists(), "nothing of the old ones stays");
        let broken_off = || Err(Error::Missing { what: "npm", purpose: "a test" });
        install_pinned(&folder, "a==3", broken_off).unwrap_err();
        install("a==3").unwrap();
        assert_eq!(filled.get(), 3);
        fs::remove_dir_all(&folder).unwrap();
    }
}
