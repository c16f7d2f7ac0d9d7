//! The plan of a soak: who comes when, with what, and how long they stay. All of it follows from a seed. It must not know
//! who answers or how fast.

use std::collections::VecDeque;

use super::super::target::{Leave, Manner, Request};
use crate::bench::tokens::Ids;

/// Beginnings that many share, as system messages are shared.
const BEGINNINGS: usize = 6;
/// Whose requests they are.
const TENANTS: u32 = 3;
/// Requests that a later one may go on from.
const REMEMBERED: usize = 32;
/// Of a hundred requests, how many begin with a shared beginning, and how many go on from an earlier one.
const SHARING_PERCENT: u32 = 40;
const GOING_ON_PERCENT: u32 = 25;
/// Of a hundred requests, how many are cancelled, and how many are dropped.
const CANCELLED_PERCENT: u32 = 15;
const DROPPED_PERCENT: u32 = 10;
/// Fewest tokens that are drawn for a prompt or added to one.
const PROMPT_TOKENS_MIN: usize = 4;

/// The longest prompt must be at least this long: a shared beginning and something behind it.
pub(in super::super) const PROMPT_TOKENS_LEAST: usize = 2 * PROMPT_TOKENS_MIN;

/// A request that comes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arrival {
    /// Seconds after the one before.
    pub(super) after_seconds: f64,
    pub(super) request: Request,
}

/// What a plan keeps to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    /// Requests per second on average.
    pub(super) per_second: f64,
    /// Longest prompt.
    pub(super) prompt_tokens: usize,
    /// Longest answer.
    pub(super) answer_tokens: usize,
    pub(super) vocabulary_size: usize,
}

/// Arrivals without end.
pub(super) struct Arrivals {
    range: Range,
    chance: Chance,
    ids: Ids,
    beginnings: Vec<Vec<u32>>,
    earlier: VecDeque<(u8, Vec<u32>)>,
}

/// Numbers that are drawn.
struct Chance(Ids);

impl Arrivals {
    pub(super) fn new(seed: u64, range: Range) -> Self {
        let mut chance = Chance(Ids::new(seed, 1 << 32));
        let mut ids = Ids::new(!seed, range.vocabulary_size);
        let beginning = |_| ids.take_many(chance.length(PROMPT_TOKENS_MIN, range.prompt_tokens / 2));
        let beginnings = (0..BEGINNINGS).map(beginning).collect();
        Self { range, chance, ids, beginnings, earlier: VecDeque::new() }
    }

    /// Tenant and prompt: of its own, behind a shared beginning, or behind an earlier prompt and what may have been answered.
    fn prompt(&mut self) -> (u8, Vec<u32>) {
        let most = self.range.prompt_tokens;
        let roll = self.chance.below(100);
        let tenant = self.chance.below(TENANTS) as u8;
        let (tenant, mut prompt) = if roll < SHARING_PERCENT {
            (tenant, self.beginnings[self.chance.below(BEGINNINGS as u32) as usize].clone())
        } else if roll < SHARING_PERCENT + GOING_ON_PERCENT && !self.earlier.is_empty() {
            self.earlier[self.chance.below(self.earlier.len() as u32) as usize].clone()
        } else {
            (tenant, Vec::new())
        };
        let left = most.saturating_sub(prompt.len());
        let added = if left < PROMPT_TOKENS_MIN { left } else { self.chance.length(PROMPT_TOKENS_MIN, left) };
        prompt.extend(self.ids.take_many(added));
        (tenant, prompt)
    }

    fn leave(&mut self, answer_tokens: usize) -> Option<Leave> {
        let roll = self.chance.below(100);
        let manner = if roll < CANCELLED_PERCENT {
            Manner::Cancel
        } else if roll < CANCELLED_PERCENT + DROPPED_PERCENT {
            Manner::Drop
        } else {
            return None;
        };
        Some(Leave { after_tokens: self.chance.below(answer_tokens as u32) as usize, manner })
    }
}

impl Iterator for Arrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let after_seconds = self.chance.wait(self.range.per_second);
        let (tenant, prompt) = self.prompt();
        self.earlier.push_back((tenant, prompt.clone()));
        if self.earlier.len() > REMEMBERED {
            self.earlier.pop_front();
        }
        let answer_tokens = self.chance.length(1, self.range.answer_tokens);
        let leave = self.leave(answer_tokens);
        Some(Arrival { after_seconds, request: Request { tenant, leave, ..Request::new(prompt, answer_tokens) } })
    }
}

impl Chance {
    fn below(&mut self, end: u32) -> u32 {
        ((u64::from(self.0.next_id()) * u64::from(end)) >> 32) as u32
    }

    /// Between 0 and 1, both left out.
    fn share(&mut self) -> f64 {
        (f64::from(self.0.next_id()) + 0.5) / 2f64.powi(32)
    }

    /// As many short as long ones per octave: the logarithm is evenly distributed.
    fn length(&mut self, least: usize, most: usize) -> usize {
        let (low, high) = ((least as f64).ln(), (most.max(least) as f64 + 1.0).ln());
        ((low + (high - low) * self.share()).exp() as usize).clamp(least, most.max(least))
    }

    /// Seconds to the next arrival of many independent ones.
    fn wait(&mut self, per_second: f64) -> f64 {
        -self.share().ln() / per_second
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::target::Manner;
    use super::{Arrival, Arrivals, PROMPT_TOKENS_LEAST, Range};

    const RANGE: Range = Range { per_second: 4.0, prompt_tokens: 1000, answer_tokens: 64, vocabulary_size: 500 };

    fn drawn(seed: u64, count: usize) -> Vec<Arrival> {
        Arrivals::new(seed, RANGE).take(count).collect()
    }

    #[test]
    fn a_seed_repeats_the_plan() {
        assert_eq!(drawn(1, 100), drawn(1, 100));
        assert_ne!(drawn(1, 100), drawn(2, 100));
    }

    #[test]
    fn a_plan_keeps_to_its_range() {
        let plan = drawn(3, 4000);
        let seconds: f64 = plan.iter().map(|arrival| arrival.after_seconds).sum();
        assert!((900.0..1100.0).contains(&seconds), "{seconds}: 4 per second");
        for Arrival { after_seconds, request } in &plan {
            assert!(*after_seconds > 0.0 && after_seconds.is_finite());
            assert!((1..=1000).contains(&request.prompt.len()) && (1..=64).contains(&request.answer_tokens));
            assert!(request.prompt.iter().all(|&id| id < 500) && request.tenant < 3);
            assert!(request.leave.is_none_or(|leave| leave.after_tokens < request.answer_tokens));
        }
        let count = |holds: &dyn Fn(&Arrival) -> bool| plan.iter().filter(|arrival| holds(arrival)).count();
        let leaves =
            |wanted| move |arrival: &Arrival| arrival.request.leave.is_some_and(|leave| leave.manner == wanted);
        assert!((500..700).contains(&count(&leaves(Manner::Cancel))));
        assert!((300..500).contains(&count(&leaves(Manner::Drop))));
        assert!(count(&|arrival| arrival.request.prompt.len() < 50) > 200, "short ones");
        assert!(count(&|arrival| arrival.request.prompt.len() > 500) > 200, "long ones");
    }

    #[test]
    fn prompts_share_beginnings() {
        let plan = drawn(4, 400);
        let count = |holds: &dyn Fn(&[u32], &[u32]) -> bool, least: usize| {
            let others = |prompt: &[u32]| plan.iter().filter(|other| holds(prompt, &other.request.prompt)).count();
            plan.iter().filter(|arrival| others(&arrival.request.prompt) >= least).count()
        };
        assert!(count(&|prompt, other| other.starts_with(prompt), 2) > 20, "some go on from others");
        assert!(count(&|prompt, other| prompt[..4] == other[..4], 10) > 120, "many share a beginning");
    }

    #[test]
    fn the_smallest_range_works() {
        let range = Range { prompt_tokens: PROMPT_TOKENS_LEAST, answer_tokens: 1, ..RANGE };
        for arrival in Arrivals::new(5, range).take(200) {
            assert!((4..=8).contains(&arrival.request.prompt.len()));
            assert_eq!(arrival.request.answer_tokens, 1);
        }
    }
}
