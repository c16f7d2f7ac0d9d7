//! Words that must not stand in any file: names of the place where the project happens to be worked on.

use super::Violation;

/// Put together from halves, so that this list does not find itself.
const WORKPLACE: [&str; 4] =
    [concat!("far", "m-"), concat!("/wo", "rk/"), concat!("../sha", "red"), concat!(".libr", "ary")];
/// The script that prepares that place may name it.
const EXEMPT: &str = ".ci/run";

/// Checks one text file.
pub(super) fn check(path: &str, text: &str) -> Vec<Violation> {
    if path == EXEMPT {
        return Vec::new();
    }
    let in_line = |(number, line): (usize, &str)| {
        let found = WORKPLACE.into_iter().find(|word| line.contains(word))?;
        Some(Violation::line(path, number, format!("names a workplace ({found:?})")))
    };
    (1..).zip(text.lines()).filter_map(in_line).collect()
}

#[cfg(test)]
mod tests {
    use super::{EXEMPT, WORKPLACE, check};

    #[test]
    fn workplace_names_are_found() {
        for word in WORKPLACE {
            let text = format!("fine\nsee {word}x for more\n");
            let violations = check("README.md", &text);
            assert_eq!(violations.len(), 1, "{word}");
            assert_eq!(violations[0].line, Some(2));
            assert!(check(EXEMPT, &text).is_empty());
        }
        assert!(check("README.md", "a workplace, a farm, a library\n").is_empty());
    }
}
