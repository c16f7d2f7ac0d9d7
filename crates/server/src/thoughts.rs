//! The model's thoughts before its calls, by `call_id`: clients that send a call back without them still get them back. It must not
//! know any API.
//!
//! They lie in the store, for any replica and after a restart, and beside it in memory, bounded, in case the store is full.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use store::Record;

use crate::app::App;
use crate::caller::Caller;
use crate::history::HistoryItem;
use crate::stored::{found, unix_seconds};

/// The kind of record that they are.
const KIND: &str = "thoughts";
/// How long they are kept: a tool, or a person who is asked whether it may run, takes its time.
const KEPT_FOR: Duration = Duration::from_secs(7 * 86_400);
/// How long they are kept in memory.
const REMEMBERED_FOR: Duration = Duration::from_secs(3600);
/// Bytes of text that are kept in memory.
const MEMORY_BYTES_MAX: usize = 32 << 20;

/// What is kept in memory.
#[derive(Debug, Default)]
pub(crate) struct Thoughts(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    /// By owner and call.
    kept: HashMap<(String, String), (Instant, Arc<str>)>,
    /// In the order that they came.
    order: VecDeque<(String, String)>,
    bytes: usize,
}

/// Keeps what a turn said that ended in these calls: its reasoning items and the calls as sampled.
pub(crate) async fn keep(app: &App, caller: &Caller, call_ids: &[String], items: &[HistoryItem]) {
    if call_ids.is_empty() {
        return;
    }
    let body = serde_json::to_string(items).expect("items are made of strings and numbers");
    let created = unix_seconds();
    for call_id in call_ids {
        app.thoughts().memory().put(&caller.owner, call_id, Arc::from(body.as_str()));
        let record = Record {
            kind: KIND.to_owned(),
            owner: caller.owner.clone(),
            id: call_id.clone(),
            body: body.clone(),
            created,
            expires: Some(created + i64::try_from(KEPT_FOR.as_secs()).unwrap_or(i64::MAX)),
            version: 1,
        };
        if let Err(error) = app.store().put(record).await {
            tracing::warn!(%error, call_id, "thoughts could not be stored; they are only in memory");
        }
    }
}

/// What the turn said that made this call, in order; `None` when it is not known (any more).
pub(crate) async fn find(app: &App, caller: &Caller, call_id: &str) -> Option<Vec<HistoryItem>> {
    let remembered = app.thoughts().memory().get(&caller.owner, call_id);
    let body = match remembered {
        Some(body) => body,
        None => match found(app.store().get(KIND, &caller.owner, call_id).await) {
            Ok(record) => record?.body.into(),
            Err(error) => {
                tracing::warn!(
                    reason = error.message,
                    call_id,
                    "thoughts could not be looked up; the turn goes on without"
                );
                return None;
            }
        },
    };
    serde_json::from_str(&body).ok()
}

impl Thoughts {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn put(&mut self, owner: &str, call_id: &str, body: Arc<str>) {
        let key = (owner.to_owned(), call_id.to_owned());
        self.bytes += body.len();
        match self.kept.insert(key.clone(), (Instant::now(), body)) {
            Some((_, before)) => self.bytes -= before.len(),
            None => self.order.push_back(key),
        }
        while self.bytes > MEMORY_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            let gone = self.kept.remove(&oldest).map_or(0, |(_, body)| body.len());
            self.bytes -= gone;
        }
    }

    fn get(&self, owner: &str, call_id: &str) -> Option<Arc<str>> {
        let (since, body) = self.kept.get(&(owner.to_owned(), call_id.to_owned()))?;
        (since.elapsed() < REMEMBERED_FOR).then(|| Arc::clone(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn thoughts_are_found_by_their_owner_here_and_after_a_restart() {
        let app = App::idle().await;
        let [anna, ben] = ["anna", "ben"].map(|owner| Caller { owner: owner.to_owned() });
        let items = [HistoryItem { value: serde_json::json!({ "id": "rs_1" }), tokens: Some(vec![1, 2]) }];
        keep(&app, &anna, &["call_1".to_owned(), "call_2".to_owned()], &items).await;
        for _ in 0..2 {
            assert_eq!(find(&app, &anna, "call_1").await.as_deref(), Some(&items[..]));
            assert_eq!(find(&app, &anna, "call_2").await.as_deref(), Some(&items[..]));
            assert_eq!(find(&app, &ben, "call_1").await, None);
            assert_eq!(find(&app, &anna, "call_3").await, None);
            // What is left without memory is what a restart finds.
            *app.thoughts().memory() = Memory::default();
        }
    }

    #[test]
    fn memory_is_bounded_and_owned() {
        let mut memory = Memory::default();
        let large: Arc<str> = "x".repeat(MEMORY_BYTES_MAX / 3).into();
        for call in ["a", "b", "a", "c"] {
            memory.put("anna", call, Arc::clone(&large));
        }
        assert!(["a", "b", "c"].iter().all(|call| memory.get("anna", call).is_some()));
        assert!(memory.get("ben", "a").is_none());
        memory.put("anna", "d", large);
        assert!(memory.get("anna", "a").is_none(), "the oldest gives way");
        assert!(memory.get("anna", "d").is_some());
        assert!(memory.bytes <= MEMORY_BYTES_MAX && memory.order.len() == memory.kept.len());
    }
}
