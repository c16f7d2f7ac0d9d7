//! Who may hold keys and values: taking jobs in, making room for a step, setting jobs back, giving memory up. It must not know how
//! tokens are computed or chosen.

use std::time::Instant;

use super::Steps;
use crate::cache::Path;
use crate::generation::FinishReason;
use crate::scheduler::Row;
use crate::sequence::Sequence;

impl Steps {
    /// Lets waiting jobs begin while there is room: for their prompts beside what the others have and will read. Whose beginning is just
    /// being read by another, or fetched from the disk, waits until it can be found, and lets others go first.
    pub(super) fn admit(&mut self, now: Instant) {
        self.take_fetched();
        let mut order: Vec<(u64, u64)> =
            self.waiting.iter().map(|sequence| (sequence.place(), sequence.number)).collect();
        order.sort_unstable();
        for (_, number) in order {
            let next = self.waiting.iter().position(|sequence| sequence.number == number).expect("it waits");
            if self.running.len() == self.limits.sequences_max {
                return;
            }
            if self.is_being_read(&self.waiting[next]) {
                continue;
            }
            if !self.running.is_empty() && !self.fits(&self.waiting[next]) {
                return;
            }
            if self.is_fetching(next) {
                continue;
            }
            let sequence = self.waiting.remove(next);
            self.begin(sequence, now);
        }
    }

    /// Takes what has come from the disk, unless it was for one that waits no longer.
    fn take_fetched(&mut self) {
        let Some(cache) = &mut self.cache else { return };
        match cache.fetching() {
            Some(number) if !self.waiting.iter().any(|sequence| sequence.number == number) => cache.stop_fetching(),
            Some(_) => cache.take_fetched(&mut *self.model, self.running.is_empty()),
            None => {}
        }
    }

    /// Whether a waiting job's pages are on their way from the disk, or will be when another's have come.
    fn is_fetching(&mut self, waiting: usize) -> bool {
        let sequence = &mut self.waiting[waiting];
        let reads = sequence.job.cached && sequence.unlogged().is_none();
        let Some(cache) = self.cache.as_mut().filter(|_| reads) else { return false };
        let (tenant, tokens) = (&sequence.job.tenant, &sequence.tokens);
        match cache.fetching() {
            Some(number) if number == sequence.number => true,
            _ if sequence.was_fetched => false,
            Some(_) => *sequence.needs_disk.get_or_insert_with(|| cache.needs_disk(tenant, tokens)),
            None => {
                sequence.was_fetched = true;
                cache.fetch(sequence.number, tenant, tokens)
            }
        }
    }

    /// Whether a running job is reading a beginning that this one shares, so that waiting for it saves reading it twice.
    fn is_being_read(&self, newcomer: &Sequence) -> bool {
        let block = self.shape.block_positions;
        let shares = |other: &Sequence| {
            let both = other.tokens.iter().zip(&newcomer.tokens).take_while(|(a, b)| a == b).count();
            // What is found ends with a whole block, and leaves a token to compute.
            both.min(newcomer.tokens.len() - 1) / block * block >= other.computed + block
        };
        self.cache.is_some()
            && newcomer.job.cached
            && newcomer.unlogged().is_none()
            && (self.running.iter())
                .filter(|other| other.job.cached && other.job.tenant == newcomer.job.tenant)
                // Whose prompt is read in small parts is not waited for.
                .filter(|other| other.unlogged().is_none())
                .any(|other| !other.view().is_generating && shares(other))
    }

    /// Whether the prompts of all that run and this one can be held together.
    fn fits(&self, newcomer: &Sequence) -> bool {
        let Some(most) = self.blocks_max else { return true };
        let everyone = self.running.iter().chain([newcomer]);
        let needed: usize = everyone.map(|sequence| self.blocks_of(sequence.tokens.len() + 1)).sum();
        needed <= most
    }

    /// Most blocks of a sequence of so many tokens.
    pub(super) fn blocks_of(&self, tokens: usize) -> usize {
        self.shape.sequence_blocks(tokens, self.limits.chunk_tokens)
    }

    fn begin(&mut self, mut sequence: Sequence, now: Instant) {
        let model = &mut *self.model;
        let cache = self.cache.as_mut().filter(|_| sequence.job.cached);
        let (id, found) = match cache {
            None => (model.open_sequence(), 0),
            Some(cache) if sequence.unlogged().is_some() => {
                sequence.path = cache.begin(&sequence.job.tenant, &sequence.tokens, &sequence.job.boundaries);
                (model.open_sequence(), 0)
            }
            Some(cache) => {
                // Set back while generating: everything it has can be found again.
                let found = cache.find(model, &sequence.job.tenant, &sequence.tokens, &sequence.job.boundaries);
                sequence.path = found.path;
                match found.full.len() {
                    0 => (model.open_sequence(), 0),
                    blocks => (model.open_from(&found.full, &found.sliding), blocks * self.shape.block_positions),
                }
            }
        };
        self.stats.begun += u64::from(!sequence.has_begun());
        sequence.start(id, found, now);
        self.running.push(sequence);
        self.ask_for_mask(self.running.len() - 1);
    }

    /// Sees to it that the rows' keys and values fit: first the prefix cache gives, then who came last is set back. One that is
    /// alone and still does not fit ends.
    pub(super) fn make_room(&mut self, mut rows: Vec<Row>, now: Instant) -> Vec<Row> {
        let Some(most) = self.blocks_max else { return rows };
        loop {
            let needed: usize = rows.iter().map(|row| self.new_blocks(row)).sum();
            let enough = match (most.checked_sub(needed), &mut self.cache) {
                (Some(left), Some(cache)) => cache.make_room(&mut *self.model, left),
                (Some(left), None) => self.model.kv_blocks_in_use() <= left,
                (None, _) => false,
            };
            if rows.is_empty() || enough {
                return rows;
            }
            if rows.iter().any(|row| row.drafts > 0) {
                // Guesses are not worth anybody's place.
                rows.iter_mut().for_each(|row| row.drafts = 0);
                self.running.iter_mut().for_each(Sequence::rest_draft);
                continue;
            }
            let last = (0..self.running.len()).max_by_key(|&index| (self.running[index].place(), index));
            let mut sequence = self.running.remove(last.expect("rows are of running sequences"));
            rows.retain(|row| row.number != sequence.number);
            if self.running.is_empty() {
                self.finish(sequence, FinishReason::Memory, now);
            } else {
                self.close(&mut sequence);
                sequence.set_back();
                self.stats.preempted += 1;
                self.waiting.push(sequence);
            }
        }
    }

    /// Blocks that a row adds to what its sequence holds, which has forgotten already what it can.
    fn new_blocks(&self, row: &Row) -> usize {
        let before = self.running[self.member(row.number)].computed;
        let blocks = |tokens: usize| tokens.div_ceil(self.shape.block_positions);
        let layers = self.shape.full_layers + self.shape.sliding_layers;
        layers * (blocks(before + row.tokens + row.drafts) - blocks(before))
    }

    /// Keeps what has become whole for later jobs.
    pub(super) fn keep_prefix(&mut self, member: usize) {
        let sequence = &mut self.running[member];
        let Some(cache) = self.cache.as_mut().filter(|_| sequence.job.cached) else { return };
        let id = sequence.id.expect("it runs");
        cache.keep(&mut *self.model, id, &mut sequence.path, &sequence.tokens[..sequence.computed]);
    }

    /// Gives up what no later token of a running sequence sees.
    pub(super) fn forget(&mut self, member: usize) {
        self.model.forget(self.running[member].id.expect("it runs"));
    }

    /// Gives a sequence's memory up; what the prefix cache holds stays.
    pub(super) fn close(&mut self, sequence: &mut Sequence) {
        if let (Some(cache), Some(id)) = (&mut self.cache, sequence.id) {
            cache.end(&mut *self.model, id, &sequence.path);
        }
        sequence.path = Path::default();
        if let Some(id) = sequence.id.take() {
            self.model.close_sequence(id);
        }
    }
}
