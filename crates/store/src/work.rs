//! A piece of work for a session: what one call of the store does inside one transaction.
//! It must not know which database runs it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use crate::error::{Error, Result};
use crate::session::Session;

/// A future over a session.
pub(crate) type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// What is to be done with a session.
pub(crate) type Work<T> = Box<dyn for<'a> FnOnce(&'a mut Session) -> Step<'a, T> + Send>;

/// Boxes an async block over a session: `work!(session => records::put(session, &record))`.
macro_rules! work {
    ($session:ident => $body:expr) => {
        Box::new(move |$session: &mut $crate::session::Session| Box::pin(async move { $body.await }))
    };
}
pub(crate) use work;

/// Runs a future over a session of SQLite, which never waits for anything.
pub(crate) fn run_now<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => Err(Error::database("a statement waited where none can (this is a bug)")),
    }
}
