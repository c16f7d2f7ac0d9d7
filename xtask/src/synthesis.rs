//! `cargo xtask synth`: the command line of the `synth` crate.

use std::path::{Path, PathBuf};

use synth::{DenseFormat, GgufOptions, Layout, Shape, Writer, Written};

use crate::arguments::Arguments;
use crate::error::{Error, Result};
use crate::progress::ProgressBar;

/// Writes what the arguments ask for.
pub(crate) fn run(arguments: &mut Arguments) -> Result<()> {
    let (writer, folder) = parse(arguments)?;
    let written = write(&writer, &folder)?;
    println!("{} file(s), {} bytes; model: {}", written.files.len(), written.bytes, written.model.display());
    Ok(())
}

/// Writes with a progress bar.
pub(crate) fn write(writer: &Writer, folder: &Path) -> Result<Written> {
    let mut bar = ProgressBar::new();
    Ok(writer.write_with_progress(folder, |done, total| bar.update(done, total))?)
}

fn parse(arguments: &mut Arguments) -> Result<(Writer, PathBuf)> {
    let layout_name = arguments.option("--layout")?;
    let seed = arguments.number("--seed")?;
    let out = arguments.option("--out")?;
    let dense = arguments.option("--dense")?;
    let fused_gate_up = arguments.flag("--fused");
    let files = arguments.number("--split")?;
    let with_tokenizer = arguments.flag("--tokenizer");
    let without_tokenizer = arguments.flag("--no-tokenizer");
    let preset = arguments.positional().ok_or_else(|| usage("synth needs a preset", &Shape::PRESETS))?;
    arguments.finish()?;

    let shape = Shape::preset(&preset).ok_or_else(|| usage(&format!("no preset {preset:?}"), &Shape::PRESETS))?;
    let folder = out.ok_or_else(|| Error::Usage("synth needs --out DIR".into()))?;
    let layout = match layout_name.as_deref().unwrap_or("hf") {
        "hf" => Layout::HuggingFace { shards: 3 },
        "hf-single" => Layout::HuggingFace { shards: 1 },
        "original" => Layout::Original,
        "gguf" => {
            let formats = ["bf16", "f32", "f16", "q8_0"];
            let dense = match dense.as_deref() {
                None => DenseFormat::Bf16,
                Some(name) => {
                    DenseFormat::named(name).ok_or_else(|| usage(&format!("no dense format {name:?}"), &formats))?
                }
            };
            Layout::Gguf(GgufOptions { dense, fused_gate_up, files: files.unwrap_or(1) })
        }
        other => return Err(usage(&format!("no layout {other:?}"), &["hf", "hf-single", "original", "gguf"])),
    };
    let is_gguf = matches!(layout, Layout::Gguf(_));
    if !is_gguf && (dense.is_some() || fused_gate_up || files.is_some()) {
        return Err(Error::Usage("--dense, --fused and --split belong to --layout gguf".into()));
    }
    // A GGUF holds its vocabulary; elsewhere a model without its tokenizer.json could not be talked to.
    let tokenizer = with_tokenizer || !(is_gguf || without_tokenizer);
    let writer = Writer::new(shape).layout(layout).seed(seed.unwrap_or(20)).tokenizer(tokenizer);
    Ok((writer, folder.into()))
}

fn usage(what: &str, choices: &[&str]) -> Error {
    Error::Usage(format!("{what}; choose from {}", choices.join(", ")))
}

#[cfg(test)]
mod tests {
    use crate::arguments::Arguments;

    fn refused(line: &str) -> String {
        super::parse(&mut Arguments::new(line.split(' ').map(String::from))).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_are_named() {
        for (line, word) in [
            ("--out x", "preset"),
            ("tiniest --out x", "tiniest"),
            ("tiny", "--out"),
            ("tiny --out x --layout pt", "pt"),
            ("tiny --out x --layout gguf --dense q9", "q9"),
            ("tiny --out x --fused", "--fused"),
            ("tiny --out x --seed -1", "--seed"),
            ("tiny --out x --colour", "--colour"),
        ] {
            let error = refused(line);
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
