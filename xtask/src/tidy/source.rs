//! Rules for one Rust file: its size, its first lines, its name, its modules' names, and where `unsafe` may stand.

use super::Violation;
use super::code::{code_only, words};

/// Lines of a source file, tests included.
const LINES_MAX: usize = 400;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "common", "helpers", "helper", "misc"];
/// The only crate with `unsafe`.
const UNSAFE_ROOM: &str = "crates/kernels/";

/// Checks a file by its path from the root and its text.
pub(super) fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        violations.push(Violation::file(path, format!("{lines} lines, at most {LINES_MAX}; split it by idea")));
    }
    let first = text.lines().find(|line| !line.trim().is_empty());
    if !first.is_some_and(|line| line.starts_with("//!") && line.trim().len() > "//!".len()) {
        violations.push(Violation::file(path, "does not open with `//!` saying what this room is for".into()));
    }
    let name_parts = path.trim_end_matches(".rs").split('/');
    for part in name_parts.filter(|part| EMPTY_NAMES.contains(part)) {
        violations.push(Violation::file(path, format!("the name {part:?} says nothing; name the idea")));
    }
    let code = code_only(text);
    let mut previous = "";
    for (line, word) in words(&code) {
        if previous == "mod" && EMPTY_NAMES.contains(&word) {
            violations.push(Violation::line(
                path,
                line,
                format!("the module name {word:?} says nothing; name the idea"),
            ));
        }
        if word == "unsafe" && !path.starts_with(UNSAFE_ROOM) {
            violations.push(Violation::line(path, line, format!("unsafe outside {UNSAFE_ROOM}")));
        }
        previous = word;
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::{LINES_MAX, check};

    const GOOD: &str = "//! A room for samples.\n\nfn sample() {}\n";

    fn complaints(path: &str, text: &str) -> Vec<String> {
        check(path, text).iter().map(ToString::to_string).collect()
    }

    fn only_complaint(path: &str, text: &str) -> String {
        let complaints = complaints(path, text);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        complaints.into_iter().next().unwrap_or_default()
    }

    #[test]
    fn a_good_file_passes() {
        assert!(complaints("crates/engine/src/sampler.rs", GOOD).is_empty());
    }

    #[test]
    fn a_long_file() {
        let long = GOOD.to_string() + &"// line\n".repeat(LINES_MAX - 3);
        assert!(complaints("crates/engine/src/a.rs", &long).is_empty(), "exactly at the limit");
        assert!(only_complaint("crates/engine/src/a.rs", &(long + "//\n")).contains("401 lines"));
    }

    #[test]
    fn a_file_without_purpose() {
        for text in ["fn sample() {}\n", "// no\n//! late\n", "//!\nfn sample() {}\n", ""] {
            assert!(only_complaint("crates/engine/src/a.rs", text).contains("//!"), "{text:?}");
        }
        assert!(complaints("crates/engine/src/a.rs", &format!("\n{GOOD}")).is_empty());
    }

    #[test]
    fn an_empty_name() {
        assert!(only_complaint("crates/engine/src/utils.rs", GOOD).contains("utils"));
        assert!(only_complaint("crates/engine/tests/common/mod.rs", GOOD).contains("common"));
        assert!(only_complaint("crates/engine/src/a.rs", "//! A.\npub mod misc {}\n").contains("a.rs:2:"));
        assert!(complaints("crates/engine/src/a.rs", "//! A.\nlet misc = 1; // mod misc\n").is_empty());
    }

    #[test]
    fn unsafe_outside_its_room() {
        let text = "//! A.\n\nfn f() {\n    unsafe { g() }\n}\n";
        assert!(only_complaint("crates/engine/src/a.rs", text).contains("a.rs:4: unsafe"));
        assert!(complaints("crates/kernels/src/a.rs", text).is_empty());
        let prose = "//! A.\n#![forbid(unsafe_code)]\n// unsafe\nconst A: &str = \"unsafe\";\n";
        assert!(complaints("crates/engine/src/a.rs", prose).is_empty());
    }
}
