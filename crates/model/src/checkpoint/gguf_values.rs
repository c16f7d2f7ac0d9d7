//! GGUF metadata: typed look-up of keys, with errors that name the key. It must not know which keys a model needs.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::error::printable;

/// The metadata of one GGUF file.
#[derive(Debug)]
pub struct Metadata {
    path: PathBuf,
    values: HashMap<String, Value>,
}

/// A metadata value. Arrays stay in the file until they are asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any integer type.
    Integer(i128),
    /// Either float type.
    Float(f64),
    /// A boolean.
    Boolean(bool),
    /// A string.
    Text(String),
    /// An array.
    Array {
        /// The type of its items.
        item_type: ValueType,
        /// How many there are.
        count: usize,
        /// The bytes of the file that hold them.
        range: Range<usize>,
    },
}

/// The format's value types, in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum ValueType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
}

impl ValueType {
    const ALL: [Self; 13] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::Bool,
        Self::String,
        Self::Array,
        Self::U64,
        Self::I64,
        Self::F64,
    ];

    /// The type with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Bytes of a value; `None` when they vary.
    #[must_use]
    pub const fn bytes(self) -> Option<u64> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::String | Self::Array => None,
        }
    }
}

impl Value {
    /// Decodes a value of fixed size; `None` for a boolean other than 0 and 1, or when `bytes` has another length.
    #[must_use]
    pub fn scalar(value_type: ValueType, bytes: &[u8]) -> Option<Self> {
        Some(match value_type {
            ValueType::U8 => Self::Integer(u8::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::I8 => Self::Integer(i8::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::U16 => Self::Integer(u16::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::I16 => Self::Integer(i16::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::U32 => Self::Integer(u32::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::I32 => Self::Integer(i32::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::U64 => Self::Integer(u64::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::I64 => Self::Integer(i64::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::F32 => Self::Float(f32::from_le_bytes(bytes.try_into().ok()?).into()),
            ValueType::F64 => Self::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
            ValueType::Bool => match bytes {
                [0] => Self::Boolean(false),
                [1] => Self::Boolean(true),
                _ => return None,
            },
            ValueType::String | ValueType::Array => return None,
        })
    }

    fn describe(&self) -> String {
        match self {
            Self::Integer(value) => format!("{value}"),
            Self::Float(value) => format!("{value}"),
            Self::Boolean(value) => format!("{value}"),
            Self::Text(text) => format!("{:?}", printable(text)),
            Self::Array { item_type, count, .. } => format!("an array of {count} {item_type:?}"),
        }
    }
}

impl Metadata {
    pub(super) fn new(path: &Path, values: HashMap<String, Value>) -> Self {
        Self { path: path.to_path_buf(), values }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// An error about a key of this file.
    pub(super) fn wrong(&self, key: &str, expected: &str, found: &str) -> Error {
        Error::Field {
            path: self.path.clone(),
            field: format!("GGUF key {key}"),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }

    /// An integer from 0 to 2^63 - 1.
    ///
    /// # Errors
    /// [`Error::Field`] when the key has another value; its absence is `None`.
    pub fn optional_count(&self, key: &str) -> Result<Option<usize>, Error> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let count = match value {
            Value::Integer(value) => usize::try_from(*value).ok().filter(|&count| count <= isize::MAX as usize),
            Value::Float(_) | Value::Boolean(_) | Value::Text(_) | Value::Array { .. } => None,
        };
        count.map(Some).ok_or_else(|| self.wrong(key, "a whole number, 0 or more", &value.describe()))
    }

    /// Like [`Self::optional_count`], for a key that must be there.
    ///
    /// # Errors
    /// [`Error::Field`] when it is not, or not such a number.
    pub fn count(&self, key: &str) -> Result<usize, Error> {
        self.optional_count(key)?.ok_or_else(|| self.wrong(key, "a whole number, 0 or more", "no such key"))
    }

    /// A number.
    ///
    /// # Errors
    /// [`Error::Field`] when the key has another value; its absence is `None`.
    pub fn optional_number(&self, key: &str) -> Result<Option<f64>, Error> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value {
            #[expect(clippy::cast_precision_loss, reason = "hyperparameters are small")]
            Value::Integer(value) => Ok(Some(*value as f64)),
            Value::Float(value) => Ok(Some(*value)),
            Value::Boolean(_) | Value::Text(_) | Value::Array { .. } => {
                Err(self.wrong(key, "a number", &value.describe()))
            }
        }
    }

    /// Like [`Self::optional_number`], for a key that must be there.
    ///
    /// # Errors
    /// [`Error::Field`] when it is not, or not a number.
    pub fn number(&self, key: &str) -> Result<f64, Error> {
        self.optional_number(key)?.ok_or_else(|| self.wrong(key, "a number", "no such key"))
    }

    /// A string.
    ///
    /// # Errors
    /// [`Error::Field`] when the key has another value; its absence is `None`.
    pub fn optional_text(&self, key: &str) -> Result<Option<&str>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(value) => Err(self.wrong(key, "a string", &value.describe())),
        }
    }

    /// The integers (or booleans, as 0 and 1) of an array in `bytes`, the file's content; at most `limit`.
    ///
    /// # Errors
    /// [`Error::Field`] when the key has another value; its absence is `None`.
    pub fn optional_integers(&self, bytes: &[u8], key: &str, limit: usize) -> Result<Option<Vec<i128>>, Error> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let wrong = || self.wrong(key, &format!("an array of at most {limit} integers"), &value.describe());
        let Value::Array { item_type, count, range } = value else { return Err(wrong()) };
        let item_bytes = item_type.bytes().and_then(|length| usize::try_from(length).ok()).ok_or_else(wrong)?;
        if *count > limit {
            return Err(wrong());
        }
        let items = bytes[range.clone()].chunks_exact(item_bytes).map(|item| match Value::scalar(*item_type, item) {
            Some(Value::Integer(value)) => Ok(value),
            Some(Value::Boolean(value)) => Ok(value.into()),
            _ => Err(wrong()),
        });
        items.collect::<Result<Vec<_>, _>>().map(Some)
    }

    /// The strings of an array in `bytes`, the file's content; at most `limit`.
    ///
    /// # Errors
    /// [`Error::Field`] when the key has another value or a string is not UTF-8; its absence is `None`.
    pub fn optional_texts(&self, bytes: &[u8], key: &str, limit: usize) -> Result<Option<Vec<String>>, Error> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let wrong = || self.wrong(key, &format!("an array of at most {limit} UTF-8 strings"), &value.describe());
        let Value::Array { item_type: ValueType::String, count, range } = value else { return Err(wrong()) };
        if *count > limit {
            return Err(wrong());
        }
        let mut rest = &bytes[range.clone()];
        let mut texts = Vec::with_capacity(*count);
        while let Some((length, tail)) = rest.split_first_chunk::<8>() {
            let length = usize::try_from(u64::from_le_bytes(*length)).ok();
            let (text, tail) = length.and_then(|length| tail.split_at_checked(length)).ok_or_else(wrong)?;
            texts.push(std::str::from_utf8(text).map_err(|_| wrong())?.to_owned());
            rest = tail;
        }
        Ok(Some(texts))
    }
}
