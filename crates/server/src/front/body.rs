//! The body of an answer: passed on as it is, and its end noted, be it read to the end or dropped. It must not know what is in it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::panics;
use super::record::Record;
use crate::app::App;
use crate::keys::Allowance;
use crate::life::Running;

/// An answer's body.
pub(super) struct Answer {
    body: Body,
    app: App,
    record: Arc<Record>,
    is_whole: bool,
    /// Given back when the answer is over.
    _places: (Option<Running>, Option<Allowance>),
}

impl Answer {
    pub(super) fn new(body: Body, app: App, record: Arc<Record>, places: (Option<Running>, Option<Allowance>)) -> Self {
        Self { body, app, record, is_whole: false, _places: places }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let body = &mut self.body;
        let polled = ready!(panics::poll(|context| Pin::new(&mut *body).poll_frame(context), context));
        let frame = polled.unwrap_or_else(|panic| {
            self.app.metrics().panics.inc();
            tracing::error!(request = self.record.id(), %panic, "the stream of an answer panicked");
            Some(Err(axum::Error::new(std::io::Error::other("the server failed; its log says why"))))
        });
        self.is_whole |= frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // A body of known size is not asked again once it was given.
        let is_whole = self.is_whole || self.body.is_end_stream();
        // What it still works on goes first, and tells what it took.
        drop(std::mem::replace(&mut self.body, Body::empty()));
        self.record.finish(&self.app, is_whole);
    }
}
