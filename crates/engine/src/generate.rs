//! Jobs in, token streams out: one thread owns the model and steps it. It must not know text, tools or HTTP.
//!
//! Jobs run one after another for now; a later step interleaves them. The seam stays: [`Engine::submit`] gives a
//! [`Generation`], dropping it cancels, and a slow reader never stalls the model.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use model::{Model, ModelConfig, SequenceId, Span, Wanted};

use crate::error::Error;
use crate::sampler::{Sampled, Sampler};
use crate::sampling::Sampling;

/// What to generate.
#[derive(Clone, Debug)]
pub struct Job {
    /// Token ids of the prompt; at least one.
    pub prompt: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Tokens that end the generation; the one that did is part of the stream.
    pub stop_ids: Vec<u32>,
    /// Most tokens to generate; `None` goes on to the end of the context.
    pub tokens_max: Option<usize>,
}

/// Limits of an engine.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Tokens of a sequence, prompt and output together.
    pub context_tokens: usize,
    /// Prompt tokens computed at a time.
    pub chunk_tokens: usize,
}

/// What happens during a generation.
#[derive(Debug)]
pub enum Event {
    /// So many tokens of the prompt have been read.
    PromptRead {
        /// Tokens read.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// A token was generated.
    Token(Sampled),
    /// The generation ended; nothing follows.
    Finished(Finish),
    /// The generation failed; nothing follows.
    Failed(Error),
}

/// Why and with what figures a generation ended.
#[derive(Clone, Copy, Debug)]
pub struct Finish {
    /// Why it ended.
    pub reason: FinishReason,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens generated.
    pub generated_tokens: usize,
    /// Time from the start of the job to the first token; `None` when no token was generated.
    pub first_token: Option<Duration>,
    /// Time from the first to the last token; `None` when fewer than two tokens were generated.
    pub decode: Option<Duration>,
    /// Bytes of keys and values at the end.
    pub kv_bytes: usize,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// This stop token was generated.
    Stop(u32),
    /// The job's `tokens_max` was reached.
    Length,
    /// The context is full.
    Context,
    /// The generation was dropped or cancelled, or the engine was dropped.
    Cancelled,
}

/// A model on a thread of its own. Dropping it waits for the step that is being computed and cancels every job.
pub struct Engine {
    jobs: Option<Sender<Submitted>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    config: ModelConfig,
    limits: Limits,
}

/// The stream of one job's events; dropping it cancels the job.
pub struct Generation {
    events: Receiver<Event>,
    cancelled: Arc<AtomicBool>,
    ended: bool,
}

/// Cancels a generation from elsewhere, for instance from a signal handler.
#[derive(Clone)]
pub struct Canceller(Arc<AtomicBool>);

struct Submitted {
    job: Job,
    events: Sender<Event>,
    /// This job's reader wants no more.
    cancelled: Arc<AtomicBool>,
    /// The whole engine ends.
    stopping: Arc<AtomicBool>,
}

/// One job being worked on.
struct Running<'a> {
    model: &'a mut dyn Model,
    sequence: SequenceId,
    submitted: &'a Submitted,
    limits: Limits,
    started: Instant,
    /// Of the last token that was computed, `[vocabulary]`.
    logits: Vec<f32>,
    finish: Finish,
}

impl Engine {
    /// Starts the step thread.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn new(mut model: Box<dyn Model>, limits: Limits) -> Result<Self, Error> {
        let config = model.config().clone();
        let limits = Limits {
            context_tokens: limits.context_tokens.min(config.context_length),
            chunk_tokens: limits.chunk_tokens.max(1),
        };
        let (jobs, submitted) = channel::<Submitted>();
        let body = move || {
            for next in submitted {
                let sequence = model.open_sequence();
                let outcome = Running::new(&mut *model, sequence, &next, limits).run();
                model.close_sequence(sequence);
                // The reader may have gone; then nobody needs the last event.
                let _ = next.events.send(outcome.map_or_else(Event::Failed, Event::Finished));
            }
        };
        let thread = std::thread::Builder::new().name("engine".into()).spawn(body);
        let thread = thread.map_err(|source| Error::Thread { source })?;
        Ok(Self { jobs: Some(jobs), stopping: Arc::default(), thread: Some(thread), config, limits })
    }

    /// The model's shape.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Queues a job.
    ///
    /// # Errors
    /// Settings out of range, an empty prompt, a token outside the vocabulary, or a prompt that fills the context.
    pub fn submit(&self, job: Job) -> Result<Generation, Error> {
        job.sampling.check(self.config.vocabulary_size)?;
        if job.prompt.is_empty() {
            return Err(Error::PromptEmpty);
        }
        if job.prompt.len() >= self.limits.context_tokens {
            return Err(Error::PromptTooLong { prompt: job.prompt.len(), context_tokens: self.limits.context_tokens });
        }
        let vocabulary_size = self.config.vocabulary_size;
        if let Some(&id) = job.prompt.iter().find(|&&id| id as usize >= vocabulary_size) {
            return Err(model::Error::TokenOutOfRange { id, vocabulary_size }.into());
        }
        let (sender, events) = channel();
        let cancelled = Arc::<AtomicBool>::default();
        let stopping = Arc::clone(&self.stopping);
        let submitted = Submitted { job, events: sender, cancelled: Arc::clone(&cancelled), stopping };
        self.jobs.as_ref().and_then(|jobs| jobs.send(submitted).ok()).ok_or(Error::Stopped)?;
        Ok(Generation { events, cancelled, ended: false })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the step thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Generation {
    /// A handle that cancels this generation.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller(Arc::clone(&self.cancelled))
    }
}

impl Iterator for Generation {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        let event = self.events.recv().unwrap_or(Event::Failed(Error::Stopped));
        self.ended = matches!(event, Event::Finished(_) | Event::Failed(_));
        Some(event)
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

impl Canceller {
    /// The generation ends after the step that is being computed.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Submitted {
    /// Asked before every step.
    fn must_end(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.stopping.load(Ordering::Relaxed)
    }

    /// Whoever reads may have gone: the flag says so at the next step.
    fn send(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

impl<'a> Running<'a> {
    fn new(model: &'a mut dyn Model, sequence: SequenceId, submitted: &'a Submitted, limits: Limits) -> Self {
        let finish = Finish {
            reason: FinishReason::Cancelled,
            prompt_tokens: submitted.job.prompt.len(),
            generated_tokens: 0,
            first_token: None,
            decode: None,
            kv_bytes: 0,
        };
        Self { model, sequence, submitted, limits, started: Instant::now(), logits: Vec::new(), finish }
    }

    /// Runs the job to its end.
    fn run(mut self) -> Result<Finish, Error> {
        self.finish.reason = if self.submitted.job.tokens_max == Some(0) {
            FinishReason::Length
        } else if self.read_prompt()? {
            self.generate()?
        } else {
            FinishReason::Cancelled
        };
        self.finish.kv_bytes = self.model.sequence_bytes(self.sequence);
        Ok(self.finish)
    }

    /// Reads the prompt chunk by chunk; false when the job was cancelled meanwhile.
    fn read_prompt(&mut self) -> Result<bool, Error> {
        let prompt = &self.submitted.job.prompt;
        let mut done = 0;
        for ids in prompt.chunks(self.limits.chunk_tokens) {
            if self.submitted.must_end() {
                return Ok(false);
            }
            done += ids.len();
            self.forward(ids, if done == prompt.len() { Wanted::Last } else { Wanted::None })?;
            self.submitted.send(Event::PromptRead { done, total: prompt.len() });
        }
        Ok(true)
    }

    /// Generates token by token from the prompt's logits.
    fn generate(&mut self) -> Result<FinishReason, Error> {
        let job = &self.submitted.job;
        let mut sampler = Sampler::new(job.sampling.clone(), &job.prompt);
        let mut first_at = None;
        loop {
            let sampled = sampler.sample(&mut self.logits);
            let now = Instant::now();
            match first_at {
                None => {
                    first_at = Some(now);
                    self.finish.first_token = Some(now - self.started);
                }
                Some(first_at) => self.finish.decode = Some(now - first_at),
            }
            self.finish.generated_tokens += 1;
            self.submitted.send(Event::Token(sampled));
            if job.stop_ids.contains(&sampled.id) {
                return Ok(FinishReason::Stop(sampled.id));
            }
            if job.tokens_max.is_some_and(|most| self.finish.generated_tokens >= most) {
                return Ok(FinishReason::Length);
            }
            if job.prompt.len() + self.finish.generated_tokens >= self.limits.context_tokens {
                return Ok(FinishReason::Context);
            }
            if self.submitted.must_end() {
                return Ok(FinishReason::Cancelled);
            }
            self.forward(&[sampled.id], Wanted::Last)?;
        }
    }

    fn forward(&mut self, ids: &[u32], wanted: Wanted) -> Result<(), Error> {
        Ok(self.model.forward(&[Span { sequence: self.sequence, ids, wanted }], &mut self.logits)?)
    }
}
