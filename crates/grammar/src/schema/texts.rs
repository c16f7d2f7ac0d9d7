//! The automata of strings and numbers. It must not know where they stand.

use llguidance::derivre::{JsonQuoteOptions, RegexAst, RegexBuilder};

use super::decimal::{Bound, Decimal, Digits, magnitudes};
use super::state::{Numbers, Strings};
use crate::error::Error;
use crate::limits::Limits;

/// Digits that every reader of JSON keeps apart.
const SAFE_DIGITS: usize = 15;
/// Digits of numbers that nothing is asked of: readers may round them, but identifiers are not cut short.
const FREE_DIGITS: usize = 20;
/// Digits of whole numbers without bounds: they fit 64 bits, as do those with one more that begin with at most 8.
const WHOLE_DIGITS: usize = 18;
/// Work on an automaton to see that it accepts something.
const EMPTY_FUEL: u64 = 30_000;
/// `\u` only for control characters: half a character can't be written.
const ESCAPES: &str = "nrbtf\\\"u";

/// Strings of characters in JSON in all their spellings: half a character is none.
const CHARACTER: &str = concat!(
    r#"(?:[^"\\\x00-\x1F]|\\(?:["\\/bfnrt]|u(?:[0-9A-CE-Fa-ce-f][0-9A-Fa-f]{3}|[Dd][0-7][0-9A-Fa-f]{2}"#,
    r"|[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2})))",
);

/// A string in JSON; nothing where there is none. Where the content has a form, each character has the usual spelling only.
pub(super) fn string(strings: &Strings, limits: &Limits) -> Result<Option<RegexAst>, Error> {
    let is_free = strings.patterns.is_empty() && strings.formats.is_empty() && strings.except.is_empty();
    let content = content(strings, limits)?;
    if !is_free || content.is_none() {
        return Ok(content.map(quoted));
    }
    let count = match strings.length_max.map(|max| max.min(limits.repetitions as u64)) {
        None if strings.length_min == 0 => "*".to_string(),
        None => format!("{{{},}}", strings.length_min),
        Some(most) => format!("{{{},{most}}}", strings.length_min),
    };
    Ok(Some(RegexAst::Regex(format!("\"{CHARACTER}{count}\""))))
}

/// A string in JSON whose content an automaton accepts.
pub(super) fn quoted(content: RegexAst) -> RegexAst {
    RegexAst::JsonQuote(Box::new(content), JsonQuoteOptions { allowed_escapes: ESCAPES.to_string(), raw_mode: false })
}

/// Any content.
pub(super) fn any() -> RegexAst {
    RegexAst::Regex("(?s:.*)".to_string())
}

/// One of several texts.
pub(super) fn literals<Text: AsRef<str>>(texts: &[Text]) -> RegexAst {
    RegexAst::Or(texts.iter().map(|text| RegexAst::Literal(text.as_ref().to_string())).collect())
}

pub(super) fn not(regex: RegexAst) -> RegexAst {
    RegexAst::Not(Box::new(regex))
}

/// All of these at once.
pub(super) fn all(mut parts: Vec<RegexAst>) -> RegexAst {
    if parts.len() == 1
        && let Some(part) = parts.pop()
    {
        return part;
    }
    RegexAst::And(parts)
}

/// The contents of strings; nothing where there are none.
pub(super) fn content(strings: &Strings, limits: &Limits) -> Result<Option<RegexAst>, Error> {
    let least = usize::try_from(strings.length_min).unwrap_or(usize::MAX);
    if least > limits.repetitions {
        return Err(Error::limit("minLength", format!("{} characters", limits.repetitions)));
    }
    if strings.length_max.is_some_and(|max| max < strings.length_min) {
        return Ok(None);
    }
    let most = strings.length_max.map(|max| max.min(limits.repetitions as u64));
    let mut parts = Vec::new();
    match most {
        Some(most) => parts.push(RegexAst::Regex(format!("(?s:.{{{least},{most}}})"))),
        None if least > 0 => parts.push(RegexAst::Regex(format!("(?s:.{{{least},}})"))),
        None => {}
    }
    let has_length = !parts.is_empty();
    parts.extend(strings.formats.iter().map(|format| RegexAst::Regex((*format).to_string())));
    let negations = !strings.except.is_empty() || strings.patterns.iter().any(|(_, negated)| *negated);
    if parts.is_empty() && (negations || strings.patterns.is_empty()) {
        parts.push(any());
    }
    parts.extend(strings.patterns.iter().map(|(pattern, negated)| pattern.regex(*negated)));
    if !strings.except.is_empty() {
        parts.push(not(literals(&strings.except)));
    }
    let is_sure = parts.len() == 1 && (has_length || strings.patterns.is_empty());
    let regex = all(parts);
    if !is_sure && is_empty(&regex)? {
        return Ok(None);
    }
    Ok(Some(regex))
}

/// Whether an automaton accepts nothing.
pub(super) fn is_empty(regex: &RegexAst) -> Result<bool, Error> {
    let unclear = || Error::limit("the size of patterns and lengths together", format!("{EMPTY_FUEL} units"));
    let mut builder = RegexBuilder::new();
    let expression = builder.mk(regex).map_err(|error| Error::from_library("pattern", &error))?;
    if builder.exprset().is_positive(expression) {
        return Ok(false);
    }
    let mut automaton = builder.to_regex_limited(expression, EMPTY_FUEL).map_err(|_| unclear())?;
    Ok(automaton.always_empty())
}

/// The texts of numbers; nothing where there are none. `Err` names what cannot be told.
pub(super) fn number(numbers: &Numbers) -> Result<Option<RegexAst>, String> {
    if numbers.is_empty() || (numbers.is_whole && numbers.is_broken) {
        return Ok(None);
    }
    let is_free =
        numbers.lower.is_none() && numbers.upper.is_none() && numbers.steps.is_empty() && numbers.except.is_empty();
    if is_free && !numbers.is_whole && !numbers.is_broken {
        let free = format!(
            r"-?(?:0|[1-9][0-9]{{0,{last}}})(?:\.[0-9]{{1,{FREE_DIGITS}}})?(?:[eE][+-]?[0-9]{{1,2}})?",
            last = FREE_DIGITS - 1
        );
        return Ok(Some(RegexAst::Regex(free)));
    }
    let mut sides = Vec::new();
    for negative in [false, true] {
        if let Some(side) = side(numbers, negative)? {
            let is_bounded = numbers.lower.is_some() || numbers.upper.is_some();
            let may_be_empty = is_bounded || !numbers.steps.is_empty();
            if may_be_empty && is_empty(&side).map_err(|error| error.to_string())? {
                continue;
            }
            sides.push(if negative { RegexAst::Concat(vec![RegexAst::Literal("-".to_string()), side]) } else { side });
        }
    }
    Ok(Some(sides).filter(|sides| !sides.is_empty()).map(RegexAst::Or))
}

/// The numbers on one side of zero, without their sign.
fn side(numbers: &Numbers, negative: bool) -> Result<Option<RegexAst>, String> {
    let digits = if numbers.is_whole { Digits::Whole } else { Digits::Fraction };
    let Some(bounds) = magnitudes(negative, numbers.lower.as_ref(), numbers.upper.as_ref(), digits) else {
        return Ok(None);
    };
    if bounds.iter().any(String::is_empty) {
        return Ok(None);
    }
    let given =
        [&numbers.lower, &numbers.upper].into_iter().flatten().map(|bound| whole_digits(bound) + 1).max().unwrap_or(0);
    let least = [&numbers.lower, &numbers.upper].into_iter().flatten().map(whole_digits).min().unwrap_or(0);
    let shape = if numbers.is_whole {
        let most = if numbers.steps.is_empty() { WHOLE_DIGITS } else { SAFE_DIGITS };
        let most = most.max(if numbers.steps.is_empty() { given.min(WHOLE_DIGITS + 1) } else { 0 }).max(least + 1);
        let longer = if most == WHOLE_DIGITS { format!("|[1-8][0-9]{{{WHOLE_DIGITS}}}") } else { String::new() };
        format!("0|[1-9][0-9]{{0,{}}}{longer}", most - 1)
    } else {
        // A point and at least one digit behind it fit as well.
        format!("(?:0|[1-9][0-9]{{0,{}}})(?:\\.[0-9]{{1,{SAFE_DIGITS}}})?", SAFE_DIGITS.max(least + 1) - 1)
    };
    let mut parts = vec![RegexAst::Regex(shape)];
    if !numbers.is_whole {
        parts.push(RegexAst::Regex(format!("[0-9.]{{1,{}}}", SAFE_DIGITS.max(least + 1) + 1)));
    }
    parts.extend(bounds.into_iter().map(RegexAst::Regex));
    if numbers.is_broken {
        parts.push(RegexAst::Regex(r"[0-9]+\.[0-9]*[1-9]".to_string()));
    }
    for (step, negated) in &numbers.steps {
        let (coefficient, places) = step.scaled().ok_or("it has too many digits; use a rounder number")?;
        // The library counts remainders in 32 bits, ten times and a digit at its place beyond.
        let place = 10_i128.checked_pow(places).unwrap_or(i128::MAX);
        let beyond = coefficient.saturating_mul(10).saturating_add(place.saturating_mul(9));
        let coefficient = u32::try_from(coefficient).ok().filter(|_| beyond <= i128::from(u32::MAX));
        let coefficient = coefficient.ok_or("it has too many digits; use a smaller or rounder number")?;
        let multiple = RegexAst::MultipleOf(coefficient, places);
        // The same number with more zeros behind the point is a multiple as well.
        let zeros = RegexAst::Regex(r"(?:\.0+|0*)".to_string());
        parts.push(if *negated { not(RegexAst::Concat(vec![multiple, zeros])) } else { multiple });
    }
    for except in &numbers.except {
        parts.push(not(RegexAst::Regex(spellings(except, negative))));
    }
    Ok(Some(all(parts)))
}

fn whole_digits(bound: &Bound) -> usize {
    bound.at.text().trim_start_matches('-').split('.').next().map_or(0, str::len)
}

/// All ways to write a number without an exponent and without its sign; none on the other side of zero.
fn spellings(number: &Decimal, negative: bool) -> String {
    let text = number.text();
    let (is_negative, magnitude) = text.strip_prefix('-').map_or((false, text.as_str()), |rest| (true, rest));
    if is_negative != negative && !number.is_zero() {
        return "[^0-9.]".to_string();
    }
    if number.is_whole() { format!(r"{magnitude}(?:\.0+)?") } else { format!("{}0*", magnitude.replace('.', r"\.")) }
}
