//! Tokens that are looked up by their spelling instead of being merged from bytes, and the ones harmony is made of.

use std::collections::HashMap;
use std::ops::Range;

use super::Vocabulary;
use crate::error::Error;

/// The control tokens of harmony. The ids come from the tokenizer, they are written down nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HarmonyIds {
    /// `<|start|>` begins a message's header.
    pub start: u32,
    /// `<|end|>` ends a message.
    pub end: u32,
    /// `<|message|>` stands between header and content.
    pub message: u32,
    /// `<|channel|>` stands before the channel's name.
    pub channel: u32,
    /// `<|constrain|>` stands before the content type.
    pub constrain: u32,
    /// `<|call|>` ends a message to a tool.
    pub call: u32,
    /// `<|return|>` ends the last message of a turn.
    pub return_: u32,
    /// `<|startoftext|>`, where the vocabulary has it.
    pub start_of_text: Option<u32>,
    /// `<|endoftext|>`, where the vocabulary has it.
    pub end_of_text: Option<u32>,
}

impl HarmonyIds {
    pub(super) fn of(vocabulary: &Vocabulary) -> Result<Self, Error> {
        let id = |name| vocabulary.special_id(name).ok_or(Error::SpecialMissing { name });
        Ok(Self {
            start: id("<|start|>")?,
            end: id("<|end|>")?,
            message: id("<|message|>")?,
            channel: id("<|channel|>")?,
            constrain: id("<|constrain|>")?,
            call: id("<|call|>")?,
            return_: id("<|return|>")?,
            start_of_text: vocabulary.special_id("<|startoftext|>"),
            end_of_text: vocabulary.special_id("<|endoftext|>"),
        })
    }
}

/// Finds spellings in a text: the leftmost, and of those that begin there the longest.
pub(super) struct Spellings {
    ids: HashMap<Box<[u8]>, u32>,
    /// By first byte, the lengths that occur, longest first. Names differ in few lengths, so few look-ups are needed.
    lengths: Vec<Vec<usize>>,
}

impl Spellings {
    /// Empty spellings are left out: they would be found everywhere.
    pub(super) fn new<'a>(spellings: impl Iterator<Item = (&'a [u8], u32)>) -> Self {
        let mut ids = HashMap::new();
        let mut lengths = vec![Vec::new(); 256];
        for (spelling, id) in spellings {
            let Some(&first) = spelling.first() else { continue };
            ids.insert(Box::from(spelling), id);
            let of_first: &mut Vec<usize> = &mut lengths[usize::from(first)];
            if let Err(place) = of_first.binary_search_by(|length| spelling.len().cmp(length)) {
                of_first.insert(place, spelling.len());
            }
        }
        Self { ids, lengths }
    }

    pub(super) fn id_of(&self, spelling: &str) -> Option<u32> {
        self.ids.get(spelling.as_bytes()).copied()
    }

    /// The first spelling at or after `from`, with its place in the text.
    pub(super) fn find(&self, text: &str, from: usize) -> Option<(Range<usize>, u32)> {
        if self.ids.is_empty() {
            return None;
        }
        let bytes = text.as_bytes();
        (from..bytes.len()).find_map(|start| {
            let lengths = &self.lengths[usize::from(bytes[start])];
            lengths.iter().find_map(|&length| {
                let range = start..start + length;
                let id = self.ids.get(bytes.get(range.clone())?)?;
                Some((range, *id))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Spellings;

    #[test]
    fn the_leftmost_and_there_the_longest_spelling_wins() {
        let names: [(&[u8], u32); 4] = [(b"ab", 1), (b"abc", 2), (b"bcd", 3), (b"", 4)];
        let spellings = Spellings::new(names.into_iter());
        assert_eq!(spellings.find("xabcd", 0), Some((1..4, 2)));
        assert_eq!(spellings.find("xabcd", 2), Some((2..5, 3)));
        assert_eq!(spellings.find("xab", 0), Some((1..3, 1)));
        assert_eq!(spellings.find("xa", 0), None);
    }
}
