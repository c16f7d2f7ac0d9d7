//! `cargo xtask demo`: the whole way from files to a streamed answer, on a model that needs no download.

use std::fs;
use std::path::PathBuf;

use synth::{Shape, Writer};

use crate::arguments::Arguments;
use crate::error::{Error, Result};
use crate::process::{cargo, run as run_command, target_folder};
use crate::synthesis;

const MODEL: &str = "tiny-realvocab";
const TOKENS_MAX: &str = "48";

/// Runs `glossa run` on a small synthetic model, which is written on first use.
pub(crate) fn run(arguments: &mut Arguments) -> Result<()> {
    let prompt = arguments.positional().unwrap_or_else(|| "Which bird lays the largest egg?".into());
    arguments.finish()?;
    let model = model()?;
    eprintln!(
        "Note: this model has the real vocabulary but RANDOM weights, so what follows is noise. It shows that loading, the\n\
         forward pass, sampling and streaming work; a trained small model takes its place when it ships."
    );
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--package", "glossa", "--", "run"]).arg(&model);
    command.args(["--max-tokens", TOKENS_MAX, &prompt]);
    run_command(&mut command)
}

/// The model's folder; it appears under its name only when it is complete.
fn model() -> Result<PathBuf> {
    let models = target_folder()?.join("models");
    let model = models.join(MODEL);
    if model.is_dir() {
        return Ok(model);
    }
    let unfinished = models.join(format!("{MODEL}.unfinished"));
    let shape = Shape::preset(MODEL).expect("the preset exists");
    eprintln!("writing {} (106 MB)", model.display());
    synthesis::write(&Writer::new(shape).tokenizer(true), &unfinished)?;
    fs::rename(&unfinished, &model).map_err(|source| Error::file(&model, source))?;
    Ok(model)
}
