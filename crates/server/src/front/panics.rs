//! Futures whose panics end a request and not the process. It must not know what they do.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll};

/// The future's value, or what its panic said. What it worked on is dropped with it, so nobody sees it half done.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    poll_fn(|context| poll(|context| future.as_mut().poll(context), context)).await
}

/// One poll, or what its panic said.
pub(super) fn poll<T>(
    mut once: impl FnMut(&mut Context<'_>) -> Poll<T>,
    context: &mut Context<'_>,
) -> Poll<Result<T, String>> {
    match catch_unwind(AssertUnwindSafe(|| once(context))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(words(&*panic))),
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|&text| text.to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".to_owned())
}
