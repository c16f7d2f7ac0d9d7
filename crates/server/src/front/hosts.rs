//! Under which names a server may be asked that only its own machine reaches. It must not know routes.
//!
//! A page from elsewhere can let its own name lead to this machine after it was loaded (DNS rebinding). To the browser the server is then
//! of the page's origin, so that only the name in the request tells it from the user's own programs.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{StatusCode, header};

use crate::error::ApiError;

/// Marks requests that came to an address which only this machine reaches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnMachine;

/// Refuses a request to this machine under a name that is not its own, unless the name or `*` is on the list.
///
/// # Errors
/// 403, with the name.
pub(super) fn check(allowed: &[String], request: &Request) -> Result<(), ApiError> {
    if request.extensions().get::<OwnMachine>().is_none() {
        return Ok(());
    }
    // Browsers always send one.
    let Some(host) = request.headers().get(header::HOST) else { return Ok(()) };
    let host = String::from_utf8_lossy(host.as_bytes());
    let name = name(&host);
    if is_own(name) || allowed.iter().any(|listed| listed == "*" || listed.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let message = format!(
        "this server may not be asked as {name:?}: ask for localhost, or let the operator list the name in server.allowed_hosts or give keys"
    );
    Err(ApiError::new(StatusCode::FORBIDDEN, "permission_error", Some("host_not_allowed"), message))
}

/// A host without its port.
fn name(host: &str) -> &str {
    let end = host.rfind(':').filter(|&at| !host[at..].contains(']')).unwrap_or(host.len());
    host[..end].trim_matches(['[', ']'])
}

/// Whether a name leads only to machines of one's own: nobody can buy one that ends so. Containers call their host such a name.
fn is_own(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_reserved = name.eq_ignore_ascii_case("localhost")
        || ["localhost", "internal"].iter().any(|own| name.contains('.') && last.eq_ignore_ascii_case(own));
    is_reserved || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn is_let_in(host: &str, allowed: &[&str], is_own_machine: bool) -> bool {
        let mut request = Request::builder().header("host", host).body(Body::empty()).unwrap();
        if is_own_machine {
            request.extensions_mut().insert(OwnMachine);
        }
        let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        check(&allowed, &request).is_ok()
    }

    #[test]
    fn only_own_and_listed_names_lead_here() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "127.0.0.1",
            "[::1]:8080",
            "[::1]",
            "host.docker.internal:80",
        ] {
            assert!(is_let_in(host, &[], true), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "192.168.0.1:80",
            "localhost.evil.example",
            "internal",
            "",
            "[::2]:80",
        ] {
            assert!(!is_let_in(host, &[], true), "{host}");
            assert!(is_let_in(host, &[], false), "others reach it under any name: {host}");
        }
        assert!(is_let_in("box.example:80", &["Box.example"], true) && is_let_in("x", &["*"], true));
    }
}
