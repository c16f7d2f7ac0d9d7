//! What is exported is what was trained: opened with the engine's own loader, weight by weight and logit by logit.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::fs;
use std::path::Path;

use kernels::decode::{FP4_VALUES, decode_dense, e8m0_to_f32};
use kernels::{DenseMatrix, GateUp, IsaKind, Mxfp4Matrix};
use model::{Checkpoint, Device, LayerWeights, Precision, Span, Wanted};
use synth::Shape;
use train::{Error, Layout, export, quantise};

/// A synthetic model in files, as the release lays them out, with its tokenizer.
struct Original {
    folder: tempfile::TempDir,
    shape: Shape,
    tokenizer: Vec<u8>,
}

impl Original {
    fn write() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shape = Shape::tiny();
        let writer = synth::Writer::new(shape.clone()).layout(synth::Layout::HuggingFace { shards: 1 });
        writer.tokenizer(true).write(folder.path()).unwrap();
        let tokenizer = fs::read(folder.path().join("tokenizer.json")).unwrap();
        Self { folder, shape, tokenizer }
    }

    fn open(&self) -> Checkpoint {
        Checkpoint::open(self.folder.path()).unwrap()
    }

    /// The model's own values as a vector of parameters.
    fn parameters(&self, layout: &Layout) -> Vec<f32> {
        let values = synth::Checkpoint::new(self.shape.clone(), 20).unwrap();
        let mut parameters = vec![0.0; layout.length()];
        for tensor in layout.tensors() {
            parameters[tensor.range.clone()].copy_from_slice(&values.values(&tensor.name).unwrap());
        }
        parameters
    }
}

fn logits(checkpoint: Checkpoint, device: Device) -> Vec<f32> {
    let mut model = model::load(checkpoint, device, Precision::Exact).unwrap();
    let (sequence, mut logits) = (model.open_sequence(), Vec::new());
    let ids: Vec<u32> = (0..150).map(|index| index * 37 % 500).collect();
    model.forward(&[Span { sequence, ids: &ids, wanted: Wanted::All }], &mut logits).unwrap();
    logits
}

/// Values that no file holds exactly.
fn unrounded(length: usize) -> Vec<f32> {
    let mut state = 1u64;
    let value = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let unit = (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
        unit * unit * unit
    };
    (0..length).map(value).collect()
}

fn dense(matrix: &DenseMatrix) -> Vec<f32> {
    let row = |row: usize| {
        let mut out = vec![0.0; matrix.columns];
        decode_dense(matrix.format, matrix.row(row), 0, &mut out);
        out
    };
    (0..matrix.rows).flat_map(row).collect()
}

fn mxfp4(matrix: &Mxfp4Matrix) -> Vec<f32> {
    let block = |(bytes, scale): (&[u8; 16], &u8)| {
        let scale = e8m0_to_f32(*scale);
        bytes.map(|byte| [byte & 15, byte >> 4].map(|code| FP4_VALUES[usize::from(code)] * scale))
    };
    matrix.blocks.as_chunks::<16>().0.iter().zip(&matrix.scales[..]).flat_map(block).flatten().collect()
}

/// Everything that the loader found, in the order of the layout.
fn weights(checkpoint: &Checkpoint) -> Vec<f32> {
    let mut all = dense(&checkpoint.embedding);
    for layer in &checkpoint.layers {
        let LayerWeights { attention_norm, query, query_bias, key, key_bias, value, value_bias, .. } = layer;
        let LayerWeights { output, output_bias, sinks, mlp_norm, router, router_bias, .. } = layer;
        let LayerWeights { gate_up, gate_up_bias, down, down_bias, .. } = layer;
        let GateUp::Interleaved(gate_up) = gate_up else { panic!("the layout has gate and up in turn") };
        let attention = [attention_norm, &dense(query), &dense(key), &dense(value), query_bias, key_bias, value_bias];
        let output = [sinks, &dense(output), output_bias];
        let experts = [mlp_norm, &dense(router), router_bias, &mxfp4(gate_up), gate_up_bias, &mxfp4(down), down_bias];
        all.extend(attention.into_iter().chain(output).chain(experts).flatten());
    }
    all.extend(&checkpoint.final_norm);
    all.extend(dense(&checkpoint.unembedding));
    all
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn a_model_that_files_can_hold_comes_back_as_it_was() {
    let original = Original::write();
    let checkpoint = original.open();
    let config = checkpoint.config.clone();
    let parameters = original.parameters(&Layout::new(&config));
    let folder = tempfile::tempdir().unwrap();
    export::export(folder.path(), &config, &parameters, &original.tokenizer).unwrap();
    let exported = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(exported.config, config);
    assert_eq!(bits(&weights(&exported)), bits(&parameters));
    assert_eq!(exported.tensor_bytes(), checkpoint.tensor_bytes());
    assert_eq!(exported.tensor_bytes(), export::tensor_bytes(&Layout::new(&config)));
    let cpu = Device::Cpu { isa: IsaKind::best(), threads: 2 };
    for device in [Device::Reference, cpu] {
        assert_eq!(bits(&logits(exported.clone(), device)), bits(&logits(checkpoint.clone(), device)));
    }
}

#[test]
fn any_parameters_are_rounded_as_fake_quantisation_says() {
    let original = Original::write();
    let config = original.open().config;
    let layout = Layout::new(&config);
    let parameters = unrounded(layout.length());
    let mut rounded = vec![0.0; layout.length()];
    quantise::as_exported(&layout, &parameters, &mut rounded);
    assert_ne!(bits(&rounded), bits(&parameters));
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    export::export(folders[0].path(), &config, &parameters, &original.tokenizer).unwrap();
    let exported = Checkpoint::open(folders[0].path()).unwrap();
    assert_eq!(bits(&weights(&exported)), bits(&rounded));
    // What was rounded already is written to the same bytes.
    export::export(folders[1].path(), &config, &rounded, &original.tokenizer).unwrap();
    for name in ["model.safetensors", "config.json", "generation_config.json", "tokenizer.json"] {
        let [first, second] = [0, 1].map(|index| fs::read(folders[index].path().join(name)).unwrap());
        assert!(first == second, "{name} is the same");
    }
    assert_eq!(fs::read_dir(folders[0].path()).unwrap().count(), 4, "nothing is left beside the files");
}

#[test]
fn the_configuration_is_the_releases() {
    let original = Original::write();
    let config = original.open().config;
    let folder = tempfile::tempdir().unwrap();
    let parameters = unrounded(Layout::new(&config).length());
    export::export(folder.path(), &config, &parameters, &original.tokenizer).unwrap();
    let read = |folder: &Path, name: &str| -> serde_json::Map<String, serde_json::Value> {
        serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
    };
    let released = read(original.folder.path(), "config.json");
    let ours = read(folder.path(), "config.json");
    // What loaders ignore and only the release's own training and tools set.
    let left_out = ["router_aux_loss_coef", "transformers_version"];
    let expected: Vec<&String> = released.keys().filter(|key| !left_out.contains(&key.as_str())).collect();
    assert_eq!(ours.keys().collect::<Vec<_>>(), expected);
    let ids = harmony::Vocabulary::from_tokenizer_json(&original.tokenizer).unwrap().harmony_ids().unwrap();
    assert_eq!(ours["eos_token_id"], ids.return_);
    assert_eq!(ours["pad_token_id"], ids.end_of_text.unwrap());
    for key in expected.into_iter().filter(|key| !key.ends_with("token_id") && *key != "rope_theta") {
        assert_eq!(ours[key], released[key], "{key}");
    }
    let generation = read(folder.path(), "generation_config.json");
    let stop = [ids.return_, ids.call, ids.end_of_text.unwrap()];
    assert_eq!(generation["eos_token_id"], serde_json::json!(stop));
    assert_eq!(Checkpoint::open(folder.path()).unwrap().stop_ids, stop);
}

#[test]
fn what_must_not_be_written_is_refused() {
    let original = Original::write();
    let config = original.open().config;
    let layout = Layout::new(&config);
    let folder = tempfile::tempdir().unwrap();
    let refused = |parameters: &[f32], config: &model::ModelConfig, tokenizer: &[u8]| {
        let error = export::export(folder.path(), config, parameters, tokenizer).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");
        error
    };
    let mut parameters = unrounded(layout.length());
    let gate_up = layout.tensors().iter().find(|tensor| tensor.name.contains("gate_up_proj")).unwrap();
    parameters[gate_up.range.start + 5] = f32::INFINITY;
    let error = refused(&parameters, &config, &original.tokenizer);
    assert!(matches!(&error, Error::Diverged { index: 5, .. }), "{error}");
    assert!(error.to_string().starts_with("model.layers.0.mlp.experts.gate_up_proj: value 5 is inf"), "{error}");
    parameters[gate_up.range.start + 5] = 0.0;
    assert!(matches!(refused(&parameters, &config, b"{}"), Error::Tokenizer(_)));
    let smaller = model::ModelConfig { vocabulary_size: 64, ..config };
    let parameters = unrounded(Layout::new(&smaller).length());
    assert!(matches!(refused(&parameters, &smaller, &original.tokenizer), Error::TokenizerTooLarge { .. }));
}
