//! Gradients and losses against transformers and torch autograd (`golden/training_golden.py`).

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod support;

use std::collections::BTreeMap;

use kernels::IsaKind;
use serde_json::Value;
use support::{GOLDEN, golden, golden_samples, golden_shape, relative_error, trainer};

/// The F32 tensors of a safetensors file.
fn tensors(bytes: &[u8]) -> BTreeMap<String, Vec<f32>> {
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: serde_json::Map<String, Value> = serde_json::from_slice(header).unwrap();
    let tensor = |(name, entry): (String, Value)| {
        let [start, end] = serde_json::from_value::<[usize; 2]>(entry["data_offsets"].clone()).unwrap();
        let values = data[start..end].as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
        (name, values)
    };
    header.into_iter().filter(|(name, _)| name != "__metadata__").map(tensor).collect()
}

#[test]
fn every_gradient_is_the_references() {
    let golden_gradients = tensors(include_bytes!("golden/training.safetensors"));
    for isa in IsaKind::available() {
        for recompute in [false, true] {
            let options = train::Options { recompute, ..GOLDEN };
            let mut trainer = trainer(&golden_shape(), options, isa, 2);
            let report = trainer.step(&[golden_samples()], 0.0, false).unwrap();
            let golden = golden();
            assert!((report.loss / golden["loss"].as_f64().unwrap() - 1.0).abs() < 1e-6, "{report:?}");
            assert!((report.gradient_norm / golden["grad_norm"].as_f64().unwrap() - 1.0).abs() < 1e-5, "{report:?}");
            let layout = trainer.layout();
            assert_eq!(layout.tensors().len(), golden_gradients.len());
            for tensor in layout.tensors() {
                let expected = &golden_gradients[&format!("grad.{}", tensor.name)];
                let error = relative_error(&trainer.gradients()[tensor.range.clone()], expected);
                assert!(error < 1e-4, "{}: {error:e} with {}", tensor.name, isa.name());
            }
        }
    }
}

#[test]
fn fifty_steps_follow_the_references_losses() {
    let golden: Vec<f64> = serde_json::from_value(golden()["losses"].clone()).unwrap();
    let mut trainer = trainer(&golden_shape(), GOLDEN, IsaKind::best(), 2);
    for (step, golden) in golden.iter().enumerate() {
        let loss = trainer.step(&[golden_samples()], 1e-4, false).unwrap().loss;
        let allowed = if step < 20 { 1e-4 } else { 1e-3 };
        assert!((loss / golden - 1.0).abs() < allowed, "step {step}: {loss} instead of {golden}");
    }
}
