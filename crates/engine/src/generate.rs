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
    /// Time from the start of the job to the first token.
    pub first_token: Duration,
    /// Time from the first to the last token.
    pub decode: Duration,
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
    /// The generation was dropped or cancelled.
    Cancelled,
}

/// A model on a thread of its own.
pub struct Engine {
    jobs: Option<Sender<Submitted>>,
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
    cancelled: Arc<AtomicBool>,
}

impl Engine {
    /// Starts the step thread.
    ///
    /// # Panics
    /// When the system cannot start a thread.
    #[must_use]
    pub fn new(mut model: Box<dyn Model>, limits: Limits) -> Self {
        let config = model.config().clone();
        let limits = Limits {
            context_tokens: limits.context_tokens.min(config.context_length),
            chunk_tokens: limits.chunk_tokens.max(1),
        };
        let (jobs, submitted) = channel::<Submitted>();
        let body = move || {
            for next in submitted {
                let sequence = model.open_sequence();
                let outcome = run(&mut *model, sequence, &next, limits);
                model.close_sequence(sequence);
                // The reader may have gone; then nobody needs the last event.
                let _ = next.events.send(outcome.map_or_else(Event::Failed, Event::Finished));
            }
        };
        let thread =
            std::thread::Builder::new().name("engine".into()).spawn(body).expect("the system can start a thread");
        Self { jobs: Some(jobs), thread: Some(thread), config, limits }
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
        let cancelled = Arc::new(AtomicBool::new(false));
        let submitted = Submitted { job, events: sender, cancelled: Arc::clone(&cancelled) };
        self.jobs.as_ref().and_then(|jobs| jobs.send(submitted).ok()).ok_or(Error::Stopped)?;
        Ok(Generation { events, cancelled, ended: false })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
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

/// Runs one job to its end.
fn run(model: &mut dyn Model, sequence: SequenceId, submitted: &Submitted, limits: Limits) -> Result<Finish, Error> {
    let Submitted { job, events, cancelled } = submitted;
    let started = Instant::now();
    let mut finish = Finish {
        reason: FinishReason::Cancelled,
        prompt_tokens: job.prompt.len(),
        generated_tokens: 0,
        first_token: Duration::ZERO,
        decode: Duration::ZERO,
        kv_bytes: 0,
    };
    let mut logits = Vec::new();
    if job.tokens_max == Some(0) {
        finish.reason = FinishReason::Length;
        return Ok(finish);
    }
    let mut done = 0;
    for ids in job.prompt.chunks(limits.chunk_tokens) {
        if cancelled.load(Ordering::Relaxed) {
            return Ok(finish);
        }
        done += ids.len();
        let wanted = if done == job.prompt.len() { Wanted::Last } else { Wanted::None };
        model.forward(&[Span { sequence, ids, wanted }], &mut logits)?;
        // Whoever reads may have gone: the flag says so at the next step.
        let _ = events.send(Event::PromptRead { done, total: job.prompt.len() });
    }
    let mut sampler = Sampler::new(job.sampling.clone(), &job.prompt);
    let mut first_token_at = started;
    finish.reason = loop {
        let sampled = sampler.sample(&mut logits);
        finish.generated_tokens += 1;
        if finish.generated_tokens == 1 {
            first_token_at = Instant::now();
            finish.first_token = first_token_at - started;
        }
        finish.decode = first_token_at.elapsed();
        let _ = events.send(Event::Token(sampled));
        if job.stop_ids.contains(&sampled.id) {
            break FinishReason::Stop(sampled.id);
        }
        if job.tokens_max.is_some_and(|most| finish.generated_tokens >= most) {
            break FinishReason::Length;
        }
        if job.prompt.len() + finish.generated_tokens >= limits.context_tokens {
            break FinishReason::Context;
        }
        if cancelled.load(Ordering::Relaxed) {
            break FinishReason::Cancelled;
        }
        model.forward(&[Span { sequence, ids: &[sampled.id], wanted: Wanted::Last }], &mut logits)?;
    };
    finish.kv_bytes = model.sequence_bytes(sequence);
    Ok(finish)
}
