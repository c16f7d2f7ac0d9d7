//! The released vocabulary: the o200k_base merges from the `bpe-openai` crate under our own layer of control tokens.

use std::sync::LazyLock;

use super::assemble::{Entry, assemble_o200k};
use super::{TokenKind, Vocabulary};

/// The number of o200k_base tokens; control tokens follow.
pub(super) const TEXT_TOKENS: u32 = 199_998;

/// The number of ids of the released model, the rows of its embedding. (The official library registers one more,
/// `<|reserved_201088|>`, for which the model has no row.)
const SIZE: u32 = 201_088;

/// The number of ways in which one of the tokens splits into two others: a merge list with all of them, in order of the
/// token they give, is the same encoding as the ranks.
pub(super) const MERGES: usize = 446_189;

/// The control tokens that have names; all others are `<|reserved_ID|>`.
const NAMED: [(u32, &str); 10] = [
    (199_998, "<|startoftext|>"),
    (199_999, "<|endoftext|>"),
    (200_002, "<|return|>"),
    (200_003, "<|constrain|>"),
    (200_005, "<|channel|>"),
    (200_006, "<|start|>"),
    (200_007, "<|end|>"),
    (200_008, "<|message|>"),
    (200_012, "<|call|>"),
    (200_018, "<|endofprompt|>"),
];

static SHARED: LazyLock<Vocabulary> = LazyLock::new(|| {
    let bpe = &bpe_openai::o200k_base().bpe;
    let text = (0..TEXT_TOKENS).map(|id| Entry { id, bytes: bpe.token_bytes(id).to_vec(), kind: TokenKind::Ordinary });
    let control = (TEXT_TOKENS..SIZE).map(|id| {
        let named = NAMED.iter().find(|(named_id, _)| *named_id == id);
        let name = named.map_or_else(|| format!("<|reserved_{id}|>"), |(_, name)| (*name).to_owned());
        Entry { id, bytes: name.into_bytes(), kind: TokenKind::Control }
    });
    assemble_o200k(text.chain(control).collect())
});

pub(super) fn shared() -> Vocabulary {
    SHARED.clone()
}

/// Appends the tokens of one pre-token.
pub(super) fn encode_piece(piece: &str, tokens: &mut Vec<u32>) {
    tokens.extend(bpe_openai::o200k_base().bpe.encode_via_backtracking(piece.as_bytes()));
}

/// Whether these are exactly the tokens of o200k_base, at their ids.
pub(super) fn has_these_tokens<'a>(bytes_of: impl Fn(u32) -> Option<&'a [u8]>) -> bool {
    let bpe = &bpe_openai::o200k_base().bpe;
    (0..TEXT_TOKENS).all(|id| bytes_of(id) == Some(bpe.token_bytes(id)))
}
