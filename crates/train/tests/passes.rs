//! What a step's result must not depend on: packing, order, micro-batches, threads, recomputation. Besides, the gradient of the
//! router's balance loss, and what is refused.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod support;

use kernels::IsaKind;
use support::{GOLDEN, golden, golden_samples, golden_shape, relative_error, trainer};
use train::{Error, Options, Report, Sample, State, Trainer};

const BALANCED: Options = Options { router_balance: 0.01, ..GOLDEN };
const MUON: Options = Options { muon: true, ..BALANCED };
/// Documents of awkward lengths: one token that predicts nothing, blocks of queries that are full or just not.
const LENGTHS: [usize; 8] = [40, 1, 23, 64, 2, 65, 5, 130];

/// Random samples; two thirds of the tokens count, by different weights.
fn samples(lengths: &[usize], seed: u64) -> Vec<Sample> {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let vocabulary = golden_shape().vocabulary_size;
    let sample = |&length: &usize| Sample {
        ids: (0..length).map(|_| (next() % vocabulary) as u32).collect(),
        weights: (0..length).map(|place| [1.0, 0.0, 0.5][place % 3]).collect(),
    };
    lengths.iter().map(sample).collect()
}

fn each_alone(samples: &[Sample]) -> Vec<Vec<Sample>> {
    samples.iter().map(|sample| vec![sample.clone()]).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[track_caller]
fn assert_same_state(found: &Trainer, expected: &Trainer, what: &str) {
    let parts = |trainer: &Trainer| {
        let State { step, cursor, parameters, first_moments, second_moments } = trainer.state();
        ([*step, *cursor], [parameters, first_moments, second_moments].map(|values| bits(values)))
    };
    assert!(bits(found.gradients()) == bits(expected.gradients()), "{what}: other gradients");
    assert!(parts(found) == parts(expected), "{what}: another state");
}

/// One step of a fresh model that moves nothing, so that only its gradients and its report are looked at.
fn gradients(options: Options, isa: IsaKind, micro_batches: &[Vec<Sample>]) -> (Trainer, Report) {
    let mut trainer = trainer(&golden_shape(), options, isa, 2);
    let report = trainer.step(micro_batches, 0.0, false).unwrap();
    (trainer, report)
}

#[track_caller]
fn assert_same_gradients((found, report): &(Trainer, Report), (expected, whole): &(Trainer, Report), what: &str) {
    assert!((report.loss / whole.loss - 1.0).abs() < 1e-6, "{what}: {} instead of {}", report.loss, whole.loss);
    assert!((report.gradient_norm / whole.gradient_norm - 1.0).abs() < 1e-5, "{what}: {report:?}");
    let counted = |report: &Report| (report.tokens, report.learnt_tokens, report.correct_share.to_bits());
    assert_eq!(counted(report), counted(whole), "{what}");
    for tensor in found.layout().tensors() {
        let range = tensor.range.clone();
        let error = relative_error(&found.gradients()[range.clone()], &expected.gradients()[range]);
        assert!(error < 1e-5, "{what}: {}: {error:e}", tensor.name);
    }
}

#[test]
fn packing_order_and_micro_batches_do_not_count() {
    let batch = samples(&LENGTHS, 7);
    let mut shuffled = batch.clone();
    shuffled.rotate_left(3);
    shuffled.swap(0, 5);
    let halves = [batch[..3].to_vec(), Vec::new(), batch[3..].to_vec()];
    for isa in IsaKind::available() {
        let whole = gradients(GOLDEN, isa, std::slice::from_ref(&batch));
        assert_eq!((whole.1.tokens, whole.1.learnt_tokens), (330, 212), "every token once");
        let ways = [
            ("one by one", each_alone(&batch)),
            ("shuffled", vec![shuffled.clone()]),
            ("shuffled, one by one", each_alone(&shuffled)),
            ("two micro-batches and an empty one", halves.to_vec()),
        ];
        for (what, micro_batches) in ways {
            let found = gradients(GOLDEN, isa, &micro_batches);
            assert_same_gradients(&found, &whole, &format!("{what}, {}", isa.name()));
        }
    }
}

#[test]
fn accumulated_micro_batches_give_the_references_loss_and_the_same_steps() {
    let golden_loss = golden()["loss"].as_f64().unwrap();
    let [mut whole, mut parts] = [0; 2].map(|_| trainer(&golden_shape(), GOLDEN, IsaKind::best(), 2));
    for step in 0..10 {
        let loss = whole.step(&[golden_samples()], 1e-3, false).unwrap().loss;
        let report = parts.step(&each_alone(&golden_samples()), 1e-3, false).unwrap();
        assert!(step > 0 || (report.loss / golden_loss - 1.0).abs() < 1e-6, "{report:?}");
        assert!((report.loss / loss - 1.0).abs() < 1e-4, "step {step}: {} instead of {loss}", report.loss);
    }
}

#[test]
fn a_document_does_not_see_its_neighbours() {
    let mut batch = samples(&[40, 70, 5], 3);
    // The loss is the first document's alone, whatever stands in the others.
    for sample in &mut batch[1..] {
        sample.weights.fill(0.0);
    }
    let (_, before) = gradients(GOLDEN, IsaKind::best(), &[batch.clone()]);
    for sample in &mut batch[1..] {
        sample.ids.reverse();
    }
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0]] {
        let (_, after) = gradients(GOLDEN, IsaKind::best(), &[order.map(|index| batch[index].clone()).to_vec()]);
        assert!((after.loss / before.loss - 1.0).abs() < 1e-6, "{order:?}: {} not {}", after.loss, before.loss);
        assert!((after.gradient_norm / before.gradient_norm - 1.0).abs() < 1e-5, "{order:?}: {after:?}");
    }
}

/// Four steps, and an evaluation in between, over other samples each time; the last two steps in the file's precision.
fn run(options: Options, isa: IsaKind, threads: usize) -> (Trainer, Vec<Report>) {
    let mut trainer = trainer(&golden_shape(), options, isa, threads);
    let mut reports = Vec::new();
    for step in 0..4 {
        let batch = samples(&LENGTHS, 100 + step);
        let halves = [batch[..4].to_vec(), batch[4..].to_vec()];
        reports.push(trainer.step(&halves, 1e-2, step >= 2).unwrap());
        reports.push(trainer.evaluate(&batch[2..], step >= 2).unwrap());
    }
    (trainer, reports)
}

/// Every instruction set, and Muon on one: its own arithmetic is compared in `kernels`.
fn machines() -> Vec<(Options, IsaKind, String)> {
    let plain = IsaKind::available().into_iter().map(|isa| (BALANCED, isa, isa.name().to_owned()));
    plain.chain([(MUON, IsaKind::best(), "Muon".to_owned())]).collect()
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for (options, isa, what) in machines() {
        let (alone, reports) = run(options, isa, 1);
        for threads in [2, 3] {
            let what = format!("{threads} threads, {what}");
            let (shared, found) = run(options, isa, threads);
            assert_eq!(found, reports, "{what}");
            assert_same_state(&shared, &alone, &what);
        }
    }
}

#[test]
fn recomputed_activations_give_the_same_bits_as_stored_ones() {
    for (options, isa, what) in machines() {
        let (stored, reports) = run(options, isa, 2);
        let (recomputed, found) = run(Options { recompute: true, ..options }, isa, 2);
        assert_eq!(found, reports, "{what}");
        assert_same_state(&recomputed, &stored, &what);
    }
}

#[test]
fn a_quantised_step_sees_other_parameters_but_moves_the_true_ones() {
    let batch = [samples(&[40, 23], 5)];
    let mut trainer = trainer(&golden_shape(), GOLDEN, IsaKind::best(), 2);
    trainer.initialise(1);
    let before = trainer.state().clone();
    let mut rounded = before.clone();
    train::quantise::as_exported(trainer.layout(), &before.parameters, &mut rounded.parameters);
    assert!(rounded.parameters != before.parameters, "parameters that no file can hold");
    let quantised = trainer.step(&batch, 0.0, true).unwrap();
    assert!(trainer.state().parameters == before.parameters, "a step of length 0");
    let through = trainer.gradients().to_vec();
    trainer.restore(rounded).unwrap();
    let plain = trainer.step(&batch, 0.0, false).unwrap();
    assert_eq!(quantised, plain);
    assert!(bits(&through) == bits(trainer.gradients()), "straight through the rounding");
    trainer.restore(before).unwrap();
    assert!(trainer.step(&batch, 0.0, false).unwrap().loss != plain.loss, "unrounded it is another loss");
}

/// The balance loss reports the choice of experts as it is, so its slope along its gradient can be measured with steps that
/// change no choice.
#[test]
fn the_balance_gradient_is_the_slope_of_the_balance_loss() {
    let batch = samples(&[40, 23, 9], 11);
    let weight = 1000.0;
    for isa in IsaKind::available() {
        let (with, report) = gradients(Options { router_balance: weight, ..GOLDEN }, isa, std::slice::from_ref(&batch));
        let (without, _) = gradients(GOLDEN, isa, std::slice::from_ref(&batch));
        let both = with.gradients().iter().zip(without.gradients());
        let gradient: Vec<f32> = both.map(|(with, without)| (with - without) / weight).collect();
        let length = gradient.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt();
        let start = without.state().clone();
        let mut moved = without;
        let mut balance_at = |step: f64| {
            let mut state = start.clone();
            for (parameter, slope) in state.parameters.iter_mut().zip(&gradient) {
                *parameter = (f64::from(*parameter) + step * f64::from(*slope) / length) as f32;
            }
            moved.restore(state).unwrap();
            moved.evaluate(&batch, false).unwrap().balance
        };
        assert_eq!(balance_at(0.0), report.balance);
        let step = 1e-4;
        let slope = (balance_at(step) - balance_at(-step)) / (2.0 * step);
        assert!((slope / length - 1.0).abs() < 2e-3, "{slope} along a gradient of {length} with {}", isa.name());
    }
}

#[test]
fn balance_is_weighted_by_tokens_over_micro_batches() {
    let mut batch = samples(&LENGTHS, 13);
    // Nothing counts, so that all gradients are the balance loss's.
    batch.iter_mut().for_each(|sample| sample.weights.fill(0.0));
    let halves = [&batch[..3], &batch[3..]].map(<[Sample]>::to_vec);
    let (found, whole) = gradients(BALANCED, IsaKind::best(), &halves);
    let alone = halves.map(|half| gradients(BALANCED, IsaKind::best(), &[half]));
    let shares = alone.each_ref().map(|(_, report)| report.tokens as f64 / whole.tokens as f64);
    let both = |of: &dyn Fn(&(Trainer, Report)) -> f64| shares[0] * of(&alone[0]) + shares[1] * of(&alone[1]);
    let balance = both(&|(_, report)| report.balance);
    assert!((whole.balance - balance).abs() < 1e-9, "{} instead of {balance}", whole.balance);
    // Experts per token when all are used alike, and more otherwise.
    assert!(whole.balance > 4.0 && whole.balance < 8.0 && whole.loss == 0.0, "{whole:?}");
    let mean = (0..found.gradients().len()).map(|place| both(&|(part, _)| f64::from(part.gradients()[place])) as f32);
    let error = relative_error(found.gradients(), &mean.collect::<Vec<_>>());
    assert!(error < 1e-5 && whole.gradient_norm > 1e-3, "{error:e}, {whole:?}");
}

#[test]
fn samples_that_do_not_fit_are_refused_and_change_nothing() {
    let good = samples(&[9], 1).remove(0);
    let with = |change: &dyn Fn(&mut Sample)| {
        let mut sample = good.clone();
        change(&mut sample);
        sample
    };
    let cases = [
        (with(&|sample| (sample.ids.clear(), sample.weights.clear()).0), "sample 1: 0 tokens with 0 weights"),
        (with(&|sample| sample.weights.truncate(8)), "sample 1: 9 tokens with 8 weights"),
        (with(&|sample| sample.ids[3] = 512), "sample 1: token 512 is outside the vocabulary of 512"),
        (with(&|sample| sample.weights[2] = f32::NAN), "sample 1: weight NaN is not a number from 0 on"),
        (with(&|sample| sample.weights[2] = -0.5), "sample 1: weight -0.5 is not a number from 0 on"),
        (with(&|sample| sample.weights[8] = f32::INFINITY), "sample 1: weight inf is not a number from 0 on"),
    ];
    let mut trainer = trainer(&golden_shape(), GOLDEN, IsaKind::best(), 2);
    let before = trainer.state().clone();
    for (bad, message) in cases {
        let batch = [good.clone(), bad];
        let errors = [
            trainer.step(&[batch.to_vec()], 1e-3, false).unwrap_err(),
            trainer.step(&[vec![good.clone()], batch.to_vec()], 1e-3, false).unwrap_err(),
            trainer.evaluate(&batch, false).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, Error::Sample { index: 1, .. }), "{error}");
            assert!(error.to_string().starts_with(message), "{error}, not {message}");
        }
        assert!(*trainer.state() == before, "{message}");
    }
}

#[test]
fn a_loss_that_overflows_is_an_error_and_nothing_moves() {
    let batch = [samples(&[40, 23], 2)];
    let mut trainer = trainer(&golden_shape(), BALANCED, IsaKind::best(), 2);
    trainer.step(&batch, 1e-3, false).unwrap();
    let good = trainer.state().clone();
    // Weights of which logits, or the residual stream, are beyond f32.
    for name in ["lm_head.weight", "model.layers.1.mlp.experts.down_proj"] {
        let mut state = good.clone();
        let tensor = trainer.layout().tensors().iter().find(|tensor| tensor.name == name).unwrap();
        state.parameters[tensor.range.clone()].iter_mut().for_each(|value| *value *= 1e38);
        trainer.restore(state.clone()).unwrap();
        let error = trainer.step(&batch, 1e-3, false).unwrap_err();
        assert!(matches!(error, Error::NotFinite { step: 2, .. }), "{name}: {error}");
        assert!(error.to_string().contains("lower the learning rate"), "{error}");
        assert!(*trainer.state() == state, "{name}: nothing moved");
    }
    // What the failed passes left behind does not show in the next step.
    trainer.restore(good.clone()).unwrap();
    let report = trainer.step(&batch, 1e-3, false).unwrap();
    let mut fresh = support::trainer(&golden_shape(), BALANCED, IsaKind::best(), 2);
    fresh.restore(good).unwrap();
    assert_eq!(fresh.step(&batch, 1e-3, false).unwrap(), report);
    assert_same_state(&trainer, &fresh, "after a failure");
}

#[test]
fn a_state_of_another_model_is_refused() {
    let mut trainer = trainer(&golden_shape(), GOLDEN, IsaKind::best(), 1);
    let mut state = trainer.state().clone();
    state.second_moments.pop();
    assert!(matches!(trainer.restore(state), Err(Error::Shape { .. })));
}
