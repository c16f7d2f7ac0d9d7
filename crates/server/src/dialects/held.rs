//! Answers and calls of a model of random weights, as clients of every API hear them: whatever it draws, what ends has the form that
//! was asked for, only tools are called that may be, and what is cut is called so.

mod spoken;

use agent::testing::{Dice, vocabulary};
use agent::{Agent, Settings};
use serde_json::{Value, json};

use self::spoken::{Api as Spelling, CHAT, MESSAGES, RESPONSES};
use super::support::Api;

/// Cases for each API, asked whole and as a stream; more where somebody asks for them.
const CASES: u64 = 120;
const CONTEXT_TOKENS: usize = 16_384;

/// What is asked.
#[derive(Debug)]
struct Case {
    form: Form,
    tools: Vec<Tool>,
    choice: Choice,
    parallel: bool,
    thinks: bool,
    tokens_max: usize,
    temperature: f64,
    seed: u64,
}

/// The form of the answer.
#[derive(Debug)]
enum Form {
    Text,
    Object,
    Schema(Value),
    Regex,
    Lark,
    Words,
}

#[derive(Debug)]
struct Tool {
    name: &'static str,
    takes: Takes,
}

/// What a tool takes.
#[derive(Debug)]
enum Takes {
    Nothing,
    Schema { schema: Value, strict: bool },
    Text,
    Regex,
    Lark,
}

#[derive(Debug)]
enum Choice {
    Auto,
    None,
    Required,
    Named(usize),
    Allowed { tool: usize, required: bool },
}

/// What a client makes of an answer.
#[derive(Debug)]
struct Heard {
    /// All that is said besides calls, and whether it is whole.
    answer: Option<(String, bool)>,
    /// Names and inputs, and whether these are whole.
    calls: Vec<(String, String, bool)>,
    end: End,
}

#[derive(Debug, PartialEq)]
enum End {
    Answered,
    Called,
    Cut,
}

const PATTERN: &str = "[a-z]{1,8}( [0-9]{1,3})?";
const GRAMMAR: &str = "start: \"add \" NUMBER (\", \" NUMBER)*\nNUMBER: /[0-9]{1,3}/";
const WORDS: [&str; 3] = ["yes", "no", "not yet"];

fn tool(dice: &mut Dice, index: usize, customs: bool) -> Tool {
    let takes = match dice.below(if customs { 9 } else { 6 }) {
        0 => Takes::Nothing,
        6 => Takes::Text,
        7 => Takes::Regex,
        8 => Takes::Lark,
        _ => Takes::Schema { schema: dice.object(2), strict: dice.below(2) == 0 },
    };
    Tool { name: ["get_weather", "get_weather_again", "a", "b-2"][index], takes }
}

fn case(dice: &mut Dice, api: &Spelling) -> Case {
    let count = dice.below(5);
    let tools: Vec<Tool> = (0..count).map(|index| tool(dice, index, api.has_customs)).collect();
    let choice = match dice.below(if api.has_allowed { 6 } else { 4 }) {
        _ if count == 0 => Choice::Auto,
        0 => Choice::Auto,
        1 => Choice::None,
        2 => Choice::Required,
        3 => Choice::Named(dice.below(count)),
        _ => Choice::Allowed { tool: dice.below(count), required: dice.below(2) == 0 },
    };
    let form = match dice.below(10) {
        0 => Form::Object,
        1..4 => Form::Schema(dice.object(3)),
        4 => Form::Regex,
        5 => Form::Lark,
        6 => Form::Words,
        _ => Form::Text,
    };
    Case {
        form,
        tools,
        choice,
        parallel: dice.below(3) == 0,
        thinks: dice.below(4) > 0,
        tokens_max: if dice.below(5) == 0 { 1 + dice.below(60) } else { 600 },
        temperature: 1.0 + dice.below(5) as f64 / 4.0,
        seed: dice.below(1 << 30) as u64,
    }
}

fn fits(schema: &Value, text: &str) -> bool {
    let validator = jsonschema::validator_for(schema).unwrap();
    serde_json::from_str(text).is_ok_and(|value: Value| validator.is_valid(&value))
}

/// Whether it is a word, and perhaps a number.
fn fits_pattern(text: &str) -> bool {
    let (word, number) = text.split_once(' ').unwrap_or((text, "0"));
    let is_word = (1..=8).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase());
    is_word && is_number(number)
}

fn fits_grammar(text: &str) -> bool {
    text.strip_prefix("add ").is_some_and(|numbers| numbers.split(", ").all(is_number))
}

fn is_number(text: &str) -> bool {
    (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Case {
    fn answer_fits(&self, text: &str) -> bool {
        match &self.form {
            Form::Text => !text.is_empty(),
            Form::Object => fits(&json!({ "type": "object" }), text),
            Form::Schema(schema) => fits(schema, text),
            Form::Regex => fits_pattern(text),
            Form::Lark => fits_grammar(text),
            Form::Words => WORDS.contains(&text),
        }
    }

    fn may_call(&self, tool: usize) -> bool {
        match self.choice {
            Choice::None => false,
            Choice::Auto | Choice::Required => true,
            Choice::Named(only) | Choice::Allowed { tool: only, required: _ } => tool == only,
        }
    }

    /// Whether the answer keeps to what was asked.
    fn holds(&self, heard: &Heard) -> Result<(), &'static str> {
        for (name, input, is_whole) in &heard.calls {
            let tool = self.tools.iter().position(|tool| tool.name == name).ok_or("an unknown tool")?;
            if !self.may_call(tool) {
                return Err("a tool that may not be called");
            }
            if *is_whole && !self.tools[tool].takes.fits(input) {
                return Err("a call's input has another form");
            }
        }
        if let Some((text, true)) = &heard.answer
            && !self.answer_fits(text)
        {
            return Err("the answer has another form");
        }
        let must = matches!(self.choice, Choice::Required | Choice::Named(_) | Choice::Allowed { required: true, .. });
        let is_answered = matches!(heard.answer, Some((_, true)));
        match heard.end {
            End::Answered if must || !is_answered || !heard.calls.is_empty() => Err("an answer came"),
            End::Called if heard.calls.is_empty() => Err("no call came"),
            End::Answered | End::Called | End::Cut if heard.calls.len() > 1 && !self.parallel => Err("two calls came"),
            End::Answered | End::Called | End::Cut => Ok(()),
        }
    }
}

impl Takes {
    fn fits(&self, input: &str) -> bool {
        match self {
            Self::Nothing => fits(&json!({ "type": "object", "maxProperties": 0 }), input),
            Self::Schema { schema, strict: _ } => fits(schema, input),
            Self::Text => true,
            Self::Regex => fits_pattern(input),
            Self::Lark => fits_grammar(input),
        }
    }
}

/// Asks all that can be asked of an API, and judges what comes.
async fn all_holds(spelling: &Spelling) {
    let mut endings = [0; 3];
    for chunk in 0..CASES.div_ceil(40) {
        let api = Api::over(Agent::noisy(&vocabulary(), chunk, Settings::default(), CONTEXT_TOKENS)).await;
        for number in chunk * 40..(chunk + 1) * 40 {
            let case = case(&mut Dice::new(number), spelling);
            let body = spelling.body(&case);
            for heard in spelling.ask(&api, &body).await {
                let held = case.holds(&heard);
                held.unwrap_or_else(|reason| panic!("{reason}: {heard:#?}\n{body:#}"));
                endings[heard.end as usize] += 1;
            }
        }
    }
    let all: usize = endings.iter().sum();
    let [answered, called, cut] = endings;
    assert!(answered > all / 8 && called > all / 4 && (1..all / 2).contains(&cut), "{endings:?}");
}

#[tokio::test]
async fn a_chat_holds() {
    all_holds(&CHAT).await;
}

#[tokio::test]
async fn a_message_holds() {
    all_holds(&MESSAGES).await;
}

#[tokio::test]
async fn a_response_holds() {
    all_holds(&RESPONSES).await;
}
