//! Random texts under a grammar, and whether they fit the schema as another reader of schemas sees it.

use grammar::{Error, Grammar};
use harmony::Vocabulary;
use serde_json::Value;

/// Tokens after which a walk is given up, and after which it tries to come to an end.
const TOKENS_MAX: usize = 3_000;

/// A random text, and what it took.
pub(crate) struct Walk {
    pub(crate) text: String,
    pub(crate) mask_micros: Vec<u64>,
    pub(crate) is_complete: bool,
}

/// A generator of numbers that is the same everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides
    }
}

/// Follows a grammar at random, drawing only from masks; after `eager` tokens it takes what ends strings, lists and objects.
pub(crate) fn walk(grammar: &Grammar, vocabulary: &Vocabulary, dice: &mut Dice, eager: usize) -> Result<Walk, Error> {
    let mut matcher = grammar.matcher();
    let (mut tokens, mut mask_micros) = (Vec::new(), Vec::new());
    let mut is_complete = false;
    while tokens.len() < TOKENS_MAX {
        if matcher.is_over() || (matcher.is_complete() && (tokens.len() > eager || dice.roll(4) == 0)) {
            is_complete = true;
            break;
        }
        let mut next = if dice.roll(2) == 0 { matcher.forced() } else { Vec::new() };
        if next.is_empty() {
            let begun = std::time::Instant::now();
            let mask = matcher.mask()?;
            mask_micros.push(begun.elapsed().as_micros() as u64);
            let allowed: Vec<u32> = mask.ids().collect();
            if allowed.is_empty() {
                assert!(matcher.is_complete(), "nothing may follow {:?}", vocabulary.decode(&tokens));
                continue;
            }
            let ends = |id: &&u32| {
                vocabulary
                    .token_bytes(**id)
                    .is_some_and(|bytes| matches!(bytes, b"\"" | b"}" | b"]" | b"\"}" | b"\"]" | b"0"))
            };
            let ending: Vec<u32> = allowed.iter().filter(ends).copied().collect();
            let wants_end = tokens.len() > eager || dice.roll(3) == 0;
            let options = if wants_end && !ending.is_empty() { ending } else { allowed };
            next.push(options[dice.roll(options.len())]);
        }
        for id in next {
            matcher.push(id)?;
            tokens.push(id);
        }
    }
    Ok(Walk { text: vocabulary.decode(&tokens), mask_micros, is_complete })
}

/// Another reader's opinion of a text: nothing where it fits.
pub(crate) fn complaint(validator: &jsonschema::Validator, text: &str) -> Option<String> {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => {
            validator.validate(&value).err().map(|error| format!("{error} at {} in {text}", error.instance_path()))
        }
        Err(error) => Some(format!("{error} in {text}")),
    }
}
