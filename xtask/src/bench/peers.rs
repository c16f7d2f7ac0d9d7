//! Other engines, from their registry packages at fixed versions, each with a driver of ours that measures the same cases.
//! It must not know what Glossa did.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::job::Job;
use crate::error::{Error, Result};
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
            Self::IkLlamaCpp if prebuilt => format!("ik-llama-cpp-python {IK_LLAMA_VERSION} (PyPI, wheel)"),
            Self::IkLlamaCpp => format!("ik-llama-cpp-python {IK_LLAMA_VERSION} (PyPI, built here)"),
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
    if !is_complete(folder) {
        write(&folder.join("package.json"), "{\"private\": true, \"type\": \"module\"}\n")?;
        let mut npm = Command::new("npm");
        npm.current_dir(folder).args(["install", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"]);
        npm.arg(format!("node-llama-cpp@{NODE_LLAMA_VERSION}"));
        npm.arg(format!("@node-llama-cpp/linux-x64@{NODE_LLAMA_VERSION}"));
        run(&mut npm)?;
        complete(folder)?;
    }
    write(&driver, LLAMA_DRIVER)?;
    Ok(Installed { peer: Peer::LlamaCpp, program: "node".into(), driver, shared: None })
}

fn install_with_pip(folder: &Path, prebuilt: bool) -> Result<Installed> {
    let python = folder.join("bin").join("python");
    let driver = folder.join("measure.py");
    if !is_complete(folder) {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let package = format!("ik-llama-cpp-python=={IK_LLAMA_VERSION}");
        run(Command::new(&python).args(["-m", "pip", "install", "--only-binary", ":all:", &package]))?;
        if !prebuilt {
            build_ik_llama(folder, &package)?;
        }
        complete(folder)?;
    }
    write(&driver, IK_LLAMA_DRIVER)?;
    let shared = (!prebuilt).then(|| folder.join(BUILT_IK_LLAMA));
    Ok(Installed { peer: Peer::IkLlamaCpp, program: python, driver, shared })
}

/// The library of [`build_ik_llama`].
const BUILT_IK_LLAMA: &str = "build/src/libllama.so";

/// Builds the library alone, for this processor, from the source package: building the whole package fails, since a script that
/// its tools need is not in it.
fn build_ik_llama(folder: &Path, package: &str) -> Result<()> {
    let bin = folder.join("bin");
    let source = folder.join("source");
    let pip = |arguments: &[&str]| run(Command::new(bin.join("python")).args(["-m", "pip"]).args(arguments));
    pip(&["install", "--only-binary", ":all:", "cmake", "ninja"])?;
    let mut download = Command::new(bin.join("python"));
    download.args(["-m", "pip", "download", "--no-deps", "--no-binary", ":all:", package, "--dest"]);
    run(download.arg(&source))?;
    let name = format!("ik_llama_cpp_python-{IK_LLAMA_VERSION}");
    run(Command::new("tar").arg("xf").arg(source.join(format!("{name}.tar.gz"))).arg("-C").arg(&source))?;
    let build = folder.join("build");
    let mut configure = Command::new(bin.join("cmake"));
    configure.arg("-S").arg(source.join(name).join("vendor/ik_llama.cpp")).arg("-B").arg(&build);
    configure.args(["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON", "-DGGML_NATIVE=ON"]);
    configure.arg(format!("-DCMAKE_MAKE_PROGRAM={}", bin.join("ninja").display()));
    configure.args(["TESTS", "EXAMPLES", "SERVER"].map(|part| format!("-DLLAMA_BUILD_{part}=OFF")));
    run(&mut configure)?;
    run(Command::new(bin.join("cmake")).arg("--build").arg(&build).args(["--target", "llama", "ggml"]))
}

/// An installation that was broken off has no such file, and is done again.
fn is_complete(folder: &Path) -> bool {
    folder.join("complete").is_file()
}

fn complete(folder: &Path) -> Result<()> {
    write(&folder.join("complete"), "")
}

fn write(path: &Path, text: &str) -> Result<()> {
    let failed = |source| Error::file(path, source);
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    fs::write(path, text).map_err(failed)
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
