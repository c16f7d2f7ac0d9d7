//! Figures of an engine, for whoever watches it. It must not know how they come about.

use std::time::Duration;

use crate::disk::DiskStats;
use crate::generation::FinishReason;

/// What an engine has done and what it holds.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Jobs that wait, those that were set back included.
    pub queued: usize,
    /// Jobs that are read or generated.
    pub running: usize,
    /// Jobs that were taken in.
    pub submitted: u64,
    /// Jobs that have left the queue, to run or because they ended there.
    pub begun: u64,
    /// Jobs that ended, whatever the reason: the sum of `ends` and `failed`.
    pub ended: u64,
    /// Of those, how many finished, by reason.
    pub ends: Ends,
    /// Of those, how many failed.
    pub failed: u64,
    /// Jobs that were set back for want of memory, to go on later.
    pub preempted: u64,
    /// Steps computed.
    pub steps: u64,
    /// Prompt tokens computed.
    pub read_tokens: u64,
    /// Tokens generated.
    pub generated_tokens: u64,
    /// Tokens tried on the chance that they come next.
    pub drafted_tokens: u64,
    /// Of those, how many came.
    pub accepted_tokens: u64,
    /// Generations whose reasoning a guard ended.
    pub guarded: u64,
    /// Masks computed for constrained jobs.
    pub masks: u64,
    /// What they took together, in seconds, most of it beside steps.
    pub mask_seconds: f64,
    /// Of those, how many a step did not wait for any longer: their jobs sat out a step or more.
    pub late_masks: u64,
    /// Tokens that constraints forced, which took no step of their own.
    pub forced_tokens: u64,
    /// Blocks of keys and values held by jobs and cache together; one is of one layer.
    pub kv_blocks: usize,
    /// Most of them; 0 without a bound.
    pub kv_blocks_max: usize,
    /// Bytes of such a block.
    pub kv_block_bytes: usize,
    /// Tokens whose keys and values, of one layer, lie in such a block.
    pub kv_block_tokens: usize,
    /// The prefix cache's own.
    pub cache: CacheStats,
}

/// Jobs that finished, by [`FinishReason`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// A stop token was generated.
    pub stop: u64,
    /// The job's own limit was reached.
    pub length: u64,
    /// The context was full.
    pub context: u64,
    /// The memory for keys and values was full.
    pub memory: u64,
    /// The deadline had passed.
    pub deadline: u64,
    /// Dropped or cancelled.
    pub cancelled: u64,
}

impl Stats {
    /// A mask took so long.
    pub(crate) fn count_mask(&mut self, took: Duration) {
        self.masks += 1;
        self.mask_seconds += took.as_secs_f64();
    }

    /// Bytes of keys and values held by jobs and cache together.
    #[must_use]
    pub const fn kv_bytes(&self) -> usize {
        self.kv_blocks * self.kv_block_bytes
    }

    /// Most of them, in whole blocks; 0 without a bound.
    #[must_use]
    pub const fn kv_bytes_max(&self) -> usize {
        self.kv_blocks_max * self.kv_block_bytes
    }
}

impl Ends {
    /// One more.
    pub(crate) fn count(&mut self, reason: FinishReason) {
        let count = match reason {
            FinishReason::Stop(_) => &mut self.stop,
            FinishReason::Length => &mut self.length,
            FinishReason::Context => &mut self.context,
            FinishReason::Memory => &mut self.memory,
            FinishReason::Deadline => &mut self.deadline,
            FinishReason::Cancelled => &mut self.cancelled,
        };
        *count += 1;
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let Self { stop, length, context, memory, deadline, cancelled } = *self;
        stop + length + context + memory + deadline + cancelled
    }
}

/// Figures of the prefix cache.
#[derive(Clone, Debug, Default)]
pub struct CacheStats {
    /// Prompts looked up.
    pub lookups: u64,
    /// Of those, how many had a beginning that was known.
    pub hits: u64,
    /// Tokens that need not be computed again.
    pub found_tokens: u64,
    /// Of those, how many came from the disk.
    pub disk_tokens: u64,
    /// Blocks of tokens held now.
    pub nodes: u64,
    /// Bytes that these hold, some of them together with running jobs.
    pub bytes: u64,
    /// Blocks of tokens that had to go.
    pub evicted: u64,
    /// Sliding windows that had to go alone.
    pub dropped_windows: u64,
    /// The disk tier's own.
    pub disk: Option<DiskStats>,
}
