//! A model on a thread of its own, and the way in. It must not know how steps are made.

mod door;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use model::{KvShape, Model, ModelConfig};

use crate::error::Error;
use crate::generation::{Generation, Reader};
use crate::job::{Job, Limits};
use crate::stats::Stats;
use crate::steps::Steps;
use door::Door;

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
struct Shared {
    stopping: AtomicBool,
    door: Door,
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
        let steps = Steps::new(model, limits.clone())?;
        let shared = Arc::new(Shared { stopping: AtomicBool::new(false), door: Door::new(steps.stats()) });
        let theirs = Leaving(Arc::clone(&shared));
        let body = move || run(steps, submitted, &theirs.0);
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

    /// What was done up to the last step, and who waits and runs now. Cheap, whatever the step thread does; whoever has read the end of
    /// a generation finds it here.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.door.stats()
    }

    /// Whether the step thread lives. Without it nothing is computed any more and every job fails with [`Error::Stopped`], which only a
    /// bug of ours can cause.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.shared.door.is_closed()
    }

    /// Takes no new jobs from now on: [`Engine::submit`] says [`Error::Draining`]. Those that run or wait go on to their ends.
    pub fn drain(&self) {
        self.shared.door.drain();
    }

    /// Whether [`Engine::drain`] was called.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared.door.is_draining()
    }

    /// Jobs that were taken in and have not ended. None are left once the step thread is gone.
    #[must_use]
    pub fn jobs_left(&self) -> usize {
        self.shared.door.left()
    }

    /// Waits until no jobs are left, or so long; whether none are. For asynchronous callers there is [`Engine::jobs_left`].
    #[must_use]
    pub fn wait_for_jobs(&self, most: Duration) -> bool {
        self.shared.door.wait(most)
    }

    /// Queues a job.
    ///
    /// # Errors
    /// Settings out of range, an empty prompt, a token outside the vocabulary, a prompt that fills the context or the memory for keys
    /// and values, a full queue, an engine that is being drained.
    pub fn submit(&self, job: Job) -> Result<Generation, Error> {
        job.check(self.config.vocabulary_size, &self.limits)?;
        let needed = self.shape.sequence_blocks(job.prompt.len() + 1, self.limits.chunk_tokens);
        let bytes = needed * self.shape.block_bytes;
        if let Some(most) = self.limits.kv_bytes_max.filter(|&most| bytes > most) {
            return Err(Error::PromptExceedsMemory { prompt: job.prompt.len(), bytes, most });
        }
        self.shared.door.enter(self.limits.queue_max)?;
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

/// Says that the step thread is gone when it is, be it by a panic.
struct Leaving(Arc<Shared>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.door.close();
    }
}

/// The step thread: waits for work, and works while there is some.
fn run(mut steps: Steps, submitted: Receiver<(Job, Reader, Instant)>, shared: &Shared) {
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
            // The places of those that wait no longer are free before the step that they are computed in.
            shared.door.publish_jobs(steps.stats_of_jobs());
            steps.tell_ends();
            steps.step(Instant::now());
        }
        shared.door.publish(steps.stats());
        steps.tell_ends();
    }
    steps.flush();
}
