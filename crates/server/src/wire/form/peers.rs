//! The form of an answer as clients of vLLM and llama.cpp ask for it, beside or in place of OpenAI's. It must not know how it is held to.

use agent::Format;
use serde_json::Value;

use super::{Form, choice, gbnf, lark, nameless, regex};
use crate::error::ApiError;
use crate::wire::fields::{At, Fields};

/// Reads what is beside `own`, which is OpenAI's. There may be one form at most.
///
/// # Errors
/// What is wrong with it, or the second form, with its path.
pub(crate) fn read(fields: &Fields<'_>, own: Form) -> Result<Form, ApiError> {
    let mut forms = Vec::new();
    if own.format != Format::Text {
        forms.push(("response_format", own.clone()));
    }
    if let Some(at) = fields.get("structured_outputs") {
        forms.extend(structured_outputs(at)?.map(|form| ("structured_outputs", form)));
    }
    for (name, read) in OLDER {
        if let Some(at) = fields.get(name) {
            forms.push((name, held(read(at)?)));
        }
    }
    if let Some(at) = fields.get("grammar").filter(|at| at.value != "") {
        return Err(gbnf(at.path));
    }
    // Which program looks at masks changes nothing of what they let through.
    fields.optional("guided_decoding_backend", At::string)?;
    match &forms[..] {
        [] => Ok(own),
        [(_, form)] => Ok(form.clone()),
        [(one, _), (other, _), ..] => {
            let message = format!("{one} and {other} both say what form the answer has; give one of them");
            Err(ApiError::invalid(*other, message))
        }
    }
}

/// Refuses all of it where there are no answers but only texts that go on.
///
/// # Errors
/// The first that is there.
pub(crate) fn refuse(fields: &Fields<'_>) -> Result<(), ApiError> {
    for name in ["response_format", "structured_outputs", "grammar"].into_iter().chain(OLDER.map(|(name, _)| name)) {
        if let Some(at) = fields.get(name).filter(|at| at.value != "" && at.value["type"] != "text") {
            let message = format!(
                "{name} is not offered here: a text that goes on has no form; use /v1/chat/completions, which holds answers to it"
            );
            return Err(ApiError::unsupported(at.path, message));
        }
    }
    Ok(())
}

type Read = fn(At<'_>) -> Result<(Format, String), ApiError>;

/// One form each: vLLM's before `structured_outputs`, and llama.cpp's schema.
const OLDER: [(&str, Read); 5] = [
    ("guided_json", json),
    ("guided_regex", pattern),
    ("guided_choice", choice),
    ("guided_grammar", grammar),
    ("json_schema", json),
];

/// The same, in one object.
const NEWER: [(&str, Read); 4] = [("json", json), ("regex", pattern), ("choice", choice), ("grammar", grammar)];

fn held((format, path): (Format, String)) -> Form {
    Form { format, path, value: Value::Null }
}

fn structured_outputs(at: At<'_>) -> Result<Option<Form>, ApiError> {
    let path = at.path.clone();
    let fields = at.object()?;
    let mut forms = Vec::new();
    for (name, read) in NEWER {
        if let Some(at) = fields.get(name) {
            forms.push((fields.path_of(name), held(read(at)?)));
        }
    }
    if fields.optional("json_object", At::bool)? == Some(true) {
        let path = fields.path_of("json_object");
        forms.push((path.clone(), held((Format::JsonObject, path))));
    }
    // Forms are always held to, so that there is nothing to fall back to.
    fields.optional("disable_fallback", At::bool)?;
    for name in ["disable_any_whitespace", "disable_additional_properties"] {
        if let Some(at) = fields.get(name).filter(|at| *at.value != Value::Bool(false)) {
            let message = format!("{} is not offered here; say it in the schema, or leave it out", at.path);
            return Err(ApiError::unsupported(at.path, message));
        }
    }
    fields.finish()?;
    match &forms[..] {
        [] => {
            let message = format!("{path} names no form: expected one of json, regex, choice, grammar, json_object");
            Err(ApiError::invalid(path, message))
        }
        [(_, form)] => Ok(Some(form.clone())),
        [(one, _), (other, _), ..] => {
            let message = format!("{one} and {other} both say what form the answer has; give one of them");
            Err(ApiError::invalid(other.clone(), message))
        }
    }
}

/// A schema, or its text.
fn json(at: At<'_>) -> Result<(Format, String), ApiError> {
    let Some(text) = at.value.as_str() else { return nameless(at) };
    match serde_json::from_str::<Value>(text) {
        Ok(value) => nameless(At { value: &value, path: at.path }),
        Err(error) => {
            let message = format!("{} is a text that is not JSON ({error}): expected a JSON Schema", at.path);
            Err(ApiError { code: Some("invalid_json_schema"), ..ApiError::invalid(at.path, message) })
        }
    }
}

fn pattern(at: At<'_>) -> Result<(Format, String), ApiError> {
    let path = at.path.clone();
    Ok((Format::Grammar(regex(at)?), path))
}

fn grammar(at: At<'_>) -> Result<(Format, String), ApiError> {
    let path = at.path.clone();
    Ok((Format::Grammar(lark(at)?), path))
}
