//! A body of events that is written while it is sent. Whoever writes it is a future inside the body and goes with it: a client that
//! disconnects frees everything that was made for it. It must not know which events there are.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep};

/// Pieces that are written ahead of a slow client; then the writer waits too.
const PIECES_MAX: usize = 32;

/// What a body's writer writes with.
pub(crate) struct Pen(mpsc::Sender<Bytes>);

impl Pen {
    /// Writes a piece.
    pub(crate) async fn write(&self, piece: Bytes) {
        // There is always a reader: it holds the writer.
        let _ = self.0.send(piece).await;
    }
}

/// An answer of events. `sign_of_life` is sent whenever nothing else was for as long as `silence`.
pub(crate) fn answer<Writing>(silence: Duration, sign_of_life: Bytes, write: impl FnOnce(Pen) -> Writing) -> Response
where
    Writing: Future<Output = ()> + Send + 'static,
{
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let writer = Some(Box::pin(write(Pen(sender))) as Pin<Box<dyn Future<Output = ()> + Send>>);
    let body = LiveBody { writer, pieces, silence, sign_of_life, alarm: Box::pin(sleep(silence)) };
    // Proxies that gather a body before they pass it on are asked not to.
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(body)).into_response()
}

struct LiveBody {
    /// Gone when it has finished.
    writer: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    pieces: mpsc::Receiver<Bytes>,
    silence: Duration,
    sign_of_life: Bytes,
    alarm: Pin<Box<Sleep>>,
}

impl futures_core::Stream for LiveBody {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(writer) = &mut this.writer
            && writer.as_mut().poll(context).is_ready()
        {
            this.writer = None;
        }
        let mut written = Vec::new();
        // That the writer has finished does not mean that nothing is left: a channel may say "not yet" to a task that has had its turn.
        let is_over = loop {
            match this.pieces.poll_recv(context) {
                Poll::Ready(Some(piece)) => written.extend_from_slice(&piece),
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
        };
        if written.is_empty() && is_over {
            return Poll::Ready(None);
        }
        if written.is_empty() && this.alarm.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        this.alarm.as_mut().reset(Instant::now() + this.silence);
        let piece = if written.is_empty() { this.sign_of_life.clone() } else { Bytes::from(written) };
        Poll::Ready(Some(Ok(piece)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn what_is_written_is_sent_in_order_however_much_it_is() {
        let response = answer(Duration::from_secs(60), Bytes::new(), |pen| async move {
            for number in 0..1000 {
                pen.write(Bytes::from(format!("{number},"))).await;
                if number % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let expected: String = (0..1000).map(|number| format!("{number},")).collect();
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn a_task_that_has_had_its_turn_loses_nothing() {
        for spent in 0..150 {
            let response = answer(Duration::from_secs(60), Bytes::new(), move |pen| async move {
                for _ in 0..spent {
                    tokio::task::coop::consume_budget().await;
                }
                for _ in 0..20 {
                    pen.write(Bytes::from_static(b"x")).await;
                }
            });
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body.len(), 20, "after {spent}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_broken() {
        let response = answer(Duration::from_secs(15), Bytes::from_static(b": here\n\n"), |pen| async move {
            sleep(Duration::from_secs(40)).await;
            pen.write(Bytes::from_static(b"late")).await;
        });
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, ": here\n\n: here\n\nlate");
    }

    #[tokio::test]
    async fn a_client_that_goes_takes_the_writer_along() {
        let held = Arc::new(());
        let holder = Arc::clone(&held);
        let response = answer(Duration::from_secs(60), Bytes::new(), |pen| async move {
            pen.write(Bytes::from_static(b"one")).await;
            std::future::pending::<()>().await;
            drop(holder);
        });
        let mut body = response.into_body();
        assert!(body.frame().await.is_some());
        assert_eq!(Arc::strong_count(&held), 2);
        drop(body);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
