//! The speeds in an engine's report, by what was measured. It must not know which engine it was.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::{Error, Result};

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Case {
    /// A prompt of so many tokens.
    Prefill(u64),
    /// Decoding so many sequences at so many tokens.
    Decode { batch: u64, depth: u64 },
}

/// Tokens per second of each case.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figures(pub(super) BTreeMap<Case, f64>);

impl Figures {
    /// Reads a report of `glossa bench` on a model, or of a peer's driver.
    pub(super) fn of(report: &Value) -> Result<Self> {
        let mut figures = BTreeMap::new();
        for row in rows(report, "prefill")? {
            figures.insert(Case::Prefill(whole(row, "tokens")?), number(row, "tokens_per_second")?);
        }
        for row in rows(report, "decode")? {
            let case = Case::Decode { batch: whole(row, "batch")?, depth: whole(row, "depth")? };
            figures.insert(case, number(row, "tokens_per_second")?);
        }
        Ok(Self(figures))
    }
}

impl Case {
    pub(super) fn name(self) -> String {
        match self {
            Self::Prefill(tokens) => format!("prompt of {tokens}"),
            Self::Decode { batch: 1, depth } => format!("decode at {depth}"),
            Self::Decode { batch, depth } => format!("decode {batch} at {depth}"),
        }
    }
}

/// The middle one; of two in the middle the greater.
pub(super) fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(super) fn rows<'a>(report: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    report[name].as_array().ok_or_else(|| missing(report, name))
}

pub(super) fn number(row: &Value, name: &str) -> Result<f64> {
    row[name].as_f64().ok_or_else(|| missing(row, name))
}

fn whole(row: &Value, name: &str) -> Result<u64> {
    row[name].as_u64().ok_or_else(|| missing(row, name))
}

fn missing(found: &Value, name: &str) -> Error {
    let found: String = found.to_string().chars().take(200).collect();
    Error::Output { command: "bench".into(), reason: format!("expected {name:?}, found {found}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Case, Figures, median};

    #[test]
    fn reports_are_read() {
        let report = json!({"prefill": [{"tokens": 512, "tokens_per_second": 60.5}],
            "decode": [{"depth": 0, "batch": 8, "tokens_per_second": 40}]});
        let figures = Figures::of(&report).unwrap().0;
        assert_eq!(figures[&Case::Prefill(512)], 60.5);
        assert_eq!(figures[&Case::Decode { batch: 8, depth: 0 }], 40.0);
        let error = Figures::of(&json!({"prefill": [{"tokens": 5}], "decode": []})).unwrap_err().to_string();
        assert!(error.contains("tokens_per_second"), "{error}");
        assert!(Figures::of(&json!({})).is_err());
    }

    #[test]
    fn the_middle_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert!(median([].into_iter()).is_nan());
    }
}
