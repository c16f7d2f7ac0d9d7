//! Texts that repeat themselves honestly must not strike: this repository's source and prose, tables, enumerations.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use engine::LoopLimits;

use crate::{TEXT, first_loop};

/// Every source, manifest and document of the repository.
fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "runs" {
            files(&path, found);
        } else if [".rs", ".md", ".toml"].iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

fn texts() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), &mut found);
    assert!(found.len() > 100, "the repository was not found");
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// Words, numbers of up to three digits, runs of blanks and single other characters; a blank belongs to the word or sign after
/// it. Roughly how the pattern of o200k cuts a text, which makes tokens at least as long.
fn words(text: &str) -> Vec<u32> {
    let mut ids = HashMap::new();
    let mut words: Vec<String> = Vec::new();
    for c in text.chars() {
        match words.last_mut() {
            Some(word) if belongs(word, c) => word.push(c),
            _ => words.push(c.into()),
        }
    }
    let mut next = TEXT;
    let id = |word| {
        *ids.entry(word).or_insert_with(|| {
            next += 1;
            next
        })
    };
    words.into_iter().map(id).collect()
}

/// Whether a character goes on with a word.
fn belongs(word: &str, c: char) -> bool {
    let last = word.chars().last().unwrap();
    match c {
        _ if c.is_ascii_digit() => last.is_ascii_digit() && word.len() < 3,
        _ if c.is_alphabetic() => last.is_alphabetic() || word == " ",
        _ if c.is_whitespace() => last.is_whitespace(),
        _ => word == " ",
    }
}

#[test]
fn this_repository_is_no_loop() {
    let mut counts = (0, 0);
    for (path, text) in texts() {
        // Bytes are the shortest tokens there can be; the beginnings are enough of them.
        let bytes: Vec<u32> = text.bytes().take(8192).map(|byte| TEXT + u32::from(byte)).collect();
        let words = words(&text);
        assert_eq!(first_loop(LoopLimits::default(), &words), None, "{}", path.display());
        assert_eq!(first_loop(LoopLimits::default(), &bytes), None, "{}", path.display());
        counts = (counts.0 + words.len(), counts.1 + bytes.len());
    }
    println!("no loop in {} words and {} bytes", counts.0, counts.1);
}

#[test]
fn tables_of_numbers_are_no_loops() {
    let mut state = 7u32;
    let mut number = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    for columns in 1..=12 {
        for below in [3, 10, 1000] {
            let row = |index: u32| {
                let cells: String = (0..columns).map(|_| format!(" {} |", number(below))).collect();
                format!("| {index} |{cells}\n")
            };
            let table: String = (0..300).map(row).collect();
            assert_eq!(first_loop(LoopLimits::default(), &words(&table)), None, "{columns} columns below {below}");
        }
    }
}

#[test]
fn enumerations_are_no_loops() {
    let squares: String = (1..400).map(|n| format!("{n} squared is {}. ", n * n)).collect();
    let remainders: String = (1..400).map(|n| format!("Check n = {n}: {n} mod 7 = {}, fine.\n", n % 7)).collect();
    let calls: String = (1..400).map(|n| format!("    assert_eq!(half({}), {n});\n", 2 * n)).collect();
    // Longer sentences with fewer numbers are loops by any measure of their form; a dozen of them must pass.
    let cases: String =
        (1..13).map(|n| format!("Case {n}: the sum of the digits is {}, so it can be divided.\n", n % 9)).collect();
    for text in [squares, remainders, calls, cases] {
        assert_eq!(first_loop(LoopLimits::default(), &words(&text)), None, "{text}");
    }
}

#[test]
fn grids_of_equal_numbers_are_loops_once_they_are_large() {
    // Nothing but their end tells such a grid from a loop: `tokens_min` lets a small one pass.
    let grid = words(&"0 0 0 0 0 0 0 0 0 0\n".repeat(10));
    assert_eq!(first_loop(LoopLimits::default(), &words(&"0 0 0 0\n".repeat(4))), None);
    assert!(first_loop(LoopLimits { tokens_min: 96, ..LoopLimits::default() }, &grid).is_some());
    assert_eq!(first_loop(LoopLimits::default(), &grid), None);
}
