//! Cuts text into the pieces that are encoded one by one, by the tokenizer's regular expressions; knows no tokens.
//!
//! Nearly every tokenizer's expression ends in `\s+(?!\S)|\s+`, whose look-ahead an automaton can not follow. It is read
//! as: white space at the end of the text; or white space of which the last character is given back; or one white space.
//! So the expression runs in linear time, and only expressions with other look-arounds go to a backtracking matcher.

use regex_automata::Input;
use regex_automata::meta::Regex;

/// The expression of o200k_base, as the released `tokenizer.json` spells it.
pub(super) const O200K: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// The expression of GPT-2, which the byte-level pre-tokenizer applies when `use_regex` is set.
pub(super) const GPT_2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// When the backtracking matcher gives up on a text, it tries again on so many bytes.
const RETRY_BYTES: usize = 256;

/// One or several expressions, applied one after the other to the pieces of the one before.
pub(super) struct Pretokenizer {
    patterns: Vec<Pattern>,
}

enum Pattern {
    /// The expression of o200k_base, which `bpe-openai` has compiled.
    O200k,
    /// An automaton. Of alternatives marked `true`, the last character is given back.
    Linear { regex: Regex, gives_back: Vec<bool> },
    /// Look-arounds or back-references.
    Backtracking(Box<fancy_regex::Regex>),
}

impl Pretokenizer {
    /// The expression of the released model.
    pub(super) fn o200k() -> Self {
        Self { patterns: vec![Pattern::O200k] }
    }

    /// The expressions in order of application; what none of them matches is a piece of its own. The error is what the
    /// matcher says of the expression at that index.
    pub(super) fn new<'a>(expressions: impl IntoIterator<Item = &'a str>) -> Result<Self, (usize, String)> {
        let patterns = expressions
            .into_iter()
            .enumerate()
            .map(|(index, expression)| pattern(expression).map_err(|reason| (index, reason)));
        Ok(Self { patterns: patterns.collect::<Result<_, _>>()? })
    }

    /// Gives the pieces of a text in order; joined they are the text. No piece is empty.
    pub(super) fn split(&self, text: &str, piece: &mut dyn FnMut(&str)) {
        split_by(&self.patterns, text, piece);
    }
}

fn pattern(expression: &str) -> Result<Pattern, String> {
    if expression == O200K {
        return Ok(Pattern::O200k);
    }
    if let Some(pattern) = linear(expression) {
        return Ok(pattern);
    }
    fancy_regex::Regex::new(expression)
        .map(|regex| Pattern::Backtracking(Box::new(regex)))
        .map_err(|error| error.to_string())
}

/// The expression as an automaton, if it has no look-around but perhaps the usual one at its end.
fn linear(expression: &str) -> Option<Pattern> {
    const LOOK_AHEAD: &str = r"|\s+(?!\S)";
    if let Some((head, tail)) = expression.split_once(LOOK_AHEAD)
        && matches!(tail, "" | r"|\s+")
        && Regex::new(head).is_ok()
    {
        let head = format!(r"{head}|\s+\z");
        let alternatives = [head.as_str(), r"\s+\s", r"\s+"];
        let count = if tail.is_empty() { 2 } else { 3 };
        let regex = Regex::new_many(&alternatives[..count]).ok()?;
        return Some(Pattern::Linear { regex, gives_back: vec![false, true, false] });
    }
    Regex::new(expression).ok().map(|regex| Pattern::Linear { regex, gives_back: vec![false] })
}

fn split_by(patterns: &[Pattern], text: &str, piece: &mut dyn FnMut(&str)) {
    if text.is_empty() {
        return;
    }
    let Some((first, others)) = patterns.split_first() else { return piece(text) };
    match first {
        Pattern::O200k => bpe_openai::o200k_base().split(text).for_each(|part| split_by(others, part, piece)),
        Pattern::Linear { regex, gives_back } => {
            split_by_matches(text, &mut |from| find_linear(regex, gives_back, text, from), &mut |part| {
                split_by(others, part, piece)
            });
        }
        Pattern::Backtracking(regex) => {
            split_by_matches(text, &mut |from| find_backtracking(regex, text, from), &mut |part| {
                split_by(others, part, piece)
            });
        }
    }
}

/// Cuts at the beginning and end of each match.
fn split_by_matches(text: &str, find: &mut dyn FnMut(usize) -> Option<(usize, usize)>, piece: &mut dyn FnMut(&str)) {
    let mut done = 0;
    let mut from = 0;
    while let Some((start, end)) = find(from) {
        if start == end {
            // An empty match cuts nothing off: look on behind the next character.
            let Some(character) = text[end..].chars().next() else { break };
            from = end + character.len_utf8();
            continue;
        }
        if done < start {
            piece(&text[done..start]);
        }
        piece(&text[start..end]);
        done = end;
        from = end;
    }
    if done < text.len() {
        piece(&text[done..]);
    }
}

fn find_linear(regex: &Regex, gives_back: &[bool], text: &str, from: usize) -> Option<(usize, usize)> {
    let found = regex.find(Input::new(text).range(from..))?;
    let mut end = found.end();
    if gives_back[found.pattern().as_usize()] {
        end -= text[..end].chars().next_back().map_or(0, char::len_utf8);
    }
    Some((found.start(), end))
}

/// The matcher limits its steps and gives up on some texts (say, a million characters that each leave a choice). Such
/// a text is cut in small stretches instead: the tokens may then be others than an unlimited matcher would give, but
/// they decode to the same text and the time stays bounded.
fn find_backtracking(regex: &fancy_regex::Regex, text: &str, from: usize) -> Option<(usize, usize)> {
    let range =
        |text: &str| regex.find_from_pos(text, from).map(|found| found.map(|found| (found.start(), found.end())));
    range(text).unwrap_or_else(|_| {
        let mut end = text.len().min(from + RETRY_BYTES);
        while !text.is_char_boundary(end) {
            end += 1;
        }
        range(&text[..end]).ok().flatten().or(Some((from, end)))
    })
}

#[cfg(test)]
mod tests;
