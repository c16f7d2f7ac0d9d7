//! What a stored item shows besides its usual fields, where a request asks for it. It must not know where items lie.

use serde_json::Value;

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::history::HistoryItem;
use crate::lower::sealed;
use crate::project::resource::resource;
use crate::wire::query::Query;

/// What OpenAI's API knows. Only sealed thoughts are left out unless asked for; the rest is shown where it was kept.
const KNOWN: [&str; 8] = [
    ENCRYPTED_REASONING,
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "message.output_text.logprobs",
];
const ENCRYPTED_REASONING: &str = "reasoning.encrypted_content";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Include {
    encrypted_reasoning: bool,
}

impl Include {
    /// Reads the query's `include`.
    ///
    /// # Errors
    /// A name that OpenAI's API does not know.
    pub(crate) fn read(query: &Query) -> Result<Self, ApiError> {
        if let Some(name) = query.all("include").find(|name| !KNOWN.contains(name)) {
            let name: String = name.chars().take(60).collect();
            return Err(ApiError::invalid(
                "include",
                format!("include is {name:?}: expected one of {}", KNOWN.join(", ")),
            ));
        }
        Ok(Self { encrypted_reasoning: query.all("include").any(|name| name == ENCRYPTED_REASONING) })
    }

    /// The item as it is shown.
    pub(crate) fn shown(self, app: &App, caller: &Caller, item: HistoryItem) -> Value {
        let is_reasoning = item.kind() == "reasoning";
        let is_sealed = item.value["encrypted_content"].is_string();
        let sealed =
            (is_reasoning && self.encrypted_reasoning && !is_sealed).then(|| sealed::reasoning(app, caller, &item));
        let HistoryItem { mut value, tokens: _ } = item;
        if let Some(sealed) = sealed {
            value["encrypted_content"] = sealed.into();
        }
        resource(value)
    }
}
