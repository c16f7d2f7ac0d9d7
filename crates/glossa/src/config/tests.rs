//! What a configuration becomes. It must not read this machine's.

use std::time::Duration;

use agent::Effort;
use server::{Date, HostedTools};

use super::layers::Layers;
use super::{Config, Places, masked};

fn config(options: &[(&str, &str)]) -> Result<Config, String> {
    let mut layers = Layers::default();
    for (name, text) in options {
        layers.option("set", name, vec![(*text).to_owned()]).map_err(|error| error.to_string())?;
    }
    let places = Places { home: Some("/home/me".into()), config: None, data: None };
    Config::new(&layers, &places).map_err(|error| error.to_string())
}

#[test]
fn defaults_are_private_and_complete() {
    let config = config(&[]).unwrap();
    assert!(config.host.is_loopback() && config.port == 8080 && config.tls.is_none() && config.otlp_endpoint.is_none());
    assert!(config.settings.cors_origins.is_empty() && !config.settings.log_prompts);
    assert!(config.settings.allowed_hosts.is_empty() && config.settings.reserve_answer_tokens == 0);
    assert_eq!(config.settings.body_bytes_max, 32 << 20);
    assert_eq!(config.settings.stored_for, Some(Duration::from_secs(30 * 86_400)));
    assert!(config.warnings.concat().contains("store.url"), "a store in memory is told of");
}

#[test]
fn what_is_set_is_in_force() {
    let options = [
        ("model.temperature", "0.25"),
        ("model.effort", "none"),
        ("model.date", "2025-06-28"),
        ("server.hosted_tools", "ignore"),
        ("limits.drain_seconds", "0"),
        ("limits.file_mib", "2"),
        ("store.ttl_days", "0"),
        ("store.mib", "3"),
        ("log.prompts", "true"),
        ("log.format", "json"),
    ];
    let Config { temperature, settings, drain_time, store_bytes, log_json, .. } = config(&options).unwrap();
    assert_eq!((temperature, drain_time, store_bytes), (Some(0.25), Duration::ZERO, Some(3 << 20)));
    assert_eq!((settings.default_effort, settings.date), (Effort::None, Date::Fixed("2025-06-28".into())));
    assert_eq!((settings.hosted_tools, settings.file_bytes_max), (HostedTools::Ignore, 2 << 20));
    assert!(settings.log_prompts && log_json && settings.stored_for.is_none(), "0 days are for ever");
}

#[test]
fn a_wider_address_without_keys_is_warned_of() {
    let warned = |options: &[_]| config(options).unwrap().warnings.concat().contains("server.keys");
    assert!(warned(&[("server.host", "0.0.0.0")]) && warned(&[("server.host", "::")]));
    assert!(!warned(&[("server.host", "::1")]) && !warned(&[("server.host", "localhost")]));
    assert!(!warned(&[("server.host", "0.0.0.0"), ("server.keys", "keys.toml")]));
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (options, words) in [
        (vec![("server.tls_key", "k")], "set both"),
        (vec![("server.host", "example.org")], "no address"),
        (vec![("store.seal_key", "abc")], "64 hexadecimal"),
        (vec![("store.seal_key", &"ä".repeat(32)[..])], "64 hexadecimal"),
        (vec![("store.seal_key", &"+f".repeat(32)[..])], "64 hexadecimal"),
    ] {
        let error = config(&options).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(config(&[("store.seal_key", &"0f".repeat(32))]).unwrap().settings.seal_key, Some([15; 32]));
}

#[test]
fn what_is_set_reaches_the_server() {
    let set = [("model.reserve_answer_tokens", "300"), ("server.allowed_hosts", "box.example,other.example")];
    let settings = config(&set).unwrap().settings;
    assert_eq!(settings.reserve_answer_tokens, 300);
    assert_eq!(settings.allowed_hosts, ["box.example", "other.example"]);
}

#[test]
fn secrets_are_not_shown_and_home_is_found() {
    assert_eq!(masked("postgres://me:hush@host/db"), "\"***\"");
    assert_eq!(
        config(&[("server.keys", "~/keys.toml")]).unwrap().keys.unwrap(),
        std::path::Path::new("/home/me/keys.toml")
    );
}
