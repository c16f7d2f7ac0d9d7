//! A request of the Responses API and what came before it, as the agent takes them. It must not know HTTP, nor events.

use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use agent::TurnRequest;
use engine::Drafts;

use super::{forms, items, tools};
use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::history::HistoryItem;
use crate::wire::reserve;
use crate::wire::responses::{Cache, CreateResponse, Reasoning, Retention, Text, Verbosity};

/// What the agent is asked for, and what of it is new.
#[derive(Debug)]
pub(crate) struct Lowered {
    /// For the agent.
    pub(crate) request: TurnRequest,
    /// The new input as items with ids, as they are kept.
    pub(crate) input: Vec<HistoryItem>,
}

/// A request for the agent. `history` is what came before, oldest first.
///
/// # Errors
/// What of the request cannot be had, with its path; where the store fails.
pub(crate) async fn turn_request(
    app: &App,
    caller: &Caller,
    create: &CreateResponse,
    history: &[HistoryItem],
) -> Result<Lowered, ApiError> {
    // How the answer is shown and kept is not the agent's business.
    let CreateResponse {
        model,
        input,
        source: _,
        instructions,
        tools: entries,
        tool_choice,
        parallel_tool_calls,
        max_tool_calls,
        text: Text { form, verbosity },
        reasoning: Reasoning { effort, summary: _, context },
        include: _,
        decoding,
        top_logprobs: _,
        max_output_tokens,
        reserve_answer_tokens,
        truncation,
        metadata: _,
        store: _,
        stream: _,
        background: _,
        include_obfuscation: _,
        priority,
        cache: Cache { key: _, salt, retention, options: _ },
        user: _,
        safety_identifier: _,
    } = create;
    check_model(app, model.as_deref())?;
    let settings = app.settings();
    let tools = tools::tools(entries, settings.hosted_tools)?;
    let tool_choice = tools::tool_choice(tool_choice, &tools)?;
    let conversation = items::conversation(app, caller, history, input, &tools).await?;
    let request = TurnRequest {
        instructions: instruct(instructions.as_deref(), conversation.instructions, *verbosity),
        history: conversation.items,
        tools,
        built_in: Vec::new(),
        tool_choice,
        parallel_tool_calls: *parallel_tool_calls,
        format: form.format.clone(),
        effort: effort.unwrap_or(settings.default_effort),
        reasoning_context: *context,
        reasoning_tokens_max: None,
        date: settings.date.told(),
        sampling: decoding.sampling(&app.sampling(), random(), 0),
        answer_tokens_kept: reserve::kept(*reserve_answer_tokens, settings.reserve_answer_tokens, *max_output_tokens),
        output_tokens_max: *max_output_tokens,
        tool_calls_max: *max_tool_calls,
        stop: Vec::new(),
        top_logprobs: create.logprobs(),
        truncation: *truncation,
        priority: *priority,
        deadline: settings.request_timeout.map(|time| Instant::now() + time),
        tenant: tenant(caller, salt.as_deref()),
        // What may only lie in memory is not kept at all: the cache moves on to the disk by itself.
        cached: *retention != Some(Retention::InMemory),
        drafts: Drafts::default(),
    };
    Ok(Lowered { request, input: conversation.input })
}

/// What the agent has refused, in the terms of this request.
pub(crate) fn refused(create: &CreateResponse, error: agent::Error) -> ApiError {
    forms::refused(error, &create.text.form, |index| tools::declared(&create.tools, index))
}

/// Refuses a model that is not here.
///
/// # Errors
/// 404 `model_not_found`, which names those there are.
pub(crate) fn check_model(app: &App, model: Option<&str>) -> Result<(), ApiError> {
    match model {
        Some(model) if !app.models().iter().any(|known| known == model) => Err(ApiError::no_model(model, app.models())),
        _ => Ok(()),
    }
}

/// Whose prefixes these are. A salt only ever separates further: no two owners meet, whatever they send. 0xff is in no text, so that
/// no owner's name and salt together read as another's.
pub(crate) fn tenant(caller: &Caller, salt: Option<&str>) -> Vec<u8> {
    let mut tenant = caller.tenant();
    if let Some(salt) = salt {
        tenant.push(0xff);
        tenant.extend(salt.as_bytes());
    }
    tenant
}

/// The system prompt: the request's own, then what developers said before everything, then one line on the length. The model was not
/// trained for verbosity by any other means.
pub(super) fn instruct(own: Option<&str>, before: Vec<String>, verbosity: Option<Verbosity>) -> Option<String> {
    let length = length_line(verbosity);
    let own = own.filter(|text| !text.is_empty()).map(str::to_owned);
    let parts: Vec<String> = own.into_iter().chain(before).chain(length.map(str::to_owned)).collect();
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}

/// How the model is told how long its answers should be.
fn length_line(verbosity: Option<Verbosity>) -> Option<&'static str> {
    match verbosity {
        None | Some(Verbosity::Medium) => None,
        Some(Verbosity::Low) => Some("Keep your answers short."),
        Some(Verbosity::High) => Some("Answer at length and in detail."),
    }
}

/// Another number each time.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(())
}
