//! Steps of Muon: against a twin that multiplies matrices as they are written down, and by what makes a direction orthogonal.

use kernels::{IsaKind, MuonStep, Place, Training};

use super::{assert_near, on_every_machine, random, wide};

const STEP: MuonStep = MuonStep { learning_rate: 0.7, momentum: 0.95, weight_decay: 0.1, gradient_scale: 0.6 };

/// A matrix by rows, in f64.
type Rows = Vec<Vec<f64>>;

fn product(a: &Rows, b: &Rows) -> Rows {
    let row = |row: &Vec<f64>| {
        let mut sums = vec![0.0; b[0].len()];
        for (factor, other) in row.iter().zip(b) {
            sums.iter_mut().zip(other).for_each(|(sum, value)| *sum += factor * value);
        }
        sums
    };
    a.iter().map(row).collect()
}

fn transposed(a: &Rows) -> Rows {
    (0..a[0].len()).map(|column| a.iter().map(|row| row[column]).collect()).collect()
}

/// `Σ factor · matrix`.
fn sum(parts: &[(f64, &Rows)]) -> Rows {
    let at = |row: usize, column: usize| parts.iter().map(|(factor, part)| factor * part[row][column]).sum();
    let (_, first) = parts[0];
    (0..first.len()).map(|row| (0..first[0].len()).map(|column| at(row, column)).collect()).collect()
}

/// The places of a matrix's values, row by row.
fn indices(place: &Place) -> Vec<Vec<usize>> {
    (0..place.rows)
        .map(|row| (0..place.columns).map(|column| place.start + row * place.stride + column).collect())
        .collect()
}

/// The direction of a matrix: `X / |X|`, then five times `aX + b(XXᵀ)X + c(XXᵀ)²X` (Jordan et al. 2024).
fn direction(values: &Rows) -> Rows {
    let norm = values.iter().flatten().map(|value| value * value).sum::<f64>().sqrt();
    let mut x = sum(&[(1.0 / (norm + 1e-7), values)]);
    for _ in 0..5 {
        let square = product(&x, &transposed(&x));
        let cubic = product(&square, &x);
        let quintic = product(&square, &cubic);
        x = sum(&[(3.4445, &x), (-4.7750, &cubic), (2.0315, &quintic)]);
    }
    x
}

/// The length of a step whose direction has singular values of 1 (arXiv 2502.16982, equation 4).
fn length(step: &MuonStep, place: &Place) -> f64 {
    0.2 * (place.rows.max(place.columns) as f64).sqrt() * f64::from(step.learning_rate)
}

/// One step of one matrix.
fn twin(step: &MuonStep, place: &Place, parameters: &mut [f64], momentum: &mut [f64], gradients: &[f32]) {
    let [kept, scale] = [step.momentum, step.gradient_scale].map(f64::from);
    let mut ahead = Rows::new();
    for row in indices(place) {
        let mut values = Vec::new();
        for at in row {
            let gradient = scale * f64::from(gradients[at]);
            momentum[at] = kept * momentum[at] + (1.0 - kept) * gradient;
            values.push(kept * momentum[at] + (1.0 - kept) * gradient);
        }
        ahead.push(values);
    }
    let decay = 1.0 - f64::from(step.learning_rate) * f64::from(step.weight_decay);
    for (row, directions) in indices(place).iter().zip(direction(&ahead)) {
        for (&at, value) in row.iter().zip(directions) {
            parameters[at] = decay * parameters[at] - length(step, place) * value;
        }
    }
}

/// Follows the twin for some steps over matrices in vectors of `count` values. Gradients between matrices would spoil any sum.
fn follow(places: &[Place], count: usize, steps: u64) {
    let mut is_own = vec![false; count];
    for at in places.iter().flat_map(indices).flatten() {
        assert!(!std::mem::replace(&mut is_own[at], true), "matrices of this test share no value");
    }
    let parameters = random(count, 1);
    let momentum: Vec<f32> = random(count, 2).iter().map(|value| value * 0.1).collect();
    let gradients = |step: u64| -> Vec<f32> {
        let values = random(count, 10 + step);
        values.iter().zip(&is_own).map(|(&value, own)| if *own { value } else { f32::NAN }).collect()
    };
    let [mut expected, mut expected_momentum] = [wide(&parameters), wide(&momentum)];
    for step in 0..steps {
        for place in places {
            twin(&STEP, place, &mut expected, &mut expected_momentum, &gradients(step));
        }
    }
    on_every_machine(
        |training| {
            let [mut parameters, mut momentum] = [parameters.clone(), momentum.clone()];
            for step in 0..steps {
                training.muon(&STEP, places, (&mut parameters, &mut momentum), &gradients(step));
            }
            [parameters, momentum]
        },
        |[found, found_momentum], isa| {
            let what = format!("{places:?}, {isa}");
            assert_near(found, &expected, 2e-5, &what);
            assert_near(found_momentum, &expected_momentum, 1e-6, &format!("momentum of {what}"));
            for at in (0..count).filter(|&at| !is_own[at]) {
                let same = found[at].to_bits() == parameters[at].to_bits()
                    && found_momentum[at].to_bits() == momentum[at].to_bits();
                assert!(same, "{what}: the value at {at} is no matrix's");
            }
        },
    );
}

/// A matrix that ends where its vectors end, behind a few values and with `gap` of them between its rows.
fn alone((rows, columns): (usize, usize), gap: usize) -> Place {
    Place { start: 3, rows, columns, stride: columns + gap }
}

#[test]
fn steps_are_the_twins() {
    let shapes = [(1, 1), (1, 7), (9, 1), (1, 300), (300, 1), (2, 3), (16, 16), (17, 33), (33, 17), (64, 64), (65, 20)];
    for (index, shape) in shapes.into_iter().chain([(31, 130), (130, 37)]).enumerate() {
        let place = alone(shape, [0, 5][index % 2]);
        follow(&[place], place.end(), 4);
    }
}

#[test]
fn sums_over_several_blocks_of_a_product() {
    for shape in [(21, 300), (515, 13), (258, 270), (270, 258)] {
        let place = alone(shape, 2);
        follow(&[place], place.end(), 1);
    }
}

/// Three pairs whose rows take turns, as those of gate and up do; a few values that are no matrix's lie between pairs.
fn pairs((rows, columns): (usize, usize)) -> (Vec<Place>, usize) {
    let length = 2 * rows * columns + 4;
    let place =
        |index: usize| Place { start: index / 2 * length + index % 2 * columns, rows, columns, stride: 2 * columns };
    ((0..6).map(place).collect(), 3 * length)
}

#[test]
fn interleaved_matrices_move_apart() {
    for shape in [(1, 1), (7, 12), (12, 7), (33, 64)] {
        let (places, count) = pairs(shape);
        follow(&places, count, 3);
    }
    follow(&[], 5, 2);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    // More matrices than threads, of different sizes, so that working memory is used again by others.
    let shapes = [(40, 70), (5, 3), (70, 40), (1, 90), (33, 31), (90, 1), (16, 64)];
    let mut count = 0;
    let place = |(rows, columns): (usize, usize)| {
        let place = Place { start: count, rows, columns, stride: columns + 1 };
        count = place.end();
        place
    };
    let places: Vec<Place> = shapes.into_iter().map(place).collect();
    for kind in IsaKind::available() {
        let [alone, two, three] = [1, 2, 3].map(|threads| {
            let training = Training::new(kind, threads).expect("available, and few threads");
            let [mut parameters, mut momentum] = [random(count, 1), vec![0.0; count]];
            for step in 0..3 {
                training.muon(&STEP, &places, (&mut parameters, &mut momentum), &random(count, 10 + step));
            }
            [parameters, momentum].map(|values| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>())
        });
        assert!(alone == two && alone == three, "{}: threads change the result", kind.name());
    }
}

/// An orthogonal and symmetric matrix that mixes everything: the reflection along a random vector.
fn reflection(size: usize, seed: u64) -> Rows {
    let along = wide(&random(size, seed));
    let square: f64 = along.iter().map(|value| value * value).sum();
    let at = |row: usize, column: usize| f64::from(u8::from(row == column)) - 2.0 * along[row] * along[column] / square;
    (0..size).map(|row| (0..size).map(|column| at(row, column)).collect()).collect()
}

#[test]
fn a_direction_keeps_singular_vectors_and_makes_their_values_about_one() {
    let step = MuonStep { weight_decay: 0.0, ..STEP };
    for (rows, columns) in [(12, 12), (12, 30), (40, 24)] {
        let (left, right) = (reflection(rows, 3), reflection(columns, 4));
        // Singular values from 1 to 10.
        let last = (rows.min(columns) - 1) as f64;
        let value = |row: usize, column: usize| if row == column { 1.0 + 9.0 * row as f64 / last } else { 0.0 };
        let values: Rows = (0..rows).map(|row| (0..columns).map(|column| value(row, column)).collect()).collect();
        let gradients: Vec<f32> =
            product(&product(&left, &values), &right).iter().flatten().map(|&value| value as f32).collect();
        let place = Place { start: 0, rows, columns, stride: columns };
        on_every_machine(
            |training| {
                let [mut parameters, mut momentum] = [0; 2].map(|_| vec![0.0; rows * columns]);
                training.muon(&step, &[place], (&mut parameters, &mut momentum), &gradients);
                [parameters]
            },
            |[parameters], isa| {
                let moved: Rows = wide(parameters).chunks_exact(columns).map(<[f64]>::to_vec).collect();
                let direction = sum(&[(-1.0 / length(&step, &place), &moved)]);
                let seen = product(&product(&left, &direction), &right);
                for (row, seen) in seen.iter().enumerate() {
                    for (column, &value) in seen.iter().enumerate() {
                        let holds = if row == column { (0.5..1.5).contains(&value) } else { value.abs() < 1e-4 };
                        assert!(holds, "{rows} × {columns}, {isa}: {value} at {row}, {column}");
                    }
                }
            },
        );
    }
}

#[test]
fn without_a_gradient_parameters_only_decay() {
    let (rows, columns) = (6, 9);
    let place = Place { start: 0, rows, columns, stride: columns };
    let parameters = random(rows * columns, 1);
    let decay = 1.0 - f64::from(STEP.learning_rate) * f64::from(STEP.weight_decay);
    let expected: Vec<f64> = wide(&parameters).iter().map(|value| value * decay).collect();
    // Of the second, the squares are beyond f32.
    for size in [0.0, 1e-30] {
        let gradients: Vec<f32> = random(rows * columns, 2).iter().map(|value| value * size).collect();
        on_every_machine(
            |training| {
                let [mut parameters, mut momentum] = [parameters.clone(), vec![0.0; rows * columns]];
                training.muon(&STEP, &[place], (&mut parameters, &mut momentum), &gradients);
                [parameters]
            },
            |[found], isa| assert_near(found, &expected, 1e-7, &format!("gradients of {size}, {isa}")),
        );
    }
}

fn step_of(place: Place) {
    let training = Training::new(IsaKind::Scalar, 1).expect("everywhere");
    training.muon(&STEP, &[place], (&mut [0.0; 12], &mut [0.0; 12]), &[0.0; 12]);
}

#[test]
fn a_matrix_may_end_where_the_vectors_end() {
    step_of(Place { start: 1, rows: 3, columns: 3, stride: 4 });
}

#[test]
#[should_panic(expected = "a matrix inside the vectors")]
fn a_matrix_that_ends_outside_is_refused() {
    step_of(Place { start: 2, rows: 3, columns: 3, stride: 4 });
}

#[test]
#[should_panic(expected = "a matrix inside the vectors")]
fn rows_that_overlap_are_refused() {
    step_of(Place { start: 0, rows: 2, columns: 5, stride: 4 });
}

#[test]
#[should_panic(expected = "a matrix inside the vectors")]
fn a_matrix_without_rows_is_refused() {
    step_of(Place { start: 0, rows: 0, columns: 4, stride: 4 });
}
