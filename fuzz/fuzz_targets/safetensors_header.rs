//! Any bytes as a safetensors file: entries inside the file that do not overlap, or an error.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use model::checkpoint::safetensors;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut entries) = safetensors::parse_header(Path::new("fuzzed"), bytes) else { return };
    entries.sort_by_key(|entry| (entry.range.start, entry.range.end));
    assert!(entries.iter().all(|entry| entry.range.end <= bytes.len()));
    assert!(entries.windows(2).all(|pair| pair[0].range.end == pair[1].range.start));
});
