//! How a response ends that cannot go on: where its log stands, everything that is open closed, and the reason told. It must not know
//! who found out.

use serde_json::{Map, Value, json};

use super::{projection, retell};
use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::project::responses::Projection;
use crate::stored::Stored;
use crate::wire::responses::CreateResponse;

/// How a response ends that does not finish.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// Its owner has asked for it.
    Cancelled,
    /// For this reason.
    Failed(ApiError),
}

/// Ends a response behind its log. Gives the events that are missing in the log; the last of all is in the record.
pub(super) fn conclude(app: &App, caller: &Caller, stored: &mut Stored, log: &[String], end: &End) -> Vec<String> {
    let log: Vec<Value> = log.iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
    let pending = stored.pending.take();
    let create = pending.and_then(|pending| CreateResponse::read(&pending.request).ok());
    let created_at = stored.response["created_at"].as_i64().unwrap_or_default();
    let projected = create.map(|create| projection(app, caller, &create, stored.id(), created_at));
    let mut events = projected.map(|projection| told(projection, &log, end)).unwrap_or_default();
    let last = events.pop().unwrap_or_else(|| bare(&stored.response, end));
    finish(stored, &log, &events, last);
    events.iter().map(Value::to_string).collect()
}

/// The events that a response would tell now if it were made here.
fn told(mut projection: Projection, log: &[Value], end: &End) -> Vec<Value> {
    projection.begin();
    for event in retell::turn_events(log) {
        projection.push(&event);
    }
    projection.continue_at(i64::try_from(log.len()).unwrap_or(i64::MAX));
    match end {
        End::Cancelled => projection.cancel(),
        End::Failed(error) => projection.fail(error),
    }
}

/// The end of a response whose request cannot be read any more.
fn bare(response: &Value, end: &End) -> Value {
    let (kind, status, error) = match end {
        End::Cancelled => ("response.incomplete", "cancelled", Value::Null),
        End::Failed(error) => {
            ("response.failed", "failed", json!({ "code": "server_error", "message": error.message }))
        }
    };
    let mut response = response.clone();
    response["status"] = json!(status);
    response["error"] = error;
    json!({ "type": kind, "response": response })
}

/// What was told is what is kept, with everything that telling it again leaves out.
fn finish(stored: &mut Stored, log: &[Value], events: &[Value], mut last: Value) {
    let done = log.iter().chain(events).filter(|event| event["type"] == "response.output_item.done");
    last["response"]["output"] = done.map(|event| event["item"].clone()).collect();
    last["sequence_number"] = json!(log.len() + events.len());
    let mut ordered = Map::new();
    for name in ["type", "sequence_number", "response"] {
        ordered.insert(name.to_owned(), last[name].take());
    }
    stored.response = ordered["response"].clone();
    stored.output_tokens = Vec::new();
    stored.last_event = Some(Value::Object(ordered));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Source;

    #[test]
    fn an_end_follows_the_log_and_keeps_what_was_said_whole() {
        let response = json!({ "id": "resp_1", "status": "in_progress", "output": [], "error": null });
        let mut stored = Stored {
            response,
            source: Source::Nothing,
            input: Vec::new(),
            output_tokens: Vec::new(),
            pending: None,
            last_event: None,
        };
        let log = [
            json!({ "type": "response.created", "sequence_number": 0 }),
            json!({ "type": "response.output_item.done", "sequence_number": 1, "item": { "id": "rs_1" } }),
        ];
        let end = End::Failed(ApiError::bad_request("x", "too often"));
        let last = bare(&stored.response, &end);
        finish(&mut stored, &log, &[], last);
        let last = stored.last_event.clone().unwrap();
        assert_eq!((&last["type"], &last["sequence_number"]), (&json!("response.failed"), &json!(2)));
        assert_eq!(last["response"], stored.response);
        assert_eq!(stored.response["output"], json!([{ "id": "rs_1" }]));
        assert_eq!(stored.response["error"], json!({ "code": "server_error", "message": "too often" }));
        assert!(stored.has_ended());
        assert_eq!(bare(&stored.response, &End::Cancelled)["response"]["status"], "cancelled");
    }
}
