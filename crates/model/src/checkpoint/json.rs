//! Reading fields out of JSON configuration files, with errors that name the file and the field. It must not know which
//! fields a model has.

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::Error;
use crate::error::printable;

/// Longest configuration file or shard index that is read, in bytes.
pub(super) const JSON_BYTES_MAX: u64 = 16 << 20;

/// Parses a JSON file of bounded size.
pub(super) fn read<T: for<'de> Deserialize<'de>>(path: &Path, expected: &'static str) -> Result<T, Error> {
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let json = |found: String| Error::Json { path: path.to_path_buf(), expected, found };
    let length = std::fs::metadata(path).map_err(io)?.len();
    if length > JSON_BYTES_MAX {
        return Err(json(format!("a file of {length} bytes (at most {JSON_BYTES_MAX} are read)")));
    }
    parse(path, &std::fs::read(path).map_err(io)?, expected)
}

/// Parses JSON that was read; `path` is only for messages.
pub(super) fn parse<T: for<'de> Deserialize<'de>>(
    path: &Path,
    bytes: &[u8],
    expected: &'static str,
) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Json {
        path: path.to_path_buf(),
        expected,
        found: printable(&error.to_string()),
    })
}

/// A JSON object of a configuration file.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    path: &'a Path,
    /// What stands before a field's name in messages: empty, or the enclosing object's name and a dot.
    prefix: &'a str,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(path: &'a Path, map: &'a Map<String, Value>) -> Self {
        Self { path, prefix: "", map }
    }

    pub(super) fn wrong(&self, name: &str, expected: &str, found: &str) -> Error {
        Error::Field {
            path: self.path.to_path_buf(),
            field: format!("{}{name}", self.prefix),
            expected: expected.to_owned(),
            found: printable(found),
        }
    }

    /// The value, unless it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// An object inside this one; `prefix` is its name and a dot.
    pub(super) fn object(&self, name: &str, prefix: &'a str) -> Result<Option<Fields<'a>>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Fields { path: self.path, prefix, map })),
            Some(value) => Err(self.wrong(name, "an object", &value.to_string())),
        }
    }

    /// A whole number under any of `names`; those that are there must agree.
    pub(super) fn optional_count(&self, names: &[&str]) -> Result<Option<usize>, Error> {
        let mut found: Option<usize> = None;
        for name in names {
            let Some(value) = self.get(name) else { continue };
            let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
            let count = count.ok_or_else(|| self.wrong(name, "a whole number, 0 or more", &value.to_string()))?;
            if let Some(first) = found
                && first != count
            {
                return Err(self.wrong(name, &format!("{first}, as {} says", names[0]), &format!("{count}")));
            }
            found = Some(count);
        }
        Ok(found)
    }

    pub(super) fn count(&self, names: &[&str]) -> Result<usize, Error> {
        self.optional_count(names)?.ok_or_else(|| self.wrong(&names.join(" or "), "a whole number", "no such field"))
    }

    pub(super) fn optional_number(&self, name: &str) -> Result<Option<f64>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.wrong(name, "a number", &value.to_string()))
    }

    pub(super) fn number(&self, name: &str) -> Result<f64, Error> {
        self.optional_number(name)?.ok_or_else(|| self.wrong(name, "a number", "no such field"))
    }

    pub(super) fn optional_text(&self, name: &str) -> Result<Option<&'a str>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(name, "a string", &value.to_string()))
    }

    pub(super) fn optional_boolean(&self, name: &str) -> Result<Option<bool>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.wrong(name, "true or false", &value.to_string()))
    }
}

/// A JSON object that keeps repeated keys, so that they can be refused instead of the last one winning.
pub(super) struct Pairs<V>(pub(super) Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<V> {
            type Value = Pairs<V>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<V>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    let value = map
                        .next_value()
                        .map_err(|error| de::Error::custom(format_args!("{}: {error}", printable(&key))))?;
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}
