//! A conversation made shorter: what a compaction item holds, and putting it back where one is handed in. It must not know HTTP.
//!
//! The item holds, sealed: what the user said, a note on the rest that the model itself has written, and what is still open (calls and
//! outputs behind the last user's message), outputs shortened. Thoughts are left out: the note has what came of them. Shortening
//! outputs alone would be free, but a conversation that is long because much was said would stay long.

use serde_json::{Value, json};

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::history::HistoryItem;
use crate::seal;

/// The type of an item that stands for a shortened conversation.
pub(crate) const KIND: &str = "compaction";
/// Letters of one of the user's messages that are kept.
const MESSAGE_LETTERS_MAX: usize = 8_000;
/// Letters of all of the user's messages together; the newest come first.
const MESSAGES_LETTERS_MAX: usize = 40_000;
/// Letters of one output that is kept.
const OUTPUT_LETTERS_MAX: usize = 4_000;
/// What the model is asked for.
pub(crate) const REQUEST: &str = "Write a note for somebody who will go on with this conversation without having read it. \
    Say what was asked for, what was found out and decided, what has been done and what is still open. Repeat names, numbers, \
    paths and short quotations that will be needed. Write the note only.";

/// Puts the content of compaction items where they stand.
///
/// # Errors
/// 400 where one was sealed elsewhere, or for somebody else.
pub(crate) fn expand(app: &App, caller: &Caller, items: Vec<HistoryItem>) -> Result<Vec<HistoryItem>, ApiError> {
    if items.iter().all(|item| item.kind() != KIND) {
        return Ok(items);
    }
    let mut expanded = Vec::new();
    for item in items {
        if item.kind() == KIND {
            expanded.append(&mut open(app, caller, &item.value)?);
        } else {
            expanded.push(item);
        }
    }
    Ok(expanded)
}

/// The content of one compaction item.
///
/// # Errors
/// 400 where it was sealed elsewhere, or for somebody else.
pub(crate) fn open(app: &App, caller: &Caller, item: &Value) -> Result<Vec<HistoryItem>, ApiError> {
    let sealed = item["encrypted_content"].as_str().unwrap_or_default();
    let content = seal::open(app, caller, sealed).and_then(|content| serde_json::from_slice(&content).ok());
    content.ok_or_else(|| {
        let id = item["id"].as_str().unwrap_or_default();
        let message = format!(
            "the content of compaction item {id:?} cannot be opened: it was changed, or sealed by another server or for another key; send the conversation itself"
        );
        let refused = ApiError::invalid("input", message);
        ApiError { code: Some("invalid_encrypted_content"), ..refused }
    })
}

/// The item that stands for a conversation.
pub(crate) fn item(app: &App, caller: &Caller, content: &[HistoryItem]) -> Value {
    let content = serde_json::to_vec(content).expect("items are made of strings and numbers");
    json!({ "id": app.ids().next("cmp"), "type": KIND, "encrypted_content": seal::seal(app, caller, &content) })
}

/// What is kept of a conversation, with the model's note on it; without a note, everything but thoughts, outputs shortened.
pub(crate) fn shorten(app: &App, history: &[HistoryItem], note: &str) -> Vec<HistoryItem> {
    let last_user = history.iter().rposition(is_user);
    if note.trim().is_empty() {
        return history.iter().filter(|item| item.kind() != "reasoning").map(shortened).collect();
    }
    let (before, open) = history.split_at(last_user.unwrap_or(history.len()));
    let mut left = MESSAGES_LETTERS_MAX;
    let mut messages: Vec<HistoryItem> = Vec::new();
    for message in before.iter().rev().filter(|item| is_user(item)) {
        let message = shortened(message);
        let letters = letters(&message.value["content"]);
        if letters > left {
            break;
        }
        left -= letters;
        messages.push(message);
    }
    messages.reverse();
    messages.push(told(app, note));
    // What was answered is in the note; what is still being worked on is needed word by word.
    let is_answered = open.last().is_some_and(|item| item.kind() == "message" && item.value["role"] == "assistant");
    let open = open.iter().filter(|item| item.kind() != "reasoning" && (!is_answered || is_user(item)));
    messages.extend(open.map(shortened));
    messages
}

fn told(app: &App, note: &str) -> HistoryItem {
    let text = format!("Note on the conversation before this point, which was shortened:\n\n{}", note.trim());
    let content = json!([{ "type": "input_text", "text": text }]);
    let value = json!({
        "id": app.ids().next("msg"), "type": "message", "role": "developer", "status": "completed", "content": content
    });
    HistoryItem { value, tokens: None }
}

fn is_user(item: &HistoryItem) -> bool {
    item.kind() == "message" && item.value["role"] == "user"
}

/// An item whose long texts are cut in the middle. Calls stay whole: what was asked of a tool is short, and half of it says something
/// else.
fn shortened(item: &HistoryItem) -> HistoryItem {
    let mut value = item.value.clone();
    let field = match item.kind() {
        "message" if is_user(item) => Some(("content", MESSAGE_LETTERS_MAX)),
        "function_call_output" | "custom_tool_call_output" => Some(("output", OUTPUT_LETTERS_MAX)),
        _ => None,
    };
    let Some((field, letters_max)) = field else { return HistoryItem { value, tokens: item.tokens.clone() } };
    match &mut value[field] {
        Value::String(text) => *text = cut(text, letters_max),
        Value::Array(parts) => {
            for part in parts {
                if let Some(Value::String(text)) = part.get_mut("text") {
                    *text = cut(text, letters_max);
                }
            }
        }
        _ => {}
    }
    HistoryItem { value, tokens: None }
}

/// The beginning and the end of a text that is too long.
fn cut(text: &str, letters_max: usize) -> String {
    let count = text.chars().count();
    if count <= letters_max {
        return text.to_owned();
    }
    let half = letters_max / 2;
    let beginning: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(count - half).collect();
    format!("{beginning}\n[{} letters left out]\n{end}", count - 2 * half)
}

fn letters(content: &Value) -> usize {
    match content {
        Value::String(text) => text.chars().count(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).map(|text| text.chars().count()).sum()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_of_what_users_said_is_kept_and_the_rest_is_in_the_note() {
        let app = App::idle().await;
        let item = |role: &str, text: &str| HistoryItem {
            value: json!({ "type": "message", "role": role, "content": [{ "type": "input_text", "text": text }] }),
            tokens: None,
        };
        let said: Vec<String> = ('a'..='g').map(|letter| letter.to_string().repeat(MESSAGE_LETTERS_MAX)).collect();
        let mut history: Vec<HistoryItem> = said.iter().map(|text| item("user", text)).collect();
        history.insert(6, item("assistant", "an answer"));
        history.push(item("assistant", "the last answer"));
        let kept = shorten(&app, &history, " a note ");
        let texts: Vec<&str> = kept.iter().map(|item| item.value["content"][0]["text"].as_str().unwrap()).collect();
        let note = "Note on the conversation before this point, which was shortened:\n\na note";
        // As many as are allowed before the note, and behind it what was asked last.
        assert_eq!(texts, [&*said[1], &*said[2], &*said[3], &*said[4], &*said[5], note, &*said[6]]);
    }

    #[test]
    fn what_is_too_long_loses_its_middle() {
        assert_eq!(cut("äbcdefgh", 8), "äbcdefgh");
        assert_eq!(cut("äbcdefghi", 4), "äb\n[5 letters left out]\nhi");
    }
}
