//! Headers, answers and inputs under a turn's constraint, with models that say what they should, or would rather not.

use agent::testing::{CONTEXT_TOKENS, Script};
use agent::{
    Agent, Effort, Ending, Error, FormPlace, Format, Part, Settings, Tool, ToolChoice, ToolKind, ToolName, TurnRequest,
};
use serde_json::{Value, json};

use crate::answers::{user, with_tools};
use crate::stream::hear;
use crate::tools::{Way, with_fake};

fn held(script: &Script) -> Agent {
    Agent::following_with(script, Settings::default(), CONTEXT_TOKENS)
}

fn says(said: &str) -> Agent {
    held(&Script::new().behind("<|start|>assistant", said))
}

fn in_form(schema: Value) -> TurnRequest {
    let format = Format::JsonSchema { name: "it".into(), description: None, schema, strict: true };
    TurnRequest { format, ..user("go") }
}

#[test]
fn whatever_the_model_was_trained_to_write_may_come() {
    for header in [
        "<|channel|>commentary to=functions.a <|constrain|>json<|message|>",
        "<|channel|>commentary to=functions.a<|constrain|>json<|message|>",
        "<|channel|>commentary to=functions.a json<|message|>",
        "<|channel|>commentary to=functions.a<|message|>",
        "<|channel|>analysis to=functions.a <|constrain|>json<|message|>",
        " to=functions.a<|channel|>commentary <|constrain|>json<|message|>",
        " to=functions.a<|channel|>commentary json<|message|>",
        " to=functions.a<|channel|>analysis<|message|>",
    ] {
        let said = format!("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant{header}{{}}<|call|>");
        let agent = says(&said);
        let heard = hear(&agent, with_tools(user("go"), &["a", "ab"]));
        assert_eq!(heard.brief(), ["~Hm.", "functions.a({})"], "{header}");
        assert!(heard.tokens.ends_with(&agent.vocabulary().encode_with_specials(&said)), "{header}");
    }
    for header in ["<|channel|>analysis to=echo.say code<|message|>", " to=echo.say<|channel|>analysis code<|message|>"]
    {
        let script = Script::new()
            .answer("go", &format!("{header}hello<|call|>"))
            .answer("said hello", "<|channel|>final<|message|>Done.<|return|>");
        let heard = hear(&held(&script), with_fake(user("go"), Way::Echo));
        assert_eq!(heard.brief(), ["echo.say(hello)", "Done."], "{header}");
    }
    let said = "<|channel|>final <|constrain|>json<|message|>{\"a\": 1}<|return|>";
    assert_eq!(hear(&says(said), TurnRequest { format: Format::JsonObject, ..user("go") }).brief(), ["{\"a\": 1}"]);
    let said = "<|channel|>commentary<|message|>First.<|end|><|start|>assistant<|channel|>final<|message|>Then.<|end|>";
    let heard = hear(&says(said), user("go"));
    assert_eq!((heard.brief(), heard.outcome.ending), (vec!["-First.".into(), "Then.".into()], Ending::Answered));
}

#[test]
fn what_must_not_come_is_never_drawn() {
    // It wants to call somebody else, in words that are no object, and to answer.
    for said in [
        "<|channel|>commentary to=functions.nobody<|message|>no<|call|>",
        "<|channel|>final<|message|>No.<|return|>",
        "<|start|>user<|message|>I am you.<|end|>",
        "<|return|>",
        "<|end|>",
    ] {
        let mut request = with_tools(user("go"), &["a"]);
        (request.tool_choice, request.effort) = (ToolChoice::Required, Effort::None);
        let agent = says(said);
        let heard = hear(&agent, request);
        assert_eq!((heard.brief(), heard.outcome.ending), (vec!["functions.a({})".into()], Ending::Called), "{said}");
        let stats = agent.engine().stats();
        assert_eq!(stats.submitted, 1, "nothing had to be taken back");
        assert!(stats.forced_tokens > 4, "where nothing can be chosen no step is taken");
    }
}

#[test]
fn an_answer_has_its_form_or_is_cut() {
    let schema = json!({"type": "object", "properties": {"x": {"type": "integer"}, "y": {"enum": ["left", "right"]}},
        "required": ["x", "y"], "additionalProperties": false});
    // What the shipped model once wrote.
    let agent = says("<|channel|>final<|message|>{\"xive\":30}<|return|>");
    let heard = hear(&agent, TurnRequest { output_tokens_max: Some(400), ..in_form(schema.clone()) });
    match &heard.items.last().unwrap().0.part {
        Part::Message { text, .. } if heard.outcome.ending == Ending::Answered => {
            let value: Value = serde_json::from_str(text).unwrap();
            assert!(value["x"].is_i64() && ["left", "right"].contains(&value["y"].as_str().unwrap()), "{text}");
        }
        // A number may have digits for ever, if that is all that the model says.
        _ => assert!(heard.items.last().unwrap().1),
    }
    let said = "<|channel|>final<|message|>{\"x\": 30, \"y\": \"left\"}<|return|>";
    let cut = hear(&says(said), TurnRequest { output_tokens_max: Some(7), ..in_form(schema.clone()) });
    assert_eq!((cut.outcome.ending, cut.items.last().unwrap().1), (Ending::OutputTokens, true));
    assert_eq!(hear(&says(said), in_form(schema)).brief(), ["{\"x\": 30, \"y\": \"left\"}"]);
}

#[test]
fn what_cannot_be_enforced_is_refused_before_anything_is_said() {
    let bad = json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=a)b"}}});
    let agent = says("<|channel|>final<|message|>Hi.<|return|>");
    let refusal = |request: &TurnRequest| match agent.check(request) {
        Err(Error::Form { place, reason, path: _ }) => Some((place, reason)),
        Ok(()) => None,
        Err(error) => panic!("{error}"),
    };
    let (place, reason) = refusal(&in_form(bad.clone())).unwrap();
    assert!(place == FormPlace::Answer && !reason.is_empty());
    assert!(matches!(agent.begin(in_form(bad.clone())), Err(Error::Form { .. })));
    let tool = |name: &str, strict| Tool {
        name: ToolName::function(name),
        description: String::new(),
        kind: ToolKind::Function { parameters: Some(bad.clone()), strict },
    };
    let with = |tools| TurnRequest { tools, ..user("go") };
    assert_eq!(refusal(&with(vec![tool("a", false), tool("b", true)])).unwrap().0, FormPlace::Tool(1));
    assert_eq!(refusal(&with(vec![tool("a", false)])), None, "what can be enforced of it is");
    // Nobody will write what nobody may call.
    let request = TurnRequest { tool_choice: ToolChoice::None, ..with(vec![tool("b", true)]) };
    assert_eq!(refusal(&request), None);
    assert_eq!(agent.engine().stats().submitted, 0);
}

#[test]
fn tokens_are_kept_for_the_answer() {
    let thought = "<|channel|>analysis<|message|>".to_owned() + &"I think and think and think. ".repeat(40);
    let script = Script::new()
        .answer("go", &thought)
        .behind("<|channel|>final<|message|>", "Well, here is what I found.<|return|>");
    for constraints in [true, false] {
        let agent = Agent::following_with(&script, Settings { constraints, ..Settings::default() }, CONTEXT_TOKENS);
        let limited = TurnRequest { output_tokens_max: Some(80), ..user("go") };
        let cut = hear(&agent, limited.clone());
        assert_eq!((cut.outcome.ending, cut.items.len()), (Ending::OutputTokens, 1));
        let answer = agent.vocabulary().encode("Well, here is what I found.").len() + 1;
        let heard = hear(&agent, TurnRequest { answer_tokens_kept: answer, ..limited });
        assert_eq!(heard.outcome.ending, Ending::Answered);
        assert_eq!(heard.brief().last().unwrap(), "Well, here is what I found.");
        assert!(heard.outcome.usage.output_tokens > 70, "not more is kept than was asked for");
    }
}
