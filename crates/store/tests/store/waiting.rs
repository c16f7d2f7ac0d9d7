//! Waiting: a change wakes who waits for it, and nothing else does.

use std::time::Duration;

use store::{Item, NewJob, job_channel, queue_channel, record_channel};

use crate::place::{Place, record};

/// Long enough that only a change ends the wait.
const LONG: Duration = Duration::from_secs(100);

pub(crate) async fn wakes_for_each_change(place: Place) {
    let store = place.open().await;
    let mut other = store.watch(&record_channel("k", "o", "other"));
    let mut watch = store.watch(&record_channel("k", "o", "a"));
    store.put(record("k", "o", "a", "")).await.unwrap();
    assert!(watch.changed(LONG).await, "put");
    store.replace("k", "o", "a", "x".into(), None).await.unwrap();
    assert!(watch.changed(LONG).await, "replaced");
    store.append_items("k", "o", "a", vec![Item { id: "i".into(), body: String::new() }]).await.unwrap();
    assert!(watch.changed(LONG).await, "items");
    store.delete_item("k", "o", "a", "i").await.unwrap();
    assert!(watch.changed(LONG).await, "an item less");
    store.append_events("k", "o", "a", 0, vec!["e".into()], None).await.unwrap();
    assert!(watch.changed(LONG).await, "events");
    store.delete("k", "o", "a").await.unwrap();
    assert!(watch.changed(LONG).await, "deleted");

    let mut queue = store.watch(&queue_channel("q"));
    let mut job = store.watch(&job_channel("q", "o", "a"));
    store.enqueue(NewJob { queue: "q".into(), owner: "o".into(), id: "a".into(), body: String::new() }).await.unwrap();
    assert!(queue.changed(LONG).await, "enqueued");
    let lease = store.lease("q", "w", LONG).await.unwrap().unwrap();
    store.ask_cancel("q", "o", "a").await.unwrap();
    assert!(job.changed(LONG).await, "asked to end");
    store.release(&lease, Duration::ZERO).await.unwrap();
    assert!(queue.changed(LONG).await, "released");
    let lease = store.lease("q", "w", LONG).await.unwrap().unwrap();
    store.finish(&lease).await.unwrap();
    assert!(job.changed(LONG).await, "finished");

    assert!(!other.changed(Duration::ZERO).await, "nothing of this was another record's");
    assert!(!queue.changed(Duration::ZERO).await);
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.watch(&record_channel("k", "o", "b")).changed(LONG).await }
    });
    while !waiting.is_finished() {
        store.put(record("k", "o", "b", "")).await.unwrap();
        store.delete("k", "o", "b").await.unwrap();
    }
    assert!(waiting.await.unwrap());
}
