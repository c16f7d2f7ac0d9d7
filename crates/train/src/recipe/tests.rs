//! Recipes as people write them: what is left out, what is wrong and how it is said.

use std::path::Path;

use model::AttentionKind;

use super::{EarlyData, Optimiser, Recipe};

const SMALLEST: &str = r#"
[model]
hidden_size = 192
layers = 4
heads = 4
kv_heads = 2
experts = 8
intermediate_size = 128

[data]
corpus = { seed = 5, vocabulary_size = 2048 }

[train]
steps = 1000
tokens_per_step = 8192
learning_rate = 3e-3
output = "runs/one"
"#;

/// A recipe that says as little as possible.
pub(crate) fn recipe() -> Recipe {
    Recipe::parse(Path::new("recipes/one.toml"), SMALLEST).unwrap()
}

/// The message for the smallest recipe with one line replaced.
fn refused(from: &str, to: &str) -> String {
    assert!(SMALLEST.contains(from), "{from}");
    let text = SMALLEST.replacen(from, to, 1);
    let message = Recipe::parse(Path::new("recipes/one.toml"), &text).unwrap_err().to_string();
    assert!(message.starts_with("recipes/one.toml: ") && !message.contains('\n'), "{message}");
    message
}

#[test]
fn what_is_left_out_is_as_in_gpt_oss() {
    let recipe = recipe();
    let config = recipe.model.config(2048);
    assert_eq!(config.vocabulary_size, 2048);
    assert_eq!((config.head_dim, config.experts_per_token, config.sliding_window), (64, 4, 128));
    assert_eq!(config.layers[..2], [AttentionKind::Sliding, AttentionKind::Full]);
    assert_eq!((config.swiglu_limit, config.rms_norm_epsilon), (7.0, 1e-5));
    let yarn = config.rope.yarn.unwrap();
    assert_eq!((config.rope.theta, yarn.factor, yarn.original_context), (150_000.0, 32.0, 4096));
    assert!(!yarn.truncate);
    assert_eq!(recipe.document_tokens_max(), 4096);
    let plain = super::Shape { rope_factor: 1.0, ..recipe.model };
    assert_eq!(plain.config(2048).rope.yarn, None);
}

#[test]
fn files_are_beside_the_recipe() {
    let data =
        "[data]\nconversations = [\"train.jsonl\"]\nvalidation = [\"/there/valid.jsonl\"]\ntokenizer = \"t.json\"";
    let text = SMALLEST.replace("[data]\ncorpus = { seed = 5, vocabulary_size = 2048 }", data);
    let recipe = Recipe::parse(Path::new("recipes/one.toml"), &text).unwrap();
    assert_eq!(recipe.data.conversations, [Path::new("recipes/train.jsonl")]);
    assert_eq!(recipe.data.validation, [Path::new("/there/valid.jsonl")]);
    assert_eq!(recipe.data.tokenizer.as_deref(), Some(Path::new("recipes/t.json")));
}

#[test]
fn only_what_decides_the_course_is_in_the_digest() {
    let digest = |from: &str, to: &str| {
        let text = SMALLEST.replacen(from, to, 1);
        Recipe::parse(Path::new("elsewhere/two.toml"), &text).unwrap().digest().value()
    };
    let own = recipe().digest().value();
    for same in [
        "threads = 2",
        "recompute = true",
        "checkpoint_every_steps = 7",
        "validate_every_steps = 9",
        "validation_samples = 3",
    ] {
        assert_eq!(digest("steps = 1000", &format!("steps = 1000\n{same}")), own, "{same}");
    }
    assert_eq!(digest("runs/one", "runs/two"), own);
    assert_eq!(digest("steps = 1000", "steps = 1000\noptimiser = \"adamw\""), own, "what is usual may be said");
    for other in
        ["seed = 2", "prompt_weight = 0.2", "micro_batch_tokens = 2048", "betas = [0.9, 0.95]", "optimiser = \"muon\""]
    {
        assert_ne!(digest("steps = 1000", &format!("steps = 1000\n{other}")), own, "{other}");
    }
    assert_ne!(digest("seed = 5", "seed = 6"), own);
    let early = |items: u64, weight: u64| {
        digest("= 2048 }", &format!("= 2048, early = {{ items = {items}, mixture = {{ copying = {weight} }} }} }}"))
    };
    assert_ne!(early(400, 120), own);
    assert_ne!(early(400, 120), early(401, 120));
    assert_ne!(early(400, 120), early(400, 121));
    assert_ne!(digest("layers = 4", "layers = 3"), own);
}

#[test]
fn parameters_move_by_adam_if_not_said_otherwise() {
    let read = |line: &str| {
        let text = SMALLEST.replacen("steps = 1000", &format!("steps = 1000\n{line}"), 1);
        Recipe::parse(Path::new("recipes/one.toml"), &text).unwrap().train.optimiser
    };
    assert_eq!(recipe().train.optimiser, Optimiser::AdamW);
    assert_eq!(read("optimiser = \"adamw\""), Optimiser::AdamW);
    assert_eq!(read("optimiser = \"muon\""), Optimiser::Muon);
}

#[test]
fn another_mixture_may_come_first() {
    assert_eq!(recipe().data.corpus.unwrap().early, None);
    let table = "\n[data.corpus.early]\nitems = 4000\nmixture = { copying = 120, story = 0 }\n";
    let corpus = format!("[data.corpus]\nseed = 5\nvocabulary_size = 2048\n{table}");
    let text = SMALLEST.replace("[data]\ncorpus = { seed = 5, vocabulary_size = 2048 }", &corpus);
    let recipe = Recipe::parse(Path::new("recipes/one.toml"), &text).unwrap();
    let mixture = [("copying".to_owned(), 120), ("story".to_owned(), 0)].into();
    assert_eq!(recipe.data.corpus.unwrap().early, Some(EarlyData { items: 4000, mixture }));
}

#[test]
fn wrong_values_are_named_with_what_is_allowed() {
    let cases: [(&str, &str, &[&str]); 22] = [
        ("hidden_size = 192", "hidden_size = 100", &["model.hidden_size is 100", "a multiple of 32"]),
        ("intermediate_size = 128", "intermediate_size = 0", &["model.intermediate_size is 0"]),
        ("layers = 4", "layers = 0", &["model.layers is 0", "1 to 4096"]),
        ("kv_heads = 2", "kv_heads = 3", &["model.kv_heads is 3", "a divisor of model.heads (4)"]),
        ("kv_heads = 2", "kv_heads = 2\nhead_dim = 5", &["model.head_dim is 5", "even"]),
        ("experts = 8", "experts = 3", &["model.experts_per_token is 4", "1 to model.experts (3)"]),
        ("experts = 8", "experts = 8\nrope_theta = nan", &["model.rope_theta is NaN", "2 to"]),
        ("learning_rate = 3e-3", "learning_rate = 0", &["train.learning_rate is 0", "above 0"]),
        ("steps = 1000", "steps = 0", &["train.steps is 0", "1 to"]),
        (
            "steps = 1000",
            "steps = 1000\nwarmup_steps = 1001",
            &["train.warmup_steps is 1001", "0 to train.steps (1000)"],
        ),
        ("steps = 1000", "steps = 1000\nbetas = [0.9, 1.0]", &["train.betas is 1", "below 1"]),
        ("steps = 1000", "steps = 1000\nprompt_steps_share = 20", &["train.prompt_steps_share is 20", "0 to 1"]),
        ("steps = 1000", "steps = 1000\nthreads = 0", &["train.threads is 0", "1 to 1024"]),
        ("\"runs/one\"", "\"\"", &["train.output is nothing", "a folder"]),
        ("[data]", "[data]\nconversations = [\"a\"]", &["data is both", "either"]),
        ("corpus = { seed = 5, vocabulary_size = 2048 }", "", &["data is neither"]),
        ("corpus = { seed = 5, vocabulary_size = 2048 }", "conversations = [\"a\"]", &["data.tokenizer is nothing"]),
        ("[data]", "[data]\ndocument_tokens_max = 5000", &["data.document_tokens_max is 5000", "2 to 4096"]),
        ("= 2048 }", "= 2048, mixture = { story = 2000000 } }", &["data.corpus.mixture.story is 2000000"]),
        (
            "= 2048 }",
            "= 2048, early = { items = 9, mixture = { copying = 1000001 } } }",
            &["data.corpus.early.mixture.copying is 1000001", "0 to 1000000"],
        ),
        ("= 2048 }", "= 2048, early = { items = 0, mixture = {} } }", &["data.corpus.early.items is 0", "1 to"]),
        (
            "= 2048 }",
            "= 2048, early = { items = 2000000000000, mixture = {} } }",
            &["data.corpus.early.items is 2000000000000", "1 to 1099511627776"],
        ),
    ];
    for (from, to, expected) in cases {
        let message = refused(from, to);
        for part in expected {
            assert!(message.contains(part), "{part:?} in {message}");
        }
    }
}

#[test]
fn what_is_no_recipe_is_shown_with_its_line() {
    for (from, to, expected) in [
        ("layers = 4", "layer = 4", "line 4 (layer = 4): unknown field `layer`"),
        ("steps = 1000", "steps = -1", "line 14 (steps = -1): invalid value: integer `-1`"),
        ("steps = 1000", "steps = \"many\"", "line 14 (steps = \"many\"): invalid type: string \"many\""),
        ("steps = 1000", "steps = ", "line 14 (steps =): "),
        ("[train]", "[trian]", "unknown field `trian`"),
        (
            "steps = 1000",
            "steps = 1000\noptimiser = \"sgd\"",
            "line 15 (optimiser = \"sgd\"): unknown variant `sgd`, expected `adamw` or `muon`",
        ),
        ("= 2048 }", "= 2048, early = { items = 9 } }", "missing field `mixture`"),
        ("= 2048 }", "= 2048, early = { mixture = {} } }", "missing field `items`"),
        (
            "= 2048 }",
            "= 2048, early = { items = 9, mixture = {}, seed = 1 } }",
            "unknown field `seed`, expected `items` or `mixture`",
        ),
        ("= 2048 }", "= 2048, early = { items = 9, mixture = { story = -1 } } }", "invalid value: integer `-1`"),
    ] {
        let message = refused(from, to);
        assert!(message.contains(expected), "{expected} in {message}");
    }
    assert!(refused("heads = 4\n", "").contains("missing field `heads`"));
}
