//! The configuration of a server: read once, here, from a file, the environment and the command line. It must not know what is done
//! with it.

pub(crate) mod layers;
pub(crate) mod table;

use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::Effort;
use server::{HostedTools, Settings};

use crate::arguments::{ComputeArguments, DenseWeights, KvForm, ServeArguments};
use crate::date::date;
use crate::error::Error;
use layers::Layers;
use table::{Kind, SETTINGS};

/// Everything that an operator decides.
#[derive(Debug)]
pub(crate) struct Config {
    /// Weights; nothing for the model inside the program.
    pub(crate) model: Option<PathBuf>,
    /// What the model calls itself, where that was decided.
    pub(crate) name: Option<String>,
    /// Other names that it answers to.
    pub(crate) aliases: Vec<String>,
    /// The temperature where a request does not say, where that was decided.
    pub(crate) temperature: Option<f32>,
    /// Tokens of prompt and answer, where that was decided.
    pub(crate) context: Option<usize>,
    /// Threads, instruction set, forms of weights and caches.
    pub(crate) compute: ComputeArguments,
    /// Where to listen.
    pub(crate) host: IpAddr,
    /// Where to listen; 0 takes a free port.
    pub(crate) port: u16,
    /// Certificate and key.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    /// File of API keys.
    pub(crate) keys: Option<PathBuf>,
    /// Open connections.
    pub(crate) connections: usize,
    /// Time for a request's head.
    pub(crate) header_time: Duration,
    /// Longest silence while a body is sent.
    pub(crate) body_time: Duration,
    /// Longest time in which a client takes nothing.
    pub(crate) write_time: Duration,
    /// Time for running requests after SIGTERM.
    pub(crate) drain_time: Duration,
    /// Requests computed at once.
    pub(crate) sequences: usize,
    /// Requests that may wait.
    pub(crate) queue: usize,
    /// Where records are kept.
    pub(crate) store_url: String,
    /// Bytes beyond which the oldest records go.
    pub(crate) store_bytes: Option<u64>,
    /// Bytes of keys and values, where that was decided.
    pub(crate) kv_bytes: Option<usize>,
    /// Where prefixes outlive the process, and bytes.
    pub(crate) disk_cache: Option<(PathBuf, u64)>,
    /// Whether log lines are JSON.
    pub(crate) log_json: bool,
    /// What is logged.
    pub(crate) log_level: tracing::Level,
    /// A collector of traces.
    pub(crate) otlp_endpoint: Option<String>,
    /// What the server's requests need to know.
    pub(crate) settings: Settings,
    /// What an operator should be told before anything starts.
    pub(crate) warnings: Vec<String>,
}

impl Config {
    /// Reads file, environment and command line.
    pub(crate) fn read(arguments: &ServeArguments) -> Result<Self, Error> {
        let places = Places::of_environment();
        Self::new(&layers(arguments, &places)?, &places)
    }

    fn new(layers: &Layers, places: &Places) -> Result<Self, Error> {
        let count = |name| layers.needed(name) as usize;
        let seconds = |name| Duration::from_secs(layers.needed(name));
        let path = |name| layers.path(name, places.home.as_deref());
        let mebibytes = |name| layers.whole(name).map(|count| count << 20);
        let mut warnings: Vec<String> = layers
            .unknown_variables
            .iter()
            .map(|name| format!("{name} is set, but there is no such setting"))
            .collect();
        let host = address(&layers.word("server.host"))?;
        let (keys, tls) = (path("server.keys"), tls(path("server.tls_certificate"), path("server.tls_key"))?);
        if !host.is_loopback() && keys.is_none() {
            warnings
                .push(format!("whoever reaches {host} may use this server and read what it stores; set server.keys"));
        }
        let store_url = layers.text("store.url").unwrap_or_else(|| places.store_url());
        if store_url == "sqlite::memory:" {
            warnings.push("nothing is kept when this process ends; set store.url".to_owned());
        }
        let settings = settings(layers)?;
        Ok(Self {
            model: path("model.path"),
            name: layers.text("model.name"),
            aliases: layers.list("model.aliases"),
            temperature: layers.number("model.temperature"),
            context: layers.whole("model.context").map(|count| count as usize),
            compute: compute(layers),
            host,
            port: layers.needed("server.port") as u16,
            tls,
            keys,
            connections: count("limits.connections"),
            header_time: seconds("limits.header_seconds"),
            body_time: seconds("limits.body_seconds"),
            write_time: seconds("limits.write_seconds"),
            drain_time: seconds("limits.drain_seconds"),
            sequences: count("limits.sequences"),
            queue: count("limits.queue"),
            store_url,
            store_bytes: mebibytes("store.mib"),
            kv_bytes: mebibytes("cache.kv_mib").map(|bytes| bytes as usize),
            disk_cache: path("cache.folder").map(|folder| (folder, layers.needed("cache.disk_mib") << 20)),
            log_json: layers.word("log.format") == "json",
            log_level: layers.word("log.level").parse().expect("the table's words are levels"),
            otlp_endpoint: layers.text("telemetry.otlp_endpoint"),
            settings,
            warnings,
        })
    }
}

/// Folders that defaults lie in.
struct Places {
    home: Option<PathBuf>,
    config: Option<PathBuf>,
    data: Option<PathBuf>,
}

impl Places {
    fn of_environment() -> Self {
        let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = folder("HOME");
        let under = |name: &str, rest: &str| folder(name).or_else(|| home.as_ref().map(|home| home.join(rest)));
        let config = under("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("glossa/config.toml"));
        let data = under("XDG_DATA_HOME", ".local/share").map(|folder| folder.join("glossa/store.db"));
        Self { config: folder("GLOSSA_CONFIG").or(config), data, home }
    }

    fn store_url(&self) -> String {
        self.data.as_ref().map_or("sqlite::memory:".to_owned(), |path| format!("sqlite:{}", path.display()))
    }
}

fn layers(arguments: &ServeArguments, places: &Places) -> Result<Layers, Error> {
    let mut layers = Layers::default();
    match (&arguments.config, &places.config) {
        (Some(path), _) => layers.file(path)?,
        (None, Some(path)) if path.exists() => layers.file(path)?,
        (None, Some(_) | None) => {}
    }
    let variables = std::env::vars_os();
    layers
        .environment(variables.filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?))))?;
    for (option, name, texts) in arguments.options() {
        layers.option(option, name, texts)?;
    }
    for given in &arguments.set {
        let (name, text) = given.split_once('=').ok_or_else(|| Error::Config {
            place: format!("--set {given}"),
            what: "expected SECTION.NAME=VALUE, as server.port=8080".to_owned(),
        })?;
        layers.option("set", name, vec![text.to_owned()])?;
    }
    Ok(layers)
}

fn settings(layers: &Layers) -> Result<Settings, Error> {
    let size = |name| (layers.needed(name) << 20) as usize;
    let default_effort = match &*layers.word("model.effort") {
        "none" => Effort::None,
        "low" => Effort::Low,
        "high" => Effort::High,
        _ => Effort::Medium,
    };
    let ignores = layers.word("server.hosted_tools") == "ignore";
    let days = layers.needed("store.ttl_days");
    Ok(Settings {
        default_effort,
        reserve_answer_tokens: layers.needed("model.reserve_answer_tokens") as usize,
        date: date(&layers.word("model.date")).expect("checked when it was taken"),
        hosted_tools: if ignores { HostedTools::Ignore } else { HostedTools::Refuse },
        keep_alive: Duration::from_secs(layers.needed("limits.keep_alive_seconds")),
        request_timeout: layers.whole("limits.request_seconds").map(Duration::from_secs),
        stored_for: (days > 0).then(|| Duration::from_secs(days * 86_400)),
        background_workers: layers.needed("limits.background_workers") as usize,
        seal_key: layers.text("store.seal_key").map(|text| seal_key(&text)).transpose()?,
        body_bytes_max: size("limits.body_mib"),
        file_bytes_max: size("limits.file_mib"),
        cors_origins: layers.list("server.cors_origins"),
        allowed_hosts: layers.list("server.allowed_hosts"),
        log_prompts: layers.word("log.prompts") == "true",
        ..Settings::default()
    })
}

fn compute(layers: &Layers) -> ComputeArguments {
    let is_eight = |name| layers.word(name) == "q8";
    ComputeArguments {
        threads: layers.whole("model.threads").map(|count| count as usize),
        isa: layers.word("model.isa"),
        dense_weights: if is_eight("model.dense_weights") { DenseWeights::Q8 } else { DenseWeights::Published },
        kv_form: if is_eight("model.kv") { KvForm::Q8 } else { KvForm::Default },
        chunk: engine::Limits::SERVING_CHUNK_TOKENS,
    }
}

fn address(text: &str) -> Result<IpAddr, Error> {
    let text = if text == "localhost" { "127.0.0.1" } else { text.trim_matches(['[', ']']) };
    text.parse().map_err(|_| Error::Config {
        place: "server.host".to_owned(),
        what: format!("{text:?} is no address; expected one as 127.0.0.1, 0.0.0.0 or ::1"),
    })
}

fn tls(certificate: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<(PathBuf, PathBuf)>, Error> {
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (Some(_), None) | (None, Some(_)) => Err(Error::Config {
            place: "server.tls_certificate, server.tls_key".to_owned(),
            what: "only one of them is set; set both for HTTPS, or none".to_owned(),
        }),
    }
}

fn seal_key(text: &str) -> Result<[u8; 32], Error> {
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(Error::Config {
            place: "store.seal_key".to_owned(),
            what: "expected 64 hexadecimal digits, as `openssl rand -hex 32` gives".to_owned(),
        });
    }
    let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("two hexadecimal digits");
    Ok(std::array::from_fn(byte))
}

/// `glossa config`: what is in force, and why.
pub(crate) fn run(arguments: &ServeArguments) -> Result<(), Error> {
    let places = Places::of_environment();
    let layers = layers(arguments, &places)?;
    let config = Config::new(&layers, &places)?;
    let mut out = std::io::stdout().lock();
    let home =
        |path: &Option<PathBuf>| path.as_deref().map_or("none".to_owned(), |path: &Path| path.display().to_string());
    writeln!(out, "# The file is given by --config or GLOSSA_CONFIG, or lies at {}.", home(&places.config))?;
    let mut section = "";
    for setting in SETTINGS {
        let (of, name) = setting.name.split_once('.').expect("every name has a section");
        if of != section {
            writeln!(out, "\n[{of}]")?;
            section = of;
        }
        let value = layers.value(setting);
        let shown = match setting.kind {
            Kind::Secret if value.texts.concat().is_empty() => "\"\"".to_owned(),
            Kind::Secret => masked(&value.texts.concat()),
            Kind::Whole(..) | Kind::Number(..) | Kind::Flag if !value.texts.concat().is_empty() => value.texts.concat(),
            Kind::List => format!("{:?}", layers.list(setting.name)),
            _ => format!("{:?}", value.texts.concat()),
        };
        writeln!(out, "{:<44} # {}; {}", format!("{name} = {shown}"), value.source, setting.about)?;
    }
    drop(out);
    for warning in &config.warnings {
        crate::console::say(&format!("glossa: {warning}\n"));
    }
    Ok(())
}

/// A secret, of which only what is no secret is shown: that a store is SQLite's, and where.
fn masked(text: &str) -> String {
    if text.starts_with("sqlite:") { format!("{text:?}") } else { "\"***\"".to_owned() }
}

#[cfg(test)]
mod tests;
