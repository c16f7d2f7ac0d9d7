//! Any bytes as a GGUF file: tensors inside the file that do not overlap and arrays that decode, or an error.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use model::checkpoint::gguf;

fuzz_target!(|bytes: &[u8]| {
    let Ok(header) = gguf::parse_header(Path::new("fuzzed"), bytes) else { return };
    for key in ["tokenizer.ggml.tokens", "tokenizer.ggml.token_type"] {
        let _ = header.metadata.optional_texts(bytes, key, 1 << 20);
        let _ = header.metadata.optional_integers(bytes, key, 1 << 20);
    }
    let mut tensors = header.tensors;
    tensors.retain(|entry| !entry.range.is_empty());
    tensors.sort_by_key(|entry| entry.range.start);
    assert!(tensors.iter().all(|entry| entry.range.end <= bytes.len()));
    assert!(tensors.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
});
