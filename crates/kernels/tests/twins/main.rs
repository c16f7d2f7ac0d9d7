//! Every instruction set against the slow twin, over awkward shapes and values; one file per kind of op.

mod attention;
mod attention_bytes;
mod dense;
mod experts;
mod packed;
mod packed_experts;
mod packed_extremes;
mod packed_linear;
mod random;
mod threads;

use kernels::{Backend, Cpu, DenseFormat, IsaKind, LinearWeights};

const THREADS: [usize; 2] = [1, 3];

fn backends() -> impl Iterator<Item = (String, Cpu)> {
    IsaKind::available().into_iter().flat_map(|kind| {
        THREADS.map(|threads| {
            let name = format!("{} with {threads} threads", kind.name());
            (name, Cpu::new(kind, threads).expect("available"))
        })
    })
}

/// Brings host values to a backend's rows through the embedding op.
fn rows<B: Backend>(backend: &B, values: &[f32], columns: usize) -> B::Rows {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let count = values.len() / columns;
    let matrix = random::matrix(DenseFormat::F32, count, columns, bytes);
    let table = backend.load_exact_linear(LinearWeights { matrix, bias: None });
    let ids: Vec<u32> = (0..count as u32).collect();
    let mut out = B::Rows::default();
    backend.embed(&table, &ids, &mut out);
    out
}

fn read<B: Backend>(backend: &B, rows: &B::Rows) -> Vec<f32> {
    let mut out = Vec::new();
    backend.read(rows, &mut out);
    out
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let finite = expected.iter().filter(|value| value.is_finite());
    let scale = finite.fold(1e-3f32, |scale, value| scale.max(value.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        // An infinity may become NaN on another way of computing the same; neither may become a number.
        assert!(
            (found - expected).abs() <= tolerance * scale || !found.is_finite() && !expected.is_finite(),
            "{what}: [{i}] {found} instead of {expected} (scale {scale})"
        );
    }
}

/// Runs a computation on the reference and on every CPU backend and compares the values.
macro_rules! compare {
    ($tolerance:expr, $what:expr, |$backend:ident| $body:expr) => {{
        let expected = {
            let $backend = &kernels::Reference;
            $body
        };
        for (name, cpu) in $crate::backends() {
            let $backend = &cpu;
            $crate::assert_close(&$body, &expected, $tolerance, &format!("{}, {name}", $what));
        }
    }};
}

pub(crate) use compare;
