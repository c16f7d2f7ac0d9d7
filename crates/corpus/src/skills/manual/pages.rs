//! Glossa's manual and the questions it answers, read from the data beside the crate. A page is one file and one row of
//! `FILES`; its questions are rows of `questions.txt`. It must not know how a page is searched for or shown.

use std::sync::LazyLock;

use crate::draw::Draw;
use crate::skills::wording::one;

/// A page of the manual.
pub(super) struct Page {
    pub(super) slug: &'static str,
    pub(super) title: String,
    pub(super) lines: Vec<String>,
}

/// A question and where it is answered.
pub(super) struct Question {
    pub(super) page: &'static Page,
    pub(super) line: usize,
    pub(super) ask: &'static str,
}

pub(super) fn all() -> &'static [Page] {
    &PAGES
}

/// Each line of the manual equally often.
pub(super) fn question(draw: &mut Draw) -> Question {
    let (page, line, asks) = one(draw, &QUESTIONS);
    Question { page: &PAGES[*page], line: *line, ask: draw.pick(asks) }
}

macro_rules! files {
    ($($slug:literal),* $(,)?) => {
        [$(($slug, include_str!(concat!("../../../manual/", $slug, ".md")))),*]
    };
}

const FILES: [(&str, &str); 19] = files![
    "context",
    "effort",
    "formats",
    "glossa",
    "inspect",
    "install",
    "license",
    "logits",
    "memory",
    "output",
    "precision",
    "privacy",
    "run",
    "sampling",
    "text",
    "thoughts",
    "threads",
    "tiny",
    "training",
];

static PAGES: LazyLock<Vec<Page>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(slug, text)| {
            let (title, rest) = text.split_once('\n').expect("a page has a title");
            let title = title.strip_prefix("# ").expect("a page opens with its title").to_owned();
            let lines = rest.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
            Page { slug, title, lines }
        })
        .collect()
});

/// Page, line and ways to ask.
static QUESTIONS: LazyLock<Vec<(usize, usize, Vec<&'static str>)>> = LazyLock::new(|| {
    include_str!("../../../manual/questions.txt")
        .lines()
        .filter(|row| !row.is_empty() && !row.starts_with('#'))
        .map(|row| {
            let mut cells = row.split('|').map(str::trim);
            let slug = cells.next().unwrap_or_default();
            let beginning = cells.next().expect("a row names a line");
            let page = PAGES.iter().position(|page| page.slug == slug).expect("a row names a page");
            let mut places =
                (0..PAGES[page].lines.len()).filter(|&line| PAGES[page].lines[line].starts_with(beginning));
            let line = places.next().expect("a row names a line of its page");
            assert!(places.next().is_none(), "two lines begin like this: {row}");
            (page, line, cells.collect())
        })
        .collect()
});
