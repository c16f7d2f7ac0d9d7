//! Answers, thoughts and calls as they should come.

use agent::testing::Script;
use agent::{Agent, Ending, Item, Tool, ToolChoice, ToolKind, ToolName, TurnRequest};

use crate::stream::{call, hear};

pub(crate) fn user(text: &str) -> TurnRequest {
    let mut request = TurnRequest::new(vec![Item::User(text.into())]);
    request.sampling.temperature = 0.0;
    request
}

pub(crate) fn with_tools(mut request: TurnRequest, names: &[&str]) -> TurnRequest {
    let kind = ToolKind::Function { parameters: None, strict: false };
    let tool = |name: &&str| Tool { name: ToolName::function(*name), description: String::new(), kind: kind.clone() };
    request.tools = names.iter().map(tool).collect();
    request
}

const THINK: &str = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant";

#[test]
fn a_thought_and_an_answer() {
    let agent = Agent::scripted(&format!("{THINK}<|channel|>final<|message|>Hello!<|return|>"));
    let heard = hear(&agent, user("hi"));
    assert_eq!(heard.brief(), ["~Hm.", "Hello!"]);
    assert_eq!(heard.outcome.ending, Ending::Answered);
    let count = |text: &str| agent.vocabulary().encode_with_specials(text).len();
    let usage = heard.outcome.usage;
    assert_eq!(usage.output_tokens, count(THINK) + count("<|channel|>final<|message|>Hello!<|return|>"));
    assert_eq!(usage.reasoning_tokens, count("Hm."));
    assert_eq!(usage.input_tokens, agent.count(&user("hi")).unwrap());
}

#[test]
fn a_call_waits_for_the_caller() {
    let call = "<|channel|>commentary to=functions.add <|constrain|>json<|message|>{\"a\":1}<|call|>";
    let agent = Agent::scripted(&format!("{THINK}{call}"));
    let heard = hear(&agent, with_tools(user("add"), &["add"]));
    assert_eq!(heard.brief(), ["~Hm.", "functions.add({\"a\":1})"]);
    assert_eq!(heard.outcome.ending, Ending::Called);
}

#[test]
fn a_call_is_forced_where_one_must_come() {
    let script = Script::new()
        .behind("<|start|>assistant", "<|channel|>final<|message|>No.<|return|>")
        .behind("<|channel|>commentary to=functions.add <|constrain|>json<|message|>", "{}<|call|>");
    let mut request = with_tools(user("add"), &["add"]);
    request.tool_choice = ToolChoice::Required;
    let heard = hear(&Agent::following(&script), request);
    assert_eq!(heard.brief(), ["functions.add({})"]);
    assert_eq!(heard.outcome.ending, Ending::Called);
}

#[test]
fn calls_find_whom_they_mean_and_words_to_nobody_are_shown() {
    let said = |header: &str| {
        let agent = Agent::scripted(&format!("{header}<|message|>{{}}<|call|>"));
        let heard = hear(&agent, with_tools(user("go"), &["add", "get_weather"]));
        (heard.brief().join(" "), heard.outcome.ending)
    };
    for header in [
        "<|channel|>commentary to=functions.get_weather <|constrain|>json",
        "<|channel|>commentary to=get_weather json",
        " to=functions.get_weather<|channel|>commentary",
        "<|channel|>commentary to=functions.functions.get_weather",
        "<|channel|>commentary to=functions.getWeather",
        "<|channel|>commentary to=functions.get_wether",
        "<|channel|>analysis to=functions.get_weather<|channel|>commentary",
        "<|channel|>commentary to= functions.get_weather",
        "<|channel|>final to=functions.get_weather",
    ] {
        assert_eq!(said(header), ("functions.get_weather({})".into(), Ending::Called), "{header}");
    }
    for header in [
        "<|channel|>commentary to=functions.apply_patch <|constrain|>json",
        "<|channel|>commentary to=container.exec code",
        "<|channel|>final",
        "<|channel|>something",
        "<|channel|>final <|constrain|>json",
    ] {
        assert_eq!(said(header), ("{}".into(), Ending::Answered), "{header}");
    }
    let prose = "Here is a plain answer of some ten words, without any header at all.";
    let heard = hear(&Agent::scripted(&format!("{prose}<|return|>")), user("go"));
    assert_eq!((heard.brief(), heard.outcome.ending), (vec![prose.to_owned()], Ending::Answered));
    assert_eq!(heard.items[0].0.tokens, None, "it is rendered anew, with a header");
}

#[test]
fn turns_go_on_from_each_other_token_for_token() {
    let script = Script::new()
        .answer("hello", &format!("{THINK}<|channel|>final<|message|>Hi.<|return|>"))
        .answer(
            "add",
            &format!("{THINK}<|channel|>commentary to=functions.add <|constrain|>json<|message|>{{}}<|call|>"),
        )
        .answer("4", "<|channel|>final<|message|>Four.<|return|>");
    let agent = Agent::following(&script);
    let mut request = with_tools(user("hello"), &["add"]);
    let first = hear(&agent, request.clone());
    assert_eq!(first.brief(), ["~Hm.", "Hi."]);
    request.history.extend(first.items.iter().map(|(said, _)| Item::Said(said.clone())));
    request.history.push(Item::User("add".into()));
    let second = hear(&agent, request.clone());
    assert_eq!(second.brief(), ["~Hm.", "functions.add({})"]);
    let prompt = agent.vocabulary().decode(&agent.prompt(&request).unwrap());
    assert!(prompt.contains("hello<|end|><|start|>assistant<|channel|>final<|message|>Hi.<|end|>"), "{prompt}");
    request.history.extend(second.items.iter().map(|(said, _)| Item::Said(said.clone())));
    let call_id = call(&second.items[1].0).id.clone();
    assert!(call_id.len() == 29 && call_id.starts_with("call_"));
    request.history.push(Item::Output { call_id, text: "4".into() });
    let prompt = agent.prompt(&request).unwrap();
    assert!(prompt.starts_with(&second.tokens), "thought and call are as they were sampled");
    let third = hear(&agent, request);
    assert_eq!(third.brief(), ["Four."]);
    let cached = third.outcome.usage.cached_tokens;
    assert!(cached > 0 && cached <= second.tokens.len(), "{cached}");
}
