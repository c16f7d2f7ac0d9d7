//! Numbers as decimals, exactly as JSON writes them, and the texts of all numbers between two of them. It must not know schemas.

use std::cmp::Ordering;

use serde_json::Number;

/// Digits of a number that a schema gives, before and after the point: beyond, an exponent would be needed.
const DIGITS_MAX: i64 = 400;

/// A decimal number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Digits before the point, without leading zeros: nothing for zero.
    whole: String,
    /// Digits after the point, without trailing zeros.
    fraction: String,
}

/// An end of a range.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) at: Decimal,
    pub(super) exclusive: bool,
}

impl Decimal {
    /// Reads a number.
    pub(super) fn new(number: &Number) -> Option<Self> {
        Self::from_text(&number.to_string())
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i64 = exponent.trim_start_matches('+').parse().ok()?;
        let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let point = whole.len() as i64 + exponent;
        if exponent.abs() > DIGITS_MAX {
            return None;
        }
        let mut digits = format!("{whole}{fraction}");
        let point = if point < 0 {
            digits.insert_str(0, &"0".repeat(point.unsigned_abs() as usize));
            0
        } else {
            point as usize
        };
        while digits.len() < point {
            digits.push('0');
        }
        let (whole, fraction) = digits.split_at(point);
        let (whole, fraction) = (whole.trim_start_matches('0').to_string(), fraction.trim_end_matches('0').to_string());
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Self { negative: negative && !is_zero, whole, fraction })
    }

    pub(super) fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    pub(super) fn is_whole(&self) -> bool {
        self.fraction.is_empty()
    }

    /// The digits as one whole number, and how many of them stand behind the point.
    pub(super) fn scaled(&self) -> Option<(i128, u32)> {
        let digits = format!("{}{}", self.whole, self.fraction);
        let magnitude: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        Some((if self.negative { -magnitude } else { magnitude }, self.fraction.len() as u32))
    }

    /// Whether it is a multiple; nothing where that takes more digits than there are here.
    pub(super) fn is_multiple_of(&self, step: &Self) -> Option<bool> {
        let ((number, places), (step, step_places)) = (self.scaled()?, step.scaled()?);
        let places_max = places.max(step_places);
        let number = number.checked_mul(10_i128.checked_pow(places_max - places)?)?;
        let step = step.checked_mul(10_i128.checked_pow(places_max - step_places)?)?;
        Some(step != 0 && number % step == 0)
    }

    fn negated(&self) -> Self {
        Self { negative: !self.negative && !self.is_zero(), ..self.clone() }
    }

    /// The text of the number.
    pub(super) fn text(&self) -> String {
        let whole = if self.whole.is_empty() { "0" } else { &self.whole };
        let sign = if self.negative { "-" } else { "" };
        let point = if self.fraction.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{}", self.fraction)
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |number: &Self| (number.whole.len(), number.whole.clone());
        let magnitude = || size(self).cmp(&size(other)).then_with(|| self.fraction.cmp(&other.fraction));
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => magnitude(),
            (true, true) => magnitude().reverse(),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What the texts of a range look like: with or without a fraction.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Digits {
    Whole,
    Fraction,
}

/// The regular expressions for a number without its sign at or above `lower`, and at or below `upper`, one of which all parts must
/// match; nothing where the range holds no such number. `sign` says which side of zero the magnitudes are for.
pub(super) fn magnitudes(
    negative: bool,
    lower: Option<&Bound>,
    upper: Option<&Bound>,
    digits: Digits,
) -> Option<Vec<String>> {
    let mirrored =
        |bound: Option<&Bound>| bound.map(|bound| Bound { at: bound.at.negated(), exclusive: bound.exclusive });
    let (lower, upper) = if negative { (mirrored(upper), mirrored(lower)) } else { (lower.cloned(), upper.cloned()) };
    let mut parts = Vec::new();
    match upper {
        Some(upper) if upper.at.negative || (upper.at.is_zero() && (upper.exclusive || negative)) => return None,
        Some(upper) => parts.push(at_most(&upper, digits)),
        None => {}
    }
    match lower {
        Some(lower) if !lower.at.negative && (!lower.at.is_zero() || lower.exclusive) => {
            parts.push(at_least(&lower, digits))
        }
        // Zero has no sign.
        _ if negative => parts.push(at_least(
            &Bound { at: Decimal { negative: false, whole: String::new(), fraction: String::new() }, exclusive: true },
            digits,
        )),
        _ => {}
    }
    Some(parts)
}

/// Any fraction.
fn fraction(digits: Digits) -> &'static str {
    if digits == Digits::Whole { "" } else { r"(?:\.[0-9]+)?" }
}

fn at_least(bound: &Bound, digits: Digits) -> String {
    let same = match (digits, bound.at.fraction.as_str(), bound.exclusive) {
        (Digits::Whole, "", false) => Some(String::new()),
        (Digits::Whole, _, _) => None,
        (Digits::Fraction, "", false) => Some(fraction(digits).to_string()),
        (Digits::Fraction, least, exclusive) => Some(format!(r"\.{}", digits_from(least, exclusive))),
    };
    let whole = if bound.at.whole.is_empty() { "0" } else { &bound.at.whole };
    let above = format!("(?:{}){}", whole_above(&bound.at.whole), fraction(digits));
    same.map_or(above.clone(), |same| format!("{whole}{same}|{above}"))
}

fn at_most(bound: &Bound, digits: Digits) -> String {
    let same = match (digits, bound.at.fraction.as_str(), bound.exclusive) {
        (Digits::Whole, "", true) | (Digits::Fraction, "", true) => None,
        (Digits::Whole, _, _) => Some(String::new()),
        (Digits::Fraction, most, exclusive) => Some(format!(r"(?:\.(?:{}))?", digits_to(most, exclusive, true))),
    };
    let whole = if bound.at.whole.is_empty() { "0" } else { &bound.at.whole };
    let below = whole_below(&bound.at.whole).map(|below| format!("(?:{below}){}", fraction(digits)));
    [same.map(|same| format!("{whole}{same}")), below].into_iter().flatten().collect::<Vec<_>>().join("|")
}

/// Whole numbers above one, given without leading zeros.
fn whole_above(whole: &str) -> String {
    if whole.is_empty() {
        return "[1-9][0-9]*".to_string();
    }
    let mut options = vec![format!("[1-9][0-9]{{{},}}", whole.len())];
    for (place, digit) in whole.bytes().enumerate().filter(|(_, digit)| *digit < b'9') {
        options.push(format!("{}[{}-9][0-9]{{{}}}", &whole[..place], (digit + 1) as char, whole.len() - place - 1));
    }
    options.join("|")
}

/// Whole numbers below one; none below zero.
fn whole_below(whole: &str) -> Option<String> {
    if whole.is_empty() {
        return None;
    }
    let mut options = vec!["0".to_string()];
    if whole.len() > 1 {
        options.push(format!("[1-9][0-9]{{0,{}}}", whole.len() - 2));
    }
    for (place, digit) in whole.bytes().enumerate() {
        let least = if place == 0 { b'1' } else { b'0' };
        if digit > least {
            options.push(format!(
                "{}[{}-{}][0-9]{{{}}}",
                &whole[..place],
                least as char,
                (digit - 1) as char,
                whole.len() - place - 1
            ));
        }
    }
    Some(options.join("|"))
}

/// Digits behind a point that are at least, or more than, the given ones.
fn digits_from(least: &str, exclusive: bool) -> String {
    match least.as_bytes() {
        [] if exclusive => "[0-9]*[1-9][0-9]*".to_string(),
        [] => "[0-9]*".to_string(),
        [first, ..] => {
            let more = if *first < b'9' { format!("|[{}-9][0-9]*", (first + 1) as char) } else { String::new() };
            format!("(?:{}(?:{}){more})", *first as char, digits_from(&least[1..], exclusive))
        }
    }
}

/// Digits behind a point that are at most, or less than, the given ones, which do not end with a zero; the first must stand.
fn digits_to(most: &str, exclusive: bool, is_first: bool) -> String {
    let Some(first) = most.bytes().next() else {
        return if is_first { "0+" } else { "0*" }.to_string();
    };
    let less = Some(first).filter(|first| *first > b'0').map(|first| format!("[0-{}][0-9]*", (first - 1) as char));
    let same = (!exclusive || most.len() > 1)
        .then(|| format!("{}(?:{})", first as char, digits_to(&most[1..], exclusive, false)));
    let options = [less, same].into_iter().flatten().collect::<Vec<_>>().join("|");
    format!("(?:{options}){}", if is_first { "" } else { "?" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::from_text(text).unwrap()
    }

    #[test]
    fn decimals_are_read_compared_and_divided_exactly() {
        for (text, read) in [("-0.0", "0"), ("1e3", "1000"), ("1.50E-2", "0.015"), ("-12.30", "-12.3"), ("0.5", "0.5")]
        {
            assert_eq!(decimal(text).text(), read, "{text}");
        }
        let sorted = ["-10", "-9.5", "-0.1", "0", "0.05", "0.1", "0.11", "1", "9", "10", "10.01"];
        assert!(sorted.windows(2).all(|pair| decimal(pair[0]) < decimal(pair[1])));
        assert_eq!(decimal("0.3").is_multiple_of(&decimal("0.1")), Some(true));
        assert_eq!(decimal("0.35").is_multiple_of(&decimal("0.1")), Some(false));
    }

    #[test]
    fn magnitudes_are_exactly_the_numbers_of_a_range() {
        let texts: Vec<String> = (0..=1300)
            .flat_map(|n| [n.to_string(), format!("{}.{}", n / 10, n % 10), format!("{}.{:02}", n / 100, n % 100)])
            .collect();
        for (lower, upper) in [
            ("0", "12"),
            ("-3", "0"),
            ("0.5", "9.99"),
            ("7", "7"),
            ("-12.3", "-1"),
            ("0.05", "0.5"),
            ("99", "101"),
            ("10", "10.5"),
        ] {
            for (low_open, high_open) in [(false, false), (true, false), (false, true), (true, true)] {
                let (low, high) = (
                    Bound { at: decimal(lower), exclusive: low_open },
                    Bound { at: decimal(upper), exclusive: high_open },
                );
                for negative in [false, true] {
                    let parts = magnitudes(negative, Some(&low), Some(&high), Digits::Fraction);
                    let parts: Option<Vec<_>> = parts.map(|parts| {
                        parts
                            .iter()
                            .map(|part| regex_automata::meta::Regex::new(&format!("^(?:{part})$")).unwrap())
                            .collect()
                    });
                    for text in &texts {
                        let value = decimal(&if negative { format!("-{text}") } else { text.clone() });
                        let inside = (value > low.at || (!low_open && value == low.at))
                            && (value < high.at || (!high_open && value == high.at))
                            && !(negative && value.is_zero());
                        let matched = parts.as_ref().is_some_and(|parts| parts.iter().all(|part| part.is_match(text)));
                        assert_eq!(
                            matched,
                            inside,
                            "{lower}..{upper} {low_open} {high_open} {negative} {text} {:?}",
                            magnitudes(negative, Some(&low), Some(&high), Digits::Fraction)
                        );
                    }
                }
            }
        }
    }
}
