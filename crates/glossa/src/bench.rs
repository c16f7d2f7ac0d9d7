//! `glossa bench`: how fast this machine is at best, how fast models run on it, and how they serve. Speeds are told, never judged.

mod limits;
mod load;
mod machine;
mod speed;
mod tokens;

use std::io::{Write, stdout};
use std::path::Path;

use serde_json::json;

use crate::arguments::BenchArguments;
use crate::console::{Progress, json_line};
use crate::error::Error;

pub(crate) fn run(arguments: &BenchArguments) -> Result<(), Error> {
    check(arguments)?;
    let mut progress = Progress::new();
    let limits = if arguments.machine { Some(limits::measure(arguments, &mut progress)?) } else { None };
    let is_load = !arguments.load.scenarios.is_empty();
    let load = if is_load { Some(load::measure(arguments, &mut progress)?) } else { None };
    let mut models = Vec::new();
    for path in arguments.models.iter().filter(|_| !is_load) {
        models.push(speed::measure(path, arguments, &mut progress)?);
    }
    progress.clear();
    let report = json!({
        "glossa": env!("CARGO_PKG_VERSION"),
        "machine": machine::describe(),
        "limits": limits.as_ref().map(limits::Limits::json),
        "models": models.iter().map(speed::Speed::json).collect::<Vec<_>>(),
        "load": load.as_ref().map(load::Load::json),
    });
    if let Some((path, load)) = arguments.load.svg.as_deref().zip(load.as_ref()) {
        write(path, &load.svg())?;
    }
    let mut out = stdout().lock();
    let json = json_line(&report) + "\n";
    if arguments.json.as_deref() == Some(Path::new("-")) {
        out.write_all(json.as_bytes())?;
    } else {
        if let Some(path) = &arguments.json {
            write(path, &json)?;
        }
        limits.iter().try_for_each(|limits| write!(out, "{limits}"))?;
        models.iter().try_for_each(|model| write!(out, "{model}"))?;
        load.iter().try_for_each(|load| out.write_all(load.table().as_bytes()))?;
    }
    load.as_ref().map_or(Ok(()), load::Load::check)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Refuses numbers that measure nothing, before minutes are spent.
fn check(arguments: &BenchArguments) -> Result<(), Error> {
    let BenchArguments { memory_mib, prompt, batch, decode, runs, .. } = arguments;
    let within = |name, found: usize, most: usize| {
        let wrong = || Error::Option { name, found: found.to_string(), expected: format!("1 to {most}") };
        if (1..=most).contains(&found) { Ok(()) } else { Err(wrong()) }
    };
    within("memory-mib", *memory_mib, 1 << 20)?;
    within("decode", *decode, 1 << 20)?;
    within("runs", *runs, 1000)?;
    prompt.iter().try_for_each(|&tokens| within("prompt", tokens, 1 << 20))?;
    batch.iter().try_for_each(|&sequences| within("batch", sequences, 1024))?;
    load::check(arguments)
}

/// Of all runs the one in the middle.
fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}
