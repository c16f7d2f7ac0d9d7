//! What a person sees when a command fails: one line each, and the exit code.

use std::path::PathBuf;

/// Everything that ends a command early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Model(#[from] model::Error),
    #[error(transparent)]
    Kernels(#[from] kernels::Error),
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// Text could not be rendered or a vocabulary lacks harmony's tokens.
    #[error(transparent)]
    Harmony(#[from] harmony::Error),
    #[error(transparent)]
    Train(#[from] train::Error),
    #[error(transparent)]
    Corpus(#[from] corpus::Error),
    #[error("{}: holds a run already; go on with it by --resume, or choose another folder with --output", path.display())]
    RunExists { path: PathBuf },
    #[error(
        "documents are too long: the last of many in a row has {found} tokens; allow more than {most} with data.document_tokens_max and train.micro_batch_tokens"
    )]
    DocumentsTooLong { found: usize, most: usize },
    /// A bug of ours, whose own message stands above.
    #[error("the thread that draws documents has stopped; the last checkpoint is whole, go on with --resume")]
    DrawingStopped,
    #[error("{}: the vocabulary cannot be used: {source}", path.display())]
    Vocabulary { path: PathBuf, source: harmony::Error },
    #[error("{}: cannot be read: {source}; check that it exists and that you may read it", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: cannot be written: {source}; check the folder and the space on the disk", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("{}: expected {expected}, found {found}", path.display())]
    Input { path: PathBuf, expected: &'static str, found: String },
    #[error("{}: the model has no vocabulary of its own and {vocabulary_size} token ids, not o200k_harmony's {known}; put its tokenizer.json beside it", path.display())]
    NoVocabulary { path: PathBuf, vocabulary_size: usize, known: usize },
    #[error("{}: the vocabulary has {found} ids but the model only {vocabulary_size}; use the tokenizer.json of this model", path.display())]
    VocabularyTooLarge { path: PathBuf, found: usize, vocabulary_size: usize },
    #[error("{}: is being read; choose another file for the output", path.display())]
    Overwrite { path: PathBuf },
    #[error("the prompt is empty: give a text, or pipe one in and write - in its place")]
    EmptyPrompt,
    #[error("--logit-bias {given}: expected TOKEN_ID=BIAS, for instance 1234=-5")]
    LogitBias { given: String },
    #[error("--{name} {found}: expected {expected}")]
    Option { name: &'static str, found: String, expected: String },
    #[error(
        "{model}: the kernels for {isa} compute something else than the portable ones ({deviation:.1} % off, at most {tolerance} expected), so nothing is served; try --isa with another one, and report this with `glossa bench --machine`"
    )]
    SelfTest { model: String, isa: &'static str, deviation: f64, tolerance: f64 },
    #[error(
        "{model}: the rough copy of the unembedding chooses another token than all logits do with the kernels for {isa}, so nothing is served; pack the model again with `glossa pack`, or try --isa with another one, and report this with `glossa bench --machine`"
    )]
    SelfTestChoice { model: String, isa: &'static str },
    #[error(
        "serving needs {planned}, the machine has {machine}: weights {weights}, keys and values {keys_and_values}; lower --kv-mib, or use --dense-weights q8 or a smaller model"
    )]
    Memory { planned: String, machine: String, weights: String, keys_and_values: String },
    /// A server that is compared with.
    #[error("{url}: {what}; {advice}")]
    Server { url: String, what: String, advice: &'static str },
    #[error("a client's thread cannot start: {source}; ask for fewer --clients or --soak-clients")]
    ClientThread { source: std::io::Error },
    /// A client's thread has panicked, whose own message stands above.
    #[error("a client's thread has stopped; report this")]
    ClientStopped,
    #[error("after the load not everything is as it should be: {first}; {count} finding(s) stand in the report")]
    Findings { count: usize, first: String },
    #[error("{place}: {what}")]
    Config { place: String, what: String },
    #[error(transparent)]
    Agent(#[from] agent::Error),
    #[error("the store cannot be opened: {0}")]
    Store(#[from] store::Error),
    #[error(transparent)]
    Serve(#[from] server::ServeError),
    #[error("the server's threads cannot start: {source}; check the limits of this system")]
    Runtime { source: std::io::Error },
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
    /// Ctrl-C; what was generated has been shown.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// 130 for an interrupt, as shells have it; 1 otherwise (clap gives 2 for wrong usage).
    pub(crate) fn exit_code(&self) -> u8 {
        if matches!(self, Self::Interrupted) { 130 } else { 1 }
    }
}
