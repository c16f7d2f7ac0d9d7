//! Citations such as `【6†L9-L11】`, and the displays of the browser tool that they point into. It must not know what is asked.

use std::collections::BTreeMap;

use harmony::Message;

/// A citation in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Citation {
    /// Lines of a display, first and last.
    Lines {
        /// The display's number.
        cursor: usize,
        /// The first line cited.
        first: usize,
        /// The last line cited.
        last: usize,
    },
    /// Something between citation brackets that is no citation.
    Broken,
}

/// The citations of a text, in order.
pub(super) fn find(text: &str) -> Vec<Citation> {
    let openings = text.split('【').skip(1);
    let stray = text.split('【').next().is_some_and(|head| head.contains('】'));
    let citations = openings.map(|tail| {
        let (inside, rest) = tail.split_once('】').unwrap_or((tail, "】"));
        if rest.contains('】') { None } else { lines(inside) }.unwrap_or(Citation::Broken)
    });
    stray.then_some(Citation::Broken).into_iter().chain(citations).collect()
}

fn lines(inside: &str) -> Option<Citation> {
    let (cursor, place) = inside.split_once('†')?;
    let (first, last) = place.split_once('-').unwrap_or((place, place));
    let (cursor, first) = (number(cursor)?, number(first.strip_prefix('L')?)?);
    let last = number(last.strip_prefix('L')?)?;
    (first <= last).then_some(Citation::Lines { cursor, first, last })
}

/// Digits and nothing else.
fn number(text: &str) -> Option<usize> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// What the browser showed: the lines by number, display by display.
#[derive(Clone, Debug, Default)]
pub(super) struct Displays(BTreeMap<usize, BTreeMap<usize, String>>);

impl Displays {
    /// The displays in the results of tools.
    pub(super) fn of<'a>(results: impl IntoIterator<Item = &'a Message>) -> Self {
        let mut displays = Self::default();
        for result in results {
            let tool = result.author.name.as_deref().unwrap_or_default();
            if tool == "browser" || tool.starts_with("browser.") {
                displays.add(&result.text());
            }
        }
        displays
    }

    /// Whether a citation names a display and lines of it that were all shown.
    pub(super) fn has(&self, citation: &Citation) -> bool {
        match *citation {
            Citation::Lines { cursor, first, last } => {
                self.0.get(&cursor).is_some_and(|display| display.range(first..=last).count() == last - first + 1)
            }
            Citation::Broken => false,
        }
    }

    /// The text of the lines cited, joined by blanks.
    pub(super) fn lines(&self, citation: &Citation) -> String {
        match *citation {
            Citation::Lines { cursor, first, last } => {
                let display = self.0.get(&cursor).into_iter();
                let lines = display.flat_map(|display| display.range(first..=last)).map(|(_, text)| text.trim());
                lines.collect::<Vec<_>>().join(" ")
            }
            Citation::Broken => String::new(),
        }
    }

    fn add(&mut self, text: &str) {
        let cursor = text.strip_prefix('[').and_then(|rest| number(rest.split_once(']')?.0));
        let Some(cursor) = cursor else { return };
        let display = self.0.entry(cursor).or_default();
        for line in text.lines() {
            let numbered = line.strip_prefix('L').and_then(|rest| rest.split_once(':'));
            if let Some((number, text)) = numbered.and_then(|(head, text)| Some((number(head)?, text))) {
                display.insert(number, text.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use harmony::Message;

    use super::{Citation, Displays, find};

    fn cited(cursor: usize, first: usize, last: usize) -> Citation {
        Citation::Lines { cursor, first, last }
    }

    #[test]
    fn citations_are_found() {
        assert_eq!(find("None."), []);
        assert_eq!(find("Yes【6†L9-L11】 and【0†L3】."), [cited(6, 9, 11), cited(0, 3, 3)]);
        for broken in
            ["【6】", "【6†9】", "【†L9】", "【6†L9-11】", "【6†L11-L9】", "【6†L9", "【+6†L9】", "L9】", "【6†L9】】"]
        {
            assert_eq!(find(broken), [Citation::Broken], "{broken}");
        }
        assert_eq!(find("【6【7†L1】"), [Citation::Broken, cited(7, 1, 1)]);
    }

    #[test]
    fn only_what_was_shown_can_be_cited() {
        let page = "[4] Title (file.md)\n**viewing lines [0 - 2] of 9**\n\nL0: A lamp has\nL1: two sides.\nL2: Left.";
        let result = |tool: &str| Message::tool_result(tool, "analysis", page);
        let displays = Displays::of([&result("browser.open")]);
        assert!(displays.has(&cited(4, 0, 1)) && displays.has(&cited(4, 2, 2)));
        assert_eq!(displays.lines(&cited(4, 0, 1)), "A lamp has two sides.");
        for missing in [cited(4, 2, 3), cited(4, 9, 9), cited(3, 0, 0), Citation::Broken] {
            assert!(!displays.has(&missing), "{missing:?}");
        }
        assert!(!Displays::of([&result("python")]).has(&cited(4, 0, 1)));
    }
}
