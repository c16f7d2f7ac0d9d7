//! Which Lark grammars of clients are taken: those that name no special tokens and reach for nothing outside the grammar. It must not
//! know how Lark is compiled.

use crate::error::Error;

/// Directives that belong to the library rather than to the language that a grammar describes.
const REFUSED: [(&str, &str); 5] = [
    ("%json", "send the schema as a JSON Schema format instead"),
    ("%lark", "write its rules into the grammar itself"),
    ("%llguidance", "leave the line out, its options cannot be set"),
    ("%override", "change the rule itself"),
    ("%declare", "define the terminal"),
];

/// Rules are compiled one inside the other, so a grammar has a length.
const LINES_MAX: usize = 2_000;
/// Brackets inside each other.
const DEPTH_MAX: usize = 100;

/// Refuses what a client's grammar may not hold. Strings, regular expressions and comments are passed over.
pub(crate) fn check(grammar: &str) -> Result<(), Error> {
    let refuse = |line: usize, reason: String| {
        Err(Error::Syntax { what: "Lark grammar", reason: format!("line {line}: {reason}") })
    };
    let mut depth = 0_usize;
    for (index, line) in grammar.lines().enumerate() {
        if index >= LINES_MAX {
            return Err(Error::limit("the length of the Lark grammar", format!("{LINES_MAX} lines")));
        }
        let bare = without_literals(line);
        for bracket in bare.chars() {
            match bracket {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > DEPTH_MAX {
                return Err(Error::limit("the depth of brackets in the Lark grammar", format!("{DEPTH_MAX} levels")));
            }
        }
        if let Some((directive, advice)) = REFUSED.iter().find(|(directive, _)| bare.contains(directive)) {
            return refuse(index + 1, format!("`{directive}` is not allowed; {advice}"));
        }
        if let Some(start) = bare.find('<') {
            let name: String = bare[start..].chars().take(24).collect();
            return refuse(
                index + 1,
                format!("`{name}` would name a special token, which a grammar cannot produce; leave it out"),
            );
        }
        if bare.contains('@') {
            return refuse(index + 1, "`@` would name another grammar, and there is none; define a rule".to_string());
        }
    }
    Ok(())
}

/// A line without its comment, and with strings and regular expressions emptied.
fn without_literals(line: &str) -> String {
    let mut bare = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '#' => break,
            '/' if characters.peek() == Some(&'/') => break,
            '"' | '/' => {
                while let Some(inside) = characters.next() {
                    if inside == '\\' {
                        characters.next();
                    } else if inside == character {
                        break;
                    }
                }
                bare.push(character);
            }
            other => bare.push(other),
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn special_tokens_and_directives_are_refused_outside_literals() {
        for good in
            ["start: \"<|end|>\" /<[0-9]+>/ // <|end|>", "start: A\nA: /a\\/<b/", "%import common.INT\nstart: INT"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "start: <|end|>",
            "start: \"a\" <[5]>",
            "start: %json {}",
            "%llguidance {}",
            "start: @other",
            "start: \"\\\"\" <|end|>",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
