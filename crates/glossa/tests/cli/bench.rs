//! `glossa bench`: the form of what it reports, on the smallest of everything. How fast this machine is, is nobody's business here.

use std::path::Path;

use serde_json::Value;

use crate::{glossa, json, stdout};

/// The tiny model that ships.
fn shipped() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/glossa-tiny").to_str().unwrap().to_owned()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    value[name].as_array().unwrap_or_else(|| panic!("{name} in {value}"))
}

#[track_caller]
fn positive(value: &Value) -> f64 {
    value.as_f64().filter(|number| *number > 0.0 && number.is_finite()).unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn a_model_is_measured() {
    let arguments = ["--prompt", "16,5", "--depth", "0,20", "--batch", "3", "--decode", "4", "--runs", "2"];
    let model = shipped();
    let all = [&["bench", &model, "--json", "-", "--memory-mib", "1", "--threads", "1"], &arguments[..]].concat();
    let report = json(&stdout(&all, b""));
    assert_eq!(report["limits"], Value::Null);
    assert!(positive(&report["machine"]["threads"]) >= 1.0);
    assert!(report["machine"]["architecture"].is_string() && report["machine"]["flags"].is_array());
    let speed = &list(&report, "models")[0];
    assert!(positive(&speed["first_token_seconds"]) >= positive(&speed["load_seconds"]));
    for name in ["weight_bytes_per_token", "macs_per_prompt_token"] {
        positive(&speed[name]);
    }
    let lengths: Vec<_> = list(speed, "prefill").iter().map(|row| row["tokens"].as_u64().unwrap()).collect();
    assert_eq!(lengths, [16, 5]);
    let decodes = list(speed, "decode");
    let cases: Vec<_> = decodes.iter().map(|row| [&row["depth"], &row["batch"]].map(|n| n.as_u64().unwrap())).collect();
    assert_eq!(cases, [[0, 1], [20, 1], [0, 3]]);
    for row in list(speed, "prefill").iter().chain(decodes) {
        let runs: Vec<f64> = list(row, "runs").iter().map(positive).collect();
        assert!(runs.len() == 2 && runs.contains(&positive(&row["tokens_per_second"])), "{row}");
    }
    // A deeper context has more keys and values to read; several sequences share experts, so nobody knows.
    let bytes = |row: usize| positive(&decodes[row]["bytes_per_token"]);
    assert!(bytes(1) > bytes(0) && bytes(0) == positive(&speed["weight_bytes_per_token"]));
    assert!(decodes[2]["bytes_per_token"].is_null() && decodes[2]["share_of_bandwidth"].is_null());
}

#[test]
fn the_machine_is_measured_and_the_file_holds_what_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("read.bin"), folder.path().join("out.json"));
    std::fs::write(&file, vec![3; 300_000]).unwrap();
    let (file, out) = (file.to_str().unwrap(), out.to_str().unwrap());
    let small = ["--memory-mib", "3", "--runs", "1", "--threads", "2"];
    let table = stdout(&[&["bench", "--machine", "--file", file, "--json", out], &small[..]].concat(), b"");
    let report = json(&std::fs::read_to_string(out).unwrap());
    let reads = list(&report["limits"], "bandwidth");
    let cases: Vec<_> = reads.iter().map(|read| (read["memory"].as_str().unwrap(), read["threads"].as_u64())).collect();
    let expected = ["plain pages", "huge pages", "mapped file"].map(|memory| [(memory, Some(1)), (memory, Some(2))]);
    assert_eq!(cases, expected.concat());
    for read in reads {
        let bytes = if read["memory"] == "mapped file" { 300_000.0 } else { f64::from(3 << 20) };
        assert_eq!(positive(&read["bytes"]), bytes);
        positive(&read["bytes_per_second"]);
        assert!(table.contains(read["memory"].as_str().unwrap()), "{table}");
    }
    let dots = list(&report["limits"], "dot_products");
    assert!(dots.len() >= 4 && dots.len().is_multiple_of(2), "{dots:?}");
    for dot in dots {
        positive(&dot["macs_per_second"]);
        assert!(table.contains(dot["dot"].as_str().unwrap()), "{table}");
    }
    assert!(list(&report, "models").is_empty());
}

#[test]
fn what_measures_nothing_is_refused() {
    let model = shipped();
    for (arguments, word) in [
        (vec!["bench"], "MODELS"),
        (vec!["bench", "--file", "x"], "--machine"),
        (vec!["bench", &model, "--runs", "0"], "--runs 0"),
        (vec!["bench", &model, "--decode", "0"], "--decode 0"),
        (vec!["bench", &model, "--prompt", "1,0"], "--prompt 0"),
        (vec!["bench", &model, "--batch", "0"], "--batch 0"),
        (vec!["bench", "--machine", "--memory-mib", "0"], "--memory-mib 0"),
        (vec!["bench", "--machine", "--memory-mib", "1", "--runs", "1", "--file", "/not/there"], "/not/there"),
        (vec!["bench", &model, "--prompt", "100000", "--runs", "1"], "context"),
        (vec!["bench", "/not/there"], "/not/there"),
    ] {
        let output = glossa(&arguments, b"");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(word), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}
