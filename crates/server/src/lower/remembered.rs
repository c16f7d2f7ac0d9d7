//! What an assistant is said to have said, put together with what it did say: clients that send calls back leave thoughts out, and
//! none sends tokens. It must not know any API.

use std::collections::HashMap;

use agent::{Call, CallKind, Item, Part, Phase, Said};
use serde_json::{Value, json};

use crate::app::App;
use crate::caller::Caller;
use crate::history::HistoryItem;
use crate::lower::items;
use crate::thoughts;

/// A turn of the assistant, as a client sends it back.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Spoken {
    /// What it thought.
    pub(crate) thoughts: Vec<Said>,
    /// What it said to the user.
    pub(crate) text: Option<String>,
    /// Whom it called.
    pub(crate) calls: Vec<Call>,
}

/// Turns that ended in calls, by the id of a call.
#[derive(Debug, Default)]
pub(crate) struct Remembered(HashMap<String, Vec<Said>>);

impl Remembered {
    /// What is known of these calls.
    pub(crate) async fn of(app: &App, caller: &Caller, call_ids: Vec<String>) -> Self {
        let mut found = HashMap::new();
        for id in call_ids {
            let Some(items) = thoughts::find(app, caller, &id).await else { continue };
            let said = |item| match item {
                Item::Said(said) => Some(said),
                Item::User(_) | Item::Developer(_) | Item::Output { .. } => None,
            };
            // What another version has kept and this one cannot read is as good as forgotten.
            let items = items::of_history(&items).unwrap_or_default();
            found.insert(id, items.into_iter().filter_map(said).collect());
        }
        Self(found)
    }

    /// The turn as items. Where it is known what was said, that is what the model sees, token for token, as far as the client has not
    /// changed it.
    pub(crate) fn items(&self, spoken: Spoken) -> Vec<Item> {
        let Spoken { thoughts, text, calls } = spoken;
        let Some(known) = calls.first().and_then(|call| self.0.get(&call.id)) else {
            let phase = if calls.is_empty() { Phase::Final } else { Phase::Commentary };
            let text = text.map(|text| Said::from(Part::Message { phase, text }));
            let calls = calls.into_iter().map(|call| Said::from(Part::Call(call)));
            return thoughts.into_iter().chain(text).chain(calls).map(Item::Said).collect();
        };
        let changed = !thoughts.is_empty() && thought(&thoughts) != thought(known);
        let mut items = if changed { thoughts } else { Vec::new() };
        let known_text = |said: &Said| matches!(&said.part, Part::Message { .. });
        if let Some(text) = text.filter(|_| !known.iter().any(known_text)) {
            items.push(Said::from(Part::Message { phase: Phase::Commentary, text }));
        }
        let mut calls = calls;
        for said in known {
            match &said.part {
                Part::Reasoning(_) if changed => {}
                Part::Reasoning(_) | Part::Message { .. } => items.push(said.clone()),
                Part::Call(was) => {
                    let Some(place) = calls.iter().position(|call| call.id == was.id) else { continue };
                    let call = calls.remove(place);
                    items.push(if same(&call, was) { said.clone() } else { Said::from(Part::Call(call)) });
                }
            }
        }
        items.extend(calls.into_iter().map(|call| Said::from(Part::Call(call))));
        items.into_iter().map(Item::Said).collect()
    }
}

/// What a turn said, to be kept until its calls are answered.
pub(crate) async fn keep(app: &App, caller: &Caller, said: &[Said]) {
    let call = |said: &Said| match &said.part {
        Part::Call(call) => Some(call.id.clone()),
        Part::Reasoning(_) | Part::Message { .. } => None,
    };
    let call_ids: Vec<String> = said.iter().filter_map(call).collect();
    if !call_ids.is_empty() {
        let items: Vec<HistoryItem> = said.iter().map(|said| record(app, said)).collect();
        thoughts::keep(app, caller, &call_ids, &items).await;
    }
}

/// All thoughts in one text.
fn thought(said: &[Said]) -> String {
    let texts = said.iter().filter_map(|said| match &said.part {
        Part::Reasoning(text) => Some(text.trim()),
        Part::Message { .. } | Part::Call(_) => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Whether a client sends a call back as it was. It may have parsed the arguments and written them again.
fn same(call: &Call, was: &Call) -> bool {
    let parsed = |input: &str| match input {
        "" => Some(json!({})),
        input => serde_json::from_str::<Value>(input).ok(),
    };
    let equal = call.input == was.input || parsed(&call.input).is_some_and(|input| parsed(&was.input) == Some(input));
    call.tool == was.tool && call.kind == was.kind && equal
}

/// As an item of the Responses API.
fn record(app: &App, said: &Said) -> HistoryItem {
    let value = match &said.part {
        Part::Reasoning(text) => json!({
            "type": "reasoning", "id": app.ids().next("rs"), "summary": [],
            "content": [{ "type": "reasoning_text", "text": text }],
        }),
        Part::Message { phase, text } => json!({
            "type": "message", "id": app.ids().next("msg"), "role": "assistant", "status": "completed",
            "phase": match phase { Phase::Commentary => "commentary", Phase::Final => "final_answer" },
            "content": [{ "type": "output_text", "text": text, "annotations": [], "logprobs": [] }],
        }),
        Part::Call(Call { id, tool, kind: CallKind::Function, input }) => json!({
            "type": "function_call", "id": app.ids().next("fc"), "call_id": id, "name": tool.name,
            "namespace": tool.namespace, "arguments": input, "status": "completed",
        }),
        Part::Call(Call { id, tool, kind: CallKind::Custom, input }) => json!({
            "type": "custom_tool_call", "id": app.ids().next("ctc"), "call_id": id, "name": tool.name,
            "namespace": tool.namespace, "input": input,
        }),
    };
    HistoryItem { value, tokens: said.tokens.clone() }
}

#[cfg(test)]
mod tests {
    use agent::ToolName;

    use super::*;

    fn call(id: &str, input: &str) -> Call {
        Call { id: id.into(), tool: ToolName::function("f"), kind: CallKind::Function, input: input.into() }
    }

    fn sampled(part: Part, tokens: &[u32]) -> Said {
        Said { part, tokens: Some(tokens.to_vec()) }
    }

    fn remembered() -> (Remembered, Vec<Said>) {
        let known = vec![
            sampled(Part::Reasoning("hm".into()), &[1]),
            sampled(Part::Message { phase: Phase::Commentary, text: "I look.".into() }, &[2]),
            sampled(Part::Call(call("a", "{\"x\": 1}")), &[3]),
        ];
        (Remembered([("a".to_owned(), known.clone())].into()), known)
    }

    #[test]
    fn a_known_call_brings_its_thought_and_tokens_back() {
        let (remembered, known) = remembered();
        let known: Vec<Item> = known.into_iter().map(Item::Said).collect();
        let spoken = Spoken { calls: vec![call("a", "{\"x\":1}")], ..Spoken::default() };
        assert_eq!(remembered.items(spoken.clone()), known, "arguments written again are the same");
        let text = Some("I look.".to_owned());
        assert_eq!(remembered.items(Spoken { text, ..spoken.clone() }), known);
        let thoughts = vec![Said::from(Part::Reasoning("hm ".into()))];
        assert_eq!(remembered.items(Spoken { thoughts, ..spoken }), known);
    }

    #[test]
    fn what_a_client_changes_counts() {
        let (remembered, known) = remembered();
        let thoughts = vec![Said::from(Part::Reasoning("else".into()))];
        let spoken = Spoken { thoughts: thoughts.clone(), text: None, calls: vec![call("a", "{}"), call("b", "{}")] };
        let expected = [
            Item::Said(thoughts[0].clone()),
            Item::Said(known[1].clone()),
            Item::from(Part::Call(call("a", "{}"))),
            Item::from(Part::Call(call("b", "{}"))),
        ];
        assert_eq!(remembered.items(spoken), expected);
    }

    #[test]
    fn an_unknown_turn_is_what_the_client_says() {
        let text = |phase| Item::from(Part::Message { phase, text: "t".into() });
        let none = Remembered::default();
        let spoken = Spoken { text: Some("t".into()), ..Spoken::default() };
        assert_eq!(none.items(spoken.clone()), [text(Phase::Final)]);
        let spoken = Spoken { calls: vec![call("z", "")], ..spoken };
        assert_eq!(none.items(spoken), [text(Phase::Commentary), Item::from(Part::Call(call("z", "")))]);
    }
}
