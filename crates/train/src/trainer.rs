//! Steps of training: forward, backward, clipping, AdamW. It must not know where samples come from or where files go.

use std::ops::Range;

use kernels::{AdamStep, IsaKind, MuonStep, Place, Training};
use model::ModelConfig;

use crate::batch::Batch;
use crate::error::Error;
use crate::initial;
use crate::layer::{Activations, Layer, Scratch};
use crate::loss::{self, Sums};
use crate::parameters::Layout;
use crate::quantise;
use crate::rotary::Angles;
use crate::sample::Sample;
use crate::state::State;

/// Values of a task of the loops over all parameters.
const TASK_VALUES: usize = 16 << 10;
/// Muon's momentum, as its authors recommend.
const MUON_MOMENTUM: f32 = 0.95;

/// How parameters move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Decay of AdamW's moments.
    pub betas: [f32; 2],
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled weight decay, on every tensor.
    pub weight_decay: f32,
    /// Longest gradient; longer ones are scaled down to it.
    pub clip_norm: f32,
    /// Whether matrices move by Muon, everything else, and without it all, by AdamW.
    pub muon: bool,
    /// Weight of the router's balance loss, averaged over layers.
    pub router_balance: f32,
    /// Whether a layer's activations are computed again in the backward pass instead of kept.
    pub recompute: bool,
}

/// What a step or an evaluation saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Mean loss in nats over the tokens that count, by their weights.
    pub loss: f64,
    /// Mean balance loss over layers; experts per token at best.
    pub balance: f64,
    /// Length of the gradient before clipping; 0 in an evaluation.
    pub gradient_norm: f64,
    /// Tokens that were read.
    pub tokens: usize,
    /// Tokens that counted.
    pub learnt_tokens: usize,
    /// Share of those that were the most likely.
    pub correct_share: f64,
}

/// A model in training.
pub struct Trainer {
    config: ModelConfig,
    layout: Layout,
    options: Options,
    compute: Training,
    state: State,
    gradients: Vec<f32>,
    /// The parameters as the passes see them: as they are, or as the exported file will have them.
    effective: Vec<f32>,
    /// What Muon moves.
    matrices: Vec<Place>,
    /// The stretches that AdamW moves.
    others: Vec<Range<usize>>,
    work: Work,
}

/// Buffers of the passes.
struct Work {
    layers: Vec<Activations>,
    scratch: Scratch,
    loss: loss::Scratch,
    stream: Vec<f32>,
    angles: Angles,
}

impl Trainer {
    /// A model whose parameters are all 0.
    ///
    /// # Errors
    /// A shape that cannot be trained, an instruction set that this processor lacks, or threads that cannot be started.
    pub fn new(config: &ModelConfig, options: Options, (isa, threads): (IsaKind, usize)) -> Result<Self, Error> {
        check(config)?;
        let layout = Layout::new(config);
        let length = layout.length();
        let count = if options.recompute { 1 } else { config.layers.len() };
        let work = Work {
            layers: vec![Activations::default(); count],
            scratch: Scratch::default(),
            loss: loss::Scratch::default(),
            stream: Vec::new(),
            angles: Angles::new(config),
        };
        let zeros = || vec![0.0; length];
        let state = State { step: 0, cursor: 0, parameters: zeros(), first_moments: zeros(), second_moments: zeros() };
        let compute = Training::new(isa, threads)?;
        let (gradients, effective) = (zeros(), zeros());
        #[expect(clippy::single_range_in_vec_init, reason = "one stretch, not its places")]
        let (matrices, others) = if options.muon { layout.matrices() } else { (Vec::new(), vec![0..length]) };
        let config = config.clone();
        Ok(Self { config, layout, options, compute, state, gradients, effective, matrices, others, work })
    }

    /// Sets all parameters to random initial values.
    pub fn initialise(&mut self, seed: u64) {
        initial::fill(&self.config, &self.layout, seed, &mut self.state.parameters);
    }

    /// Where each parameter stands.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The model's shape.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Parameters and moments.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Notes how many samples have been drawn.
    pub fn set_cursor(&mut self, cursor: u64) {
        self.state.cursor = cursor;
    }

    /// The gradients of the last step, before clipping, in the order of the layout.
    #[must_use]
    pub fn gradients(&self) -> &[f32] {
        &self.gradients
    }

    /// Goes on from a saved state.
    ///
    /// # Errors
    /// When the state is another model's.
    pub fn restore(&mut self, state: State) -> Result<(), Error> {
        for found in [&state.parameters, &state.first_moments, &state.second_moments].map(Vec::len) {
            if found != self.layout.length() {
                return Err(Error::Shape { what: "the state's parameters", found, needed: "as many as the model has" });
            }
        }
        self.state = state;
        Ok(())
    }

    /// One step over all micro-batches together. With `quantised`, the passes see the parameters as the exported file will
    /// have them, and the gradients go straight through the rounding (arXiv 1308.3432).
    ///
    /// # Errors
    /// A sample that does not fit, or a loss that is no longer a number; the parameters are then as before.
    pub fn step(
        &mut self,
        micro_batches: &[Vec<Sample>],
        learning_rate: f32,
        quantised: bool,
    ) -> Result<Report, Error> {
        let batches = self.pack(micro_batches)?;
        self.see(quantised);
        self.compute.for_each_chunk(&mut self.gradients, TASK_VALUES, |_, part| part.fill(0.0));
        let mut report = self.passes(&batches, true);
        report.gradient_norm = self.gradient_norm();
        if !report.loss.is_finite() || !report.gradient_norm.is_finite() {
            return Err(Error::NotFinite { step: self.state.step + 1, loss: report.loss });
        }
        let clip = f64::from(self.options.clip_norm);
        // PyTorch's clip_grad_norm_ adds 1e-6, too.
        let gradient_scale = (clip / (report.gradient_norm + 1e-6)).min(1.0) as f32;
        self.move_parameters(learning_rate, gradient_scale);
        Ok(report)
    }

    fn move_parameters(&mut self, learning_rate: f32, gradient_scale: f32) {
        self.state.step += 1;
        let corrections = self.options.betas.map(|beta| (1.0 - f64::from(beta).powf(self.state.step as f64)) as f32);
        let Options { betas, epsilon, weight_decay, .. } = self.options;
        let step = AdamStep { learning_rate, betas, epsilon, weight_decay, gradient_scale, corrections };
        let State { parameters, first_moments, second_moments, .. } = &mut self.state;
        for range in &self.others {
            let part = || range.clone();
            let moments = [&mut first_moments[part()], &mut second_moments[part()]];
            self.compute.adam(&step, &mut parameters[part()], moments, &self.gradients[part()]);
        }
        let step = MuonStep { learning_rate, momentum: MUON_MOMENTUM, weight_decay, gradient_scale };
        self.compute.muon(&step, &self.matrices, (parameters, first_moments), &self.gradients);
    }

    /// The loss of samples, without learning from them.
    ///
    /// # Errors
    /// A sample that does not fit.
    pub fn evaluate(&mut self, samples: &[Sample], quantised: bool) -> Result<Report, Error> {
        let batches = [Batch::pack(samples, self.config.vocabulary_size)?];
        self.see(quantised);
        Ok(self.passes(&batches, false))
    }

    fn pack(&self, micro_batches: &[Vec<Sample>]) -> Result<Vec<Batch>, Error> {
        micro_batches
            .iter()
            .filter(|samples| !samples.is_empty())
            .map(|samples| Batch::pack(samples, self.config.vocabulary_size))
            .collect()
    }

    /// Puts the parameters before the passes.
    fn see(&mut self, quantised: bool) {
        let (parameters, layout) = (&self.state.parameters, &self.layout);
        if !quantised {
            self.compute.for_each_chunk(&mut self.effective, TASK_VALUES, |task, part| {
                part.copy_from_slice(&parameters[task * TASK_VALUES..][..part.len()]);
            });
            return;
        }
        for tensor in layout.tensors() {
            let from = &parameters[tensor.range.clone()];
            let round = quantise::rounding(tensor.kind);
            self.compute.for_each_chunk(&mut self.effective[tensor.range.clone()], TASK_VALUES, |task, out| {
                round(&from[task * TASK_VALUES..][..out.len()], out);
            });
        }
    }

    /// Forward, and backward if wanted, over all batches.
    fn passes(&mut self, batches: &[Batch], learn: bool) -> Report {
        let weight: f64 = batches.iter().map(Batch::weight).sum();
        let tokens: usize = batches.iter().map(|batch| batch.ids.len()).sum();
        let scale = if weight > 0.0 { (1.0 / weight) as f32 } else { 0.0 };
        let (mut sums, mut balance) = (Sums::default(), 0.0);
        for batch in batches {
            let share = batch.ids.len() as f64 / tokens as f64;
            let (loss, unbalanced) = self.pass(batch, scale, learn.then_some(share));
            sums.loss += loss.loss;
            sums.correct += loss.correct;
            balance += share * unbalanced;
        }
        let learnt_tokens: usize = batches.iter().map(|batch| batch.rows.len()).sum();
        let correct_share = sums.correct as f64 / learnt_tokens.max(1) as f64;
        Report { loss: sums.loss, balance, gradient_norm: 0.0, tokens, learnt_tokens, correct_share }
    }

    /// One batch; backward if its share of the step's tokens is given. Its loss, and the mean balance loss.
    fn pass(&mut self, batch: &Batch, scale: f32, share: Option<f64>) -> (Sums, f64) {
        let Self { config, layout, options, compute, gradients, effective, work, .. } = self;
        let Work { layers, scratch, loss, stream, angles } = work;
        angles.extend(batch.documents.iter().copied().max().unwrap_or(0));
        let hidden = config.hidden_size;
        let layer = |index: usize| Layer {
            config,
            kind: config.layers[index],
            ranges: &layout.layers[index],
            parameters: effective,
            batch,
            angles,
        };
        embed(&effective[layout.embedding.clone()], &batch.ids, hidden, stream);
        let depth = config.layers.len();
        let mut balance = 0.0;
        let mut inputs = Vec::new();
        for index in 0..depth {
            let kept = &mut layers[if options.recompute { 0 } else { index }];
            if options.recompute && share.is_some() {
                inputs.push(stream.clone());
            }
            std::mem::swap(&mut kept.input, stream);
            layer(index).forward(compute, kept, scratch, stream);
            balance += kept.routing.balance_loss() / depth as f64;
        }
        let learnt = share.map(|_| &mut gradients[..]);
        let sums = loss::cross_entropy((config, layout), compute, (effective, batch, scale), stream, learnt, loss);
        let Some(share) = share else { return (sums, balance) };
        let weight = (f64::from(options.router_balance) * share / depth as f64) as f32;
        for index in (0..depth).rev() {
            let kept = &mut layers[if options.recompute { 0 } else { index }];
            if let Some(input) = inputs.pop() {
                kept.input = input;
                // The result of the layer is known already; its place is lent from the scratch memory.
                let mut out = std::mem::take(&mut scratch.hidden);
                layer(index).forward(compute, kept, scratch, &mut out);
                scratch.hidden = out;
            }
            layer(index).backward(compute, kept, scratch, (stream, gradients), weight);
        }
        let table = &mut gradients[layout.embedding.clone()];
        for (&id, row) in batch.ids.iter().zip(stream.chunks_exact(hidden)) {
            let to = &mut table[id as usize * hidden..][..hidden];
            to.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        (sums, balance)
    }

    fn gradient_norm(&self) -> f64 {
        let mut parts = vec![0.0_f64; self.gradients.len().div_ceil(TASK_VALUES)];
        self.compute.for_each_chunk(&mut parts, 1, |task, part| {
            let range = task * TASK_VALUES..((task + 1) * TASK_VALUES).min(self.gradients.len());
            part[0] = self.gradients[range].iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        });
        parts.iter().sum::<f64>().sqrt()
    }
}

fn embed(table: &[f32], ids: &[u32], hidden: usize, stream: &mut Vec<f32>) {
    stream.clear();
    for &id in ids {
        stream.extend_from_slice(&table[id as usize * hidden..][..hidden]);
    }
}

/// What the passes and the file need of a shape.
fn check(config: &ModelConfig) -> Result<(), Error> {
    let multiples = [("hidden_size", config.hidden_size), ("intermediate_size", config.intermediate_size)];
    for (what, found) in multiples {
        if found == 0 || !found.is_multiple_of(32) {
            return Err(Error::Shape { what, found, needed: "a multiple of 32, as MXFP4 blocks are" });
        }
    }
    let some = [
        ("vocabulary_size", config.vocabulary_size),
        ("num_hidden_layers", config.layers.len()),
        ("num_key_value_heads", config.kv_heads),
        ("sliding_window", config.sliding_window),
        ("num_experts_per_tok", config.experts_per_token),
    ];
    for (what, found) in some {
        if found == 0 {
            return Err(Error::Shape { what, found, needed: "at least 1" });
        }
    }
    if config.experts_per_token > config.experts {
        let (what, found) = ("num_experts_per_tok", config.experts_per_token);
        return Err(Error::Shape { what, found, needed: "at most num_local_experts" });
    }
    if !config.heads.is_multiple_of(config.kv_heads) || config.heads == 0 {
        let (what, found) = ("num_attention_heads", config.heads);
        return Err(Error::Shape { what, found, needed: "a multiple of num_key_value_heads" });
    }
    if config.head_dim == 0 || !config.head_dim.is_multiple_of(2) {
        return Err(Error::Shape { what: "head_dim", found: config.head_dim, needed: "an even number" });
    }
    Ok(())
}
