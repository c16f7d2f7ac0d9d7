//! Schemas and grammars that were written to do harm: they are refused by a limit that says its name, or compile and give masks within
//! bounds of work. Bounds are counted by the library in its own units, so that nothing here depends on a clock.

use super::{vocabulary, walks};
use grammar::{Error, Limits, Mode, Source, Tokens};
use serde_json::{Map, Value, json};

/// Compiles it, and follows it for a while where it was taken. Whatever is refused must be refused for its size.
fn survives(name: &str, source: &Source) -> Result<(), Error> {
    let vocabulary = vocabulary();
    let tokens = Tokens::new(&vocabulary, Limits::default());
    let begun = std::time::Instant::now();
    let compiled = tokens.compile(source, Mode::Strict);
    let compile_millis = begun.elapsed().as_millis();
    let grammar = match compiled {
        Ok(grammar) => grammar,
        Err(error) => {
            tell(&format!("{name}: refused after {compile_millis} ms: {error}"));
            return Err(error);
        }
    };
    let mut dice = walks::Dice(7);
    let (mut slowest, mut failures) = (0, 0);
    for _ in 0..2 {
        match walks::walk(&grammar, &vocabulary, &mut dice, 60) {
            Ok(walk) => slowest = slowest.max(walk.mask_micros.iter().copied().max().unwrap_or(0)),
            Err(error) => {
                assert!(matches!(error, Error::Limit { .. }), "{name}: {error}");
                failures += 1;
            }
        }
    }
    tell(&format!(
        "{name}: compiled in {compile_millis} ms; slowest mask {slowest} us; {failures} walks reached a limit"
    ));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "figures for people who look, in a test's own output")]
fn tell(line: &str) {
    println!("{line}");
}

fn schema(name: &str, schema: Value) -> Result<(), Error> {
    survives(name, &Source::JsonSchema { schema })
}

fn is_limit(refused: Result<(), Error>) -> bool {
    matches!(refused, Err(Error::Limit { .. }))
}

#[test]
fn depth() {
    let mut deep = json!({"type": "null"});
    for _ in 0..10_000 {
        // The macro would copy what it is given, with recursion.
        deep = Value::Object(Map::from_iter([("items".to_string(), deep)]));
    }
    // Even dropping it recurses, so it is taken apart afterwards.
    let source = Source::JsonSchema { schema: deep };
    assert!(is_limit(survives("10,000 arrays", &source)));
    let Source::JsonSchema { schema: mut deep } = source else { return };
    while let Some(inner) = deep.get_mut("items").map(Value::take) {
        deep = inner;
    }
    let mut negated = json!({"type": "string"});
    for _ in 0..190 {
        negated = json!({"not": negated});
    }
    let _ = schema("190 times not", negated);
    let groups = "(".repeat(10_000) + &")".repeat(10_000);
    assert!(schema("10,000 groups in a pattern", json!({"type": "string", "pattern": groups})).is_err());
    assert!(survives("10,000 groups", &Source::Regex(groups.clone())).is_err());
    assert!(survives("10,000 groups in Lark", &Source::Lark(format!("start: {groups}"))).is_err());
    let chain: String = (0..1_990).map(|index| format!("r{index}: \"a\" r{}\n", index + 1)).collect();
    let _ = survives("a chain of rules", &Source::Lark(format!("start: r0\n{chain}r1990: \"b\"")));
    assert!(is_limit(survives("a long chain of rules", &Source::Lark("a: \"a\"\n".repeat(100_000)))));
}

#[test]
fn width() {
    let words = |count: usize| (0..count).map(|index| format!("{:x}-word-{index}", index * 7_919)).collect::<Vec<_>>();
    assert_eq!(schema("enum of 10,000", json!({"enum": words(10_000)})), Ok(()));
    let _ = survives("choice of 20,000", &Source::Choice(words(20_000)));
    let _ = schema("enum of 40,000", json!({"enum": words(40_000)}));
    assert!(is_limit(schema("enum of 100,000", json!({"enum": words(100_000)}))));
    let numbers: Vec<i64> = (0..10_000).map(|number| number * 31).collect();
    let _ = schema("enum of 10,000 numbers", json!({"enum": numbers}));
    let properties =
        |count: usize| words(count).into_iter().map(|name| (name, json!({"type": "integer"}))).collect::<Map<_, _>>();
    assert!(is_limit(schema("5,000 properties", json!({"type": "object", "properties": properties(5_000)}))));
    assert_eq!(schema("1,000 properties", json!({"type": "object", "properties": properties(1_000)})), Ok(()));
    let required = json!({"type": "object", "properties": properties(1_000), "required": words(1_000)});
    assert_eq!(schema("1,000 required", required), Ok(()));
    let _ = schema(
        "1,000 properties and more",
        json!({"type": "object", "properties": properties(1_000), "minProperties": 500}),
    );
    let patterns: Map<String, Value> =
        (0..200).map(|index| (format!("a{index}.*b"), json!({"type": "null"}))).collect();
    let _ = schema("200 patterns of names", json!({"type": "object", "patternProperties": patterns}));
}

#[test]
fn multiplication() {
    let letters: Vec<String> = (0..30).map(|index| format!("d{index}")).collect();
    for keyword in ["anyOf", "allOf", "oneOf"] {
        let mut definitions = Map::new();
        for (index, name) in letters.iter().enumerate() {
            let next = letters
                .get(index + 1)
                .map_or(json!({"type": "string", "minLength": 1}), |next| json!({"$ref": format!("#/$defs/{next}")}));
            let branches = json!([next, {"allOf": [next.clone()], "description": "the same"}]);
            definitions.insert(name.clone(), json!({"type": ["string", "object"], keyword: branches}));
        }
        let _ = schema(&format!("30 times {keyword} of two"), json!({"$ref": "#/$defs/d0", "$defs": definitions}));
    }
    let dependent: Map<String, Value> =
        (0..40).map(|index| (format!("p{index}"), json!([format!("q{index}")]))).collect();
    assert!(schema("40 dependencies", json!({"type": "object", "dependentRequired": dependent})).is_err());
    let conditions: Vec<Value> = (0..40)
        .map(|index| json!({"if": {"properties": {format!("p{index}"): {"const": 1}}}, "then": {"required": [format!("q{index}")]}}))
        .collect();
    assert!(schema("40 conditions", json!({"type": "object", "allOf": conditions})).is_err());
}

#[test]
fn patterns_and_counts() {
    for pattern in [
        "(a{1,1000}){1,1000}",
        "(a|aa)+$",
        "((a+)+)+b",
        "(x+x+)+y",
        "^(.*a.*b.*c.*d.*e.*f){20}$",
        "[a-z]{100000}",
        "(?:(?:a?){500}a{500})",
        "(a|b)*a(a|b){25}",
        "^.*(foo|bar|baz).{40}(x|y)$",
        "\\w{5000}",
    ] {
        let _ = schema(&format!("pattern {pattern}"), json!({"type": "string", "pattern": pattern}));
        let _ = schema(
            &format!("pattern {pattern} with a length"),
            json!({"type": "string", "pattern": pattern, "maxLength": 5_000}),
        );
        let _ = survives(&format!("regex {pattern}"), &Source::Regex(pattern.to_string()));
    }
    assert!(is_limit(schema("minItems 10^9", json!({"type": "array", "minItems": 1_000_000_000}))));
    assert!(is_limit(schema("minLength 10^9", json!({"type": "string", "minLength": 1_000_000_000}))));
    assert!(is_limit(schema("minProperties 10^9", json!({"type": "object", "minProperties": 1_000_000_000}))));
    for keyword in ["maxItems", "maxLength", "maxProperties"] {
        assert_eq!(schema(&format!("{keyword} 10^18"), json!({keyword: 1_000_000_000_000_000_000_u64})), Ok(()));
    }
    let _ = schema("minLength 100,000", json!({"type": "string", "minLength": 100_000}));
    let _ = schema("minItems 90,000", json!({"type": "array", "minItems": 90_000, "items": {"type": "null"}}));
    let _ = schema(
        "multipleOf",
        json!({"type": "integer", "multipleOf": 4_000_000_007_u64, "minimum": 1, "maximum": 100_000_000_000_000_u64}),
    );
    let _ = schema(
        "multipleOf in parts",
        json!({"type": "number", "multipleOf": 0.000_001_7, "minimum": 0.3, "maximum": 1e9}),
    );
}
