//! Muon in the trainer: which matrices it moves, that AdamW moves all the rest and without it everything, that a run goes on
//! from its files as if it had not stopped, and that a model learns. Its arithmetic is tested in `kernels`.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod support;

use kernels::{AdamStep, IsaKind, MuonStep, Place, Training};
use support::{GOLDEN, config, golden_samples, golden_shape, relative_error, trainer};
use synth::Shape;
use train::state::{self, Identity};
use train::{Layout, Options, State, Trainer};

const MUON: Options = Options { muon: true, router_balance: 0.01, ..GOLDEN };

/// Muon's matrices by the tensors' names: query, key, value and output rows, and of each expert gate, up and down.
fn expected(layout: &Layout) -> Vec<Place> {
    let mut places = Vec::new();
    for tensor in layout.tensors() {
        let start = tensor.range.start;
        let name = tensor.name.rsplit_once("layers.").map_or("", |(_, name)| name.split_once('.').unwrap().1);
        match name {
            "self_attn.q_proj.weight"
            | "self_attn.k_proj.weight"
            | "self_attn.v_proj.weight"
            | "self_attn.o_proj.weight" => {
                let [rows, columns] = tensor.shape[..] else { panic!("{tensor:?}") };
                places.push(Place { start, rows, columns, stride: columns });
            }
            "mlp.experts.gate_up_proj" => {
                let [experts, both, columns] = tensor.shape[..] else { panic!("{tensor:?}") };
                for line in (0..experts).flat_map(|expert| [expert * both, expert * both + 1]) {
                    let place = Place { start: start + line * columns, rows: both / 2, columns, stride: 2 * columns };
                    places.push(place);
                }
            }
            "mlp.experts.down_proj" => {
                let [experts, rows, columns] = tensor.shape[..] else { panic!("{tensor:?}") };
                let place = |expert| Place { start: start + expert * rows * columns, rows, columns, stride: columns };
                places.extend((0..experts).map(place));
            }
            _ => {}
        }
    }
    places
}

fn indices(place: &Place) -> impl Iterator<Item = usize> {
    let Place { start, rows, columns, stride } = *place;
    (0..rows).flat_map(move |row| (0..columns).map(move |column| start + row * stride + column))
}

#[test]
fn matrices_and_the_stretches_between_them_are_every_parameter_once() {
    let single = Shape { experts: 1, experts_per_token: 1, heads: 3, kv_heads: 3, head_dim: 2, ..golden_shape() };
    for shape in [golden_shape(), Shape::tiny(), Shape::tiny_moe128(), single] {
        let layout = Layout::new(&config(&shape));
        let (matrices, others) = layout.matrices();
        assert_eq!(matrices, expected(&layout), "{}", shape.name);
        assert_eq!(matrices.len(), shape.layers.len() * (4 + 3 * shape.experts), "{}", shape.name);
        let mut moved = vec![0; layout.length()];
        matrices.iter().flat_map(indices).chain(others.iter().cloned().flatten()).for_each(|at| moved[at] += 1);
        for tensor in layout.tensors() {
            assert!(moved[tensor.range.clone()].iter().all(|&times| times == 1), "{}: {}", shape.name, tensor.name);
        }
        assert_eq!(moved.len(), layout.tensors().last().unwrap().range.end, "{}", shape.name);
        assert!(others.iter().all(|range| !range.is_empty()), "{}: {others:?}", shape.name);
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn assert_same(found: &State, expected: &State, what: &str) {
    let State { step, cursor, parameters, first_moments, second_moments } = found;
    assert_eq!((*step, *cursor), (expected.step, expected.cursor), "{what}");
    assert!(bits(parameters) == bits(&expected.parameters), "{what}: parameters");
    assert!(bits(first_moments) == bits(&expected.first_moments), "{what}: first moments");
    assert!(bits(second_moments) == bits(&expected.second_moments), "{what}: second moments");
}

/// A step by hand: Muon for the matrices with a momentum of 0.95, AdamW for the rest, the gradient clipped by its whole length.
fn by_hand(
    before: &State,
    options: Options,
    matrices: &[Place],
    (gradients, norm): (&[f32], f64),
    learning_rate: f32,
) -> State {
    let compute = Training::new(IsaKind::best(), 1).unwrap();
    let Options { betas, epsilon, weight_decay, clip_norm, .. } = options;
    let gradient_scale = (f64::from(clip_norm) / (norm + 1e-6)).min(1.0) as f32;
    let step = MuonStep { learning_rate, momentum: 0.95, weight_decay, gradient_scale };
    let [mut by_muon, mut state] = [0; 2].map(|_| State { step: before.step + 1, ..before.clone() });
    compute.muon(&step, matrices, (&mut by_muon.parameters, &mut by_muon.first_moments), gradients);
    let corrections = betas.map(|beta| (1.0 - f64::from(beta).powf(state.step as f64)) as f32);
    let step = AdamStep { learning_rate, betas, epsilon, weight_decay, gradient_scale, corrections };
    compute.adam(&step, &mut state.parameters, [&mut state.first_moments, &mut state.second_moments], gradients);
    for at in matrices.iter().flat_map(indices) {
        state.parameters[at] = by_muon.parameters[at];
        state.first_moments[at] = by_muon.first_moments[at];
        state.second_moments[at] = 0.0;
    }
    state
}

/// Three steps, each of them also by hand; the last sees the parameters as the file will hold them.
fn follow(options: Options, matrices: &[Place]) -> Trainer {
    let mut trainer = trainer(&golden_shape(), options, IsaKind::best(), 2);
    for number in 1..=3 {
        let before = trainer.state().clone();
        let learning_rate = 1e-2 / number as f32;
        let report = trainer.step(&[golden_samples()], learning_rate, number == 3).unwrap();
        assert!((0.1..1e3).contains(&report.gradient_norm), "{report:?}");
        let gradients = (trainer.gradients(), report.gradient_norm);
        let expected = by_hand(&before, options, matrices, gradients, learning_rate);
        assert_same(trainer.state(), &expected, &format!("step {number}, {options:?}"));
    }
    trainer
}

#[test]
fn matrices_move_by_muon_and_the_rest_by_adam() {
    let layout = Layout::new(&config(&golden_shape()));
    let matrices = expected(&layout);
    // Gradients that are clipped, and such as are not.
    for clip_norm in [0.01, 1e6] {
        let muon = follow(Options { clip_norm, ..MUON }, &matrices);
        let plain = follow(Options { clip_norm, muon: false, ..MUON }, &[]);
        for tensor in layout.tensors() {
            let parameters = |trainer: &Trainer| trainer.state().parameters[tensor.range.clone()].to_vec();
            let difference = relative_error(&parameters(&muon), &parameters(&plain));
            assert!(difference > 1e-5, "{}: {difference:e} between the optimisers", tensor.name);
        }
    }
}

#[test]
fn a_run_goes_on_from_its_files_as_if_it_had_not_stopped() {
    let fresh = || trainer(&golden_shape(), MUON, IsaKind::best(), 2);
    let step = |trainer: &mut Trainer| trainer.step(&[golden_samples()], 1e-2, false).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut whole = fresh();
    let identity = Identity::new(whole.layout(), 7);
    for number in 0..2 {
        step(&mut whole);
        whole.set_cursor(10 + number);
    }
    state::save(folder.path(), whole.state(), identity, 1).unwrap();
    let mut resumed = fresh();
    let loaded = state::load_latest(folder.path(), identity).unwrap().unwrap();
    resumed.restore(loaded.state).unwrap();
    for number in 3..=4 {
        assert_eq!(step(&mut resumed), step(&mut whole), "step {number}");
        assert_same(resumed.state(), whole.state(), &format!("step {number}"));
    }
    // The momentum is part of what goes on.
    let mut forgetful = fresh();
    let zeros = vec![0.0; whole.layout().length()];
    forgetful.restore(State { first_moments: zeros, ..whole.state().clone() }).unwrap();
    step(&mut forgetful);
    step(&mut whole);
    assert!(bits(&forgetful.state().parameters) != bits(&whole.state().parameters), "momentum has no effect");
}

#[test]
fn what_is_read_again_and_again_is_learnt() {
    let mut trainer = trainer(&golden_shape(), MUON, IsaKind::best(), 2);
    trainer.initialise(1);
    let losses: Vec<f64> = (0..20).map(|_| trainer.step(&[golden_samples()], 1e-2, false).unwrap().loss).collect();
    // At first all 512 tokens are about as likely.
    assert!((losses[0] - 512_f64.ln()).abs() < 0.5, "{losses:?}");
    assert!(losses[19] < 0.5 * losses[0], "{losses:?}");
}
