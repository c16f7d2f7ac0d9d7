//! The GGUF container: magic, counts, typed keys, tensor descriptions, then tensors at multiples of 32 bytes.
//!
//! It must not know what the keys mean.

use crate::dense::DenseFormat;
use crate::plan::{Content, FilePlan};

const MAGIC: &[u8; 4] = b"GGUF";
const VERSION: u32 = 3;
/// `general.alignment` when the file does not state it.
const ALIGNMENT: usize = 32;

/// Encoded keys and their number.
#[derive(Clone, Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    count: u64,
}

/// A value of a key, with GGUF's type.
pub(super) enum KeyValue<'a> {
    Bool(bool),
    U16(u16),
    U32(u32),
    I32(i32),
    F32(f32),
    Text(&'a str),
    Bools(&'a [bool]),
    U32s(&'a [u32]),
    I32s(&'a [i32]),
    Texts(&'a [String]),
}

/// The element types we write, with ggml's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GgmlType {
    F32 = 0,
    F16 = 1,
    Q8_0 = 8,
    Bf16 = 30,
    Mxfp4 = 39,
}

/// A tensor of a file; `shape` is row-major as everywhere in this crate.
pub(super) struct GgufTensor {
    pub(super) name: String,
    pub(super) kind: GgmlType,
    pub(super) shape: Vec<usize>,
    pub(super) content: Content,
}

impl From<DenseFormat> for GgmlType {
    fn from(format: DenseFormat) -> Self {
        match format {
            DenseFormat::F32 => Self::F32,
            DenseFormat::F16 => Self::F16,
            DenseFormat::Bf16 => Self::Bf16,
            DenseFormat::Q8_0 => Self::Q8_0,
        }
    }
}

impl Keys {
    pub(super) fn put(&mut self, key: &str, value: &KeyValue<'_>) {
        self.count += 1;
        put_text(&mut self.bytes, key);
        let bytes = &mut self.bytes;
        match *value {
            KeyValue::U16(value) => put_typed(bytes, 2, &value.to_le_bytes()),
            KeyValue::U32(value) => put_typed(bytes, 4, &value.to_le_bytes()),
            KeyValue::I32(value) => put_typed(bytes, 5, &value.to_le_bytes()),
            KeyValue::F32(value) => put_typed(bytes, 6, &value.to_le_bytes()),
            KeyValue::Bool(value) => put_typed(bytes, 7, &[u8::from(value)]),
            KeyValue::Text(text) => {
                put_typed(bytes, 8, &[]);
                put_text(bytes, text);
            }
            KeyValue::U32s(values) => put_array(bytes, 4, values, |bytes, value| bytes.extend(value.to_le_bytes())),
            KeyValue::I32s(values) => put_array(bytes, 5, values, |bytes, value| bytes.extend(value.to_le_bytes())),
            KeyValue::Bools(values) => put_array(bytes, 7, values, |bytes, &value| bytes.push(u8::from(value))),
            KeyValue::Texts(texts) => put_array(bytes, 8, texts, |bytes, text| put_text(bytes, text)),
        }
    }
}

fn put_typed(bytes: &mut Vec<u8>, kind: u32, value: &[u8]) {
    bytes.extend(kind.to_le_bytes());
    bytes.extend(value);
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn put_array<T>(bytes: &mut Vec<u8>, kind: u32, values: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_typed(bytes, 9, &kind.to_le_bytes());
    bytes.extend((values.len() as u64).to_le_bytes());
    for value in values {
        put(bytes, value);
    }
}

/// The file with these keys and tensors.
pub(super) fn plan(name: String, keys: &Keys, tensors: Vec<GgufTensor>) -> FilePlan {
    let mut header = MAGIC.to_vec();
    header.extend(VERSION.to_le_bytes());
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend(keys.count.to_le_bytes());
    header.extend(&keys.bytes);
    let mut offset = 0;
    for GgufTensor { name, kind, shape, content } in &tensors {
        put_text(&mut header, name);
        header.extend((shape.len() as u32).to_le_bytes());
        for &length in shape.iter().rev() {
            header.extend((length as u64).to_le_bytes());
        }
        header.extend((*kind as u32).to_le_bytes());
        header.extend((offset as u64).to_le_bytes());
        offset += content.byte_count().next_multiple_of(ALIGNMENT);
    }
    header.resize(header.len().next_multiple_of(ALIGNMENT), 0);
    let mut contents = vec![Content::literal(header)];
    for GgufTensor { content, .. } in tensors {
        let bytes = content.byte_count();
        contents.push(content);
        contents.push(Content::literal(vec![0; bytes.next_multiple_of(ALIGNMENT) - bytes]));
    }
    FilePlan { name, contents }
}
