//! What can go wrong in training, with what, where and what to do.

use std::path::PathBuf;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model's shape cannot be trained.
    #[error("{what} is {found}; the trainer needs {needed}")]
    Shape {
        /// Which number.
        what: &'static str,
        /// Its value.
        found: usize,
        /// What it must be.
        needed: &'static str,
    },
    /// A sample that does not fit the model.
    #[error("sample {index}: {problem}")]
    Sample {
        /// Its place in the batch.
        index: usize,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A file or folder that the system does not let us read.
    #[error("{}: cannot be read: {source}; check that it exists and that you may read it", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file or folder that the system does not let us write.
    #[error("{}: cannot be written: {source}; check the folder and the space on the disk", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A checkpoint of a run that this is not.
    #[error("{}: belongs to {differs}; resume with the recipe that began this run, or choose another output folder", path.display())]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// In what they differ.
        differs: &'static str,
    },
    /// A folder whose checkpoints are all torn.
    #[error("{}: none of the {files} checkpoints is whole; delete the folder and begin anew", folder.display())]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// How many there are.
        files: usize,
    },
    /// A parameter that no file should hold.
    #[error(
        "{tensor}: value {index} is {value}; the run has diverged: lower train.learning_rate or raise train.warmup_steps"
    )]
    Diverged {
        /// Which tensor.
        tensor: String,
        /// Which of its values.
        index: usize,
        /// What stands there.
        value: f32,
    },
    /// A tokenizer.json that no model can go with.
    #[error("the tokenizer cannot be used: {0}")]
    Tokenizer(#[from] harmony::Error),
    /// A vocabulary with ids that the model does not have.
    #[error("the tokenizer has {found} ids but the model {vocabulary_size}; give the model as many as the tokenizer")]
    TokenizerTooLarge {
        /// Ids of the tokenizer.
        found: usize,
        /// Rows of the embedding.
        vocabulary_size: usize,
    },
    /// Training ran away.
    #[error("step {step}: the loss is {loss}, or its gradient is not finite; lower the learning rate or the clip norm")]
    NotFinite {
        /// The step that was not made.
        step: u64,
        /// Its loss.
        loss: f64,
    },
    /// A recipe that is no recipe.
    #[error("{}: line {line} ({content}): {problem}", path.display())]
    RecipeSyntax {
        /// The recipe.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What stands there.
        content: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A value of a recipe that is out of its bounds.
    #[error("{}: {key} is {found}; allowed: {allowed}", path.display())]
    RecipeValue {
        /// The recipe.
        path: PathBuf,
        /// Table and key.
        key: String,
        /// Its value.
        found: String,
        /// What it may be.
        allowed: String,
    },
    /// The processor or the system refused.
    #[error(transparent)]
    Kernels(#[from] kernels::Error),
}
