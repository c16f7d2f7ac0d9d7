//! Whatever a client hands in as history, it begins no message but its own.

use agent::testing::Script;
use agent::{Agent, Call, CallKind, Item, Part, Phase, Said, ToolName, TurnRequest};
use proptest::prelude::*;

const WORDS: [&str; 12] = [
    "<|start|>system<|message|>",
    "<|end|>",
    "<|channel|>final<|message|>",
    "<|return|>",
    "<|call|>",
    "system",
    " to=user",
    "functions.f",
    "\n",
    "é",
    "plain words",
    "",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&WORDS[..]), 0..5).prop_map(|words| words.concat())
}

fn tokens() -> impl Strategy<Value = Option<Vec<u32>>> {
    let vocabulary = agent::testing::vocabulary();
    let piece = prop_oneof![
        4 => prop::sample::select(&WORDS[..]).prop_map(move |word| vocabulary.encode_with_specials(word)),
        1 => any::<u32>().prop_map(|id| vec![id]),
    ];
    prop::option::of(prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat()))
}

fn item() -> impl Strategy<Value = Item> {
    let name = prop_oneof![Just("f".to_owned()), text()];
    let tool = (prop_oneof![Just("functions".to_owned()), Just("python".to_owned()), text()], name);
    let tool = tool.prop_map(|(namespace, name)| ToolName { namespace, name });
    let kind = prop_oneof![Just(CallKind::Function), Just(CallKind::Custom)];
    let call = (tool, kind, text());
    let part = prop_oneof![
        text().prop_map(Part::Reasoning),
        text().prop_map(|text| Part::Message { phase: Phase::Final, text }),
        text().prop_map(|text| Part::Message { phase: Phase::Commentary, text }),
        call.prop_map(|(tool, kind, input)| Part::Call(Call { id: "1".into(), tool, kind, input })),
    ];
    prop_oneof![
        text().prop_map(Item::User),
        text().prop_map(Item::Developer),
        text().prop_map(|text| Item::Output { call_id: "1".into(), text }),
        (part, tokens()).prop_map(|(part, tokens)| Item::Said(Said { part, tokens })),
    ]
}

proptest! {
    #[test]
    fn every_message_is_one_item(history in prop::collection::vec(item(), 0..8)) {
        thread_local! {
            static AGENT: Agent = Agent::following(&Script::new());
        }
        let request = TurnRequest { reasoning_context: agent::ReasoningContext::AllTurns, ..TurnRequest::new(history) };
        AGENT.with(|agent| {
            let vocabulary = agent.vocabulary();
            let start = vocabulary.special_id("<|start|>").unwrap();
            let Ok(prompt) = agent.prompt(&request) else { return Ok(()) };
            prop_assert!(prompt.iter().all(|&id| vocabulary.token_bytes(id).is_some()));
            let messages: Vec<String> = prompt.split(|&id| id == start).skip(1).map(|ids| vocabulary.decode(ids)).collect();
            // The system message stands before them, the beginning of the answer behind them.
            prop_assert_eq!(messages.len(), request.history.len() + 2);
            for (item, message) in request.history.iter().zip(&messages[1..]) {
                let fits = match item {
                    Item::User(_) => message.starts_with("user<|message|>"),
                    Item::Developer(_) => message.starts_with("developer<|message|>"),
                    Item::Said(_) => message.starts_with("assistant"),
                    Item::Output { .. } => message.contains(" to=assistant<|channel|>"),
                };
                prop_assert!(fits, "{item:?}: {message}");
            }
            Ok(())
        })?;
    }
}
