//! A model on a thread of its own, and the way in. It must not know how steps are made.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use model::{KvShape, Model, ModelConfig};

use crate::error::Error;
use crate::generation::{Generation, Reader};
use crate::job::{Job, Limits};
use crate::stats::Stats;
use crate::steps::Steps;

/// A model on a thread of its own. Dropping it waits for the step that is being computed and cancels every job.
pub struct Engine {
    jobs: Option<Sender<(Job, Reader, Instant)>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    config: ModelConfig,
    shape: KvShape,
    limits: Limits,
}

/// What both threads look at.
#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    /// Jobs that wait, those on their way to the step thread included.
    queued: AtomicUsize,
    stats: Mutex<Stats>,
}

impl Engine {
    /// Starts the step thread.
    ///
    /// # Errors
    /// When the system cannot start a thread, or the prefix cache's folder cannot be used.
    pub fn new(model: Box<dyn Model>, limits: Limits) -> Result<Self, Error> {
        let (config, shape) = (model.config().clone(), model.kv_shape());
        let limits = limits.for_context(config.context_length);
        let (jobs, submitted) = channel();
        let shared = Arc::<Shared>::default();
        let steps = Steps::new(model, limits.clone())?;
        let theirs = Arc::clone(&shared);
        let body = move || run(steps, &submitted, &theirs);
        let thread = std::thread::Builder::new().name("engine".into()).spawn(body);
        let thread = thread.map_err(|source| Error::Thread { source })?;
        Ok(Self { jobs: Some(jobs), shared, thread: Some(thread), config, shape, limits })
    }

    /// The model's shape.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What the model's keys and values take.
    #[must_use]
    pub fn kv_shape(&self) -> &KvShape {
        &self.shape
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What was done up to the last step.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Queues a job.
    ///
    /// # Errors
    /// Settings out of range, an empty prompt, a token outside the vocabulary, a prompt that fills the context or the memory for keys
    /// and values, a full queue.
    pub fn submit(&self, job: Job) -> Result<Generation, Error> {
        job.check(self.config.vocabulary_size, &self.limits)?;
        let needed = self.shape.sequence_blocks(job.prompt.len() + 1, self.limits.chunk_tokens);
        let bytes = needed * self.shape.block_bytes;
        if let Some(most) = self.limits.kv_bytes_max.filter(|&most| bytes > most) {
            return Err(Error::PromptExceedsMemory { prompt: job.prompt.len(), bytes, most });
        }
        let most = self.limits.queue_max;
        let taken = self
            .shared
            .queued
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |queued| (queued < most).then_some(queued + 1));
        taken.map_err(|queued| Error::QueueFull { queued, most })?;
        let (generation, reader) = Generation::new();
        let sent = self.jobs.as_ref().and_then(|jobs| jobs.send((job, reader, Instant::now())).ok());
        sent.ok_or(Error::Stopped)?;
        Ok(generation)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the step thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// The step thread: waits for work, and works while there is some.
fn run(mut steps: Steps, submitted: &Receiver<(Job, Reader, Instant)>, shared: &Shared) {
    loop {
        if steps.is_idle() {
            let Ok((job, reader, at)) = submitted.recv() else { break };
            steps.submit(job, reader, at);
        }
        let closed = loop {
            match submitted.try_recv() {
                Ok((job, reader, at)) => steps.submit(job, reader, at),
                Err(TryRecvError::Empty) => break false,
                Err(TryRecvError::Disconnected) => break true,
            }
        };
        if closed || shared.stopping.load(Ordering::Relaxed) {
            steps.cancel_all(Instant::now());
        } else {
            steps.prepare(Instant::now());
            shared.free_places(steps.begun());
            steps.step(Instant::now());
        }
        shared.publish(steps.stats());
    }
    steps.cancel_all(Instant::now());
}

impl Shared {
    /// Frees the places of jobs that wait no longer, before the step that they are computed in.
    fn free_places(&self, begun: u64) {
        let mut shown = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        self.queued.fetch_sub((begun - shown.begun) as usize, Ordering::Relaxed);
        shown.begun = begun;
    }

    /// Shows the figures after a step.
    fn publish(&self, now: Stats) {
        assert_eq!(now.submitted, now.ended + (now.running + now.queued) as u64, "no job is lost");
        self.free_places(now.begun);
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}
