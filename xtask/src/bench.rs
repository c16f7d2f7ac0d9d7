//! `cargo xtask bench`: the engine's speed at full size, told as shares of what the machine gives, and next to other engines.
//!
//! It must not know how speed is measured: `glossa bench` and the peers' drivers do. Only here does the repository reach for
//! other people's packages; no test does.

mod figures;
mod job;
mod peers;
mod record;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use synth::{DenseFormat, GgufOptions, Layout, Shape, Writer};

use crate::arguments::Arguments;
use crate::error::{Error, Result};
use crate::process::{cargo, output, run as run_command, target_folder};
use crate::synthesis;
use figures::Figures;
use job::Job;
use peers::Peer;

/// Fewer pairs say nothing on a machine whose memory has fast and slow phases.
const PAIRS: usize = 5;

struct Options {
    model: Option<PathBuf>,
    make: bool,
    preset: String,
    peers: Vec<Peer>,
    pairs: usize,
    /// A peer's wheel is enough, though it may lack this processor's instructions.
    prebuilt: bool,
    program: Option<PathBuf>,
    out: Option<PathBuf>,
    job: Job,
}

/// Measures, writes a line for later, prints a table.
pub(crate) fn run(arguments: &mut Arguments) -> Result<()> {
    let options = parse(arguments)?;
    let target = target_folder()?;
    let program = match &options.program {
        Some(program) => program.clone(),
        None => build(&target)?,
    };
    let model = model(&options, &target)?;
    let out = options.out.clone().unwrap_or_else(|| target.join("bench.jsonl"));
    eprintln!("measuring the machine and Glossa on {}", model.display());
    let report = glossa(&program, &model, &options.job, true)?;
    print!("{}", table::shares(&report)?);
    record::append(&out, "glossa", &json!({"options": options.job.json(&model), "report": report}))?;
    for &peer in &options.peers {
        let installed = peer.install(&target.join("peers"), options.prebuilt)?;
        let mut pairs = Vec::new();
        let mut reports = Vec::new();
        // One run per turn: the pairs are the runs.
        let job = Job { runs: 1, vocabulary: vocabulary(&report), ..options.job.clone() };
        for pair in 1..=options.pairs {
            eprintln!("pair {pair} of {}: Glossa, then {}", options.pairs, peer.name());
            let ours = glossa(&program, &model, &job, false)?["models"][0].take();
            let theirs = installed.measure(&job, &model)?;
            pairs.push((Figures::of(&ours)?, Figures::of(&theirs)?));
            reports.push(json!({"glossa": ours, "peer": theirs}));
        }
        print!("{}", table::ratios(peer.name(), &pairs));
        let measured = json!({"options": job.json(&model), "machine": report["machine"], "peer": peer.name(),
            "package": peer.package(options.prebuilt), "pairs": reports});
        record::append(&out, "pairs", &measured)?;
    }
    println!("figures: {}", out.display());
    Ok(())
}

fn parse(arguments: &mut Arguments) -> Result<Options> {
    let options = Options {
        model: arguments.option("--model")?.map(PathBuf::from),
        make: arguments.flag("--make"),
        preset: arguments.option("--preset")?.unwrap_or_else(|| "20b".into()),
        peers: match arguments.option("--peer")? {
            None => Vec::new(),
            Some(name) => Peer::named(&name)?,
        },
        prebuilt: arguments.flag("--prebuilt"),
        pairs: arguments.number("--pairs")?.unwrap_or(PAIRS),
        program: arguments.option("--glossa")?.map(PathBuf::from),
        out: arguments.option("--out")?.map(PathBuf::from),
        job: Job::parse(arguments)?,
    };
    arguments.finish()?;
    if options.pairs == 0 {
        return Err(Error::Usage("--pairs 0: expected at least 1".into()));
    }
    Ok(options)
}

/// The release build of the program.
fn build(target: &Path) -> Result<PathBuf> {
    run_command(cargo().args(["build", "--release", "--package", "glossa"]))?;
    Ok(target.join("release").join(format!("glossa{}", std::env::consts::EXE_SUFFIX)))
}

/// The model's file or folder; made, where it is missing and that was asked for. Peers read only GGUF.
fn model(options: &Options, target: &Path) -> Result<PathBuf> {
    let gguf = !options.peers.is_empty();
    let name = format!("{}-{}", options.preset, if gguf { "q8_0" } else { "bf16" });
    let path = options.model.clone().unwrap_or_else(|| target.join("bench").join(name));
    if let Some(found) = found(&path, gguf)? {
        return Ok(found);
    }
    if !options.make {
        let what = if gguf { "a GGUF model" } else { "a model" };
        let path = path.display();
        return Err(Error::Usage(format!("{path}: expected {what}, found none; name one with --model or add --make")));
    }
    let shape = Shape::preset(&options.preset).ok_or_else(|| {
        Error::Usage(format!("no preset {:?}; choose from {}", options.preset, Shape::PRESETS.join(", ")))
    })?;
    let layout = match gguf {
        true => Layout::Gguf(GgufOptions { dense: DenseFormat::Q8_0, fused_gate_up: false, files: 1 }),
        false => Layout::HuggingFace { shards: 3 },
    };
    Ok(synthesis::write(&Writer::new(shape).layout(layout).seed(20).tokenizer(!gguf), &path)?.model)
}

/// What is there to be opened: the path itself, or the GGUF file inside the folder.
fn found(path: &Path, gguf: bool) -> Result<Option<PathBuf>> {
    if path.is_file() || (path.is_dir() && path.join("config.json").is_file() && !gguf) {
        return Ok(Some(path.to_path_buf()));
    }
    if !path.is_dir() {
        return Ok(None);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|source| Error::file(path, source))? {
        files.push(entry.map_err(|source| Error::file(path, source))?.path());
    }
    files.retain(|file| file.extension().is_some_and(|ending| ending == "gguf"));
    files.sort();
    Ok(files.into_iter().next())
}

/// What `glossa bench` says.
fn glossa(program: &Path, model: &Path, job: &Job, machine: bool) -> Result<Value> {
    let mut command = Command::new(program);
    command.arg("bench").arg(model).args(job.glossa_arguments()).args(["--json", "-"]);
    if machine {
        command.arg("--machine");
    }
    let printed = output(&mut command)?;
    serde_json::from_slice(&printed)
        .map_err(|error| Error::Output { command: "glossa bench".into(), reason: error.to_string() })
}

fn vocabulary(report: &Value) -> Option<u64> {
    report["models"][0]["vocabulary_size"].as_u64()
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::arguments::Arguments;

    #[test]
    fn options_are_read_and_mistakes_named() {
        let parsed = |line: &str| parse(&mut Arguments::new(line.split(' ').map(String::from)));
        let options =
            parsed("--peer all --prompt 512,4096 --depth 0 --pairs 7 --make").map_err(|e| e.to_string()).unwrap();
        assert_eq!((options.peers.len(), options.pairs, options.make), (2, 7, true));
        assert_eq!((options.job.prompt, options.job.depth), (vec![512, 4096], vec![0]));
        for (line, word) in [
            ("--peer vllm", "vllm"),
            ("--pairs 0", "--pairs"),
            ("--prompt 5,x", "--prompt"),
            ("--runs 0", "--runs"),
            ("--colour red", "--colour"),
        ] {
            let error = parsed(line).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
