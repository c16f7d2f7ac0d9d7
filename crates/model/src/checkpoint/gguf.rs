//! The header of a GGUF file (little-endian, versions 2 and 3): key-value metadata, a table of tensors, then aligned data.
//! It must not know which keys or tensors a gpt-oss model has.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use super::encoding::{Encoding, refuse_overlaps};
use super::gguf_values::{Metadata, Value, ValueType};
use crate::Error;
use crate::error::printable;

/// Most metadata keys in one file.
pub const KEYS_MAX: u64 = 1 << 16;
/// Most tensors in one file.
pub const TENSORS_MAX: u64 = 1 << 16;
/// Longest metadata key, in bytes.
pub const KEY_BYTES_MAX: u64 = 1 << 10;
/// Longest metadata string (chat templates are the longest in use), in bytes.
pub const STRING_BYTES_MAX: u64 = 1 << 24;
/// Most items of a metadata array (vocabularies and merges are the longest in use).
pub const ARRAY_ITEMS_MAX: u64 = 1 << 24;
/// Longest tensor name, in bytes.
pub const NAME_BYTES_MAX: u64 = 512;
/// Most dimensions of a tensor.
pub const DIMENSIONS_MAX: u32 = 4;
/// Largest alignment of tensor data, in bytes.
pub const ALIGNMENT_MAX: u64 = 1 << 20;

/// A GGUF file's metadata and tensor table.
#[derive(Debug)]
pub struct Header {
    /// Key-value metadata.
    pub metadata: Metadata,
    /// The tensors in file order; their ranges lie inside the file and do not overlap.
    pub tensors: Vec<Entry>,
}

/// One line of the tensor table.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The tensor's name.
    pub name: String,
    /// How its values are encoded.
    pub encoding: Encoding,
    /// Dimensions, slowest first (the file lists them fastest first).
    pub shape: Vec<usize>,
    /// Where its bytes lie, from the start of the file; empty when the encoding is not one we read.
    pub range: Range<usize>,
}

/// Reads and checks the header of `bytes`, a whole GGUF file; `path` is only for messages. Tensor names may repeat: whoever
/// gathers the tensors of several files refuses that.
///
/// # Errors
/// [`Error::Header`] or [`Error::Tensor`] when the file is not a well-formed GGUF.
pub fn parse_header(path: &Path, bytes: &[u8]) -> Result<Header, Error> {
    let mut cursor = Cursor { path, bytes, position: 0 };
    let magic = cursor.take("magic", 4)?;
    if magic != b"GGUF" {
        return Err(cursor.damaged("magic", "the bytes GGUF", &format!("{:?}", String::from_utf8_lossy(magic))));
    }
    let version = cursor.u32("version")?;
    if !matches!(version, 2 | 3) {
        let swapped = if version.swap_bytes() < 16 { " (a big-endian file)" } else { "" };
        return Err(cursor.damaged("version", "2 or 3, little-endian", &format!("{version}{swapped}")));
    }
    let tensor_count = cursor.count("tensor count", TENSORS_MAX)?;
    let key_count = cursor.count("key count", KEYS_MAX)?;
    let metadata = read_metadata(&mut cursor, key_count)?;
    let mut described = Vec::new();
    for index in 0..tensor_count {
        described.push(read_description(&mut cursor, index)?);
    }
    let alignment = read_alignment(&cursor, &metadata)?;
    let tensors = place_tensors(&cursor, described, alignment)?;
    Ok(Header { metadata, tensors })
}

fn read_metadata(cursor: &mut Cursor<'_>, key_count: u64) -> Result<Metadata, Error> {
    let mut values = HashMap::new();
    for index in 0..key_count {
        let range = cursor.string(&format!("name of key {index}"), KEY_BYTES_MAX)?;
        let key = cursor.text(&format!("name of key {index}"), range)?.to_owned();
        let number = cursor.u32(&format!("type of key {}", printable(&key)))?;
        let value = read_value(cursor, &key, number)?;
        if values.insert(key.clone(), value).is_some() {
            return Err(cursor.damaged(&format!("key {}", printable(&key)), "to find it once", "it twice"));
        }
    }
    Ok(Metadata::new(cursor.path, values))
}

fn read_value(cursor: &mut Cursor<'_>, key: &str, number: u32) -> Result<Value, Error> {
    let part = format!("value of key {}", printable(key));
    let value_type = |cursor: &Cursor<'_>, number: u32| {
        ValueType::from_number(number)
            .ok_or_else(|| cursor.damaged(&part, "a value type from 0 to 12", &format!("{number}")))
    };
    match value_type(cursor, number)? {
        ValueType::String => {
            let range = cursor.string(&part, STRING_BYTES_MAX)?;
            Ok(Value::Text(cursor.text(&part, range)?.to_owned()))
        }
        ValueType::Array => {
            let number = cursor.u32(&part)?;
            let item_type = value_type(cursor, number)?;
            let count = cursor.count(&part, ARRAY_ITEMS_MAX)?;
            let start = cursor.position;
            match item_type.bytes() {
                Some(item_bytes) => drop(cursor.take(&part, count * item_bytes)?),
                None if item_type == ValueType::String => {
                    for _ in 0..count {
                        cursor.string(&part, STRING_BYTES_MAX)?;
                    }
                }
                None => return Err(cursor.damaged(&part, "an array of numbers or strings", "an array of arrays")),
            }
            let count = usize::try_from(count).expect("at most ARRAY_ITEMS_MAX");
            Ok(Value::Array { item_type, count, range: start..cursor.position })
        }
        scalar => {
            let length = scalar.bytes().expect("only strings and arrays have no fixed size");
            let bytes = cursor.take(&part, length)?;
            Value::scalar(scalar, bytes)
                .ok_or_else(|| cursor.damaged(&part, "a boolean of 0 or 1", &format!("{bytes:?}")))
        }
    }
}

/// A tensor as the table describes it, before its place is checked.
struct Described {
    name: String,
    encoding: Encoding,
    shape: Vec<usize>,
    offset: u64,
}

fn read_description(cursor: &mut Cursor<'_>, index: u64) -> Result<Described, Error> {
    let part = format!("name of tensor {index}");
    let range = cursor.string(&part, NAME_BYTES_MAX)?;
    let name = cursor.text(&part, range)?.to_owned();
    let part = format!("description of tensor {}", printable(&name));
    let dimensions = cursor.u32(&part)?;
    if dimensions > DIMENSIONS_MAX {
        return Err(cursor.damaged(&part, &format!("at most {DIMENSIONS_MAX} dimensions"), &format!("{dimensions}")));
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let size = cursor.u64(&part)?;
        let size = usize::try_from(size).ok().filter(|&size| size <= isize::MAX as usize);
        shape.push(size.ok_or_else(|| cursor.damaged(&part, "dimensions below 2^63", "a larger one"))?);
    }
    shape.reverse();
    let encoding = Encoding::from_gguf(cursor.u32(&part)?);
    let offset = cursor.u64(&part)?;
    Ok(Described { name, encoding, shape, offset })
}

fn read_alignment(cursor: &Cursor<'_>, metadata: &Metadata) -> Result<u64, Error> {
    let alignment = metadata.optional_count("general.alignment")?.map_or(32, |alignment| alignment as u64);
    if !alignment.is_power_of_two() || alignment > ALIGNMENT_MAX {
        let expected = format!("a power of two up to {ALIGNMENT_MAX}");
        return Err(cursor.damaged("general.alignment", &expected, &format!("{alignment}")));
    }
    Ok(alignment)
}

fn place_tensors(cursor: &Cursor<'_>, described: Vec<Described>, alignment: u64) -> Result<Vec<Entry>, Error> {
    let data_start = (cursor.position as u64).next_multiple_of(alignment);
    let mut entries = Vec::with_capacity(described.len());
    for tensor in described {
        entries.push(place(cursor, tensor, data_start, alignment)?);
    }
    let mut ranges: Vec<_> = entries.iter().map(|entry: &Entry| (entry.name.as_str(), entry.range.clone())).collect();
    refuse_overlaps(cursor.path, &mut ranges)?;
    Ok(entries)
}

fn place(cursor: &Cursor<'_>, tensor: Described, data_start: u64, alignment: u64) -> Result<Entry, Error> {
    let Described { name, encoding, shape, offset } = tensor;
    let wrong = |property, expected: String, found: String| Error::Tensor {
        path: cursor.path.to_path_buf(),
        tensor: printable(&name),
        property,
        expected,
        found,
    };
    let Some((block_values, block_bytes)) = encoding.block() else {
        // Its size is unknown, so it is listed without bytes; whoever wants it says by name that it cannot be read.
        return Ok(Entry { name, encoding, shape, range: 0..0 });
    };
    let columns = shape.last().copied().unwrap_or(1);
    if columns % block_values != 0 {
        let expected = format!("rows of whole blocks of {block_values} values in {}", encoding.name());
        return Err(wrong("shape", expected, format!("{shape:?}")));
    }
    let rows = shape.iter().rev().skip(1).try_fold(1_usize, |product, &size| product.checked_mul(size));
    let length = rows.and_then(|rows| rows.checked_mul(columns / block_values)?.checked_mul(block_bytes));
    let length = length.ok_or_else(|| wrong("shape", "a size below 2^64 bytes".into(), format!("{shape:?}")))?;
    if offset % alignment != 0 {
        return Err(wrong("data offset", format!("a multiple of {alignment}"), format!("{offset}")));
    }
    let start = data_start.checked_add(offset).and_then(|start| usize::try_from(start).ok());
    let range = start.and_then(|start| Some(start..start.checked_add(length)?));
    match range {
        Some(range) if range.end <= cursor.bytes.len() => Ok(Entry { name, encoding, shape, range }),
        _ => Err(wrong(
            "data offset",
            format!("{length} bytes inside the file of {} bytes", cursor.bytes.len()),
            format!("a start at data byte {offset} (truncated file?)"),
        )),
    }
}

/// A position in the header; every read is checked against the end of the file.
struct Cursor<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    fn damaged(&self, part: &str, expected: &str, found: &str) -> Error {
        Error::Header {
            path: self.path.to_path_buf(),
            part: format!("GGUF {part} before byte {}", self.position),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }

    fn take(&mut self, part: &str, length: u64) -> Result<&'a [u8], Error> {
        let end = usize::try_from(length).ok().and_then(|length| self.position.checked_add(length));
        let taken = end.and_then(|end| self.bytes.get(self.position..end));
        let taken = taken.ok_or_else(|| {
            let found = format!("a file of {} bytes, so it is truncated", self.bytes.len());
            self.damaged(part, &format!("{length} more bytes"), &found)
        })?;
        self.position += taken.len();
        Ok(taken)
    }

    fn u32(&mut self, part: &str) -> Result<u32, Error> {
        let bytes = self.take(part, 4)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes were taken")))
    }

    fn u64(&mut self, part: &str) -> Result<u64, Error> {
        let bytes = self.take(part, 8)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("eight bytes were taken")))
    }

    fn count(&mut self, part: &str, limit: u64) -> Result<u64, Error> {
        let count = self.u64(part)?;
        if count > limit {
            return Err(self.damaged(part, &format!("at most {limit}"), &format!("{count}")));
        }
        Ok(count)
    }

    /// A length and that many bytes, as a range of the file.
    fn string(&mut self, part: &str, limit: u64) -> Result<Range<usize>, Error> {
        let length = self.count(part, limit)?;
        self.take(part, length)?;
        Ok(self.position - usize::try_from(length).expect("it was taken")..self.position)
    }

    fn text(&self, part: &str, range: Range<usize>) -> Result<&'a str, Error> {
        std::str::from_utf8(&self.bytes[range]).map_err(|_| self.damaged(part, "UTF-8 text", "other bytes"))
    }
}
