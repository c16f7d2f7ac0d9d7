//! Whether the newest tokens repeat themselves. It must not know why anybody asks.
//!
//! For each period p two numbers are kept up to date, and that is all there is to it:
//!
//! - the run: how many of the newest tokens equal, one after another, the token p before them. The newest run + p tokens have
//!   period p, exactly;
//! - for loops whose copies differ a little, the stretch: how many of the newest tokens belong to a stretch that never overdrew
//!   its share of differing tokens. Each equal token earns the share s, each differing one costs 1 − s, and a balance below zero
//!   starts anew behind it. Such a stretch is as long as any: had another start lasted longer, then up to that start the
//!   balance of this one was not negative, and from there on neither, so it would not have been given up.
//!
//! A token therefore costs one comparison and a few additions per period, without branches, over arrays that lie one after
//! another: the compiler makes vector instructions of it. Candidates from hashed n-grams would cost less per token, but the
//! last n-gram often recurs within a period, so they miss loops or need many candidates; here the cost is the same for every
//! text and far below a thousandth of a decode step, and nothing is missed.

use super::{LoopLimits, NearLimits};

/// Units of a share, so that balances are whole numbers and never drift.
const SHARE_UNITS: f32 = 10_000.0;

/// Looks for loops in one message.
pub(super) struct LoopDetector {
    recent: Recent,
    /// By period − 1: newest tokens that equal the token a period before.
    runs: Vec<u32>,
    /// By period − 1: the run that is a loop.
    needed: Vec<u32>,
    near: Option<Near>,
}

/// The stretches in which a few tokens differ, by period − 1.
struct Near {
    /// Earned by a token that equals the one a period before.
    earned: i32,
    /// Cost of a token that differs.
    cost: i32,
    lengths: Vec<u32>,
    balances: Vec<i32>,
    /// The length that is a loop.
    needed: Vec<u32>,
}

/// The newest tokens as one slice, the newest first.
struct Recent {
    /// Twice as long as what is kept, so that it is moved only once in a while.
    buffer: Vec<u32>,
    start: usize,
    count: usize,
}

impl LoopDetector {
    pub(super) fn new(limits: &LoopLimits) -> Self {
        let LoopLimits { period_tokens_max, repeats_min, tokens_min, near } = *limits;
        Self {
            recent: Recent::new(period_tokens_max),
            runs: vec![0; period_tokens_max],
            needed: needed(period_tokens_max, repeats_min, tokens_min),
            near: near.map(|near| Near::new(period_tokens_max, near)),
        }
    }

    /// Forgets every token: a new message begins.
    pub(super) fn clear(&mut self) {
        self.recent.clear();
        self.runs.fill(0);
        if let Some(near) = &mut self.near {
            near.lengths.fill(0);
            near.balances.fill(0);
        }
    }

    /// Takes the next token and returns the shortest period, in tokens, of which the newest tokens are a loop.
    pub(super) fn push(&mut self, id: u32) -> Option<usize> {
        let older = self.recent.newest_first();
        let equal = lengthen_runs(id, older, &mut self.runs, &self.needed);
        let near = self.near.as_mut().and_then(|near| near.lengthen(id, older));
        self.recent.push(id);
        equal.into_iter().chain(near).min()
    }
}

impl Near {
    fn new(period_tokens_max: usize, limits: NearLimits) -> Self {
        let NearLimits { differing_share_max, repeats_min, tokens_min } = limits;
        let earned = (differing_share_max * SHARE_UNITS).round() as i32;
        Self {
            earned,
            cost: SHARE_UNITS as i32 - earned,
            lengths: vec![0; period_tokens_max],
            balances: vec![0; period_tokens_max],
            needed: needed(period_tokens_max, repeats_min, tokens_min),
        }
    }

    fn lengthen(&mut self, id: u32, older: &[u32]) -> Option<usize> {
        let Self { earned, cost, lengths, balances, needed } = self;
        let mut found = false;
        for (((&old, length), balance), &needed) in older.iter().zip(&mut *lengths).zip(balances).zip(&*needed) {
            let after = *balance + if old == id { *earned } else { -*cost };
            *balance = after.max(0);
            *length = if after < 0 { 0 } else { *length + 1 };
            found |= *length >= needed;
        }
        found.then(|| shortest(lengths, needed)).flatten()
    }
}

impl Recent {
    fn new(most: usize) -> Self {
        Self { buffer: vec![0; 2 * most], start: 2 * most, count: 0 }
    }

    fn clear(&mut self) {
        (self.start, self.count) = (self.buffer.len(), 0);
    }

    fn newest_first(&self) -> &[u32] {
        &self.buffer[self.start..self.start + self.count]
    }

    fn push(&mut self, id: u32) {
        if self.start == 0 {
            self.start = self.buffer.len() - self.count;
            self.buffer.copy_within(0..self.count, self.start);
        }
        self.start -= 1;
        self.buffer[self.start] = id;
        self.count = (self.count + 1).min(self.buffer.len() / 2);
    }
}

/// By period − 1: tokens that must follow the first copy for a loop.
fn needed(period_tokens_max: usize, repeats_min: usize, tokens_min: usize) -> Vec<u32> {
    (1..=period_tokens_max).map(|period| ((repeats_min * period).max(tokens_min) - period) as u32).collect()
}

fn lengthen_runs(id: u32, older: &[u32], runs: &mut [u32], needed: &[u32]) -> Option<usize> {
    let mut found = false;
    for ((&old, run), &needed) in older.iter().zip(&mut *runs).zip(needed) {
        *run = if old == id { *run + 1 } else { 0 };
        found |= *run >= needed;
    }
    found.then(|| shortest(runs, needed)).flatten()
}

/// The shortest period whose length is at least what it needs.
fn shortest(lengths: &[u32], needed: &[u32]) -> Option<usize> {
    lengths.iter().zip(needed).position(|(length, needed)| length >= needed).map(|index| index + 1)
}
