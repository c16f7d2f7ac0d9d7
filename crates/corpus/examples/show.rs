//! Shows items as text, what the model writes itself between ⟦ and ⟧, and counts tokens. For reading, not for training.
//!
//! `cargo run -p corpus --example show -- SKILL [ITEMS] [SEED]` prints items of a skill, or of the whole mixture with `all`;
//! `… -- counts [ITEMS] [SEED]` counts so many items of each skill, and the tokens per character by size of vocabulary.

#![expect(clippy::print_stdout, reason = "a command line talks to its user")]

use std::error::Error;

use corpus::{Document, DocumentRenderer, Mixture, Skill, Split, Stream, VOCABULARY_TOKENS, tokenizer_json};
use harmony::Vocabulary;

/// Items of the mixture that the vocabulary is made from.
const VOCABULARY_ITEMS: u64 = 4_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, default: u64| arguments.get(place).map_or(Ok(default), |text| text.parse());
    let seed = number(2, 1)?;
    match arguments.first().map_or("all", String::as_str) {
        "counts" => counts(seed, number(1, 300)?),
        "all" => show(seed, Mixture::default(), number(1, 10)?),
        skill => show(seed, Mixture::only(skill.parse()?), number(1, 10)?),
    }
}

fn vocabulary(seed: u64, size: usize) -> Result<Vocabulary, Box<dyn Error>> {
    let json = tokenizer_json(seed, Mixture::default(), VOCABULARY_ITEMS, size)?;
    Ok(Vocabulary::from_tokenizer_json(json.as_bytes())?)
}

fn show(seed: u64, mixture: Mixture, items: u64) -> Result<(), Box<dyn Error>> {
    let vocabulary = vocabulary(seed, VOCABULARY_TOKENS)?;
    let renderer = DocumentRenderer::new(&vocabulary)?;
    let stream = Stream::new(seed, Split::Train, mixture);
    for index in 0..items {
        let item = stream.item(index);
        let document = renderer.document(&item)?;
        println!("======== {index}: {}, {} tokens", item.skill, document.ids.len());
        println!("{}", marked(&vocabulary, &document));
        println!("-------- {:?}", item.checks);
    }
    Ok(())
}

/// The document's text with a line to each message and marks around what the model writes.
fn marked(vocabulary: &Vocabulary, document: &Document) -> String {
    let mut bytes = Vec::new();
    let mut learnt = false;
    for (&id, &learns) in document.ids.iter().zip(&document.learns) {
        if learns != learnt {
            bytes.extend(if learns { "⟦" } else { "⟧" }.bytes());
            learnt = learns;
        }
        let name = vocabulary.special_name(id);
        if name == Some("<|start|>") && !bytes.is_empty() {
            bytes.push(b'\n');
        }
        bytes.extend(vocabulary.token_bytes(id).unwrap_or_default());
    }
    bytes.extend(if learnt { "⟧" } else { "" }.bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

fn counts(seed: u64, items: u64) -> Result<(), Box<dyn Error>> {
    println!("{:<12} {:>8} {:>8} {:>8} {:>8}", "skill", "tokens", "most", "learnt", "share");
    let renderer = DocumentRenderer::new(&vocabulary(seed, VOCABULARY_TOKENS)?)?;
    for skill in Skill::ALL {
        let stream = Stream::new(seed, Split::Train, Mixture::only(skill));
        let (mut tokens, mut most, mut learnt) = (0, 0, 0);
        for index in 0..items {
            let document = renderer.document(&stream.item(index))?;
            tokens += document.ids.len();
            most = most.max(document.ids.len());
            learnt += document.learns.iter().filter(|&&learns| learns).count();
        }
        let mean = |sum: usize| sum as f64 / items as f64;
        let share = 100.0 * learnt as f64 / tokens as f64;
        println!("{:<12} {:>8.1} {most:>8} {:>8.1} {share:>7.1}%", skill.name(), mean(tokens), mean(learnt));
    }
    for size in [1024, 1536, 2048, 3072, 4096] {
        let vocabulary = vocabulary(seed, size)?;
        let renderer = DocumentRenderer::new(&vocabulary)?;
        let stream = Stream::new(seed + 1, Split::Train, Mixture::default());
        let (mut tokens, mut characters) = (0, 0);
        for index in 0..items {
            let document = renderer.document(&stream.item(index))?;
            let text = document.ids.iter().filter(|&&id| vocabulary.special_name(id).is_none());
            let text: Vec<u32> = text.copied().collect();
            tokens += text.len();
            characters += vocabulary.decode(&text).chars().count();
        }
        let reserved =
            (0..size as u32).filter(|&id| vocabulary.special_name(id).is_some_and(|name| name.contains("reserved")));
        let per_character = tokens as f64 / characters as f64;
        println!("{size} tokens, {} of them reserved: {per_character:.4} tokens per character", reserved.count());
    }
    Ok(())
}
