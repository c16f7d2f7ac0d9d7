//! Fuzz targets for all that reads outside input, run briefly over mutations of good inputs; seeded, so that a failure
//! can be repeated.

use harmony::{Conversation, Renderer, Role, Strictness, Vocabulary};

use crate::golden::goldens;
use crate::naive_twin::{TEXT_TOKENS, tokenizer_json};
use crate::properties::{check_well_formed, events};

/// Reads bytes as tokens, with the control tokens near at hand, and parses them.
fn parser(data: &[u8]) {
    let tokens: Vec<u32> = data
        .chunks(2)
        .map(|pair| match (pair[0], pair.get(1).copied().unwrap_or(0)) {
            (kind @ 0..=127, low) => 199_998 + u32::from(kind % 21) + u32::from(low / 255) * 1000,
            (kind, low) => u32::from(kind - 128) * 1500 + u32::from(low),
        })
        .collect();
    for role in [None, Some(Role::Assistant), Some(Role::Tool)] {
        check_well_formed(&events(role, Strictness::Tolerant, &tokens));
        events(role, Strictness::Library, &tokens);
    }
}

/// Reads bytes as a tokenizer file; what is accepted must encode and decode.
fn tokenizer_file(data: &[u8]) {
    if let Ok(vocabulary) = Vocabulary::from_tokenizer_json(data) {
        let text = "Hello <|start|> 123 é🙂\n";
        let tokens = vocabulary.encode(text);
        assert!(tokens.iter().all(|&token| vocabulary.special_name(token).is_none()));
        vocabulary.decode(&tokens);
        vocabulary.encode_with_specials(text);
    }
}

/// Reads bytes as a conversation and renders it.
fn conversation(data: &[u8], renderer: &Renderer) {
    if let Ok(conversation) = serde_json::from_slice::<Conversation>(data) {
        let _ = renderer.render_for_training(&conversation);
    }
}

/// xorshift: seeds must give the same inputs for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    /// The input with some bytes changed, cut out, doubled or cut off.
    fn mutate(&mut self, input: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..1 + self.below(4) {
            let at = self.below(bytes.len());
            let end = (at + self.below(40)).min(bytes.len());
            match self.below(5) {
                0 if !bytes.is_empty() => bytes[at] = self.below(256) as u8,
                1 if !bytes.is_empty() => bytes[at] = b"0\"{}[]:,-e\\"[self.below(11)],
                2 => drop(bytes.drain(at..end)),
                3 => bytes.extend_from_within(at..end),
                _ => bytes.truncate(end),
            }
        }
        bytes
    }
}

#[test]
fn the_parser_accepts_any_bytes() {
    let mut random = Random(1);
    for length in 0..2000 {
        let data: Vec<u8> = (0..length % 120).map(|_| random.below(256) as u8).collect();
        parser(&data);
        parser(&random.mutate(&data));
    }
}

#[test]
fn tokenizer_files_are_read_or_refused() {
    // A small file, so that mutations hit its structure: the bytes, a few merges.
    let mut json = tokenizer_json(300.min(TEXT_TOKENS));
    json["added_tokens"].as_array_mut().unwrap().truncate(3);
    let seed = serde_json::to_vec(&json).unwrap();
    tokenizer_file(&seed);
    let mut random = Random(2);
    for _ in 0..1500 {
        tokenizer_file(&random.mutate(&seed));
    }
}

#[test]
fn conversations_are_rendered_or_refused() {
    let renderer = Renderer::new(&Vocabulary::o200k_harmony()).unwrap();
    let mut random = Random(3);
    for case in goldens().render {
        let seed = serde_json::to_vec(&case.conversation).unwrap();
        for _ in 0..40 {
            conversation(&random.mutate(&seed), &renderer);
        }
    }
}
