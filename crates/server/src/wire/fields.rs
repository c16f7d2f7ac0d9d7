//! Reads a JSON object field by field. Every field is asked for by name, so whatever is left over is unknown. It must not know any
//! request.

use std::cell::RefCell;

use serde_json::{Map, Value};

use crate::error::ApiError;

/// An object being read, and where it stands in the request.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: String,
    asked: RefCell<Vec<&'static str>>,
}

/// A value and where it stands in the request.
#[derive(Clone, Debug)]
pub(crate) struct At<'a> {
    /// The value; never null.
    pub(crate) value: &'a Value,
    /// Its path, as `input[0].content`; empty for the whole.
    pub(crate) path: String,
}

impl<'a> Fields<'a> {
    /// The fields of a request's body.
    pub(crate) fn of_body(value: &'a Value) -> Result<Self, ApiError> {
        At { value, path: String::new() }.object()
    }

    /// The field, if it is there and not null.
    pub(crate) fn get(&self, name: &'static str) -> Option<At<'a>> {
        self.asked.borrow_mut().push(name);
        #[cfg(test)]
        asked_names::note(self.path_of(name));
        let value = self.object.get(name).filter(|value| !value.is_null())?;
        Some(At { value, path: self.path_of(name) })
    }

    /// The field, which must be there.
    pub(crate) fn need(&self, name: &'static str) -> Result<At<'a>, ApiError> {
        self.get(name).ok_or_else(|| ApiError::missing(&self.path_of(name)))
    }

    /// The field read by `read`, if it is there and not null.
    pub(crate) fn optional<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(At<'a>) -> Result<T, ApiError>,
    ) -> Result<Option<T>, ApiError> {
        self.get(name).map(read).transpose()
    }

    /// Refuses what was not asked for.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        let asked = self.asked.borrow();
        let unknown = self.object.keys().find(|name| !asked.contains(&name.as_str()));
        let Some(name) = unknown else { return Ok(()) };
        let path = self.path_of(name);
        let message = format!("unknown parameter {path}; nothing is ignored silently, so leave it out");
        Err(ApiError::unknown_parameter(path, message))
    }

    /// The path of a field of this object.
    pub(crate) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl<'a> At<'a> {
    /// An object.
    pub(crate) fn object(self) -> Result<Fields<'a>, ApiError> {
        let Some(object) = self.value.as_object() else { return Err(self.expected("an object")) };
        Ok(Fields { object, path: self.path, asked: RefCell::default() })
    }

    /// A string.
    pub(crate) fn string(self) -> Result<String, ApiError> {
        self.str().map(str::to_owned)
    }

    /// A string, as it lies in the request.
    pub(crate) fn str(&self) -> Result<&'a str, ApiError> {
        self.value.as_str().ok_or_else(|| self.expected("a string"))
    }

    /// A boolean.
    pub(crate) fn bool(self) -> Result<bool, ApiError> {
        self.value.as_bool().ok_or_else(|| self.expected("true or false"))
    }

    /// A number in a range, both ends included.
    pub(crate) fn number(self, least: f64, most: f64) -> Result<f64, ApiError> {
        let expected = format!("a number from {least} to {most}");
        match self.value.as_f64() {
            None => Err(self.expected(&expected)),
            Some(number) if number < least => Err(self.wrong("decimal_below_min_value", &expected)),
            Some(number) if number > most => Err(self.wrong("decimal_above_max_value", &expected)),
            Some(number) => Ok(number),
        }
    }

    /// An integer in a range, both ends included. A number such as 3.0 is one.
    pub(crate) fn integer(self, least: i64, most: i64) -> Result<i64, ApiError> {
        let whole = |number: f64| (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64);
        let expected = format!("an integer from {least} to {most}");
        match self.value.as_i64().or_else(|| self.value.as_f64().and_then(whole)) {
            None => Err(self.expected(&expected)),
            Some(integer) if integer < least => Err(self.wrong("integer_below_min_value", &expected)),
            Some(integer) if integer > most => Err(self.wrong("integer_above_max_value", &expected)),
            Some(integer) => Ok(integer),
        }
    }

    /// The elements of an array.
    pub(crate) fn array(self) -> Result<impl ExactSizeIterator<Item = At<'a>>, ApiError> {
        let Some(array) = self.value.as_array() else { return Err(self.expected("an array")) };
        let path = self.path;
        let element = move |(index, value)| At { value, path: format!("{path}[{index}]") };
        Ok(array.iter().enumerate().map(element))
    }

    /// One of these words.
    pub(crate) fn word<T: Copy>(self, words: &[(&str, T)]) -> Result<T, ApiError> {
        let found = self.value.as_str().and_then(|word| words.iter().find(|(name, _)| *name == word));
        found.map(|&(_, meaning)| meaning).ok_or_else(|| {
            let known: Vec<String> = words.iter().map(|(name, _)| format!("{name:?}")).collect();
            let expected = format!("one of {}", known.join(", "));
            if self.value.is_string() { self.unknown(&expected) } else { self.expected(&expected) }
        })
    }

    /// The error that something else was expected here.
    pub(crate) fn expected(&self, what: &str) -> ApiError {
        let Self { value, path } = self;
        let place = if path.is_empty() { "the body" } else { path };
        let message = format!("{place} is {}: expected {what}", excerpt(value));
        let param = Some(path.clone()).filter(|path| !path.is_empty());
        ApiError { param, ..ApiError::bad_request("invalid_type", message) }
    }

    /// The error that this has the right type, but is none of what is known here.
    pub(crate) fn unknown(&self, what: &str) -> ApiError {
        self.wrong("invalid_value", what)
    }

    fn wrong(&self, code: &'static str, what: &str) -> ApiError {
        ApiError { code: Some(code), ..self.expected(what) }
    }
}

/// A value in few words: clients send megabytes.
fn excerpt(value: &Value) -> String {
    const LETTERS_MAX: usize = 60;
    match value {
        Value::Array(array) => format!("an array of {}", array.len()),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().count() > LETTERS_MAX => {
            format!("{:?}…", text.chars().take(LETTERS_MAX).collect::<String>())
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => value.to_string(),
    }
}

/// Which fields readers ask for, so that tests can hold the documented ones to them.
#[cfg(test)]
pub(crate) mod asked_names {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static NAMES: RefCell<BTreeSet<String>> = RefCell::default();
    }

    pub(super) fn note(path: String) {
        NAMES.with_borrow_mut(|names| names.insert(path));
    }

    /// Paths that were asked for while `read` ran.
    pub(crate) fn of<T>(read: impl FnOnce() -> T) -> (T, BTreeSet<String>) {
        NAMES.take();
        let value = read();
        (value, NAMES.take())
    }
}
