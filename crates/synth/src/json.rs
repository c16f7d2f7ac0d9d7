//! JSON as Python's `json` module writes it, because the published files were written by it and ours equal them byte for byte.

use std::io::{Result, Write};

use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// `json.dumps(value)`: one line, `", "` and `": "`.
pub(crate) fn one_line(value: &Value) -> String {
    dump(value, None)
}

/// `json.dumps(value, indent=2)`.
pub(crate) fn indented(value: &Value) -> String {
    dump(value, Some(0))
}

fn dump(value: &Value, depth: Option<usize>) -> String {
    let mut out = Vec::new();
    let formatter = PythonFormatter { depth, filled: false };
    serde::Serialize::serialize(value, &mut Serializer::with_formatter(&mut out, formatter))
        .expect("a Value has string keys and a Vec takes every byte");
    String::from_utf8(out).expect("serde_json writes UTF-8")
}

struct PythonFormatter {
    /// Nesting depth when indenting.
    depth: Option<usize>,
    /// Whether the innermost finished container had anything in it.
    filled: bool,
}

impl PythonFormatter {
    fn open<W: Write + ?Sized>(&mut self, writer: &mut W, bracket: &[u8]) -> Result<()> {
        self.depth = self.depth.map(|depth| depth + 1);
        self.filled = false;
        writer.write_all(bracket)
    }

    fn close<W: Write + ?Sized>(&mut self, writer: &mut W, bracket: &[u8]) -> Result<()> {
        self.depth = self.depth.map(|depth| depth - 1);
        if self.filled {
            self.line(writer)?;
        }
        self.filled = true;
        writer.write_all(bracket)
    }

    fn item<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> Result<()> {
        self.filled = true;
        match (first, self.depth) {
            (true, _) => {}
            (false, Some(_)) => writer.write_all(b",")?,
            (false, None) => writer.write_all(b", ")?,
        }
        self.line(writer)
    }

    fn line<W: Write + ?Sized>(&self, writer: &mut W) -> Result<()> {
        match self.depth {
            None => Ok(()),
            Some(depth) => write!(writer, "\n{:width$}", "", width = 2 * depth),
        }
    }
}

impl Formatter for PythonFormatter {
    /// `repr` of a float: the shortest digits, an exponent of two digits below 1e-4. A whole number from 1e16 on is written
    /// in full, as Python writes the integer that the tokenizer configuration uses for "no limit".
    fn write_f64<W: Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> Result<()> {
        if value.abs() >= 1e16 {
            return write!(writer, "{value:.0}");
        }
        if value != 0.0 && value.abs() < 1e-4 {
            let text = format!("{value:e}");
            let (digits, exponent) = text.split_once("e-").expect("the exponent is negative");
            return write!(writer, "{digits}e-{exponent:0>2}");
        }
        write!(writer, "{value:?}")
    }

    fn begin_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> Result<()> {
        self.open(writer, b"[")
    }

    fn end_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> Result<()> {
        self.close(writer, b"]")
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> Result<()> {
        self.item(writer, first)
    }

    fn begin_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> Result<()> {
        self.open(writer, b"{")
    }

    fn end_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> Result<()> {
        self.close(writer, b"}")
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> Result<()> {
        self.item(writer, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn numbers_and_nesting_as_python_writes_them() {
        // Expected texts from Python 3.11's json.dumps.
        let value = json!({"a": 1e-5, "b": [32.0, 0.0001, 1.5e-7, -0.0], "c": {}, "d": [], "e": null, "f": {"g": [1]}});
        assert_eq!(
            super::one_line(&value),
            r#"{"a": 1e-05, "b": [32.0, 0.0001, 1.5e-07, -0.0], "c": {}, "d": [], "e": null, "f": {"g": [1]}}"#
        );
        let lines = "{\n  \"c\": {},\n  \"d\": [],\n  \"f\": {\n    \"g\": [\n      1,\n      2\n    ]\n  }\n}";
        assert_eq!(super::indented(&json!({"c": {}, "d": [], "f": {"g": [1, 2]}})), lines);
        assert_eq!(super::one_line(&json!(1e30)), "1000000000000000019884624838656");
    }
}
