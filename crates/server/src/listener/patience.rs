//! How long a client may keep us waiting: for its body, and for room to write to it. It must not know what is sent.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A body that fails when nothing of it comes for too long.
pub(super) struct TimedBody {
    body: Incoming,
    silence: Patience,
}

/// A connection that fails when nothing can be written to it for too long.
pub(super) struct Unstalled<S> {
    stream: S,
    stall: Patience,
}

/// A time that runs only while somebody is waited for. The timer is made when it is first needed: most are never.
struct Patience {
    most: Duration,
    waiting: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(most: Duration) -> Self {
        Self { most, waiting: false, timer: None }
    }

    /// Passes on what was polled, unless it has been pending for too long.
    fn watch<T>(&mut self, context: &mut Context<'_>, polled: Poll<T>, late: impl FnOnce() -> T) -> Poll<T> {
        if polled.is_ready() {
            self.waiting = false;
            return polled;
        }
        let most = self.most;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(most)));
        if !std::mem::replace(&mut self.waiting, true) {
            timer.as_mut().reset(Instant::now() + most);
        }
        ready!(timer.as_mut().poll(context));
        Poll::Ready(late())
    }
}

impl TimedBody {
    pub(super) fn new(body: Incoming, most: Duration) -> Self {
        Self { body, silence: Patience::new(most) }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context).map_err(Into::into);
        let most = self.silence.most;
        let late = || Some(Err(format!("nothing of it came for {} s", most.as_secs()).into()));
        self.silence.watch(context, polled, late)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<S> Unstalled<S> {
    pub(super) fn new(stream: S, most: Duration) -> Self {
        Self { stream, stall: Patience::new(most) }
    }
}

fn stalled<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing"))
}

impl<S: AsyncRead + Unpin> AsyncRead for Unstalled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unstalled<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.stall.watch(context, polled, stalled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.stall.watch(context, polled, stalled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.stall.watch(context, polled, stalled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.stall.watch(context, polled, stalled)
    }
}
