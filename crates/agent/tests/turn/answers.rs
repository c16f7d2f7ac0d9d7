//! Answers, thoughts and calls as they should come.

use agent::{Agent, Ending, Item, Tool, ToolChoice, ToolKind, ToolName, TurnRequest};

use crate::stream::hear;

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
    let script = agent::testing::Script::new()
        .behind("<|start|>assistant", "<|channel|>final<|message|>No.<|return|>")
        .behind("<|channel|>commentary to=functions.add <|constrain|>json<|message|>", "{}<|call|>");
    let mut request = with_tools(user("add"), &["add"]);
    request.tool_choice = ToolChoice::Required;
    let heard = hear(&Agent::following(&script), request);
    assert_eq!(heard.brief(), ["functions.add({})"]);
    assert_eq!(heard.outcome.ending, Ending::Called);
}
