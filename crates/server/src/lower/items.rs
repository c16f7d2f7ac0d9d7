//! Items of the wire as the agent takes them. What clients leave out and the server still knows is put back: items that they only
//! name, thoughts before calls, tokens as sampled. It must not know requests.

mod piece;

use std::collections::HashSet;

use agent::{Call, Item, Tool};
use serde_json::{Value, json};

use crate::app::App;
use crate::caller::Caller;
use crate::compaction;
use crate::error::ApiError;
use crate::history::HistoryItem;
use crate::project::responses::response_of;
use crate::stored::Stored;
use crate::thoughts;
use crate::wire::responses::{InputItem, Meaning};
use piece::Piece;

/// A conversation for the agent.
#[derive(Debug)]
pub(super) struct Conversation {
    /// What developers said before everything.
    pub(super) instructions: Vec<String>,
    /// Everything else, oldest first.
    pub(super) items: Vec<Item>,
    /// The new input as it is kept.
    pub(super) input: Vec<HistoryItem>,
}

/// Items that are kept, for the agent.
///
/// # Errors
/// An item that this program cannot read.
pub(crate) fn of_history(history: &[HistoryItem]) -> Result<Vec<Item>, ApiError> {
    let pieces: Vec<Piece> = pieces(history)?;
    Ok(pieces.into_iter().flat_map(|piece| piece.items(&[])).collect())
}

/// A new item as it is kept outside of a request: with an id; one that only names another is that one.
///
/// # Errors
/// A name that leads nowhere; where the store fails.
pub(crate) async fn kept(app: &App, caller: &Caller, item: &InputItem) -> Result<HistoryItem, ApiError> {
    let InputItem { path, value, meaning } = item;
    match meaning {
        Meaning::Reference(id) => lookup(app, caller, id).await?.ok_or_else(|| no_item(path, id)),
        Meaning::Compaction(_) => {
            compaction::open(app, caller, value)?;
            Ok(HistoryItem { value: named(app, value), tokens: None })
        }
        _ => {
            let tokens = Piece::new(app, caller, path, meaning)?.tokens;
            Ok(HistoryItem { value: named(app, value), tokens })
        }
    }
}

/// What came before and new input, for the agent.
pub(super) async fn conversation(
    app: &App,
    caller: &Caller,
    history: &[HistoryItem],
    input: &[InputItem],
    tools: &[Tool],
) -> Result<Conversation, ApiError> {
    let mut pieces = pieces(history)?;
    let mut kept: Vec<HistoryItem> = Vec::new();
    let mut ids: HashSet<String> = history.iter().map(|item| item.id().to_owned()).collect();
    for InputItem { path, value, meaning } in input {
        match meaning {
            Meaning::Reference(id) => {
                // What stands in the conversation already need not be said again.
                if ids.contains(id) {
                    continue;
                }
                let found = lookup(app, caller, id).await?.ok_or_else(|| no_item(path, id))?;
                pieces.push(Piece::of(&found, path)?);
                kept.push(found);
            }
            Meaning::Compaction(_) => {
                let content = compaction::open(app, caller, value)?;
                for item in &content {
                    pieces.push(Piece::of(item, path)?);
                }
                kept.push(HistoryItem { value: named(app, value), tokens: None });
            }
            _ => {
                let piece = Piece::new(app, caller, path, meaning)?;
                kept.push(HistoryItem { value: named(app, value), tokens: piece.tokens.clone() });
                pieces.push(piece);
            }
        }
        ids.extend(kept.last().map(|item| item.id().to_owned()));
    }
    let mut pieces = recall(app, caller, pieces).await?;
    let orphans = orphans(&pieces);
    // Nobody can mend what is kept: an output whose call was deleted since is left out.
    if let Some((path, call_id)) = orphans.iter().find(|(path, _)| !path.starts_with(HISTORY)) {
        return Err(no_call(path, call_id));
    }
    pieces.retain(|piece| !orphans.iter().any(|(path, _)| *path == piece.path));
    let leading = pieces.iter().take_while(|piece| piece.developer().is_some()).count();
    let instructions = pieces.iter().take(leading).filter_map(Piece::developer).map(str::to_owned).collect();
    let items = pieces.into_iter().skip(leading).flat_map(|piece| piece.items(tools)).collect();
    Ok(Conversation { instructions, items, input: kept })
}

/// How paths of items begin that are kept already.
const HISTORY: &str = "history";

fn pieces(history: &[HistoryItem]) -> Result<Vec<Piece>, ApiError> {
    history.iter().enumerate().map(|(index, item)| Piece::of(item, &format!("{HISTORY}[{index}]"))).collect()
}

/// Refuses new outputs of a conversation that answer no call of it. What the server may still know of the call by itself does not
/// count: it does not stay as long as the conversation.
///
/// # Errors
/// 400 `unknown_call_id`, with the path of the first.
pub(crate) fn check_new_outputs(
    history: &[HistoryItem],
    new: &[InputItem],
    kept: &[HistoryItem],
) -> Result<(), ApiError> {
    let mut all = pieces(history)?;
    for (item, kept) in new.iter().zip(kept) {
        all.push(Piece::of(kept, &item.path)?);
    }
    // What is sealed in a short form of the conversation may be a call.
    if all.iter().any(|piece| matches!(piece.meaning, Meaning::Compaction(_))) {
        return Ok(());
    }
    let new = orphans(&all).into_iter().find(|(path, _)| !path.starts_with(HISTORY));
    new.map_or(Ok(()), |(path, call_id)| Err(no_call(&path, &call_id)))
}

/// An item that belongs to a response that is kept. The item's name says to which.
async fn lookup(app: &App, caller: &Caller, id: &str) -> Result<Option<HistoryItem>, ApiError> {
    let Some(response_id) = response_of(id) else { return Ok(None) };
    let Some(found) = Stored::get(app, &caller.owner, &response_id).await? else { return Ok(None) };
    let stored = found.stored;
    let output = stored.output();
    Ok(stored.input.into_iter().chain(output).find(|item| item.id() == id))
}

fn no_item(path: &str, id: &str) -> ApiError {
    let message = format!(
        "{path}: there is no item {id:?}: its response was not stored, has expired, or belongs to another key; send the item itself"
    );
    ApiError { code: Some("item_not_found"), ..ApiError::invalid(format!("{path}.id"), message) }
}

/// The item with a type and an id, which clients may leave out.
fn named(app: &App, value: &Value) -> Value {
    let mut value = value.clone();
    if value.get("type").is_none_or(Value::is_null) {
        value["type"] = json!("message");
    }
    if value.get("id").and_then(Value::as_str).is_none_or(str::is_empty) {
        let prefix = match value["type"].as_str().unwrap_or_default() {
            "message" => "msg",
            "reasoning" => "rs",
            "function_call" => "fc",
            "function_call_output" => "fco",
            "custom_tool_call" => "ctc",
            "custom_tool_call_output" => "ctco",
            "compaction" => "cmp",
            _ => "item",
        };
        value["id"] = json!(app.ids().next(prefix));
    }
    value
}

/// Puts back what the server knows and the client left out: thoughts before calls, calls before outputs, tokens as sampled.
async fn recall(app: &App, caller: &Caller, pieces: Vec<Piece>) -> Result<Vec<Piece>, ApiError> {
    let mut whole: Vec<Piece> = Vec::with_capacity(pieces.len());
    // Where the turn of the model begins that is being put together.
    let mut turn_at = 0;
    let mut calls: HashSet<String> = HashSet::new();
    for mut piece in pieces {
        let is_recalled = match &piece.meaning {
            Meaning::Call(call) => piece.tokens.is_none().then(|| call.id.clone()),
            // A client that sends only outputs leaves out the calls themselves.
            Meaning::Output { call_id, .. } => (!calls.contains(call_id)).then(|| call_id.clone()),
            _ => None,
        };
        if let Some(call_id) = is_recalled
            && let Some(found) = thoughts::find(app, caller, &call_id).await
        {
            let said = found.iter().map(|item| Piece::of(item, "input")).collect::<Result<Vec<_>, _>>()?;
            if let Meaning::Call(call) = &piece.meaning {
                piece.tokens = tokens_of(call, &said);
            }
            let missing = missing(&whole[turn_at..], &said, &piece);
            calls.extend(missing.iter().filter_map(Piece::call_id).map(str::to_owned));
            whole.splice(turn_at..turn_at, missing);
        }
        calls.extend(piece.call_id().map(str::to_owned));
        let is_of_model = piece.is_of_model();
        whole.push(piece);
        if !is_of_model {
            turn_at = whole.len();
        }
    }
    Ok(whole)
}

/// The tokens of a call that comes back unchanged.
fn tokens_of(call: &Call, said: &[Piece]) -> Option<Vec<u32>> {
    let same = said.iter().find(|piece| {
        matches!(&piece.meaning, Meaning::Call(known) if known.id == call.id && known.input == call.input && known.tool.name == call.tool.name)
    });
    same.and_then(|piece| piece.tokens.clone())
}

/// What belongs to the beginning of the model's turn and does not stand there: thoughts, and before an output also calls.
fn missing(turn: &[Piece], said: &[Piece], piece: &Piece) -> Vec<Piece> {
    let is_output = matches!(piece.meaning, Meaning::Output { .. });
    let has_thoughts = turn.iter().any(Piece::is_thought);
    let missing = |known: &&Piece| match &known.meaning {
        Meaning::Reasoning { .. } => !has_thoughts,
        Meaning::Call(call) => {
            is_output && !turn.iter().any(|piece| matches!(&piece.meaning, Meaning::Call(known) if known.id == call.id))
        }
        _ => false,
    };
    said.iter().filter(missing).cloned().collect()
}

/// Outputs that answer no call before them: their paths and the calls they name.
fn orphans(pieces: &[Piece]) -> Vec<(String, String)> {
    let mut calls = HashSet::new();
    let mut orphans = Vec::new();
    for piece in pieces {
        match &piece.meaning {
            Meaning::Output { call_id, .. } if !calls.contains(call_id.as_str()) => {
                orphans.push((piece.path.clone(), call_id.clone()));
            }
            _ => calls.extend(piece.call_id()),
        }
    }
    orphans
}

fn no_call(path: &str, call_id: &str) -> ApiError {
    let path = format!("{path}.call_id");
    let message =
        format!("{path}: no call {call_id:?} comes before its output; send the call too, or leave the output out");
    ApiError { code: Some("unknown_call_id"), ..ApiError::invalid(path, message) }
}
