//! The forms that texts of a turn are held to: the answer's, and those of calls by tool. It must not know headers or tokens.

use grammar::{Grammar, Mode, Source, Tokens};
use serde_json::{Value, json};

use crate::error::{Error, FormPlace};
use crate::item::Phase;
use crate::policy::{Kind, Policy};
use crate::request::{CustomFormat, Format, TextGrammar, ToolKind, TurnRequest};

/// The form of a text.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// None.
    Free,
    /// A grammar's.
    Held(Grammar),
}

/// All forms of a turn.
pub(super) struct Forms {
    answer: Form,
    answer_is_json: bool,
    /// In the order of the policy's callees.
    calls: Vec<Form>,
}

impl Forms {
    /// Compiles those that the turn can come to.
    pub(super) fn new(tokens: &Tokens, request: &TurnRequest, policy: &Policy) -> Result<Self, Error> {
        let compile = |wanted: Option<(Source, Mode)>, place: Option<FormPlace>| {
            let Some((source, mode)) = wanted else { return Ok(Form::Free) };
            match (tokens.compile(&source, mode), place) {
                (Ok(grammar), _) => Ok(Form::Held(grammar)),
                (Err(error), Some(place)) => {
                    Err(Error::Form { place, path: error.path().unwrap_or_default(), reason: error.to_string() })
                }
                // A built-in tool checks its own input, whatever it is.
                (Err(_), None) => Ok(Form::Free),
            }
        };
        let answer = compile(answer_form(&request.format), Some(FormPlace::Answer))?;
        let answer_is_json = matches!(request.format, Format::JsonObject | Format::JsonSchema { .. });
        let own = request.tools.iter().enumerate().map(|(index, tool)| (input_form(&tool.kind), Some(index)));
        let built_in = request.built_in.iter().flat_map(|tool| {
            let namespace = tool.declaration().namespace().clone();
            tool.recipients().into_iter().map(move |name| {
                let declared = namespace.tools.iter().find(|declared| declared.name == name.name);
                let parameters = declared.and_then(|declared| declared.parameters.clone());
                (parameters.map(|schema| (Source::JsonSchema { schema }, Mode::Relaxed)), None)
            })
        });
        let mut calls = Vec::new();
        for (callee, (wanted, index)) in own.chain(built_in).enumerate() {
            let wanted = wanted.filter(|_| policy.callee(callee).is_chosen());
            calls.push(compile(wanted, index.map(FormPlace::Tool))?);
        }
        Ok(Self { answer, answer_is_json, calls })
    }

    pub(super) fn of(&self, kind: &Kind) -> &Form {
        match kind {
            Kind::Thought | Kind::Message(Phase::Commentary) => &Form::Free,
            Kind::Message(Phase::Final) => &self.answer,
            Kind::Call(tool) => &self.calls[*tool],
        }
    }

    pub(super) fn answer_is_json(&self) -> bool {
        self.answer_is_json
    }
}

pub(super) fn answer_form(format: &Format) -> Option<(Source, Mode)> {
    let source = match format {
        Format::Text => return None,
        Format::JsonObject => Source::JsonObject,
        Format::JsonSchema { name: _, description: _, schema, strict: _ } => {
            Source::JsonSchema { schema: schema.clone() }
        }
        Format::Grammar(grammar) => of_text(grammar),
        Format::Choice(texts) => Source::Choice(texts.clone()),
    };
    Some((source, Mode::Strict))
}

fn input_form(kind: &ToolKind) -> Option<(Source, Mode)> {
    match kind {
        ToolKind::Function { parameters, strict } => {
            let mode = if *strict { Mode::Strict } else { Mode::Relaxed };
            Some((Source::JsonSchema { schema: arguments(parameters.as_ref()) }, mode))
        }
        ToolKind::Custom(CustomFormat::Text) => None,
        ToolKind::Custom(CustomFormat::Grammar(grammar)) => Some((of_text(grammar), Mode::Strict)),
    }
}

fn of_text(grammar: &TextGrammar) -> Source {
    match grammar {
        TextGrammar::Lark(definition) => Source::Lark(definition.clone()),
        TextGrammar::Regex(pattern) => Source::Regex(pattern.clone()),
    }
}

/// The schema of a function's arguments, which are an object unless it says something else.
fn arguments(parameters: Option<&Value>) -> Value {
    let nothing = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let Some(parameters) = parameters else { return nothing };
    if crate::prompt::is_of_nothing(parameters) {
        return nothing;
    }
    let says = ["type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"];
    match parameters {
        Value::Object(fields) if !says.iter().any(|&keyword| fields.contains_key(keyword)) => {
            let mut fields = fields.clone();
            fields.insert("type".to_owned(), json!("object"));
            Value::Object(fields)
        }
        _ => parameters.clone(),
    }
}
