//! Reading behind the caller's back: a thread that reads records ahead, so many and no more. It must not know what they mean.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::key::Key;
use crate::error::Error;

/// Records that are read and wait to be taken: they bound the memory, some 2 MB each for the larger model.
const AHEAD_MAX: usize = 32;

/// How a record is read.
pub(crate) type Read = Box<dyn Fn(&Key, u8) -> Option<Vec<u8>> + Send>;

/// A thread that reads records in the order in which they were asked for. Dropping it waits for the record that is being read, so the
/// receivers must be gone by then.
pub(crate) struct DiskReader {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    records: Vec<(Key, u8)>,
    found: SyncSender<Vec<u8>>,
}

impl DiskReader {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(read: Read) -> Result<Self, Error> {
        let (requests, asked) = channel();
        let builder = std::thread::Builder::new().name("disk-reader".into());
        let thread = builder.spawn(move || run(&asked, &read)).map_err(|source| Error::Thread { source })?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// The records' payloads, in order; they end early where one cannot be had. Dropping the receiver ends the reading.
    pub(crate) fn read(&self, records: Vec<(Key, u8)>) -> Receiver<Vec<u8>> {
        let (found, payloads) = sync_channel(AHEAD_MAX);
        // Without a thread, which only its panic ends, nothing comes.
        let _ = self.requests.as_ref().map(|requests| requests.send(Request { records, found }));
        payloads
    }
}

impl Drop for DiskReader {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened.
            thread.join().ok();
        }
    }
}

fn run(asked: &Receiver<Request>, read: &Read) {
    for Request { records, found } in asked {
        for (key, kind) in records {
            // Whoever asked may have gone.
            if read(&key, kind).is_none_or(|payload| found.send(payload).is_err()) {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn key(index: u8) -> Key {
        Key::root(&[index], b"")
    }

    #[test]
    fn records_come_in_order_and_not_far_ahead() {
        let reads = Arc::<AtomicUsize>::default();
        let (counter, (entered, enters)) = (Arc::clone(&reads), channel());
        let reader = DiskReader::start(Box::new(move |_, kind| {
            counter.fetch_add(1, Ordering::SeqCst);
            entered.send(()).ok();
            Some(vec![kind])
        }));
        let reader = reader.unwrap();
        let payloads = reader.read((0..200).map(|index| (key(index), index)).collect());
        for taken in 0..200 {
            // One more is read and waits for a place.
            let most = 200.min(taken + AHEAD_MAX + 1);
            while reads.load(Ordering::SeqCst) < most {
                enters.recv().unwrap();
            }
            assert_eq!(reads.load(Ordering::SeqCst), most);
            assert_eq!(payloads.recv(), Ok(vec![taken as u8]));
        }
        assert!(payloads.recv().is_err(), "that was all");
    }

    #[test]
    fn a_request_ends_where_a_record_is_missing_and_when_nobody_listens() {
        let reader = DiskReader::start(Box::new(|_, kind| (kind != 3).then(|| vec![kind]))).unwrap();
        let records = |kinds: std::ops::Range<u8>| kinds.map(|kind| (key(kind), kind)).collect();
        let ends = reader.read(records(0..9));
        assert_eq!(ends.iter().collect::<Vec<_>>(), [[0], [1], [2]]);
        drop(reader.read(records(4..200)));
        assert_eq!(reader.read(records(7..9)).iter().collect::<Vec<_>>(), [[7], [8]]);
    }
}
