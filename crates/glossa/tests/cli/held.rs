//! The shipped model, held to schemas that people wrote: what `glossa serve` calls complete fits them, and what it cannot hold to it
//! refuses by name. The schemas are a public suite's and lie where `GLOSSA_SUITES` says, in `jsonschemabench/*.jsonl` with lines of
//! `{name, schema}`.
//!
//! A few of each file are tried, as many as `GLOSSA_HELD_SCHEMAS` says where it is set, and by the program that `GLOSSA_HELD_PROGRAM`
//! names, such as a release build.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::serve::Server;

/// Schemas of each file.
const SCHEMAS: usize = 6;
/// Bytes of a schema that is tried, unless all are asked for: the model takes 4,096 tokens.
const BYTES_MAX: usize = 3_000;
/// Tokens of an answer, with what is thought before.
const TOKENS_MAX: usize = 300;
/// Requests at once.
const TOGETHER: usize = 8;

/// A schema of the suite.
struct Schema {
    split: String,
    name: String,
    schema: Value,
}

/// How the schemas of a file fared.
#[derive(Debug, Default)]
struct Split {
    accepted: usize,
    refused: usize,
    too_long: usize,
    /// Answers that were begun and came to a limit of the grammar's engine.
    given_up: usize,
    completed: usize,
    cut: usize,
    /// Answers to schemas that the other reader does not take.
    unread: usize,
    invalid: Vec<String>,
}

/// The schemas to be tried; nothing where there is no suite.
fn schemas() -> Option<Vec<Schema>> {
    let folder = PathBuf::from(std::env::var_os("GLOSSA_SUITES")?).join("jsonschemabench");
    let asked = std::env::var("GLOSSA_HELD_SCHEMAS").ok().map(|count| count.parse::<usize>().unwrap());
    let mut schemas = Vec::new();
    for file in std::fs::read_dir(folder).ok()? {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| asked.is_some() || line.len() < BYTES_MAX).collect();
        let count = asked.unwrap_or(SCHEMAS).clamp(1, lines.len().max(1));
        for line in lines.iter().step_by((lines.len() / count).max(1)).take(count) {
            let mut line = crate::json(line);
            let name = line["name"].as_str().unwrap_or_default().to_owned();
            let split = file.file_stem().unwrap().to_string_lossy().into_owned();
            schemas.push(Schema { split, name, schema: line["schema"].take() });
        }
    }
    (!schemas.is_empty()).then_some(schemas)
}

/// Status and answer of a chat in this form.
fn ask(address: &str, seed: usize, schema: &Value) -> (u16, Value) {
    let format =
        json!({ "type": "json_schema", "json_schema": { "name": "answer", "strict": true, "schema": schema } });
    let body = json!({
        "model": "glossa-tiny", "messages": [{ "role": "user", "content": "Make up an example." }], "response_format": format,
        "temperature": 1, "seed": seed, "reasoning_effort": "low", "max_completion_tokens": TOKENS_MAX,
        "reserve_answer_tokens": TOKENS_MAX / 2,
    });
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let request = ureq::Agent::new_with_config(config).post(format!("http://{address}/v1/chat/completions"));
    let mut response = request.header("content-type", "application/json").send(body.to_string()).unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    (response.status().as_u16(), crate::json(&text))
}

impl Split {
    fn add(&mut self, name: &str, schema: &Value, status: u16, answer: &Value) {
        if status == 400 {
            let error = &answer["error"];
            if error["message"].as_str().is_some_and(|message| message.starts_with("the output cannot be held")) {
                self.given_up += 1;
                return;
            }
            assert!(error["param"].as_str().is_some_and(|param| !param.is_empty()), "{name}: {answer}");
            let is_too_long = error["code"] == "context_length_exceeded";
            *(if is_too_long { &mut self.too_long } else { &mut self.refused }) += 1;
            return;
        }
        assert_eq!(status, 200, "{name}: {answer}");
        self.accepted += 1;
        let choice = &answer["choices"][0];
        if choice["finish_reason"] != "stop" {
            assert_eq!(choice["finish_reason"], "length", "{name}: {answer}");
            self.cut += 1;
            return;
        }
        self.completed += 1;
        let Ok(validator) = jsonschema::validator_for(schema) else {
            self.unread += 1;
            return;
        };
        let text = choice["message"]["content"].as_str().unwrap_or_default();
        let complaint = match serde_json::from_str::<Value>(text) {
            Ok(value) => validator.validate(&value).err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        self.invalid.extend(complaint.map(|complaint| format!("{name}: {complaint}: {text}")));
    }
}

#[test]
fn what_is_called_complete_fits_the_schemas_of_a_public_suite() {
    let Some(schemas) = schemas() else {
        println!("SKIPPED: GLOSSA_SUITES names no folder with jsonschemabench/*.jsonl");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let program = std::env::var("GLOSSA_HELD_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_glossa").to_owned());
    let server = Server::start_program(&program, home.path(), &[]);
    let (next, splits) = (Mutex::new(schemas.iter().enumerate()), Mutex::new(BTreeMap::<&str, Split>::new()));
    std::thread::scope(|scope| {
        for _ in 0..TOGETHER {
            scope.spawn(|| {
                loop {
                    let Some((seed, Schema { split, name, schema })) = next.lock().unwrap().next() else { return };
                    let (status, answer) = ask(server.address(), seed, schema);
                    splits.lock().unwrap().entry(split).or_default().add(name, schema, status, &answer);
                }
            });
        }
    });
    let splits = splits.into_inner().unwrap();
    let (mut accepted, mut completed, mut lost) = (0, 0, 0);
    for (name, split) in &splits {
        let Split { accepted: taken, refused, too_long, given_up, completed: ended, cut, unread, invalid } = split;
        println!(
            "{name}: {taken} accepted, {refused} refused, {too_long} too long, {given_up} given up; {ended} complete ({unread} unread), {cut} cut, {} invalid",
            invalid.len()
        );
        (accepted, completed, lost) = (accepted + taken, completed + ended, lost + given_up);
    }
    let invalid: Vec<&String> = splits.values().flat_map(|split| &split.invalid).collect();
    assert!(invalid.is_empty(), "{invalid:#?}");
    assert!(
        accepted > schemas.len() / 2 && completed > schemas.len() / 8 && lost <= schemas.len() / 100,
        "{splits:#?}"
    );
}
