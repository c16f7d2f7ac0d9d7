//! What stands before every route: names for requests, keys and limits, CORS, drain, panics, and what is noted of each request. It must
//! not know what routes do.

mod access;
mod body;
mod cors;
pub(crate) mod hosts;
pub(crate) mod panics;
pub(crate) mod record;

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::caller::{Caller, Role};
use crate::error::ApiError;
use crate::keys::Allowance;
use crate::life::{Phase, Running};
use access::Access;
use body::Answer;
use record::{CURRENT, Record};

/// The name of a request, from the client or from us.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Time to the head of the answer.
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");
/// Letters of a client's name for a request.
const REQUEST_ID_MAX: usize = 128;

/// Everything that stands before a route, and behind it.
pub(crate) async fn front(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    if let Some(answer) = cors::preflight(&app.settings().cors_origins, &request) {
        return answer;
    }
    let record = Arc::new(record(&app, &request));
    let is_anthropic = access::is_anthropic(request.uri().path());
    let access = access::of(request.uri().path());
    let running = (access != Access::Open).then(|| app.life().begin());
    let admitted = admit(&app, access, &mut request, &record);
    let (allowance, outcome) = match admitted {
        Ok(allowance) => {
            let answering = CURRENT.scope(Arc::clone(&record), next.run(request));
            let outcome = panics::caught(answering).await.map_err(|panic| {
                app.metrics().panics.inc();
                ApiError::internal(&format!("a handler panicked: {panic}"))
            });
            (allowance, outcome)
        }
        Err(refused) => (None, Err(refused)),
    };
    let mut response = outcome.unwrap_or_else(IntoResponse::into_response);
    if is_anthropic && let Some(error) = response.extensions().get::<ApiError>() {
        response = anthropic(error.clone(), &record);
    }
    record.answered(response.status(), response.extensions().get::<ApiError>());
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(record.id()) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(PROCESSING_MS, HeaderValue::from(record.elapsed().as_millis() as u64));
    if let Some(allowance) = &allowance {
        access::show(allowance, headers);
    }
    cors::allow(&app.settings().cors_origins, origin.as_ref(), headers);
    response.map(|body| Body::new(Answer::new(body, app, record, (running, allowance))))
}

fn record(app: &App, request: &Request) -> Record {
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_usable =
        |id: &&str| !id.is_empty() && id.len() <= REQUEST_ID_MAX && id.bytes().all(|byte| byte.is_ascii_graphic());
    let id = given.filter(is_usable).map_or_else(|| app.ids().next("req"), str::to_owned);
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    Record::new(id, method(request.method()), route, parent)
}

/// Methods by their names; whatever else a client makes up is one name, since each is a row of the metrics.
fn method(method: &Method) -> &'static str {
    let known = ["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"];
    known.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}

/// Lets a request in, or says why not.
fn admit(app: &App, access: Access, request: &mut Request, record: &Record) -> Result<Option<Allowance>, ApiError> {
    if access == Access::Open {
        return Ok(None);
    }
    if access == Access::Key && app.life().phase() != Phase::Serving {
        return Err(draining());
    }
    access::check_size(request, app.settings().body_bytes_max)?;
    if !is_text(request.uri().path()) {
        return Err(ApiError::bad_request("invalid_url", "the path is not UTF-8 behind its %; write it so"));
    }
    let Some(keys) = app.keys() else {
        // With keys, a page would need one.
        if cors::is_foreign(&app.settings().cors_origins, request) {
            return Err(cors::foreign());
        }
        return hosts::check(&app.settings().allowed_hosts, request).map(|()| None);
    };
    let (key, usage) = access::key(keys, request.headers())?;
    let (role, limits) = (key.role, key.limits);
    let caller = Caller { owner: key.owner.clone() };
    record.belongs_to(key, Arc::clone(&usage));
    if access == Access::Admin {
        return if role == Role::Admin { Ok(None) } else { Err(access::not_admin()) };
    }
    request.extensions_mut().insert(caller);
    usage.admit(limits, Instant::now()).map(Some).map_err(access::too_much)
}

/// Whether a path is UTF-8 once its `%xx` are bytes.
fn is_text(path: &str) -> bool {
    let digit = |at: usize| path.as_bytes().get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let (mut bytes, mut at) = (Vec::with_capacity(path.len()), 0);
    while let Some(&byte) = path.as_bytes().get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    std::str::from_utf8(&bytes).is_ok()
}

/// A request that came over a connection that was let in before, until it is dropped.
pub(crate) struct Place {
    _running: Running,
    _allowance: Option<Allowance>,
}

/// Lets one more request of a connection in, which came with the key of this name, or says why not.
///
/// # Errors
/// 503 while the server drains, 401 where the key is gone, 429 beyond its limits.
pub(crate) fn admit_more(app: &App, key: Option<&str>) -> Result<Place, ApiError> {
    let running = app.life().begin();
    if app.life().phase() != Phase::Serving {
        return Err(draining());
    }
    let Some(keys) = app.keys() else { return Ok(Place { _running: running, _allowance: None }) };
    let (key, usage) = key.and_then(|name| keys.named(name)).ok_or_else(access::unknown_key)?;
    let allowance = usage.admit(key.limits, Instant::now()).map_err(access::too_much)?;
    Ok(Place { _running: running, _allowance: Some(allowance) })
}

fn draining() -> ApiError {
    ApiError::overloaded("the server is being shut down; send this to another, or again after the restart")
}

/// An error in Anthropic's envelope.
fn anthropic(error: ApiError, record: &Record) -> Response {
    let mut envelope = error.anthropic_body();
    envelope["request_id"] = record.id().into();
    error.told(envelope)
}

/// Any path that exists, by another method.
pub(crate) async fn wrong_method(request: Request) -> ApiError {
    let message = format!("{} is not for {}; the header Allow names what is", request.method(), request.uri().path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", Some("method_not_allowed"), message)
}

#[cfg(test)]
mod tests;
