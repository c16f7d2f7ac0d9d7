//! Prompts of text or tokens to completions without messages. It must not know an API.

use std::time::Instant;

use agent::RawRequest;
use engine::{Job, Priority, Sampling};
use harmony::Vocabulary;

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::lower::responses::tenant;
use crate::turns::long;
use crate::wire::completions::Prompt;

/// What the completions of one request have in common.
pub(crate) struct Wanted<'a> {
    pub(crate) tokens_max: usize,
    pub(crate) stop: &'a [String],
    pub(crate) stop_ids: &'a [u32],
    /// Whether the model's own ends are passed over.
    pub(crate) ignore_ends: bool,
    /// Alternatives that are told with each token.
    pub(crate) logprobs: Option<usize>,
    /// Whether those of the prompt are told too.
    pub(crate) prompt_logprobs: bool,
    pub(crate) priority: Priority,
    pub(crate) cache_salt: Option<&'a str>,
}

/// A prompt as tokens. A text becomes text: what it spells is no control token unless the caller says that it may be.
///
/// # Errors
/// When it is empty, or names a token that does not exist.
pub(crate) fn ids(vocabulary: &Vocabulary, prompt: &Prompt, parse_special: bool) -> Result<Vec<u32>, ApiError> {
    let ids = long(|| match prompt {
        Prompt::Text(text) if parse_special => vocabulary.encode_with_specials(text),
        Prompt::Text(text) => vocabulary.encode(text),
        Prompt::Ids(ids) => ids.clone(),
    });
    check(vocabulary, &ids)?;
    if ids.is_empty() {
        return Err(ApiError::invalid("prompt", "the prompt is empty; give a text or tokens"));
    }
    Ok(ids)
}

/// Refuses tokens that do not exist.
pub(crate) fn check(vocabulary: &Vocabulary, ids: &[u32]) -> Result<(), ApiError> {
    match ids.iter().find(|&&id| vocabulary.token_bytes(id).is_none()) {
        Some(id) => {
            Err(ApiError::invalid("prompt", format!("there is no token {id}; ids are below {}", vocabulary.size())))
        }
        None => Ok(()),
    }
}

/// A completion of these tokens.
pub(crate) fn request(
    app: &App,
    caller: &Caller,
    ids: Vec<u32>,
    sampling: Sampling,
    wanted: &Wanted<'_>,
) -> RawRequest {
    let Wanted { tokens_max, stop, stop_ids, ignore_ends, logprobs, prompt_logprobs, priority, cache_salt } = wanted;
    let own = if *ignore_ends { &[] } else { app.agent().stop_ids() };
    let job = Job {
        sampling,
        stop_ids: own.iter().chain(*stop_ids).copied().collect(),
        tokens_max: Some(*tokens_max),
        top_logprobs: *logprobs,
        prompt_logprobs: prompt_logprobs.then_some(logprobs.unwrap_or(0)),
        priority: *priority,
        deadline: app.settings().request_timeout.map(|time| Instant::now() + time),
        tenant: tenant(caller, *cache_salt),
        ..Job::new(ids)
    };
    RawRequest { job, stop: stop.to_vec() }
}
