//! Which crate may know which. A new edge is a change of architecture: say why in ARCHITECTURE.md, then add it here.

use serde_json::Value;

use super::Violation;

/// A row: the crate, what it may depend on, and what its tests may use besides.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

const EDGES: &[Row] = &[
    ("kernels", &[], &[]),
    ("model", &["kernels"], &[]),
    ("engine", &["model"], &["kernels"]),
    ("harmony", &[], &[]),
    ("grammar", &["engine", "harmony"], &[]),
    ("agent", &["engine", "grammar", "harmony", "model"], &["agent"]),
    ("store", &[], &[]),
    ("train", &["model", "kernels", "harmony"], &[]),
    ("corpus", &["harmony"], &[]),
    ("server", &["agent", "engine", "model", "harmony", "store"], &[]),
    ("glossa", &["kernels", "model", "engine", "harmony", "agent", "store", "train", "server", "corpus"], &[]),
    ("synth", &[], &[]),
    ("oracle", &[], &["harmony"]),
    ("xtask", &["synth", "corpus", "engine", "harmony", "model", "kernels"], &[]),
];
/// Any crate's tests may write synthetic checkpoints.
const FOR_ALL_TESTS: &str = "synth";

/// A crate of the workspace and the crates of the workspace that it depends on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Package {
    name: String,
    dependencies: Vec<(String, Kind)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    Test,
}

/// The packages in the output of `cargo metadata --no-deps`. A build dependency counts as a normal one.
pub(super) fn packages(metadata: &Value) -> Vec<Package> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_string();
    let packages = list(&metadata["packages"]);
    let members: Vec<String> = packages.iter().map(name).collect();
    let package = |package: &Value| Package {
        name: name(package),
        dependencies: list(&package["dependencies"])
            .iter()
            .filter(|dependency| members.contains(&name(dependency)))
            .map(|dependency| {
                let kind = if dependency["kind"].as_str() == Some("dev") { Kind::Test } else { Kind::Normal };
                (name(dependency), kind)
            })
            .collect(),
    };
    packages.iter().map(package).collect()
}

/// Checks every edge against the table.
pub(super) fn check(packages: &[Package]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for Package { name, dependencies } in packages {
        let Some((_, normal, tests)) = EDGES.iter().find(|(row, ..)| row == name) else {
            let what = format!("the crate {name} has no row in xtask/src/tidy/edges.rs");
            violations.push(Violation::file("Cargo.toml", what));
            continue;
        };
        for (dependency, kind) in dependencies {
            let listed = |row: &[&str]| row.contains(&dependency.as_str());
            let allowed = match kind {
                Kind::Normal => listed(normal),
                Kind::Test => listed(normal) || listed(tests) || dependency == FOR_ALL_TESTS,
            };
            if !allowed {
                let use_of = if *kind == Kind::Test { "test " } else { "" };
                let what = format!("the {use_of}dependency {name} -> {dependency} is not in the table of edges");
                violations.push(Violation::file("Cargo.toml", what));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{EDGES, check, packages};

    fn complaints(metadata: &Value) -> Vec<String> {
        check(&packages(metadata)).iter().map(ToString::to_string).collect()
    }

    fn workspace(name: &str, dependency: &str, kind: Option<&str>) -> Value {
        let mut members: Vec<Value> = EDGES.iter().map(|(row, ..)| json!({"name": row, "dependencies": []})).collect();
        members.retain(|member| member["name"] != name);
        members.push(json!({"name": name, "dependencies": [
            {"name": "serde", "kind": null},
            {"name": dependency, "kind": kind},
        ]}));
        json!({"packages": members})
    }

    #[test]
    fn listed_edges_pass() {
        for (name, dependency, kind) in [
            ("model", "kernels", None),
            ("model", "synth", Some("dev")),
            ("oracle", "harmony", Some("dev")),
            ("engine", "model", Some("dev")),
            ("glossa", "harmony", None),
        ] {
            let complaints = complaints(&workspace(name, dependency, kind));
            assert!(complaints.is_empty(), "{complaints:?}");
        }
    }

    #[test]
    fn other_edges_fail() {
        for (name, dependency, kind) in [
            ("kernels", "model", None),
            ("engine", "harmony", None),
            ("engine", "harmony", Some("dev")),
            ("model", "synth", None),
            ("model", "synth", Some("build")),
            ("oracle", "harmony", None),
            ("synth", "model", Some("dev")),
        ] {
            let complaints = complaints(&workspace(name, dependency, kind));
            assert_eq!(complaints.len(), 1, "{name} -> {dependency}: {complaints:?}");
            assert!(complaints[0].contains(&format!("{name} -> {dependency}")), "{complaints:?}");
        }
    }

    #[test]
    fn a_crate_without_a_row_fails() {
        let complaints = complaints(&workspace("attic", "serde", None));
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].contains("attic"));
    }
}
