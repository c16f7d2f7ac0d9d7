//! Writes planned files with bounded memory: several threads make the bytes while one writes them, in order.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use crate::error::{Error, Result};
use crate::plan::{Content, FilePlan};

/// Bytes of one buffer; two of them exist: one is filled while the other is written.
const BUFFER_BYTES: usize = 32 << 20;
/// Bytes that a thread makes at a time.
const JOB_BYTES: usize = 1 << 20;

/// A run of units of one content, small enough for one buffer.
#[derive(Clone, Copy)]
struct Job<'a> {
    content: &'a Content,
    first_unit: usize,
    bytes: usize,
}

/// Writes a file; `progress` hears the number of bytes made since it was last called.
pub(crate) fn write_file(
    folder: &Path,
    plan: &FilePlan,
    threads: usize,
    buffer_bytes: usize,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let path = folder.join(&plan.name);
    let mut file = File::create(&path).map_err(|source| Error::write(&path, source))?;
    let job_bytes = JOB_BYTES.min(buffer_bytes);
    let mut jobs = plan.contents.iter().flat_map(|content| jobs(content, job_bytes)).peekable();
    let outcome = thread::scope(|scope| {
        let (full_sender, full) = sync_channel::<Vec<u8>>(0);
        let (empty_sender, empty) = channel();
        for _ in 0..2 {
            empty_sender.send(Vec::new()).expect("the receiver is in this function");
        }
        let writer = scope.spawn(move || -> std::io::Result<()> {
            for buffer in full {
                file.write_all(&buffer)?;
                if empty_sender.send(buffer).is_err() {
                    break;
                }
            }
            file.flush()
        });
        while jobs.peek().is_some() {
            // The writer hangs up only when it failed; its error is returned below.
            let Ok(mut buffer) = empty.recv() else { break };
            let mut batch = Vec::new();
            let mut bytes = 0;
            while let Some(job) = jobs.next_if(|job| bytes + job.bytes <= buffer_bytes.max(job.bytes)) {
                bytes += job.bytes;
                batch.push(job);
            }
            buffer.resize(bytes, 0);
            fill(&batch, &mut buffer, threads);
            if full_sender.send(buffer).is_err() {
                break;
            }
            progress(bytes as u64);
        }
        drop(full_sender);
        writer.join().expect("the writer returns its errors and does not panic")
    });
    outcome.map_err(|source| Error::write(&path, source))
}

/// The default size of a buffer.
pub(crate) const fn default_buffer_bytes() -> usize {
    BUFFER_BYTES
}

fn jobs(content: &Content, job_bytes: usize) -> impl Iterator<Item = Job<'_>> {
    let unit_bytes = content.unit_bytes();
    let units_at_once = (job_bytes / unit_bytes).max(1);
    (0..content.units()).step_by(units_at_once).map(move |first_unit| {
        let units = units_at_once.min(content.units() - first_unit);
        Job { content, first_unit, bytes: units * unit_bytes }
    })
}

/// Makes all jobs of a batch, side by side, into their places in the buffer.
fn fill(batch: &[Job<'_>], mut buffer: &mut [u8], threads: usize) {
    let mut work = Vec::with_capacity(batch.len());
    for &job in batch {
        let (piece, rest) = buffer.split_at_mut(job.bytes);
        work.push((job, piece));
        buffer = rest;
    }
    let threads = threads.min(work.len());
    let queue = Mutex::new(work);
    let drain = || {
        loop {
            let next = queue.lock().expect("no thread panics while it holds the queue").pop();
            let Some((job, piece)) = next else { break };
            job.content.fill(job.first_unit, piece);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(drain);
        }
        drain();
    });
}
