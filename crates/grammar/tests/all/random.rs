//! Random schemas, and the schemas of a public suite where it lies on this machine: every text that comes to its end under an accepted
//! schema must fit it for another reader of schemas.

use std::path::PathBuf;

use super::walks::Dice;
use super::{vocabulary, walks};
use grammar::{Error, Limits, Mode, Source, Tokens};
use serde_json::{Map, Value, json};

/// What a schema may say about one sort of value, or about others.
fn keyword(dice: &mut Dice, depth: usize, schema: &mut Map<String, Value>) {
    let number = |dice: &mut Dice| json!(dice.roll(9) as i64 - 4);
    let below = |dice: &mut Dice| random_schema(dice, depth.saturating_sub(1));
    let name = |dice: &mut Dice| ["a", "b", "c"][dice.roll(3)].to_string();
    let (keyword, value) = match dice.roll(if depth == 0 { 13 } else { 26 }) {
        0 | 1 => ("type", json!((["object", "array", "string", "integer", "number", "boolean", "null"][dice.roll(7)]))),
        2 => ("type", json!([(["object", "array"][dice.roll(2)]), (["string", "number"][dice.roll(2)]), "null"])),
        3 => ("enum", json!([number(dice), "a", "bb", null, true, [number(dice)], {"a": number(dice)}])),
        4 => ("const", [json!("a"), number(dice), json!({"a": 1}), json!([])][dice.roll(4)].clone()),
        5 => ("minimum", number(dice)),
        6 => ("exclusiveMaximum", json!(dice.roll(50) as f64 / 4.0)),
        7 => ("multipleOf", [json!(2), json!(3), json!(0.5)][dice.roll(3)].clone()),
        8 => ("minLength", json!(dice.roll(4))),
        9 => ("maxLength", json!(dice.roll(6))),
        10 => ("pattern", json!((["^[ab]+$", "b", "^\\d", "[^a]$", "^(a|bb|)$"][dice.roll(5)]))),
        11 => ("maxItems", json!(dice.roll(4))),
        12 => ("minProperties", json!(dice.roll(2))),
        13 => ("items", below(dice)),
        14 => ("prefixItems", json!([below(dice), below(dice)])),
        15 => ("contains", below(dice)),
        16 => ("properties", Value::Object((0..3).map(|_| (name(dice), below(dice))).collect())),
        17 => ("required", json!([name(dice)])),
        18 => ("additionalProperties", below(dice)),
        19 => (
            "patternProperties",
            Value::Object(Map::from_iter([(["^a", "b", "c$"][dice.roll(3)].to_string(), below(dice))])),
        ),
        20 => ("anyOf", json!([below(dice), below(dice)])),
        21 => ("oneOf", json!([below(dice), below(dice)])),
        22 => ("allOf", json!([below(dice), below(dice)])),
        23 => ("not", below(dice)),
        24 => {
            schema.insert("then".to_string(), below(dice));
            schema.insert("else".to_string(), below(dice));
            ("if", below(dice))
        }
        _ => ("dependentRequired", json!({name(dice): [name(dice)]})),
    };
    schema.insert(keyword.to_string(), value);
}

fn random_schema(dice: &mut Dice, depth: usize) -> Value {
    if dice.roll(12) == 0 {
        return json!(dice.roll(4) > 0);
    }
    let mut schema = Map::new();
    for _ in 0..=dice.roll(3) {
        keyword(dice, depth, &mut schema);
    }
    Value::Object(schema)
}

#[test]
fn texts_under_random_schemas_fit() {
    let vocabulary = vocabulary();
    let tokens = Tokens::new(&vocabulary, Limits::default());
    let (mut accepted, mut texts) = (0, 0);
    for seed in 0..SEEDS {
        let mut dice = Dice(seed);
        let schema = random_schema(&mut dice, 2);
        match tokens.compile(&Source::JsonSchema { schema: schema.clone() }, Mode::Relaxed) {
            Ok(_) => {}
            Err(Error::Unsatisfiable { .. } | Error::Unenforceable { .. } | Error::Limit { .. }) => {}
            Err(error) => panic!("{schema}: {error}"),
        }
        let grammar = match tokens.compile(&Source::JsonSchema { schema: schema.clone() }, Mode::Strict) {
            Ok(grammar) => grammar,
            Err(Error::Unsatisfiable { .. } | Error::Unenforceable { .. } | Error::Limit { .. }) => continue,
            Err(error) => panic!("{schema}: {error}"),
        };
        accepted += 1;
        let validator = jsonschema::validator_for(&schema).unwrap();
        for eager in [3, 30] {
            let walk = walks::walk(&grammar, &vocabulary, &mut dice, eager)
                .unwrap_or_else(|error| panic!("{schema}: {error}"));
            if walk.is_complete {
                texts += 1;
                assert_eq!(walks::complaint(&validator, &walk.text), None, "seed {seed}: {schema}");
            }
        }
    }
    println!("{accepted} of {SEEDS} schemas accepted, {texts} texts");
    assert!(accepted > SEEDS / 2 && texts > SEEDS / 2);
}

const SEEDS: u64 = 1_200;

/// What is accepted of each split at least, in percent.
const ACCEPTED: [(&str, usize); 10] = [
    ("Github_easy", 99),
    ("Github_hard", 97),
    ("Github_medium", 98),
    ("Github_trivial", 98),
    ("Github_ultra", 97),
    ("Glaiveai2K", 99),
    ("JsonSchemaStore", 73),
    ("Kubernetes", 99),
    ("Snowplow", 99),
    ("WashingtonPost", 99),
];

#[test]
fn texts_under_the_schemas_of_a_public_suite_fit() {
    let Some(folder) = std::env::var_os("GLOSSA_SUITES").map(|suites| PathBuf::from(suites).join("jsonschemabench"))
    else {
        println!("SKIPPED: GLOSSA_SUITES names no folder with jsonschemabench/*.jsonl");
        return;
    };
    let vocabulary = vocabulary();
    let tokens = Tokens::new(&vocabulary, Limits { grammars_kept: 0, ..Limits::default() });
    for (split, percent) in ACCEPTED {
        let file = folder.join(split).with_extension("jsonl");
        let Ok(lines) = std::fs::read_to_string(&file) else {
            println!("SKIPPED: {} cannot be read", file.display());
            continue;
        };
        let (mut accepted, mut all, mut texts) = (0, 0, 0);
        for line in lines.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let (name, schema) = (&line["name"], &line["schema"]);
            all += 1;
            let Ok(grammar) = tokens.compile(&Source::JsonSchema { schema: schema.clone() }, Mode::Strict) else {
                continue;
            };
            accepted += 1;
            let Ok(validator) = jsonschema::validator_for(schema) else { continue };
            let walk = walks::walk(&grammar, &vocabulary, &mut Dice(all as u64), 15)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            if walk.is_complete {
                texts += 1;
                assert_eq!(walks::complaint(&validator, &walk.text), None, "{split} {name}");
            }
        }
        println!("{split}: {accepted} of {all} accepted, {texts} texts fit");
        assert!(accepted * 100 >= percent * all, "{split}: only {accepted} of {all} accepted");
    }
}
