//! What a soak has counted, and what should not be so. It must not know how the load was put on.

use std::collections::BTreeMap;

use engine::Stats;

use super::super::target::{Inside, Observation};
use crate::bench::median;
use crate::error::Error;
use crate::plan::readable;

/// Share of the time after which memory should not grow any more.
const WARM_SHARE: f64 = 0.2;
/// Different failures that are told by their own words; the rest are only counted.
const FAILURES_TOLD_MAX: usize = 8;

/// What became of the requests.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    ended: BTreeMap<&'static str, u64>,
    failed: u64,
    failures: BTreeMap<String, u64>,
    first_token_seconds: Vec<f64>,
    tokens: u64,
    prompt_tokens: u64,
    found_tokens: Option<u64>,
}

/// Memory of this process.
#[derive(Default)]
pub(super) struct Memory {
    start: Option<u64>,
    warm: Option<u64>,
    most: Option<u64>,
    end: Option<u64>,
    anonymous_most: Option<u64>,
}

impl Tally {
    pub(super) fn count(&mut self, prompt_tokens: usize, seen: Result<Observation, Error>) {
        match seen {
            Ok(seen) => {
                *self.ended.entry(seen.ending.reason).or_default() += 1;
                self.first_token_seconds.extend(seen.first_token_seconds());
                self.tokens += seen.tokens.len() as u64;
                self.prompt_tokens += prompt_tokens as u64;
                if let Some(found) = seen.ending.found_tokens {
                    *self.found_tokens.get_or_insert(0) += found as u64;
                }
            }
            Err(error) => {
                self.failed += 1;
                let words = error.to_string();
                if self.failures.len() < FAILURES_TOLD_MAX || self.failures.contains_key(&words) {
                    *self.failures.entry(words).or_default() += 1;
                }
            }
        }
    }

    /// Requests that neither ended nor failed.
    pub(super) fn missing(&self) -> usize {
        (self.sent - self.failed - self.ended.values().sum::<u64>()) as usize
    }

    /// In the order of the columns, up to the failures.
    pub(super) fn figures(&self, seconds: f64) -> Vec<Option<f64>> {
        let firsts = &self.first_token_seconds;
        let ended = |reason| self.ended.get(reason).copied().unwrap_or(0);
        let otherwise: u64 =
            self.ended.values().sum::<u64>() - ["length", "cancelled", "dropped"].map(ended).iter().sum::<u64>();
        let count = |number: u64| Some(number as f64);
        vec![
            count(self.sent),
            (!firsts.is_empty()).then(|| median(firsts)),
            firsts.iter().copied().reduce(f64::max),
            Some(self.tokens as f64 / seconds),
            count(self.prompt_tokens),
            self.found_tokens.and_then(count),
            count(ended("length")),
            count(ended("cancelled")),
            count(ended("dropped")),
            count(otherwise),
            count(self.failed),
        ]
    }

    /// How requests ended.
    pub(super) fn words(&self) -> String {
        let failed = [("failed", self.failed)].into_iter().filter(|(_, count)| *count > 0);
        let ended = self.ended.iter().map(|(&reason, &count)| (reason, count)).chain(failed);
        let ended: Vec<String> = ended.map(|(reason, count)| format!("{count} {reason}")).collect();
        format!("of {} requests ended {}", self.sent, ended.join(", "))
    }

    /// What should not be so, as clients see it.
    pub(super) fn findings(&self) -> Vec<String> {
        let mut findings: Vec<String> =
            self.failures.iter().map(|(words, count)| format!("{count} failed: {words}")).collect();
        if self.missing() > 0 {
            findings.push(format!("{} of {} requests have no end", self.missing(), self.sent));
        }
        findings
    }
}

/// What should not be so, as clients and the engine see it.
pub(super) fn findings(after: &Inside, tally: &Tally) -> Vec<String> {
    let mut findings = tally.findings();
    let Inside { accepted, stats, shape, planned_bytes: _ } = after;
    let Stats { submitted, ended, failed, .. } = stats;
    let nodes = stats.cache.nodes as usize;
    // Every node has its full layers, and those of the sliding layers while there is room for them.
    let cached = nodes * shape.full_layers..=nodes * (shape.full_layers + shape.sliding_layers);
    let mut expect = |holds: bool, words: String| findings.extend((!holds).then_some(words));
    expect(submitted == accepted, format!("{accepted} requests were accepted, {submitted} arrived"));
    expect(submitted == ended, format!("{submitted} requests arrived, {ended} ended"));
    expect(*failed == 0, format!("{failed} requests failed in the engine"));
    expect(
        stats.running == 0 && stats.queued == 0,
        format!("{} requests still run, {} still wait", stats.running, stats.queued),
    );
    expect(
        cached.contains(&stats.kv_blocks),
        format!("{} blocks are held, the cache of {nodes} nodes can hold {cached:?}", stats.kv_blocks),
    );
    expect(
        stats.kv_blocks <= stats.kv_blocks_max,
        format!("{} blocks are held of at most {}", stats.kv_blocks, stats.kv_blocks_max),
    );
    findings
}

impl Memory {
    /// `share`: of the time of the soak, how much has gone.
    pub(super) fn see(&mut self, share: f64, resident: Option<u64>, anonymous: Option<u64>) {
        self.start = self.start.or(resident);
        if share >= WARM_SHARE {
            self.warm = self.warm.or(resident);
        }
        self.most = self.most.max(resident);
        self.end = resident;
        self.anonymous_most = self.anonymous_most.max(anonymous);
    }

    /// In the order of the columns.
    pub(super) fn figures(&self) -> [Option<f64>; 5] {
        let Self { start, warm, most, end, anonymous_most } = self;
        [start, warm, most, end, anonymous_most].map(|bytes| bytes.map(|bytes| bytes as f64))
    }

    /// How it went, beside what was planned.
    pub(super) fn words(&self, planned_bytes: u64) -> String {
        let Self { start, warm, most, end, anonymous_most } = self;
        let [start, warm, most, end, anonymous] =
            [start, warm, most, end, anonymous_most].map(|bytes| bytes.map_or("–".to_owned(), readable));
        format!(
            "resident {start} at the start, {warm} when warm, {end} at the end, {most} at most ({anonymous} without files); planned {}",
            readable(planned_bytes)
        )
    }
}

#[cfg(test)]
mod tests {
    use engine::{CacheStats, Stats};
    use model::KvShape;

    use super::super::super::target::{Ending, Inside, Observation, Token};
    use super::{Memory, Tally, findings};
    use crate::error::Error;

    fn inside(stats: Stats) -> Inside {
        let shape = KvShape {
            block_positions: 64,
            block_bytes: 1024,
            full_layers: 2,
            sliding_layers: 2,
            window: 128,
            kind: String::new(),
        };
        Inside { accepted: 14, stats, shape, planned_bytes: 0 }
    }

    fn stats(submitted: u64, ended: u64, nodes: u64, kv_blocks: usize) -> Stats {
        let cache = CacheStats { nodes, ..CacheStats::default() };
        Stats { submitted, ended, kv_blocks, kv_blocks_max: 100, cache, ..Stats::default() }
    }

    fn seen(reason: &'static str, tokens: usize) -> Result<Observation, Error> {
        let tokens = vec![Token { id: None, seconds: 0.5 }; tokens];
        let ending = Ending { found_tokens: Some(7), ..Ending::left(reason) };
        Ok(Observation { sent_seconds: 0.0, tokens, ending })
    }

    fn tally() -> Tally {
        let mut tally = Tally { sent: 4, ..Tally::default() };
        for (reason, tokens) in [("length", 5), ("cancelled", 1), ("dropped", 0), ("memory", 2)] {
            tally.count(10, seen(reason, tokens));
        }
        tally
    }

    #[test]
    fn requests_are_counted_by_their_end() {
        let mut tally = tally();
        let figures = tally.figures(2.0);
        assert_eq!(figures, [4.0, 0.5, 0.5, 4.0, 40.0, 28.0, 1.0, 1.0, 1.0, 1.0, 0.0].map(Some));
        assert_eq!((tally.missing(), tally.findings()), (0, vec![]));
        tally.sent += 3;
        tally.count(10, Err(Error::EmptyPrompt));
        assert_eq!(tally.missing(), 2);
        let findings = tally.findings();
        assert!(findings[0].starts_with("1 failed: the prompt is empty") && findings[1].starts_with("2 of 7"));
        assert!(tally.words().ends_with("1 failed"), "{}", tally.words());
    }

    #[test]
    fn what_was_not_given_back_is_found() {
        for (nodes, kv_blocks) in [(5, 10), (5, 20), (5, 15)] {
            assert_eq!(findings(&inside(stats(14, 14, nodes, kv_blocks)), &tally()), Vec::<String>::new());
        }
        let cases = [
            (stats(13, 13, 5, 15), "14 requests were accepted, 13 arrived"),
            (Stats { running: 1, ..stats(14, 14, 5, 15) }, "1 requests still run"),
            (stats(14, 13, 5, 15), "14 requests arrived, 13 ended"),
            (stats(14, 14, 5, 21), "21 blocks"),
            (stats(14, 14, 5, 9), "9 blocks"),
            (Stats { kv_blocks_max: 14, ..stats(14, 14, 5, 15) }, "of at most 14"),
            (Stats { failed: 1, ..stats(14, 14, 5, 15) }, "1 requests failed"),
        ];
        for (after, words) in cases {
            let findings = findings(&inside(after), &tally());
            assert!(findings.len() == 1 && findings[0].contains(words), "{words}: {findings:?}");
        }
    }

    #[test]
    fn memory_is_told_from_start_to_end() {
        let mut memory = Memory::default();
        for (share, resident) in [(0.0, 10), (0.1, 20), (0.2, 40), (0.5, 50), (1.0, 45)] {
            memory.see(share, Some(resident * 1_000_000), Some(resident * 500_000));
        }
        assert_eq!(memory.figures(), [10e6, 40e6, 50e6, 45e6, 25e6].map(Some));
        assert!(memory.words(60_000_000).contains("planned 60.0 MB"));
        assert_eq!(Memory::default().figures(), [None; 5]);
    }
}
