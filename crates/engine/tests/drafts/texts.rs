//! N-grams, pace and prior costs together over real texts, each generated token by token as if a model wrote it.

use std::collections::HashMap;

use engine::{DraftLimits, DraftSource, NgramDrafts};

use crate::simulation::{Run, measured, run};

/// Words and single signs as ids, the same in every text.
#[derive(Default)]
struct Words(HashMap<String, u32>);

impl Words {
    fn read(&mut self, path: &str) -> Vec<u32> {
        let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let mut ids = Vec::new();
        for part in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
            let (word, sign) = part.split_at(part.len() - part.chars().last().map_or(0, char::len_utf8));
            for token in [word, sign].into_iter().filter(|token| !token.is_empty() && *token != " ") {
                let next = self.0.len() as u32;
                ids.push(*self.0.entry(token.to_owned()).or_insert(next));
            }
        }
        ids
    }
}

/// Generates `text` after `prompt`.
fn write(prompt: &[u32], text: &[u32]) -> Run {
    let mut drafts = NgramDrafts::new(prompt, DraftLimits::default());
    let (mut out, mut written) = (Vec::new(), 0);
    run(text.len(), measured, |token| {
        for &id in &text[written..token] {
            drafts.push(id);
        }
        written = token;
        drafts.propose(text.len() - token - 1, &mut out);
        let good = out.iter().zip(&text[token..]).take_while(|(draft, id)| draft == id).count();
        (drafts.matched_tokens(), out.len(), good)
    })
}

#[test]
fn real_texts() {
    let mut words = Words::default();
    let source = words.read("crates/engine/src/guard.rs");
    let other = words.read("crates/engine/src/draft/ngrams.rs");
    let prose = words.read("ARCHITECTURE.md");
    let log = words.read("LOG.md");
    // An edit: every fortieth token of the source becomes another one.
    let edited: Vec<u32> = source.iter().zip(0..).map(|(&id, n)| if n % 40 == 7 { 900_000 + n } else { id }).collect();
    let cases = [
        ("prose of its own", write(&[], &prose), 0.97),
        ("the log, which has many tables", write(&[], &log), 0.97),
        ("source after other source", write(&other, &source), 0.97),
        ("an edited copy of a source", write(&source, &edited), 1.8),
        ("a copy", write(&source, &source), 3.0),
    ];
    for (name, run, least) in cases {
        println!(
            "{name}: {} tokens in {} steps, {:.3} times the plain speed",
            run.tokens,
            run.tried.len(),
            run.speedup()
        );
        assert!(run.speedup() >= least, "{name}: {}", run.speedup());
    }
}

#[test]
fn a_text_without_repeats_costs_nothing() {
    let text: Vec<u32> = (0..3000).collect();
    assert!((write(&[], &text).speedup() - 1.0).abs() < 1e-9);
}
