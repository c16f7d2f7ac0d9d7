//! The header of a safetensors file: a length, a JSON table of names, encodings, shapes and byte ranges, then the data.
//! It must not know which tensors a gpt-oss model has.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::encoding::{Encoding, refuse_overlaps};
use crate::Error;
use crate::error::printable;

/// Longest JSON header that is read, in bytes (the published 120b model needs about 0.1 MB).
pub const HEADER_BYTES_MAX: u64 = 16 << 20;
/// Most tensors in one file.
pub const TENSORS_MAX: usize = 1 << 16;
/// Longest tensor name, in bytes.
pub const NAME_BYTES_MAX: usize = 512;
/// Most dimensions of a tensor.
pub const DIMENSIONS_MAX: usize = 8;

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The tensor's name.
    pub name: String,
    /// How its values are encoded.
    pub encoding: Encoding,
    /// Dimensions, slowest first.
    pub shape: Vec<usize>,
    /// Where its bytes lie, from the start of the file.
    pub range: Range<usize>,
}

/// Reads and checks the header of `bytes`, a whole safetensors file; `path` is only for messages.
///
/// The ranges returned lie inside `bytes`, do not overlap, leave no gaps and have the length that encoding and shape ask for. Names may repeat: whoever gathers the
/// tensors of several files refuses that.
///
/// # Errors
/// [`Error::Header`], [`Error::Json`] or [`Error::Tensor`] for anything else.
pub fn parse_header(path: &Path, bytes: &[u8]) -> Result<Vec<Entry>, Error> {
    let damaged = |expected: String, found: String| Error::Header {
        path: path.to_path_buf(),
        part: "safetensors header length".into(),
        expected,
        found,
    };
    let Some((prefix, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(damaged("a file of at least 8 bytes".into(), format!("{} bytes", bytes.len())));
    };
    let length = u64::from_le_bytes(*prefix);
    if length > HEADER_BYTES_MAX {
        return Err(damaged(format!("at most {HEADER_BYTES_MAX} bytes"), format!("{length}")));
    }
    let json = usize::try_from(length).ok().and_then(|length| rest.get(..length)).ok_or_else(|| {
        damaged(format!("a header of {length} bytes"), format!("a file of {} bytes, so it is truncated", bytes.len()))
    })?;
    let table: Table = serde_json::from_slice(json).map_err(|error| Error::Json {
        path: path.to_path_buf(),
        expected: "a safetensors header",
        found: printable(&error.to_string()),
    })?;
    let data_start = 8 + json.len();
    let mut entries = Vec::with_capacity(table.0.len());
    for (name, description) in table.0 {
        entries.push(check_entry(path, bytes.len(), data_start, name, description)?);
    }
    refuse_gaps(path, &entries, data_start, bytes.len())?;
    Ok(entries)
}

/// The format leaves no byte of the data unnamed, so a gap means a lost line or a damaged offset.
fn refuse_gaps(path: &Path, entries: &[Entry], data_start: usize, file_bytes: usize) -> Result<(), Error> {
    let mut ranges: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.range.clone())).collect();
    refuse_overlaps(path, &mut ranges)?;
    let mut end = data_start;
    for (name, range) in &ranges {
        if range.start != end {
            return Err(Error::Tensor {
                path: path.to_path_buf(),
                tensor: printable(name),
                property: "data offsets",
                expected: format!("a start at file byte {end}, where the tensor before it ends"),
                found: format!("{}", range.start),
            });
        }
        end = range.end;
    }
    if end != file_bytes {
        return Err(Error::Header {
            path: path.to_path_buf(),
            part: "safetensors data".into(),
            expected: format!("{end} bytes, as the header says"),
            found: format!("{file_bytes}"),
        });
    }
    Ok(())
}

fn check_entry(
    path: &Path,
    file_bytes: usize,
    data_start: usize,
    name: String,
    described: Described,
) -> Result<Entry, Error> {
    let wrong = |property, expected: String, found: String| Error::Tensor {
        path: path.to_path_buf(),
        tensor: printable(&name),
        property,
        expected,
        found,
    };
    if described.shape.len() > DIMENSIONS_MAX {
        let found = format!("{}", described.shape.len());
        return Err(wrong("number of dimensions", format!("at most {DIMENSIONS_MAX}"), found));
    }
    let [begin, end] = described.data_offsets;
    let data_bytes = (file_bytes - data_start) as u64;
    if begin > end || end > data_bytes {
        let expected = format!("a range inside the {data_bytes} data bytes of the file");
        return Err(wrong("data offsets", expected, format!("[{begin}, {end}] (truncated file?)")));
    }
    let encoding = Encoding::from_safetensors(&described.dtype);
    // Every readable safetensors encoding has blocks of one value.
    if let Some((_, value_bytes)) = encoding.block()
        && let expected_bytes =
            described.shape.iter().try_fold(value_bytes as u64, |product, &size| product.checked_mul(size))
        && expected_bytes != Some(end - begin)
    {
        let expected = expected_bytes.map_or("a size below 2^64 bytes".to_owned(), |bytes| {
            format!("{bytes} for {} {:?}", described.dtype, described.shape)
        });
        return Err(wrong("byte length", expected, format!("{}", end - begin)));
    }
    // Both ends are at most the file's length and the sizes of a checked product, so they fit; an unknown dtype is checked here.
    let as_size =
        |value: u64| usize::try_from(value).map_err(|_| wrong("shape", "sizes below 2^63".into(), format!("{value}")));
    let shape = described.shape.iter().map(|&size| as_size(size)).collect::<Result<Vec<_>, _>>()?;
    let range = data_start + as_size(begin)?..data_start + as_size(end)?;
    Ok(Entry { encoding, shape, range, name })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// The JSON object in file order, keeping repeated names so that they can be refused.
struct Table(Vec<(String, Described)>);

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TableVisitor)
    }
}

struct TableVisitor;

impl<'de> Visitor<'de> for TableVisitor {
    type Value = Table;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of tensor descriptions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if name.len() > NAME_BYTES_MAX {
                return Err(de::Error::custom(format_args!("a tensor name longer than {NAME_BYTES_MAX} bytes")));
            }
            if entries.len() == TENSORS_MAX {
                return Err(de::Error::custom(format_args!("more than {TENSORS_MAX} tensors")));
            }
            let description = map
                .next_value::<Described>()
                .map_err(|error| de::Error::custom(format_args!("tensor {}: {error}", printable(&name))))?;
            entries.push((name, description));
        }
        Ok(Table(entries))
    }
}
