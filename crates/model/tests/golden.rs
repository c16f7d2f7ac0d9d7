//! Logits against the goldens of Hugging Face transformers, OpenAI's implementation and numpy (see `golden/README.md`).
//!
//! Exact precision must follow them within 2e-4 everywhere and greedily token for token; default precision, whose activations have
//! eight bits, within a tolerance that half of all rows stay far below. Every layout, instruction set and way
//! of feeding.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use kernels::{IsaKind, KvPrecision};
use model::{Checkpoint, Device, Model, Precision, SequenceId, Span, Wanted};
use support::{Feed, Golden, all_logits, checkpoint, cpu, difference, load, load_with_kv};
use synth::{GgufOptions, Layout, Shape};

const EXACT_MAX: f64 = 2e-4;
/// Activations in 8 bits per block of 32 move the logits of models 64 wide by some hundredths; where two experts are nearly equally
/// likely a row takes the other one, and moves at once. The kernels themselves are held to 1e-5 of these roundings elsewhere.
const DEFAULT_MAX: f64 = 2.0;
const DEFAULT_RMS: f64 = 0.5;
/// What half of all rows stay below.
const DEFAULT_MEDIAN_RMS: f64 = 0.08;
/// Against a twin that rounds keys and values, but not activations.
const TWIN_RMS: f64 = 0.1;

/// The layouts that hold the tensors' exact values.
fn layouts() -> Vec<Layout> {
    let gguf = GgufOptions { dense: synth::DenseFormat::Bf16, ..GgufOptions::default() };
    vec![
        Layout::HuggingFace { shards: 3 },
        Layout::HuggingFace { shards: 1 },
        Layout::Original,
        Layout::Gguf(gguf),
        Layout::Gguf(GgufOptions { dense: synth::DenseFormat::F32, fused_gate_up: true, ..gguf }),
    ]
}

/// Appends one token and gives its logits.
fn step(model: &mut dyn Model, sequence: SequenceId, id: u32) -> Vec<f32> {
    let mut logits = Vec::new();
    model.forward(&[Span { sequence, ids: &[id], wanted: Wanted::Last }], &mut logits).unwrap();
    logits
}

fn argmax(logits: &[f32]) -> u32 {
    let better = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
    (0..logits.len()).fold(0, better) as u32
}

/// The prompts of a golden JSON file, with the greedy continuation of each.
fn prompts(name: &str) -> Vec<(Vec<u32>, Vec<u32>)> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let ids =
        |value: &serde_json::Value| value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
    golden["prompts"].as_array().unwrap().iter().map(|prompt| (ids(&prompt["ids"]), ids(&prompt["greedy"]))).collect()
}

/// Teacher-forced: the golden's own tokens are fed, and each step's logits compared. With `greedy`, its choices too.
fn follow(checkpoint: &Checkpoint, golden: &str, device: Device, precision: Precision, feed: Feed) {
    let tensors = Golden::read(&format!("{golden}.safetensors"));
    let mut model = load(checkpoint, device, precision);
    let vocabulary = model.config().vocabulary_size;
    for (index, (ids, greedy)) in prompts(&format!("{golden}.json")).into_iter().enumerate() {
        if precision != Precision::Exact && index == 4 {
            // The golden's RMSNorm amplifies any rounding there; its README says to skip it.
            continue;
        }
        let what = format!("{golden}, {device:?}, {precision:?}, {feed:?}, prompt {index}");
        let mut seen = Vec::new();
        let (sequence, logits) = all_logits(&mut *model, &ids, feed);
        assert_close(&logits, &tensors.f32(&format!("logits.{index}")), precision, &what);
        let steps = tensors.f32(&format!("cont.{index}"));
        let mut last = logits[logits.len() - vocabulary..].to_vec();
        for (at, &token) in greedy.iter().enumerate() {
            let expected = &steps[at * vocabulary..][..vocabulary];
            seen.push(assert_close(&last, expected, precision, &format!("{what}, step {at}")));
            if precision == Precision::Exact {
                assert_eq!(argmax(&last), token, "{what}, step {at}");
            }
            last = step(&mut *model, sequence, token);
        }
        seen.sort_by(f64::total_cmp);
        assert!(seen[seen.len() / 2] < DEFAULT_MEDIAN_RMS, "{what}: differs by {seen:?}");
        model.close_sequence(sequence);
    }
}

/// Returns the root of the mean square of the differences.
fn assert_close(found: &[f32], expected: &[f32], precision: Precision, what: &str) -> f64 {
    let (max, rms) = difference(found, expected);
    match precision {
        Precision::Exact => assert!(max < EXACT_MAX, "{what}: differs by {max:e} (rms {rms:e})"),
        Precision::Default | Precision::DenseEight => {
            assert!(max < DEFAULT_MAX && rms < DEFAULT_RMS, "{what}: differs by {max:e} (rms {rms:e})")
        }
    }
    rms
}

#[test]
fn tiny_in_every_layout() {
    for layout in layouts() {
        let checkpoint = checkpoint(&Shape::tiny(), layout);
        for precision in [Precision::Exact, Precision::Default, Precision::DenseEight] {
            follow(&checkpoint, "tiny", cpu(IsaKind::best(), 2), precision, Feed::Whole);
        }
    }
}

/// That threads change nothing is another test's part (`parts.rs`, bit for bit), so two are enough here.
#[test]
fn tiny_on_every_instruction_set_and_feed() {
    let checkpoint = checkpoint(&Shape::tiny(), Layout::HuggingFace { shards: 3 });
    for isa in IsaKind::available() {
        for feed in [Feed::Whole, Feed::Chunks(1), Feed::Chunks(3), Feed::Chunks(64)] {
            for precision in [Precision::Exact, Precision::Default] {
                follow(&checkpoint, "tiny", cpu(isa, 2), precision, feed);
            }
        }
    }
}

#[test]
fn tiny_on_the_reference_backend() {
    let checkpoint = checkpoint(&Shape::tiny(), Layout::Original);
    let tensors = Golden::read("tiny.safetensors");
    let mut model = load(&checkpoint, Device::Reference, Precision::Exact);
    for (index, (ids, _)) in prompts("tiny.json").into_iter().enumerate().filter(|(index, _)| *index != 3) {
        let (_, logits) = all_logits(&mut *model, &ids, Feed::Whole);
        assert_close(&logits, &tensors.f32(&format!("logits.{index}")), Precision::Exact, &format!("prompt {index}"));
    }
}

#[test]
fn default_precision_follows_the_slow_twin() {
    let checkpoint = checkpoint(&Shape::tiny(), Layout::Original);
    let prompts = prompts("tiny.json").into_iter().enumerate().filter(|(index, _)| *index != 4);
    for ((index, (ids, _)), kv) in
        prompts.flat_map(|prompt| [KvPrecision::BF16, KvPrecision::Q8].map(|kv| (prompt.clone(), kv)))
    {
        let mut twin = load_with_kv(&checkpoint, Device::Reference, Precision::Default, kv);
        let (_, expected) = all_logits(&mut *twin, &ids, Feed::Whole);
        for isa in IsaKind::available() {
            for feed in [Feed::Whole, Feed::Chunks(3)] {
                let mut model = load_with_kv(&checkpoint, cpu(isa, 2), Precision::Default, kv);
                let (_, found) = all_logits(&mut *model, &ids, feed);
                let (max, rms) = difference(&found, &expected);
                assert!(rms < TWIN_RMS, "prompt {index}, {isa:?}, {kv:?}, {feed:?}: differs by {max:e} (rms {rms:e})");
            }
        }
    }
}

#[test]
fn many_experts_in_every_layout() {
    for layout in layouts() {
        let checkpoint = checkpoint(&Shape::tiny_moe128(), layout);
        for isa in IsaKind::available() {
            for precision in [Precision::Exact, Precision::Default] {
                follow(&checkpoint, "tiny-moe128", cpu(isa, 2), precision, Feed::Chunks(33));
            }
        }
    }
}

#[test]
fn released_vocabulary() {
    let tensors = Golden::read("tiny-realvocab.safetensors");
    let checkpoint = checkpoint(&Shape::tiny_realvocab(), Layout::HuggingFace { shards: 3 });
    let mut model = load(&checkpoint, cpu(IsaKind::best(), 2), Precision::Exact);
    for (index, (ids, greedy)) in prompts("tiny-realvocab.json").into_iter().enumerate() {
        let (sequence, mut logits) = all_logits(&mut *model, &ids, Feed::Whole);
        logits.drain(..logits.len() - 201_088);
        let (tops, values) = (tensors.u32(&format!("top.{index}")), tensors.f32(&format!("topv.{index}")));
        let strided = tensors.f32(&format!("strided.{index}"));
        let normalizers = tensors.f32(&format!("lse.{index}"));
        for (at, &token) in greedy.iter().enumerate() {
            let what = format!("prompt {index}, step {at}");
            let found: Vec<f32> = tops[at * 32..][..32].iter().map(|&id| logits[id as usize]).collect();
            assert_close(&found, &values[at * 32..][..32], Precision::Exact, &what);
            assert_eq!(argmax(&logits), token, "{what}");
            let every: Vec<f32> = logits.iter().copied().step_by(97).collect();
            if let Some(expected) = strided.get(at * every.len()..(at + 1) * every.len()) {
                assert_close(&every, expected, Precision::Exact, &what);
            }
            let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
            assert!((sum.ln() - f64::from(normalizers[at])).abs() < EXACT_MAX, "{what}: log-sum-exp");
            logits = step(&mut *model, sequence, token);
        }
    }
}
