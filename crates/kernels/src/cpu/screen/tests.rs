//! What is chosen by the copy beside what all rows' own products choose.

use super::*;
use crate::backend::{Backend, LinearWeights};
use crate::cpu::isa::IsaKind;
use crate::cpu::products::{Linear, WeightForm};
use crate::decode::{f32_to_bf16, f32_to_f16};
use crate::pack::{PackReader, PackWriter};
use crate::storage::DenseFormat;

/// The last panel is not whole.
const ROWS: usize = 16 * 300 + 5;
const COLUMNS: usize = 96;

/// Numbers about as a normal distribution has them.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| (0..6).map(|_| next()).sum::<f32>() * 1.4).collect()
}

fn bf16(values: &[f32]) -> DenseMatrix {
    let bytes = values.iter().flat_map(|&value| f32_to_bf16(value).to_le_bytes()).collect();
    DenseMatrix { format: DenseFormat::BF16, rows: ROWS, columns: COLUMNS, bytes: Bytes::from_vec(bytes) }
}

fn q8_0(values: &[f32]) -> DenseMatrix {
    let block = |values: &[f32]| {
        let step = f32_to_f16(values.iter().fold(0.0_f32, |most, value| most.max(value.abs())) / 127.0);
        let bytes = values.iter().map(move |value| (value / crate::decode::f16_to_f32(step)).round() as i8 as u8);
        step.to_le_bytes().into_iter().chain(bytes).collect::<Vec<u8>>()
    };
    let bytes = values.chunks(BLOCK_COLUMNS).flat_map(block).collect();
    DenseMatrix { format: DenseFormat::Q8_0, rows: ROWS, columns: COLUMNS, bytes: Bytes::from_vec(bytes) }
}

fn backend(kind: IsaKind, form: WeightForm) -> Cpu {
    Cpu::with_form(kind, 2, form).unwrap().with_screened_from(1)
}

fn load(cpu: &Cpu, matrix: &DenseMatrix) -> Linear {
    cpu.load_unembedding(LinearWeights { matrix: matrix.clone(), bias: None })
}

fn rows(values: Vec<f32>) -> Rows {
    Rows { rows: values.len() / COLUMNS, columns: COLUMNS, values }
}

/// Results by the copy and by all rows' own products.
fn both(cpu: &Cpu, layer: &Linear, x: &Rows, choices: &[Choice]) -> (Rows, Rows) {
    let (mut screened, mut full) = (Rows::default(), Rows::default());
    cpu.choosable(layer, x, choices, &mut screened);
    cpu.linear(layer, x, &mut full);
    (screened, full)
}

/// Each row's choice is the same, and its result too; how many of a row's results are not the layer's own.
fn passed_over(cpu: &Cpu, layer: &Linear, x: &Rows, choices: &[Choice]) -> Vec<usize> {
    let (screened, full) = both(cpu, layer, x, choices);
    assert_eq!((screened.rows, screened.columns), (x.rows, ROWS));
    (choices.iter().enumerate())
        .map(|(row, choice)| {
            let (screened, full) = (screened.row(row), full.row(row));
            let chosen = choice.pick(full);
            assert_eq!(choice.pick(screened), chosen, "{choice:?}");
            assert!(chosen.is_none_or(|id| screened[id as usize].to_bits() == full[id as usize].to_bits()));
            screened.iter().zip(full).filter(|(screened, full)| screened != full).count()
        })
        .collect()
}

fn choices(count: usize) -> Vec<Choice> {
    let temperatures = [0.0, 1.0, 0.3, 5.0, 0.0];
    (0..count).map(|row| Choice { temperature: temperatures[row % 5], seed: 1, draw: row as u64 }).collect()
}

#[test]
fn choices_are_those_of_all_products() {
    let weights = numbers(ROWS * COLUMNS, 1);
    for kind in IsaKind::available() {
        let cases = [
            (WeightForm::Packed, bf16(&weights)),
            (WeightForm::PackedEight, bf16(&weights)),
            (WeightForm::Packed, q8_0(&weights)),
        ];
        for (form, matrix) in cases {
            let cpu = backend(kind, form);
            let layer = load(&cpu, &matrix);
            assert!(matches!(layer, Linear::Screened(_)));
            for count in [1, 2, 7, ROWS_MAX] {
                let over = passed_over(&cpu, &layer, &rows(numbers(count * COLUMNS, count as u64)), &choices(count));
                assert!(over.iter().all(|&over| over > ROWS / 2), "{kind:?} {form:?}: only {over:?} passed over");
            }
        }
    }
}

#[test]
fn many_draws_are_those_of_all_products() {
    let cpu = backend(IsaKind::best(), WeightForm::PackedEight);
    let layer = load(&cpu, &bf16(&numbers(ROWS * COLUMNS, 2)));
    for turn in 0..200_u64 {
        // Flat distributions and peaked ones.
        let scale = [0.02, 0.3, 1.0][turn as usize % 3];
        let x = rows(numbers(COLUMNS, turn).into_iter().map(|value| value * scale).collect());
        passed_over(&cpu, &layer, &x, &[Choice { temperature: 1.0, seed: turn, draw: 0 }]);
    }
}

#[test]
fn a_row_does_not_depend_on_its_neighbours() {
    let cpu = backend(IsaKind::best(), WeightForm::PackedEight);
    let layer = load(&cpu, &bf16(&numbers(ROWS * COLUMNS, 3)));
    let (x, choices) = (numbers(5 * COLUMNS, 4), choices(5));
    let together = both(&cpu, &layer, &rows(x.clone()), &choices).0;
    for (row, choice) in choices.iter().enumerate() {
        let alone = both(&cpu, &layer, &rows(x[row * COLUMNS..][..COLUMNS].to_vec()), &[*choice]).0;
        assert_eq!(alone.values, together.row(row));
    }
}

#[test]
fn strange_activations_and_weights() {
    let mut weights = numbers(ROWS * COLUMNS, 5);
    // One block of one row is far coarser than its others, and all of x lies in it.
    weights[77 * COLUMNS] = 40.0;
    weights[77 * COLUMNS + 1] = 2.4;
    weights[100 * COLUMNS + 1] = 2.45;
    for form in [WeightForm::Packed, WeightForm::PackedEight] {
        let cpu = backend(IsaKind::best(), form);
        let layer = load(&cpu, &bf16(&weights));
        for column in [0, 1, 50] {
            for value in [1.0, -1e-3, 1e20] {
                let mut x = numbers(COLUMNS, 6);
                x.iter_mut().for_each(|other| *other *= value * 1e-3);
                x[column] = value;
                passed_over(&cpu, &layer, &rows(x), &choices(1));
            }
        }
        // Whose squares are no numbers of f32 any more, or nothing.
        for scale in [1e19, 1e-25, 1e-35] {
            let x = numbers(2 * COLUMNS, 6).into_iter().map(|value| value * scale).collect();
            passed_over(&cpu, &layer, &rows(x), &choices(2));
        }
        assert_eq!(passed_over(&cpu, &layer, &rows(vec![0.0; COLUMNS]), &choices(1)), [0], "all are equal");
        passed_over(&cpu, &layer, &rows(vec![0.0; 3 * COLUMNS]), &choices(3));
        for broken in [f32::NAN, f32::INFINITY] {
            let (screened, _) = both(&cpu, &layer, &rows(vec![broken; COLUMNS]), &choices(1));
            assert!(screened.values.iter().any(|value| !value.is_finite()), "it is seen");
        }
    }
    weights[200 * COLUMNS + 9] = f32::NAN;
    for form in [WeightForm::Packed, WeightForm::PackedEight] {
        let cpu = backend(IsaKind::best(), form);
        let layer = load(&cpu, &bf16(&weights));
        let (screened, _) = both(&cpu, &layer, &rows(numbers(COLUMNS, 7)), &choices(1));
        assert!(!screened.values[200].is_finite(), "broken weights are seen");
    }
}

#[test]
fn margins_are_those_of_the_worst_order() {
    // Blocks of one value, so that 32 of them and their rounding count.
    let x = |blocks: &[f32]| blocks.iter().flat_map(|&value| [value; BLOCK_COLUMNS]).collect::<Vec<f32>>();
    let rounded = |value: f32| 32.0 * (value * (1.0 + 1.0 / STEPS)).powi(2) * DEVIATIONS * DEVIATIONS;
    for blocks in [&[1.0, 1.0, 1.0, 1.0][..], &[4.0, 1.0, -2.0, 3.0], &[0.0, 9.0, 0.0, 0.0], &[2.0]] {
        let margin = Margin::of(&x(blocks), Form::Bytes { offset: 128, factor: 1.0 });
        for errors in [[1.0, 1.0, 1.0, 1.0], [5.0, 0.1, 0.2, 0.3], [2.0, 2.0, 0.0, 0.0], [0.0; 4]] {
            let errors = &errors[..blocks.len()];
            let (mean, worst) =
                (errors.iter().sum::<f32>() / errors.len() as f32, errors.iter().copied().fold(0.0, f32::max));
            let bound = margin.greatest.powi(2) * (mean * margin.errors + worst * margin.worst);
            // In every order that turning gives.
            for turn in 0..errors.len() {
                let sum: f32 = (0..errors.len()).map(|b| errors[(b + turn) % errors.len()] * rounded(blocks[b])).sum();
                assert!(bound >= sum * 0.9999, "{blocks:?} {errors:?}: {bound} below {sum}");
            }
        }
        let even = blocks.iter().all(|value| value.abs() == blocks[0].abs());
        assert_eq!(even, margin.worst == 0.0, "nothing is given away where all blocks are alike");
    }
    let [bytes, bf16, f32] = [Form::Bytes { offset: 128, factor: 1.0 }, Form::BF16, Form::F32]
        .map(|form| Margin::of(&x(&[1.0]), form).sizes);
    assert!(bytes < f32 && f32 < bf16);
}

#[test]
fn a_row_that_is_rounded_one_way_is_still_found() {
    // Row 4,000 loses a fifth in the copy; hundreds of others lose nothing there and come out greater, though they are less.
    let mut weights = numbers(ROWS * COLUMNS, 12).into_iter().map(|value| value * 0.1).collect::<Vec<_>>();
    let signs: Vec<f32> = numbers(COLUMNS, 13).into_iter().map(f32::signum).collect();
    for row in (0..4000).step_by(7) {
        (0..COLUMNS)
            .for_each(|column| weights[row * COLUMNS + column] = if column < 70 { 6.0 * signs[column] } else { 0.0 });
    }
    (0..COLUMNS).for_each(|column| weights[4000 * COLUMNS + column] = 4.9 * signs[column]);
    for form in [WeightForm::Packed, WeightForm::PackedEight] {
        let cpu = backend(IsaKind::best(), form);
        let layer = load(&cpu, &bf16(&weights));
        let x = rows(signs.iter().map(|sign| sign * 0.5).collect());
        passed_over(&cpu, &layer, &x, &[Choice::GREATEST]);
        let (screened, _) = both(&cpu, &layer, &x, &[Choice::GREATEST]);
        assert_eq!(Choice::GREATEST.pick(screened.row(0)), Some(4000));
    }
}

#[test]
fn a_copy_lies_in_a_file_with_the_rest() {
    let folder = std::env::temp_dir().join(format!("glossa-screen-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("weights.pack");
    let matrix = bf16(&numbers(ROWS * COLUMNS, 10));
    let with = |store| Cpu::with_store(IsaKind::best(), 2, WeightForm::Packed, store).unwrap().with_screened_from(1);
    let writer = with(PackStore::Writer(PackWriter::create(&path).unwrap()));
    load(&writer, &matrix);
    writer.finish_pack().unwrap();
    let reader = PackReader::open(&path).unwrap();
    let passed_over = reader.passed_over();
    let (read, made) = (with(PackStore::Reader(reader)), with(PackStore::Memory));
    let (x, choices) = (rows(numbers(2 * COLUMNS, 11)), choices(2));
    let results = [read, made].map(|cpu| both(&cpu, &load(&cpu, &matrix), &x, &choices).0.values);
    assert_eq!(results[0], results[1]);
    assert_eq!(passed_over.load(Ordering::Relaxed), 0, "all of it comes from the file");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_small_exact_or_has_a_bias_has_no_copy() {
    let matrix = bf16(&numbers(ROWS * COLUMNS, 8));
    let small = Cpu::with_form(IsaKind::best(), 1, WeightForm::Packed).unwrap();
    assert!(matches!(load(&small, &matrix), Linear::Packed(_)));
    assert!(matches!(load(&backend(IsaKind::best(), WeightForm::AsTheyLie), &matrix), Linear::Plain(_)));
    let cpu = backend(IsaKind::best(), WeightForm::Packed);
    let biased = LinearWeights { matrix: matrix.clone(), bias: Some(vec![1.0; ROWS]) };
    assert!(matches!(cpu.load_unembedding(biased), Linear::Packed(_)));
    // More rows than are screened together, and a layer without a copy: all results are the layer's own.
    let x = rows(numbers((ROWS_MAX + 1) * COLUMNS, 9));
    let layer = load(&cpu, &matrix);
    assert_eq!(passed_over(&cpu, &layer, &x, &choices(ROWS_MAX + 1)), [0; ROWS_MAX + 1]);
    assert_eq!(passed_over(&small, &load(&small, &matrix), &x, &choices(ROWS_MAX + 1)), [0; ROWS_MAX + 1]);
    // The 20b's.
    let large = DenseMatrix { rows: 201_088, columns: 2880, bytes: Bytes::from_vec(Vec::new()), ..matrix };
    assert_eq!(Cpu::rough_bytes(&large, WeightForm::PackedEight), 12_568 * (24_512 + SPREAD_BYTES));
    assert_eq!(Cpu::rough_bytes(&large, WeightForm::AsTheyLie), 0);
}
