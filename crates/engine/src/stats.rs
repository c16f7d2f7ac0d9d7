//! Figures of an engine, for whoever watches it. It must not know how they come about.

use crate::disk::DiskStats;

/// What an engine has done and what it holds.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Jobs that wait.
    pub queued: usize,
    /// Jobs that are read or generated.
    pub running: usize,
    /// Jobs that were taken in.
    pub submitted: u64,
    /// Jobs that have left the queue, to run or because they ended there.
    pub begun: u64,
    /// Jobs that ended, whatever the reason.
    pub ended: u64,
    /// Jobs that failed; they count as ended.
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
    /// Blocks of keys and values held by jobs and cache together.
    pub kv_blocks: usize,
    /// Most of them; 0 without a bound.
    pub kv_blocks_max: usize,
    /// Bytes of such a block.
    pub kv_block_bytes: usize,
    /// The prefix cache's own.
    pub cache: CacheStats,
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
