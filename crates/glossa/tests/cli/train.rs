//! `glossa train`: a recipe becomes a model; runs that are stopped, killed or interrupted go on as if nothing had been.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{glossa, json, stdout};

/// A tiny model on the built-in corpus: what a run of a second is enough for.
const TINY: &str = r#"
[model]
hidden_size = 32
layers = 2
heads = 2
kv_heads = 1
head_dim = 16
experts = 4
experts_per_token = 2
intermediate_size = 32
sliding_window = 32
context = 2048

[data]
corpus = { seed = 3, vocabulary_size = 600, vocabulary_items = 30 }

[train]
steps = 9
tokens_per_step = 700
micro_batch_tokens = 2048
learning_rate = 4e-3
checkpoint_every_steps = 2
validate_every_steps = 4
validation_samples = 3
output = "not used"
"#;

/// A folder with a recipe, deleted afterwards.
struct Kitchen {
    folder: tempfile::TempDir,
}

impl Kitchen {
    fn new(recipe: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("recipe.toml"), recipe).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The arguments of a run into a folder of that name.
    fn arguments(&self, output: &str, options: &[&str]) -> Vec<String> {
        let [recipe, output] = ["recipe.toml", output].map(|name| self.path(name).to_str().unwrap().to_owned());
        let options = options.iter().map(|&option| option.to_owned());
        ["train".to_owned(), recipe, "--output".to_owned(), output].into_iter().chain(options).collect()
    }

    fn train(&self, output: &str, options: &[&str]) -> String {
        let arguments = self.arguments(output, options);
        stdout(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), b"")
    }

    /// What a run says that is refused.
    fn refused(&self, output: &str, options: &[&str]) -> String {
        let arguments = self.arguments(output, options);
        let run = glossa(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), b"");
        assert_eq!(run.status.code(), Some(1));
        let text = String::from_utf8(run.stderr).unwrap();
        text.lines().find(|line| line.starts_with("glossa: ")).expect("an error in one line").to_owned()
    }

    fn start(&self, output: &str) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glossa"));
        command.args(self.arguments(output, &["--resume"]));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn model(&self, output: &str) -> Vec<u8> {
        fs::read(self.path(output).join("model/model.safetensors")).unwrap()
    }
}

/// Waits until a folder has a file that is no leftover; a run that never gets there fails the test.
fn wait_for_a_checkpoint(folder: &Path) {
    let patience = Instant::now();
    let is_whole = |entry: fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "state");
    while !fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(is_whole)) {
        assert!(patience.elapsed() < Duration::from_secs(300), "no checkpoint in {}", folder.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn metrics(path: &Path) -> Vec<serde_json::Value> {
    fs::read_to_string(path).unwrap().lines().map(json).collect()
}

#[test]
fn a_recipe_becomes_a_model_that_runs() {
    let kitchen = Kitchen::new(TINY);
    let dry = kitchen.train("run", &["--dry-run"]);
    for word in ["parameters", "GFLOP/s", "memory", "disk", "9 steps of 700 tokens"] {
        assert!(dry.contains(word), "{word} in {dry}");
    }
    assert!(!kitchen.path("run").exists(), "a dry run writes nothing");
    let said = kitchen.train("run", &[]);
    assert!(said.contains("trained  9 steps") && said.contains("validation"), "{said}");
    let lines = metrics(&kitchen.path("run/metrics.jsonl"));
    assert_eq!(
        lines.iter().map(|line| line["step"].as_u64().unwrap()).collect::<Vec<_>>(),
        (1..=9).collect::<Vec<_>>()
    );
    for (line, step) in lines.iter().zip(1..) {
        assert!(line["tokens"].as_u64().unwrap() >= 700 * step && line["loss"].as_f64().unwrap() > 0.0);
        assert_eq!(line["validation_loss"].is_f64(), [4, 8, 9].contains(&step), "{line}");
    }
    assert!(fs::read_to_string(kitchen.path("run/loss.svg")).unwrap().contains("class=\"validation\""));
    let model = kitchen.path("run/model");
    let answer = stdout(&["run", model.to_str().unwrap(), "Hello", "--max-tokens", "5", "--json", "--seed", "1"], b"");
    assert_eq!(json(&answer)["usage"]["generated_tokens"], 5);
}

#[test]
fn stopped_or_killed_runs_end_as_if_nothing_had_been() {
    let kitchen = Kitchen::new(TINY);
    kitchen.train("whole", &["--threads", "2"]);
    let said = kitchen.train("parts", &["--steps", "5", "--threads", "1"]);
    assert!(said.contains("--resume"), "{said}");
    assert_ne!(kitchen.model("parts"), kitchen.model("whole"));
    // Whatever a run wrote after its last checkpoint is done again.
    fs::remove_file(kitchen.path("parts/checkpoints/step-0000000005.state")).unwrap();
    kitchen.train("parts", &["--resume", "--threads", "1"]);
    assert!(kitchen.model("parts") == kitchen.model("whole"), "other threads and a break change nothing");
    let lines = metrics(&kitchen.path("parts/metrics.jsonl"));
    assert_eq!(lines.len(), 9);
    for (part, whole) in lines.iter().zip(metrics(&kitchen.path("whole/metrics.jsonl"))) {
        for figure in ["step", "tokens", "loss", "gradient_norm", "learning_rate"] {
            assert_eq!(part[figure], whole[figure], "{figure}");
        }
    }
    // Killed without warning, wherever it happens to be, and killed again.
    for _ in 0..2 {
        let mut child = kitchen.start("killed");
        wait_for_a_checkpoint(&kitchen.path("killed/checkpoints"));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    kitchen.train("killed", &["--resume"]);
    assert!(kitchen.model("killed") == kitchen.model("whole"), "a kill changes nothing");
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_a_checkpoint_and_says_how_to_go_on() {
    let kitchen = Kitchen::new(&TINY.replace("steps = 9", "steps = 1000000"));
    let child = kitchen.start("run");
    wait_for_a_checkpoint(&kitchen.path("run/checkpoints"));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("stopped after step") && said.contains("--resume --output"), "{said}");
    let last = metrics(&kitchen.path("run/metrics.jsonl")).last().unwrap()["step"].as_u64().unwrap();
    assert!(kitchen.path(&format!("run/checkpoints/step-{last:010}.state")).is_file(), "the very last step is saved");
}

#[test]
fn mistakes_are_said_in_a_line() {
    let kitchen = Kitchen::new(TINY);
    kitchen.train("run", &["--steps", "1"]);
    assert!(kitchen.refused("run", &[]).contains("holds a run already; go on with it by --resume"));
    let recipe = kitchen.path("recipe.toml");
    let mut cases = vec![("learning_rate = 4e-3", "learning_rate = 5e-3", "run", "another recipe")];
    cases.push(("hidden_size = 32", "hidden_size = 64", "run", "another shape of model"));
    cases.push(("hidden_size = 32", "hidden_size = 33", "new", "model.hidden_size is 33; allowed: a multiple of 32"));
    cases.push(("steps = 9", "stepps = 9", "new", "unknown field `stepps`"));
    cases.push(("vocabulary_items = 30", "mixture = { poems = 1 }", "new", "no skill is called \"poems\""));
    let early = "vocabulary_items = 30, early = { items = 9, mixture = { poems = 1 } }";
    cases.push(("vocabulary_items = 30", early, "new", "no skill is called \"poems\""));
    cases.push(("[data]", "[data]\ndocument_tokens_max = 5", "new", "data.document_tokens_max"));
    for (from, to, output, expected) in cases {
        assert!(TINY.contains(from), "{from}");
        fs::write(&recipe, TINY.replacen(from, to, 1)).unwrap();
        let message = kitchen.refused(output, &["--resume"]);
        assert!(message.contains(expected), "{expected} in {message}");
    }
    fs::write(&recipe, TINY).unwrap();
    let checkpoint = kitchen.path("run/checkpoints/step-0000000001.state");
    fs::write(&checkpoint, &fs::read(&checkpoint).unwrap()[1..]).unwrap();
    assert!(kitchen.refused("run", &["--resume"]).contains("none of the 1 checkpoints is whole"));
    assert!(kitchen.refused("run", &["--resume", "--threads", "0"]).contains("--threads 0"));
    assert!(kitchen.refused("run", &["--resume", "--isa", "reference"]).contains("--isa reference"));
}

#[test]
fn conversations_of_ones_own_are_learnt() {
    let data = "conversations = [\"mine.jsonl\"]\nvalidation = [\"mine.jsonl\"]\ntokenizer = \"tokenizer.json\"";
    let corpus = "corpus = { seed = 3, vocabulary_size = 600, vocabulary_items = 30 }";
    let kitchen = Kitchen::new(&TINY.replace(corpus, data).replace("steps = 9", "steps = 60\nprompt_steps_share = 0"));
    // The tokenizer of another run serves.
    fs::write(kitchen.path("other.toml"), TINY).unwrap();
    let [other, output] = ["other.toml", "other"].map(|name| kitchen.path(name).to_str().unwrap().to_owned());
    stdout(&["train", &other, "--output", &output, "--steps", "1"], b"");
    fs::copy(kitchen.path("other/model/tokenizer.json"), kitchen.path("tokenizer.json")).unwrap();
    let user = r#"{"role":"user","content":"Who are you?"}"#;
    let told = r#"{"role":"assistant","channel":"final","content":"I am a tea pot."}"#;
    let line = format!("{{\"messages\":[{user},{told},{user},{told}]}}\n");
    fs::write(kitchen.path("mine.jsonl"), line.repeat(3) + "\n").unwrap();
    kitchen.train("run", &[]);
    let lines = metrics(&kitchen.path("run/metrics.jsonl"));
    let last = lines.last().unwrap();
    assert!(last["validation_accuracy"].as_f64().unwrap() > 0.9, "one sentence is learnt by heart: {last}");
    for (text, expected) in [
        (format!("{{\"messages\":[{user}]}}"), "on line 1: a turn that the assistant does not end"),
        (line.clone() + "{}", "on line 2: missing field `messages`"),
        (line.replace("\"channel\"", "\"chanel\""), "on line 1: the field chanel, which would be lost"),
        (String::new(), "nothing"),
    ] {
        fs::write(kitchen.path("mine.jsonl"), text).unwrap();
        let message = kitchen.refused("new", &[]);
        assert!(message.contains("mine.jsonl") && message.contains(expected), "{expected} in {message}");
    }
}

/// The validation loss that a minute of the smoke recipe must reach; guessing gives 6.6.
const SMOKE_LOSS_MAX: f64 = 2.0;

#[test]
fn a_minute_of_training_learns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let kitchen = Kitchen::new(&fs::read_to_string(root.join("recipes/smoke.toml")).unwrap());
    kitchen.train("run", &[]);
    let last = metrics(&kitchen.path("run/metrics.jsonl")).pop().unwrap();
    let loss = last["validation_loss"].as_f64().unwrap();
    assert!(loss < SMOKE_LOSS_MAX, "validation loss {loss}, allowed {SMOKE_LOSS_MAX}");
}
