//! Calls of the browser tool and what it shows, in the reference's form: `[cursor]`, links `【id†title†source】`, lines `L4: …`.
//! It must not know what is looked for.

use harmony::{Message, Role};
use serde_json::Value;

use crate::draw::Draw;

/// A page as it is shown.
pub(super) struct Display {
    /// What the tool answers.
    pub(super) text: String,
    /// Where the given lines stand.
    pub(super) places: Vec<Place>,
}

/// Where a line stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The number of the display.
    pub(super) cursor: usize,
    /// The number of the line in it.
    pub(super) number: usize,
    is_last: bool,
}

impl Place {
    pub(super) fn citation(self) -> String {
        format!("【{}†L{}】", self.cursor, self.number)
    }
}

/// A call of `browser.search`, `browser.open` or any other built-in tool.
pub(super) fn call(recipient: &str, content: &str) -> Message {
    Message::new(Role::Assistant, content).with_channel("analysis").with_recipient(recipient).with_content_type("code")
}

/// A call with JSON arguments.
pub(super) fn call_with(recipient: &str, arguments: &Value) -> Message {
    call(recipient, &arguments.to_string())
}

/// The answer of a built-in tool.
pub(super) fn result(tool: &str, text: impl Into<String>) -> Message {
    Message::tool_result(tool, "analysis", text)
}

/// A page of links with words beside them.
pub(super) fn results_page(cursor: usize, query: &str, source: &str, links: &[(String, String)]) -> String {
    let mut lines = vec![String::new(), "URL: ".to_owned(), "# Search Results".to_owned(), String::new()];
    for (id, (title, words)) in links.iter().enumerate() {
        lines.push(format!("  * 【{id}†{title}†{source}】 {words}").trim_end().to_owned());
    }
    shown(cursor, query, &lines, 0)
}

/// A page with these lines, under one of the headings that pages have.
pub(super) fn page(draw: &mut Draw, cursor: usize, title: &str, url: &str, lines: &[String]) -> Display {
    let mut all = match draw.weighted(&[60, 15, 15, 10]) {
        0 => vec![String::new(), format!("URL: {url}"), format!("# {title}"), String::new()],
        1 => vec![format!("# {title}"), String::new()],
        2 => vec![String::new(), title.to_owned(), String::new(), String::new()],
        _ => vec![format!("# {title}")],
    };
    let (mark, apart) = (if draw.chance(25) { "  * " } else { "" }, draw.chance(15));
    let mut places = Vec::new();
    for line in lines {
        places.push(all.len());
        all.push(format!("{mark}{line}"));
        if apart {
            all.push(String::new());
        }
    }
    // A page that is opened from a snippet is shown from a little before it.
    let first = if draw.chance(20) { draw.below(places[0] + 1) } else { 0 };
    let places = places.into_iter().map(|number| Place { cursor, number, is_last: number + 1 == all.len() }).collect();
    Display { text: shown(cursor, &format!("{title} ({url})"), &all, first), places }
}

/// How a thought says where a line stands. A small model copies what follows a thing, and guesses what stands before it: so it
/// reads on to the number that comes next, and counts one back.
pub(super) fn found(line: &str, place: Place) -> String {
    let Place { cursor, number, .. } = place;
    let next = if place.is_last { "It is the last.".to_owned() } else { format!("L{} is next.", number + 1) };
    format!("It says: {line} {next} That is L{number} of [{cursor}].")
}

/// How a thought comes to a link: title by title as they stand in the list, until one fits. Each step copies what follows a
/// number.
pub(super) fn walked(links: &[(String, String)], id: usize, fits: bool) -> String {
    let last = if fits { id } else { links.len() - 1 };
    let tried = links[..=last]
        .iter()
        .enumerate()
        .map(|(number, (title, _))| format!("{number}†{title}: {}.", if fits && number == id { "yes" } else { "no" }));
    tried.collect::<Vec<_>>().join(" ")
}

/// Lines from `first` on, numbered, under a head.
fn shown(cursor: usize, head: &str, lines: &[String], first: usize) -> String {
    let last = lines.len() - 1;
    let numbered: Vec<String> =
        lines.iter().enumerate().skip(first).map(|(number, line)| format!("L{number}: {line}")).collect();
    format!("[{cursor}] {head}\n**viewing lines [{first} - {last}] of {last}**\n\n{}", numbered.join("\n"))
}
