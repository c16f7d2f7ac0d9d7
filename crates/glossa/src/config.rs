//! The configuration of a server: read once, here, from a file, the environment and the command line. It must not know what is done
//! with it.

pub(crate) mod layers;
pub(crate) mod table;

use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::Effort;
use server::{Date, HostedTools, Settings};

use crate::arguments::{ComputeArguments, ConfigArguments, DenseWeights, KvForm, ServeArguments};
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
        let seconds = |name| layers.whole(name).map(Duration::from_secs);
        let needed = |name| layers.whole(name).expect("settings with defaults are set");
        let path = |name| layers.path(name, places.home.as_deref());
        let word = |name| layers.text(name).expect("settings with defaults are set");
        let mebibytes = |name| layers.whole(name).map(|count| count << 20);
        let mut warnings: Vec<String> = layers
            .unknown_variables
            .iter()
            .map(|name| format!("{name} is set, but there is no such setting"))
            .collect();
        let host = address(&word("server.host"))?;
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
            temperature: layers.text("model.temperature").and_then(|text| text.parse().ok()),
            context: layers.whole("model.context").map(|count| count as usize),
            compute: compute(layers),
            host,
            port: needed("server.port") as u16,
            tls,
            keys,
            connections: needed("limits.connections") as usize,
            header_time: Duration::from_secs(needed("limits.header_seconds")),
            body_time: Duration::from_secs(needed("limits.body_seconds")),
            write_time: Duration::from_secs(needed("limits.write_seconds")),
            drain_time: seconds("limits.drain_seconds").unwrap_or_default(),
            sequences: needed("limits.sequences") as usize,
            queue: needed("limits.queue") as usize,
            store_url,
            store_bytes: mebibytes("store.mib"),
            kv_bytes: mebibytes("cache.kv_mib").map(|bytes| bytes as usize),
            disk_cache: path("cache.folder").map(|folder| (folder, needed("cache.disk_mib") << 20)),
            log_json: word("log.format") == "json",
            log_level: word("log.level").parse().expect("the table's words are levels"),
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
    let seconds = |name| layers.whole(name).map(Duration::from_secs);
    let size = |name| layers.whole(name).map_or(0, |mebibytes| (mebibytes << 20) as usize);
    let default_effort = match layers.text("model.effort").as_deref() {
        Some("none") => Effort::None,
        Some("low") => Effort::Low,
        Some("high") => Effort::High,
        Some(_) | None => Effort::Medium,
    };
    let date = match layers.text("model.date").as_deref() {
        Some("today") | None => Date::Today,
        Some("none") => Date::Untold,
        Some(date) => Date::Fixed(date.to_owned()),
    };
    let ignores = layers.text("server.hosted_tools").as_deref() == Some("ignore");
    Ok(Settings {
        default_effort,
        reserve_answer_tokens: layers.whole("model.reserve_answer_tokens").unwrap_or(0) as usize,
        date,
        hosted_tools: if ignores { HostedTools::Ignore } else { HostedTools::Refuse },
        keep_alive: seconds("limits.keep_alive_seconds").unwrap_or_default(),
        request_timeout: seconds("limits.request_seconds"),
        stored_for: layers
            .whole("store.ttl_days")
            .filter(|&days| days > 0)
            .map(|days| Duration::from_secs(days * 86_400)),
        background_workers: layers.whole("limits.background_workers").unwrap_or(1) as usize,
        seal_key: layers.text("store.seal_key").map(|text| seal_key(&text)).transpose()?,
        body_bytes_max: size("limits.body_mib"),
        file_bytes_max: size("limits.file_mib"),
        cors_origins: layers.list("server.cors_origins"),
        allowed_hosts: layers.list("server.allowed_hosts"),
        log_prompts: layers.text("log.prompts").as_deref() == Some("true"),
        ..Settings::default()
    })
}

fn compute(layers: &Layers) -> ComputeArguments {
    let is_eight = |name| layers.text(name).as_deref() == Some("q8");
    ComputeArguments {
        threads: layers.whole("model.threads").map(|count| count as usize),
        isa: layers.text("model.isa").unwrap_or_default(),
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
    let digits: Option<Vec<u8>> = text.is_ascii().then(|| {
        let pairs = text.as_bytes().chunks(2);
        pairs.map_while(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
    });
    let key = digits.filter(|_| text.len() == 64).and_then(|bytes| bytes.try_into().ok());
    key.ok_or_else(|| Error::Config {
        place: "store.seal_key".to_owned(),
        what: "expected 64 hexadecimal digits, as `openssl rand -hex 32` gives".to_owned(),
    })
}

/// `glossa config`: what is in force, and why.
pub(crate) fn run(arguments: &ConfigArguments) -> Result<(), Error> {
    let places = Places::of_environment();
    let layers = layers(&arguments.serve, &places)?;
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
