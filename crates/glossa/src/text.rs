//! `glossa tokenize`, `detokenize`, `render` and `parse`: for people who look inside.

use std::io::{IsTerminal, Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};

use harmony::{AnalysisPolicy, Conversation, RenderOptions, Renderer, Role, parse_all};
use serde_json::{Value, json};

use crate::arguments::{Analysis, DetokenizeArguments, ParseArguments, Purpose, RenderArguments, TokenizeArguments};
use crate::console::{json_line, printable, terminator};
use crate::error::Error;
use crate::loading;

pub(crate) fn tokenize(arguments: &TokenizeArguments) -> Result<(), Error> {
    let vocabulary = loading::named_vocabulary(&arguments.vocabulary)?;
    let text = given_or_stdin(arguments.text.as_deref())?;
    let ids = if arguments.special { vocabulary.encode_with_specials(&text) } else { vocabulary.encode(&text) };
    if !arguments.table {
        return print(&json!(ids));
    }
    let mut out = stdout().lock();
    for id in ids {
        let bytes = vocabulary.token_bytes(id).unwrap_or_default();
        writeln!(out, "{id:>7}  {:?}", String::from_utf8_lossy(bytes))?;
    }
    Ok(())
}

pub(crate) fn detokenize(arguments: &DetokenizeArguments) -> Result<(), Error> {
    let vocabulary = loading::named_vocabulary(&arguments.vocabulary)?;
    let bytes = vocabulary.decode_bytes(&ids(arguments.ids.as_deref())?);
    let mut out = stdout().lock();
    if out.is_terminal() {
        writeln!(out, "{}", printable(&String::from_utf8_lossy(&bytes)))?;
    } else {
        out.write_all(&bytes)?;
    }
    Ok(out.flush()?)
}

pub(crate) fn render(arguments: &RenderArguments) -> Result<(), Error> {
    let vocabulary = loading::named_vocabulary(&arguments.vocabulary)?;
    let path = arguments.file.clone().unwrap_or_else(|| PathBuf::from("-"));
    let text = if path == Path::new("-") { read_stdin()? } else { utf8(&path, loading::read(&path)?)? };
    let wrong = |found: String| Error::Input {
        path: path.clone(),
        expected: "a conversation as JSON, {\"messages\": [{\"role\": \"user\", \"content\": \"…\"}]}",
        found,
    };
    let value: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if let Some(field) = unknown_field(&value) {
        return Err(wrong(format!("the field {field}, which would be lost")));
    }
    let conversation: Conversation = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
    let analysis = match arguments.analysis {
        Analysis::BeforeLastFinal => AnalysisPolicy::BeforeLastFinal,
        Analysis::BeforeFirstFinal => AnalysisPolicy::BeforeFirstFinal,
        Analysis::Keep => AnalysisPolicy::Keep,
    };
    let renderer = Renderer::new(&vocabulary)?.with_options(RenderOptions { analysis, ..RenderOptions::default() });
    let ids = match arguments.purpose {
        Purpose::Completion => renderer.render_for_completion(&conversation, Role::Assistant),
        Purpose::Conversation => renderer.render_conversation(&conversation),
        Purpose::Training => renderer.render_for_training(&conversation),
    }?;
    if arguments.ids {
        return print(&json!(ids));
    }
    print(&json!({ "text": vocabulary.decode(&ids), "ids": ids }))
}

/// The first field that a conversation or a message does not have, so that nothing is dropped in silence.
pub(crate) fn unknown_field(conversation: &Value) -> Option<&String> {
    const MESSAGE: [&str; 6] = ["role", "name", "recipient", "content", "channel", "content_type"];
    let messages = conversation.get("messages").and_then(Value::as_array).into_iter().flatten();
    let of_messages = messages.filter_map(Value::as_object).flat_map(serde_json::Map::keys);
    let own = conversation.as_object().into_iter().flat_map(serde_json::Map::keys);
    let unknown_own = own.filter(|field| *field != "messages");
    unknown_own.chain(of_messages.filter(|field| !MESSAGE.contains(&field.as_str()))).next()
}

pub(crate) fn parse(arguments: &ParseArguments) -> Result<(), Error> {
    let vocabulary = loading::named_vocabulary(&arguments.vocabulary)?;
    let role = if arguments.conversation { None } else { Some(Role::Assistant) };
    let messages = parse_all(&vocabulary, role, &ids(arguments.ids.as_deref())?)?;
    let message = |parsed: &harmony::ParsedMessage| {
        let mut value = json!(parsed.message);
        value["terminator"] = json!(terminator(parsed.terminator));
        value
    };
    print(&json!({ "messages": messages.iter().map(message).collect::<Vec<Value>>() }))
}

/// The text given on the command line, or standard input for `-` and for nothing.
pub(crate) fn given_or_stdin(given: Option<&str>) -> Result<String, Error> {
    match given {
        Some(text) if text != "-" => Ok(text.to_owned()),
        Some(_) | None => read_stdin(),
    }
}

fn read_stdin() -> Result<String, Error> {
    let path = Path::new("standard input");
    let mut bytes = Vec::new();
    stdin().lock().read_to_end(&mut bytes).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    utf8(path, bytes)
}

fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|error| {
        let found = format!("another byte at {}", error.utf8_error().valid_up_to());
        Error::Input { path: path.to_owned(), expected: "UTF-8 text", found }
    })
}

/// Token ids as a JSON array (or an object with the array "ids") or apart by spaces and commas.
fn ids(given: Option<&str>) -> Result<Vec<u32>, Error> {
    let text = given_or_stdin(given)?;
    let list = match serde_json::from_str::<Value>(&text) {
        Ok(Value::Array(list)) => list.iter().map(Value::to_string).collect(),
        Ok(Value::Object(map)) => match map.get("ids") {
            Some(Value::Array(list)) => list.iter().map(Value::to_string).collect(),
            _ => vec![text],
        },
        Ok(_) | Err(_) => {
            let words = text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
            words.map(str::to_owned).collect::<Vec<_>>()
        }
    };
    let id = |word: &String| {
        let found = word.chars().take(40).collect();
        word.parse().map_err(|_| Error::Input { path: "token ids".into(), expected: "whole numbers below 2^32", found })
    };
    list.iter().map(id).collect()
}

fn print(value: &Value) -> Result<(), Error> {
    Ok(writeln!(stdout().lock(), "{}", json_line(value))?)
}
