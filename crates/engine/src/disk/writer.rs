//! Writing behind the caller's back: a thread and a queue bounded in bytes. It must not know what it writes or why.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::key::Key;
use super::record::OVERHEAD_BYTES;
use super::store::DiskStore;
use crate::error::Error;

/// Hands records to a thread that writes them into a [`DiskStore`], in the order in which they came. Dropping it waits until
/// all are written.
#[derive(Debug)]
pub struct DiskWriter {
    shared: Arc<Shared>,
    queue_bytes_max: u64,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<DiskStore>,
    queue: Mutex<Queue>,
    /// Told when a record was queued, written, or no more will come.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    records: VecDeque<(Key, u8, Vec<u8>)>,
    /// Bytes of the records queued and of the one being written.
    bytes: u64,
    queued: u64,
    done: u64,
    is_closed: bool,
}

/// Closes the queue when the thread ends in whatever way, so that nobody waits for a thread that is gone.
struct Closing<'a>(&'a Shared);

impl DiskWriter {
    /// Starts the thread. The queue holds up to `queue_bytes_max` bytes of records, the one being written included.
    ///
    /// # Errors
    ///
    /// [`Error::Thread`] when the system gives no thread.
    pub fn start(store: Arc<DiskStore>, queue_bytes_max: u64) -> Result<Self, Error> {
        let shared = Arc::new(Shared { store, queue: Mutex::default(), changed: Condvar::new() });
        let of_thread = Arc::clone(&shared);
        let builder = std::thread::Builder::new().name("disk".into());
        let thread = builder.spawn(move || of_thread.run()).map_err(|source| Error::Thread { source })?;
        Ok(Self { shared, queue_bytes_max, thread: Some(thread) })
    }

    /// Queues a record, without waiting. `false` when the queue has no room for it: it is then not kept, and counted as
    /// dropped. Failures of the disk show in [`DiskStore::stats`] alone.
    pub fn try_write(&self, key: Key, kind: u8, payload: Vec<u8>) -> bool {
        let mut queue = self.shared.queue();
        let bytes = queue.bytes + record_bytes(&payload);
        if bytes > self.queue_bytes_max || queue.is_closed {
            drop(queue);
            self.shared.store.count_dropped();
            return false;
        }
        queue.bytes = bytes;
        queue.queued += 1;
        queue.records.push_back((key, kind, payload));
        drop(queue);
        self.shared.changed.notify_all();
        true
    }

    /// Waits until all that was queued before is on disk, or has failed.
    pub fn flush(&self) {
        let mut queue = self.shared.queue();
        let last = queue.queued;
        while queue.done < last && !queue.is_closed {
            queue = self.shared.wait(queue);
        }
    }
}

impl Drop for DiskWriter {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened; what it left unwritten is only a cache.
            thread.join().ok();
        }
    }
}

impl Shared {
    fn run(&self) {
        let _closing = Closing(self);
        loop {
            let mut queue = self.queue();
            while queue.records.is_empty() && !queue.is_closed {
                queue = self.wait(queue);
            }
            let Some((key, kind, payload)) = queue.records.pop_front() else { return };
            drop(queue);
            // The store counts its failures, and a cache has no other use for them.
            self.store.write(&key, kind, &[&payload]).ok();
            let mut queue = self.queue();
            queue.bytes -= record_bytes(&payload);
            queue.done += 1;
            drop(queue);
            self.changed.notify_all();
        }
    }

    fn close(&self) {
        self.queue().is_closed = true;
        self.changed.notify_all();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Payloads of no bytes take room too.
fn record_bytes(payload: &[u8]) -> u64 {
    OVERHEAD_BYTES + payload.len() as u64
}
