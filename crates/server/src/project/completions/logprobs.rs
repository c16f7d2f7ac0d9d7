//! Log probabilities as lists beside each other. It must not know completions.

use agent::TokenLogprob;
use engine::PromptLogprob;
use harmony::{TextStream, Vocabulary};
use serde_json::{Map, Value, json};

use crate::project::logprob::finite;
use crate::project::raw::token_text;

/// Tokens, where each begins in the text (in letters), how likely it is, and what else might have come.
#[derive(Default)]
pub(super) struct LogprobLists {
    tokens: Vec<Value>,
    token_logprobs: Vec<Value>,
    top_logprobs: Vec<Value>,
    text_offset: Vec<Value>,
    /// Letters of all tokens so far.
    letters: usize,
    characters: TextStream,
}

impl LogprobLists {
    /// Lists whose first token begins so many letters behind the beginning of the text.
    pub(super) fn beginning_at(letters: usize) -> Self {
        Self { letters, ..Self::default() }
    }

    /// Adds tokens and gives the lists of these alone. What is left out of the text takes no room in it.
    pub(super) fn push(&mut self, tokens: &[TokenLogprob], is_left_out: impl Fn(u32) -> bool) -> Value {
        let from = self.tokens.len();
        for TokenLogprob { id, bytes, logprob, top } in tokens {
            let top = top.iter().map(|(bytes, logprob)| (bytes.as_slice(), *logprob));
            self.add(bytes, Some(*logprob), top);
            if !is_left_out(*id) {
                self.advance(bytes);
            }
        }
        self.since(from)
    }

    /// The lists so far.
    pub(super) fn told(&self) -> Value {
        self.since(0)
    }

    /// The lists of a prompt and what came behind it.
    pub(super) fn whole(
        mut self,
        prompt: &[PromptLogprob],
        tokens: &[TokenLogprob],
        vocabulary: &Vocabulary,
        is_left_out: impl Fn(u32) -> bool,
    ) -> Value {
        let bytes = |id: u32| vocabulary.token_bytes(id).unwrap_or("\u{FFFD}".as_bytes());
        for PromptLogprob { id, logprob, top } in prompt {
            self.add(bytes(*id), *logprob, top.iter().map(|&(id, logprob)| (bytes(id), logprob)));
            self.advance(bytes(*id));
        }
        self.push(tokens, is_left_out);
        self.told()
    }

    fn add<'a>(&mut self, bytes: &[u8], logprob: Option<f32>, top: impl Iterator<Item = (&'a [u8], f32)>) {
        let mut others = Map::new();
        for (bytes, logprob) in top {
            // Tokens that are spelled alike are one entry: the likelier one.
            others.entry(token_text(bytes)).or_insert_with(|| json!(finite(logprob)));
        }
        if let Some(logprob) = logprob {
            others.entry(token_text(bytes)).or_insert_with(|| json!(finite(logprob)));
        }
        self.tokens.push(json!(token_text(bytes)));
        self.token_logprobs.push(json!(logprob.map(finite)));
        self.top_logprobs.push(if logprob.is_some() { Value::Object(others) } else { Value::Null });
        self.text_offset.push(json!(self.letters));
    }

    fn advance(&mut self, bytes: &[u8]) {
        let mut text = String::new();
        self.characters.push(bytes, &mut text);
        self.letters += text.chars().count();
    }

    fn since(&self, from: usize) -> Value {
        json!({
            "tokens": self.tokens[from..], "token_logprobs": self.token_logprobs[from..],
            "top_logprobs": self.top_logprobs[from..], "text_offset": self.text_offset[from..],
        })
    }
}
