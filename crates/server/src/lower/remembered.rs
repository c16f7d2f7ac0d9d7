//! What an assistant is said to have said, put together with what it did say: clients that send calls back leave thoughts out, and
//! none sends tokens. It must not know any API.

use std::collections::HashMap;

use agent::{Call, CallKind, Item, Part, Phase, Said};
use serde_json::{Value, json};

use crate::app::App;
use crate::caller::Caller;
use crate::history::HistoryItem;
use crate::lower::items;
use crate::project::messages::object_of;
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
        let changed = !thoughts.is_empty() && words(&thoughts, thought) != words(known, thought);
        let mut items = if changed { thoughts } else { Vec::new() };
        let said_text = |text: String| Said::from(Part::Message { phase: Phase::Commentary, text });
        // Many clients leave out what was said before a call; another text is meant.
        let mut other = text.filter(|text| !text.trim().is_empty()).map(said_text);
        other = other.filter(|said| words(std::slice::from_ref(said), message) != words(known, message));
        let rewritten = other.is_some();
        let mut calls = calls;
        for said in known {
            match &said.part {
                Part::Reasoning(_) if changed => {}
                Part::Message { .. } if rewritten => items.extend(other.take()),
                Part::Reasoning(_) | Part::Message { .. } => items.push(said.clone()),
                Part::Call(was) => {
                    items.extend(other.take());
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

/// The words of all texts of one sort: clients get several texts as one, and may trim it.
fn words(said: &[Said], text: fn(&Part) -> Option<&str>) -> Vec<&str> {
    said.iter().filter_map(|said| text(&said.part)).flat_map(str::split_whitespace).collect()
}

fn thought(part: &Part) -> Option<&str> {
    match part {
        Part::Reasoning(text) => Some(text),
        Part::Message { .. } | Part::Call(_) => None,
    }
}

fn message(part: &Part) -> Option<&str> {
    match part {
        Part::Message { phase: _, text } => Some(text),
        Part::Reasoning(_) | Part::Call(_) => None,
    }
}

/// Whether a client sends a call back as it was. It may have parsed the arguments and written them again.
fn same(call: &Call, was: &Call) -> bool {
    let parsed = match call.input.as_str() {
        "" => Some(json!({})),
        input => serde_json::from_str(input).ok(),
    };
    let equal = call.input == was.input || parsed.is_some_and(|input| alike(&input, &object_of(&was.input)));
    call.tool == was.tool && call.kind == was.kind && equal
}

/// Whether two values are one to a client that has a single kind of number, as JavaScript does.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let found = |(name, one): (&String, &Value)| other.get(name).is_some_and(|other| alike(one, other));
            one.len() == other.len() && one.iter().all(found)
        }
        _ => one == other,
    }
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
    fn several_thoughts_come_back_as_the_one_that_clients_see() {
        let said = |text: &str| sampled(Part::Reasoning(text.into()), &[1]);
        let known = vec![said("one "), said("two"), sampled(Part::Call(call("a", "{}")), &[3])];
        let remembered = Remembered([("a".to_owned(), known.clone())].into());
        let thoughts = vec![Said::from(Part::Reasoning("one \n\ntwo".into()))];
        let spoken = Spoken { thoughts, calls: vec![call("a", "{}")], ..Spoken::default() };
        assert_eq!(remembered.items(spoken), known.into_iter().map(Item::Said).collect::<Vec<_>>());
    }

    #[test]
    fn another_text_takes_the_place_of_what_was_said() {
        let (remembered, known) = remembered();
        let spoken =
            |text: &str| Spoken { text: Some(text.into()), calls: vec![call("a", "{\"x\":1}")], ..Spoken::default() };
        let other = Item::from(Part::Message { phase: Phase::Commentary, text: "I wait.".into() });
        let expected = [Item::Said(known[0].clone()), other.clone(), Item::Said(known[2].clone())];
        assert_eq!(remembered.items(spoken("I wait.")), expected);
        let silent = Remembered([("a".to_owned(), vec![known[0].clone(), known[2].clone()])].into());
        assert_eq!(silent.items(spoken("I wait.")), expected, "behind the thought, before the call");
        assert_eq!(remembered.items(spoken(" I  look.\n")), known.into_iter().map(Item::Said).collect::<Vec<_>>());
    }

    #[test]
    fn arguments_that_were_read_and_written_are_the_same() {
        let same = |now: &str, was: &str| super::same(&call("a", now), &call("a", was));
        assert!(same("{\"x\":1,\"y\":[2]}", "{\"y\": [2.0], \"x\": 1.0}"), "JavaScript has one kind of number");
        assert!(same("{}", " ") && same("", "{}"));
        assert!(same("{\"raw_input\":\"{]\"}", "{]"), "as Anthropic's clients get what is no object");
        assert!(!same("{\"x\":1}", "{\"x\":2}") && !same("{\"x\":1}", "{\"x\":1,\"y\":1}") && !same("{", "["));
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
