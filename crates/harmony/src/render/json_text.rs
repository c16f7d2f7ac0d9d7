//! Compact JSON as the model has seen it in its prompts. Writers of JSON agree on all but floating-point numbers; these
//! are laid out here, so that a prompt does not change with a dependency (`1e20` here, `1e+20` there).

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// A value without any white space; fields in their order.
pub(super) fn json_text(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Compact);
    value.serialize(&mut serializer).expect("a JSON value can be written to memory");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

struct Compact;

impl Formatter for Compact {
    fn write_f64<Writer: ?Sized + io::Write>(&mut self, writer: &mut Writer, value: f64) -> io::Result<()> {
        writer.write_all(float_text(value).as_bytes())
    }
}

/// The shortest digits that read back as the number; plain from 1e-5 to 1e16, else with an exponent.
fn float_text(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("Rust writes an exponent for {:e}");
    let exponent: i32 = exponent.parse().expect("the exponent is a small integer");
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let digits = mantissa.replace('.', "");
    // The place of the decimal point within, before or behind the digits.
    let point = exponent + 1;
    let within = usize::try_from(point).ok().filter(|&point| point > 0);
    match within {
        Some(point) if point <= 16 && digits.len() <= point => format!("{sign}{digits:0<point$}.0"),
        Some(point) if point <= 16 => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
        None if point > -5 => format!("{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
        _ => format!("{sign}{mantissa}e{exponent}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{float_text, json_text};

    #[test]
    fn numbers_are_laid_out_as_in_the_prompts_of_the_official_library() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (0.001, "0.001"),
            (0.00001, "0.00001"),
            (0.000001, "1e-6"),
            (123456.789, "123456.789"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e16"),
            (1.25e20, "1.25e20"),
            (-2.5e-7, "-2.5e-7"),
        ];
        for (value, text) in cases {
            assert_eq!(float_text(value), text);
        }
    }

    #[test]
    fn values_are_compact_and_keep_their_order() {
        let text = r#"{"b":[1,-2,1.5,true,null],"a":"é\n\""}"#;
        assert_eq!(json_text(&serde_json::from_str(text).unwrap()), text);
    }
}
