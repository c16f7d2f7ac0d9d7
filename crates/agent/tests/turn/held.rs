//! Turns of a model with random weights: whatever it draws, messages are well-formed, calls go to tools that may be called, and texts
//! have the forms that were asked for.

use agent::testing::Dice;
use agent::{
    Agent, CustomFormat, Effort, Ending, Format, Item, Part, Phase, Settings, TextGrammar, Tool, ToolChoice, ToolKind,
    ToolName, TurnRequest,
};
use serde_json::{Value, json};

use crate::stream::{Heard, listen};

fn tool(dice: &mut Dice, index: usize) -> Tool {
    let kind = match dice.below(8) {
        0 => ToolKind::Custom(CustomFormat::Text),
        1 => ToolKind::Custom(CustomFormat::Grammar(TextGrammar::Regex("[a-z]{1,8}( [0-9]{1,3})?".into()))),
        2 => ToolKind::Custom(CustomFormat::Grammar(TextGrammar::Lark(
            "start: \"add \" NUMBER (\", \" NUMBER)*\nNUMBER: /[0-9]{1,3}/".into(),
        ))),
        3 => ToolKind::Function { parameters: None, strict: false },
        _ => ToolKind::Function { parameters: Some(dice.object(2)), strict: dice.chance(2) },
    };
    let name = ["get_weather", "get_weather_again", "a", "b-2", "Read"][index];
    Tool { name: ToolName::function(name), description: String::new(), kind }
}

fn request(dice: &mut Dice) -> TurnRequest {
    let count = dice.below(6);
    let tools: Vec<Tool> = (0..count).map(|index| tool(dice, index)).collect();
    let names: Vec<ToolName> = tools.iter().map(|tool| tool.name.clone()).collect();
    let any = |dice: &mut Dice| names[dice.below(names.len())].clone();
    let tool_choice = match dice.below(5) {
        _ if names.is_empty() => ToolChoice::Auto,
        0 => ToolChoice::Auto,
        1 => ToolChoice::None,
        2 => ToolChoice::Required,
        3 => ToolChoice::Named(any(dice)),
        _ => ToolChoice::Allowed { tools: vec![any(dice)], required: dice.chance(2) },
    };
    let format = match dice.below(6) {
        0 => Format::JsonObject,
        1 | 2 => {
            let (name, schema) = ("answer".into(), dice.schema(3));
            Format::JsonSchema { name, description: None, schema, strict: dice.chance(2) }
        }
        3 => Format::Choice(vec!["yes".into(), "no".into(), "not yet".into()]),
        _ => Format::Text,
    };
    let effort = if dice.chance(4) { Effort::None } else { Effort::Low };
    let mut request = TurnRequest::new(vec![Item::User("go".into())]);
    (request.sampling.temperature, request.sampling.seed) = (2.0, dice.below(1 << 30) as u64);
    TurnRequest {
        tools,
        tool_choice,
        format,
        effort,
        parallel_tool_calls: dice.chance(3),
        reasoning_tokens_max: dice.chance(4).then(|| dice.below(12)),
        output_tokens_max: Some(if dice.chance(8) { 1 + dice.below(60) } else { 600 }),
        cached: dice.chance(2),
        ..request
    }
}

fn fits(schema: &Value, text: &str) -> Result<(), String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))?;
    let validator = jsonschema::validator_for(schema).map_err(|error| error.to_string())?;
    validator.validate(&value).map_err(|error| format!("{error}: {text} against {schema}"))
}

/// Whether a text has the form of a tool's input.
fn input_fits(tool: &Tool, input: &str) -> Result<(), String> {
    match &tool.kind {
        ToolKind::Function { parameters: None, .. } => fits(&json!({"type": "object", "maxProperties": 0}), input),
        ToolKind::Function { parameters: Some(schema), .. } => {
            fits(schema, input).and_then(|()| fits(&json!({"type": "object"}), input))
        }
        ToolKind::Custom(CustomFormat::Text) => Ok(()),
        ToolKind::Custom(CustomFormat::Grammar(TextGrammar::Lark(_))) => {
            let numbers = input.strip_prefix("add ").ok_or(input)?;
            let is_number =
                |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
            numbers.split(", ").all(is_number).then_some(()).ok_or(input.into())
        }
        ToolKind::Custom(CustomFormat::Grammar(TextGrammar::Regex(_))) => {
            let (word, number) = input.split_once(' ').unwrap_or((input, "0"));
            let is_word = (1..=8).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase());
            let is_number = (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
            (is_word && is_number).then_some(()).ok_or(input.into())
        }
    }
}

fn answer_fits(format: &Format, text: &str) -> Result<(), String> {
    match format {
        Format::Text => (!text.is_empty()).then_some(()).ok_or("nothing was said".into()),
        Format::JsonObject => fits(&json!({"type": "object"}), text),
        Format::JsonSchema { schema, .. } => fits(schema, text),
        Format::Choice(texts) => texts.iter().any(|choice| choice == text).then_some(()).ok_or(text.into()),
        Format::Grammar(_) => Ok(()),
    }
}

/// Whether a turn keeps to what was asked; a text that was cut may be anything.
fn check(request: &TurnRequest, heard: &Heard) -> Result<(), String> {
    let (mut calls, mut answers) = (0, 0);
    for (said, cut) in &heard.items {
        match &said.part {
            Part::Reasoning(_) if request.effort == Effort::None => return Err("it thinks".into()),
            Part::Reasoning(_) | Part::Message { phase: Phase::Commentary, .. } => {}
            Part::Message { phase: Phase::Final, text } => {
                answers += 1;
                if !cut {
                    answer_fits(&request.format, text)?;
                }
            }
            Part::Call(call) => {
                calls += 1;
                let tool = request.tools.iter().find(|tool| tool.name == call.tool).ok_or("an unknown tool")?;
                let may = match &request.tool_choice {
                    ToolChoice::None => false,
                    ToolChoice::Auto | ToolChoice::Required => true,
                    ToolChoice::Named(name) => *name == call.tool,
                    ToolChoice::Allowed { tools, required: _ } => tools.contains(&call.tool),
                };
                if !may {
                    return Err(format!("{} may not be called", call.tool));
                }
                if !cut {
                    input_fits(tool, &call.input)?;
                }
            }
        }
    }
    let must = matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Named(_))
        || matches!(request.tool_choice, ToolChoice::Allowed { required: true, .. });
    match heard.outcome.ending {
        Ending::Answered if must || answers != 1 || calls > 0 => Err("an answer came".into()),
        Ending::Called if calls == 0 || (calls > 1 && !request.parallel_tool_calls) => Err("no call, or two".into()),
        Ending::Answered | Ending::Called | Ending::OutputTokens => Ok(()),
        ending => Err(format!("it ended with {ending:?}")),
    }
}

/// Turns that are tried; more where somebody asks for them.
fn turns() -> usize {
    std::env::var("GLOSSA_TURNS").ok().and_then(|turns| turns.parse().ok()).unwrap_or(500)
}

#[test]
fn a_model_of_random_weights_keeps_to_what_was_asked() {
    let vocabulary = agent::testing::vocabulary();
    let mut endings = [0; 3];
    for chunk in 0..turns().div_ceil(100) {
        let agent = Agent::noisy(&vocabulary, chunk as u64, Settings::default(), 16_384);
        for turn in 0..100 {
            let request = request(&mut Dice::new((chunk * 100 + turn) as u64));
            let mut turn = agent.begin(request.clone()).unwrap();
            let heard = listen(&mut turn);
            let text = || vocabulary.decode(&heard.tokens);
            let held = check(&request, &heard);
            held.unwrap_or_else(|reason| panic!("{reason} {:?}\n{request:#?}\n{}", turn.failure(), text()));
            // What is not one whole, sound message has no tokens to be replayed.
            assert!(heard.items.iter().all(|(said, cut)| *cut || said.tokens.is_some()), "{}", text());
            endings[match heard.outcome.ending {
                Ending::Answered => 0,
                Ending::Called => 1,
                _ => 2,
            }] += 1;
        }
    }
    let all: usize = endings.iter().sum();
    assert!(endings[0] > all / 8 && endings[1] > all / 4 && endings[2] < all / 2, "{endings:?}");
}
