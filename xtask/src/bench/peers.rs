//! Other engines, from their registry packages at fixed versions, each with a driver of ours that measures the same cases.
//! It must not know what Glossa did.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::job::Job;
use crate::error::{Error, Result};
use crate::packages::{NativeBuild, Python, install_once, write};
use crate::process::{output, run};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    LlamaCpp,
    IkLlamaCpp,
}

/// A peer that can be run.
pub(super) struct Installed {
    peer: Peer,
    /// Python or node.
    program: PathBuf,
    driver: PathBuf,
    /// The library that the driver loads instead of the package's own.
    shared: Option<PathBuf>,
}

const NODE_LLAMA_VERSION: &str = "3.22.1";
const IK_LLAMA_PACKAGE: &str = "ik-llama-cpp-python";
const IK_LLAMA_VERSION: &str = "0.1.5";
/// Its driver finds the package by where it lies itself.
const LLAMA_DRIVER: &str = include_str!("peers/measure_llama.mjs");
const IK_LLAMA_DRIVER: &str = include_str!("peers/measure_ik.py");

impl Peer {
    const ALL: [Self; 2] = [Self::LlamaCpp, Self::IkLlamaCpp];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LlamaCpp => "llama.cpp",
            Self::IkLlamaCpp => "ik_llama.cpp",
        }
    }

    /// One, or all of them.
    pub(super) fn named(name: &str) -> Result<Vec<Self>> {
        if name == "all" {
            return Ok(Self::ALL.to_vec());
        }
        let peer = Self::ALL.into_iter().find(|peer| peer.name() == name);
        let peer =
            peer.ok_or_else(|| Error::Usage(format!("no peer {name:?}; choose from llama.cpp, ik_llama.cpp, all")));
        Ok(vec![peer?])
    }

    /// The package, its version, and how it came to be.
    pub(super) fn package(self, prebuilt: bool) -> String {
        match self {
            Self::LlamaCpp => format!("node-llama-cpp {NODE_LLAMA_VERSION} (npm)"),
            Self::IkLlamaCpp if prebuilt => format!("{IK_LLAMA_PACKAGE} {IK_LLAMA_VERSION} (PyPI, wheel)"),
            Self::IkLlamaCpp => format!("{IK_LLAMA_PACKAGE} {IK_LLAMA_VERSION} (PyPI, built here)"),
        }
    }

    /// Installs the package below `folder`, unless that version is there already. ik_llama.cpp's wheel is built for AVX2, so
    /// its source is built for this processor, which takes long, unless `prebuilt` is enough.
    pub(super) fn install(self, folder: &Path, prebuilt: bool) -> Result<Installed> {
        match self {
            Self::LlamaCpp => install_with_npm(&folder.join(format!("llama.cpp-{NODE_LLAMA_VERSION}"))),
            Self::IkLlamaCpp => {
                let kind = if prebuilt { "wheel" } else { "native" };
                install_with_pip(&folder.join(format!("ik_llama.cpp-{IK_LLAMA_VERSION}-{kind}")), prebuilt)
            }
        }
    }
}

fn install_with_npm(folder: &Path) -> Result<Installed> {
    let driver = folder.join("measure.mjs");
    install_once(folder, || {
        write(&folder.join("package.json"), "{\"private\": true, \"type\": \"module\"}\n")?;
        let mut npm = Command::new("npm");
        npm.current_dir(folder).args(["install", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"]);
        npm.arg(format!("node-llama-cpp@{NODE_LLAMA_VERSION}"));
        npm.arg(format!("@node-llama-cpp/linux-x64@{NODE_LLAMA_VERSION}"));
        run(&mut npm)
    })?;
    write(&driver, LLAMA_DRIVER)?;
    Ok(Installed { peer: Peer::LlamaCpp, program: "node".into(), driver, shared: None })
}

fn install_with_pip(folder: &Path, prebuilt: bool) -> Result<Installed> {
    let python = Python::at(folder);
    let driver = folder.join("measure.py");
    install_once(folder, || {
        python.make()?;
        python.install(&[&format!("{IK_LLAMA_PACKAGE}=={IK_LLAMA_VERSION}")])?;
        if prebuilt { Ok(()) } else { build_ik_llama(folder, &python) }
    })?;
    write(&driver, IK_LLAMA_DRIVER)?;
    let shared = (!prebuilt).then(|| folder.join(BUILT_IK_LLAMA));
    Ok(Installed { peer: Peer::IkLlamaCpp, program: python.program(), driver, shared })
}

/// The library of [`build_ik_llama`].
const BUILT_IK_LLAMA: &str = "build/src/libllama.so";

/// Builds the library alone, for this processor, from the source package: building the whole package fails, since a script that
/// its tools need is not in it.
fn build_ik_llama(folder: &Path, python: &Python) -> Result<()> {
    let source = python.source(IK_LLAMA_PACKAGE, IK_LLAMA_VERSION)?.join("vendor/ik_llama.cpp");
    let build = folder.join("build");
    let settings = [
        "GGML_NATIVE=ON",
        "BUILD_SHARED_LIBS=ON",
        "LLAMA_BUILD_TESTS=OFF",
        "LLAMA_BUILD_EXAMPLES=OFF",
        "LLAMA_BUILD_SERVER=OFF",
    ];
    python.build(&NativeBuild { source: &source, build: &build, settings: &settings, targets: &["llama", "ggml"] })
}

impl Installed {
    /// Runs the driver on a GGUF file; its report has the form of one model of `glossa bench`.
    pub(super) fn measure(&self, job: &Job, model: &Path) -> Result<Value> {
        let model = model.canonicalize().map_err(|source| Error::file(model, source))?;
        let mut command = Command::new(&self.program);
        command.arg(&self.driver).arg(job.json(&model).to_string());
        if let Some(library) = &self.shared {
            command.env("IK_LLAMA_CPP_LIB_PATH", library);
        }
        let printed = output(&mut command)?;
        // Libraries may talk before; the report is the last line.
        let text = String::from_utf8_lossy(&printed);
        let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        let report: Value = serde_json::from_str(last).map_err(|error| Error::Output {
            command: self.peer.name().into(),
            reason: format!("{error}: {last:.200}"),
        })?;
        let library = report["library"].as_str().unwrap_or_default();
        if library.contains("AVX512 = 0") && kernels::IsaKind::Avx512.is_available() {
            eprintln!("{}: was built without AVX-512, which this processor has", self.peer.name());
        }
        Ok(report)
    }
}
