//! The engine in this process as the target of a load. It must not know which loads there are.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use engine::{Constraint, DiskCache, Drafts, Engine, Event, Job, Limits, Sampling, SharedChunk};
use kernels::KvPrecision;
use model::{Checkpoint, Device, Precision};

use super::dictated::{Dictated, Dictation};
use super::target::{Dictate, Each, Ending, Inside, Manner, Request, Restart, Target};
use crate::arguments::BenchArguments;
use crate::error::Error;
use crate::figures::reason_code;
use crate::plan::Plan;
use crate::{loading, packs, self_test};

/// An engine, and what it takes to make it again.
pub(super) struct EngineTarget {
    /// Nothing only while it is made again.
    engine: Option<Engine>,
    /// Requests that this engine has accepted.
    accepted: AtomicU64,
    model: PathBuf,
    device: Device,
    precision: Precision,
    kv: KvPrecision,
    limits: Limits,
    /// Whether tokens are guessed, to be checked several at once.
    drafts: bool,
    /// What is said, where that is told.
    dictation: Dictation,
    /// The same while somebody dictates.
    dictated_drafts: AtomicBool,
    /// What answers are held to meanwhile.
    form: Mutex<Option<Box<dyn Constraint>>>,
    plan: Plan,
    vocabulary_size: usize,
}

/// An engine that is not loaded yet, and what it will take.
pub(super) struct Planned {
    target: EngineTarget,
    checkpoint: Checkpoint,
}

impl Planned {
    /// Reads the checkpoint's shape and plans for it.
    pub(super) fn new(model: &Path, arguments: &BenchArguments) -> Result<Self, Error> {
        let device = loading::device(&arguments.compute)?;
        let precision = loading::precision(arguments.exact, arguments.compute.dense_weights)?;
        let kv = loading::kv(precision, arguments.compute.kv_form);
        let checkpoint = Checkpoint::open_without_scales(model)?;
        let limits = limits(arguments, &checkpoint);
        let has_pack = device != Device::Reference && packs::has_pack(model, precision);
        let plan = Plan::new(&checkpoint, (precision, kv), has_pack, &limits);
        let vocabulary_size = checkpoint.config.vocabulary_size;
        // Exact sums depend on how many rows are computed together, so `run` guesses nothing there either.
        let drafts = !(arguments.exact || arguments.load.no_drafts);
        let model = model.to_owned();
        let target = EngineTarget {
            engine: None,
            accepted: AtomicU64::new(0),
            model,
            device,
            precision,
            kv,
            limits,
            drafts,
            dictation: Dictation::default(),
            dictated_drafts: AtomicBool::new(drafts),
            form: Mutex::new(None),
            plan,
            vocabulary_size,
        };
        Ok(Self { target, checkpoint })
    }

    /// What it will take in memory.
    pub(super) fn plan(&self) -> &Plan {
        &self.target.plan
    }

    /// Loads the model and starts the engine.
    pub(super) fn load(self) -> Result<EngineTarget, Error> {
        let Self { mut target, checkpoint } = self;
        target.start(checkpoint)?;
        Ok(target)
    }
}

impl EngineTarget {
    fn start(&mut self, checkpoint: Checkpoint) -> Result<(), Error> {
        self_test::kernels(self.device, (self.precision, self.kv))?;
        let embedding = checkpoint.embedding.bytes.clone();
        let mut model = packs::load(checkpoint, self.device, (self.precision, self.kv), Some(&self.model))?;
        self_test::model(&mut *model, &self.model, self.device, self.precision)?;
        // What is measured must not have it read beside.
        embedding.read_in();
        let model = Dictated::new(model, self.dictation.clone());
        self.engine = Some(Engine::new(Box::new(model), self.limits.clone())?);
        self.accepted = AtomicU64::new(0);
        Ok(())
    }

    fn form(&self) -> MutexGuard<'_, Option<Box<dyn Constraint>>> {
        self.form.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn engine(&self) -> Result<&Engine, Error> {
        self.engine.as_ref().ok_or(Error::Engine(engine::Error::Stopped))
    }
}

impl Target for EngineTarget {
    fn name(&self) -> &str {
        "glossa"
    }

    fn vocabulary_size(&self) -> usize {
        self.vocabulary_size
    }

    fn room_tokens(&self) -> Option<(usize, &'static str)> {
        let engine = self.engine.as_ref()?;
        let (shape, limits) = (engine.kv_shape(), engine.limits());
        let fits = |tokens| {
            let bytes = shape.sequence_blocks(tokens, limits.chunk_tokens) * shape.block_bytes;
            limits.kv_bytes_max.is_none_or(|most| bytes <= most)
        };
        let context = limits.context_tokens;
        if fits(context) {
            return Some((context, "the context of the model"));
        }
        // More tokens never take fewer blocks, so the bound can be halved down to.
        let (mut room, mut too_many) = (0, context);
        while room + 1 < too_many {
            let middle = room.midpoint(too_many);
            *(if fits(middle) { &mut room } else { &mut too_many }) = middle;
        }
        Some((room, "what --kv-mib has room for"))
    }

    fn answer(&self, request: &Request, each: &mut Each<'_>) -> Result<Ending, Error> {
        let job = Job {
            sampling: Sampling { temperature: 0.0, ..Sampling::default() },
            tokens_max: Some(request.answer_tokens),
            top_logprobs: None,
            boundaries: request.boundaries.clone(),
            tenant: vec![request.tenant],
            constraint: self.form().clone(),
            drafts: if self.dictated_drafts.load(Ordering::Relaxed) { Drafts::default() } else { Drafts::Off },
            ..Job::new(request.prompt.clone())
        };
        let mut generation = self.engine()?.submit(job)?;
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let mut leaving = request.leaves_at(0);
        loop {
            match leaving {
                Some(Manner::Drop) => return Ok(Ending::left("dropped")),
                Some(Manner::Cancel) => generation.canceller().cancel(),
                None => {}
            }
            match generation.next() {
                Some(Event::PromptRead { .. } | Event::PromptLogprobs(_) | Event::Guarded(_)) => {}
                Some(Event::Token(token)) if leaving.is_none() => {
                    if let ControlFlow::Break(manner) = each(Some(token.id)) {
                        leaving = Some(manner);
                    }
                }
                // The step that was being computed when the client left.
                Some(Event::Token(_)) => {}
                Some(Event::Finished(finish)) => {
                    return Ok(Ending {
                        reason: reason_code(finish.reason),
                        found_tokens: Some(finish.cached_tokens),
                        computed_tokens: Some(finish.prompt_tokens - finish.cached_tokens),
                    });
                }
                Some(Event::Failed(error)) => return Err(error.into()),
                None => return Err(engine::Error::Stopped.into()),
            }
        }
    }

    fn dictate(&self, words: Option<Dictate>) -> bool {
        self.dictated_drafts.store(words.as_ref().map_or(self.drafts, |words| words.drafts), Ordering::Relaxed);
        let (text, form) = words.map_or((None, None), |words| (Some(words.text), words.form));
        self.dictation.set(text);
        *self.form() = form;
        true
    }

    fn restart(&mut self) -> Result<Restart, Error> {
        if self.limits.disk.is_none() {
            return Ok(Restart::Skipped("no --disk-cache"));
        }
        // The old one first: two models may not fit.
        self.engine = None;
        self.start(Checkpoint::open_without_scales(&self.model)?)?;
        Ok(Restart::Done)
    }

    fn inside(&self) -> Option<Inside> {
        let engine = self.engine.as_ref()?;
        Some(Inside {
            accepted: self.accepted.load(Ordering::Relaxed),
            stats: engine.stats(),
            shape: engine.kv_shape().clone(),
            planned_bytes: self.plan.total_bytes(),
        })
    }
}

impl Ending {
    /// Of a client that did not wait for the figures.
    pub(super) fn left(reason: &'static str) -> Self {
        Self { reason, found_tokens: None, computed_tokens: None }
    }
}

/// The engine's limits, from the options.
fn limits(arguments: &BenchArguments, checkpoint: &Checkpoint) -> Limits {
    let load = &arguments.load;
    let serving = Limits::serving(checkpoint.config.context_length, load.kv_mib << 20);
    let within = |milliseconds| SharedChunk::Within(Duration::from_millis(milliseconds));
    let disk = load
        .disk_cache
        .as_ref()
        .map(|folder| DiskCache::new(folder.clone(), load.disk_cache_mib << 20, identity(checkpoint)));
    Limits {
        chunk_tokens: load.serving_chunk,
        shared_chunk: load.shared_chunk_ms.map_or(serving.shared_chunk, within),
        sequences_max: load.sequences,
        disk,
        ..serving
    }
}

/// Tells this model from others in the disk cache. The files' names, sizes and times stand for their content, which would take
/// minutes to hash: enough for a measurement on one's own files.
fn identity(checkpoint: &Checkpoint) -> String {
    let mut identity = "bench".to_owned();
    for file in &checkpoint.files {
        let modified = std::fs::metadata(&file.path).and_then(|metadata| metadata.modified());
        let since = modified.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        identity += &format!(" {} {} {}", file.path.display(), file.bytes, since.as_nanos());
    }
    identity
}
