//! A thought told shortly: its first sentences, marked as what they are, since there is no second model that could sum it up. It must
//! not know events.

use crate::wire::responses::Summary;

/// Stands above every extract.
const MARK: &str = "**Extract of the reasoning**\n\n";
/// Letters of a short extract.
const CONCISE_LETTERS_MAX: usize = 240;
/// Letters of a longer one.
const DETAILED_LETTERS_MAX: usize = 1200;

/// The first sentences of a thought; `None` if it has none.
pub(super) fn extract(text: &str, summary: Summary) -> Option<String> {
    let letters_max = match summary {
        Summary::Concise => CONCISE_LETTERS_MAX,
        Summary::Auto | Summary::Detailed => DETAILED_LETTERS_MAX,
    };
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let Some((end, _)) = text.char_indices().nth(letters_max) else { return Some(format!("{MARK}{text}")) };
    let short = &text[..end];
    let told = sentences(short).unwrap_or(short).trim_end();
    Some(format!("{MARK}{told} …"))
}

/// Up to the end of the last whole sentence or line; `None` if there is none.
fn sentences(text: &str) -> Option<&str> {
    let ends = text.char_indices().zip(text.chars().skip(1));
    let is_end =
        |letter: char, next: char| letter == '\n' || (matches!(letter, '.' | '!' | '?') && next.is_whitespace());
    let last = ends.filter(|&((_, letter), next)| is_end(letter, next)).last();
    last.map(|((at, letter), _)| &text[..at + letter.len_utf8()]).filter(|told| !told.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_thoughts_are_told_whole() {
        assert_eq!(extract(" We add. ", Summary::Concise), Some(format!("{MARK}We add.")));
        assert_eq!(extract(" \n", Summary::Auto), None);
    }

    #[test]
    fn long_thoughts_end_with_a_sentence() {
        let text = format!("First this. Then that! {}", "and so on ".repeat(200));
        assert_eq!(extract(&text, Summary::Concise), Some(format!("{MARK}First this. Then that! …")));
        assert!(extract(&text, Summary::Detailed).unwrap().starts_with(&format!("{MARK}First this. Then that!")));
    }

    #[test]
    fn thoughts_without_sentences_are_cut_between_letters() {
        let told = extract(&"ü".repeat(5000), Summary::Detailed).unwrap();
        assert_eq!(told, format!("{MARK}{} …", "ü".repeat(DETAILED_LETTERS_MAX)));
    }
}
