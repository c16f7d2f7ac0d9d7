//! Every command and option, as clap reads them. It must not know what they do.

mod bench;
mod serve;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use bench::{Api, BenchArguments, LoadArguments, Scenario};
pub(crate) use serve::{KeyArguments, KeyCommand, NewKeyArguments, ServeArguments};

/// Runs OpenAI's gpt-oss models on your own hardware.
#[derive(Parser)]
#[command(name = "glossa", version, about, max_term_width = 110, args_override_self = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Answer a prompt.
    Run(Box<RunArguments>),
    /// Serve OpenAI's and Anthropic's APIs.
    Serve(Box<ServeArguments>),
    /// Show every setting of `serve`, its value and where that came from.
    Config(Box<ServeArguments>),
    /// Make API keys.
    Key(KeyArguments),
    /// Write a model's packed weights beside it, so that the next start maps them instead of packing again.
    Pack(PackArguments),
    /// Train a model from a recipe, on its own data or on the built-in corpus.
    Train(TrainArguments),
    /// Show a model's architecture, tensors and planned memory, without running it.
    Inspect(InspectArguments),
    /// Measure the speed of this machine and of models on it.
    Bench(Box<BenchArguments>),
    /// Compute the logits of given token ids and write them as safetensors.
    Logits(LogitsArguments),
    /// Text to token ids.
    Tokenize(TokenizeArguments),
    /// Token ids to text.
    Detokenize(DetokenizeArguments),
    /// A conversation as JSON to harmony text and token ids.
    Render(RenderArguments),
    /// Token ids to harmony messages.
    Parse(ParseArguments),
}

#[derive(Args)]
#[command(override_usage = "glossa run [OPTIONS] [MODEL] [PROMPT]...")]
pub(crate) struct RunArguments {
    /// MODEL is a directory (Hugging Face or OpenAI's original layout), a .gguf file or a .safetensors file; without it the
    /// tiny model inside the program answers. PROMPT may be - (or nothing, when something is piped in) for standard input;
    /// several parts are joined by an empty line: `… | glossa run MODEL "Summarise this:" -`.
    #[arg(value_name = "MODEL or PROMPT")]
    pub(crate) words: Vec<String>,
    /// The model, when it should not be told from the prompt by its looks; all words are the prompt then.
    #[arg(long, value_name = "PATH")]
    pub(crate) model: Option<PathBuf>,
    /// How long the model may think.
    #[arg(long, value_enum, default_value_t = Effort::Medium)]
    pub(crate) effort: Effort,
    /// Instructions of the developer (what other systems call the system prompt).
    #[arg(long, value_name = "TEXT")]
    pub(crate) instructions: Option<String>,
    /// The date that the model is told: YYYY-MM-DD, today or none. A fixed date makes runs repeatable.
    #[arg(long, default_value = "today", value_name = "DATE")]
    pub(crate) date: String,
    /// Most tokens to generate, reasoning included [default: to the end of the context].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) max_tokens: Option<usize>,
    /// Most tokens of reasoning; then the answer begins, as it does when the reasoning only repeats itself [default: 4096, 16384 or
    /// 65536, by effort].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) reasoning_budget: Option<usize>,
    /// Let reasoning go on that only repeats itself.
    #[arg(long)]
    pub(crate) no_loop_guard: bool,
    /// Tokens of prompt and answer together [default: what the model was made for].
    #[arg(long, value_name = "N")]
    pub(crate) context: Option<usize>,
    /// Feed the prompt as it stands, control tokens included, and print every token as it comes (not with --json; effort,
    /// instructions and date are not used).
    #[arg(long)]
    pub(crate) raw: bool,
    /// Print one JSON object at the end instead of text.
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
    /// Do not show the chain of thought.
    #[arg(long)]
    pub(crate) hide_reasoning: bool,
    /// Do not show progress and figures.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) sampling: SamplingArguments,
    #[command(flatten)]
    pub(crate) compute: ComputeArguments,
    /// Compute in f32 throughout, as the reference does. Otherwise activations are rounded to 8 bits, which on the shipped model
    /// changes the likeliest token at 1 of 100 positions.
    #[arg(long)]
    pub(crate) exact: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingArguments {
    /// Divides the logits; 0 always takes the most likely token [default: 1; 0.3 for the built-in tiny model].
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub(crate) temperature: Option<f32>,
    /// Keep the most likely tokens that together reach this probability.
    #[arg(long, default_value_t = 1.0, value_name = "P", allow_negative_numbers = true)]
    pub(crate) top_p: f32,
    /// Keep that many most likely tokens; 0 keeps all.
    #[arg(long, default_value_t = 0, value_name = "K", allow_negative_numbers = true)]
    pub(crate) top_k: usize,
    /// Keep tokens at least this likely relative to the most likely one.
    #[arg(long, default_value_t = 0.0, value_name = "P", allow_negative_numbers = true)]
    pub(crate) min_p: f32,
    /// Lowers the logits of tokens that were generated before.
    #[arg(long, default_value_t = 0.0, value_name = "X", allow_negative_numbers = true)]
    pub(crate) presence_penalty: f32,
    /// Lowers the logits of tokens by how often they were generated.
    #[arg(long, default_value_t = 0.0, value_name = "X", allow_negative_numbers = true)]
    pub(crate) frequency_penalty: f32,
    /// Divides the logits of tokens seen in prompt or answer.
    #[arg(long, default_value_t = 1.0, value_name = "X", allow_negative_numbers = true)]
    pub(crate) repetition_penalty: f32,
    /// Adds to a token's logit; may be given several times.
    #[arg(long, value_name = "ID=BIAS", allow_hyphen_values = true)]
    pub(crate) logit_bias: Vec<String>,
    /// Makes the choice repeatable [default: a new one each time].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Computing")]
pub(crate) struct ComputeArguments {
    /// Threads [default: all processors].
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Instruction set: auto, scalar, avx2, avx512, avx512vnni, avx512bf16, or reference (very slow, f64).
    #[arg(long, default_value = "auto", value_name = "NAME")]
    pub(crate) isa: String,
    /// In which form attention and unembedding are computed with: as published, or rounded to 8 bits per block of 32, which halves
    /// their memory and their time (not with --exact).
    #[arg(long, value_enum, default_value_t = DenseWeights::Published)]
    pub(crate) dense_weights: DenseWeights,
    /// In which form keys and values are kept: bf16 (f32 with --exact), or 8 bits with a scale per position and head, which takes half
    /// the memory and makes decoding behind a long prompt faster.
    #[arg(long = "kv", value_enum, default_value_t = KvForm::Default)]
    pub(crate) kv_form: KvForm,
    /// Prompt tokens computed at a time.
    #[arg(long, default_value_t = model::PLANNED_CHUNK_TOKENS, value_name = "N")]
    pub(crate) chunk: usize,
}

/// Forms of dense weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DenseWeights {
    Published,
    Q8,
}

/// Forms of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KvForm {
    Default,
    Q8,
}

#[derive(Args)]
pub(crate) struct PackArguments {
    /// A model's directory or file.
    pub(crate) model: PathBuf,
    /// The form of attention and unembedding that `run` will be asked for.
    #[arg(long, value_enum, default_value_t = DenseWeights::Published)]
    pub(crate) dense_weights: DenseWeights,
    /// Another place [default: where `run` looks for it].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Only read the file that is there, and compare it with what was written.
    #[arg(long)]
    pub(crate) check: bool,
    /// Threads [default: all processors].
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
}

#[derive(Args)]
pub(crate) struct TrainArguments {
    /// A recipe in TOML.
    pub(crate) recipe: PathBuf,
    /// Go on from the last checkpoint of this run.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Where checkpoints, figures and the model go [default: what the recipe says].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
    /// Threads; the result does not depend on them [default: what the recipe says, or all processors].
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Instruction set: auto, scalar, avx2, avx512 (also avx512vnni, avx512bf16). The same one gives the same weights, bit for bit.
    #[arg(long, default_value = "auto", value_name = "NAME")]
    pub(crate) isa: String,
    /// Only say what it will cost.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Stop after this step; the schedule stays the recipe's, and --resume goes on.
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<u64>,
}

#[derive(Args)]
pub(crate) struct InspectArguments {
    /// A model.
    pub(crate) model: PathBuf,
    /// Tokens of context that memory is planned for [default: what the model was made for].
    #[arg(long, value_name = "N")]
    pub(crate) context: Option<usize>,
    /// List every tensor.
    #[arg(long)]
    pub(crate) tensors: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct LogitsArguments {
    /// A model.
    pub(crate) model: PathBuf,
    /// Token ids as JSON: an array, or an object with the array "ids".
    #[arg(long, value_name = "FILE.json")]
    pub(crate) ids: PathBuf,
    /// Where the tensor `logits` F32 [tokens, vocabulary] goes.
    #[arg(long, value_name = "FILE.safetensors")]
    pub(crate) out: PathBuf,
    /// Only of the last token.
    #[arg(long)]
    pub(crate) last: bool,
    /// Keys and values in bf16 and fast kernels' rounding, as `run` computes, instead of exact f32.
    #[arg(long)]
    pub(crate) default_precision: bool,
    #[command(flatten)]
    pub(crate) compute: ComputeArguments,
}

/// Where the vocabulary comes from.
#[derive(Args)]
pub(crate) struct VocabularyArguments {
    /// Use this model's vocabulary (or this tokenizer.json) instead of o200k_harmony.
    #[arg(long, value_name = "PATH")]
    pub(crate) model: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct TokenizeArguments {
    /// The text; - or nothing reads standard input.
    pub(crate) text: Option<String>,
    /// Let the spelling of a control token mean that token.
    #[arg(long)]
    pub(crate) special: bool,
    /// Show each token's text beside its id.
    #[arg(long)]
    pub(crate) table: bool,
    #[command(flatten)]
    pub(crate) vocabulary: VocabularyArguments,
}

#[derive(Args)]
pub(crate) struct DetokenizeArguments {
    /// Token ids as JSON or apart by spaces or commas; - or nothing reads standard input.
    pub(crate) ids: Option<String>,
    #[command(flatten)]
    pub(crate) vocabulary: VocabularyArguments,
}

#[derive(Args)]
pub(crate) struct RenderArguments {
    /// A file with a conversation as JSON, {"messages": […]}; - or nothing reads standard input.
    pub(crate) file: Option<PathBuf>,
    /// What the rendering is for.
    #[arg(long = "for", value_enum, default_value_t = Purpose::Completion)]
    pub(crate) purpose: Purpose,
    /// Which chain of thought of earlier turns stays.
    #[arg(long, value_enum, default_value_t = Analysis::BeforeLastFinal)]
    pub(crate) analysis: Analysis,
    /// Print only the ids, as a JSON array.
    #[arg(long)]
    pub(crate) ids: bool,
    #[command(flatten)]
    pub(crate) vocabulary: VocabularyArguments,
}

#[derive(Args)]
pub(crate) struct ParseArguments {
    /// Token ids as JSON or apart by spaces or commas; - or nothing reads standard input.
    pub(crate) ids: Option<String>,
    /// The ids are a whole conversation; without this, they follow `<|start|>assistant`.
    #[arg(long)]
    pub(crate) conversation: bool,
    #[command(flatten)]
    pub(crate) vocabulary: VocabularyArguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Effort {
    Low,
    Medium,
    High,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Purpose {
    /// The assistant speaks next.
    Completion,
    /// Nobody speaks next.
    Conversation,
    /// Training: the last final message ends with return.
    Training,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Analysis {
    /// Dropped before the last final message (as documented).
    BeforeLastFinal,
    /// Dropped before the first final message (as OpenAI's library does).
    BeforeFirstFinal,
    /// All stays.
    Keep,
}
