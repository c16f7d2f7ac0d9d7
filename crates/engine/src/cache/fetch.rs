//! Bringing a prompt's pages from the disk into memory while others are computed. It must not know jobs or steps.
//!
//! Reading and checking records takes a thread of its own; here they become pages, a bounded number at a time, so that neither
//! stalls a step. What is fetched is not held for anybody: where memory is short it goes like any other page, and what is then
//! missing is read when the prompt is looked up, or computed.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use model::{AttentionKind, Model};

use super::PrefixCache;
use super::tier::number;
use crate::disk::Key;

/// How long a page is waited for where there is nothing else to do; then new jobs are looked for.
const WAIT: Duration = Duration::from_millis(5);

/// Pages on their way.
pub(super) struct Fetch {
    /// Whose they are.
    job: u64,
    keys: Vec<Key>,
    /// What has not come yet, in the order in which it will.
    wanted: VecDeque<(usize, AttentionKind)>,
    payloads: Receiver<Vec<u8>>,
}

impl PrefixCache {
    /// Whose pages are being fetched.
    pub(crate) fn fetching(&self) -> Option<u64> {
        self.fetch.as_ref().map(|fetch| fetch.job)
    }

    /// Whether some of a prompt's pages lie on the disk alone.
    pub(crate) fn needs_disk(&self, tenant: &[u8], prompt: &[u32]) -> bool {
        self.tier.is_some() && !self.missing(&self.known(tenant, prompt)).is_empty()
    }

    /// Begins to fetch what of a prompt lies on the disk alone; whether that is anything.
    pub(crate) fn fetch(&mut self, job: u64, tenant: &[u8], prompt: &[u32]) -> bool {
        let Some(tier) = &self.tier else { return false };
        let keys = self.known(tenant, prompt);
        let wanted = self.missing(&keys);
        if wanted.is_empty() {
            return false;
        }
        let payloads = tier.read_ahead(wanted.iter().map(|&(index, kind)| (keys[index], number(kind))).collect());
        self.fetch = Some(Fetch { job, keys, wanted: wanted.into(), payloads });
        true
    }

    /// Gives up what has not come yet.
    pub(crate) fn stop_fetching(&mut self) {
        self.fetch = None;
    }

    /// Takes the pages that have come. Where nobody runs it waits a little for the next.
    pub(crate) fn take_fetched(&mut self, model: &mut dyn Model, may_wait: bool) {
        let Some(mut fetch) = self.fetch.take() else { return };
        self.clock += 1;
        for key in &fetch.keys {
            if let Some(node) = self.nodes.get_mut(key) {
                node.used = self.clock;
            }
        }
        let mut wait = if may_wait { WAIT } else { Duration::ZERO };
        while let Some(&(index, kind)) = fetch.wanted.front() {
            let come = if wait.is_zero() {
                fetch.payloads.try_recv()
            } else {
                fetch.payloads.recv_timeout(wait).map_err(|error| match error {
                    RecvTimeoutError::Timeout => TryRecvError::Empty,
                    RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
                })
            };
            wait = Duration::ZERO;
            match come {
                Ok(payload) if self.install(model, &fetch.keys, (index, kind), &payload) => fetch.wanted.pop_front(),
                Err(TryRecvError::Empty) => {
                    self.fetch = Some(fetch);
                    break;
                }
                Ok(_) | Err(TryRecvError::Disconnected) => break,
            };
        }
        // From now on they may go like any other.
        self.clock += 1;
    }

    /// Has the reading thread do something before each record.
    #[cfg(test)]
    pub(crate) fn before_reads(&mut self, before: impl Fn() + Send + 'static) {
        self.tier.as_mut().expect("there is a disk").before_reads(before);
    }

    /// What of a path lies on the disk alone: full blocks first, then the window before its end.
    fn missing(&self, keys: &[Key]) -> Vec<(usize, AttentionKind)> {
        let is_missing = |index: usize, kind: AttentionKind| {
            let node = self.nodes.get(&keys[index]);
            node.is_none_or(|node| kind == AttentionKind::Sliding && node.sliding.is_none())
        };
        let window = keys.len() - self.window(keys.len())..keys.len();
        let full = (0..keys.len()).map(|index| (index, AttentionKind::Full));
        let all = full.chain(window.map(|index| (index, AttentionKind::Sliding)));
        all.filter(|&(index, kind)| is_missing(index, kind)).collect()
    }
}
