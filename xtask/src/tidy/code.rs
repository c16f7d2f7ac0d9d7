//! Rust source with comments and literals blanked out, so that a rule about code isn't fooled by prose.

/// The same text, line by line and column by column, with every character of a comment, string, byte string or character
/// literal replaced by a space.
pub(super) fn code_only(source: &str) -> String {
    let characters: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < characters.len() {
        let end = literal_end(&characters, at);
        if end == at {
            code.push(characters[at]);
            at += 1;
        } else {
            code.extend(characters[at..end].iter().map(|&character| if character == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Words of code with the line each stands on, counted from 1.
pub(super) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(code.lines()).flat_map(|(number, line)| {
        let parts = line.split(|character: char| !is_word(character));
        parts.filter(|word| !word.is_empty()).map(move |word| (number, word))
    })
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Where the comment or literal that starts at `at` ends; `at` itself when none starts there.
fn literal_end(text: &[char], at: usize) -> usize {
    let next = text.get(at + 1).copied();
    match text[at] {
        '/' if next == Some('/') => position(text, at, '\n'),
        '/' if next == Some('*') => block_comment_end(text, at),
        '"' => quoted_end(text, at + 1, '"'),
        '\'' => character_end(text, at),
        'r' if at == 0 || !is_word(text[at - 1]) || is_prefix(text, at - 1) => raw_string_end(text, at),
        _ => at,
    }
}

/// Whether a lone `b` or `c`, the prefix of a literal, stands at `at`.
fn is_prefix(text: &[char], at: usize) -> bool {
    matches!(text[at], 'b' | 'c') && (at == 0 || !is_word(text[at - 1]))
}

fn position(text: &[char], from: usize, wanted: char) -> usize {
    text[from..].iter().position(|&character| character == wanted).map_or(text.len(), |offset| from + offset)
}

fn block_comment_end(text: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut at = at;
    while at + 1 < text.len() {
        match (text[at], text[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn quoted_end(text: &[char], mut at: usize, quote: char) -> usize {
    while at < text.len() && text[at] != quote {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// `'x'` and `'\n'` are literals, `'a` alone is a lifetime or a label.
fn character_end(text: &[char], at: usize) -> usize {
    match (text.get(at + 1), text.get(at + 2)) {
        (Some('\\'), _) => quoted_end(text, at + 1, '\''),
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

/// `r"…"` and `r#"…"#`; a raw identifier such as `r#type` is code.
fn raw_string_end(text: &[char], at: usize) -> usize {
    let hashes = text[at + 1..].iter().take_while(|&&character| character == '#').count();
    let mut end = at + 1 + hashes;
    if text.get(end) != Some(&'"') {
        return at;
    }
    loop {
        end = position(text, end + 1, '"');
        if end == text.len() {
            return end;
        }
        let closing = text[end + 1..].iter().take(hashes).take_while(|&&character| character == '#').count();
        if closing == hashes {
            return end + 1 + hashes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{code_only, words};

    fn kept(source: &str) -> Vec<String> {
        words(&code_only(source)).map(|(_, word)| word.to_string()).collect()
    }

    #[test]
    fn comments_and_literals_vanish() {
        assert_eq!(kept("let a = \"hidden \\\" hidden\"; // hidden\nb"), ["let", "a", "b"]);
        assert_eq!(kept("a /* hidden /* hidden */ hidden */ b"), ["a", "b"]);
        assert_eq!(
            kept(r###"a(r#"hidden " hidden"#, b"hidden", br"hidden\", r##""#hidden"##) c"###),
            ["a", "b", "b", "c"]
        );
        assert_eq!(kept(r"f('\'', 'h', '\u{68}') g"), ["f", "g"]);
    }

    #[test]
    fn code_stays_where_it_was() {
        assert_eq!(
            kept("fn f<'a>(x: &'a str) -> r#type { 'l: loop {} }"),
            ["fn", "f", "a", "x", "a", "str", "r", "type", "l", "loop"]
        );
        assert_eq!(words(&code_only("a\n/*\n*/ b\n\"\n\" c")).collect::<Vec<_>>(), [(1, "a"), (3, "b"), (5, "c")]);
    }
}
