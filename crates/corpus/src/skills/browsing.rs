//! Calls of the browser tool and what it shows, in the reference's form: `[cursor]`, links `【id†title†source】`, lines `L4: …`.
//! It must not know what is looked for.

use harmony::{Message, Role};
use serde_json::Value;

use crate::draw::Draw;

/// A page as it is shown.
pub(super) struct Display {
    /// What the tool answers.
    pub(super) text: String,
    /// The numbers of the given lines.
    pub(super) places: Vec<usize>,
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
    Display { text: shown(cursor, &format!("{title} ({url})"), &all, first), places }
}

/// How a thought says where a line stands, in a display by its cursor and number: the line comes before the number, which is
/// then looked up and not guessed.
pub(super) fn found(line: &str, (cursor, number): (usize, usize)) -> String {
    format!("It says: {line} That is L{number} of [{cursor}].")
}

/// Lines from `first` on, numbered, under a head.
fn shown(cursor: usize, head: &str, lines: &[String], first: usize) -> String {
    let last = lines.len() - 1;
    let numbered: Vec<String> =
        lines.iter().enumerate().skip(first).map(|(number, line)| format!("L{number}: {line}")).collect();
    format!("[{cursor}] {head}\n**viewing lines [{first} - {last}] of {last}**\n\n{}", numbered.join("\n"))
}
