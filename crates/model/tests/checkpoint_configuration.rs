//! Hyperparameters are read, not assumed: what transformers accepts is honoured, the rest is refused by field.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod tiny_models;

use model::{AttentionKind, Checkpoint, Error, Yarn};
use serde_json::{Value, json};
use tempfile::TempDir;
use tiny_models::safetensors_files::ModelDirectory;

fn open(change: impl Fn(&mut ModelDirectory)) -> Result<Checkpoint, Error> {
    let folder = TempDir::new().unwrap();
    let mut directory = ModelDirectory::single_file();
    change(&mut directory);
    directory.write(folder.path());
    Checkpoint::open(folder.path())
}

fn open_config(change: impl Fn(&mut Value)) -> Result<Checkpoint, Error> {
    open(|directory| change(&mut directory.config))
}

fn yarn(change: impl Fn(&mut Value)) -> Option<Yarn> {
    open_config(change).unwrap().config.rope.yarn
}

#[test]
fn other_spellings_are_understood() {
    let usual = open(|_| {}).unwrap();
    let same: [fn(&mut Value); 6] = [
        |it| drop(it.as_object_mut().unwrap().remove("layer_types")),
        |it| drop(it.as_object_mut().unwrap().remove("experts_per_token")),
        |it| drop(it.as_object_mut().unwrap().remove("num_experts_per_tok")),
        |it| drop(it.as_object_mut().unwrap().remove("quantization_config")),
        // transformers 5 keeps the base frequency with the other rotary parameters.
        |it| {
            let mut parameters = it.as_object_mut().unwrap().remove("rope_scaling").unwrap();
            parameters["rope_theta"] = it.as_object_mut().unwrap().remove("rope_theta").unwrap();
            it["rope_parameters"] = parameters;
        },
        |it| it["rope_scaling"]["attention_factor"] = json!(1.346_573_590_279_972_7),
    ];
    for (index, change) in same.iter().enumerate() {
        assert_eq!(open_config(change).unwrap().config, usual.config, "{index}");
    }
}

#[test]
fn every_setting_is_read() {
    let kinds = |list: Value| open_config(|it| it["layer_types"] = list.clone()).unwrap().config.layers;
    assert_eq!(kinds(json!(["full_attention", "full_attention"])), [AttentionKind::Full; 2]);
    assert_eq!(kinds(json!(["full_attention", "sliding_attention"])), [AttentionKind::Full, AttentionKind::Sliding]);
    let config = open_config(|it| {
        it["sliding_window"] = json!(77);
        it["rope_theta"] = json!(1234.5);
        it["rms_norm_eps"] = json!(1e-6);
        it["swiglu_limit"] = json!(5.5);
        it["max_position_embeddings"] = json!(8192);
        it["num_experts_per_tok"] = json!(5);
        it["experts_per_token"] = json!(5);
        it["num_key_value_heads"] = json!(3);
    });
    let config = config.unwrap().config;
    assert_eq!((config.sliding_window, config.context_length, config.experts_per_token), (77, 8192, 5));
    assert_eq!((config.rope.theta, config.rms_norm_epsilon, config.swiglu_limit), (1234.5, 1e-6, 5.5));
}

#[test]
fn yarn_settings_and_their_defaults() {
    let usual = Yarn { factor: 32.0, beta_fast: 32.0, beta_slow: 1.0, original_context: 4096, truncate: false };
    assert_eq!(yarn(|_| {}), Some(usual.clone()));
    assert_eq!(yarn(|it| it["rope_scaling"] = Value::Null), None);
    assert_eq!(yarn(|it| it["rope_scaling"] = json!({"rope_type": "default"})), None);
    // Absent, transformers rounds the ramp; the released file says false.
    let sparse = json!({"type": "yarn", "factor": 4, "original_max_position_embeddings": 512});
    let expected = Yarn { factor: 4.0, original_context: 512, truncate: true, ..usual.clone() };
    assert_eq!(yarn(|it| it["rope_scaling"] = sparse.clone()), Some(expected));
    let other = yarn(|it| {
        it["rope_scaling"]["beta_fast"] = json!(16);
        it["rope_scaling"]["beta_slow"] = json!(0.5);
        it["rope_scaling"]["factor"] = json!(8.0);
    });
    assert_eq!(other, Some(Yarn { beta_fast: 16.0, beta_slow: 0.5, factor: 8.0, ..usual }));
}

#[test]
fn a_tied_unembedding_is_the_embedding() {
    let tied = open(|directory| {
        directory.config["tie_word_embeddings"] = json!(true);
        directory.remove("lm_head.weight");
    });
    let tied = tied.unwrap();
    assert_eq!(tied.unembedding.bytes.as_ptr(), tied.embedding.bytes.as_ptr());
    let both = open_config(|it| it["tie_word_embeddings"] = json!(true)).err().unwrap().to_string();
    assert!(both.contains("lm_head.weight") && both.contains("unexpected"), "{both}");
}

#[test]
fn dense_weights_may_be_in_any_float_format() {
    let folder = TempDir::new().unwrap();
    let mut directory = ModelDirectory::single_file();
    directory.write(folder.path());
    let usual = Checkpoint::open(folder.path()).unwrap();
    for name in ["model.norm.weight", "model.layers.0.self_attn.q_proj.weight", "model.layers.1.mlp.router.bias"] {
        let tensor = directory.tensor(name);
        let pairs = tensor.bytes.as_chunks::<2>().0;
        tensor.bytes = pairs.iter().flat_map(|&[low, high]| [0, 0, low, high]).collect();
        tensor.dtype = "F32".into();
    }
    // Beside the first: a mapped file must not be written to.
    directory.write(&folder.path().join("wide"));
    let wide = Checkpoint::open(&folder.path().join("wide")).unwrap();
    assert_eq!(wide.final_norm, usual.final_norm);
    assert_eq!(wide.layers[1].router_bias, usual.layers[1].router_bias);
    let [wide, usual] = [&wide, &usual].map(|it| tiny_models::dense_values(&it.layers[0].query));
    assert!(wide == usual);
}

#[test]
fn stop_tokens_come_from_either_file() {
    let stop_ids = |generation: Option<Value>, config: Value| {
        open(|directory| {
            directory.generation.clone_from(&generation);
            directory.config["eos_token_id"] = config.clone();
        })
    };
    assert_eq!(stop_ids(Some(json!({"eos_token_id": [150, 9]})), json!(150)).unwrap().stop_ids, [150, 9]);
    assert_eq!(stop_ids(None, json!([7, 8, 7])).unwrap().stop_ids, [7, 8]);
    assert_eq!(stop_ids(Some(json!({})), Value::Null).unwrap().stop_ids, Vec::<u32>::new());
    for bad in [json!(160), json!(-1), json!("2"), json!([1, 2.5])] {
        let error = stop_ids(None, bad).err().unwrap().to_string();
        assert!(error.contains("config.json") && error.contains("eos_token_id"), "{error}");
    }
}

/// Where, the value there, and what the message must say.
type Refusal = (&'static [&'static str], Value, &'static [&'static str]);

#[test]
fn impossible_hyperparameters_are_refused_by_field() {
    let cases: Vec<Refusal> = vec![
        (&["model_type"], json!("llama"), &["unknown architecture", "llama"]),
        (&["architectures"], json!(["MixtralForCausalLM"]), &["unknown architecture", "MixtralForCausalLM"]),
        (
            &["quantization_config", "quant_method"],
            json!("bitsandbytes"),
            &["quantization_config.quant_method", "mxfp4"],
        ),
        (&["attention_bias"], json!(false), &["attention_bias", "true"]),
        (&["hidden_act"], json!("gelu"), &["hidden_act", "silu", "gelu"]),
        (&["num_hidden_layers"], json!(0), &["layer_types", "2 entries"]),
        (&["num_hidden_layers"], json!(u64::MAX), &["num_hidden_layers", "18446744073709551615"]),
        (&["num_hidden_layers"], json!("two"), &["num_hidden_layers", "whole number", "two"]),
        (&["num_hidden_layers"], json!(-2), &["num_hidden_layers", "-2"]),
        (&["layer_types"], json!(["sliding_attention", "chunked_attention"]), &["layer_types", "chunked_attention"]),
        (&["head_dim"], json!(15), &["head_dim", "even", "15"]),
        (&["head_dim"], json!(0), &["head_dim", "found 0"]),
        (&["head_dim"], Value::Null, &["head_dim", "no such field"]),
        (&["head_dim"], json!(18), &["model.layers.0.self_attn.q_proj.weight", "[108, 64]", "[96, 64]"]),
        (&["num_key_value_heads"], json!(4), &["num_key_value_heads", "divisor", "6"]),
        (&["num_key_value_heads"], json!(0), &["num_key_value_heads", "found 0"]),
        (&["hidden_size"], json!(65), &["hidden_size", "multiple of 32"]),
        (&["hidden_size"], json!(1_u64 << 62), &["hidden_size", "4611686018427387904"]),
        (&["intermediate_size"], json!(48), &["intermediate_size", "multiple of 32"]),
        (&["vocab_size"], json!(0), &["vocab_size", "found 0"]),
        (&["vocab_size"], json!(161), &["model.embed_tokens.weight", "[161, 64]", "[160, 64]"]),
        (&["num_local_experts"], json!(0), &["num_local_experts", "found 0"]),
        (&["experts_per_token"], json!(3), &["experts_per_token", "found 3"]),
        (&["sliding_window"], json!(0), &["sliding_window", "found 0"]),
        (&["sliding_window"], Value::Null, &["sliding_window", "no such field"]),
        (&["rms_norm_eps"], json!(0), &["rms_norm_eps", "above 0"]),
        (&["swiglu_limit"], json!(-7), &["swiglu_limit", "-7"]),
        (&["rope_theta"], json!(0), &["rope_theta", "above 1"]),
        (&["rope_scaling"], json!("yarn"), &["rope_scaling", "an object"]),
        (&["rope_scaling", "rope_type"], json!("llama3"), &["rope_scaling.rope_type", "yarn or default", "llama3"]),
        (&["rope_scaling", "rope_type"], Value::Null, &["rope_scaling.rope_type", "no such field"]),
        (&["rope_scaling", "factor"], json!(0.5), &["rope_scaling.factor", "0.5"]),
        (&["rope_scaling", "factor"], Value::Null, &["rope_scaling.factor", "no such field"]),
        (&["rope_scaling", "beta_fast"], json!(0.5), &["rope_scaling.beta_fast", "fast 0.5"]),
        (&["rope_scaling", "attention_factor"], json!(1.0), &["rope_scaling.attention_factor", "1.3465"]),
        (&["rope_scaling", "original_max_position_embeddings"], json!(0), &["original_max_position_embeddings"]),
        (&["tie_word_embeddings"], json!("no"), &["tie_word_embeddings", "true or false"]),
    ];
    for (place, value, expected) in cases {
        let change = |config: &mut Value| *place.iter().fold(config, |inner, name| &mut inner[*name]) = value.clone();
        let error = open_config(change).err().unwrap_or_else(|| panic!("{place:?} {value}")).to_string();
        assert!(!error.contains('\n'), "{error}");
        for part in expected {
            assert!(error.contains(part), "{place:?} {value}: no {part:?} in: {error}");
        }
    }
    let zero = open_config(|it| (it["num_hidden_layers"], it["layer_types"]) = (json!(0), json!([])));
    let zero = zero.err().unwrap().to_string();
    assert!(zero.contains("num_hidden_layers") && zero.contains("found 0"), "{zero}");
    let concentration = |it: &mut Value| {
        it["rope_scaling"]["mscale"] = json!(0.7);
        it["rope_scaling"]["mscale_all_dim"] = json!(1.0);
    };
    let error = open_config(concentration).err().unwrap().to_string();
    assert!(error.contains("rope_scaling.mscale"), "{error}");
}
