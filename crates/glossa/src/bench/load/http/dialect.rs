//! What servers are sent and what their events say, in the two ways of speaking that there are. It must not know how bytes
//! travel.

use serde_json::{Value, json};

use super::super::target::{Ending, Request};
use crate::arguments::Api;

/// A request's answer as far as it was read.
#[derive(Debug)]
pub(super) struct Reading {
    api: Api,
    /// Tokens that were told.
    tokens: usize,
    reason: Option<&'static str>,
    found_tokens: Option<usize>,
    computed_tokens: Option<usize>,
}

/// What an event says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Tokens that came with it; nothing for those whose id is not told.
    pub(super) tokens: Vec<Option<u32>>,
    /// The answer is whole.
    pub(super) is_end: bool,
}

/// Where requests go.
pub(super) fn path(api: Api) -> &'static str {
    match api {
        Api::LlamaCpp => "/completion",
        Api::OpenAi => "/v1/completions",
    }
}

/// A request's body.
pub(super) fn body(api: Api, model: &str, request: &Request) -> Value {
    match api {
        Api::LlamaCpp => json!({
            "prompt": request.prompt,
            "n_predict": request.answer_tokens,
            "ignore_eos": true,
            "cache_prompt": true,
            "stream": true,
            "temperature": 0,
            "return_tokens": true,
        }),
        Api::OpenAi => json!({
            "model": model,
            "prompt": request.prompt,
            "max_tokens": request.answer_tokens,
            "ignore_eos": true,
            "stream": true,
            "stream_options": {"include_usage": true},
            "temperature": 0,
        }),
    }
}

impl Reading {
    pub(super) fn new(api: Api) -> Self {
        Self { api, tokens: 0, reason: None, found_tokens: None, computed_tokens: None }
    }

    /// Takes an event in, or says what is wrong with it.
    pub(super) fn read(&mut self, data: &str) -> Result<Step, String> {
        if self.api == Api::OpenAi && data.trim() == "[DONE]" {
            return Ok(Step { tokens: Vec::new(), is_end: true });
        }
        let event: Value =
            serde_json::from_str(data).map_err(|error| format!("an event is no JSON ({error}): {}", start(data)))?;
        if let Some(error) = event.get("error") {
            return Err(format!("it failed: {}", start(&error.to_string())));
        }
        match self.api {
            Api::LlamaCpp => Ok(self.read_llama_cpp(&event)),
            Api::OpenAi => Ok(self.read_open_ai(&event)),
        }
    }

    /// Events count tokens from the beginning. One is held back while its text is no whole character; the next then counts
    /// further by two.
    fn read_llama_cpp(&mut self, event: &Value) -> Step {
        let ids: Vec<u32> = list(&event["tokens"]).iter().filter_map(|id| u32::try_from(id.as_u64()?).ok()).collect();
        let count = number(&event["tokens_predicted"]).unwrap_or(self.tokens + ids.len());
        let is_end = event["stop"].as_bool() == Some(true);
        if is_end {
            let timings = &event["timings"];
            self.computed_tokens = number(&timings["prompt_n"]);
            let without = || number(&event["tokens_evaluated"])?.checked_sub(self.computed_tokens?);
            self.found_tokens = number(&timings["cache_n"]).or_else(without);
            self.reason = Some(match (event["truncated"].as_bool(), event["stop_type"].as_str()) {
                (Some(true), _) => "context",
                (_, Some("limit")) => "length",
                (_, Some("eos" | "word")) => "stop",
                _ => "other",
            });
        }
        Step { tokens: self.advance(count, &ids), is_end }
    }

    /// An event with a text is a token, unless the event or the end counts differently.
    fn read_open_ai(&mut self, event: &Value) -> Step {
        let choice = &event["choices"][0];
        let has_text = choice["text"].as_str().is_some_and(|text| !text.is_empty());
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.reason = Some(match reason {
                "length" => "length",
                "stop" => "stop",
                _ => "other",
            });
        }
        let usage = &event["usage"];
        if let Some(prompt) = number(&usage["prompt_tokens"]) {
            self.found_tokens = number(&usage["prompt_tokens_details"]["cached_tokens"]);
            self.computed_tokens = self.found_tokens.and_then(|found| prompt.checked_sub(found));
        }
        let count = number(&usage["completion_tokens"]).unwrap_or(self.tokens + usize::from(has_text));
        Step { tokens: self.advance(count, &[]), is_end: false }
    }

    /// Tokens up to a count, of which the last have these ids.
    fn advance(&mut self, count: usize, ids: &[u32]) -> Vec<Option<u32>> {
        let new = count.saturating_sub(self.tokens);
        self.tokens += new;
        let known = ids.len().min(new);
        let unknown = std::iter::repeat_n(None, new - known);
        unknown.chain(ids[ids.len() - known..].iter().copied().map(Some)).collect()
    }

    /// How the answer ended.
    pub(super) fn ending(self) -> Ending {
        Ending {
            reason: self.reason.unwrap_or("other"),
            found_tokens: self.found_tokens,
            computed_tokens: self.computed_tokens,
        }
    }
}

/// The beginning of what a server said, for a message.
pub(super) fn start(text: &str) -> String {
    const CHARACTERS_MAX: usize = 300;
    let mut start: String = text.trim().chars().take(CHARACTERS_MAX).collect();
    if start.len() < text.trim().len() {
        start.push('…');
    }
    start
}

/// A count in JSON.
pub(super) fn number(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::{Reading, Step, body};
    use crate::arguments::Api;
    use crate::bench::load::target::{Ending, Request};

    fn steps(api: Api, events: &[&str]) -> (Vec<Step>, Ending) {
        let mut reading = Reading::new(api);
        let steps = events.iter().map(|event| reading.read(event).unwrap()).collect();
        (steps, reading.ending())
    }

    fn step(tokens: &[Option<u32>]) -> Step {
        Step { tokens: tokens.to_vec(), is_end: false }
    }

    #[test]
    fn llama_cpp_holds_a_token_back() {
        let (steps, ending) = steps(
            Api::LlamaCpp,
            &[
                r#"{"content":"a","tokens":[5],"stop":false,"tokens_predicted":1}"#,
                r#"{"content":"b","tokens":[7],"stop":false,"tokens_predicted":3}"#,
                r#"{"content":"","tokens":[],"stop":true,"stop_type":"limit","truncated":false,"tokens_predicted":4,
                    "tokens_evaluated":100,"timings":{"prompt_n":30,"cache_n":70,"predicted_n":4}}"#,
            ],
        );
        assert_eq!(steps[..2], [step(&[Some(5)]), step(&[None, Some(7)])]);
        assert_eq!(steps[2], Step { tokens: vec![None], is_end: true });
        assert_eq!(ending, Ending { reason: "length", found_tokens: Some(70), computed_tokens: Some(30) });
    }

    #[test]
    fn an_older_llama_cpp_says_less() {
        let (steps, ending) = steps(
            Api::LlamaCpp,
            &[
                r#"{"content":"a","tokens":[5,6],"stop":false}"#,
                r#"{"content":"","stop":true,"tokens_evaluated":9,"timings":{"prompt_n":4}}"#,
            ],
        );
        assert_eq!(steps[0], step(&[Some(5), Some(6)]));
        assert_eq!(ending, Ending { reason: "other", found_tokens: Some(5), computed_tokens: Some(4) });
    }

    #[test]
    fn open_ai_counts_texts_and_the_end_counts_the_rest() {
        let (steps, ending) = steps(
            Api::OpenAi,
            &[
                r#"{"choices":[{"text":"a","finish_reason":null}]}"#,
                r#"{"choices":[{"text":"","finish_reason":null}]}"#,
                r#"{"choices":[{"text":"","finish_reason":"length"}]}"#,
                r#"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":8}}}"#,
                "[DONE]",
            ],
        );
        assert_eq!(steps[..4], [step(&[None]), step(&[]), step(&[]), step(&[None, None])]);
        assert!(steps[4].is_end);
        assert_eq!(ending, Ending { reason: "length", found_tokens: Some(8), computed_tokens: Some(2) });
    }

    #[test]
    fn several_tokens_in_one_event_are_counted_where_the_server_says() {
        let event = |text, count| {
            format!(r#"{{"choices":[{{"text":"{text}"}}],"usage":{{"prompt_tokens":1,"completion_tokens":{count}}}}}"#)
        };
        let (steps, ending) = steps(Api::OpenAi, &[&event("abc", 3), &event("d", 4)]);
        assert_eq!(steps, [step(&[None; 3]), step(&[None])]);
        assert_eq!(ending.found_tokens, None, "this server does not say");
    }

    #[test]
    fn failures_are_told() {
        let failure = |data| Reading::new(Api::OpenAi).read(data).unwrap_err();
        assert!(failure(r#"{"error":{"message":"no room"}}"#).contains("no room"));
        assert!(failure("{\"choices\":").contains("no JSON"));
        let long = "x".repeat(10_000);
        assert!(failure(&long).len() < 1000);
    }

    #[test]
    fn bodies_ask_for_the_same() {
        let request = Request::new(vec![1, 2], 3);
        let native = body(Api::LlamaCpp, "", &request);
        assert_eq!((&native["prompt"], &native["n_predict"]), (&[1, 2].into(), &3.into()));
        let open = body(Api::OpenAi, "m", &request);
        assert_eq!((&open["prompt"], &open["max_tokens"], &open["model"]), (&[1, 2].into(), &3.into(), &"m".into()));
    }
}
