//! A completion without messages, put together from its events. It must not know an API.

use agent::{Ending, RawEvent, RawOutcome, TokenLogprob};
use engine::PromptLogprob;
use harmony::Vocabulary;

/// A completion as far as it has come.
pub(crate) struct RawText {
    vocabulary: Vocabulary,
    /// Whether control tokens are left out of the text.
    skip_special: bool,
    pub(crate) text: String,
    pub(crate) tokens: Vec<TokenLogprob>,
    pub(crate) prompt: Vec<PromptLogprob>,
    pub(crate) outcome: Option<RawOutcome>,
}

/// What an event adds.
pub(crate) struct Piece<'a> {
    pub(crate) text: String,
    pub(crate) tokens: &'a [TokenLogprob],
}

impl RawText {
    /// A completion of which nothing has come.
    pub(crate) fn new(vocabulary: Vocabulary, skip_special: bool) -> Self {
        let (text, tokens, prompt) = (String::new(), Vec::new(), Vec::new());
        Self { vocabulary, skip_special, text, tokens, prompt, outcome: None }
    }

    /// What an event adds.
    pub(crate) fn push<'a>(&mut self, event: &'a RawEvent) -> Option<Piece<'a>> {
        match event {
            RawEvent::Reading { .. } => None,
            RawEvent::Prompt(pieces) => {
                self.prompt.extend(pieces.iter().cloned());
                None
            }
            RawEvent::Delta { text, tokens } => {
                let text = if self.skip_special { self.without_control(text, tokens) } else { text.clone() };
                self.text.push_str(&text);
                self.tokens.extend(tokens.iter().cloned());
                Some(Piece { text, tokens })
            }
            RawEvent::Finished(outcome) => {
                self.outcome = Some(outcome.clone());
                None
            }
        }
    }

    /// All generated tokens, the one that ended it included.
    pub(crate) fn ids(&self) -> Vec<u32> {
        let stop = self.outcome.iter().filter_map(|outcome| outcome.stop.as_ref());
        self.tokens.iter().chain(stop).map(|token| token.id).collect()
    }

    /// `stop` or `length`.
    pub(crate) fn finish_reason(&self) -> Option<&'static str> {
        Some(match self.outcome.as_ref()?.ending {
            Ending::Answered | Ending::Called | Ending::StopText(_) => "stop",
            Ending::OutputTokens
            | Ending::Context
            | Ending::Memory
            | Ending::Deadline
            | Ending::Cancelled
            | Ending::Failed => "length",
        })
    }

    /// Whether the text is without this token: it is a control token, and these are not wanted.
    pub(crate) fn leaves_out(&self, id: u32) -> bool {
        self.skip_special && self.vocabulary.text_bytes(id).is_none()
    }

    /// The text without the spellings of control tokens: each is cut out of the piece that its token came with.
    fn without_control(&self, text: &str, tokens: &[TokenLogprob]) -> String {
        let mut kept = String::with_capacity(text.len());
        let mut rest = text;
        for token in tokens {
            if !self.leaves_out(token.id) {
                continue;
            }
            let spelling = String::from_utf8_lossy(&token.bytes);
            if let Some((before, behind)) = rest.split_once(&*spelling) {
                kept.push_str(before);
                rest = behind;
            }
        }
        kept + rest
    }
}

/// A token in a JSON string; bytes that are no text are spelled as OpenAI spells them.
pub(crate) fn token_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().fold("bytes:".to_owned(), |text, byte| text + &format!("\\x{byte:02x}")),
    }
}
