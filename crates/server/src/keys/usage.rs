//! What a key has used of its limits: buckets that fill again evenly. It must not know keys or HTTP; the time is given.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::KeyLimits;

/// What a key has used.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    buckets: Mutex<Buckets>,
    running: AtomicU32,
}

#[derive(Debug, Default)]
struct Buckets {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

/// Holds as much as a minute allows; what is taken comes back evenly within a minute.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// May be below zero: an answer's tokens are known only once it is there.
    level: f64,
    at: Instant,
}

/// A request that may run, until it is dropped; and what is left, for its headers.
#[derive(Debug)]
pub(crate) struct Allowance {
    usage: Arc<Usage>,
    /// Limit, what is left, and the time until all is there again.
    pub(crate) requests: Option<(u32, u32, Duration)>,
    /// The same of tokens.
    pub(crate) tokens: Option<(u32, u32, Duration)>,
}

/// Why a request may not run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Of what there is no more.
    pub(crate) what: &'static str,
    /// How much there may be.
    pub(crate) limit: u32,
    /// When it may be tried again.
    pub(crate) after: Duration,
}

impl Bucket {
    /// As it is now.
    fn now(bucket: Option<Self>, limit: u32, now: Instant) -> Self {
        let full = f64::from(limit);
        match bucket {
            None => Self { level: full, at: now },
            Some(Self { level, at }) => {
                let back = now.saturating_duration_since(at).as_secs_f64() * full / 60.0;
                Self { level: (level + back).min(full), at: now }
            }
        }
    }

    /// Until it holds so much.
    fn until(&self, level: f64, limit: u32) -> Duration {
        Duration::from_secs_f64(((level - self.level) * 60.0 / f64::from(limit.max(1))).clamp(0.0, 86_400.0))
    }

    fn left(&self, limit: u32) -> (u32, u32, Duration) {
        (limit, self.level.max(0.0) as u32, self.until(f64::from(limit), limit))
    }
}

impl Usage {
    /// Counts a request in, or says what there is no more of.
    pub(crate) fn admit(self: &Arc<Self>, limits: KeyLimits, now: Instant) -> Result<Allowance, Refusal> {
        let KeyLimits { requests_per_minute, tokens_per_minute, parallel } = limits;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = tokens_per_minute.map(|limit| (limit, Bucket::now(buckets.tokens, limit, now)));
        if let Some((limit, bucket)) = tokens.filter(|(_, bucket)| bucket.level < 1.0) {
            return Err(Refusal { what: "tokens per minute", limit, after: bucket.until(1.0, limit) });
        }
        let requests = requests_per_minute.map(|limit| (limit, Bucket::now(buckets.requests, limit, now)));
        if let Some((limit, bucket)) = requests.filter(|(_, bucket)| bucket.level < 1.0) {
            return Err(Refusal { what: "requests per minute", limit, after: bucket.until(1.0, limit) });
        }
        let most = parallel.unwrap_or(u32::MAX);
        let one_more = |running: u32| (running < most).then_some(running + 1);
        if self.running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            return Err(Refusal { what: "parallel requests", limit: most, after: Duration::from_secs(1) });
        }
        let requests = requests.map(|(limit, bucket)| (limit, Bucket { level: bucket.level - 1.0, ..bucket }));
        buckets.requests = requests.map(|(_, bucket)| bucket);
        buckets.tokens = tokens.map(|(_, bucket)| bucket);
        let left = |bucket: Option<(u32, Bucket)>| bucket.map(|(limit, bucket)| bucket.left(limit));
        Ok(Allowance { usage: Arc::clone(self), requests: left(requests), tokens: left(tokens) })
    }

    /// How long until it has tokens again; zero where it has some, or no limit. From here on, tokens are counted also for a key whose
    /// requests came in elsewhere.
    pub(crate) fn without_tokens(&self, limits: KeyLimits, now: Instant) -> Duration {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(limit) = limits.tokens_per_minute else { return Duration::ZERO };
        let bucket = Bucket::now(buckets.tokens, limit, now);
        buckets.tokens = Some(bucket);
        if bucket.level < 1.0 { bucket.until(1.0, limit) } else { Duration::ZERO }
    }

    /// Takes tokens off, also more than are left.
    pub(crate) fn charge(&self, tokens: usize) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = &mut buckets.tokens {
            bucket.level -= tokens as f64;
        }
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        self.usage.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: KeyLimits =
        KeyLimits { requests_per_minute: Some(6), tokens_per_minute: Some(600), parallel: Some(2) };

    #[test]
    fn requests_come_back_evenly() {
        let (usage, start) = (Arc::new(Usage::default()), Instant::now());
        for left in (0..6).rev() {
            let allowance = usage.admit(LIMITS, start).unwrap();
            assert_eq!(allowance.requests.unwrap(), (6, left, Duration::from_secs(10 * u64::from(6 - left))));
        }
        let refusal = usage.admit(LIMITS, start).unwrap_err();
        assert_eq!((refusal.what, refusal.limit, refusal.after), ("requests per minute", 6, Duration::from_secs(10)));
        assert!(usage.admit(LIMITS, start + Duration::from_secs(9)).is_err());
        assert!(usage.admit(LIMITS, start + Duration::from_millis(10_001)).is_ok());
    }

    #[test]
    fn tokens_are_owed_until_they_are_back() {
        let (usage, start) = (Arc::new(Usage::default()), Instant::now());
        drop(usage.admit(LIMITS, start).unwrap());
        usage.charge(1199);
        let refusal = usage.admit(LIMITS, start).unwrap_err();
        assert_eq!((refusal.what, refusal.after), ("tokens per minute", Duration::from_secs(60)));
        let later = usage.admit(LIMITS, start + Duration::from_secs(61)).unwrap();
        assert_eq!(later.tokens.unwrap().1, 11);
    }

    #[test]
    fn places_are_given_back() {
        let (usage, now) = (Arc::new(Usage::default()), Instant::now());
        let first = usage.admit(LIMITS, now).unwrap();
        let _second = usage.admit(LIMITS, now).unwrap();
        assert_eq!(usage.admit(LIMITS, now).unwrap_err().what, "parallel requests");
        drop(first);
        assert!(usage.admit(LIMITS, now).is_ok());
    }

    #[test]
    fn without_limits_nothing_is_refused() {
        let (usage, now) = (Arc::new(Usage::default()), Instant::now());
        let all: Vec<_> = (0..1000).map(|_| usage.admit(KeyLimits::default(), now).unwrap()).collect();
        usage.charge(usize::MAX);
        assert!(usage.admit(KeyLimits::default(), now).is_ok() && all[0].tokens.is_none());
    }
}
