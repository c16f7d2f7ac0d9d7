//! The queue between the step thread and one reader, who may wait or poll. It must not know what lies in it.
//!
//! The sender never waits. A reader that found nothing leaves its waker, or sleeps on the condition; whoever sends next takes the waker
//! away and wakes it, so a waker is called at most once for each time that it was left. Wakers are called and dropped outside the
//! lock: either may run the reader's own code, which may drop the reader's end.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What both ends hold.
struct Shared<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    /// Of a reader that found nothing.
    waker: Option<Waker>,
    sender_gone: bool,
    reader_gone: bool,
}

/// The end of who sends; dropping it ends the queue behind what lies in it.
pub(crate) struct Inlet<T>(Arc<Shared<T>>);

/// The end of who reads; dropping it drops what lies in the queue, and what is sent from then on.
pub(crate) struct Outlet<T>(Arc<Shared<T>>);

/// Both ends of a new queue.
pub(crate) fn queue<T>() -> (Inlet<T>, Outlet<T>) {
    let state = State { items: VecDeque::new(), waker: None, sender_gone: false, reader_gone: false };
    let shared = Arc::new(Shared { state: Mutex::new(state), arrived: Condvar::new() });
    (Inlet(Arc::clone(&shared)), Outlet(shared))
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the reader, whichever way it waits.
    fn wake(&self, waker: Option<Waker>) {
        self.arrived.notify_one();
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<T> Inlet<T> {
    /// Never waits; what nobody will read is dropped.
    pub(crate) fn send(&self, item: T) {
        let mut state = self.0.lock();
        if state.reader_gone {
            drop(state);
            return;
        }
        state.items.push_back(item);
        let waker = state.waker.take();
        drop(state);
        self.0.wake(waker);
    }
}

impl<T> Drop for Inlet<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.sender_gone = true;
        let waker = state.waker.take();
        drop(state);
        self.0.wake(waker);
    }
}

impl<T> Outlet<T> {
    /// The next item, for which this waits; nothing when the sender is gone and all was read.
    pub(crate) fn wait(&mut self) -> Option<T> {
        let waits = |state: &mut State<T>| state.items.is_empty() && !state.sender_gone;
        let state = self.0.arrived.wait_while(self.0.lock(), waits);
        state.unwrap_or_else(PoisonError::into_inner).items.pop_front()
    }

    /// The next item if it is there; `Ready(None)` when the sender is gone and all was read.
    pub(crate) fn try_next(&mut self) -> Poll<Option<T>> {
        self.0.lock().next()
    }

    /// The same; where nothing is there, the context's waker is called when that changes.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.lock();
        let found = state.next();
        let known = state.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        let mut old = None;
        if found.is_pending() && !known {
            old = state.waker.replace(context.waker().clone());
        }
        drop(state);
        drop(old);
        found
    }
}

impl<T> State<T> {
    fn next(&mut self) -> Poll<Option<T>> {
        match self.items.pop_front() {
            None if !self.sender_gone => Poll::Pending,
            item => Poll::Ready(item),
        }
    }
}

impl<T> Drop for Outlet<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.reader_gone = true;
        let left = (std::mem::take(&mut state.items), state.waker.take());
        drop(state);
        drop(left);
    }
}

#[cfg(test)]
mod tests;
