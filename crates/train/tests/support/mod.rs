//! Models and batches for the trainer's tests, made from the seeded checkpoints. Must not know what is asserted.

use kernels::IsaKind;
use model::{AttentionKind, ModelConfig, Rope, Yarn};
use serde_json::Value;
use synth::{LayerKind, Shape};
use train::{Options, Sample, State, Trainer};

/// As the goldens were made.
pub(crate) const GOLDEN: Options = Options {
    betas: [0.9, 0.95],
    epsilon: 1e-8,
    weight_decay: 0.01,
    clip_norm: 1.0,
    muon: false,
    router_balance: 0.0,
    recompute: false,
};

/// The golden's two-layer model.
pub(crate) fn golden_shape() -> Shape {
    Shape { layers: vec![LayerKind::Sliding, LayerKind::Full], ..Shape::tiny() }
}

pub(crate) fn config(shape: &Shape) -> ModelConfig {
    let kind = |kind: &LayerKind| match kind {
        LayerKind::Sliding => AttentionKind::Sliding,
        LayerKind::Full => AttentionKind::Full,
    };
    let yarn = shape.yarn.map(|yarn| Yarn {
        factor: yarn.factor,
        beta_fast: yarn.beta_fast,
        beta_slow: yarn.beta_slow,
        original_context: shape.initial_context_length,
        truncate: yarn.truncate,
    });
    ModelConfig {
        vocabulary_size: shape.vocabulary_size,
        hidden_size: shape.hidden_size,
        intermediate_size: shape.intermediate_size,
        layers: shape.layers.iter().map(kind).collect(),
        heads: shape.heads,
        kv_heads: shape.kv_heads,
        head_dim: shape.head_dim,
        experts: shape.experts,
        experts_per_token: shape.experts_per_token,
        sliding_window: shape.sliding_window,
        swiglu_limit: shape.swiglu_limit as f32,
        rms_norm_epsilon: shape.rms_norm_epsilon as f32,
        rope: Rope { theta: shape.rope_theta, yarn },
        context_length: shape.context_length,
    }
}

/// A trainer with the seeded checkpoint's weights (seed 20).
pub(crate) fn trainer(shape: &Shape, options: Options, isa: IsaKind, threads: usize) -> Trainer {
    let mut trainer = Trainer::new(&config(shape), options, (isa, threads)).unwrap();
    let checkpoint = synth::Checkpoint::new(shape.clone(), 20).unwrap();
    let mut parameters = vec![0.0; trainer.layout().length()];
    for tensor in trainer.layout().tensors() {
        let values = checkpoint.values(&tensor.name).unwrap();
        parameters[tensor.range.clone()].copy_from_slice(&values);
    }
    let zeros = vec![0.0; parameters.len()];
    let state = State { step: 0, cursor: 0, parameters, first_moments: zeros.clone(), second_moments: zeros };
    trainer.restore(state).unwrap();
    trainer
}

pub(crate) fn golden() -> Value {
    serde_json::from_slice(include_bytes!("../golden/training.json")).unwrap()
}

/// The golden's two sequences.
pub(crate) fn golden_samples() -> Vec<Sample> {
    let golden = golden();
    let lists = |name: &str| -> Vec<Vec<u64>> { serde_json::from_value(golden[name].clone()).unwrap() };
    let samples = lists("ids").into_iter().zip(lists("mask"));
    samples
        .map(|(ids, mask)| Sample {
            ids: ids.iter().map(|&id| id as u32).collect(),
            weights: std::iter::once(0.0).chain(mask.iter().map(|&counts| counts as f32)).collect(),
        })
        .collect()
}

/// The length of the difference relative to the length of `golden`.
pub(crate) fn relative_error(found: &[f32], golden: &[f32]) -> f64 {
    assert_eq!(found.len(), golden.len());
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let difference = square(&mut found.iter().zip(golden).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    difference / square(&mut golden.iter().map(|&value| f64::from(value)))
}
