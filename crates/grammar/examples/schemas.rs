//! Prints how the schemas of a suite fare, split by split: `cargo run --release -p grammar --example schemas -- FOLDER [WALKS]`, where
//! the folder holds `*.jsonl` files of `{name, schema}` lines. It must not know anything that the crate does not offer.
#![expect(clippy::print_stdout, reason = "it is a command that prints a table")]

#[path = "../tests/walks/mod.rs"]
mod walks;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use grammar::{Error, Limits, Mode, Source, Tokens};
use harmony::Vocabulary;
use serde_json::Value;
use walks::Dice;

#[derive(Default)]
struct Split {
    schemas: usize,
    accepted: usize,
    refused: BTreeMap<String, usize>,
    compile_millis: Vec<f64>,
    mask_micros: Vec<u64>,
    outputs: usize,
    unfinished: usize,
    broken: Vec<String>,
    unread: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name the folder of the suite")?;
    let walks: usize = arguments.next().map_or(Ok(3), |walks| walks.parse())?;
    let only = arguments.next();
    let vocabulary = Vocabulary::o200k_harmony();
    let tokens = Tokens::new(&vocabulary, Limits { grammars_kept: 0, ..Limits::default() });
    let begun = Instant::now();
    tokens.compile(&Source::JsonObject, Mode::Strict)?;
    println!("tables built in {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    let mut files: Vec<_> =
        std::fs::read_dir(Path::new(&folder))?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().to_string();
        let mut split = Split::default();
        for line in std::fs::read_to_string(&file)?.lines() {
            let line: Value = serde_json::from_str(line)?;
            let title = line["name"].as_str().unwrap_or_default();
            if only.as_ref().is_none_or(|only| title.contains(only.as_str()) || name.contains(only.as_str())) {
                split.schema(&tokens, &vocabulary, title, &line["schema"], walks);
            }
        }
        split.print(&name);
    }
    Ok(())
}

impl Split {
    fn schema(&mut self, tokens: &Tokens, vocabulary: &Vocabulary, title: &str, schema: &Value, walks: usize) {
        self.schemas += 1;
        let begun = Instant::now();
        let compiled = tokens.compile(&Source::JsonSchema { schema: schema.clone() }, Mode::Strict);
        self.compile_millis.push(begun.elapsed().as_secs_f64() * 1e3);
        let grammar = match compiled {
            Ok(grammar) => grammar,
            Err(error) => {
                let reason = match &error {
                    Error::Unenforceable { keyword, reason, .. } => {
                        format!("{keyword}: {}", reason.chars().take(60).collect::<String>())
                    }
                    other => other.to_string().chars().take(110).collect(),
                };
                *self.refused.entry(reason).or_default() += 1;
                return;
            }
        };
        self.accepted += 1;
        let Ok(validator) = jsonschema::validator_for(schema) else {
            self.unread += 1;
            return;
        };
        let mut dice = Dice(title.bytes().map(u64::from).sum());
        for round in 0..walks {
            match walks::walk(&grammar, vocabulary, &mut dice, 20 + 60 * round) {
                Ok(walk) => {
                    self.mask_micros.extend(&walk.mask_micros);
                    if !walk.is_complete {
                        self.unfinished += 1;
                        continue;
                    }
                    self.outputs += 1;
                    self.broken.extend(
                        walks::complaint(&validator, &walk.text).map(|complaint| format!("{title}: {complaint}")),
                    );
                }
                Err(error) => self.broken.push(format!("{title}: {error}")),
            }
        }
    }

    fn print(&mut self, name: &str) {
        if self.schemas == 0 {
            return;
        }
        self.compile_millis.sort_by(f64::total_cmp);
        self.mask_micros.sort_unstable();
        let at = |share: f64, count: usize| ((count as f64 * share) as usize).min(count.saturating_sub(1));
        let compile =
            |share| self.compile_millis.get(at(share, self.compile_millis.len())).copied().unwrap_or_default();
        let mask = |share| self.mask_micros.get(at(share, self.mask_micros.len())).copied().unwrap_or_default();
        println!(
            "{name}: {} of {} accepted; compile ms {:.1} / {:.1} / {:.1}; mask us {} / {} / {} ({} masks); {} outputs, {} invalid, {} unfinished, {} unread",
            self.accepted,
            self.schemas,
            compile(0.5),
            compile(0.95),
            compile(1.0),
            mask(0.5),
            mask(0.99),
            mask(1.0),
            self.mask_micros.len(),
            self.outputs,
            self.broken.len(),
            self.unfinished,
            self.unread
        );
        for (reason, count) in &self.refused {
            println!("    {count} refused: {reason}");
        }
        for broken in self.broken.iter().take(12) {
            println!("    INVALID {}", broken.chars().take(600).collect::<String>());
        }
    }
}
