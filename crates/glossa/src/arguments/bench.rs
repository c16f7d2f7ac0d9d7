//! The options of `glossa bench`, as clap reads them. It must not know what they do.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ComputeArguments;

#[derive(Args)]
pub(crate) struct BenchArguments {
    /// Models to measure.
    #[arg(required_unless_present_any = ["machine", "only_compare"])]
    pub(crate) models: Vec<PathBuf>,
    /// Measure what the machine can do at best: reading memory, and each dot product.
    #[arg(long)]
    pub(crate) machine: bool,
    /// With --machine: read this file's mapping, too [default: the first model's first file].
    #[arg(long, value_name = "PATH", requires = "machine")]
    pub(crate) file: Option<PathBuf>,
    /// Memory that is read to measure its speed; must be many times the processor's cache.
    #[arg(long, default_value_t = 1024, value_name = "MIB")]
    pub(crate) memory_mib: usize,
    /// Lengths of prompts.
    #[arg(long, default_value = "512", value_name = "TOKENS,…", value_delimiter = ',')]
    pub(crate) prompt: Vec<usize>,
    /// Tokens that stand in the context before decoding is measured.
    #[arg(long, default_value = "0", value_name = "TOKENS,…", value_delimiter = ',')]
    pub(crate) depth: Vec<usize>,
    /// Also decode so many sequences at once, from an empty context.
    #[arg(long, value_name = "SEQUENCES,…", value_delimiter = ',')]
    pub(crate) batch: Vec<usize>,
    /// Tokens decoded per run and sequence; each run goes on where the last one ended.
    #[arg(long, default_value_t = 32, value_name = "TOKENS")]
    pub(crate) decode: usize,
    /// Decode with all logits, as where log probabilities are asked for, and not only with those that could be chosen.
    #[arg(long)]
    pub(crate) all_logits: bool,
    /// Runs; the one in the middle counts.
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub(crate) runs: usize,
    /// Write JSON to this file (- prints it instead of the table).
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) compute: ComputeArguments,
    /// Compute in f32 throughout, as the reference does.
    #[arg(long)]
    pub(crate) exact: bool,
    #[command(flatten)]
    pub(crate) load: LoadArguments,
}

#[derive(Args)]
#[command(next_help_heading = "Serving under load")]
pub(crate) struct LoadArguments {
    /// Instead of the model alone, measure how it serves many at once: clients (all send at the same time), beside (a prompt
    /// arrives while others are answered), turns (a conversation, whose beginning need not be read again), copy (a text is
    /// written out again with a few edits: what guessing tokens gains), forms (an answer is held to a schema), soak (random load for minutes, and whether everything
    /// is given back).
    #[arg(long = "load", value_enum, value_name = "SCENARIO,…", value_delimiter = ',')]
    pub(crate) scenarios: Vec<Scenario>,
    /// Put the same load on a server at this address (http only): llama.cpp's, or one that is compatible with OpenAI.
    #[arg(long, value_name = "URL", requires = "scenarios")]
    pub(crate) compare: Option<String>,
    /// Measure that server alone; no model is needed then.
    #[arg(long, requires = "compare", conflicts_with = "models")]
    pub(crate) only_compare: bool,
    /// How to talk to that server [default: ask it].
    #[arg(long, value_enum, requires = "compare")]
    pub(crate) compare_api: Option<Api>,
    /// Measure so many times, Glossa and the server in turn; medians stand in the table.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) pairs: usize,
    /// Makes prompts and plans repeatable. A server finds prompts again that it has seen [default: new ones each time].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Draw first tokens and tokens per second by the number of clients into this file.
    #[arg(long, value_name = "FILE", requires = "scenarios")]
    pub(crate) svg: Option<PathBuf>,

    /// clients: how many.
    #[arg(long, default_value = "8", value_name = "N,…", value_delimiter = ',')]
    pub(crate) clients: Vec<usize>,
    /// clients: tokens of each prompt.
    #[arg(long, default_value_t = 100, value_name = "TOKENS")]
    pub(crate) client_prompt: usize,
    /// clients: tokens of each answer.
    #[arg(long, default_value_t = 32, value_name = "TOKENS")]
    pub(crate) client_answer: usize,
    /// beside: generations that run.
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub(crate) streams: usize,
    /// beside: tokens of the prompt that arrives.
    #[arg(long, default_value_t = 512, value_name = "TOKENS")]
    pub(crate) beside_prompt: usize,
    /// turns: tokens of the first turn.
    #[arg(long, default_value_t = 6000, value_name = "TOKENS")]
    pub(crate) turn_tokens: usize,
    /// copy: tokens of each answer.
    #[arg(long, default_value_t = 256, value_name = "TOKENS")]
    pub(crate) copy_tokens: usize,
    /// copy, forms: answers of each way, in turn.
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub(crate) copy_runs: usize,
    /// soak: for how long.
    #[arg(long, default_value_t = 1.0, value_name = "MINUTES")]
    pub(crate) minutes: f64,
    /// soak: longest prompt.
    #[arg(long, default_value_t = 4096, value_name = "TOKENS")]
    pub(crate) soak_tokens: usize,
    /// soak: longest answer.
    #[arg(long, default_value_t = 256, value_name = "TOKENS")]
    pub(crate) soak_answer: usize,
    /// soak: requests per second that arrive on average.
    #[arg(long, default_value_t = 2.0, value_name = "RATE")]
    pub(crate) soak_rate: f64,
    /// soak: requests under way at most; those that arrive meanwhile come later.
    #[arg(long, default_value_t = 24, value_name = "N")]
    pub(crate) soak_clients: usize,

    /// Glossa: memory for keys and values, of running requests and of the prefix cache together.
    #[arg(long, default_value_t = 4096, value_name = "MIB")]
    pub(crate) kv_mib: usize,
    /// Glossa: requests that are read or answered at once; the others wait.
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub(crate) sequences: usize,
    /// Glossa: prompt tokens per step while nobody is answered.
    #[arg(long, default_value_t = engine::Limits::SERVING_CHUNK_TOKENS, value_name = "TOKENS")]
    pub(crate) serving_chunk: usize,
    /// Glossa: for how long a step may read prompts while others are answered [default: the engine's].
    #[arg(long, value_name = "MS")]
    pub(crate) shared_chunk_ms: Option<u64>,
    /// Glossa: guess no tokens from the text so far.
    #[arg(long)]
    pub(crate) no_drafts: bool,
    /// Glossa: a folder where prefixes outlive the process [default: none, and no turn after a restart].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) disk_cache: Option<PathBuf>,
    /// Glossa: room in that folder.
    #[arg(long, default_value_t = 4096, value_name = "MIB")]
    pub(crate) disk_cache_mib: u64,
}

/// What is measured under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    Clients,
    Beside,
    Turns,
    Copy,
    Forms,
    Soak,
}

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Api {
    /// llama.cpp's own `/completion`, which tells the ids and how much of a prompt was computed.
    #[value(name = "llama.cpp")]
    LlamaCpp,
    /// `/v1/completions`, as OpenAI has it.
    #[value(name = "openai")]
    OpenAi,
}
