//! The options of `glossa serve`, `glossa config` and `glossa key`, as clap reads them. It must not know what they do.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Options are shorthands for settings; `--set` reaches all of them.
#[derive(Args, Default)]
pub(crate) struct ServeArguments {
    /// A model's directory or file [default: the tiny model inside the program].
    pub(crate) model: Option<PathBuf>,
    /// Address to listen on; 0.0.0.0 for all [default: 127.0.0.1].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) host: Option<String>,
    /// Port to listen on; 0 takes a free one [default: 8080].
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<String>,
    /// Another name that the model answers to, such as gpt-oss-20b; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) alias: Vec<String>,
    /// File of API keys, written by `glossa key new`; without one, nobody is asked for a key.
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<String>,
    /// Where responses, conversations and files are kept: sqlite:PATH, sqlite::memory: or postgres://…
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Memory for keys and values of everybody and of the prefix cache [default: by the model and the machine].
    #[arg(long, value_name = "MIB")]
    pub(crate) kv_mib: Option<String>,
    /// Folder where prefixes outlive the process.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) disk_cache: Option<String>,
    /// Tokens of prompt and answer together [default: what the model was made for].
    #[arg(long, value_name = "N")]
    pub(crate) context: Option<String>,
    /// Requests computed at once; the others wait [default: 16].
    #[arg(long, value_name = "N")]
    pub(crate) sequences: Option<String>,
    /// Threads that compute [default: all processors].
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<String>,
    /// Instruction set: auto, scalar, avx2, avx512, avx512vnni or avx512bf16 [default: auto].
    #[arg(long, value_name = "NAME")]
    pub(crate) isa: Option<String>,
    /// Form of attention and unembedding: published or q8 [default: published].
    #[arg(long, value_name = "FORM")]
    pub(crate) dense_weights: Option<String>,
    /// Form of keys and values: default or q8 [default: default].
    #[arg(long, value_name = "FORM")]
    pub(crate) kv: Option<String>,
    /// What is logged: error, warn, info, debug or trace [default: info].
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// Any setting, as server.port=8080; `glossa config` shows them all. May be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// A configuration file in TOML [default: ~/.config/glossa/config.toml where it exists].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl ServeArguments {
    /// Options that were given: the option, its setting and its values.
    pub(crate) fn options(&self) -> Vec<(&'static str, &'static str, Vec<String>)> {
        let Self { model, host, port, alias, keys, store, kv_mib, disk_cache, context, .. } = self;
        let Self { sequences, threads, isa, dense_weights, kv, log, set: _, config: _, .. } = self;
        let model = model.as_ref().map(|path| path.display().to_string());
        let aliases = (!alias.is_empty()).then(|| ("alias", "model.aliases", alias.clone()));
        let single = [
            ("model", "model.path", &model),
            ("host", "server.host", host),
            ("port", "server.port", port),
            ("keys", "server.keys", keys),
            ("store", "store.url", store),
            ("kv-mib", "cache.kv_mib", kv_mib),
            ("disk-cache", "cache.folder", disk_cache),
            ("context", "model.context", context),
            ("sequences", "limits.sequences", sequences),
            ("threads", "model.threads", threads),
            ("isa", "model.isa", isa),
            ("dense-weights", "model.dense_weights", dense_weights),
            ("kv", "model.kv", kv),
            ("log", "log.level", log),
        ];
        let given = single.into_iter().filter_map(|(option, name, text)| Some((option, name, vec![text.clone()?])));
        given.chain(aliases).collect()
    }
}

#[derive(Args)]
pub(crate) struct KeyArguments {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key, add its hash to a keys file, and print it once.
    New(NewKeyArguments),
}

#[derive(Args)]
pub(crate) struct NewKeyArguments {
    /// The keys file; made when it is not there. A server that runs reads it again on SIGHUP.
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: PathBuf,
    /// Whose key it is; records belong to the owner, and several keys may have one.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) owner: String,
    /// May also read metrics.
    #[arg(long)]
    pub(crate) admin: bool,
    /// Requests per minute [default: no limit].
    #[arg(long, value_name = "N")]
    pub(crate) requests_per_minute: Option<u32>,
    /// Tokens per minute, of prompts and answers [default: no limit].
    #[arg(long, value_name = "N")]
    pub(crate) tokens_per_minute: Option<u32>,
    /// Requests at once [default: no limit].
    #[arg(long, value_name = "N")]
    pub(crate) parallel: Option<u32>,
}
