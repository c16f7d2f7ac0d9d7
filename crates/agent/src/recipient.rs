//! Whom the model meant to call. It must not know requests or tokens.
//!
//! A name as it was written is tried in this order, and the first rule with exactly one tool decides: the tool's own name, with or
//! without any number of `functions.` before it; the same with case and separators ignored; the part behind the namespace alone;
//! and at last the nearest name, if at most two letters and at most a quarter of them differ, and no other name is as near.

use crate::item::ToolName;

/// Letters that may differ at most.
const EDITS_MAX: usize = 2;
/// One letter may differ for so many that the name has.
const LETTERS_PER_EDIT: usize = 4;

/// Which of the tools is meant, if it is sure.
pub(crate) fn resolve(written: &str, tools: &[ToolName]) -> Option<usize> {
    // What follows a control token that was spelled out belongs to no name.
    let written = written.split("<|").next().unwrap_or_default();
    let mut bare = written.trim_matches(|character: char| matches!(character, '.' | ':' | ',' | '"' | '\'' | '`'));
    if let Some(exact) = only(tools, |tool| tool.to_string() == bare) {
        return Some(exact);
    }
    while let Some(rest) = strip_functions(bare) {
        bare = rest;
    }
    let key = key(bare);
    let exact = only(tools, |tool| short(tool) == bare);
    let loose = || only(tools, |tool| !key.is_empty() && self::key(&short(tool)) == key);
    let last = bare.rsplit('.').next().unwrap_or(bare);
    let by_last = || only(tools, |tool| !last.is_empty() && self::key(&tool.name) == self::key(last));
    exact.or_else(loose).or_else(by_last).or_else(|| nearest(&key, tools))
}

/// The place of the only tool that fits.
fn only(tools: &[ToolName], fits: impl Fn(&ToolName) -> bool) -> Option<usize> {
    let mut fitting = tools.iter().enumerate().filter(|(_, tool)| fits(tool)).map(|(index, _)| index);
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first)
}

/// The name without the namespace that functions have by default.
fn short(tool: &ToolName) -> String {
    if tool.namespace == "functions" && !tool.name.is_empty() { tool.name.clone() } else { tool.to_string() }
}

fn strip_functions(name: &str) -> Option<&str> {
    let (head, rest) = name.split_at_checked("functions.".len())?;
    (head.eq_ignore_ascii_case("functions.") && !rest.is_empty()).then_some(rest)
}

/// The letters and digits in small.
fn key(name: &str) -> String {
    name.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn nearest(written: &str, tools: &[ToolName]) -> Option<usize> {
    let letters: Vec<char> = written.chars().collect();
    let most = EDITS_MAX.min(letters.len() / LETTERS_PER_EDIT);
    let distance = |tool: &ToolName| edits(&letters, &key(&short(tool)).chars().collect::<Vec<_>>());
    let near = tools.iter().map(distance).min().filter(|&least| least <= most)?;
    only(tools, |tool| distance(tool) == near)
}

/// Letters to insert, remove or change from one to the other (Levenshtein).
fn edits(one: &[char], other: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, against) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != against);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_they_are_meant() {
        let tools = ["get_weather", "create_event", "python"].map(ToolName::function);
        let mut tools = tools.to_vec();
        tools.push(ToolName { namespace: "browser".into(), name: "search".into() });
        tools.push(ToolName { namespace: "container".into(), name: "exec".into() });
        for (written, meant) in [
            ("functions.get_weather", Some(0)),
            ("get_weather", Some(0)),
            ("functions.functions.get_weather", Some(0)),
            ("Functions.Get_Weather", Some(0)),
            ("functions.getWeather", Some(0)),
            ("functions.get-weather", Some(0)),
            ("create_event<|channel|>analysis", Some(1)),
            ("functions.get_wether", Some(0)),
            ("functions.create_events", Some(1)),
            ("python", Some(2)),
            ("functions.python", Some(2)),
            ("browser.search", Some(3)),
            ("functions.browser.search", Some(3)),
            ("search", Some(3)),
            ("functions.search", Some(3)),
            ("container.exec", Some(4)),
            ("functions.get_weatherxyz", None),
            ("functions.apply_patch", None),
            ("functions.", None),
            ("", None),
            ("<|channel|>", None),
            ("functions", None),
            ("xec", None),
            ("assistant", None),
        ] {
            assert_eq!(resolve(written, &tools), meant, "{written:?}");
        }
    }

    #[test]
    fn what_may_mean_two_means_none() {
        let tools = ["read_file1", "read_file2", "Read", "read"].map(ToolName::function);
        assert_eq!(resolve("functions.read_file", &tools), None);
        assert_eq!(resolve("functions.read_file3", &tools), None);
        assert_eq!(resolve("functions.read", &tools), Some(3));
        assert_eq!(resolve("functions.READ", &tools), None);
    }
}
