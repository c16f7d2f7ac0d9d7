//! `glossa bench MODEL`: reading prompts, decoding at a depth, decoding several sequences at once. It must not know text.
//!
//! Memory has fast and slow phases on shared machines, so the read bandwidth is probed before every run of decoding, and a
//! figure is told as a share of what memory gave at that time.

use std::fmt;
use std::path::Path;
use std::time::Instant;

use kernels::{HugeBytes, KvPrecision, Pool, measure};
use model::{AttentionKind, Checkpoint, Choice, Model, ModelConfig, Precision, SequenceId, Span, Wanted};
use serde_json::{Value, json};

use super::tokens::Ids;
use super::{limits, median};
use crate::arguments::BenchArguments;
use crate::console::Progress;
use crate::error::Error;
use crate::loading;
use crate::memory;
use crate::packs;
use crate::plan::dense_bytes;

/// What a model did.
pub(super) struct Speed {
    model: String,
    layout: &'static str,
    kernels: String,
    vocabulary_size: usize,
    load_seconds: f64,
    first_token_seconds: f64,
    work: Work,
    prefills: Vec<Prefill>,
    decodes: Vec<Decode>,
    peak_resident_bytes: Option<u64>,
}

struct Prefill {
    tokens: usize,
    rates: Vec<f64>,
}

struct Decode {
    depth: usize,
    batch: usize,
    rates: Vec<f64>,
    probes: Vec<f64>,
    /// Bytes of weights, keys and values per token; known only where one sequence chooses the experts.
    bytes_per_token: Option<f64>,
}

/// What a token costs, from the shapes and encodings in the files.
struct Work {
    weight_bytes_per_token: f64,
    macs_per_prompt_token: f64,
}

/// Memory of its own that tells how fast memory is just now.
struct Probe {
    bytes: HugeBytes,
    pool: Pool,
}

/// Loads a model and measures all that was asked for.
pub(super) fn measure(path: &Path, arguments: &BenchArguments, progress: &mut Progress) -> Result<Speed, Error> {
    let device = loading::device(&arguments.compute)?;
    let precision = loading::precision(arguments.exact, arguments.compute.dense_weights)?;
    let kv = loading::kv(precision, arguments.compute.kv_form);
    progress.show(false, &format!("loading {}", path.display()));
    let start = Instant::now();
    let checkpoint = Checkpoint::open_without_scales(path)?;
    let plan = checkpoint.clone();
    let mut model = packs::load(checkpoint, device, (precision, kv), Some(path))?;
    let load_seconds = start.elapsed().as_secs_f64();
    prefill(&mut *model, 1, arguments.compute.chunk)?;
    let first_token_seconds = start.elapsed().as_secs_f64();

    let mut prefills = Vec::new();
    for &tokens in &arguments.prompt {
        let mut rates = Vec::new();
        for run in 0..arguments.runs {
            progress.show(false, &format!("prompt of {tokens} tokens, run {} of {}", run + 1, arguments.runs));
            rates.push(prefill(&mut *model, tokens, arguments.compute.chunk)?);
        }
        prefills.push(Prefill { tokens, rates });
    }
    let probe = Probe {
        bytes: limits::written(HugeBytes::new, arguments.memory_mib << 20)?,
        pool: limits::pool(loading::threads(arguments.compute.threads)?)?,
    };
    let work = Work::of(&plan, precision, arguments.all_logits);
    let mut decodes = Vec::new();
    let singles = arguments.depth.iter().map(|&depth| (depth, 1));
    for (depth, batch) in singles.chain(arguments.batch.iter().map(|&batch| (0, batch))) {
        progress.show(false, &format!("decoding {batch} sequence(s) at {depth} tokens"));
        let (rates, probes) = decode(&mut *model, depth, batch, arguments, &probe)?;
        let of_keys = kv_bytes_per_token(&plan.config, kv, depth);
        let bytes_per_token = (batch == 1).then_some(work.weight_bytes_per_token + of_keys);
        decodes.push(Decode { depth, batch, rates, probes, bytes_per_token });
    }
    let probe_bytes = probe.bytes.as_slice().len() as u64;
    Ok(Speed {
        model: path.display().to_string(),
        layout: plan.layout.name(),
        kernels: model.describe(),
        vocabulary_size: plan.config.vocabulary_size,
        load_seconds,
        first_token_seconds,
        work,
        prefills,
        decodes,
        peak_resident_bytes: memory::peak_resident_bytes().map(|peak| peak.saturating_sub(probe_bytes)),
    })
}

/// Reads a prompt of `tokens` tokens into a sequence of its own; tokens per second.
fn prefill(model: &mut dyn Model, tokens: usize, chunk: usize) -> Result<f64, Error> {
    let ids = Ids::new(tokens as u64, model.config().vocabulary_size).take_many(tokens);
    let sequence = model.open_sequence();
    let start = Instant::now();
    read_prompt(model, sequence, &ids, chunk)?;
    let time = start.elapsed();
    model.close_sequence(sequence);
    Ok(tokens as f64 / time.as_secs_f64().max(f64::EPSILON))
}

fn read_prompt(model: &mut dyn Model, sequence: SequenceId, ids: &[u32], chunk: usize) -> Result<(), Error> {
    let mut logits = Vec::new();
    let chunks = ids.chunks(chunk);
    let last = chunks.len().saturating_sub(1);
    for (index, ids) in chunks.enumerate() {
        let wanted = if index == last { Wanted::Last } else { Wanted::None };
        model.forward(&[Span { sequence, ids, wanted }], &mut logits)?;
    }
    Ok(())
}

/// Decodes `batch` sequences at once, beginning at `depth` tokens; tokens per second of all together, and what memory gave
/// before each run.
fn decode(
    model: &mut dyn Model,
    depth: usize,
    batch: usize,
    arguments: &BenchArguments,
    probe: &Probe,
) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let vocabulary_size = model.config().vocabulary_size;
    let mut sequences = Vec::new();
    for seed in 0..batch {
        let mut ids = Ids::new(seed as u64, vocabulary_size);
        let sequence = model.open_sequence();
        read_prompt(model, sequence, &ids.take_many(depth), arguments.compute.chunk)?;
        sequences.push((sequence, ids));
    }
    let (mut rates, mut probes, mut logits) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..arguments.runs {
        probes.push(measure::bandwidth(probe.bytes.as_slice(), &probe.pool, 1).bytes_per_second);
        let start = Instant::now();
        for _ in 0..arguments.decode {
            let ids: Vec<[u32; 1]> = sequences.iter_mut().map(|(_, ids)| [ids.next_id()]).collect();
            let spans = sequences.iter().zip(&ids);
            // As one would go on with the likeliest token, though other ones come.
            let wanted = match arguments.all_logits {
                true => Wanted::Last,
                false => Wanted::Chosen { choice: Choice::GREATEST, rows: 1 },
            };
            let spans: Vec<Span<'_>> =
                spans.map(|((sequence, _), ids)| Span { sequence: *sequence, ids, wanted }).collect();
            model.forward(&spans, &mut logits)?;
        }
        let tokens = (arguments.decode * batch) as f64;
        rates.push(tokens / start.elapsed().as_secs_f64().max(f64::EPSILON));
    }
    sequences.into_iter().for_each(|(sequence, _)| model.close_sequence(sequence));
    Ok((rates, probes))
}

/// Keys and values that one token looks at.
fn kv_bytes_per_token(config: &ModelConfig, kv: KvPrecision, depth: usize) -> f64 {
    let per_layer = kernels::Cpu::kv_bytes_per_position(config.kv_heads, config.head_dim, kv);
    let positions: usize = (config.layers.iter())
        .map(|kind| match kind {
            AttentionKind::Full => depth,
            AttentionKind::Sliding => depth.min(config.sliding_window),
        })
        .sum();
    (positions * per_layer) as f64
}

impl Work {
    fn of(checkpoint: &Checkpoint, precision: Precision, all_logits: bool) -> Self {
        let config = &checkpoint.config;
        let chosen = config.experts_per_token as f64 / config.experts as f64;
        let unembedding = &checkpoint.unembedding;
        let rough = precision.rough_bytes(unembedding);
        let read = if rough > 0 && !all_logits { rough } else { dense_bytes(unembedding, precision) };
        let mut work = Self { weight_bytes_per_token: read as f64, macs_per_prompt_token: 0.0 };
        for layer in &checkpoint.layers {
            for matrix in layer.gate_up.matrices().chain([&layer.down]) {
                work.weight_bytes_per_token += (matrix.blocks.len() + matrix.scales.len()) as f64 * chosen;
                work.macs_per_prompt_token += (matrix.experts * matrix.rows * matrix.columns) as f64 * chosen;
            }
            for matrix in [&layer.query, &layer.key, &layer.value, &layer.output, &layer.router] {
                work.weight_bytes_per_token += dense_bytes(matrix, precision) as f64;
                work.macs_per_prompt_token += (matrix.rows * matrix.columns) as f64;
            }
        }
        work
    }
}

impl Decode {
    /// Of the bandwidth that the probe found, how much decoding used.
    fn share_of_bandwidth(&self) -> Option<f64> {
        let shares = self.rates.iter().zip(&self.probes);
        let shares: Option<Vec<f64>> = shares.map(|(rate, probe)| Some(rate * self.bytes_per_token? / probe)).collect();
        shares.map(|shares| median(&shares))
    }
}

impl Speed {
    /// For programs.
    pub(super) fn json(&self) -> Value {
        let prefill = |Prefill { tokens, rates }: &Prefill| json!({"tokens": tokens, "tokens_per_second": median(rates), "runs": rates});
        let decode = |decode: &Decode| {
            json!({
                "depth": decode.depth,
                "batch": decode.batch,
                "tokens_per_second": median(&decode.rates),
                "runs": decode.rates,
                "probe_bytes_per_second": median(&decode.probes),
                "bytes_per_token": decode.bytes_per_token,
                "share_of_bandwidth": decode.share_of_bandwidth(),
            })
        };
        json!({
            "model": self.model,
            "layout": self.layout,
            "kernels": self.kernels,
            "vocabulary_size": self.vocabulary_size,
            "load_seconds": self.load_seconds,
            "first_token_seconds": self.first_token_seconds,
            "weight_bytes_per_token": self.work.weight_bytes_per_token,
            "macs_per_prompt_token": self.work.macs_per_prompt_token,
            "prefill": self.prefills.iter().map(prefill).collect::<Vec<_>>(),
            "decode": self.decodes.iter().map(decode).collect::<Vec<_>>(),
            "peak_resident_bytes": self.peak_resident_bytes,
        })
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "\n{} ({}; {})", self.model, self.layout, self.kernels)?;
        writeln!(
            formatter,
            "  loaded in {:.2} s, first token after {:.2} s",
            self.load_seconds, self.first_token_seconds
        )?;
        for Prefill { tokens, rates } in &self.prefills {
            let (rate, macs) = (median(rates), self.work.macs_per_prompt_token);
            writeln!(
                formatter,
                "  prompt of {tokens:>6} tokens {rate:>20.1} tokens/s  {:.1} GMAC/s",
                rate * macs / 1e9
            )?;
        }
        for decode in &self.decodes {
            let Decode { depth, batch, rates, probes, .. } = decode;
            write!(formatter, "  decoding {batch:>3} at {depth:>6} tokens {:>17.2} tokens/s", median(rates))?;
            match decode.share_of_bandwidth() {
                Some(share) => {
                    let bandwidth = median(probes) / 1e9;
                    writeln!(formatter, "  {:.0} % of {bandwidth:.1} GB/s", share * 100.0)?;
                }
                None => writeln!(formatter)?,
            }
        }
        match self.peak_resident_bytes {
            Some(bytes) => writeln!(formatter, "  at most {:.2} GB resident", bytes as f64 / 1e9),
            None => Ok(()),
        }
    }
}
