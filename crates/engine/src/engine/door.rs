//! Who may come in, how many are inside, and the figures that are shown outside: one lock, held shortly. It must not know jobs or steps.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::stats::Stats;

/// Between those who submit and the step thread.
pub(super) struct Door {
    inside: Mutex<Inside>,
    /// Somebody has ended.
    ended: Condvar,
}

struct Inside {
    /// Jobs that were let in; those that the step thread has not seen yet are not in its figures.
    accepted: u64,
    /// Nobody is let in any more.
    draining: bool,
    /// The step thread is gone.
    closed: bool,
    /// As the step thread gave them.
    stats: Stats,
}

impl Door {
    pub(super) fn new(stats: Stats) -> Self {
        let inside = Inside { accepted: 0, draining: false, closed: false, stats };
        Self { inside: Mutex::new(inside), ended: Condvar::new() }
    }

    /// Lets a job in where fewer than `most` wait. Who was set back keeps no place in the queue.
    pub(super) fn enter(&self, most: usize) -> Result<(), Error> {
        let mut inside = self.lock();
        if inside.closed {
            return Err(Error::Stopped);
        }
        if inside.draining {
            return Err(Error::Draining);
        }
        let queued = (inside.accepted - inside.stats.begun) as usize;
        if queued >= most {
            return Err(Error::QueueFull { queued, most });
        }
        inside.accepted += 1;
        Ok(())
    }

    pub(super) fn drain(&self) {
        self.lock().draining = true;
    }

    pub(super) fn is_draining(&self) -> bool {
        self.lock().draining
    }

    /// The step thread is gone, and all jobs with it.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.ended.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Jobs inside.
    pub(super) fn left(&self) -> usize {
        self.lock().left()
    }

    /// Waits until nobody is inside, at most so long; whether nobody is.
    pub(super) fn wait(&self, most: Duration) -> bool {
        let waited = self.ended.wait_timeout_while(self.lock(), most, |inside| inside.left() > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.left() == 0
    }

    /// The figures, those included that the step thread has not seen yet.
    pub(super) fn stats(&self) -> Stats {
        let inside = self.lock();
        let running = if inside.closed { 0 } else { inside.stats.running };
        Stats { submitted: inside.accepted, running, queued: inside.left() - running, ..inside.stats.clone() }
    }

    /// Shows the figures after a step.
    pub(super) fn publish(&self, now: Stats) {
        assert_eq!(now.submitted, now.ended + (now.running + now.queued) as u64, "no job is lost");
        assert_eq!(now.ended, now.failed + now.ends.total(), "every end has a reason");
        self.lock().stats = now;
        self.ended.notify_all();
    }

    /// Shows the figures before a step, except the prefix cache's.
    pub(super) fn publish_jobs(&self, now: Stats) {
        let mut inside = self.lock();
        let cache = std::mem::take(&mut inside.stats.cache);
        inside.stats = Stats { cache, ..now };
        drop(inside);
        self.ended.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn left(&self) -> usize {
        if self.closed { 0 } else { (self.accepted - self.stats.ended) as usize }
    }
}
