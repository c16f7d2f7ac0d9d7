//! `glossa logits`: the goldens through files, for every layout, instruction set, thread count and chunk.

use std::path::Path;

use synth::{DenseFormat, GgufOptions, Layout, Shape};

use crate::{Model, glossa, golden, json};

struct Tensors {
    header: serde_json::Value,
    bytes: Vec<u8>,
}

impl Tensors {
    fn read(path: &Path) -> Self {
        let all = std::fs::read(path).unwrap();
        let length = u64::from_le_bytes(all[..8].try_into().unwrap()) as usize;
        assert_eq!(length % 8, 0, "the tensor begins aligned");
        Self { header: serde_json::from_slice(&all[8..8 + length]).unwrap(), bytes: all[8 + length..].to_vec() }
    }

    fn values(&self, name: &str) -> (Vec<u64>, Vec<f32>) {
        let entry = &self.header[name];
        assert_eq!(entry["dtype"], "F32", "{name} in {}", self.header);
        let range = [0, 1].map(|i| entry["data_offsets"][i].as_u64().unwrap() as usize);
        let values =
            self.bytes[range[0]..range[1]].chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap()));
        let shape = entry["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        (shape, values.collect())
    }
}

fn compute(model: &Model, ids: &[u64], options: &[&str]) -> (Vec<u64>, Vec<f32>) {
    let (ids_file, out) = (model.file("ids.json"), model.file("out.safetensors"));
    std::fs::write(&ids_file, serde_json::json!(ids).to_string()).unwrap();
    let mut arguments =
        vec!["logits", model.path(), "--ids", ids_file.to_str().unwrap(), "--out", out.to_str().unwrap()];
    arguments.extend(options);
    let output = glossa(&arguments, b"");
    assert!(output.status.success(), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
    Tensors::read(&out).values("logits")
}

fn greatest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn prompt(index: usize) -> (Vec<u64>, Vec<f32>) {
    let prompts = json(&std::fs::read_to_string(golden("tiny.json")).unwrap());
    let ids = prompts["prompts"][index]["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    (ids, Tensors::read(&golden("tiny.safetensors")).values(&format!("logits.{index}")).1)
}

#[test]
fn goldens_in_every_layout() {
    let gguf = |dense, fused_gate_up, files| Layout::Gguf(GgufOptions { dense, fused_gate_up, files });
    let layouts = [
        Layout::HuggingFace { shards: 3 },
        Layout::HuggingFace { shards: 1 },
        Layout::Original,
        gguf(DenseFormat::Bf16, false, 1),
        gguf(DenseFormat::F32, true, 3),
    ];
    let (ids, expected) = prompt(2);
    for layout in layouts {
        let (shape, found) = compute(&Model::write(Shape::tiny(), layout), &ids, &[]);
        assert_eq!(shape, [40, 512]);
        assert!(greatest_difference(&found, &expected) < 2e-4, "{layout:?}");
    }
    // Eight bits for the dense weights are another model, near the first.
    let (_, found) = compute(&Model::write(Shape::tiny(), gguf(DenseFormat::Q8_0, false, 1)), &ids, &[]);
    let difference = greatest_difference(&found, &expected);
    assert!(difference > 2e-4 && difference < 0.4, "{difference}");
}

#[test]
fn goldens_with_every_option() {
    let model = Model::tiny();
    let (ids, expected) = prompt(3);
    let mut isas = vec!["auto", "scalar"];
    isas.extend(kernels::IsaKind::available().into_iter().map(kernels::IsaKind::name));
    for isa in isas {
        for (threads, chunk) in [("1", "512"), ("2", "64"), ("2", "1"), ("1", "7")] {
            let (_, found) = compute(&model, &ids, &["--isa", isa, "--threads", threads, "--chunk", chunk]);
            assert!(greatest_difference(&found, &expected) < 2e-4, "{isa}, {threads} threads, chunk {chunk}");
        }
    }
    let (shape, last) = compute(&model, &ids, &["--last"]);
    assert_eq!(shape, [1, 512]);
    assert!(greatest_difference(&last, &expected[199 * 512..]) < 2e-4);
    let (_, default) = compute(&model, &ids, &["--default-precision"]);
    let difference = greatest_difference(&default, &expected);
    assert!(difference > 2e-4 && difference < 0.4, "default precision rounds: {difference}");
}

#[test]
fn the_reference_backend_agrees() {
    let (ids, expected) = prompt(1);
    let (_, found) = compute(&Model::tiny(), &ids, &["--isa", "reference"]);
    assert!(greatest_difference(&found, &expected) < 2e-4);
}
