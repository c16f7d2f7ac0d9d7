//! Whatever the model says, a turn is well-formed, its tokens are a sound conversation, and what was sampled is replayed.

use agent::{Agent, Effort, Ending, Item, Part, ReasoningContext, Said, Settings, ToolChoice, ToolName, TurnRequest};
use proptest::prelude::*;

use crate::answers::{user, with_tools};
use crate::stream::{Heard, hear};
use crate::tools::{Way, with_fake};

/// Pieces that harmony is made of, whole headers among them, so that chance gets somewhere.
const PIECES: [&str; 24] = [
    "<|start|>",
    "<|start|>assistant",
    "<|start|>user",
    "<|end|>",
    "<|end|><|start|>assistant",
    "<|message|>",
    "<|channel|>",
    "<|constrain|>",
    "<|call|>",
    "<|return|>",
    "<|endoftext|>",
    "<|channel|>analysis<|message|>",
    "<|channel|>commentary<|message|>",
    "<|channel|>final<|message|>",
    "<|channel|>commentary to=functions.a <|constrain|>json<|message|>{}",
    "<|channel|>commentary to=functions.nobody<|message|>",
    "<|channel|>analysis to=echo.say code<|message|>",
    "analysis",
    "final",
    " to=functions.b",
    " to=",
    "json",
    "é ñ hello STOP",
    " words and more words, as they come, until they are a text ",
];

fn said() -> impl Strategy<Value = Vec<u32>> {
    let vocabulary = agent::testing::vocabulary();
    let size = u32::try_from(vocabulary.size()).unwrap();
    let piece = prop_oneof![
        6 => (0..PIECES.len()).prop_map(move |index| vocabulary.encode_with_specials(PIECES[index])),
        1 => (0..size).prop_map(|id| vec![id]),
    ];
    prop::collection::vec(piece, 1..24).prop_map(|pieces| pieces.concat())
}

fn request() -> impl Strategy<Value = TurnRequest> {
    let name = ToolName::function;
    let choice = prop_oneof![
        3 => Just(ToolChoice::Auto),
        1 => Just(ToolChoice::None),
        1 => Just(ToolChoice::Required),
        1 => Just(ToolChoice::Named(name("a"))),
        1 => Just(ToolChoice::Allowed { tools: vec![name("a"), name("b")], required: true }),
    ];
    let effort = prop_oneof![Just(Effort::None), Just(Effort::Low)];
    let most = prop_oneof![Just(None), (1_usize..150).prop_map(Some)];
    let others = (any::<bool>(), any::<bool>(), prop_oneof![Just(None), (0_usize..12).prop_map(Some)]);
    (choice, effort, most, others).prop_map(|(tool_choice, effort, output_tokens_max, (parallel, stops, thinks))| {
        let request = with_fake(with_tools(user("go"), &["a", "b"]), Way::Echo);
        TurnRequest {
            tool_choice,
            effort,
            output_tokens_max,
            parallel_tool_calls: parallel,
            stop: if stops { vec!["STOP".into()] } else { Vec::new() },
            reasoning_tokens_max: thinks,
            reasoning_context: ReasoningContext::AllTurns,
            tool_calls_max: Some(3),
            top_logprobs: Some(1),
            ..request
        }
    })
}

/// The conversation as a client would hand it back.
fn history(request: &TurnRequest, heard: &Heard) -> Vec<Item> {
    let mut history = request.history.clone();
    for (said, _) in &heard.items {
        history.push(Item::Said(said.clone()));
        if let Part::Call(call) = &said.part {
            let output = heard.outputs.iter().find(|(id, _)| *id == call.id);
            history.extend(output.map(|(id, text)| Item::Output { call_id: id.clone(), text: text.clone() }));
        }
    }
    history
}

/// Every message of the generated part begins as one of the model's or of the tool's.
fn is_sound(agent: &Agent, heard: &Heard, prompt: usize) -> bool {
    let vocabulary = agent.vocabulary();
    let start = vocabulary.special_id("<|start|>").unwrap();
    let generated = &heard.tokens[prompt..];
    generated.split(|&id| id == start).skip(1).all(|message| {
        let text = vocabulary.decode(message);
        text.starts_with("assistant") || text.starts_with("echo.say to=assistant") || "assistant".starts_with(&text)
    })
}

/// Tokens of thoughts, counted by hand: what stands between `<|message|>` and the end.
fn thought_tokens(agent: &Agent, heard: &Heard) -> usize {
    let message = agent.vocabulary().special_id("<|message|>").unwrap();
    let thoughts = heard.items.iter().filter(|(said, _)| matches!(said.part, Part::Reasoning(_)));
    let tokens = thoughts.filter_map(|(said, _)| said.tokens.as_ref());
    tokens.map(|tokens| tokens.len() - tokens.iter().position(|&id| id == message).unwrap() - 2).sum()
}

fn is_call(said: &Said) -> bool {
    matches!(said.part, Part::Call(_))
}

fn is_message(said: &Said) -> bool {
    matches!(said.part, Part::Message { .. })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_tokens_make_a_turn(said in said(), request in request()) {
        let rule = { let said = said.clone(); move |ids: &[u32]| said[ids.len() % said.len()] };
        let agent = Agent::ruled(rule, Settings::unheld(), 2048);
        let prompt = agent.count(&request).unwrap();
        let heard = hear(&agent, request.clone());
        prop_assert!(is_sound(&agent, &heard, prompt), "{}", agent.vocabulary().decode(&heard.tokens));
        if let Some(most) = request.output_tokens_max {
            prop_assert!(heard.outcome.usage.output_tokens <= most);
        }
        let calls = heard.items.iter().filter(|(said, cut)| !cut && is_call(said)).count();
        let ending = heard.outcome.ending;
        match ending {
            Ending::Called => prop_assert!(calls > heard.outputs.len()),
            Ending::Answered => {
                let (last, cut) = heard.items.last().unwrap();
                prop_assert!(!cut && is_message(last), "an answer");
            }
            Ending::StopText(0) => prop_assert!(!request.stop.is_empty()),
            Ending::OutputTokens => prop_assert!(request.output_tokens_max.is_some()),
            Ending::Context => {}
            other => prop_assert!(false, "{other:?}"),
        }
        if request.tool_choice == ToolChoice::None {
            prop_assert_eq!(calls, 0);
        }
        let whole = heard.items.iter().all(|(said, cut)| said.tokens.is_some() && !cut);
        if whole {
            prop_assert_eq!(heard.outcome.usage.reasoning_tokens, thought_tokens(&agent, &heard));
        }
        if whole && matches!(ending, Ending::Called | Ending::Answered) && request.effort != Effort::None {
            let next = TurnRequest { history: history(&request, &heard), ..request };
            let again = agent.prompt(&next).unwrap();
            let mut kept = heard.tokens.clone();
            let ids = agent.vocabulary().harmony_ids().unwrap();
            if let Some(last) = kept.last_mut().filter(|last| **last != ids.call) {
                *last = ids.end;
            }
            prop_assert!(again.starts_with(&kept), "{}\n{}", agent.vocabulary().decode(&kept), agent.vocabulary().decode(&again));
        }
    }
}
