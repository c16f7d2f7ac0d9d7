//! Room: what has ended goes, and when there is no room, the oldest that may.

use std::time::Duration;

use store::{Attached, Error, Item, NewJob, Order, Record, Settings, Stats, Store, Swept};

use crate::place::{Place, START, page, record};

/// Bytes of a record of these cases: its name has 3.
const BYTES: u64 = 100;

fn hundred(id: &str, expires: Option<i64>) -> Record {
    Record { expires, ..record("k", "o", id, &"x".repeat(97)) }
}

async fn ids(store: &Store) -> String {
    let listed = store.list("k", "o", page(None, 99, Order::Asc)).await.unwrap();
    listed.records.into_iter().map(|record| record.id).collect()
}

async fn bounded(place: &Place, bytes_max: u64) -> Store {
    place.open_with(Settings { bytes_max: Some(bytes_max), ..place.settings() }).await
}

pub(crate) async fn expired_goes(place: Place) {
    let store = place.open().await;
    for number in 0..250 {
        store.put(record("many", "o", &number.to_string(), "")).await.unwrap();
        let soon = Record { expires: Some(START + 1), ..record("soon", "o", &number.to_string(), "body") };
        store.put(soon).await.unwrap();
    }
    store.put(hundred("later", Some(START + 2))).await.unwrap();
    assert_eq!(store.sweep().await.unwrap(), Swept::default());
    place.pass(Duration::from_secs(1));
    let swept = store.sweep().await.unwrap();
    assert_eq!((swept.expired, swept.evicted), (250, 0));
    assert_eq!(swept.bytes, 250 * 9 + 10 + 90 * 2 + 150 * 3);
    let stats = store.stats().await.unwrap();
    assert_eq!(stats.records.into_iter().collect::<Vec<_>>(), [("k".into(), 1), ("many".into(), 250)]);
}

pub(crate) async fn oldest_goes_first(place: Place) {
    let store = bounded(&place, 4 * BYTES).await;
    for (id, expires) in [("a", None), ("b", Some(START + 50)), ("c", Some(START + 9)), ("d", None)] {
        store.put(hundred(id, expires)).await.unwrap();
    }
    assert_eq!(ids(&store).await, "abcd", "exactly full");
    store.put(hundred("e", Some(START + 1))).await.unwrap();
    assert_eq!(ids(&store).await, "acde");
    store.put(hundred("f", None)).await.unwrap();
    assert_eq!(ids(&store).await, "adef");
    assert_eq!(store.stats().await.unwrap().bytes, 4 * BYTES);
    drop(store);
    if place.lives_on() {
        let smaller = bounded(&place, 2 * BYTES).await;
        let swept = smaller.sweep().await.unwrap();
        assert_eq!(swept, Swept { evicted: 1, bytes: BYTES, over: BYTES, ..Swept::default() });
        assert_eq!(ids(&smaller).await, "adf", "what may not expire stays");
    }
}

pub(crate) async fn full(place: Place) {
    let store = bounded(&place, 3 * BYTES).await;
    for id in ["a", "b"] {
        store.put(hundred(id, None)).await.unwrap();
    }
    store.put(hundred("c", Some(START + 9))).await.unwrap();
    let full = |added| Error::Full { held: 3 * BYTES, added, most: 3 * BYTES };
    let large = Record { body: "x".repeat(297), ..record("k", "o", "d", "") };
    assert_eq!(store.put(large).await.unwrap_err(), full(300));
    let larger = Record { body: "x".repeat(298), ..record("k", "o", "d", "") };
    assert_eq!(store.put(larger).await.unwrap_err(), full(301));
    assert_eq!(ids(&store).await, "abc", "what does not fit anyway drives nothing out");
    let items = vec![Item { id: "i".into(), body: "x".repeat(100) }];
    assert!(store.append_items("k", "o", "a", items).await.is_err());
    assert!(store.append_events("k", "o", "a", 0, vec!["x".repeat(101)], None).await.is_err());
    assert!(store.replace("k", "o", "a", "x".repeat(198), None).await.is_err());
    let upload = store.begin_upload("o").await.unwrap();
    assert!(store.write_upload(&upload, vec![0; 101]).await.is_err());
    let job = NewJob { queue: "q".into(), owner: "o".into(), id: "j".into(), body: "x".repeat(100) };
    assert!(store.enqueue(job).await.is_err());
    assert_eq!(ids(&store).await, "abc");
    store.replace("k", "o", "a", String::new(), None).await.unwrap();
    store.put(Record { body: "x".repeat(94), ..record("k", "o", "d", "") }).await.unwrap();
    assert_eq!(ids(&store).await, "abcd", "what gets smaller leaves room");
}

pub(crate) async fn growing_makes_room(place: Place) {
    let store = bounded(&place, 3 * BYTES).await;
    for id in ["a", "b", "c"] {
        store.put(hundred(id, Some(START + 9))).await.unwrap();
    }
    store.append_events("k", "o", "a", 0, vec!["x".repeat(150)], None).await.unwrap();
    assert_eq!(ids(&store).await, "a", "the one that grows stays though it is the oldest");
    assert_eq!(store.stats().await.unwrap().bytes, BYTES + 150);
}

pub(crate) async fn stats_add_up(place: Place) {
    let store = place.open().await;
    assert_eq!(store.stats().await.unwrap(), Stats::default());
    store.put(record("ka", "ob", "id", "12345678")).await.unwrap();
    store.append_items("ka", "ob", "id", vec![Item { id: "it".into(), body: "1234".into() }]).await.unwrap();
    store.append_events("ka", "ob", "id", 0, vec!["123".into(), "4567".into()], None).await.unwrap();
    assert_eq!(store.stats().await.unwrap().bytes, 14 + 6 + 7);
    store.replace("ka", "ob", "id", "ü".into(), None).await.unwrap();
    assert!(store.delete_item("ka", "ob", "id", "it").await.unwrap());
    assert_eq!(store.stats().await.unwrap().bytes, 6 + 2 + 7);
    let upload = store.begin_upload("ob").await.unwrap();
    store.write_upload(&upload, vec![0; 1000]).await.unwrap();
    let job = |id: &str| NewJob { queue: "q".into(), owner: "o".into(), id: id.into(), body: "1234567".into() };
    let attached = Attached { items: vec![], blob: Some(upload), job: Some(job("a")) };
    store.put_with(record("kb", "ob", "id", ""), attached).await.unwrap();
    store.enqueue(job("b")).await.unwrap();
    let lease = store.lease("q", "w", Duration::from_secs(1)).await.unwrap().unwrap();
    let stats = store.stats().await.unwrap();
    assert_eq!(stats.bytes, 15 + 1000 + 6 + 2 * 10);
    assert_eq!((stats.jobs_waiting, stats.jobs_held), (1, 1));
    assert_eq!(stats.records.into_iter().collect::<Vec<_>>(), [("ka".into(), 1), ("kb".into(), 1)]);
    assert!(store.finish(&lease).await.unwrap());
    assert!(store.delete("kb", "ob", "id").await.unwrap());
    assert_eq!(store.stats().await.unwrap().bytes, 15 + 10);
}
