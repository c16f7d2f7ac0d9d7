//! `glossa train`: a recipe in, a trained model out. Opens what the recipe names, says what it will cost, and runs it.

mod batches;
mod documents;
mod session;
mod words;

use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::time::Instant;

use kernels::IsaKind;
use train::estimate::{Estimate, Plan};
use train::metrics::Log;
use train::recipe::{Optimiser, Recipe, Schedule};
use train::state::{self, Identity, Loaded, State};
use train::{Options, Sample, Trainer, durable};

use self::batches::Sizes;
use self::documents::{Documents, Tokenizer};
use self::session::Session;
use crate::arguments::TrainArguments;
use crate::console::say;
use crate::error::Error;
use crate::loading;

/// Checkpoints that are kept: should the newest be torn, the one before it serves.
const CHECKPOINTS: usize = 2;

/// Where a run keeps its files.
struct Places {
    folder: PathBuf,
}

impl Places {
    fn checkpoints(&self) -> PathBuf {
        self.folder.join("checkpoints")
    }

    fn metrics(&self) -> PathBuf {
        self.folder.join("metrics.jsonl")
    }

    fn curve(&self) -> PathBuf {
        self.folder.join("loss.svg")
    }

    fn tokenizer(&self) -> PathBuf {
        self.folder.join("tokenizer.json")
    }

    fn recipe(&self) -> PathBuf {
        self.folder.join("recipe.toml")
    }

    fn model(&self) -> PathBuf {
        self.folder.join("model")
    }
}

pub(crate) fn run(arguments: &TrainArguments) -> Result<(), Error> {
    let recipe = Recipe::read(&arguments.recipe)?;
    let folder = arguments.output.clone().unwrap_or_else(|| recipe.train.output.clone());
    let places = Places { folder };
    let has_run = state::has_any(&places.checkpoints())?;
    if has_run && !arguments.resume && !arguments.dry_run {
        return Err(Error::RunExists { path: places.folder });
    }
    let device = device(arguments, &recipe.train)?;
    say("reading the data …\n");
    let of_the_run = if arguments.resume { places.tokenizer() } else { PathBuf::new() };
    let tokenizer = Tokenizer::open(&recipe, &of_the_run)?;
    let mut documents = Documents::training(&recipe, &tokenizer.vocabulary)?;
    let config = recipe.model.config(tokenizer.size);
    let mut trainer = Trainer::new(&config, options(&recipe.train), device)?;
    let mut digest = recipe.digest();
    digest.bytes(&tokenizer.json);
    documents.add_to(&mut digest)?;
    let identity = Identity::new(trainer.layout(), digest.value());
    let loaded = if arguments.resume { state::load_latest(&places.checkpoints(), identity)? } else { None };
    let sizes = Sizes::of(&recipe);
    let first = batches::draw(&mut documents, sizes, 0, 0.0)?;
    let tokens_per_s = probe(&mut trainer, &first.micro_batches)?;
    let done = loaded.as_ref().map_or(0, |loaded| loaded.state.step);
    let last = arguments.steps.unwrap_or(recipe.train.steps).min(recipe.train.steps);
    let estimate = Estimate::new(&config, &plan(&recipe, &first.micro_batches));
    let out = words::estimate(&estimate, &recipe.train, tokens_per_s, done..last, device);
    stdout().lock().write_all(out.as_bytes())?;
    if arguments.dry_run {
        return Ok(());
    }
    begin(&mut trainer, &recipe, arguments.resume, loaded)?;
    durable::create_folder(&places.folder)?;
    keep_inputs(&places, &arguments.recipe, &tokenizer)?;
    let validation = match Documents::validation(&recipe, &tokenizer.vocabulary)? {
        Some(mut documents) => batches::first(&mut documents, sizes, recipe.train.validation_samples)?,
        None => Vec::new(),
    };
    let log = Log::open(&places.metrics(), trainer.state().step)?;
    Session { places, recipe, identity, trainer, validation, log, tokenizer, last }
        .run(documents, &resume_words(arguments))
}

fn device(arguments: &TrainArguments, schedule: &Schedule) -> Result<(IsaKind, usize), Error> {
    let threads = arguments.threads.or(schedule.threads);
    let threads = loading::threads(threads)?;
    let isa = loading::isa(&arguments.isa, "auto, scalar, avx2, avx512, avx512vnni or avx512bf16")?;
    Ok((isa, threads))
}

#[expect(clippy::cast_possible_truncation, reason = "the optimiser computes in f32")]
fn options(schedule: &Schedule) -> Options {
    Options {
        betas: schedule.betas.map(|beta| beta as f32),
        epsilon: schedule.epsilon as f32,
        weight_decay: schedule.weight_decay as f32,
        clip_norm: schedule.clip_norm as f32,
        muon: schedule.optimiser == Optimiser::Muon,
        router_balance: schedule.router_balance as f32,
        recompute: schedule.recompute,
    }
}

fn plan(recipe: &Recipe, micro_batches: &[Vec<Sample>]) -> Plan {
    // Attention's work grows with the square of a document's length, so each counts by its tokens.
    let lengths = || micro_batches.iter().flatten().map(|sample| sample.ids.len());
    let tokens: usize = lengths().sum();
    let squares: usize = lengths().map(|length| length * length).sum();
    Plan {
        micro_batch_tokens: recipe.train.micro_batch_tokens.min(tokens),
        document_tokens: squares / tokens.max(1),
        recompute: recipe.train.recompute,
        checkpoints: CHECKPOINTS,
    }
}

/// Tokens per second of a step over the first micro-batch, after one that brings the memory in. Nothing of it stays.
fn probe(trainer: &mut Trainer, micro_batches: &[Vec<Sample>]) -> Result<f64, Error> {
    let micro_batch = micro_batches.get(..1).unwrap_or_default();
    trainer.initialise(0);
    trainer.step(micro_batch, 0.0, false)?;
    let started = Instant::now();
    let report = trainer.step(micro_batch, 0.0, false)?;
    let tokens_per_s = report.tokens as f64 / started.elapsed().as_secs_f64().max(f64::EPSILON);
    let nothing = State::new(trainer.layout());
    trainer.restore(nothing)?;
    Ok(tokens_per_s)
}

/// Puts the trainer where the run stands.
fn begin(trainer: &mut Trainer, recipe: &Recipe, resume: bool, loaded: Option<Loaded>) -> Result<(), Error> {
    let Some(Loaded { state, path, damaged }) = loaded else {
        if resume {
            say("there is no checkpoint yet: beginning with the first step\n");
        }
        trainer.initialise(recipe.train.seed);
        return Ok(());
    };
    for path in damaged {
        say(&format!("{} is torn and was passed over\n", path.display()));
    }
    say(&format!("resuming after step {}, from {}\n", state.step, path.display()));
    Ok(trainer.restore(state)?)
}

/// The recipe and the tokenizer beside what becomes of them.
fn keep_inputs(places: &Places, recipe: &Path, tokenizer: &Tokenizer) -> Result<(), Error> {
    let text = fs::read(recipe).map_err(|source| Error::Read { path: recipe.to_owned(), source })?;
    durable::replace_file(&places.recipe(), |out| out.write_all(&text))?;
    Ok(durable::replace_file(&places.tokenizer(), |out| out.write_all(&tokenizer.json))?)
}

/// The command that goes on with this run.
fn resume_words(arguments: &TrainArguments) -> String {
    let output = arguments.output.as_ref().map_or(String::new(), |output| format!(" --output {}", output.display()));
    format!("glossa train {} --resume{output}", arguments.recipe.display())
}
