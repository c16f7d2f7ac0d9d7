//! Waking those who wait for a change, by the name of a channel.
//! It must not know what changed: who wakes looks for himself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// The channel of a record: its body, items and events, and its end.
#[must_use]
pub fn record_channel(kind: &str, owner: &str, id: &str) -> String {
    format!("record/{kind}/{owner}/{id}")
}

/// The channel of a queue: something may be leased from it.
#[must_use]
pub fn queue_channel(queue: &str) -> String {
    format!("queue/{queue}")
}

/// The channel of a job: it was asked to end, or it ended.
#[must_use]
pub fn job_channel(queue: &str, owner: &str, id: &str) -> String {
    format!("job/{queue}/{owner}/{id}")
}

/// Everybody in this process who waits.
#[derive(Default)]
pub(crate) struct Watchers {
    channels: Mutex<HashMap<String, watch::Sender<()>>>,
}

/// Waits for changes from the moment it was made: make it, then look, then wait, and no change is missed.
pub struct Watch {
    watchers: Arc<Watchers>,
    channel: String,
    receiver: watch::Receiver<()>,
}

impl Watch {
    /// Returns true after a change since the last return (or since this was made), false when `timeout` passed without.
    /// It may wake without a change.
    pub async fn changed(&mut self, timeout: Duration) -> bool {
        matches!(tokio::time::timeout(timeout, self.receiver.changed()).await, Ok(Ok(())))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut channels = self.watchers.lock();
        if channels.get(&self.channel).is_some_and(|sender| sender.receiver_count() <= 1) {
            channels.remove(&self.channel);
        }
    }
}

impl Watchers {
    pub(crate) fn watch(self: &Arc<Self>, channel: &str) -> Watch {
        let mut channels = self.lock();
        let sender = channels.entry(channel.to_string()).or_insert_with(|| watch::channel(()).0);
        Watch { watchers: Arc::clone(self), channel: channel.to_string(), receiver: sender.subscribe() }
    }

    pub(crate) fn wake(&self, channel: &str) {
        if let Some(sender) = self.lock().get(channel) {
            sender.send_replace(());
        }
    }

    /// For when changes may have been missed.
    pub(crate) fn wake_all(&self) {
        self.lock().values().for_each(|sender| {
            sender.send_replace(());
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, watch::Sender<()>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Watchers;

    #[tokio::test]
    async fn wakes_are_kept_and_names_forgotten() {
        let watchers = Arc::new(Watchers::default());
        let mut first = watchers.watch("a");
        let mut other = watchers.watch("b");
        watchers.wake("a");
        watchers.wake("nobody");
        assert!(first.changed(Duration::MAX).await, "a change before waiting counts");
        assert!(!first.changed(Duration::ZERO).await);
        assert!(!other.changed(Duration::ZERO).await);
        watchers.wake_all();
        assert!(other.changed(Duration::MAX).await);
        let second = watchers.watch("a");
        drop(second);
        watchers.wake("a");
        assert!(first.changed(Duration::MAX).await, "the others keep waiting");
        drop((first, other));
        assert!(watchers.lock().is_empty());
    }
}
