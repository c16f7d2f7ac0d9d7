//! Sends spans to a collector on a task of its own, several requests at a time. It must not know what spans are of.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Uri, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use super::Message;
use crate::listener::ServeError;
use crate::metrics::Metrics;

/// Spans of one request to the collector.
const BATCH_SPANS: usize = 512;
/// How long spans wait for others to be sent with.
const BATCH_TIME: Duration = Duration::from_secs(1);
/// How long the collector may take.
const SEND_TIME: Duration = Duration::from_secs(10);

/// Where spans go.
pub(super) struct Collector {
    address: String,
    uri: Uri,
}

impl Collector {
    /// Reads `http://HOST:PORT` with or without a path.
    pub(super) fn new(endpoint: &str) -> Result<Self, ServeError> {
        let wrong = |what| ServeError::Collector { endpoint: endpoint.to_owned(), what };
        let uri: Uri = endpoint.parse().map_err(|_| wrong("expected http://HOST:PORT"))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("expected http://; for a far collector, run one here that sends on"));
        }
        let host = uri.host().ok_or_else(|| wrong("names no host"))?;
        let address = format!("{host}:{}", uri.port_u16().unwrap_or(4318));
        let path = if uri.path() == "/" { "/v1/traces" } else { uri.path() };
        let uri = path.parse().map_err(|_| wrong("has a path that is none"))?;
        Ok(Self { address, uri })
    }

    /// Sends what comes until nobody can send any more.
    pub(super) async fn run(self, mut messages: mpsc::Receiver<Message>, metrics: Arc<Metrics>) {
        let (mut waiting, mut flushed) = (Vec::new(), Vec::<oneshot::Sender<()>>::new());
        while let Some(message) = messages.recv().await {
            take(message, &mut waiting, &mut flushed);
            let until = tokio::time::Instant::now() + BATCH_TIME;
            while waiting.len() < BATCH_SPANS && flushed.is_empty() {
                match tokio::time::timeout_at(until, messages.recv()).await {
                    Ok(Some(message)) => take(message, &mut waiting, &mut flushed),
                    Ok(None) | Err(_) => break,
                }
            }
            let spans = std::mem::take(&mut waiting);
            let count = spans.len() as u64;
            if count > 0
                && let Err(reason) = self.send(spans).await
            {
                metrics.lost_spans.inc_by(count);
                tracing::warn!(collector = self.address, reason, spans = count, "spans are lost");
            }
            for done in flushed.drain(..) {
                let _ = done.send(());
            }
        }
    }

    async fn send(&self, spans: Vec<Value>) -> Result<(), String> {
        let sending = tokio::time::timeout(SEND_TIME, self.post(document(spans)));
        sending.await.map_err(|_| format!("no answer within {} s", SEND_TIME.as_secs()))?
    }

    async fn post(&self, document: Value) -> Result<(), String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let stream = TcpStream::connect(&self.address).await.map_err(|error| words(&error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| words(&error))?;
        let connection = tokio::spawn(connection);
        let request = Request::post(self.uri.clone())
            .header(header::HOST, &self.address)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::new(Full::new(Bytes::from(document.to_string()))))
            .map_err(|error| words(&error))?;
        let answer = sender.send_request(request).await.map_err(|error| words(&error));
        connection.abort();
        match answer?.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("it answers {status}")),
        }
    }
}

fn take(message: Message, waiting: &mut Vec<Value>, flushed: &mut Vec<oneshot::Sender<()>>) {
    match message {
        Message::Spans(spans) => waiting.extend(spans),
        Message::Flush(done) => flushed.push(done),
    }
}

fn document(spans: Vec<Value>) -> Value {
    let service = json!([
        { "key": "service.name", "value": { "stringValue": "glossa" } },
        { "key": "service.version", "value": { "stringValue": env!("CARGO_PKG_VERSION") } },
    ]);
    let scope = json!({ "name": "glossa", "version": env!("CARGO_PKG_VERSION") });
    json!({ "resourceSpans": [{ "resource": { "attributes": service }, "scopeSpans": [{ "scope": scope, "spans": spans }] }] })
}
