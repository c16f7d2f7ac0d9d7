//! What the agent says of a form that cannot be enforced, in the terms of the request that asked for it. It must not know why it cannot.

use agent::{FormPlace, Format, Tool, ToolKind};

use crate::error::ApiError;
use crate::wire::form::Form;

/// The refusal of a request for an answer of this form. `tool` gives a tool by its place among those that the agent got, with the path
/// of what it takes.
pub(super) fn refused<'a>(
    error: agent::Error,
    form: &Form,
    tool: impl FnOnce(usize) -> Option<(String, &'a Tool)>,
) -> ApiError {
    let agent::Error::Form { place, path, reason } = error else { return error.into() };
    let (begin, what, code) = match place {
        FormPlace::Answer => {
            let (what, code) = answer(&form.format);
            (form.path.clone(), what, code)
        }
        FormPlace::Tool(index) => match tool(index) {
            Some((path, tool)) => {
                let (what, code) = input(tool);
                (path, what, code)
            }
            None => ("tools".to_owned(), "schema for a function".to_owned(), "invalid_function_parameters"),
        },
    };
    let param = joined(begin, &path);
    let message = format!("Invalid {what}: {param}: {reason}");
    ApiError { code: Some(code), ..ApiError::invalid(param, message) }
}

fn answer(format: &Format) -> (String, &'static str) {
    match format {
        Format::JsonSchema { name, .. } => (format!("schema for response_format '{name}'"), "invalid_json_schema"),
        Format::Text | Format::JsonObject => ("response_format".to_owned(), "invalid_json_schema"),
        Format::Grammar(_) | Format::Choice(_) => ("grammar for response_format".to_owned(), "invalid_grammar"),
    }
}

fn input(tool: &Tool) -> (String, &'static str) {
    let name = &tool.name.name;
    match tool.kind {
        ToolKind::Function { .. } => (format!("schema for function '{name}'"), "invalid_function_parameters"),
        ToolKind::Custom(_) => (format!("grammar for tool '{name}'"), "invalid_grammar"),
    }
}

fn joined(begin: String, path: &str) -> String {
    match path.chars().next() {
        None => begin,
        Some('[') => format!("{begin}{path}"),
        Some(_) if begin.is_empty() => path.to_owned(),
        Some(_) => format!("{begin}.{path}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::lower::{chat, messages, responses};
    use crate::settings::HostedTools;
    use crate::wire::chat::ChatRequest;
    use crate::wire::messages::MessagesRequest;
    use crate::wire::responses::CreateResponse;

    fn fault(place: FormPlace) -> agent::Error {
        agent::Error::Form { place, path: "properties.a.pattern".to_owned(), reason: "no; leave it out".to_owned() }
    }

    fn whole(place: FormPlace) -> agent::Error {
        agent::Error::Form { place, path: String::new(), reason: "no".to_owned() }
    }

    fn told(error: ApiError) -> (String, &'static str) {
        assert_eq!((error.status.as_u16(), error.kind), (400, "invalid_request_error"));
        let param = error.param.unwrap();
        assert!(error.message.contains(&param), "{}", error.message);
        (param, error.code.unwrap())
    }

    fn of_response(extra: Value, error: agent::Error) -> (String, &'static str) {
        let mut body = json!({ "input": "x" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        told(responses::refused(&CreateResponse::read(&body).unwrap(), error))
    }

    fn of_chat(extra: Value, error: agent::Error) -> (String, &'static str) {
        let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        told(chat::refused(&ChatRequest::read(&body).unwrap(), error))
    }

    fn of_message(extra: Value, error: agent::Error) -> (String, &'static str) {
        let mut body = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }] });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        told(messages::refused(&MessagesRequest::read(&body).unwrap(), error))
    }

    #[test]
    fn a_schema_of_an_answer_is_named_as_it_was_sent() {
        let schema = json!({ "type": "object" });
        let flat = json!({ "text": { "format": { "type": "json_schema", "name": "a", "schema": schema } } });
        let answer = || fault(FormPlace::Answer);
        let bad = "invalid_json_schema";
        assert_eq!(of_response(flat, answer()), ("text.format.schema.properties.a.pattern".to_owned(), bad));
        let nested =
            json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "a", "schema": schema } } });
        let path = "response_format.json_schema.schema.properties.a.pattern";
        assert_eq!(of_chat(nested, answer()), (path.to_owned(), bad));
        let cases = [
            (json!({ "structured_outputs": { "json": schema } }), "structured_outputs.json"),
            (json!({ "guided_json": schema.to_string() }), "guided_json"),
            (json!({ "json_schema": schema }), "json_schema"),
            (json!({ "response_format": { "type": "json_object", "schema": schema } }), "response_format.schema"),
        ];
        for (extra, path) in cases {
            assert_eq!(of_chat(extra, answer()), (format!("{path}.properties.a.pattern"), bad));
        }
        let format = json!({ "type": "json_schema", "schema": schema });
        for (extra, path) in [
            (json!({ "output_format": format }), "output_format.schema"),
            (json!({ "output_config": { "format": format } }), "output_config.format.schema"),
        ] {
            assert_eq!(of_message(extra, answer()), (format!("{path}.properties.a.pattern"), bad));
        }
    }

    #[test]
    fn a_grammar_of_an_answer_is_named_as_it_was_sent() {
        let cases = [
            (json!({ "type": "grammar", "grammar": "start: /a/" }), "grammar"),
            (json!({ "type": "regex", "pattern": "a" }), "pattern"),
            (json!({ "type": "choice", "choices": ["a"] }), "choices"),
        ];
        for (format, field) in cases {
            let told = of_response(json!({ "text": { "format": format } }), whole(FormPlace::Answer));
            assert_eq!(told, (format!("text.format.{field}"), "invalid_grammar"));
            let told = of_chat(json!({ "response_format": format }), whole(FormPlace::Answer));
            assert_eq!(told, (format!("response_format.{field}"), "invalid_grammar"));
            let told = of_message(json!({ "output_format": format }), whole(FormPlace::Answer));
            assert_eq!(told, (format!("output_format.{field}"), "invalid_grammar"));
        }
        for (extra, path) in [
            (json!({ "structured_outputs": { "regex": "a" } }), "structured_outputs.regex"),
            (json!({ "guided_grammar": "start: /a/" }), "guided_grammar"),
            (json!({ "guided_choice": ["a"] }), "guided_choice"),
        ] {
            assert_eq!(of_chat(extra, whole(FormPlace::Answer)), (path.to_owned(), "invalid_grammar"));
        }
    }

    #[test]
    fn tools_are_counted_as_the_request_counts_them() {
        let grammar = json!({ "type": "grammar", "syntax": "lark", "definition": "start: /a/" });
        let tools = json!({ "tools": [
            { "type": "web_search" },
            { "type": "namespace", "name": "n", "tools": [
                { "type": "custom", "name": "a" },
                { "type": "function", "name": "b", "parameters": { "type": "object" } },
            ] },
            { "type": "function", "name": "c", "parameters": { "type": "object" } },
            { "type": "custom", "name": "d", "format": grammar },
        ] });
        let bad = "invalid_function_parameters";
        let inner = of_response(tools.clone(), fault(FormPlace::Tool(1)));
        assert_eq!(inner, ("tools[1].tools[1].parameters.properties.a.pattern".to_owned(), bad));
        let own = of_response(tools.clone(), fault(FormPlace::Tool(2)));
        assert_eq!(own, ("tools[2].parameters.properties.a.pattern".to_owned(), bad));
        let custom = of_response(tools.clone(), whole(FormPlace::Tool(3)));
        assert_eq!(custom, ("tools[3].format.definition".to_owned(), "invalid_grammar"));
        let create = CreateResponse::read(&json!({ "input": "x", "tools": tools["tools"] })).unwrap();
        let lowered = crate::lower::tools::tools(&create.tools, HostedTools::Ignore).unwrap();
        assert_eq!(lowered[2].name.name, "c", "the agent counts as the test does");
    }

    #[test]
    fn tools_of_the_other_apis_are_too() {
        let bad = "invalid_function_parameters";
        let grammar = json!({ "type": "grammar", "grammar": { "syntax": "regex", "definition": "a" } });
        let tools = json!({ "tools": [
            { "type": "custom", "custom": { "name": "d", "format": grammar } },
            { "type": "function", "function": { "name": "c", "parameters": { "type": "object" } } },
        ] });
        let function = of_chat(tools.clone(), fault(FormPlace::Tool(1)));
        assert_eq!(function, ("tools[1].function.parameters.properties.a.pattern".to_owned(), bad));
        let custom = of_chat(tools, whole(FormPlace::Tool(0)));
        assert_eq!(custom, ("tools[0].custom.format.grammar.definition".to_owned(), "invalid_grammar"));
        let older = of_chat(json!({ "functions": [{ "name": "c" }] }), fault(FormPlace::Tool(0)));
        assert_eq!(older, ("functions[0].parameters.properties.a.pattern".to_owned(), bad));
        let tool = |name: &str| json!({ "name": name, "input_schema": { "type": "object" } });
        let tools = json!({ "tools": [tool("a"), tool("b")] });
        let message = of_message(tools, fault(FormPlace::Tool(1)));
        assert_eq!(message, ("tools[1].input_schema.properties.a.pattern".to_owned(), bad));
    }
}
