//! What the tests of the forward pass share: synthetic checkpoints in every layout, golden tensors, runs of prompts.

use std::collections::HashMap;
use std::path::Path;

use kernels::{IsaKind, KvPrecision, PackStore};
use model::{Checkpoint, Device, Model, Precision, SequenceId, Span, Wanted};
use synth::{Layout, Shape, Writer};

/// How a prompt is fed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Feed {
    Whole,
    Chunks(usize),
}

/// Writes a synthetic checkpoint and opens it; the files are deleted when the folder is dropped (maps stay valid).
pub(crate) fn checkpoint(shape: &Shape, layout: Layout) -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    let written = Writer::new(shape.clone()).layout(layout).write(folder.path()).unwrap();
    Checkpoint::open(&written.model).unwrap()
}

pub(crate) fn cpu(isa: IsaKind, threads: usize) -> Device {
    Device::Cpu { isa, threads }
}

pub(crate) fn load(checkpoint: &Checkpoint, device: Device, precision: Precision) -> Box<dyn Model> {
    model::load(checkpoint.clone(), device, precision).unwrap()
}

pub(crate) fn load_with_kv(
    checkpoint: &Checkpoint,
    device: Device,
    precision: Precision,
    kv: KvPrecision,
) -> Box<dyn Model> {
    model::load_with_kv(checkpoint.clone(), device, precision, kv, PackStore::Memory).unwrap()
}

/// Feeds a prompt to a fresh sequence and gives the logits of every token.
pub(crate) fn all_logits(model: &mut dyn Model, ids: &[u32], feed: Feed) -> (SequenceId, Vec<f32>) {
    let sequence = model.open_sequence();
    let (mut all, mut part) = (Vec::new(), Vec::new());
    let chunk = match feed {
        Feed::Whole => ids.len(),
        Feed::Chunks(tokens) => tokens,
    };
    for ids in ids.chunks(chunk) {
        model.forward(&[Span { sequence, ids, wanted: Wanted::All }], &mut part).unwrap();
        all.extend_from_slice(&part);
    }
    (sequence, all)
}

/// Greatest and root-mean-square difference.
pub(crate) fn difference(found: &[f32], expected: &[f32]) -> (f64, f64) {
    assert_eq!(found.len(), expected.len());
    let squares = found.iter().zip(expected).map(|(a, b)| f64::from(a - b).powi(2));
    let (greatest, sum) =
        squares.fold((0.0, 0.0), |(greatest, sum): (f64, f64), square| (greatest.max(square), sum + square));
    (greatest.sqrt(), (sum / found.len() as f64).sqrt())
}

/// A golden safetensors file: raw little-endian words and shape by name.
pub(crate) struct Golden(HashMap<String, (Vec<u32>, Vec<usize>)>);

impl Golden {
    pub(crate) fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let bytes = std::fs::read(&path).unwrap();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let table: serde_json::Value = serde_json::from_slice(&bytes[8..header]).unwrap();
        let tensor = |(name, entry): (&String, &serde_json::Value)| {
            let offset = |i: usize| header + entry["data_offsets"][i].as_u64().unwrap() as usize;
            let words = bytes[offset(0)..offset(1)].chunks_exact(4);
            let words = words.map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
            let shape = entry["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
            (name.clone(), (words, shape))
        };
        let named = table.as_object().unwrap().iter().filter(|(name, _)| *name != "__metadata__");
        Self(named.map(tensor).collect())
    }

    pub(crate) fn f32(&self, name: &str) -> Vec<f32> {
        self.0[name].0.iter().map(|&bits| f32::from_bits(bits)).collect()
    }

    pub(crate) fn u32(&self, name: &str) -> Vec<u32> {
        self.0[name].0.clone()
    }
}
