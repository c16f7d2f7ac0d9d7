//! Patterns of JSON Schema, which are ECMAScript's, in the syntax of the regex engines here. It must not know where a pattern stands.
//!
//! Engines differ in what `\d`, `\s` or `.` mean beyond ASCII. Outputs must fit under all of them, so each is read as what all agree
//! on; where a pattern must not match, as anything that one of them takes it for.

use llguidance::derivre::RegexAst;
use regex_automata::meta::Regex;

/// A pattern that was understood.
#[derive(Clone)]
pub(super) struct Pattern {
    /// What surely matches.
    surely: String,
    /// The same, for contents that are quoted.
    quotable: String,
    /// What may match under one engine or another.
    maybe: String,
    search: Regex,
    /// What it looks ahead for at its beginning, and whether that must not be there.
    ahead: Vec<(Pattern, bool)>,
}

/// How the classes are read on which engines differ.
#[derive(Clone, Copy, PartialEq)]
enum Reading {
    Surely,
    /// As surely, and no class holds all control characters: where one does, the library quotes `"` and `\\` whether they are in it or
    /// not.
    Quotable,
    Maybe,
}

/// Bytes of an automaton that a pattern may compile to where it is only searched for.
const SEARCH_BYTES_MAX: usize = 4 << 20;

impl Pattern {
    /// Reads a pattern; what is not regular or not valid is named.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let (ahead, pattern) = looks_ahead(pattern)?;
        let pattern = pattern.as_str();
        let read = |reading| translated(pattern, reading);
        let (surely, quotable, maybe) = (read(Reading::Surely)?, read(Reading::Quotable)?, read(Reading::Maybe)?);
        let configuration = Regex::config().nfa_size_limit(Some(SEARCH_BYTES_MAX));
        let search = Regex::builder().configure(configuration).build(&surely);
        let search = search.map_err(|_| {
            format!(
                "the pattern {:?} is not valid or too large; simplify it",
                pattern.chars().take(60).collect::<String>()
            )
        })?;
        Ok(Self { surely, quotable, maybe, search, ahead })
    }

    /// Whether it matches somewhere in a text.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let is_so = |(pattern, negated): &(Self, bool)| {
            if *negated { !pattern.is_in(text) && (pattern.is_exact() || is_plain(text)) } else { pattern.is_in(text) }
        };
        self.search.is_match(text) && self.ahead.iter().all(is_so)
    }

    /// Whether all engines agree on it.
    pub(super) fn is_exact(&self) -> bool {
        self.surely == self.maybe && self.ahead.iter().all(|(pattern, _)| pattern.is_exact())
    }

    /// Texts that it matches, or that it does not match, to be quoted.
    pub(super) fn regex(&self, negated: bool) -> RegexAst {
        if negated {
            return RegexAst::Not(Box::new(self.wide()));
        }
        let own = RegexAst::SearchRegex(self.quotable.clone());
        let ahead = self.ahead.iter().map(|(pattern, negated)| pattern.regex(*negated));
        if self.ahead.is_empty() { own } else { RegexAst::And(std::iter::once(own).chain(ahead).collect()) }
    }

    /// Texts that it may match.
    fn wide(&self) -> RegexAst {
        let own = RegexAst::SearchRegex(self.maybe.clone());
        let ahead = self.ahead.iter().map(|(pattern, negated)| match negated {
            true => RegexAst::Not(Box::new(pattern.regex(false))),
            false => pattern.wide(),
        });
        if self.ahead.is_empty() { own } else { RegexAst::And(std::iter::once(own).chain(ahead).collect()) }
    }
}

/// Whether all engines take a text for the same sorts of characters.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Takes what a pattern looks ahead for at its beginning out of it: `^(?!a)b` is `^b` and not `^a`. With alternatives it is left alone.
fn looks_ahead(pattern: &str) -> Result<(Vec<(Pattern, bool)>, String), String> {
    let mut ahead = Vec::new();
    let Some(mut rest) = pattern.strip_prefix('^') else { return Ok((ahead, pattern.to_string())) };
    while rest.starts_with("(?!") || rest.starts_with("(?=") {
        let Some((end, _)) = group(&rest[3..]) else { break };
        let inner = Pattern::new(&format!("^(?:{})", &rest[3..3 + end]))?;
        ahead.push((inner, rest.starts_with("(?!")));
        rest = &rest[3 + end + 1..];
    }
    let is_quantified = rest.starts_with(['*', '+', '?', '{']);
    if ahead.is_empty()
        || is_quantified
        || group(rest).is_some()
        || group(&format!("{rest})")).is_none_or(|(_, has)| has)
    {
        return Ok((Vec::new(), pattern.to_string()));
    }
    Ok((ahead, format!("^{rest}")))
}

/// Where the group ends that a text is inside of, and whether it has alternatives.
fn group(text: &str) -> Option<(usize, bool)> {
    let (mut depth, mut in_class, mut has_alternatives) = (0_usize, false, false);
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            '[' => in_class = true,
            ']' => in_class = false,
            _ if in_class => {}
            '(' => depth += 1,
            ')' if depth == 0 => return Some((at, has_alternatives)),
            ')' => depth -= 1,
            '|' => has_alternatives |= depth == 0,
            _ => {}
        }
    }
    None
}

fn translated(pattern: &str, reading: Reading) -> Result<String, String> {
    let characters: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    let mut output = String::with_capacity(pattern.len() + 8);
    while at < characters.len() {
        match characters[at] {
            '\\' => at += escape(&characters[at..], None, reading, &mut output)?,
            '[' if reading == Reading::Quotable => {
                output.push('[');
                at += class(&characters[at..], reading, &mut output)?;
                output.push_str(r"&&[^\x00]]");
            }
            '[' => at += class(&characters[at..], reading, &mut output)?,
            '.' => {
                output.push_str(if reading == Reading::Maybe { r"[^\n]" } else { r"[^\n\r\u{2028}\u{2029}]" });
                at += 1;
            }
            '(' if characters.get(at + 1) == Some(&'?') => {
                let sign = (characters.get(at + 2), characters.get(at + 3));
                match sign {
                    (Some(':'), _) => output.push_str("(?:"),
                    (Some('<'), Some(name)) if !matches!(name, '=' | '!') => {
                        let end = characters[at..]
                            .iter()
                            .position(|character| *character == '>')
                            .ok_or("a group's name has no end")?;
                        output.push_str("(?:");
                        at += end - 2;
                    }
                    _ => {
                        return Err(
                            "it looks around itself or sets flags (`(?…`), which cannot be enforced; write it without"
                                .to_string(),
                        );
                    }
                }
                at += 3;
            }
            '{' if !is_counted(&characters[at..]) => {
                output.push_str(r"\{");
                at += 1;
            }
            brace @ ('}' | ']') if brace == ']' || !output_is_in_count(&output) => {
                output.push('\\');
                output.push(brace);
                at += 1;
            }
            other => {
                output.push(other);
                at += 1;
            }
        }
    }
    Ok(output)
}

/// Whether `{` begins a count like `{2}`, `{2,}` or `{2,5}`.
fn is_counted(characters: &[char]) -> bool {
    let inside: String = characters[1..].iter().take_while(|character| **character != '}').collect();
    let closes = characters.get(inside.chars().count() + 1) == Some(&'}');
    let (from, to) = inside.split_once(',').unwrap_or((&inside, ""));
    let digits = |text: &str| text.chars().all(|character| character.is_ascii_digit());
    closes && !from.is_empty() && digits(from) && digits(to)
}

/// Whether a count is open at the end of what was written.
fn output_is_in_count(output: &str) -> bool {
    let start = output.rfind('{');
    start.is_some_and(|start| {
        let inside = &output[start + 1..];
        !output[..start].ends_with('\\')
            && !inside.is_empty()
            && inside.chars().all(|character| character.is_ascii_digit() || character == ',')
    })
}

/// Reads an escape, in a class (`Some`, negated or not) or outside one; says how many characters it has.
fn escape(characters: &[char], in_class: Option<bool>, reading: Reading, output: &mut String) -> Result<usize, String> {
    let Some(letter) = characters.get(1) else { return Err("it ends with `\\`".to_string()) };
    // Inside a negated class more is less.
    let narrow = (reading != Reading::Maybe) != (in_class == Some(true));
    let bare = |set: &str| if in_class.is_some() { set.to_string() } else { format!("[{set}]") };
    match letter {
        'd' => output.push_str(&if narrow { bare("0-9") } else { r"\d".to_string() }),
        'w' => output.push_str(&if narrow { bare("0-9A-Za-z_") } else { r"\w".to_string() }),
        's' => output.push_str(&if narrow { bare(r" \t\n\r\x0B\x0C") } else { bare(r"\s\x{FEFF}\x1C-\x1F") }),
        'D' => output.push_str(if narrow { r"\D" } else { r"[^0-9]" }),
        'W' => output.push_str(if narrow { r"\W" } else { r"[^0-9A-Za-z_]" }),
        'S' => output.push_str(if narrow { r"[^\s\x{FEFF}\x1C-\x1F]" } else { r"[^ \t\n\r\x0B\x0C]" }),
        'n' | 'r' | 't' | 'f' | 'v' => output.extend(['\\', *letter]),
        'b' if in_class.is_some() => output.push_str(r"\x08"),
        'b' | 'B' => {
            return Err(r"it asks for a word's edge (`\b`), which cannot be enforced; write it without".to_string());
        }
        'k' | '1'..='9' => {
            return Err("it refers back to a group, which cannot be enforced; write it without".to_string());
        }
        '0' => output.push_str(r"\x00"),
        'c' => {
            let control =
                characters.get(2).filter(|letter| letter.is_ascii_alphabetic()).ok_or("`\\c` needs a letter")?;
            output.push_str(&format!("\\x{:02X}", *control as u32 % 32));
            return Ok(3);
        }
        'x' | 'u' => return numbered(characters, *letter, output),
        'p' | 'P' => {
            let end =
                characters.iter().position(|character| *character == '}').ok_or("`\\p` needs a name in braces")?;
            output.extend(&characters[..=end]);
            return Ok(end + 1);
        }
        'A' | 'z' | 'Z' | 'G' | 'h' | 'H' | 'R' | 'X' | 'K' | 'Q' | 'E' => {
            return Err(format!("`\\{letter}` means nothing in JSON Schema's patterns"));
        }
        other => output.push_str(&format!("\\x{{{:X}}}", *other as u32)),
    }
    Ok(2)
}

/// `\xHH`, `\uHHHH` or `\u{H…}`, two surrogates as one character.
fn numbered(characters: &[char], letter: char, output: &mut String) -> Result<usize, String> {
    let hex = |from: usize, length: usize| -> Option<u32> {
        let text: String = characters.get(from..from + length)?.iter().collect();
        u32::from_str_radix(&text, 16).ok()
    };
    let bad = || format!("`\\{letter}` needs hexadecimal digits");
    if letter == 'u' && characters.get(2) == Some(&'{') {
        let end = characters.iter().position(|character| *character == '}').ok_or_else(bad)?;
        output.push_str(&format!("\\x{{{:X}}}", hex(3, end - 3).ok_or_else(bad)?));
        return Ok(end + 1);
    }
    let length = if letter == 'x' { 2 } else { 4 };
    let unit = hex(2, length).ok_or_else(bad)?;
    if (0xD800..0xDC00).contains(&unit)
        && characters.get(6) == Some(&'\\')
        && let Some(low) = hex(8, 4).filter(|low| (0xDC00..0xE000).contains(low))
    {
        output.push_str(&format!("\\x{{{:X}}}", 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)));
        return Ok(12);
    }
    if (0xD800..0xE000).contains(&unit) {
        return Err("it names half of a character (a surrogate); name the whole one".to_string());
    }
    output.push_str(&format!("\\x{{{unit:X}}}"));
    Ok(2 + length)
}

/// Reads a class, whose syntax here has more signs than in ECMAScript; says how many characters it has.
fn class(characters: &[char], reading: Reading, output: &mut String) -> Result<usize, String> {
    let negated = characters.get(1) == Some(&'^');
    let mut at = if negated { 2 } else { 1 };
    match (characters.get(at), negated) {
        (Some(']'), true) => {
            output.push_str(r"[\x00-\x{10FFFF}]");
            return Ok(3);
        }
        (Some(']'), false) => {
            output.push_str(r"[^\x00-\x{10FFFF}]");
            return Ok(2);
        }
        _ => output.push_str(if negated { "[^" } else { "[" }),
    }
    while let Some(character) = characters.get(at) {
        match character {
            ']' => {
                output.push(']');
                return Ok(at + 1);
            }
            '\\' => at += escape(&characters[at..], Some(negated), reading, output)?,
            '-' => {
                let is_range = at > 1
                    && !matches!(characters[at - 1], '[' | '^')
                    && characters.get(at + 1).is_some_and(|next| *next != ']');
                output.push_str(if is_range && is_single(characters, at) { "-" } else { r"\-" });
                at += 1;
            }
            '[' | '&' | '~' | '^' => {
                output.push('\\');
                output.push(*character);
                at += 1;
            }
            other => {
                output.push(*other);
                at += 1;
            }
        }
    }
    Err("a class `[…` has no end".to_string())
}

/// Whether single characters stand on both sides of a `-`: `\w-x` is no range.
fn is_single(characters: &[char], dash: usize) -> bool {
    let is_set = |letter: Option<&char>| letter.is_some_and(|letter| "dDwWsS".contains(*letter));
    let before = dash >= 2
        && characters[dash - 2] == '\\'
        && is_set(characters.get(dash - 1))
        && (dash < 3 || characters[dash - 3] != '\\');
    let after = characters.get(dash + 1) == Some(&'\\') && is_set(characters.get(dash + 2));
    !before && !after
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_match_as_in_ecmascript() {
        for (pattern, matching, other) in [
            (r"^[\w.-]+$", "a.b-c", "a b"),
            (r"^\d{3}-\d$", "123-4", "12-4"),
            (r"a{,2}", "a{,2}", "aa"),
            (r"^[a-z\-_]+$", "a-_", "A"),
            (r"^\/x\@\_$", "/x@_", "x"),
            (r"^[^\s]+$", "abc", " "),
            (r"^a$|^b$", "b", "ab"),
            (r"^(?<year>\d+)$", "1999", "x"),
            (r"^\u0041[[]$", "A[", "A"),
            (r"^[\]\\]]$", "\\]", "]"),
            (r"^[+-]$", "-", "a"),
            (r"^[\w-z]+$", "-", "!"),
            (r"^(?!\.)(?!.*\.\.)(?=.*@)[a-z.@]+$", "a.b@c", "a..b@c"),
            (r"^(?![)a])(?=(b|c))[a-c]$", "b", "a"),
            (r"^x}$", "x}", "x"),
        ] {
            let read = Pattern::new(pattern).unwrap();
            assert!(read.is_in(matching) && !read.is_in(other), "{pattern}");
        }
        for refused in [r"a(?=b)b", r"^(?!a)b|c", r"^(?!a)*b", r"(a)\1", r"\bword", "(", "[a", "\\", r"(?<!a)b"] {
            assert!(Pattern::new(refused).is_err(), "{refused}");
        }
    }
}
