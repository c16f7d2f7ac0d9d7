//! Pages of other origins: who may call, by the operator's list. It must not know routes.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

/// The answer to a browser that asks whether it may; nothing where nobody asks, or no origin is allowed at all.
pub(super) fn preflight(origins: &[String], request: &Request) -> Option<Response> {
    let headers = request.headers();
    let is_asked = request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if origins.is_empty() || !is_asked {
        return None;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if allow(origins, headers.get(header::ORIGIN), response.headers_mut()) {
        let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        let response = response.headers_mut();
        response.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
        if let Some(wanted) = wanted {
            response.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
        }
        response.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    Some(response)
}

/// Lets an origin read the answer, if it is on the list.
pub(super) fn allow(origins: &[String], origin: Option<&HeaderValue>, headers: &mut HeaderMap) -> bool {
    let Some(origin) = origin.filter(|_| !origins.is_empty()) else { return false };
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    let is_listed = is_listed(origins, origin);
    if is_listed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-request-id, retry-after"));
    }
    is_listed
}

/// Whether a page asks that came from elsewhere and is not on the list. Browsers let every page send plain posts and open WebSockets to
/// this machine and only keep the answers of the former from it, so these are for the server to refuse.
pub(super) fn is_foreign(origins: &[String], request: &Request) -> bool {
    let headers = request.headers();
    let Some(origin) = headers.get(header::ORIGIN).filter(|_| request.method() != Method::OPTIONS) else {
        return false;
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let from = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    !is_listed(origins, origin) && (from.is_none() || from != host)
}

/// A page that may not.
pub(super) fn foreign() -> ApiError {
    let message = "pages of other origins may not use this server; list this one in server.cors_origins if it should";
    ApiError::new(StatusCode::FORBIDDEN, "permission_error", Some("origin_not_allowed"), message)
}

fn is_listed(origins: &[String], origin: &HeaderValue) -> bool {
    origins.iter().any(|listed| listed == "*" || listed.as_bytes() == origin.as_bytes())
}
