//! The form of an answer, as the APIs and the servers beside this one spell it. It must not know how it is held to.

pub(crate) mod peers;

use agent::{Format, TextGrammar};
use serde_json::Value;

use crate::error::ApiError;
use crate::wire::fields::{At, Fields};
use crate::wire::schema;

/// What a schema is called that comes without a name.
const NAMELESS: &str = "answer";
/// Letters of a schema's name.
const NAME_LETTERS_MAX: usize = 128;
/// Texts to choose from.
const CHOICES_MAX: usize = 4096;

/// The form of an answer, and where it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Form {
    /// The form.
    pub(crate) format: Format,
    /// The path of what the answer is held to, as `text.format.schema`; empty where that is nothing.
    pub(crate) path: String,
    /// As it came, to be echoed; null where it did not come as an object with a type.
    pub(crate) value: Value,
}

/// Where the parts of a `json_schema` stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Name and schema beside the type, as in Responses.
    Flat,
    /// Name and schema in an object `json_schema`, as in Chat Completions.
    Nested,
    /// A schema beside the type, without a name, as in Messages.
    Nameless,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    JsonObject,
    JsonSchema,
    Grammar,
    Regex,
    Choice,
}

const KINDS: [(&str, Kind); 6] = [
    ("text", Kind::Text),
    ("json_object", Kind::JsonObject),
    ("json_schema", Kind::JsonSchema),
    ("grammar", Kind::Grammar),
    ("regex", Kind::Regex),
    ("choice", Kind::Choice),
];

/// Reads an object with a `type`.
///
/// # Errors
/// What of it is wrong, with its path.
pub(crate) fn read(at: At<'_>, layout: Layout) -> Result<Form, ApiError> {
    let value = at.value.clone();
    let fields = at.object()?;
    let (format, path) = match fields.need("type")?.word(&KINDS)? {
        Kind::Text => (Format::Text, String::new()),
        Kind::JsonObject => match fields.get("schema") {
            // Servers beside this one take a schema here.
            Some(at) => nameless(at)?,
            None => (Format::JsonObject, fields.path_of("type")),
        },
        Kind::JsonSchema => match layout {
            Layout::Flat => named(&fields)?,
            Layout::Nested => {
                let inner = fields.need("json_schema")?.object()?;
                let form = named(&inner)?;
                inner.finish()?;
                form
            }
            Layout::Nameless => {
                let at = fields.need("schema")?;
                let path = at.path.clone();
                (json_schema(schema::of_answer(at)?), path)
            }
        },
        Kind::Grammar => {
            let at = fields.need("grammar")?;
            let path = at.path.clone();
            let syntax = fields.optional("syntax", |at| at.word(&SYNTAXES))?.unwrap_or(lark);
            (Format::Grammar(syntax(at)?), path)
        }
        Kind::Regex => {
            let at = fields.need("pattern")?;
            let path = at.path.clone();
            (Format::Grammar(regex(at)?), path)
        }
        Kind::Choice => choice(fields.need("choices")?)?,
    };
    fields.finish()?;
    Ok(Form { format, path, value })
}

fn named(fields: &Fields<'_>) -> Result<(Format, String), ApiError> {
    let name = fields.need("name").and_then(name)?;
    let description = fields.optional("description", At::string)?;
    let at = fields.need("schema")?;
    let path = at.path.clone();
    let schema = schema::of_answer(at)?;
    let strict = fields.optional("strict", At::bool)?.unwrap_or(false);
    Ok((Format::JsonSchema { name, description, schema, strict }, path))
}

fn json_schema(schema: Value) -> Format {
    Format::JsonSchema { name: NAMELESS.to_owned(), description: None, schema, strict: true }
}

/// A schema of any kind of value, alone.
fn nameless(at: At<'_>) -> Result<(Format, String), ApiError> {
    let path = at.path.clone();
    Ok((json_schema(schema::of_answer(at)?), path))
}

fn choice(at: At<'_>) -> Result<(Format, String), ApiError> {
    let path = at.path.clone();
    if at.value.as_array().is_none_or(|choices| !(1..=CHOICES_MAX).contains(&choices.len())) {
        return Err(at.expected(&format!("an array of 1 to {CHOICES_MAX} texts")));
    }
    let choices = at.array()?.map(At::string).collect::<Result<_, _>>()?;
    Ok((Format::Choice(choices), path))
}

/// Reads a grammar of one syntax.
pub(crate) type ReadGrammar = fn(At<'_>) -> Result<TextGrammar, ApiError>;

/// How a grammar may be written.
pub(crate) const SYNTAXES: [(&str, ReadGrammar); 2] = [("lark", lark), ("regex", regex)];

/// A grammar in the Lark format.
fn lark(at: At<'_>) -> Result<TextGrammar, ApiError> {
    let grammar = at.str()?;
    // The commonest mistake, which a parser of Lark could only call an unexpected sign.
    let is_rule = |line: &str| {
        let name = line.split_once("::=").map(|(name, _)| name.trim());
        name.is_some_and(|name| {
            !name.is_empty() && name.chars().all(|sign| sign.is_alphanumeric() || "_-<>".contains(sign))
        })
    };
    if grammar.lines().any(is_rule) {
        return Err(gbnf(at.path));
    }
    Ok(TextGrammar::Lark(grammar.to_owned()))
}

/// A regular expression.
fn regex(at: At<'_>) -> Result<TextGrammar, ApiError> {
    at.string().map(TextGrammar::Regex)
}

/// A grammar in the form of llama.cpp.
fn gbnf(path: String) -> ApiError {
    let message = format!(
        "{path} is a grammar in GBNF: expected Lark; write rules as `start: \"yes\" | \"no\"` and give it as {{\"type\": \"grammar\", \"grammar\": …}}"
    );
    ApiError { code: Some("invalid_grammar"), ..ApiError::invalid(path, message) }
}

fn name(at: At<'_>) -> Result<String, ApiError> {
    let name = at.str()?;
    let good = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if name.is_empty() || name.len() > NAME_LETTERS_MAX || !name.chars().all(good) {
        return Err(at.unknown(&format!("1 to {NAME_LETTERS_MAX} letters, digits, underscores and hyphens")));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests;
