//! Every setting of a server: its name, what it may be, what it is when nobody says, and what it is for. It must not know where values
//! come from. A new setting is a row here and a line in `Config::new`.

use crate::date::date;

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// `section.name`, as in the file; the environment has it as `GLOSSA_SECTION_NAME`.
    pub(crate) name: &'static str,
    /// What it may be.
    pub(crate) kind: Kind,
    /// What it is when nobody says; empty means that it is not set.
    pub(crate) default: &'static str,
    /// What it is for.
    pub(crate) about: &'static str,
}

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A text that is never shown.
    Secret,
    /// A file or folder; `~/` is the home folder.
    Path,
    /// Texts; apart by commas where one text must hold them.
    List,
    /// `true` or `false`.
    Flag,
    /// A whole number, both ends included.
    Whole(u64, u64),
    /// A number, both ends included.
    Number(f64, f64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// `today`, `none` or a date.
    Date,
}

const EFFORTS: Kind = Kind::Word(&["none", "low", "medium", "high"]);
const FORMS: Kind = Kind::Word(&["published", "q8"]);
const KEYS_AND_VALUES: Kind = Kind::Word(&["default", "q8"]);
const LEVELS: Kind = Kind::Word(&["error", "warn", "info", "debug", "trace"]);
/// A year, for settings that are times.
const YEAR_SECONDS: u64 = 31_536_000;

const fn setting(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Setting {
    Setting { name, kind, default, about }
}

/// All of them, in the order in which they are shown.
pub(crate) const SETTINGS: &[Setting] = &[
    setting("model.path", Kind::Path, "", "weights to serve; the tiny built-in model where not set"),
    setting("model.name", Kind::Text, "", "what the model calls itself; by its folder where not set"),
    setting("model.aliases", Kind::List, "", "other names that it answers to, such as gpt-oss-20b"),
    setting("model.effort", EFFORTS, "medium", "how long to think where a request does not say"),
    setting(
        "model.temperature",
        Kind::Number(0.0, 2.0),
        "",
        "where a request does not say; 1, for the built-in model 0.3",
    ),
    setting(
        "model.reserve_answer_tokens",
        Kind::Whole(0, 1 << 24),
        "0",
        "tokens kept for the answer when thought takes the rest, where a request does not say",
    ),
    setting("model.date", Kind::Date, "today", "the date that the model is told: today, none or YYYY-MM-DD"),
    setting("model.context", Kind::Whole(16, 1 << 24), "", "tokens of prompt and answer; what the model was made for"),
    setting("model.dense_weights", FORMS, "published", "form of attention and unembedding: published or q8"),
    setting("model.kv", KEYS_AND_VALUES, "default", "form of keys and values: default (bf16) or q8"),
    setting("model.threads", Kind::Whole(1, 1024), "", "threads that compute; all processors where not set"),
    setting("model.isa", Kind::Text, "auto", "instruction set; auto takes the best"),
    setting("server.host", Kind::Text, "127.0.0.1", "address to listen on; 0.0.0.0 for all"),
    setting("server.port", Kind::Whole(0, 65_535), "8080", "port to listen on; 0 takes a free one"),
    setting("server.keys", Kind::Path, "", "file of API keys; without one, nobody is asked for a key"),
    setting("server.tls_certificate", Kind::Path, "", "certificates in PEM; with tls_key, HTTPS is served"),
    setting("server.tls_key", Kind::Path, "", "the private key in PEM"),
    setting("server.cors_origins", Kind::List, "", "web origins whose pages may call this server; * for all"),
    setting(
        "server.allowed_hosts",
        Kind::List,
        "",
        "names in the Host header besides localhost, where the address is this machine's own and there are no keys; * for all",
    ),
    setting("server.hosted_tools", Kind::Word(&["refuse", "ignore"]), "refuse", "tools that OpenAI would run itself"),
    setting("limits.connections", Kind::Whole(1, 1_000_000), "4096", "open connections; more wait to be accepted"),
    setting("limits.body_mib", Kind::Whole(1, 4096), "32", "size of a request's body"),
    setting("limits.file_mib", Kind::Whole(1, 65_536), "512", "size of an uploaded file"),
    setting(
        "limits.header_seconds",
        Kind::Whole(1, 3600),
        "30",
        "time for a request's head, and for silence between requests",
    ),
    setting("limits.body_seconds", Kind::Whole(1, 86_400), "60", "longest silence while a body is sent"),
    setting(
        "limits.write_seconds",
        Kind::Whole(1, 86_400),
        "60",
        "longest time in which a client takes nothing of its answer",
    ),
    setting("limits.request_seconds", Kind::Whole(1, YEAR_SECONDS), "", "after which an answer ends where it stands"),
    setting(
        "limits.keep_alive_seconds",
        Kind::Whole(1, 3600),
        "15",
        "silence of a stream after which a comment is sent",
    ),
    setting("limits.drain_seconds", Kind::Whole(0, 86_400), "30", "time for running requests after SIGTERM"),
    setting("limits.sequences", Kind::Whole(1, 1024), "16", "requests computed at once; the others wait"),
    setting("limits.queue", Kind::Whole(1, 1_000_000), "256", "requests that may wait; more are refused"),
    setting("limits.background_workers", Kind::Whole(1, 1024), "4", "background requests and batch lines at once"),
    setting(
        "store.url",
        Kind::Secret,
        "",
        "sqlite:PATH, sqlite::memory: or postgres://…; a file in the home folder where not set",
    ),
    setting("store.ttl_days", Kind::Whole(0, 36_500), "30", "how long responses are kept; 0 keeps them for ever"),
    setting("store.mib", Kind::Whole(1, 1 << 30), "", "size beyond which the oldest records go"),
    setting(
        "store.seal_key",
        Kind::Secret,
        "",
        "64 hexadecimal digits that seal what clients carry; made once where not set",
    ),
    setting(
        "cache.kv_mib",
        Kind::Whole(1, 1 << 30),
        "",
        "memory for keys and values; by the model and the machine where not set",
    ),
    setting("cache.folder", Kind::Path, "", "where prefixes outlive the process; none where not set"),
    setting("cache.disk_mib", Kind::Whole(1, 1 << 30), "10240", "size of that folder"),
    setting("log.format", Kind::Word(&["text", "json"]), "text", "how lines are written"),
    setting("log.level", LEVELS, "info", "what is written"),
    setting("log.prompts", Kind::Flag, "false", "whether prompts and answers are written"),
    setting(
        "telemetry.otlp_endpoint",
        Kind::Text,
        "",
        "http://HOST:PORT of a collector; nothing is sent where not set",
    ),
];

impl Setting {
    /// The setting of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Its name in the environment.
    pub(crate) fn variable(&self) -> String {
        format!("GLOSSA_{}", self.name.replace('.', "_").to_ascii_uppercase())
    }

    /// Says what is wrong with a value, if anything is.
    pub(crate) fn fault(&self, text: &str) -> Option<String> {
        let (fits, expected) = match self.kind {
            Kind::Text | Kind::Secret | Kind::Path | Kind::List => return None,
            Kind::Flag => (["true", "false"].contains(&text), "true or false".to_owned()),
            Kind::Whole(least, most) => {
                let fits = text.parse().is_ok_and(|number: u64| (least..=most).contains(&number));
                (fits, format!("a whole number from {least} to {most}"))
            }
            Kind::Number(least, most) => {
                let fits = text.parse().is_ok_and(|number: f64| (least..=most).contains(&number));
                (fits, format!("a number from {least} to {most}"))
            }
            Kind::Word(words) => (words.contains(&text), format!("one of {}", words.join(", "))),
            Kind::Date => (date(text).is_some(), "today, none or YYYY-MM-DD".to_owned()),
        };
        (!fits).then_some(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, SETTINGS, Setting};

    #[test]
    fn every_default_fits_its_setting() {
        for setting in SETTINGS {
            assert!(setting.default.is_empty() || setting.fault(setting.default).is_none(), "{setting:?}");
            let named: Vec<_> = SETTINGS.iter().filter(|other| other.variable() == setting.variable()).collect();
            assert_eq!(named.len(), 1, "{setting:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let fault = |name: &str, text: &str| Setting::named(name).unwrap().fault(text);
        assert!(fault("server.port", "65536").unwrap().contains("65535"));
        assert!(fault("server.port", "-1").is_some() && fault("server.port", "8080").is_none());
        assert!(fault("model.temperature", "NaN").is_some() && fault("model.temperature", "0.3").is_none());
        assert!(fault("model.temperature", " 0.3").is_some(), "what is taken can be read");
        assert!(fault("model.date", "2025-02-30").is_some() && fault("model.date", "2025-06-28").is_none());
        assert!(fault("log.prompts", "yes").is_some() && fault("model.effort", "most").unwrap().contains("medium"));
        assert_eq!(Setting::named("store.url").unwrap().kind, Kind::Secret);
    }
}
