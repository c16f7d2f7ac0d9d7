//! Schemas in the default rendering: what the library writes as `any` and we do not, and that everything else is equal.

use harmony::{
    AnalysisPolicy, Conversation, DeveloperContent, RenderOptions, Renderer, SchemaRendering, ToolDescription,
    Vocabulary,
};
use serde_json::{Value, json};

use crate::golden::goldens;

/// The type of a function's parameters.
fn type_of(schema: Value, schemas: SchemaRendering) -> String {
    let vocabulary = Vocabulary::o200k_harmony();
    let tool = ToolDescription { name: "f".to_owned(), description: String::new(), parameters: Some(schema) };
    let conversation = Conversation::default().with_developer(DeveloperContent::default().with_functions(vec![tool]));
    let options = RenderOptions { analysis: AnalysisPolicy::Keep, schemas };
    let renderer = Renderer::new(&vocabulary).unwrap().with_options(options);
    let text = vocabulary.decode(&renderer.render_conversation(&conversation).unwrap());
    let (_, text) = text.split_once("type f = (_: ").unwrap();
    text.split_once(") => any;").unwrap().0.to_owned()
}

/// A property's schema → its line in the library's rendering and in ours.
fn check(property: Value, library: &str, resolved: &str) {
    let schema = json!({
        "type": "object",
        "properties": {"p": property},
        "$defs": {
            "Name": {"type": "string", "description": "A name."},
            "Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "value": {"type": "integer"}}},
            "Both": {"$ref": "#/$defs/Name"},
            "a/b": {"type": "boolean"},
        },
    });
    let text = |schemas| type_of(schema.clone(), schemas);
    assert_eq!(text(SchemaRendering::Library), format!("{{\n{library}}}"), "{property}");
    assert_eq!(text(SchemaRendering::Resolved), format!("{{\n{resolved}}}"), "{property}");
}

/// A model that is told `any` guesses; each of these says what the schema says.
#[test]
fn what_the_library_calls_any_is_resolved() {
    check(json!({"$ref": "#/$defs/Name"}), "p?: any,\n", "// A name.\np?: string,\n");
    check(json!({"$ref": "#/$defs/Both", "description": "Own."}), "// Own.\np?: any,\n", "// Own.\np?: string,\n");
    check(json!({"$ref": "#/$defs/a~1b"}), "p?: any,\n", "p?: boolean,\n");
    check(json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), "p?: any,\n", "p?: string | null,\n");
    check(
        json!({"anyOf": [{"$ref": "#/$defs/Name"}, {"type": "null"}], "default": null}),
        "p?: any, // default: null\n",
        "// A name.\np?: string | null, // default: null\n",
    );
    check(
        json!({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}),
        "p?: any,\n",
        "p?:\n | string\n | number\n | null\n,\n",
    );
    check(json!({"const": "k"}), "p?: any,\n", "p?: \"k\",\n");
    check(json!({"enum": ["a", "b"]}), "p?: any,\n", "p?: \"a\" | \"b\",\n");
    check(json!({"type": "null"}), "p?: any,\n", "p?: null,\n");
    check(
        json!({"allOf": [{"$ref": "#/$defs/Name"}], "default": "x"}),
        "p?: any, // default: \"x\"\n",
        "// A name.\np?: string, // default: \"x\"\n",
    );
    check(
        json!({"allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"const": true}}, "required": ["b"]},
        ]}),
        "p?: any,\n",
        "p?: {\n    a: string,\n    b: boolean,\n    },\n",
    );
}

#[test]
fn references_that_lead_in_a_circle_or_nowhere_are_any() {
    check(json!({"$ref": "#/$defs/Node"}), "p?: any,\n", "p?: {\n    next?: any,\n    value?: number,\n    },\n");
    check(
        json!({"$ref": "#", "description": "Itself."}),
        "// Itself.\np?: any,\n",
        "// Itself.\np?:     // Itself.\n{\n    // Itself.\n    p?: any,\n    },\n",
    );
    check(json!({"$ref": "https://example.com/schema"}), "p?: any,\n", "p?: any,\n");
    check(json!({"$ref": "#/$defs/missing"}), "p?: any,\n", "p?: any,\n");
    check(json!({"$ref": 7}), "p?: any,\n", "p?: any,\n");
}

/// Each definition uses the next one twice: two to the power of sixty, if nothing stopped it.
#[test]
fn references_that_multiply_are_cut_short() {
    let mut definitions = serde_json::Map::new();
    for level in 0..60 {
        let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
        definitions.insert(format!("d{level}"), json!({"type": "object", "properties": {"a": next, "b": next}}));
    }
    let text = type_of(json!({"$ref": "#/$defs/d0", "$defs": definitions}), SchemaRendering::Resolved);
    assert!(text.len() < 4_000_000, "{} bytes", text.len());
}

/// What is long and stands there once is not copied for each of thousands of references, however they reach it.
#[test]
fn references_do_not_multiply_what_is_long() {
    let long = "x".repeat(16_000);
    let definitions = json!({
        "described": {"type": "string", "description": long},
        "named": {"type": "object", "properties": {(long.clone()): {"type": "string"}}},
    });
    for target in ["described", "named", "described/description"] {
        let reference = json!({"$ref": format!("#/$defs/{target}")});
        let properties: serde_json::Map<String, Value> =
            (0..4000).map(|number| (format!("p{number}"), reference.clone())).collect();
        let schema = json!({"type": "object", "properties": properties, "$defs": definitions});
        let text = type_of(schema, SchemaRendering::Resolved);
        assert!(text.len() < 6_000_000, "{target}: {} bytes", text.len());
        assert!(text.contains("p3999"), "{target}");
    }
}

/// Types that can not both hold are left out instead of mixed.
#[test]
fn contradicting_parts_are_not_merged() {
    check(
        json!({"allOf": [{"type": "string"}, {"type": "number", "description": "No."}]}),
        "p?: any,\n",
        "p?: string,\n",
    );
}

/// For all golden schemas without these words, both renderings are the same.
#[test]
fn plain_schemas_are_rendered_as_the_library_does() {
    let different = ["schema: scalars", "schema: enums", "schema: oneOf", "schema: anyOf, allOf, $ref, not"];
    let vocabulary = Vocabulary::o200k_harmony();
    let options = RenderOptions { schemas: SchemaRendering::Resolved, ..RenderOptions::LIBRARY };
    let renderer = Renderer::new(&vocabulary).unwrap().with_options(options);
    let cases: Vec<_> = goldens().render.into_iter().filter(|case| case.name.starts_with("schema: ")).collect();
    assert_eq!(cases.len(), 17);
    for case in cases {
        let equal = vocabulary.decode(&renderer.render_conversation(&case.conversation).unwrap()) == case.text.unwrap();
        assert_eq!(equal, !different.contains(&case.name.as_str()), "{}", case.name);
    }
}
