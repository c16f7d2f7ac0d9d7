//! Ends a turn from elsewhere, and lets a thread wait for one. It must not know what a turn does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Instant;

/// Cancels a turn from elsewhere. It ends soon, with what was said so far.
#[derive(Clone, Debug, Default)]
pub struct Canceller {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    cancelled: Arc<AtomicBool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of the generation that runs now.
    generation: Option<engine::Canceller>,
    /// Of whoever waits for a tool.
    waker: Option<Waker>,
}

impl Canceller {
    /// Cancels.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::Relaxed);
        let mut state = self.state();
        let (generation, waker) = (state.generation.clone(), state.waker.take());
        drop(state);
        generation.iter().for_each(engine::Canceller::cancel);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::Relaxed)
    }

    /// The flag itself.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared.cancelled)
    }

    /// From now on this generation is meant. Whoever cancelled just before is heard too.
    pub(crate) fn watch(&self, generation: engine::Canceller) {
        self.state().generation = Some(generation.clone());
        if self.is_cancelled() {
            generation.cancel();
        }
    }

    /// Whom to wake when it is cancelled while a tool works.
    pub(crate) fn wakes(&self, context: &Context<'_>) {
        self.state().waker = Some(context.waker().clone());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Canceller").field("cancelled", &self.cancelled).finish_non_exhaustive()
    }
}

/// Wakes a thread that sleeps.
struct Sleeper {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Polls until there is something, sleeping between.
pub(crate) fn wait<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    sleep_between(poll, || {
        std::thread::park();
        true
    })
    .expect("there is no end to this patience")
}

/// The same, but not longer than until then.
pub(crate) fn wait_until<T>(until: Instant, poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    sleep_between(poll, || {
        let left = until.saturating_duration_since(Instant::now());
        std::thread::park_timeout(left);
        !left.is_zero()
    })
}

/// `sleep` says whether there is time left.
fn sleep_between<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>, mut sleep: impl FnMut() -> bool) -> Option<T> {
    let sleeper = Arc::new(Sleeper { thread: std::thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&sleeper));
    loop {
        if let Poll::Ready(found) = poll(&mut Context::from_waker(&waker)) {
            return Some(found);
        }
        while !sleeper.woken.swap(false, Ordering::Acquire) {
            if !sleep() {
                return None;
            }
        }
    }
}
