//! Before anybody is served: do the kernels that were chosen for this processor compute what the portable ones do? It must not
//! know how they compute.
//!
//! Two things are asked. The tiny model inside the program runs a fixed conversation, as a prompt and token by token, and its logits must
//! be those that the scalar kernels gave when this program was made. And where a packed model has a check beside it (`glossa pack`
//! writes one, with the scalar kernels), the model itself must agree with it. Engines have been seen to serve fluent nonsense on
//! one kind of processor; this one refuses.

use std::path::{Path, PathBuf};

use kernels::{IsaKind, KvPrecision};
use model::{Checkpoint, Choice, Device, Model, Precision, Span, Wanted};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::loading;
use crate::packs;
use crate::shipped::Named;

/// Logits of the scalar kernels over [`SHIPPED_IDS`] ids, for each precision that is served, little-endian f32.
const EXPECTED: [((Precision, KvPrecision), &[u8]); 4] = [
    ((Precision::Default, KvPrecision::BF16), include_bytes!("self_test/default.f32")),
    ((Precision::DenseEight, KvPrecision::BF16), include_bytes!("self_test/dense-eight.f32")),
    ((Precision::Default, KvPrecision::Q8), include_bytes!("self_test/default-kv-eight.f32")),
    ((Precision::DenseEight, KvPrecision::Q8), include_bytes!("self_test/dense-eight-kv-eight.f32")),
];

/// Tokens of the shipped model's check: more than its window.
const SHIPPED_IDS: u32 = 200;

/// Tokens of a model's own check.
const OWN_IDS: u32 = 12;

/// Tokens at the end that are computed one by one.
const STEPS: usize = 4;

/// Every so manieth logit is looked at.
const EVERY: usize = 16;

/// How far logits may be off, as a share of their own spread (root mean squares). Kernels round alike but for attention, where some
/// round queries and weights to bf16, and sums in another order now and then round an activation the other way: seen are 0.6 to 1.4 % on
/// the shipped model, 7.6 % with dense weights in 8 bits.
const SHIPPED_TOLERANCE: f64 = 0.15;

/// How far a model's own logits may be off, as a multiple of what keys and values in f32 change in them: how much a model blows a
/// rounding up is its own affair. Random weights do so beyond all measure, trained ones hardly.
const OWN_TOLERANCE: f64 = 4.0;

/// The least and the most of that; logits that have nothing to do with each other are off by 1.4.
const OWN_TOLERANCE_RANGE: [f64; 2] = [0.1, 0.9];

/// What the scalar kernels computed with a model.
#[derive(Serialize, Deserialize)]
struct Check {
    ids: Vec<u32>,
    every: usize,
    /// How far they are off when keys and values are kept in f32.
    sensitivity: f64,
    /// Of the last [`STEPS`] + 1 tokens, `[tokens, vocabulary / every]`.
    logits: Vec<f32>,
}

/// Refuses to go on when the chosen kernels are wrong.
pub(crate) fn kernels(device: Device, precision: (Precision, KvPrecision)) -> Result<(), Error> {
    let Some((_, expected)) = EXPECTED.iter().find(|(of, _)| *of == precision) else { return Ok(()) };
    let mut model = packs::load(Named::Shipped.open()?.0, device, precision, None)?;
    let expected: Vec<f32> = expected.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let ids = ids(SHIPPED_IDS, model.config().vocabulary_size);
    let found = logits(&mut *model, &ids)?;
    judge("the built-in tiny model", device, deviation(&found, &expected), SHIPPED_TOLERANCE)
}

/// The same for a model that was loaded, where it has a check beside its packed weights.
pub(crate) fn model(model: &mut dyn Model, place: &Path, device: Device, precision: Precision) -> Result<(), Error> {
    let path = beside(place, precision);
    if !path.exists() {
        return Ok(());
    }
    let unreadable = |source| Error::Read { path: path.clone(), source };
    let check: Check = std::fs::read(&path)
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(std::io::Error::other))
        .map_err(unreadable)?;
    if check.every != EVERY || check.ids != ids(OWN_IDS, model.config().vocabulary_size) {
        let (expected, found) = ("a check of this version of Glossa", "another; run `glossa pack` again".into());
        return Err(Error::Input { path, expected, found });
    }
    let found = logits(model, &check.ids)?;
    let [least, most] = OWN_TOLERANCE_RANGE;
    let tolerance = (OWN_TOLERANCE * check.sensitivity).clamp(least, most);
    let name = place.display().to_string();
    judge(&name, device, deviation(&found, &check.logits), tolerance)?;
    choices(model, &name, device, &check.ids)
}

/// Refuses a model that chooses otherwise where it is asked for nothing but a choice.
fn choices(model: &mut dyn Model, name: &str, device: Device, ids: &[u32]) -> Result<(), Error> {
    let warm = Choice { temperature: 1.0, ..Choice::GREATEST };
    let sequence = model.open_sequence();
    let mut logits = Vec::new();
    for choice in [Choice::GREATEST, warm] {
        let mut chosen = |model: &mut dyn Model, wanted| {
            model.forward(&[Span { sequence, ids: &ids[..1], wanted }], &mut logits)?;
            model.truncate(sequence, 0);
            Ok::<_, Error>(choice.pick(&logits))
        };
        let expected = chosen(model, Wanted::Last)?;
        if chosen(model, Wanted::Chosen { choice, rows: 1 })? != expected {
            return Err(Error::SelfTestChoice { model: name.to_owned(), isa: loading::isa_name(device) });
        }
    }
    model.close_sequence(sequence);
    Ok(())
}

/// Writes a model's check, computed with the scalar kernels from its packed weights.
pub(crate) fn write(place: &Path, threads: usize, precision: Precision) -> Result<(), Error> {
    let device = Device::Cpu { isa: IsaKind::Scalar, threads };
    let compute = |kv| {
        let checkpoint = Checkpoint::open_without_scales(place)?;
        let mut model = packs::load(checkpoint, device, (precision, kv), Some(place))?;
        let ids = ids(OWN_IDS, model.config().vocabulary_size);
        let logits = logits(&mut *model, &ids)?;
        Ok::<_, Error>((ids, logits))
    };
    let (ids, logits) = compute(precision.kv())?;
    let sensitivity = deviation(&compute(KvPrecision::F32)?.1, &logits);
    let check = Check { ids, every: EVERY, sensitivity, logits };
    let path = beside(place, precision);
    let written = serde_json::to_vec(&check).map_err(std::io::Error::other);
    written.and_then(|bytes| std::fs::write(&path, bytes)).map_err(|source| Error::Write { path, source })
}

fn beside(place: &Path, precision: Precision) -> PathBuf {
    let mut path = packs::beside(place, precision).into_os_string();
    path.push(".check.json");
    path.into()
}

/// Fixed ids that any vocabulary has, none of them again and again.
fn ids(count: u32, vocabulary_size: usize) -> Vec<u32> {
    (1..=count).map(|index| (index * index * 31 + index * 7) % vocabulary_size.min(2000) as u32).collect()
}

/// Every [`EVERY`]th logit of the last tokens: one as the end of a prompt, then some step by step.
fn logits(model: &mut dyn Model, ids: &[u32]) -> Result<Vec<f32>, Error> {
    let sequence = model.open_sequence();
    let (prompt, steps) = ids.split_at(ids.len() - STEPS);
    let (mut all, mut logits) = (Vec::new(), Vec::new());
    for ids in std::iter::once(prompt).chain(steps.chunks(1)) {
        model.forward(&[Span { sequence, ids, wanted: Wanted::Last }], &mut logits)?;
        all.extend(logits.iter().step_by(EVERY));
    }
    model.close_sequence(sequence);
    Ok(all)
}

/// Root mean square of the differences as a share of the expected logits' own spread; infinite where the lengths differ.
fn deviation(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() || expected.is_empty() {
        return f64::INFINITY;
    }
    let count = expected.len() as f64;
    let mean = expected.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let spread: f64 = expected.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum();
    let squares: f64 = found.iter().zip(expected).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    (squares / spread).sqrt()
}

fn judge(model: &str, device: Device, deviation: f64, tolerance: f64) -> Result<(), Error> {
    // A deviation that is not a number is none that may pass.
    if deviation <= tolerance {
        return Ok(());
    }
    let isa = loading::isa_name(device);
    Err(Error::SelfTest { model: model.to_owned(), isa, deviation: 100.0 * deviation, tolerance: 100.0 * tolerance })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices() -> impl Iterator<Item = Device> {
        IsaKind::available().into_iter().map(|isa| Device::Cpu { isa, threads: 2 })
    }

    #[test]
    fn every_instruction_set_passes() {
        for device in devices() {
            for (precision, _) in EXPECTED {
                kernels(device, precision).unwrap();
            }
        }
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let device = Device::Cpu { isa: IsaKind::Scalar, threads: 1 };
        let mut model =
            packs::load(Named::Shipped.open().unwrap().0, device, (Precision::Default, KvPrecision::BF16), None)
                .unwrap();
        let right = logits(&mut *model, &ids(SHIPPED_IDS, 2048)).unwrap();
        // The last token another one: as fluent, and not the answer.
        let mut other = ids(SHIPPED_IDS, 2048);
        *other.last_mut().unwrap() += 1;
        let slightly = logits(&mut *model, &other).unwrap();
        assert!(deviation(&slightly, &right) > SHIPPED_TOLERANCE, "{}", deviation(&slightly, &right));
        let broken: Vec<f32> = right.iter().map(|_| f32::NAN).collect();
        for found in [&slightly, &broken, &right[1..].to_vec()] {
            let error = judge("a model", device, deviation(found, &right), SHIPPED_TOLERANCE).unwrap_err().to_string();
            assert!(error.contains("scalar") && error.contains("a model"), "{error}");
        }
        judge("a model", device, deviation(&right, &right), SHIPPED_TOLERANCE).unwrap();
    }

    /// What stands in the files is what the scalar kernels compute. When the shipped model or the arithmetic has changed, this writes
    /// what they compute now beside the tests' other output and says where, to be read and copied.
    #[test]
    fn what_is_expected_is_what_the_scalar_kernels_compute() {
        let names = ["default.f32", "dense-eight.f32", "default-kv-eight.f32", "dense-eight-kv-eight.f32"];
        for ((precision, expected), name) in EXPECTED.into_iter().zip(names) {
            let device = Device::Cpu { isa: IsaKind::Scalar, threads: 2 };
            let mut model = packs::load(Named::Shipped.open().unwrap().0, device, precision, None).unwrap();
            let found = logits(&mut *model, &ids(SHIPPED_IDS, 2048)).unwrap();
            let expected: Vec<f32> = expected.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
            // Another compiler may contract or order a library's exponential differently, and no more.
            if deviation(&found, &expected) > 1e-3 {
                let path = std::env::temp_dir().join(name);
                let bytes: Vec<u8> = found.iter().flat_map(|value| value.to_le_bytes()).collect();
                std::fs::write(&path, bytes).unwrap();
                panic!("{precision:?}: copy {} to src/self_test/ if the change is meant", path.display());
            }
        }
    }
}
