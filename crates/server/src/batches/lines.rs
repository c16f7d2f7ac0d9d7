//! Lines of a batch's file: requests, or what is wrong with them. It must not know how they are answered.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::files::{Lines, Pieces};
use crate::json_body::check_depth;

/// Requests of a batch, as in OpenAI's API.
const REQUESTS_MAX: u64 = 50_000;
/// Errors that are told of a file; more help nobody.
const ERRORS_MAX: usize = 100;
/// Letters of a line's name.
const NAME_BYTES_MAX: usize = 512;

/// A request in a line.
pub(super) struct Request {
    /// The client's name for it.
    pub(super) name: String,
    /// Its body.
    pub(super) body: Value,
}

/// The file's lines, from the first.
pub(super) fn of_file(app: &App, owner: &str, file: &str) -> Lines {
    Lines::new(Pieces::new(app.clone(), owner.to_owned(), file.to_owned()))
}

/// The next line that is not empty, and its number, counted on.
pub(super) async fn next(lines: &mut Lines, number: &mut u64, most: usize) -> Result<Option<Vec<u8>>, ApiError> {
    while let Some(line) = lines.next(most).await? {
        *number += 1;
        if !line.iter().all(u8::is_ascii_whitespace) {
            return Ok(Some(line));
        }
    }
    Ok(None)
}

/// Looks at every line before any is answered. Gives the number of requests and what is wrong.
pub(super) async fn check(app: &App, owner: &str, file: &str, endpoint: &str) -> Result<(u64, Vec<Value>), ApiError> {
    let (mut lines, mut number, mut total) = (of_file(app, owner, file), 0, 0);
    let (mut names, mut errors) = (HashSet::new(), Vec::new());
    let most = app.settings().body_bytes_max;
    while errors.len() < ERRORS_MAX {
        let line = match next(&mut lines, &mut number, most).await {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(error) if error.status.is_client_error() => {
                errors.push(fault(error.code.unwrap_or_default(), Some(number + 1), None, &error.message));
                break;
            }
            Err(error) => return Err(error),
        };
        total += 1;
        let wrong = match read(&line, endpoint) {
            Ok(request) if !names.insert(request.name.clone()) => {
                Some(("duplicate_custom_id", "custom_id", format!("custom_id {:?} comes twice", request.name)))
            }
            Ok(_) => None,
            Err(wrong) => Some(wrong),
        };
        errors.extend(wrong.map(|(code, param, message)| fault(code, Some(number), Some(param), &message)));
        if total > REQUESTS_MAX {
            let message = format!("more than {REQUESTS_MAX} requests; cut the file into several");
            errors.push(fault("too_many_requests", Some(number), None, &message));
            break;
        }
    }
    if total == 0 && errors.is_empty() {
        errors.push(fault("empty_file", None, None, "the file has no requests"));
    }
    Ok((total, errors))
}

/// What is wrong with a file, as clients get it.
pub(super) fn fault(code: &str, line: Option<u64>, param: Option<&str>, message: &str) -> Value {
    json!({ "code": code, "line": line, "message": message, "param": param })
}

/// What is wrong with a line: code, field, words.
type Fault = (&'static str, &'static str, String);

/// A line as a request.
pub(super) fn read(line: &[u8], endpoint: &str) -> Result<Request, Fault> {
    let mut value: Value = serde_json::from_slice(line)
        .map_err(|error| ("invalid_json_line", "line", format!("the line is not JSON: {error}")))?;
    check_depth(&value).map_err(|error| ("invalid_json_line", "line", error.message))?;
    let name = value["custom_id"].as_str().filter(|name| !name.is_empty() && name.len() <= NAME_BYTES_MAX);
    let wrong = |param, expected: &str| Err(("invalid_request", param, format!("{param}: expected {expected}")));
    let Some(name) = name.map(str::to_owned) else {
        return wrong("custom_id", "a text that tells this line from others");
    };
    if value["method"] != "POST" {
        return wrong("method", "\"POST\"");
    }
    if value["url"] != endpoint {
        return wrong("url", &format!("{endpoint:?}, the endpoint of this batch"));
    }
    let mut body = value["body"].take();
    let Some(fields) = body.as_object_mut() else { return wrong("body", "an object") };
    for name in ["stream", "background"] {
        if fields.get(name).is_some_and(|value| value != false && !value.is_null()) {
            return wrong("body", &format!("no {name:?}; answers of a batch are whole"));
        }
    }
    // Whoever waits goes first.
    fields.insert("priority".to_owned(), 1.into());
    Ok(Request { name, body })
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn lines_are_read_or_told_what_is_wrong() {
        let read = |line: &str| read(line.as_bytes(), "/v1/responses").map(|request| (request.name, request.body));
        let good = r#"{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"model":"m"}}"#;
        let (name, body) = read(good).unwrap();
        assert_eq!((name.as_str(), body["model"].as_str(), body["priority"].as_i64()), ("a", Some("m"), Some(1)));
        for (line, param) in [
            ("", "line"),
            ("[]", "custom_id"),
            ("7", "custom_id"),
            (&good.replace("POST", "GET"), "method"),
            (&good.replace("/v1/r", "/v1/x"), "url"),
            (&good.replace(r#"{"model":"m"}"#, "[]"), "body"),
            (&good.replace(r#""m""#, r#""m","stream":true"#), "body"),
        ] {
            assert_eq!(read(line).unwrap_err().1, param, "{line}");
        }
    }
}
