//! What can go wrong with a model: one enum for the crate, each variant with the values a person needs to act on it.
//! It must not know how an error is shown or which exit code it gives.

use std::path::PathBuf;

/// Everything that this crate refuses. `Display` is one line: where, what, expected, found, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system would not give us the file.
    #[error("{}: cannot be read: {source}; check that it exists and that you may read it", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// The path leads to something that is not a model.
    #[error(
        "{}: not a checkpoint: expected a directory with config.json and safetensors, an original/ directory, \
         or a .gguf or .safetensors file, found {found}; give the path of a downloaded gpt-oss model",
        path.display()
    )]
    NotACheckpoint {
        /// What the user named.
        path: PathBuf,
        /// What lies there.
        found: String,
    },

    /// A file that belongs to the checkpoint is not there.
    #[error("{}: missing file: expected {expected}; download the model again", path.display())]
    MissingFile {
        /// Where it should be.
        path: PathBuf,
        /// What should be in it, and who says so.
        expected: String,
    },

    /// A JSON file or a JSON header does not parse.
    #[error("{}: bad JSON: expected {expected}, found {found}; download the file again", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What kind of document it should be.
        expected: &'static str,
        /// The parser's complaint.
        found: String,
    },

    /// A hyperparameter (config.json field or GGUF key) is absent, of the wrong type, or out of range.
    #[error("{}: {field}: expected {expected}, found {found}; correct it or download the file again", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field as the file spells it.
        field: String,
        /// What would be accepted.
        expected: String,
        /// What is there.
        found: String,
    },

    /// The file holds another kind of model.
    #[error(
        "{}: unknown architecture: expected gpt-oss (model_type gpt_oss, GptOssForCausalLM), found {found}; \
         only gpt-oss models and fine-tunes of them can be run",
        path.display()
    )]
    Architecture {
        /// The file that names the architecture.
        path: PathBuf,
        /// The name it gives.
        found: String,
    },

    /// A file's own structure is damaged.
    #[error("{}: damaged {part}: expected {expected}, found {found}; download the file again", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// Which part of the header.
        part: String,
        /// What would be accepted.
        expected: String,
        /// What is there.
        found: String,
    },

    /// A tensor is not what the hyperparameters say.
    #[error(
        "{}: tensor {tensor}: wrong {property}: expected {expected}, found {found}; \
         the file does not fit its configuration or is damaged, download it again",
        path.display()
    )]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        tensor: String,
        /// dtype, shape, byte length, data offsets.
        property: &'static str,
        /// What would be accepted.
        expected: String,
        /// What is there.
        found: String,
    },

    /// A tensor that the hyperparameters ask for is in no file.
    #[error("{}: tensor {tensor}: missing: expected {expected}, found no such tensor; download the model again", path.display())]
    MissingTensor {
        /// The file or directory that was searched.
        path: PathBuf,
        /// The name that was looked for.
        tensor: String,
        /// Shape (and encoding, where it is fixed).
        expected: String,
    },

    /// A tensor that no layer uses: ignoring it could mean computing another model than the author's.
    #[error(
        "{}: tensor {tensor}: unexpected: expected only the {expected} tensors of this configuration, found {found} as well; \
         the file does not fit its configuration",
        path.display()
    )]
    ExtraTensor {
        /// The file that holds it.
        path: PathBuf,
        /// Its name.
        tensor: String,
        /// How many tensors the configuration uses.
        expected: usize,
        /// Its encoding and shape.
        found: String,
    },

    /// The same tensor name twice.
    #[error(
        "{}: tensor {tensor}: duplicate: expected it once, found it again in {}; remove one of the two",
        path.display(), other.display()
    )]
    DuplicateTensor {
        /// The file with the second copy.
        path: PathBuf,
        /// The name.
        tensor: String,
        /// The file with the first copy.
        other: PathBuf,
    },

    /// Expert weights in another encoding than MXFP4. They are never converted silently.
    #[error(
        "{}: tensor {tensor}: expert weights: expected MXFP4 as published, found {found}; \
         they would need several times the memory, so use the MXFP4 checkpoint or quantise the experts to MXFP4 first",
        path.display()
    )]
    ExpertEncoding {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its encoding.
        found: String,
    },

    /// An E8M0 scale of 255, which means not-a-number.
    #[error(
        "{}: tensor {tensor}: NaN scale: expected every E8M0 scale below 255, found 255 in expert {expert}, row {row}; \
         download the file again",
        path.display()
    )]
    ScaleNotANumber {
        /// The file.
        path: PathBuf,
        /// The tensor with the scales.
        tensor: String,
        /// Expert index.
        expert: usize,
        /// Row in the expert's matrix.
        row: usize,
    },

    /// A norm, bias or sink that is infinite or not a number.
    #[error("{}: tensor {tensor}: expected finite values, found {found} at index {index}; download the file again", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Flat index of the first such value.
        index: usize,
        /// The value.
        found: f32,
    },

    /// A span without tokens.
    #[error("the prompt is empty: expected at least one token, found none; give a text or token ids")]
    EmptySpan,

    /// A token id that the embedding has no row for.
    #[error(
        "token {id} is outside the vocabulary: expected an id below {vocabulary_size}; use the tokenizer of this model"
    )]
    TokenOutOfRange {
        /// The id.
        id: u32,
        /// Rows of the embedding.
        vocabulary_size: usize,
    },

    /// More tokens than the checkpoint is meant for.
    #[error("the context overruns: expected at most {context_length} tokens, found {needed}; shorten the input")]
    ContextExceeded {
        /// Tokens that the sequence would hold.
        needed: usize,
        /// Tokens that it may hold.
        context_length: usize,
    },

    /// Weights that compute infinities or NaN.
    #[error(
        "the model computed a logit that is not finite, of token {token}; its weights are damaged, download the model again"
    )]
    NonFiniteLogits {
        /// First such token of the vocabulary.
        token: usize,
    },

    /// A device or a file of packed weights that cannot be had.
    #[error(transparent)]
    Device(#[from] kernels::Error),
}

/// Longest text from a file that is shown in a message, in characters.
const SHOWN_CHARACTERS_MAX: usize = 120;

/// Text out of a file, made fit for a one-line message: control characters escaped, long text cut.
pub(crate) fn printable(text: &str) -> String {
    let mut characters = text.chars();
    let mut shown = String::new();
    for character in characters.by_ref().take(SHOWN_CHARACTERS_MAX) {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}
