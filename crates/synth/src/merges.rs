//! The first ranks of o200k_base, in the spelling of byte-level vocabularies, and the merges they imply.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::shape::SPECIALS;

/// A byte-pair vocabulary of some first ranks, and the names of the 21 special tokens that follow it.
pub(crate) struct Vocabulary {
    tokens: Vec<&'static [u8]>,
    letters: [char; 256],
}

impl Vocabulary {
    pub(crate) fn new(ranks: usize) -> Result<Self> {
        let encoder = &bpe_openai::o200k_base().bpe;
        let known = encoder.num_tokens();
        if ranks > known {
            return Err(Error::Ranks { asked: ranks, known });
        }
        let tokens = (0..ranks as u32).map(|rank| encoder.token_bytes(rank)).collect();
        Ok(Self { tokens, letters: letters() })
    }

    /// Every token in the order of its rank.
    pub(crate) fn spellings(&self) -> impl Iterator<Item = String> {
        self.tokens.iter().map(|token| self.spell(token))
    }

    /// Every pair of tokens that together are a token: ordered by its rank, then by the ranks of the two.
    pub(crate) fn merges(&self) -> Vec<[String; 2]> {
        let ranks: HashMap<&[u8], usize> = self.tokens.iter().copied().zip(0..).collect();
        let mut merges = Vec::new();
        for (rank, token) in self.tokens.iter().enumerate() {
            let start = merges.len();
            for cut in 1..token.len() {
                let (left, right) = token.split_at(cut);
                if let (Some(&left_rank), Some(&right_rank)) = (ranks.get(left), ranks.get(right)) {
                    merges.push((rank, left_rank, right_rank));
                }
            }
            merges[start..].sort_unstable();
        }
        let spell = |rank: usize| self.spell(self.tokens[rank]);
        merges.into_iter().map(|(_, left, right)| [spell(left), spell(right)]).collect()
    }

    fn spell(&self, token: &[u8]) -> String {
        token.iter().map(|&byte| self.letters[usize::from(byte)]).collect()
    }
}

/// Names of the special tokens in the order of their ids; reserved ones carry their id in the release.
pub(crate) fn special_names() -> impl Iterator<Item = String> {
    (0..SPECIALS).map(|index| {
        let known = match index {
            0 => "startoftext",
            1 => "endoftext",
            4 => "return",
            5 => "constrain",
            7 => "channel",
            8 => "start",
            9 => "end",
            10 => "message",
            14 => "call",
            20 => "endofprompt",
            _ => return format!("<|reserved_{}|>", crate::shape::RELEASED_RANKS + index),
        };
        format!("<|{known}|>")
    })
}

/// GPT-2's spelling of bytes: printable Latin-1 stands for itself, the others follow from U+0100 on.
fn letters() -> [char; 256] {
    let mut letters = ['\0'; 256];
    let mut next = 0x100u32;
    for (byte, letter) in (0..=255u8).zip(&mut letters) {
        *letter = match byte {
            33..=126 | 161..=172 | 174..=255 => char::from(byte),
            _ => {
                next += 1;
                char::from_u32(next - 1).expect("U+0100 to U+0143 are letters")
            }
        };
    }
    letters
}
