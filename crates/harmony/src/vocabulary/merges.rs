//! Byte pair encoding by an explicit merge list, for vocabularies of fine-tunes and of tests; knows no text, only bytes.
//!
//! Exact: at each step the pair with the lowest rank is merged, of several the leftmost, as the Hugging Face library
//! does. A heap over a linked list makes it n log n, so that a long unbroken run of text is no attack.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// A merge list over token ids.
pub(super) struct MergeTable {
    /// The token of each single byte.
    byte_ids: Box<[u32; 256]>,
    /// By pair: the merge's place in the list and the token it gives.
    merges: HashMap<(u32, u32), Merge>,
    /// Tokens that a whole piece gives directly, whatever the merges say (`ignore_merges`).
    whole_pieces: HashMap<Box<[u8]>, u32>,
}

#[derive(Clone, Copy)]
pub(super) struct Merge {
    pub(super) rank: u32,
    pub(super) token: u32,
}

/// One token of the piece while it is being merged, linked to its neighbours.
#[derive(Clone, Copy)]
struct Part {
    token: u32,
    previous: usize,
    next: usize,
}

/// The end of the linked list in both directions, and the token of a part that was merged into its left neighbour.
const NONE: usize = usize::MAX;
const GONE: u32 = u32::MAX;

impl MergeTable {
    pub(super) fn new(
        byte_ids: Box<[u32; 256]>,
        merges: HashMap<(u32, u32), Merge>,
        whole_pieces: HashMap<Box<[u8]>, u32>,
    ) -> Self {
        Self { byte_ids, merges, whole_pieces }
    }

    /// Appends the tokens of one pre-token.
    pub(super) fn encode_piece(&self, piece: &str, tokens: &mut Vec<u32>) {
        let piece = piece.as_bytes();
        if let Some(&token) = self.whole_pieces.get(piece) {
            tokens.push(token);
            return;
        }
        let mut parts: Vec<Part> = piece
            .iter()
            .enumerate()
            .map(|(index, &byte)| Part {
                token: self.byte_ids[usize::from(byte)],
                previous: index.wrapping_sub(1),
                next: if index + 1 == piece.len() { NONE } else { index + 1 },
            })
            .collect();
        self.merge(&mut parts);
        tokens.extend(parts.iter().map(|part| part.token).filter(|&token| token != GONE));
    }

    fn merge(&self, parts: &mut [Part]) {
        let mut candidates: BinaryHeap<Reverse<(u32, usize)>> =
            (0..parts.len()).filter_map(|left| self.candidate(parts, left)).map(Reverse).collect();
        while let Some(Reverse((rank, left))) = candidates.pop() {
            // A candidate is stale when either of its parts has been merged since; its rank then differs.
            let Some(merge) = self.merge_at(parts, left).filter(|merge| merge.rank == rank) else { continue };
            let right = parts[left].next;
            let after = parts[right].next;
            parts[left].token = merge.token;
            parts[left].next = after;
            parts[right].token = GONE;
            if after != NONE {
                parts[after].previous = left;
            }
            candidates.extend(self.candidate(parts, left).map(Reverse));
            if parts[left].previous != NONE {
                candidates.extend(self.candidate(parts, parts[left].previous).map(Reverse));
            }
        }
    }

    fn candidate(&self, parts: &[Part], left: usize) -> Option<(u32, usize)> {
        self.merge_at(parts, left).map(|merge| (merge.rank, left))
    }

    /// The merge of the part at `left` with its right neighbour, if both exist and the list has it.
    fn merge_at(&self, parts: &[Part], left: usize) -> Option<Merge> {
        let part = parts[left];
        if part.token == GONE || part.next == NONE {
            return None;
        }
        self.merges.get(&(part.token, parts[part.next].token)).copied()
    }
}
