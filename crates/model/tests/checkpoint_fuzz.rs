//! Seeded damage to headers: whatever the bytes, the parsers answer with tensors that lie inside the file, or with an error.
//! The `fuzz/` directory has coverage-guided targets over the same two functions.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod tiny_models;

use std::fs;
use std::ops::Range;
use std::path::Path;

use model::Checkpoint;
use model::checkpoint::{gguf, safetensors};
use tempfile::TempDir;
use tiny_models::gguf_files::GgufFile;
use tiny_models::safetensors_files::{ModelDirectory, file_bytes};

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Numbers on which length and offset arithmetic goes wrong.
const AWKWARD: [u64; 10] = [0, 1, 7, 0xff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, i64::MAX as u64, 1 << 63, u64::MAX];

/// One to four changes: a bit, a byte, a number, a cut, a repeated or a removed stretch.
fn damage(random: &mut Random, bytes: &mut Vec<u8>, header_bytes: usize) {
    for _ in 0..=random.below(4) {
        let limit = header_bytes.min(bytes.len());
        if limit < 16 {
            return;
        }
        let at = random.below(limit - 8);
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes[at..at + 8].copy_from_slice(&AWKWARD[random.below(AWKWARD.len())].to_le_bytes()),
            3 => bytes[at..at + 4].copy_from_slice(&(AWKWARD[random.below(AWKWARD.len())] as u32).to_le_bytes()),
            4 => bytes.truncate(at),
            5 => {
                let length = random.below(64).min(bytes.len() - at);
                let stretch = bytes[at..at + length].to_vec();
                let to = random.below(limit);
                bytes.splice(to..to, stretch);
            }
            6 => drop(bytes.drain(at..at + random.below(32).min(limit - at))),
            // Digits of JSON numbers, most of all.
            _ => bytes[at] = b"0123456789-.eE\"{}[],:"[random.below(21)],
        }
    }
}

fn assert_sound(mut ranges: Vec<Range<usize>>, file_bytes: usize) {
    ranges.sort_by_key(|range| (range.start, range.end));
    assert!(ranges.iter().all(|range| range.start <= range.end && range.end <= file_bytes));
    assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
}

/// How many of the damaged headers still parse.
fn survivors(
    rounds: usize,
    sound: &[u8],
    header_bytes: usize,
    parse: impl Fn(&[u8]) -> Option<Vec<Range<usize>>>,
) -> usize {
    let mut random = Random(20);
    assert!(parse(sound).is_some());
    let accepted = (0..rounds).filter(|_| {
        let mut bytes = sound.to_vec();
        damage(&mut random, &mut bytes, header_bytes);
        parse(&bytes).map(|ranges| assert_sound(ranges, bytes.len())).is_some()
    });
    accepted.count()
}

#[test]
fn damaged_safetensors_headers_never_panic() {
    let tensors = &ModelDirectory::hugging_face().files[2].1[..6];
    let bytes = file_bytes(tensors);
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let accepted = survivors(20_000, &bytes, header, |bytes| {
        let entries = safetensors::parse_header(Path::new("fuzzed"), bytes).ok()?;
        Some(entries.into_iter().map(|entry| entry.range).collect())
    });
    assert!((20..10_000).contains(&accepted), "the damage should reach past the first check: {accepted}");
}

#[test]
fn damaged_gguf_headers_never_panic() {
    let mut file = GgufFile::tiny();
    file.tensors.truncate(8);
    let bytes = file.to_bytes();
    let header = bytes.len() - file.tensors.iter().map(|(tensor, _)| tensor.bytes.len()).sum::<usize>();
    let accepted = survivors(20_000, &bytes, header.min(4096), |bytes| {
        let header = gguf::parse_header(Path::new("fuzzed"), bytes).ok()?;
        // Arrays are decoded late, so that has to hold as well.
        let _ = header.metadata.optional_texts(bytes, "tokenizer.ggml.tokens", 1000);
        let _ = header.metadata.optional_integers(bytes, "tokenizer.ggml.tokens", 1000);
        let named = header.tensors.into_iter().map(|entry| entry.range).filter(|range| !range.is_empty());
        Some(named.collect())
    });
    assert!((20..15_000).contains(&accepted), "the damage should reach past the first check: {accepted}");
}

#[test]
fn damaged_checkpoints_open_whole_or_not_at_all() {
    let folder = TempDir::new().unwrap();
    let directory = ModelDirectory::single_file();
    directory.write(folder.path());
    let gguf = GgufFile::tiny().to_bytes();
    let safetensors = file_bytes(&directory.files[0].1);
    let config = fs::read(folder.path().join("config.json")).unwrap();
    let mut random = Random(2);
    for (name, sound, open) in
        [("model.safetensors", &safetensors, "."), ("config.json", &config, "."), ("model.gguf", &gguf, "model.gguf")]
    {
        for _ in 0..200 {
            let mut bytes = sound.clone();
            damage(&mut random, &mut bytes, 8192);
            fs::write(folder.path().join(name), bytes).unwrap();
            if let Ok(checkpoint) = Checkpoint::open(&folder.path().join(open)) {
                assert_eq!(checkpoint.layers.len(), checkpoint.config.layers.len());
            }
        }
        fs::write(folder.path().join(name), sound).unwrap();
        Checkpoint::open(&folder.path().join(open)).unwrap();
    }
}
