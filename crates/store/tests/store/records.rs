//! Records: what is put is found, by its owner, until it ends.

use std::time::Duration;

use store::{Error, NAME_BYTES_MAX, Order, Record, Replaced, Store};

use crate::place::{Place, START, page, record};

pub(crate) async fn put_and_get(place: Place) {
    let store = place.open().await;
    let put = Record { version: 77, expires: Some(START + 5), ..record("response", "ann", "r1", "{}") };
    store.put(put.clone()).await.unwrap();
    assert_eq!(store.get("response", "ann", "r1").await.unwrap(), Some(Record { version: 1, ..put.clone() }));
    assert_eq!(store.get("file", "ann", "r1").await.unwrap(), None);
    assert_eq!(store.get("response", "ann", "r2").await.unwrap(), None);
    let again = store.put(Record { body: "other".into(), ..put.clone() }).await;
    assert_eq!(again, Err(Error::Exists { what: "the record", id: "r1".into() }));
    assert_eq!(store.get("response", "ann", "r1").await.unwrap().unwrap().body, "{}");
}

pub(crate) async fn bodies_are_kept_as_they_are(place: Place) {
    let store = place.open().await;
    let large = "\u{1F9CA}'\"\\ \u{feff}".repeat(200_000);
    for (id, body) in [("'; DROP TABLE records; --", ""), ("ü%_?1", "{\"a\": \"\\u0000\"}"), ("large", &large)] {
        store.put(record("k", "o'o", id, body)).await.unwrap();
        assert!(store.get("k", "o'o", id).await.unwrap().unwrap().body == body, "{id}");
    }
    let nul = store.put(record("k", "o", "nul", "\0")).await.unwrap_err();
    assert!(matches!(nul, Error::Invalid { .. }), "{nul}");
}

pub(crate) async fn replace_with_versions(place: Place) {
    let store = place.open().await;
    store.put(record("k", "o", "a", "one")).await.unwrap();
    let replace =
        async |id: &str, body: &str, expected| store.replace("k", "o", id, body.into(), expected).await.unwrap();
    assert_eq!(replace("a", "two", None).await, Replaced::Done { version: 2 });
    assert_eq!(replace("a", "three", Some(1)).await, Replaced::Conflict { version: 2 });
    assert_eq!(store.get("k", "o", "a").await.unwrap().unwrap().body, "two");
    assert_eq!(replace("a", "four", Some(2)).await, Replaced::Done { version: 3 });
    assert_eq!(store.get("k", "o", "a").await.unwrap().unwrap().body, "four");
    assert_eq!(replace("b", "one", None).await, Replaced::Missing);
    assert_eq!(store.get("k", "o", "b").await.unwrap(), None);
}

/// Many tasks count in one record; each count is found in the end.
pub(crate) async fn no_update_is_lost(place: Place) {
    const TASKS: i64 = 8;
    const COUNTS: i64 = 12;
    let store = place.open().await;
    store.put(record("k", "o", "counter", "0")).await.unwrap();
    let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(count_up(store.clone(), COUNTS))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let counter = store.get("k", "o", "counter").await.unwrap().unwrap();
    assert_eq!(counter.body, (TASKS * COUNTS).to_string());
    assert_eq!(counter.version, TASKS * COUNTS + 1);
}

async fn count_up(store: Store, counts: i64) {
    for _ in 0..counts {
        loop {
            let Record { body, version, .. } = store.get("k", "o", "counter").await.unwrap().unwrap();
            let next = (body.parse::<i64>().unwrap() + 1).to_string();
            match store.replace("k", "o", "counter", next, Some(version)).await.unwrap() {
                Replaced::Done { .. } => break,
                Replaced::Conflict { .. } => {}
                Replaced::Missing => panic!("the counter went away"),
            }
        }
    }
}

pub(crate) async fn delete_takes_everything_along(place: Place) {
    let store = place.open().await;
    let before = store.stats().await.unwrap();
    let upload = store.begin_upload("o").await.unwrap();
    store.write_upload(&upload, vec![7; 10]).await.unwrap();
    let items = vec![store::Item { id: "i".into(), body: "item".into() }];
    let attached = store::Attached { items, blob: Some(upload), job: None };
    store.put_with(record("k", "o", "a", "body"), attached).await.unwrap();
    store.append_events("k", "o", "a", 0, vec!["event".into()], None).await.unwrap();
    assert!(store.delete("k", "o", "a").await.unwrap());
    assert!(!store.delete("k", "o", "a").await.unwrap());
    assert_eq!(store.stats().await.unwrap(), before, "nothing is left of it");
    store.put(record("k", "o", "a", "body")).await.unwrap();
    assert_eq!(store.events("k", "o", "a", -1, 10).await.unwrap(), []);
    assert_eq!(store.items("k", "o", "a", page(None, 10, Order::Asc)).await.unwrap().items, []);
    assert_eq!(store.read_blob("k", "o", "a", 0, 9).await.unwrap(), None);
}

pub(crate) async fn pages(place: Place) {
    let store = place.open().await;
    for id in ["e", "a", "d", "b", "c"] {
        store.put(record("k", "o", id, id)).await.unwrap();
        store.put(record("other", "o", id, "")).await.unwrap();
    }
    let ids = async |after: Option<&str>, limit, order| {
        let listed = store.list("k", "o", page(after, limit, order)).await.unwrap();
        (listed.records.into_iter().map(|record| record.id).collect::<String>(), listed.has_more)
    };
    assert_eq!(ids(None, 10, Order::Asc).await, ("eadbc".into(), false));
    assert_eq!(ids(None, 5, Order::Asc).await, ("eadbc".into(), false));
    assert_eq!(ids(None, 2, Order::Asc).await, ("ea".into(), true));
    assert_eq!(ids(Some("a"), 2, Order::Asc).await, ("db".into(), true));
    assert_eq!(ids(Some("c"), 2, Order::Asc).await, (String::new(), false));
    assert_eq!(ids(None, 2, Order::Desc).await, ("cb".into(), true));
    assert_eq!(ids(Some("a"), 2, Order::Desc).await, ("e".into(), false));
    assert_eq!(ids(None, 0, Order::Asc).await, (String::new(), true));
    store.replace("k", "o", "a", "changed".into(), None).await.unwrap();
    assert_eq!(ids(None, 2, Order::Asc).await, ("ea".into(), true), "a replacement keeps its place");
    let unknown = store.list("k", "o", page(Some("x"), 2, Order::Asc)).await.unwrap_err();
    assert_eq!(unknown, Error::UnknownAfter { after: "x".into() });
    let foreign = store.list("k", "p", page(Some("a"), 2, Order::Asc)).await;
    assert!(foreign.is_err(), "another owner's entry is no place to begin");
    assert!(store.list("k", "o", page(None, store::PAGE_MAX + 1, Order::Asc)).await.is_err());
}

pub(crate) async fn expiry(place: Place) {
    let store = place.open().await;
    store.put(Record { expires: Some(START + 10), ..record("k", "o", "a", "first") }).await.unwrap();
    store.put(record("k", "o", "b", "")).await.unwrap();
    place.pass(Duration::from_millis(9_999));
    assert!(store.get("k", "o", "a").await.unwrap().is_some());
    place.pass(Duration::from_millis(1));
    assert_eq!(store.get("k", "o", "a").await.unwrap(), None);
    assert_eq!(store.replace("k", "o", "a", "x".into(), None).await.unwrap(), Replaced::Missing);
    assert_eq!(store.list("k", "o", page(None, 9, Order::Asc)).await.unwrap().records.len(), 1);
    let missing = Error::Missing { kind: "k".into(), id: "a".into() };
    assert_eq!(store.append_items("k", "o", "a", vec![]).await.unwrap_err(), missing);
    assert_eq!(store.append_events("k", "o", "a", 0, vec![], None).await.unwrap_err(), missing);
    assert_eq!(store.events("k", "o", "a", -1, 5).await.unwrap_err(), missing);
    assert_eq!(store.item("k", "o", "a", "i").await.unwrap(), None);
    store.put(Record { body: "second".into(), ..record("k", "o", "a", "") }).await.unwrap();
    assert_eq!(store.get("k", "o", "a").await.unwrap().unwrap().body, "second", "its name is free again");
    store.put(Record { expires: Some(START), ..record("k", "o", "c", "") }).await.unwrap();
    assert!(!store.delete("k", "o", "c").await.unwrap(), "what has expired is not there to be deleted");
}

/// One owner tries everything with another's things.
pub(crate) async fn owners_are_apart(place: Place) {
    let store = place.open().await;
    let upload = store.begin_upload("ann").await.unwrap();
    store.write_upload(&upload, b"secret".to_vec()).await.unwrap();
    let items = vec![store::Item { id: "i".into(), body: "secret".into() }];
    let attached = store::Attached { items, blob: Some(upload), job: None };
    store.put_with(record("k", "ann", "a", "secret"), attached).await.unwrap();
    store.append_events("k", "ann", "a", 0, vec!["secret".into()], None).await.unwrap();
    let job = store::NewJob { queue: "q".into(), owner: "ann".into(), id: "a".into(), body: "secret".into() };
    store.enqueue(job).await.unwrap();
    let open = store.begin_upload("ann").await.unwrap();

    assert_eq!(store.get("k", "bob", "a").await.unwrap(), None);
    assert_eq!(store.replace("k", "bob", "a", "x".into(), None).await.unwrap(), Replaced::Missing);
    assert!(!store.delete("k", "bob", "a").await.unwrap());
    assert_eq!(store.list("k", "bob", page(None, 9, Order::Asc)).await.unwrap().records, []);
    assert!(store.items("k", "bob", "a", page(None, 9, Order::Asc)).await.is_err());
    assert_eq!(store.item("k", "bob", "a", "i").await.unwrap(), None);
    assert!(!store.delete_item("k", "bob", "a", "i").await.unwrap());
    assert!(store.append_items("k", "bob", "a", vec![]).await.is_err());
    assert!(store.events("k", "bob", "a", -1, 9).await.is_err());
    assert!(store.append_events("k", "bob", "a", 1, vec!["x".into()], None).await.is_err());
    assert_eq!(store.read_blob("k", "bob", "a", 0, 9).await.unwrap(), None);
    assert_eq!(store.job("q", "bob", "a").await.unwrap(), None);
    assert_eq!(store.ask_cancel("q", "bob", "a").await.unwrap(), None);
    let taken = store::Upload { owner: "bob".into(), ..open.clone() };
    assert!(store.write_upload(&taken, vec![1]).await.is_err());
    assert!(!store.drop_upload(&taken).await.unwrap());
    for blob in [taken, open.clone()] {
        let attached = store::Attached { blob: Some(blob), ..Default::default() };
        assert!(store.put_with(record("k", "bob", "b", ""), attached).await.is_err());
    }
    assert_eq!(store.get("k", "bob", "b").await.unwrap(), None);

    store.put(record("k", "bob", "a", "bob's own")).await.unwrap();
    assert!(store.delete("k", "bob", "a").await.unwrap());
    assert_eq!(store.get("k", "ann", "a").await.unwrap().unwrap(), record("k", "ann", "a", "secret"));
    assert_eq!(store.item("k", "ann", "a", "i").await.unwrap().unwrap().body, "secret");
    assert_eq!(store.events("k", "ann", "a", -1, 9).await.unwrap(), [(0, "secret".into())]);
    assert_eq!(store.read_blob("k", "ann", "a", 0, 9).await.unwrap().unwrap(), b"secret");
    assert!(!store.job("q", "ann", "a").await.unwrap().unwrap().cancel_asked);
    assert!(store.drop_upload(&open).await.unwrap());
}

pub(crate) async fn names_have_limits(place: Place) {
    let store = place.open().await;
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    for (kind, owner, id) in
        [(&*long, "o", "a"), ("k", &long, "a"), ("k", "o", &long), ("", "o", "a"), ("k", "o", "\n")]
    {
        assert!(store.put(record(kind, owner, id, "")).await.is_err());
        assert!(store.get(kind, owner, id).await.is_err());
    }
    let longest = "x".repeat(NAME_BYTES_MAX);
    store.put(record(&longest, &longest, &longest, "")).await.unwrap();
    assert!(store.get(&longest, &longest, &longest).await.unwrap().is_some());
}

pub(crate) async fn handles_share_a_store(place: Place) {
    let store = place.open().await;
    let other = store.clone();
    let task = tokio::spawn(async move { other.put(record("k", "o", "a", "")).await });
    task.await.unwrap().unwrap();
    assert!(store.get("k", "o", "a").await.unwrap().is_some());
}
