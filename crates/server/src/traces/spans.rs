//! A request as spans, in OTLP's JSON and with OpenTelemetry's names for generative models. It must not know who takes them.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Trace;
use crate::turns::TurnTimes;
use crate::{hexadecimal, random};

/// OTLP's kinds of spans.
const KIND_INTERNAL: u8 = 1;
const KIND_SERVER: u8 = 2;
/// OTLP's status of a span that failed.
const STATUS_ERROR: u8 = 2;

/// The span of a request, and below it those of its turns.
pub(super) fn of(trace: &Trace<'_>, turns: &[TurnTimes], model: &str) -> Vec<Value> {
    let ids = Ids { trace: hexadecimal::write(&trace.parent.map_or_else(random::bytes, |parent| parent.trace)) };
    let clock = Clock { at: trace.at, started: trace.started };
    let root = ids.next();
    let mut attributes = vec![
        text("http.request.method", trace.method),
        text("http.route", trace.route),
        number("http.response.status_code", usize::from(trace.status)),
        text("glossa.request_id", trace.id),
    ];
    attributes.extend(trace.code.map(|code| text("error.type", code)));
    let name = format!("{} {}", trace.method, trace.route);
    let parent = trace.parent.map(|parent| hexadecimal::write(&parent.span));
    let mut span =
        ids.span(&root, parent.as_deref(), &name, KIND_SERVER, attributes, &clock.span(trace.started, Instant::now()));
    if trace.status >= 500 {
        span["status"] = json!({ "code": STATUS_ERROR });
    }
    let mut spans = vec![span];
    for turn in turns {
        spans.extend(of_turn(&ids, &root, turn, model, &clock));
    }
    spans
}

/// A turn: the call of the model, and in it queue, prompt and answer.
fn of_turn(ids: &Ids, root: &str, turn: &TurnTimes, model: &str, clock: &Clock) -> Vec<Value> {
    let TurnTimes { asked, begun, first_token, ended, usage, ending, guarded } = *turn;
    let agent::Usage { input_tokens, cached_tokens, output_tokens, reasoning_tokens } = usage;
    let call = ids.next();
    let mut attributes = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", "glossa"),
        text("gen_ai.request.model", model),
        number("gen_ai.usage.input_tokens", input_tokens),
        number("gen_ai.usage.output_tokens", output_tokens),
        number("gen_ai.usage.cache_read.input_tokens", cached_tokens),
        number("gen_ai.usage.reasoning.output_tokens", reasoning_tokens),
        json!({ "key": "glossa.guarded", "value": { "boolValue": guarded } }),
    ];
    if let Some(ending) = ending {
        let reason = json!({ "arrayValue": { "values": [{ "stringValue": format!("{ending:?}") }] } });
        attributes.push(json!({ "key": "gen_ai.response.finish_reasons", "value": reason }));
    }
    let name = format!("chat {model}");
    let mut spans = vec![ids.span(&call, Some(root), &name, KIND_INTERNAL, attributes, &clock.span(asked, ended))];
    let mut part = |name: &str, from: Instant, to: Instant| {
        let span = ids.span(&ids.next(), Some(&call), name, KIND_INTERNAL, Vec::new(), &clock.span(from, to));
        spans.push(span);
    };
    let reading = begun.unwrap_or(ended);
    let writing = first_token.unwrap_or(ended);
    part("queue", asked, reading);
    if begun.is_some() {
        part("prefill", reading, writing);
    }
    if first_token.is_some() {
        part("decode", writing, ended);
    }
    spans
}

/// Names of spans.
struct Ids {
    trace: String,
}

impl Ids {
    fn next(&self) -> String {
        hexadecimal::write(&random::bytes::<8>())
    }

    fn span(
        &self,
        id: &str,
        parent: Option<&str>,
        name: &str,
        kind: u8,
        attributes: Vec<Value>,
        (from, to): &(String, String),
    ) -> Value {
        let mut span = json!({
            "traceId": self.trace,
            "spanId": id,
            "name": name,
            "kind": kind,
            "startTimeUnixNano": from,
            "endTimeUnixNano": to,
            "attributes": attributes,
        });
        if let Some(parent) = parent {
            span["parentSpanId"] = parent.into();
        }
        span
    }
}

/// Moments of the process as moments of the world.
struct Clock {
    at: SystemTime,
    started: Instant,
}

impl Clock {
    fn span(&self, from: Instant, to: Instant) -> (String, String) {
        let nanoseconds = |moment: Instant| {
            let since = self.at + moment.saturating_duration_since(self.started);
            since.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
        };
        (nanoseconds(from), nanoseconds(to))
    }
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// OTLP writes 64-bit integers as strings.
fn number(key: &str, value: usize) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}
