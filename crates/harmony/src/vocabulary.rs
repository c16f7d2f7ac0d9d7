//! The vocabulary: text to token ids and back, for the released o200k_harmony and for any byte-level BPE tokenizer.
//!
//! This room must not know conversations. Its promise: [`Vocabulary::encode`], the road for all text that people,
//! tools and files supply, never gives a control token, whatever the text spells.

mod assemble;
mod byte_level;
mod gguf;
mod merges;
mod o200k;
mod pretokenize;
mod specials;
mod tokenizer_json;

use std::sync::Arc;

pub use gguf::GgufTokenizer;
pub use specials::HarmonyIds;

use crate::error::Error;
use merges::MergeTable;
use pretokenize::Pretokenizer;
use specials::Spellings;

/// The largest vocabulary that is accepted, in tokens. The released one has 201,088.
pub const VOCABULARY_TOKENS_MAX: usize = 1 << 22;

/// A tokenizer. Cheap to clone: clones share their tables.
#[derive(Clone)]
pub struct Vocabulary {
    tables: Arc<Tables>,
}

/// Everything that encoding and decoding read.
struct Tables {
    tokens: TokenTable,
    /// Control tokens and added tokens by their spelling.
    specials: Spellings,
    /// Added tokens that ordinary text may give, by their spelling.
    added: Spellings,
    pretokenizer: Pretokenizer,
    encoder: Encoder,
}

/// How a piece of text that the pre-tokenizer cut becomes tokens.
enum Encoder {
    /// The o200k merges, by the linear-time tables that the `bpe-openai` crate ships.
    O200k,
    /// Any merge list.
    Merges(MergeTable),
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenKind {
    /// The id exists but no token stands there.
    Absent,
    /// A piece of text.
    Ordinary,
    /// A piece of text that was added to the vocabulary whole, outside the merges.
    Added,
    /// A control token: never text.
    Control,
}

/// The bytes and kind of each id.
struct TokenTable {
    bytes: Vec<u8>,
    /// Where each token's bytes begin; one more entry than tokens.
    starts: Vec<u32>,
    kinds: Vec<TokenKind>,
}

impl Vocabulary {
    /// The released vocabulary: the o200k_base merges and the harmony control tokens, 201,088 ids.
    pub fn o200k_harmony() -> Self {
        o200k::shared()
    }

    /// Reads a Hugging Face `tokenizer.json` with a byte-level BPE model, of any vocabulary.
    ///
    /// # Errors
    /// Names the field that can not be read or is not supported: a model that is not BPE, a normalizer, a
    /// pre-tokenizer that is not regex or byte level, an id or merge that contradicts the vocabulary.
    pub fn from_tokenizer_json(bytes: &[u8]) -> Result<Self, Error> {
        tokenizer_json::read(bytes)
    }

    /// Builds the tokenizer that a GGUF file describes in its metadata.
    ///
    /// # Errors
    /// Names the key that is not supported or contradicts the others.
    pub fn from_gguf<Text: AsRef<str>>(parts: &GgufTokenizer<'_, Text>) -> Result<Self, Error> {
        gguf::read(parts)
    }

    /// The number of ids: the highest id plus one.
    pub fn size(&self) -> usize {
        self.tables.tokens.kinds.len()
    }

    /// The tokens of a text as written by people, tools and files: never a control token.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(text.len() / 3);
        self.encode_into(text, &mut tokens);
        tokens
    }

    /// Appends what [`Vocabulary::encode`] gives.
    pub fn encode_into(&self, text: &str, tokens: &mut Vec<u32>) {
        self.encode_around(&self.tables.added, text, tokens);
    }

    /// The tokens of a text in which the spelling of a control token means that token. Only for people who look
    /// inside, never for text from a conversation.
    pub fn encode_with_specials(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        self.encode_around(&self.tables.specials, text, &mut tokens);
        tokens
    }

    /// The bytes of a token, for a control token its spelling; nothing for an id that holds no token.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.tables.tokens.bytes_of(id)
    }

    /// The bytes of a token of text; nothing for a control token or an id that holds no token.
    pub fn text_bytes(&self, id: u32) -> Option<&[u8]> {
        match self.tables.tokens.kind_of(id) {
            TokenKind::Ordinary | TokenKind::Added => self.token_bytes(id),
            TokenKind::Absent | TokenKind::Control => None,
        }
    }

    /// The bytes of the tokens joined; an id that holds no token gives the three bytes of U+FFFD.
    pub fn decode_bytes(&self, ids: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ids.len() * 4);
        for &id in ids {
            bytes.extend_from_slice(self.token_bytes(id).unwrap_or("\u{FFFD}".as_bytes()));
        }
        bytes
    }

    /// The text of the tokens; invalid UTF-8 becomes U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        match String::from_utf8(self.decode_bytes(ids)) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }

    /// The spelling of a control token; nothing for any other id.
    pub fn special_name(&self, id: u32) -> Option<&str> {
        match self.tables.tokens.kind_of(id) {
            TokenKind::Control => std::str::from_utf8(self.token_bytes(id)?).ok(),
            TokenKind::Absent | TokenKind::Ordinary | TokenKind::Added => None,
        }
    }

    /// The id of a control token by its spelling.
    pub fn special_id(&self, name: &str) -> Option<u32> {
        let id = self.tables.specials.id_of(name)?;
        self.special_name(id).map(|_| id)
    }

    /// The control tokens that harmony is made of, as this vocabulary numbers them.
    ///
    /// # Errors
    /// The first one that is missing.
    pub fn harmony_ids(&self) -> Result<HarmonyIds, Error> {
        HarmonyIds::of(self)
    }

    /// The tokens at which a turn of the assistant stops: return, call, and end of text where it exists.
    ///
    /// # Errors
    /// As [`Vocabulary::harmony_ids`].
    pub fn stop_ids(&self) -> Result<Vec<u32>, Error> {
        let ids = self.harmony_ids()?;
        Ok([Some(ids.return_), Some(ids.call), ids.end_of_text].into_iter().flatten().collect())
    }

    /// Encodes the text between the given spellings, and those as their ids.
    fn encode_around(&self, spellings: &Spellings, text: &str, tokens: &mut Vec<u32>) {
        let mut from = 0;
        while let Some((found, id)) = spellings.find(text, from) {
            self.encode_plain(&text[from..found.start], tokens);
            tokens.push(id);
            from = found.end;
        }
        self.encode_plain(&text[from..], tokens);
    }

    fn encode_plain(&self, text: &str, tokens: &mut Vec<u32>) {
        let tables = &*self.tables;
        match &tables.encoder {
            Encoder::O200k => tables.pretokenizer.split(text, &mut |piece| o200k::encode_piece(piece, tokens)),
            Encoder::Merges(table) => tables.pretokenizer.split(text, &mut |piece| table.encode_piece(piece, tokens)),
        }
    }
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let encoder = match self.tables.encoder {
            Encoder::O200k => "o200k",
            Encoder::Merges(_) => "merges",
        };
        formatter
            .debug_struct("Vocabulary")
            .field("size", &self.size())
            .field("encoder", &encoder)
            .finish_non_exhaustive()
    }
}

impl TokenTable {
    fn bytes_of(&self, id: u32) -> Option<&[u8]> {
        match self.kind_of(id) {
            TokenKind::Absent => None,
            TokenKind::Ordinary | TokenKind::Added | TokenKind::Control => {
                let index = id as usize;
                Some(&self.bytes[self.starts[index] as usize..self.starts[index + 1] as usize])
            }
        }
    }

    fn kind_of(&self, id: u32) -> TokenKind {
        self.kinds.get(id as usize).copied().unwrap_or(TokenKind::Absent)
    }
}
