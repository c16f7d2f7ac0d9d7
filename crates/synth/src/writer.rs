//! The front door: a shape, a seed and a layout become files in a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use crate::error::{Error, Result};
use crate::gguf::GgufOptions;
use crate::plan::FilePlan;
use crate::shape::Shape;
use crate::tensors::Checkpoint;
use crate::{gguf, hugging_face, original, stream, tokenizer};

/// How the files of a checkpoint are laid out. The numbers are the same in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Safetensors as released on Hugging Face: 3 shards there; 1 writes a single `model.safetensors` without an index.
    HuggingFace {
        /// Number of weight files.
        shards: usize,
    },
    /// OpenAI's own layout, as in the `original/` folder of the release.
    Original,
    /// GGUF, architecture `gpt-oss`.
    Gguf(GgufOptions),
}

/// Writes a checkpoint; a builder.
#[derive(Clone, Debug)]
pub struct Writer {
    shape: Shape,
    seed: u64,
    layout: Layout,
    tokenizer: bool,
    threads: usize,
    buffer_bytes: usize,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What to hand to a loader: the folder, or the (first) GGUF file.
    pub model: PathBuf,
    /// Every file.
    pub files: Vec<PathBuf>,
    /// Bytes of all files.
    pub bytes: u64,
}

impl Writer {
    /// Seed 20, three Hugging Face shards, no tokenizer files.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let layout = Layout::HuggingFace { shards: 3 };
        Self { shape, seed: 20, layout, tokenizer: false, threads, buffer_bytes: stream::default_buffer_bytes() }
    }

    /// Seeds the random numbers.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Chooses the layout.
    #[must_use]
    pub fn layout(self, layout: Layout) -> Self {
        Self { layout, ..self }
    }

    /// Also writes tokenizer.json, tokenizer_config.json and special_tokens_map.json. GGUF has the vocabulary inside anyway.
    #[must_use]
    pub fn tokenizer(self, tokenizer: bool) -> Self {
        Self { tokenizer, ..self }
    }

    /// How many threads make bytes; all processors unless said otherwise.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        Self { threads: threads.max(1), ..self }
    }

    /// Size of each of the two buffers in memory, bytes.
    #[must_use]
    pub fn buffer_bytes(self, buffer_bytes: usize) -> Self {
        Self { buffer_bytes: buffer_bytes.max(1), ..self }
    }

    /// Writes into a folder, which is created if need be. Files of the same names are replaced.
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::Inexpressible`] before anything is written; [`Error::Write`] when the system refuses.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<Written> {
        self.write_with_progress(folder, |_, _| {})
    }

    /// [`Self::write`], calling `progress(bytes done, bytes in all)` as it goes.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_with_progress(&self, folder: impl AsRef<Path>, mut progress: impl FnMut(u64, u64)) -> Result<Written> {
        let folder = folder.as_ref();
        let plans = self.plans()?;
        fs::create_dir_all(folder).map_err(|source| Error::write(folder, source))?;
        let total = plans.iter().map(FilePlan::byte_count).sum();
        let mut done = 0;
        progress(done, total);
        for plan in &plans {
            stream::write_file(folder, plan, self.threads, self.buffer_bytes, &mut |bytes| {
                done += bytes;
                progress(done, total);
            })?;
        }
        let files: Vec<PathBuf> = plans.iter().map(|plan| folder.join(&plan.name)).collect();
        let model = match self.layout {
            Layout::HuggingFace { .. } | Layout::Original => folder.to_path_buf(),
            Layout::Gguf(_) => files[0].clone(),
        };
        Ok(Written { model, files, bytes: total })
    }

    fn plans(&self) -> Result<Vec<FilePlan>> {
        let checkpoint = Checkpoint::new(self.shape.clone(), self.seed)?;
        let mut plans = match self.layout {
            Layout::HuggingFace { shards } => hugging_face::plans(&checkpoint, shards),
            Layout::Original => original::plans(&checkpoint)?,
            Layout::Gguf(options) => gguf::plans(&checkpoint, options)?,
        };
        if self.tokenizer {
            plans.extend(tokenizer::plans(self.shape.first_special())?);
        }
        Ok(plans)
    }
}
