//! Tokens per second of training steps on the shape of the demo model: `speed [TOKENS] [DOCUMENT] [THREADS] [STEPS] [ISA]`.
//!
//! Prints the steps' loss, too, so that speed can't be bought with wrong answers.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at what it did not expect")]

use std::time::Instant;

use kernels::IsaKind;
use model::{AttentionKind, ModelConfig, Rope, Yarn};
use train::{Options, Sample, Trainer};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: usize| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let (tokens, document, threads, steps) = (number(0, 8192), number(1, 512), number(2, 2), number(3, 6));
    let isa = arguments
        .get(4)
        .map_or(IsaKind::best(), |name| IsaKind::available().into_iter().find(|kind| kind.name() == name).unwrap());
    let config = demo();
    let options = Options {
        betas: [0.9, 0.97],
        epsilon: 1e-8,
        weight_decay: 0.02,
        clip_norm: 1.0,
        muon: false,
        router_balance: 0.01,
        recompute: false,
    };
    let mut trainer = Trainer::new(&config, options, (isa, threads)).unwrap();
    trainer.initialise(1);
    let sample = |first: usize| Sample {
        ids: (0..document).map(|place| ((first * 7919 + place * place * 31) % config.vocabulary_size) as u32).collect(),
        weights: vec![1.0; document],
    };
    let batch: Vec<Sample> = (0..tokens / document).map(sample).collect();
    let mut seconds = Vec::new();
    for step in 0..steps {
        let start = Instant::now();
        let report = trainer.step(std::slice::from_ref(&batch), 1e-3, false).unwrap();
        seconds.push(start.elapsed().as_secs_f64());
        println!("step {step}: loss {:.6}, {:.0} tokens/s", report.loss, report.tokens as f64 / seconds[step]);
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[steps / 2];
    let multiplications = macs_per_token(&config, document) * tokens as f64;
    println!(
        "median {:.0} tokens/s, {:.1} GFLOP/s (forward and backward, {:.2} MFLOP per token)",
        tokens as f64 / median,
        6.0 * multiplications / median * 1e-9,
        6e-6 * multiplications / tokens as f64,
    );
}

fn demo() -> ModelConfig {
    ModelConfig {
        vocabulary_size: 2048,
        hidden_size: 192,
        intermediate_size: 128,
        layers: vec![AttentionKind::Sliding, AttentionKind::Full, AttentionKind::Sliding, AttentionKind::Full],
        heads: 4,
        kv_heads: 2,
        head_dim: 64,
        experts: 8,
        experts_per_token: 4,
        sliding_window: 128,
        swiglu_limit: 7.0,
        rms_norm_epsilon: 1e-5,
        rope: Rope {
            theta: 150_000.0,
            yarn: Some(Yarn { factor: 32.0, beta_fast: 32.0, beta_slow: 1.0, original_context: 4096, truncate: false }),
        },
        context_length: 131_072,
    }
}

/// Multiply-adds of the forward pass per token; attention sees half of a document, or the window.
fn macs_per_token(config: &ModelConfig, document: usize) -> f64 {
    let (hidden, width) = (config.hidden_size, config.heads * config.head_dim);
    let keys = |kind: &AttentionKind| match kind {
        AttentionKind::Sliding => document.min(config.sliding_window) as f64 * 0.9,
        AttentionKind::Full => document as f64 / 2.0,
    };
    let dense = hidden * (2 * width + 2 * config.kv_heads * config.head_dim)
        + hidden * config.experts
        + config.experts_per_token * 3 * hidden * config.intermediate_size;
    let layers: f64 = config.layers.iter().map(|kind| dense as f64 + 2.0 * keys(kind) * width as f64).sum();
    layers + (hidden * config.vocabulary_size) as f64
}
