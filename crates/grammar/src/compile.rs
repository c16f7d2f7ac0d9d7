//! From a source to the library's parser. It must not know what is kept of the results.

use llguidance::api::{GrammarInit, TopLevelGrammar};
use llguidance::derivre::RegexAst;
use llguidance::{Logger, Matcher as Parser};
use serde_json::Value;
use toktrie::InferenceCapabilities;

use crate::error::Error;
use crate::lark;
use crate::limits::Limits;
use crate::rules::Rules;
use crate::schema;
use crate::source::{Mode, Source};
use crate::tokens::Engine;

/// Compiles a source.
pub(crate) fn parser(engine: &Engine, source: &Source, mode: Mode, limits: &Limits) -> Result<Parser, Error> {
    let what = source.name();
    match source {
        Source::JsonObject => json(engine, &serde_json::json!({"type": "object"}), mode, limits),
        Source::JsonSchema { schema: value } => json(engine, value, mode, limits),
        Source::Regex(pattern) => one_lexeme(engine, what, RegexAst::Regex(pattern.clone()), limits),
        Source::Choice(choices) if choices.is_empty() => {
            Err(Error::Syntax { what, reason: "it is empty; give at least one text".to_string() })
        }
        Source::Choice(choices) => {
            one_lexeme(engine, what, RegexAst::Or(choices.iter().cloned().map(RegexAst::Literal).collect()), limits)
        }
        Source::Lark(grammar) => {
            lark::check(grammar)?;
            // Rules without a choice may derive texts of any length, which would all be found to be forced at once. Behind empty lines, so
            // that pictures of errors do not show it.
            let grammar = format!("{grammar}\n\n\n%llguidance {{\"no_forcing\": true}}\n");
            start(engine, what, GrammarInit::Serialized(TopLevelGrammar::from_lark(grammar)))
        }
        Source::Header(grammar) => {
            start(engine, what, GrammarInit::Serialized(TopLevelGrammar::from_lark(grammar.clone())))
        }
    }
}

fn json(engine: &Engine, value: &Value, mode: Mode, limits: &Limits) -> Result<Parser, Error> {
    let compiled = schema::compile(value, mode, limits).and_then(|grammar| start(engine, "schema", grammar));
    match compiled {
        Err(error) if mode == Mode::Relaxed && !matches!(error, Error::Unsatisfiable { .. }) => {
            start(engine, "schema", schema::compile(&outermost(value), Mode::Strict, limits)?)
        }
        compiled => compiled,
    }
}

/// What can always be enforced of a schema: the sort of value that it describes.
fn outermost(schema: &Value) -> Value {
    const SORTS: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];
    match schema.get("type").and_then(Value::as_str) {
        Some(sort) if SORTS.contains(&sort) => serde_json::json!({"type": sort}),
        _ if schema.get("properties").is_some() => serde_json::json!({"type": "object"}),
        _ => Value::Bool(true),
    }
}

/// A grammar of one automaton.
fn one_lexeme(engine: &Engine, what: &'static str, regex: RegexAst, limits: &Limits) -> Result<Parser, Error> {
    let mut rules = Rules::new(what, RegexAst::NoMatch, limits)?;
    let lexeme = rules.lexeme(regex)?;
    rules.start(lexeme)?;
    start(engine, what, rules.finish())
}

fn start(engine: &Engine, what: &'static str, grammar: GrammarInit) -> Result<Parser, Error> {
    let able = InferenceCapabilities { ff_tokens: true, ..InferenceCapabilities::default() };
    let limits = engine.factory.limits().clone();
    let parser = engine.factory.create_parser_from_init_ext(grammar, Logger::new(0, 0), able, limits);
    let parser = parser.map_err(|error| Error::from_library(what, &error))?;
    let mut parser = Parser::new(Ok(parser));
    match parser.get_error() {
        // A text that can neither begin nor be empty.
        None if parser.compute_mask_or_eos().is_err() => Err(Error::Unsatisfiable {
            path: String::new(),
            reason: "no text can be begun; check what contradicts what".to_string(),
        }),
        None => Ok(parser),
        Some(error) => Err(Error::from_library(what, &error)),
    }
}
