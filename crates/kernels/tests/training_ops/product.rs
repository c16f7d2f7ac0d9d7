//! Products in every order of strides.

use kernels::{Matrix, Target, Training};

use super::{AWKWARD, assert_near, on_every_machine, random};

/// How a matrix is stored.
#[derive(Clone, Copy, Debug)]
struct Form {
    /// By columns.
    transposed: bool,
    /// Values between its lines that are not its own.
    gap: usize,
}

const FORMS: [Form; 4] = [
    Form { transposed: false, gap: 0 },
    Form { transposed: false, gap: 3 },
    Form { transposed: true, gap: 0 },
    Form { transposed: true, gap: 5 },
];

/// A stored matrix that ends where its slice ends; between its lines are values that would spoil any sum.
struct Stored {
    rows: usize,
    columns: usize,
    form: Form,
    values: Vec<f32>,
}

impl Stored {
    fn new((rows, columns): (usize, usize), form: Form, seed: u64) -> Self {
        let (lines, length) = if form.transposed { (columns, rows) } else { (rows, columns) };
        let own = random(lines * length, seed);
        let mut values = Vec::new();
        for line in own.chunks_exact(length) {
            values.extend_from_slice(line);
            values.extend(std::iter::repeat_n(f32::NAN, form.gap));
        }
        values.truncate(values.len() - form.gap);
        Self { rows, columns, form, values }
    }

    fn matrix(&self) -> Matrix<'_> {
        let Self { rows, columns, form, ref values } = *self;
        match (form.transposed, form.gap) {
            (false, 0) => Matrix::new(values, rows, columns),
            (false, gap) => Matrix::with_stride(values, rows, columns, columns + gap),
            (true, 0) => Matrix::new(values, columns, rows).transposed(),
            (true, gap) => Matrix::with_stride(values, columns, rows, rows + gap).transposed(),
        }
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        let Self { rows, columns, form, ref values } = *self;
        let place =
            if form.transposed { column * (rows + form.gap) + row } else { row * (columns + form.gap) + column };
        f64::from(values[place])
    }
}

#[derive(Clone, Copy, Debug)]
struct Case {
    rows: usize,
    depth: usize,
    columns: usize,
    a: Form,
    b: Form,
    bias: bool,
    accumulate: bool,
    /// Between the rows of the result.
    gap: usize,
}

impl Case {
    /// One of the 64 combinations of forms, bias and accumulation.
    fn new((rows, depth, columns): (usize, usize, usize), combination: usize) -> Self {
        Self {
            rows,
            depth,
            columns,
            a: FORMS[combination % 4],
            b: FORMS[combination / 4 % 4],
            bias: combination / 16 % 2 == 1,
            accumulate: combination / 32 % 2 == 1,
            gap: combination % 3 * 2,
        }
    }

    fn check(self) {
        let Self { rows, depth, columns, a, b, bias, accumulate, gap } = self;
        let (a, b) = (Stored::new((rows, depth), a, 1), Stored::new((depth, columns), b, 2));
        let bias = bias.then(|| random(columns, 3));
        let stride = columns + gap;
        let mut before = random((rows - 1) * stride + columns, 4);
        if !accumulate {
            // What is overwritten may be anything.
            for line in before.chunks_mut(stride) {
                line[..columns].fill(f32::NAN);
            }
        }
        let mut expected: Vec<f64> = before.iter().map(|&value| f64::from(value)).collect();
        for row in 0..rows {
            for column in 0..columns {
                let place = row * stride + column;
                let sum: f64 = (0..depth).map(|k| a.at(row, k) * b.at(k, column)).sum();
                let kept = if accumulate { f64::from(before[place]) } else { 0.0 };
                expected[place] = sum + kept + bias.as_ref().map_or(0.0, |bias| f64::from(bias[column]));
            }
        }
        let work = |training: &mut Training| {
            let mut values = before.clone();
            let target = Target { values: &mut values, stride, accumulate };
            training.multiply(a.matrix(), b.matrix(), bias.as_deref(), target);
            // A second time with the buffers of the first.
            let mut again = before.clone();
            let target = Target { values: &mut again, stride, accumulate };
            training.multiply(a.matrix(), b.matrix(), bias.as_deref(), target);
            assert!(values == again, "{self:?} twice");
            [values]
        };
        on_every_machine(work, |[values], isa| assert_near(values, &expected, 2e-6, &format!("{self:?}, {isa}")));
    }
}

#[test]
fn every_form_with_and_without_bias_and_accumulation() {
    for combination in 0..64 {
        Case::new((33, 300, 31), combination).check();
    }
}

#[test]
fn awkward_sizes() {
    let mut combination = 0;
    for rows in AWKWARD {
        for depth in AWKWARD {
            for columns in AWKWARD {
                // 29 and 64 have no common divisor, so that the sizes meet all combinations.
                combination = (combination + 29) % 64;
                Case::new((rows, depth, columns), combination).check();
            }
        }
    }
}

#[test]
fn depths_of_several_blocks() {
    for (index, depth) in [255, 256, 257, 511, 512, 513, 1100].into_iter().enumerate() {
        for combination in (0..4).map(|step| (index * 9 + step * 21) % 64) {
            Case::new((14, depth, 35), combination).check();
        }
    }
}

#[test]
fn no_rows_or_no_columns_is_no_work() {
    on_every_machine(
        |training| {
            let mut values = vec![1.0, 2.0];
            for (rows, columns) in [(0, 2), (1, 0)] {
                let (a, b) = (Matrix::new(&[3.0; 4], rows, 4), Matrix::new(&[5.0; 8], 4, columns));
                training.multiply(a, b, None, Target { values: &mut values, stride: 2, accumulate: false });
            }
            [values]
        },
        |[values], isa| assert_near(values, &[1.0, 2.0], 0.0, isa),
    );
}

#[test]
#[should_panic(expected = "room for C")]
fn a_result_larger_than_its_place_is_refused() {
    let mut training = Training::new(kernels::IsaKind::Scalar, 1).expect("everywhere");
    let (a, b) = (Matrix::new(&[1.0; 6], 3, 2), Matrix::new(&[1.0; 6], 2, 3));
    training.multiply(a, b, None, Target { values: &mut [0.0; 8], stride: 3, accumulate: false });
}
