//! Whether the server takes requests, and how many it is answering. It must not know signals, nor what requests do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// The server's life; clones share it.
#[derive(Clone, Debug)]
pub struct Life(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    phase: watch::Sender<Phase>,
    running: AtomicUsize,
    /// Changes when a request ends.
    ended: watch::Sender<()>,
}

/// Where the server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It takes requests.
    Serving,
    /// It finishes what runs and refuses the rest.
    Draining,
    /// It lets go of everything.
    Stopped,
}

/// A request that is being answered, until it is dropped.
#[derive(Debug)]
pub(crate) struct Running(Arc<Inner>);

impl Default for Life {
    fn default() -> Self {
        let (phase, ended) = (watch::Sender::new(Phase::Serving), watch::Sender::new(()));
        Self(Arc::new(Inner { phase, running: AtomicUsize::new(0), ended }))
    }
}

impl Life {
    /// Takes no more requests; those that run go on.
    pub fn drain(&self) {
        self.0.phase.send_modify(|phase| *phase = Phase::Draining.max(*phase));
    }

    /// Lets go of everything now.
    pub fn stop(&self) {
        self.0.phase.send_modify(|phase| *phase = Phase::Stopped);
    }

    /// Where the server stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.phase.borrow()
    }

    /// Waits until the server is at least there.
    pub async fn reached(&self, phase: Phase) {
        // Fails only when nobody can change it any more, and we hold on to who can.
        let _ = self.0.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Requests that are being answered.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::SeqCst)
    }

    /// Waits until no request is being answered.
    pub async fn idle(&self) {
        let mut ended = self.0.ended.subscribe();
        while self.running() > 0 {
            let _ = ended.changed().await;
        }
    }

    /// Counts a request until what is given back is dropped.
    pub(crate) fn begin(&self) -> Running {
        self.0.running.fetch_add(1, Ordering::SeqCst);
        Running(Arc::clone(&self.0))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        self.0.ended.send_replace(());
    }
}
