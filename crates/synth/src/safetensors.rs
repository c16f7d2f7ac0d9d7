//! The safetensors container: an eight-byte header length, a JSON header padded to eight bytes, then the tensors.

use serde_json::{Map, Value, json};

use crate::plan::{Content, FilePlan};
use crate::tensors::{Dtype, Tensor};

/// A tensor as it stands in one file; fused tensors have several contents.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) contents: Vec<Content>,
}

impl Entry {
    /// A tensor under another name, otherwise as published.
    pub(crate) fn renamed(tensor: &Tensor, name: String) -> Self {
        let contents = vec![Content::published(&tensor.field, tensor.byte_count())];
        Self { name, dtype: tensor.dtype, shape: tensor.shape.clone(), contents }
    }

    fn byte_count(&self) -> usize {
        self.contents.iter().map(Content::byte_count).sum()
    }
}

/// The file that holds these tensors in this order.
pub(crate) fn plan(name: String, entries: Vec<Entry>) -> FilePlan {
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({"format": "pt"}));
    let mut offset = 0;
    for entry in &entries {
        let end = offset + entry.byte_count();
        header.insert(
            entry.name.clone(),
            json!({"dtype": entry.dtype.name(), "shape": entry.shape, "data_offsets": [offset, end]}),
        );
        offset = end;
    }
    let mut text = Value::Object(header).to_string();
    text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));
    let mut start = (text.len() as u64).to_le_bytes().to_vec();
    start.extend_from_slice(text.as_bytes());
    let contents = entries.into_iter().flat_map(|entry| entry.contents);
    FilePlan { name, contents: std::iter::once(Content::literal(start)).chain(contents).collect() }
}
