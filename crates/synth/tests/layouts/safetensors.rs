//! A reader of safetensors files, just enough to look at what was written.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Raw bytes and shape of every tensor of a file.
pub(crate) fn read(path: &Path) -> HashMap<String, (Vec<usize>, Vec<u8>)> {
    let bytes = fs::read(path).unwrap();
    let (length, rest) = bytes.split_at(8);
    let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
    let (header, data) = rest.split_at(length);
    assert!(length.is_multiple_of(8), "the data starts at a multiple of eight");
    let header: serde_json::Map<String, Value> = serde_json::from_slice(header).unwrap();
    let numbers = |value: &Value| -> Vec<usize> {
        value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as usize).collect()
    };
    let mut end = 0;
    let tensors = header.iter().filter(|(name, _)| *name != "__metadata__").map(|(name, entry)| {
        let offsets = numbers(&entry["data_offsets"]);
        assert_eq!(offsets[0], end, "{name} follows its predecessor");
        end = offsets[1];
        (name.clone(), (numbers(&entry["shape"]), data[offsets[0]..offsets[1]].to_vec()))
    });
    let tensors = tensors.collect();
    assert_eq!(end, data.len());
    tensors
}

/// bf16 bytes as numbers.
pub(crate) fn bf16_values(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<2>().0.iter().map(|&[low, high]| f32::from_le_bytes([0, 0, low, high])).collect()
}
