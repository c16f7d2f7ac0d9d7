//! A completion as SGLang's routers read it: each piece repeats all that came before. It must not know requests.

use agent::{Ending, RawEvent, TokenLogprob};
use engine::PromptLogprob;
use harmony::Vocabulary;
use serde_json::{Value, json};

use crate::project::logprob::finite;
use crate::project::raw::{RawText, token_text};

/// Everything about an answer that is known before it begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct GenerateHead {
    /// The request's name.
    pub(crate) id: String,
    /// Tokens of the prompt.
    pub(crate) prompt_tokens: usize,
    /// The texts that may end it.
    pub(crate) stop: Vec<String>,
    /// Whether log probabilities are told.
    pub(crate) logprobs: bool,
    /// From which token of the prompt on they are told.
    pub(crate) logprobs_from: Option<usize>,
}

/// A completion as far as it has come.
pub(crate) struct GenerateProjection {
    head: GenerateHead,
    vocabulary: Vocabulary,
    raw: RawText,
}

impl GenerateProjection {
    /// A completion of which nothing has come.
    pub(crate) fn new(head: GenerateHead, vocabulary: &Vocabulary, skip_special: bool) -> Self {
        Self { head, vocabulary: vocabulary.clone(), raw: RawText::new(vocabulary.clone(), skip_special) }
    }

    /// Takes an event up; whether it has changed the answer, which grows with every token and is put together only to be told.
    pub(crate) fn push(&mut self, event: &RawEvent) -> bool {
        self.raw.push(event).is_some() || matches!(event, RawEvent::Finished(_))
    }

    /// The answer so far.
    pub(crate) fn object(&self) -> Value {
        let GenerateHead { id, prompt_tokens, stop: _, logprobs, logprobs_from } = &self.head;
        let ids = self.raw.ids();
        let cached = self.raw.outcome.as_ref().map_or(0, |outcome| outcome.usage.cached_tokens);
        let mut meta = json!({
            "id": id, "finish_reason": self.finish_reason(), "prompt_tokens": prompt_tokens,
            "completion_tokens": ids.len(), "cached_tokens": cached,
        });
        if *logprobs {
            let tokens: Vec<&TokenLogprob> = self
                .raw
                .tokens
                .iter()
                .chain(self.raw.outcome.iter().filter_map(|outcome| outcome.stop.as_ref()))
                .collect();
            meta["output_token_logprobs"] = tokens.iter().map(|token| sampled(token)).collect();
            meta["output_top_logprobs"] = tokens.iter().map(|token| alternatives(token)).collect();
        }
        if let Some(from) = logprobs_from {
            let prompt = self.raw.prompt.get(*from..).unwrap_or_default();
            meta["input_token_logprobs"] = prompt.iter().map(|token| self.read(token)).collect();
        }
        json!({ "text": self.raw.text, "output_ids": ids, "meta_info": meta })
    }

    fn finish_reason(&self) -> Value {
        let Some(outcome) = &self.raw.outcome else { return Value::Null };
        match (outcome.ending, &outcome.stop) {
            (Ending::StopText(which), _) => json!({ "type": "stop", "matched": self.head.stop.get(which) }),
            (_, Some(token)) => json!({ "type": "stop", "matched": token.id }),
            (_, None) => json!({ "type": "length", "length": self.raw.ids().len() }),
        }
    }

    fn read(&self, token: &PromptLogprob) -> Value {
        let bytes = self.vocabulary.token_bytes(token.id).unwrap_or("\u{FFFD}".as_bytes());
        json!([token.logprob.map(finite), token.id, token_text(bytes)])
    }
}

fn sampled(token: &TokenLogprob) -> Value {
    json!([finite(token.logprob), token.id, token_text(&token.bytes)])
}

fn alternatives(token: &TokenLogprob) -> Value {
    token.top.iter().map(|(bytes, logprob)| json!([finite(*logprob), Value::Null, token_text(bytes)])).collect()
}
