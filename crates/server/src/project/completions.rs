//! Completions of text: chunks while they go on, and the object at the end; the one is the other, put together. It must not know
//! requests.

mod logprobs;

use agent::RawEvent;
use harmony::Vocabulary;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::project::chat::FINGERPRINT;
use crate::project::raw::RawText;
use logprobs::LogprobLists;

/// Everything about an answer that is known before it begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct CompletionHead {
    /// `cmpl-…`.
    pub(crate) id: String,
    /// Unix seconds.
    pub(crate) created: i64,
    /// The model's name, as asked for.
    pub(crate) model: String,
    /// Whether the prompt comes before its completion.
    pub(crate) echo: bool,
    /// Whether log probabilities are told.
    pub(crate) logprobs: bool,
    /// Whether control tokens are left out of the text.
    pub(crate) skip_special: bool,
    /// Whether token ids are told.
    pub(crate) return_ids: bool,
    /// The texts that may end a completion.
    pub(crate) stop: Vec<String>,
    /// Whether a last chunk tells the usage.
    pub(crate) usage_chunk: bool,
}

/// Completions as far as they have come.
pub(crate) struct CompletionProjection {
    head: CompletionHead,
    vocabulary: Vocabulary,
    choices: Vec<Choice>,
    /// Choices of each prompt.
    per_prompt: usize,
}

struct Choice {
    prompt_text: String,
    prompt_ids: Vec<u32>,
    raw: RawText,
    logprobs: LogprobLists,
}

impl CompletionProjection {
    /// So many completions of each prompt, which is given as its tokens.
    pub(crate) fn new(head: CompletionHead, vocabulary: &Vocabulary, prompts: &[Vec<u32>], per_prompt: usize) -> Self {
        let choice = |ids: &Vec<u32>| {
            let is_wanted = head.echo || head.logprobs;
            let prompt_text = if is_wanted { vocabulary.decode(ids) } else { String::new() };
            let offset = if head.echo { 0 } else { prompt_text.chars().count() };
            Choice {
                prompt_text,
                prompt_ids: ids.clone(),
                raw: RawText::new(vocabulary.clone(), head.skip_special),
                logprobs: LogprobLists::beginning_at(offset),
            }
        };
        let choices = prompts.iter().flat_map(|ids| (0..per_prompt).map(move |_| choice(ids))).collect();
        Self { choices, head, vocabulary: vocabulary.clone(), per_prompt }
    }

    /// The prompts, where they are to be seen.
    pub(crate) fn start(&self) -> Vec<Value> {
        let wanted = self.head.echo || self.head.return_ids;
        let count = if wanted { self.choices.len() } else { 0 };
        let chunk = |index: usize| {
            let choice = &self.choices[index];
            let text = if self.head.echo { choice.prompt_text.as_str() } else { "" };
            let mut told = json!({ "index": index, "text": text, "logprobs": null, "finish_reason": null });
            if self.head.return_ids {
                told["prompt_token_ids"] = json!(choice.prompt_ids);
                told["token_ids"] = json!([]);
            }
            self.chunk(told)
        };
        (0..count).map(chunk).collect()
    }

    /// What an event of a choice adds.
    pub(crate) fn push(&mut self, index: usize, event: &RawEvent) -> Vec<Value> {
        let Some(choice) = self.choices.get_mut(index) else { return Vec::new() };
        let piece = choice.raw.push(event);
        let mut told = json!({ "index": index, "text": "", "logprobs": null, "finish_reason": null });
        if let Some(piece) = piece {
            told["text"] = json!(piece.text);
            if self.head.logprobs {
                told["logprobs"] = choice.logprobs.push(piece.tokens, |id| choice.raw.leaves_out(id));
            }
            if self.head.return_ids {
                told["token_ids"] = piece.tokens.iter().map(|token| token.id).collect();
            }
            let silent = piece.text.is_empty() && (piece.tokens.is_empty() || told["logprobs"].is_null());
            return if silent && !self.head.return_ids { Vec::new() } else { vec![self.chunk(told)] };
        }
        let RawEvent::Finished(outcome) = event else { return Vec::new() };
        told["finish_reason"] = json!(self.choices[index].raw.finish_reason());
        told["stop_reason"] = self.stop_reason(index);
        if self.head.return_ids {
            told["token_ids"] = outcome.stop.iter().map(|token| token.id).collect();
        }
        vec![self.chunk(told)]
    }

    /// The last chunk, where it is wanted, when all choices have ended.
    pub(crate) fn end(&self) -> Option<Value> {
        self.head.usage_chunk.then(|| {
            let mut chunk = self.envelope();
            chunk.insert("choices".to_owned(), json!([]));
            chunk.insert("usage".to_owned(), self.usage());
            Value::Object(chunk)
        })
    }

    /// What a client is told in the middle of a stream.
    pub(crate) fn fail(&self, error: &ApiError) -> Value {
        error.body()
    }

    /// The whole answer.
    pub(crate) fn object(&self) -> Value {
        let choices: Vec<Value> = (0..self.choices.len()).map(|index| self.choice(index)).collect();
        let mut object = self.envelope();
        object.insert("choices".to_owned(), Value::Array(choices));
        object.insert("usage".to_owned(), self.usage());
        Value::Object(object)
    }

    fn choice(&self, index: usize) -> Value {
        let Choice { prompt_text, prompt_ids, raw, logprobs } = &self.choices[index];
        let text = if self.head.echo { format!("{prompt_text}{}", raw.text) } else { raw.text.clone() };
        let lists = self.head.logprobs.then(|| {
            if self.head.echo {
                let is_left_out = |id| raw.leaves_out(id);
                LogprobLists::default().whole(&raw.prompt, &raw.tokens, &self.vocabulary, is_left_out)
            } else {
                logprobs.told()
            }
        });
        let mut told = json!({
            "index": index, "text": text, "logprobs": lists, "finish_reason": raw.finish_reason(),
            "stop_reason": self.stop_reason(index),
        });
        if self.head.return_ids {
            told["prompt_token_ids"] = json!(prompt_ids);
            told["token_ids"] = json!(raw.ids());
        }
        told
    }

    /// The text or the token that ended a completion.
    fn stop_reason(&self, index: usize) -> Value {
        let outcome = self.choices[index].raw.outcome.as_ref();
        match outcome.map(|outcome| (outcome.ending, &outcome.stop)) {
            Some((agent::Ending::StopText(which), _)) => json!(self.head.stop.get(which)),
            Some((_, Some(token))) => json!(token.id),
            Some((_, None)) | None => Value::Null,
        }
    }

    fn envelope(&self) -> Map<String, Value> {
        let head = &self.head;
        let fields = [
            ("id", json!(head.id)),
            ("object", json!("text_completion")),
            ("created", json!(head.created)),
            ("model", json!(head.model)),
            ("system_fingerprint", json!(FINGERPRINT)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn chunk(&self, choice: Value) -> Value {
        let mut chunk = self.envelope();
        chunk.insert("choices".to_owned(), Value::Array(vec![choice]));
        if self.head.usage_chunk {
            chunk.insert("usage".to_owned(), Value::Null);
        }
        Value::Object(chunk)
    }

    /// A prompt is read once, however many completions it has.
    fn usage(&self) -> Value {
        let prompt: usize =
            self.choices.iter().step_by(self.per_prompt.max(1)).map(|choice| choice.prompt_ids.len()).sum();
        let outcomes = || self.choices.iter().filter_map(|choice| choice.raw.outcome.as_ref());
        let output: usize = outcomes().map(|outcome| outcome.usage.output_tokens).sum();
        let cached: usize = outcomes().step_by(self.per_prompt.max(1)).map(|outcome| outcome.usage.cached_tokens).sum();
        json!({
            "prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output,
            "prompt_tokens_details": { "cached_tokens": cached },
        })
    }
}
