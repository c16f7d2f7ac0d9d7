//! From the parts that every tokenizer file has (tokens, merges, pre-tokenizer) to the tables of a vocabulary, checking
//! that the parts agree. Knows no file format: the readers name the fields.

use std::collections::HashMap;
use std::sync::Arc;

use super::merges::{Merge, MergeTable};
use super::pretokenize::Pretokenizer;
use super::specials::Spellings;
use super::{Encoder, Tables, TokenKind, TokenTable, VOCABULARY_TOKENS_MAX, Vocabulary, byte_level, o200k};
use crate::error::Error;

/// One token.
pub(super) struct Entry {
    pub(super) id: u32,
    pub(super) bytes: Vec<u8>,
    pub(super) kind: TokenKind,
}

/// The parts of a tokenizer as its file gives them.
pub(super) struct Parts<Merges> {
    /// Tokens in any order. A later entry of the same id may change the kind, not the bytes.
    pub(super) entries: Vec<Entry>,
    /// Pairs of byte-level spellings, best first.
    pub(super) merges: Merges,
    /// Whether a piece that is a token as a whole becomes that token without merging.
    pub(super) ignore_merges: bool,
    pub(super) pretokenizer: Pretokenizer,
    /// What the reader calls the list of tokens and the list of merges.
    pub(super) tokens_field: &'static str,
    pub(super) merges_field: &'static str,
}

/// The kind of a token that was added by name: what looks like a control token is one, whatever its file says, so that
/// a file with a wrong flag opens no door for forged messages.
pub(super) fn kind_of_added(spelling: &str, control: bool) -> TokenKind {
    if control || (spelling.starts_with("<|") && spelling.ends_with("|>")) {
        TokenKind::Control
    } else {
        TokenKind::Added
    }
}

/// Checks the parts against each other and builds the tables.
pub(super) fn assemble<'a, Merges>(parts: Parts<Merges>) -> Result<Vocabulary, Error>
where
    Merges: ExactSizeIterator<Item = (&'a str, &'a str)>,
{
    let tokens = token_table(parts.entries, parts.tokens_field)?;
    let ids = text_ids(&tokens);
    let byte_ids = byte_ids(&ids, parts.tokens_field)?;
    let (merges, ordered) = merge_list(&tokens, &ids, parts.merges, parts.merges_field)?;
    // Every possible split, in order of what it gives: then the ranks alone decide, and the linear-time tables that were
    // built from those ranks give the same tokens.
    let all_splits = merges.len() == o200k::MERGES && ordered;
    let encoder = if all_splits && o200k::has_these_tokens(|id| text_of(&tokens, id)) {
        Encoder::O200k
    } else {
        let whole = if parts.ignore_merges {
            ids.iter().map(|(&bytes, &id)| (Box::from(bytes), id)).collect()
        } else {
            HashMap::new()
        };
        Encoder::Merges(MergeTable::new(byte_ids, merges, whole))
    };
    Ok(finish(tokens, parts.pretokenizer, encoder))
}

/// The released vocabulary, whose parts are our own.
pub(super) fn assemble_o200k(entries: Vec<Entry>) -> Vocabulary {
    let tokens = token_table(entries, "o200k").expect("the released ids are distinct and few");
    finish(tokens, Pretokenizer::o200k(), Encoder::O200k)
}

fn finish(tokens: TokenTable, pretokenizer: Pretokenizer, encoder: Encoder) -> Vocabulary {
    let spelled = |wanted: fn(TokenKind) -> bool| {
        let tokens = &tokens;
        Spellings::new(
            (0..)
                .zip(&tokens.kinds)
                .filter(move |(_, kind)| wanted(**kind))
                .filter_map(|(id, _)| Some((tokens.bytes_of(id)?, id))),
        )
    };
    let specials = spelled(|kind| matches!(kind, TokenKind::Control | TokenKind::Added));
    let added = spelled(|kind| kind == TokenKind::Added);
    Vocabulary { tables: Arc::new(Tables { tokens, specials, added, pretokenizer, encoder }) }
}

fn token_table(entries: Vec<Entry>, field: &'static str) -> Result<TokenTable, Error> {
    let size = entries.iter().map(|entry| entry.id as usize + 1).max().unwrap_or(0);
    if size > VOCABULARY_TOKENS_MAX {
        let found = format!("id {}", size - 1);
        return Err(Error::TokenizerInconsistent { field: field.to_owned(), expected: "ids below 4194304", found });
    }
    let mut by_id: Vec<Option<Entry>> = Vec::new();
    by_id.resize_with(size, || None);
    for entry in entries {
        let place = &mut by_id[entry.id as usize];
        if place.as_ref().is_some_and(|earlier| earlier.bytes != entry.bytes) {
            let found = format!("id {} twice, with different text", entry.id);
            return Err(Error::TokenizerInconsistent {
                field: field.to_owned(),
                expected: "one token for each id",
                found,
            });
        }
        *place = Some(entry);
    }
    let mut table = TokenTable { bytes: Vec::new(), starts: vec![0], kinds: Vec::with_capacity(size) };
    for entry in by_id {
        table.kinds.push(entry.as_ref().map_or(TokenKind::Absent, |entry| entry.kind));
        table.bytes.extend(entry.into_iter().flat_map(|entry| entry.bytes));
        let end = u32::try_from(table.bytes.len()).map_err(|_| Error::TokenizerInconsistent {
            field: field.to_owned(),
            expected: "less than 4 GiB of text",
            found: format!("{} bytes", table.bytes.len()),
        })?;
        table.starts.push(end);
    }
    Ok(table)
}

/// The tokens that text may become, by their bytes. Control tokens are not among them; where an added token repeats the
/// bytes of an ordinary one, merging means the ordinary one.
fn text_ids(tokens: &TokenTable) -> HashMap<&[u8], u32> {
    let of_kind = |wanted| (0..).zip(&tokens.kinds).filter(move |(_, kind)| **kind == wanted);
    let added_first = of_kind(TokenKind::Added).chain(of_kind(TokenKind::Ordinary));
    added_first.filter_map(|(id, _)| Some((tokens.bytes_of(id)?, id))).collect()
}

fn text_of(tokens: &TokenTable, id: u32) -> Option<&[u8]> {
    match tokens.kind_of(id) {
        TokenKind::Ordinary | TokenKind::Added => tokens.bytes_of(id),
        TokenKind::Absent | TokenKind::Control => None,
    }
}

fn byte_ids(ids: &HashMap<&[u8], u32>, field: &'static str) -> Result<Box<[u32; 256]>, Error> {
    let mut byte_ids = Box::new([0; 256]);
    for (byte, place) in (0..=u8::MAX).zip(byte_ids.iter_mut()) {
        *place = *ids.get([byte].as_slice()).ok_or_else(|| Error::TokenizerUnsupported {
            field: field.to_owned(),
            expected: "a token for each of the 256 bytes",
            found: format!("none for byte {byte:#04X}"),
        })?;
    }
    Ok(byte_ids)
}

/// A merge list by pair of ids.
type MergeMap = HashMap<(u32, u32), Merge>;

/// The merges by pair of ids, and whether their results stand in ascending order.
fn merge_list<'a>(
    tokens: &TokenTable,
    ids: &HashMap<&[u8], u32>,
    merges: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
    field: &'static str,
) -> Result<(MergeMap, bool), Error> {
    let mut list = HashMap::with_capacity(merges.len());
    let mut ordered = true;
    let mut before = 0;
    for (rank, (left, right)) in (0..).zip(merges) {
        let broken = |found| Error::TokenizerInconsistent {
            field: format!("{field}[{rank}]"),
            expected: "two tokens of text whose concatenation is one too",
            found,
        };
        let bytes_of = |spelling: &str| byte_level::bytes_of(spelling).map_err(|_| broken(format!("{spelling:?}")));
        let (left_bytes, right_bytes) = (bytes_of(left)?, bytes_of(right)?);
        let joined = [left_bytes.as_slice(), &right_bytes].concat();
        let id_of = |bytes: &[u8]| ids.get(bytes).copied().ok_or_else(|| broken(format!("{left:?} and {right:?}")));
        let pair = (id_of(&left_bytes)?, id_of(&right_bytes)?);
        let token = id_of(&joined)?;
        debug_assert_eq!(text_of(tokens, token), Some(joined.as_slice()));
        ordered &= before <= token;
        before = token;
        // The first of equal pairs wins, as it has the better rank.
        list.entry(pair).or_insert(Merge { rank, token });
    }
    Ok((list, ordered))
}
