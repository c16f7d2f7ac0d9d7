//! The body of a form: read piece by piece, and no further ahead of whoever takes its pieces than a bound. It must not know forms.
//!
//! What reads forms gathers until it finds the end of a part's head, however far away that is; here is where that ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use http_body::{Body as HttpBody, Frame};

/// Bytes that were read and of which nothing was taken yet; clones count together.
#[derive(Clone, Default)]
pub(crate) struct Ahead(Arc<AtomicUsize>);

impl Ahead {
    /// Something was taken: reading may go on.
    pub(crate) fn taken(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// This body, which fails when more than `most` bytes are read ahead.
    pub(crate) fn bound(&self, body: Body, most: usize) -> Body {
        Body::new(Bounded { body, ahead: self.clone(), most })
    }
}

struct Bounded {
    body: Body,
    ahead: Ahead,
    most: usize,
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let read = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref().map(Bytes::len)).unwrap_or(0);
        let before = self.ahead.0.fetch_add(read, Ordering::Relaxed);
        if before.saturating_add(read) > self.most {
            let message = format!("more than {} bytes of it say nothing; is a boundary missing?", self.most);
            return Poll::Ready(Some(Err(axum::Error::new(std::io::Error::other(message)))));
        }
        Poll::Ready(frame)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn nobody_reads_further_ahead_than_the_bound() {
        let ahead = Ahead::default();
        let piece = |_| Ok::<_, std::io::Error>(Bytes::from_static(b"1234"));
        let mut body = ahead.bound(Body::from_stream(futures_util::stream::iter((0..9).map(piece))), 10);
        for _ in 0..2 {
            assert!(body.frame().await.unwrap().is_ok());
        }
        ahead.taken();
        for _ in 0..2 {
            assert!(body.frame().await.unwrap().is_ok());
        }
        assert!(body.frame().await.unwrap().unwrap_err().to_string().contains("10 bytes"));
    }
}
