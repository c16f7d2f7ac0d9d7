//! What a caller asks for: a job, and the limits that an engine keeps. It must not know how jobs are run.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::constraint::Constraint;
use crate::disk::DiskLimits;
use crate::draft::DraftLimits;
use crate::error::Error;
use crate::guard::Guards;
use crate::sampling::Sampling;

/// What to generate.
#[derive(Clone, Debug)]
pub struct Job {
    /// Token ids of the prompt; at least one.
    pub prompt: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Tokens that end the generation; the one that did is part of the stream.
    pub stop_ids: Vec<u32>,
    /// Most tokens to generate; `None` goes on to the end of the context. A job of no tokens ends at once and computes nothing, unless it
    /// asks for its prompt's log probabilities; its prompt may fill the context.
    pub tokens_max: Option<usize>,
    /// Who goes first where not all can.
    pub priority: Priority,
    /// When the job ends, finished or not, waiting or running.
    pub deadline: Option<Instant>,
    /// Positions of the prompt where a message begins: where another prompt may go on differently, so that the prefix cache keeps
    /// what is needed to begin there. Those outside the prompt are passed over.
    pub boundaries: Vec<usize>,
    /// Whose prefixes these are. Jobs of different tenants share nothing, so that none can tell from the time to the first token
    /// what another has asked.
    pub tenant: Vec<u8>,
    /// Whether the prefix cache may be read and written.
    pub cached: bool,
    /// What ends reasoning that leads nowhere; `None` watches nothing.
    pub guards: Option<Guards>,
    /// Whether tokens are guessed from the text so far, to be checked several at once. What is generated is the same either way.
    pub drafts: Drafts,
    /// How many of the most likely tokens are told with each token generated; at most [`Job::TOP_LOGPROBS_MAX`]. Where nobody asks for
    /// any log probability, `None`, those of the tokens generated are not exact: most of the unembedding need not be read then.
    pub top_logprobs: Option<usize>,
    /// Whether the prompt's own log probabilities are told, and with each of its tokens how many of the most likely ones; at most
    /// [`Job::TOP_LOGPROBS_MAX`]. Such a prompt is computed as a whole, in smaller steps: nothing of it is taken from the prefix
    /// cache, though it may be kept there.
    pub prompt_logprobs: Option<usize>,
    /// What may be generated, standing behind the prompt; `None` allows every token.
    pub constraint: Option<Box<dyn Constraint>>,
}

/// When tokens are guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drafts {
    /// Never.
    Off,
    /// Where it pays, by what was accepted and by what steps take.
    Paced(DraftLimits),
    /// Wherever the text has gone on like this before.
    Always(DraftLimits),
}

/// Who goes first. A higher priority is worth [`Priority::ARRIVALS`] places in the queue per level, not all of them: whoever
/// waits long enough is the next whatever comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// When others leave room.
    Low,
    /// As everyone.
    #[default]
    Normal,
    /// Before the others.
    High,
}

/// Limits of an engine. Each has a name, and what lies beyond one is refused or waits; nothing is cut silently.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Tokens of a sequence, prompt and output together.
    pub context_tokens: usize,
    /// Prompt tokens computed per step while nobody is generating.
    pub chunk_tokens: usize,
    /// Prompt tokens computed per step while somebody is.
    pub shared_chunk: SharedChunk,
    /// Jobs that are read or generated at once; the others wait.
    pub sequences_max: usize,
    /// Jobs that may wait; more are refused.
    pub queue_max: usize,
    /// Bytes of keys and values, of running jobs and of the prefix cache together. `None` sets no bound, and then nothing is kept
    /// for later jobs.
    pub kv_bytes_max: Option<usize>,
    /// Where prefixes outlive the process.
    pub disk: Option<DiskCache>,
}

/// How many prompt tokens may be computed beside running generations, which wait meanwhile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SharedChunk {
    /// So many.
    Tokens(usize),
    /// As many as this time allows, by what steps have taken so far; at least [`SharedChunk::TOKENS_MIN`].
    Within(Duration),
}

/// The disk tier of the prefix cache.
#[derive(Clone, Debug)]
pub struct DiskCache {
    /// Folder and bytes.
    pub limits: DiskLimits,
    /// What the model is, to the letter of its weights: prefixes of one model must never serve another.
    pub model: String,
    /// Bytes that may wait to be written; what comes faster than the disk takes is not kept.
    pub queue_bytes_max: u64,
}

impl Job {
    /// Most alternatives that are told with a token, as in OpenAI's API.
    pub const TOP_LOGPROBS_MAX: usize = 20;

    /// A job with the recommended sampling and no limits of its own.
    #[must_use]
    pub fn new(prompt: Vec<u32>) -> Self {
        Self {
            prompt,
            sampling: Sampling::default(),
            stop_ids: Vec::new(),
            tokens_max: None,
            priority: Priority::Normal,
            deadline: None,
            boundaries: Vec::new(),
            tenant: Vec::new(),
            cached: true,
            guards: None,
            drafts: Drafts::default(),
            top_logprobs: Some(0),
            prompt_logprobs: None,
            constraint: None,
        }
    }

    /// Refuses what can never run.
    pub(crate) fn check(&self, vocabulary_size: usize, limits: &Limits) -> Result<(), Error> {
        self.sampling.check(vocabulary_size)?;
        self.guards.as_ref().map_or(Ok(()), |guards| guards.check(vocabulary_size))?;
        self.drafts.limits().map_or(Ok(()), |limits| limits.check())?;
        let alternatives = [("top_logprobs", self.top_logprobs), ("prompt_logprobs", self.prompt_logprobs)];
        for (name, found) in alternatives {
            let (least, most) = (0, Self::TOP_LOGPROBS_MAX);
            if let Some(found) = found.filter(|&found| found > most) {
                return Err(Error::LimitOutOfRange { name, found, least, most });
            }
        }
        if self.prompt.is_empty() {
            return Err(Error::PromptEmpty);
        }
        let answer_least = usize::from(self.tokens_max != Some(0));
        if self.prompt.len() + answer_least > limits.context_tokens {
            return Err(Error::PromptTooLong { prompt: self.prompt.len(), context_tokens: limits.context_tokens });
        }
        match self.prompt.iter().find(|&&id| id as usize >= vocabulary_size) {
            Some(&id) => Err(model::Error::TokenOutOfRange { id, vocabulary_size }.into()),
            None => Ok(()),
        }
    }
}

impl Drafts {
    /// What counts as a match, unless nothing does.
    #[must_use]
    pub const fn limits(self) -> Option<DraftLimits> {
        match self {
            Self::Off => None,
            Self::Paced(limits) | Self::Always(limits) => Some(limits),
        }
    }
}

impl Default for Drafts {
    fn default() -> Self {
        Self::Paced(DraftLimits::default())
    }
}

impl Priority {
    /// Places in the queue that a level is worth.
    pub const ARRIVALS: u64 = 64;

    /// The place of a job that arrived as number `arrival`; lower goes first.
    pub(crate) const fn place(self, arrival: u64) -> u64 {
        match self {
            Self::Low => arrival + 2 * Self::ARRIVALS,
            Self::Normal => arrival + Self::ARRIVALS,
            Self::High => arrival,
        }
    }
}

impl Limits {
    /// Limits for one job at a time that keeps nothing.
    #[must_use]
    pub fn single(context_tokens: usize, chunk_tokens: usize) -> Self {
        Self {
            context_tokens,
            chunk_tokens,
            shared_chunk: SharedChunk::default(),
            sequences_max: 1,
            queue_max: 1024,
            kv_bytes_max: None,
            disk: None,
        }
    }

    /// Limits for many jobs at once, within so many bytes of keys and values.
    #[must_use]
    pub fn serving(context_tokens: usize, kv_bytes_max: usize) -> Self {
        Self {
            chunk_tokens: Self::SERVING_CHUNK_TOKENS,
            sequences_max: 16,
            queue_max: 256,
            kv_bytes_max: Some(kv_bytes_max),
            ..Self::single(context_tokens, 1)
        }
    }

    /// Prompt tokens per step of an engine that serves many: a longer chunk is read only a little faster, and whoever comes
    /// meanwhile waits for its end.
    pub const SERVING_CHUNK_TOKENS: usize = 512;

    /// Rows of logits that a step may hold at once, each `[vocabulary]` of f32.
    #[must_use]
    pub fn logit_rows_max(&self) -> usize {
        self.sequences_max + crate::steps::DRAFT_ROWS_MAX
    }

    /// What a model of this context can keep.
    pub(crate) fn for_context(self, context_length: usize) -> Self {
        Self {
            context_tokens: self.context_tokens.min(context_length),
            chunk_tokens: self.chunk_tokens.max(1),
            sequences_max: self.sequences_max.max(1),
            ..self
        }
    }
}

impl SharedChunk {
    /// Fewest prompt tokens of a step beside running generations: below, weights are read for next to nothing.
    pub const TOKENS_MIN: usize = 16;
}

impl Default for SharedChunk {
    fn default() -> Self {
        Self::Within(Duration::from_millis(1000))
    }
}

impl DiskCache {
    /// A tier in a folder, with a queue of 256 MiB.
    #[must_use]
    pub fn new(folder: PathBuf, bytes_max: u64, model: String) -> Self {
        Self { limits: DiskLimits { folder, bytes_max }, model, queue_bytes_max: 256 << 20 }
    }
}
