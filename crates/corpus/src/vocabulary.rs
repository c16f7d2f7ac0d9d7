//! The trimmed tokenizer: those tokens of o200k that the corpus needs most, so that a small model's embedding is small too.
//!
//! It must not know what the model makes of the tokens. What is kept, is kept whole: with a token also the merges that lead
//! to it, so that text of kept tokens is cut as the released tokenizer cuts it, only that each digit is a token of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use harmony::Vocabulary;
use serde_json::{Map, Value, json};

use crate::document::DocumentRenderer;
use crate::error::Error;
use crate::stream::{Mixture, Split, Stream};

/// How many tokens the shipped model knows, control tokens included.
pub const VOCABULARY_TOKENS: usize = 2048;

/// The control tokens by their ids in the release, where those between are reserved.
const NAMED: [(u32, &str); 10] = [
    (199_998, "startoftext"),
    (199_999, "endoftext"),
    (200_002, "return"),
    (200_003, "constrain"),
    (200_005, "channel"),
    (200_006, "start"),
    (200_007, "end"),
    (200_008, "message"),
    (200_012, "call"),
    (200_018, "endofprompt"),
];
/// The tokens of single bytes are the first.
const BYTES: usize = 256;
/// A token is kept when it occurs at least once in so many tokens of the corpus: rarer ones would hardly be trained.
const RARITY_MAX: u64 = 100_000;

/// The pre-tokenisation of o200k_base, alternative by alternative. Up to three digits are one piece; without tokens of
/// several digits they come apart all the same.
const PATTERN: [&str; 7] = [
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
    r"\s*[\r\n]+",
    r"\s+(?!\S)",
    r"\s+",
];

/// A Hugging Face `tokenizer.json` of exactly `size` tokens: the 256 bytes, the tokens of o200k that shorten the first
/// `items` items of a training stream most, and the control tokens at the top.
///
/// # Errors
/// A size below that of the bytes and control tokens, or an item that can not be rendered.
pub fn tokenizer_json(seed: u64, mixture: Mixture, items: u64, size: usize) -> Result<String, Error> {
    let least = BYTES + NAMED.len();
    if size < least {
        return Err(Error::VocabularyTooSmall { found: size, least });
    }
    let ranks = Ranks::new();
    let counts = counts(&ranks, &Stream::new(seed, Split::Train, mixture), items)?;
    let kept = ranks.keep(counts, size - NAMED.len());
    let mut text = serde_json::to_string_pretty(&tokenizer(&ranks, &kept, size)).expect("the keys are texts");
    text.push('\n');
    Ok(text)
}

/// How often each token of o200k occurs, a number of several digits counting as its digits.
fn counts(ranks: &Ranks, stream: &Stream, items: u64) -> Result<BTreeMap<u32, u64>, Error> {
    let renderer = DocumentRenderer::new(&Vocabulary::o200k_harmony())?;
    let mut counts = BTreeMap::new();
    for index in 0..items {
        for id in renderer.document(&stream.item(index))?.ids {
            let Some(&token) = ranks.tokens.get(id as usize) else { continue };
            if is_number(token) {
                token.iter().for_each(|&digit| *counts.entry(ranks.rank(&[digit])).or_default() += 1);
            } else {
                *counts.entry(id).or_default() += 1;
            }
        }
    }
    Ok(counts)
}

/// Whether a token is a number of several digits.
fn is_number(token: &[u8]) -> bool {
    token.len() > 1 && token.iter().all(u8::is_ascii_digit)
}

/// The tokens of o200k_base: the lower a rank, the earlier is it merged.
struct Ranks {
    tokens: Vec<&'static [u8]>,
    by_bytes: HashMap<&'static [u8], u32>,
}

impl Ranks {
    fn new() -> Self {
        let encoder = &bpe_openai::o200k_base().bpe;
        let tokens: Vec<&[u8]> = (0..encoder.num_tokens() as u32).map(|rank| encoder.token_bytes(rank)).collect();
        let by_bytes = tokens.iter().copied().zip(0..).collect();
        Self { tokens, by_bytes }
    }

    /// The rank of a text that is a token.
    fn rank(&self, bytes: &[u8]) -> u32 {
        self.by_bytes[bytes]
    }

    /// The two tokens whose merge gives a token; none for a byte, and for the few tokens that no merges lead to.
    fn halves(&self, rank: u32) -> Option<(u32, u32)> {
        let token = self.tokens[rank as usize];
        let mut cuts: Vec<usize> = (0..=token.len()).collect();
        while cuts.len() > 3 {
            let joined = |at: usize| self.by_bytes.get(&token[cuts[at]..cuts[at + 2]]).copied();
            let ranked = (0..cuts.len() - 2).filter_map(|at| Some((joined(at)?, at)));
            let (_, at) = ranked.min()?;
            cuts.remove(at + 1);
        }
        let &[start, middle, end] = cuts.as_slice() else { return None };
        Some((self.rank(&token[start..middle]), self.rank(&token[middle..end])))
    }

    /// The `most` tokens to keep, in order of rank: of the tokens that occur and all merges on the way to them, the least
    /// used is given up again and again, and its uses are uses of its halves from then on.
    fn keep(&self, counts: BTreeMap<u32, u64>, most: usize) -> Vec<u32> {
        let total: u64 = counts.values().sum();
        let mut kept = self.with_halves(counts);
        // Nothing is built of these, so they can go; by uses, then the higher rank first.
        let key = |rank: u32, token: &Token| (token.uses, std::cmp::Reverse(rank));
        let mut loose: BTreeSet<_> =
            kept.iter().filter(|(_, token)| token.parents == 0).map(|(&rank, token)| key(rank, token)).collect();
        while let Some((uses, std::cmp::Reverse(rank))) = loose.pop_first() {
            let is_rare = uses.saturating_mul(RARITY_MAX) < total;
            if kept.len() <= most - BYTES && !is_rare {
                break;
            }
            let Some(Token { halves: (left, right), .. }) = kept.remove(&rank) else { continue };
            for half in [left, right] {
                let Some(token) = kept.get_mut(&half) else { continue };
                loose.remove(&key(half, token));
                token.uses += uses;
                token.parents -= 1;
                if token.parents == 0 {
                    loose.insert(key(half, token));
                }
            }
        }
        let bytes = (0..=u8::MAX).map(|byte| self.rank(&[byte]));
        bytes.chain(kept.into_keys()).collect::<BTreeSet<u32>>().into_iter().collect()
    }

    /// The tokens of several bytes that occur, with all merges on the way to them.
    fn with_halves(&self, counts: BTreeMap<u32, u64>) -> BTreeMap<u32, Token> {
        let mut tokens: BTreeMap<u32, Token> = BTreeMap::new();
        let mut waiting: Vec<(u32, u64)> = counts.into_iter().collect();
        while let Some((rank, uses)) = waiting.pop() {
            if let Some(token) = tokens.get_mut(&rank) {
                token.uses += uses;
            } else if let Some(halves) = self.halves(rank) {
                tokens.insert(rank, Token { uses, parents: 0, halves });
                waiting.extend([(halves.0, 0), (halves.1, 0)]);
            }
        }
        let halves: Vec<u32> = tokens.values().flat_map(|token| [token.halves.0, token.halves.1]).collect();
        for half in halves {
            if let Some(token) = tokens.get_mut(&half) {
                token.parents += 1;
            }
        }
        tokens
    }
}

/// A token of several bytes while it is being decided what to keep.
struct Token {
    uses: u64,
    /// Of how many other kept tokens it is a half, counted twice where it is both.
    parents: usize,
    halves: (u32, u32),
}

/// The file's content.
fn tokenizer(ranks: &Ranks, kept: &[u32], size: usize) -> Value {
    let letters = letters();
    let spell =
        |rank: u32| -> String { ranks.tokens[rank as usize].iter().map(|&byte| letters[usize::from(byte)]).collect() };
    let vocabulary: Map<String, Value> = kept.iter().zip(0..).map(|(&rank, id)| (spell(rank), id.into())).collect();
    let merges: Vec<[String; 2]> = kept
        .iter()
        .filter(|&&rank| ranks.tokens[rank as usize].len() > 1)
        .filter_map(|&rank| ranks.halves(rank))
        .map(|(left, right)| [spell(left), spell(right)])
        .collect();
    let added: Vec<Value> = (kept.len()..size)
        .zip(control_names())
        .map(|(id, name)| {
            json!({"id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    let byte_level = |add_prefix_space: bool, trim_offsets: bool, use_regex: bool| {
        json!({"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": trim_offsets,
               "use_regex": use_regex})
    };
    let split =
        json!({"type": "Split", "pattern": {"Regex": PATTERN.join("|")}, "behavior": "Isolated", "invert": false});
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level(false, true, false)]},
        "post_processor": byte_level(true, false, true),
        "decoder": byte_level(true, true, true),
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": true,
            "vocab": vocabulary,
            "merges": merges,
        },
    })
}

/// The control tokens in order: those with names first, then as many reserved ones as are wanted, under names that the
/// release has for reserved tokens too.
fn control_names() -> impl Iterator<Item = String> {
    let first = NAMED[0].0;
    let reserved = (first..).filter(|id| NAMED.iter().all(|(named, _)| named != id));
    let named = NAMED.iter().map(|(_, name)| format!("<|{name}|>"));
    named.chain(reserved.map(|id| format!("<|reserved_{id}|>")))
}

/// GPT-2's spelling of bytes: printable Latin-1 stands for itself, the others follow from U+0100 on.
fn letters() -> [char; BYTES] {
    let mut others = '\u{100}'..;
    let mut letter = |byte| match byte {
        33..=126 | 161..=172 | 174..=255 => char::from(byte),
        _ => others.next().expect("the range has no end"),
    };
    let mut letters = ['\0'; BYTES];
    (0..=u8::MAX).zip(&mut letters).for_each(|(byte, place)| *place = letter(byte));
    letters
}
