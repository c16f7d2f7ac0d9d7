//! Bounds of every value of a recipe, and errors that name the key, the value and what is allowed.
//! It must not know what the values do.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;

use model::checkpoint::validate::{
    CONTEXT_MAX, EXPERTS_MAX, HEAD_DIM_MAX, HEADS_MAX, LAYERS_MAX, VOCABULARY_MAX, WIDTH_MAX,
};

use super::{CorpusData, Data, EarlyData, Recipe, Schedule, Shape};
use crate::error::Error;

/// Most steps, tokens per step, items and the like.
const COUNT_MAX: u64 = 1 << 40;
/// Most tokens in a step or micro-batch.
const BATCH_TOKENS_MAX: usize = 1 << 28;
/// Most threads.
const THREADS_MAX: usize = 1024;
/// Values of an MXFP4 block, along every width of the experts.
const BLOCK_VALUES: usize = 32;

/// The first value that is out of its bounds.
pub(super) fn check(path: &Path, recipe: &Recipe) -> Result<(), Error> {
    let bounds = Bounds { path };
    let Recipe { model, data, train } = recipe;
    check_shape(&bounds, model)?;
    check_schedule(&bounds, train)?;
    check_data(&bounds, data, model.context.min(train.micro_batch_tokens))
}

/// A value that is not allowed.
pub(super) fn wrong(path: &Path, key: &str, found: impl Display, allowed: &str) -> Error {
    Error::RecipeValue { path: path.to_owned(), key: key.into(), found: found.to_string(), allowed: allowed.into() }
}

/// What the TOML reader did not like, with the line.
pub(super) fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let before = &text.as_bytes()[..start];
    let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
    let content = text.lines().nth(line - 1).unwrap_or_default().trim().to_owned();
    Error::RecipeSyntax { path: path.to_owned(), line, content, problem: error.message().replace('\n', ", ") }
}

struct Bounds<'a> {
    path: &'a Path,
}

impl Bounds<'_> {
    fn holds(&self, holds: bool, key: &str, found: impl Display, allowed: &str) -> Result<(), Error> {
        if holds { Ok(()) } else { Err(wrong(self.path, key, found, allowed)) }
    }

    fn count(&self, key: &str, found: usize, most: usize) -> Result<(), Error> {
        self.holds((1..=most).contains(&found), key, found, &format!("1 to {most}"))
    }

    fn long_count(&self, key: &str, found: u64) -> Result<(), Error> {
        self.holds((1..=COUNT_MAX).contains(&found), key, found, &format!("1 to {COUNT_MAX}"))
    }

    fn number(&self, key: &str, found: f64, allowed: RangeInclusive<f64>) -> Result<(), Error> {
        let words = format!("{} to {}", allowed.start(), allowed.end());
        self.holds(allowed.contains(&found), key, found, &words)
    }

    fn share(&self, key: &str, found: f64) -> Result<(), Error> {
        self.number(key, found, 0.0..=1.0)
    }

    fn above_zero(&self, key: &str, found: f64, most: f64) -> Result<(), Error> {
        self.holds(found > 0.0 && found <= most, key, found, &format!("above 0, at most {most}"))
    }
}

fn check_shape(bounds: &Bounds<'_>, shape: &Shape) -> Result<(), Error> {
    let Shape {
        hidden_size,
        layers,
        heads,
        kv_heads,
        head_dim,
        experts,
        experts_per_token,
        intermediate_size,
        sliding_window,
        swiglu_limit,
        rms_norm_epsilon,
        rope_theta,
        rope_factor,
        original_context,
        context,
    } = *shape;
    for (key, width) in [("model.hidden_size", hidden_size), ("model.intermediate_size", intermediate_size)] {
        let allowed = format!("a multiple of {BLOCK_VALUES} up to {WIDTH_MAX}");
        bounds.holds(width > 0 && width <= WIDTH_MAX && width.is_multiple_of(BLOCK_VALUES), key, width, &allowed)?;
    }
    bounds.count("model.layers", layers, LAYERS_MAX)?;
    bounds.count("model.heads", heads, HEADS_MAX)?;
    let divides = kv_heads > 0 && heads.is_multiple_of(kv_heads);
    bounds.holds(divides, "model.kv_heads", kv_heads, &format!("a divisor of model.heads ({heads})"))?;
    let even = head_dim > 0 && head_dim.is_multiple_of(2) && head_dim <= HEAD_DIM_MAX;
    bounds.holds(even, "model.head_dim", head_dim, &format!("an even number up to {HEAD_DIM_MAX}"))?;
    bounds.count("model.experts", experts, EXPERTS_MAX)?;
    let chosen = (1..=experts).contains(&experts_per_token);
    let allowed = format!("1 to model.experts ({experts})");
    bounds.holds(chosen, "model.experts_per_token", experts_per_token, &allowed)?;
    bounds.count("model.sliding_window", sliding_window, CONTEXT_MAX)?;
    bounds.above_zero("model.swiglu_limit", swiglu_limit, 1e6)?;
    bounds.above_zero("model.rms_norm_epsilon", rms_norm_epsilon, 1.0)?;
    bounds.number("model.rope_theta", rope_theta, 2.0..=1e12)?;
    bounds.number("model.rope_factor", rope_factor, 1.0..=1e6)?;
    bounds.count("model.original_context", original_context, CONTEXT_MAX)?;
    bounds.count("model.context", context, CONTEXT_MAX)
}

fn check_schedule(bounds: &Bounds<'_>, schedule: &Schedule) -> Result<(), Error> {
    let Schedule {
        steps,
        tokens_per_step,
        micro_batch_tokens,
        optimiser: _,
        learning_rate,
        warmup_steps,
        final_learning_rate_share,
        betas,
        epsilon,
        weight_decay,
        clip_norm,
        router_balance,
        prompt_weight,
        prompt_steps_share,
        quantise_from_share,
        seed: _,
        threads,
        recompute: _,
        checkpoint_every_steps,
        validate_every_steps,
        validation_samples,
        output,
    } = schedule;
    bounds.long_count("train.steps", *steps)?;
    bounds.count("train.tokens_per_step", *tokens_per_step, BATCH_TOKENS_MAX)?;
    bounds.count("train.micro_batch_tokens", *micro_batch_tokens, BATCH_TOKENS_MAX)?;
    bounds.above_zero("train.learning_rate", *learning_rate, 10.0)?;
    let allowed = format!("0 to train.steps ({steps})");
    bounds.holds(warmup_steps <= steps, "train.warmup_steps", warmup_steps, &allowed)?;
    bounds.share("train.final_learning_rate_share", *final_learning_rate_share)?;
    for beta in betas {
        bounds.holds((0.0..1.0).contains(beta), "train.betas", beta, "two numbers from 0 to below 1")?;
    }
    bounds.above_zero("train.epsilon", *epsilon, 1.0)?;
    bounds.share("train.weight_decay", *weight_decay)?;
    bounds.above_zero("train.clip_norm", *clip_norm, 1e6)?;
    bounds.number("train.router_balance", *router_balance, 0.0..=100.0)?;
    bounds.share("train.prompt_weight", *prompt_weight)?;
    bounds.share("train.prompt_steps_share", *prompt_steps_share)?;
    bounds.share("train.quantise_from_share", *quantise_from_share)?;
    bounds.count("train.threads", threads.unwrap_or(1), THREADS_MAX)?;
    bounds.long_count("train.checkpoint_every_steps", *checkpoint_every_steps)?;
    bounds.long_count("train.validate_every_steps", *validate_every_steps)?;
    let (key, most) = ("train.validation_samples", 1 << 24);
    bounds.holds(*validation_samples <= most, key, validation_samples, &format!("0 to {most}"))?;
    bounds.holds(!output.as_os_str().is_empty(), "train.output", "nothing", "a folder")
}

fn check_data(bounds: &Bounds<'_>, data: &Data, document_tokens_max: usize) -> Result<(), Error> {
    let Data { corpus, conversations, validation, tokenizer, document_tokens_max: limit } = data;
    let (key, allowed) = ("data", "either data.corpus or data.conversations");
    let found = if corpus.is_some() { "both" } else { "neither" };
    bounds.holds(corpus.is_some() == conversations.is_empty(), key, found, allowed)?;
    if let Some(limit) = limit {
        let allowed = format!("2 to {document_tokens_max} (model.context and train.micro_batch_tokens)");
        let holds = (2..=document_tokens_max).contains(limit);
        bounds.holds(holds, "data.document_tokens_max", limit, &allowed)?;
    }
    let needed = corpus.is_some() || tokenizer.is_some();
    bounds.holds(needed, "data.tokenizer", "nothing", "a tokenizer.json beside data.conversations")?;
    let Some(CorpusData { seed: _, vocabulary_size, vocabulary_items, mixture, early }) = corpus else { return Ok(()) };
    let files = validation.len();
    bounds.holds(
        files == 0,
        "data.validation",
        format!("{files} files"),
        "none beside data.corpus, which has its own",
    )?;
    bounds.count("data.corpus.vocabulary_size", *vocabulary_size, VOCABULARY_MAX)?;
    if tokenizer.is_none() {
        bounds.long_count("data.corpus.vocabulary_items", *vocabulary_items)?;
    }
    check_mixture(bounds, "data.corpus.mixture", mixture)?;
    let Some(EarlyData { items, mixture }) = early else { return Ok(()) };
    bounds.long_count("data.corpus.early.items", *items)?;
    check_mixture(bounds, "data.corpus.early.mixture", mixture)
}

fn check_mixture(bounds: &Bounds<'_>, table: &str, mixture: &BTreeMap<String, u64>) -> Result<(), Error> {
    for (skill, weight) in mixture {
        bounds.holds(*weight <= 1_000_000, &format!("{table}.{skill}"), weight, "0 to 1000000")?;
    }
    Ok(())
}
