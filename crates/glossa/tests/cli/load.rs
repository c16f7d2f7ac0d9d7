//! `glossa bench --load`: every scenario on a synthetic model and on scripted servers, on the smallest of everything. How fast anything
//! is, is nobody's business here.

use serde_json::Value;

use crate::scripted_server::{Script, Server};
use crate::{Model, glossa, json, stdout};

const SMALL: [&str; 29] = [
    "--memory-mib",
    "1",
    "--threads",
    "1",
    "--clients",
    "1,3",
    "--client-prompt",
    "20",
    "--client-answer",
    "6",
    "--streams",
    "2",
    "--beside-prompt",
    "40",
    "--turn-tokens",
    "300",
    "--minutes",
    "0.02",
    "--soak-tokens",
    "100",
    "--soak-answer",
    "8",
    "--soak-rate",
    "60",
    "--soak-clients",
    "6",
    "--kv-mib",
    "16",
    "--no-drafts",
];
const ALL: [&str; 2] = ["--load", "clients,beside,turns,soak"];

fn rows<'a>(report: &'a Value, scenario: &str, target: &str) -> &'a Vec<Value> {
    let section = &report["load"]["scenarios"][scenario][target]["middle"];
    section["rows"].as_array().unwrap_or_else(|| panic!("{scenario} of {target} in {report}"))
}

fn count(value: &Value) -> u64 {
    value.as_f64().filter(|count| count.fract() == 0.0).unwrap_or_else(|| panic!("{value}")) as u64
}

#[track_caller]
fn positive(value: &Value) {
    assert!(value.as_f64().is_some_and(|number| number > 0.0 && number.is_finite()), "{value}");
}

/// What holds for every target.
#[track_caller]
fn check_clients_and_beside(report: &Value, target: &str) {
    let clients = rows(report, "clients", target);
    assert_eq!(clients.iter().map(|row| count(&row["clients"])).collect::<Vec<_>>(), [1, 3]);
    for row in clients {
        for key in ["first_token_seconds", "first_token_worst_seconds", "tokens_per_second"] {
            positive(&row[key]);
        }
    }
    let [beside] = &rows(report, "beside", target)[..] else { panic!("{report}") };
    assert_eq!(count(&beside["streams"]), 2);
    positive(&beside["first_token_seconds"]);
}

/// Prompt, found and computed tokens of every turn.
fn turns(report: &Value, target: &str) -> Vec<Option<[u64; 3]>> {
    let figures = |row: &Value| {
        let keys = ["prompt_tokens", "found_tokens", "computed_tokens"];
        row["prompt_tokens"].is_number().then(|| keys.map(|key| count(&row[key])))
    };
    rows(report, "turns", target).iter().map(figures).collect()
}

#[test]
fn the_engine_serves_every_load_and_gives_everything_back() {
    let model = Model::tiny();
    let (cache, svg, out) = (model.file("cache"), model.file("load.svg"), model.file("load.json"));
    let files =
        ["--disk-cache", cache.to_str().unwrap(), "--svg", svg.to_str().unwrap(), "--json", out.to_str().unwrap()];
    let output = glossa(&[&["bench", model.path()], &ALL[..], &SMALL, &files].concat(), b"");
    let (table, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{said}");
    for words in ["keys and values", "blocks of", "packed in memory", "of the machine's"] {
        assert!(said.contains(words) || !cfg!(target_os = "linux"), "{said}");
    }
    for words in ["3 clients", "2 running", "turn 3, restarted", "soak", "resident", "seed"] {
        assert!(table.contains(words), "{table}");
    }
    let report = json(&std::fs::read_to_string(out).unwrap());
    positive(&report["load"]["plan"]["total_bytes"]);
    assert_eq!(report["load"]["targets"], serde_json::json!(["glossa"]));
    check_clients_and_beside(&report, "glossa");
    let turns: Vec<[u64; 3]> = turns(&report, "glossa").into_iter().map(Option::unwrap).collect();
    assert_eq!(turns.iter().map(|turn| turn[0]).collect::<Vec<_>>(), [300, 1000, 516, 350, 732]);
    assert!(turns.iter().all(|[prompt, found, computed]| found + computed == *prompt), "{turns:?}");
    let found: Vec<u64> = turns.iter().map(|turn| turn[1]).collect();
    assert!(found[0] == 0 && found[1] == 0, "nobody has read these before: {found:?}");
    assert!(found[2] >= 256 && found[3] >= 128 && found[4] >= 448, "whole blocks of what was read: {found:?}");
    let soak = &rows(&report, "soak", "glossa")[0];
    let ended = ["ended_length", "ended_cancelled", "ended_dropped", "ended_otherwise", "failed"];
    assert_eq!(ended.iter().map(|key| count(&soak[*key])).sum::<u64>(), count(&soak["requests"]));
    assert!(count(&soak["requests"]) > 5, "{soak}");
    assert!(report["load"]["scenarios"]["soak"]["glossa"]["middle"]["findings"].as_array().unwrap().is_empty());
    if cfg!(target_os = "linux") {
        positive(&soak["resident_max_bytes"]);
    }
    let svg = std::fs::read_to_string(svg).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains(">glossa<") && svg.ends_with("</svg>\n"));
}

#[test]
fn a_soak_with_little_memory_gives_everything_back() {
    let model = Model::tiny();
    // Room for about 500 tokens; now with drafts. The last of two values counts.
    let tight =
        ["--kv-mib", "1", "--minutes", "0.05", "--soak-tokens", "200", "--soak-answer", "30", "--sequences", "4"];
    let drafts: Vec<&str> = SMALL.into_iter().filter(|option| *option != "--no-drafts").collect();
    let report =
        stdout(&[&["bench", model.path(), "--load", "soak", "--json", "-"], &drafts[..], &tight].concat(), b"");
    let report = json(&report);
    let soak = &rows(&report, "soak", "glossa")[0];
    assert!(count(&soak["requests"]) > 20 && count(&soak["failed"]) == 0, "{soak}");
    assert!(count(&soak["found_tokens"]) > 0, "{soak}");
}

#[test]
fn both_get_the_same_load_in_turn() {
    let (model, server) = (Model::tiny(), Server::start(Script::LlamaCpp));
    let compare =
        ["--load", "clients,beside,turns", "--compare", &server.url, "--pairs", "2", "--seed", "3", "--json", "-"];
    let report = json(&stdout(&[&["bench", model.path()], &compare[..], &SMALL].concat(), b""));
    assert_eq!(report["load"]["targets"], serde_json::json!(["glossa", "llama.cpp"]));
    assert_eq!(report["load"]["seed"], 3);
    for target in ["glossa", "llama.cpp"] {
        check_clients_and_beside(&report, target);
        assert_eq!(report["load"]["scenarios"]["turns"][target]["runs"].as_array().unwrap().len(), 2);
    }
    // Two of the answer's tokens are known before one was held back; from there on the next turn has others.
    let expected = [[300, 0, 300], [1000, 0, 1000], [516, 302, 214], [350, 150, 200]].map(Some);
    let found = turns(&report, "llama.cpp");
    assert_eq!((&found[..4], found[4]), (&expected[..], None));
    assert_eq!(turns(&report, "glossa")[4], None, "no folder, no restart");
    let requests = server.requests();
    // Warm-up, then per run: four clients, two streams and the newcomer, four turns.
    assert_eq!(requests.len(), 1 + 2 * (4 + 3 + 4));
    for request in &requests {
        assert!(request["prompt"].as_array().unwrap().iter().all(|id| id.as_u64().unwrap() < 512), "{request}");
        assert!(request["ignore_eos"] == true && request["temperature"] == 0 && request["stream"] == true, "{request}");
    }
}

#[test]
fn a_server_alone_in_the_way_of_open_ai() {
    let server = Server::start(Script::OpenAi);
    // With new tokens each time, one turn in 512 would go on like the last by chance.
    let alone = ["bench", "--compare", &server.url, "--only-compare", "--seed", "3"];
    let report = json(&stdout(&[&alone, &ALL[..], &SMALL, &["--json", "-"]].concat(), b""));
    assert_eq!(report["load"]["targets"], serde_json::json!(["server"]));
    assert!(report["load"]["plan"].is_null());
    check_clients_and_beside(&report, "server");
    // No id of an answer is told here, so the next turn can only begin like the first.
    let expected = [[300, 0, 300], [1000, 0, 1000], [516, 300, 216], [350, 150, 200]].map(Some);
    assert_eq!(turns(&report, "server")[..4], expected);
    let soak = &rows(&report, "soak", "server")[0];
    assert!(count(&soak["requests"]) > 5 && soak["resident_max_bytes"].is_null(), "{soak}");
    assert!(server.requests().iter().all(|request| request["model"] == "scripted"));
    let table = stdout(&[&alone[..], &["--load", "turns"], &SMALL].concat(), b"");
    assert!(table.contains("ids of some tokens") && table.contains("cannot be restarted"), "{table}");
}

#[test]
fn a_soak_finds_what_breaks_off_and_still_reports() {
    let server = Server::start(Script::BreaksOff);
    let arguments = ["bench", "--compare", &server.url, "--only-compare", "--load", "soak", "--json", "-"];
    let output = glossa(&[&arguments, &SMALL[..]].concat(), b"");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("broke off"), "{said}");
    let report = json(&String::from_utf8(output.stdout).unwrap());
    assert!(count(&rows(&report, "soak", "llama.cpp")[0]["failed"]) > 0);
}

#[test]
fn servers_that_cannot_be_measured_are_told_what_they_lack() {
    for (script, options, words) in [
        (Script::OnlyChat, &[][..], &["404", "not only chat"][..]),
        (Script::OnlyText, &[], &["400", "must be a string", "token ids"]),
        (Script::OpenAi, &["--compare-api", "llama.cpp"], &["404", "--compare-api openai"]),
        (Script::Loading, &[], &["503", "wait"]),
        (Script::BreaksOff, &[], &["broke off"]),
        (Script::Nonsense, &[], &["no JSON", "<html>"]),
    ] {
        let server = Server::start(script);
        let arguments = ["bench", "--compare", &server.url, "--only-compare", "--load", "clients"];
        let output = glossa(&[&arguments, options, &SMALL[..]].concat(), b"");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(words.iter().all(|word| said.contains(word)) && said.contains(&server.url), "{words:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn loads_that_measure_nothing_are_refused() {
    let model = Model::tiny();
    let server = Server::start(Script::LlamaCpp);
    let url = server.url.as_str();
    for (arguments, word) in [
        (vec!["--load", "clients", "--clients", "0"], "--clients 0"),
        (vec!["--load", "soak", "--minutes", "0"], "--minutes 0"),
        (vec!["--load", "soak", "--soak-tokens", "3"], "--soak-tokens 3"),
        (vec!["--load", "soak", "--soak-rate", "NaN"], "--soak-rate NaN"),
        (vec!["--load", "turns", "--turn-tokens", "131000"], "--turn-tokens 131000"),
        (vec!["--load", "beside", "--svg", "x.svg"], "--svg"),
        (vec!["--load", "clients", "--kv-mib", "16000000"], "--kv-mib"),
        (vec!["--load", "clients", "--kv-mib", "0"], "--kv-mib 0"),
        (vec!["--load", "clients", "--client-prompt", "100000", "--kv-mib", "1"], "--kv-mib has room"),
        (vec!["--load", "clients", "--compare", "https://127.0.0.1"], "TLS"),
        (vec!["--load", "clients", "--compare", "http://127.0.0.1:1"], "http://127.0.0.1:1"),
        (vec!["--load", "turns", "--compare", url, "--turn-tokens", "4900"], "the context of the server"),
        (vec!["--load", "clients", model.path()], "one model"),
        (vec!["--load", "nothing"], "clients"),
        (vec!["--compare", url], "--load"),
        (vec!["--load", "clients", "--compare", url, "--only-compare"], "cannot be used with"),
    ] {
        let output = glossa(&[&["bench", model.path(), "--threads", "1"], &arguments[..]].concat(), b"");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(word), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}
