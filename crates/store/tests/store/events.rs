//! Events: numbered without gaps, never changed, written by whoever holds the job.

use std::time::Duration;

use store::{Error, NewJob};

use crate::place::{Place, record};

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_string()).collect()
}

pub(crate) async fn numbered(place: Place) {
    let store = place.open().await;
    store.put(record("k", "o", "a", "")).await.unwrap();
    store.append_events("k", "o", "a", 0, texts(&["zero", "one"]), None).await.unwrap();
    store.append_events("k", "o", "a", 2, texts(&["two"]), None).await.unwrap();
    let gap = store.append_events("k", "o", "a", 4, texts(&["four"]), None).await.unwrap_err();
    assert_eq!(gap, Error::Gap { expected: 3, found: 4 });
    assert!(store.append_events("k", "o", "a", -1, texts(&["x"]), None).await.is_err());
    let all = [(0, "zero".into()), (1, "one".into()), (2, "two".into())];
    assert_eq!(store.events("k", "o", "a", -1, 9).await.unwrap(), all);
    assert_eq!(store.events("k", "o", "a", 0, 1).await.unwrap(), all[1..2]);
    assert_eq!(store.events("k", "o", "a", 2, 9).await.unwrap(), []);
    let many: Vec<String> = (3..700).map(|number| number.to_string()).collect();
    store.append_events("k", "o", "a", 3, many, None).await.unwrap();
    let found = store.events("k", "o", "a", 2, 1000).await.unwrap();
    assert!(found.iter().all(|(number, body)| *body == number.to_string()) && found.len() == 697);
    let missing = store.append_events("k", "o", "b", 0, texts(&["x"]), None).await.unwrap_err();
    assert_eq!(missing, Error::Missing { kind: "k".into(), id: "b".into() });
}

pub(crate) async fn repeated(place: Place) {
    let store = place.open().await;
    store.put(record("k", "o", "a", "")).await.unwrap();
    store.append_events("k", "o", "a", 0, texts(&["zero", "one"]), None).await.unwrap();
    let bytes = store.stats().await.unwrap().bytes;
    store.append_events("k", "o", "a", 0, texts(&["zero", "one"]), None).await.unwrap();
    store.append_events("k", "o", "a", 0, texts(&["zero"]), None).await.unwrap();
    assert_eq!(store.stats().await.unwrap().bytes, bytes);
    store.append_events("k", "o", "a", 1, texts(&["one", "two"]), None).await.unwrap();
    let differs = store.append_events("k", "o", "a", 1, texts(&["one", "TWO", "three"]), None).await.unwrap_err();
    assert_eq!(differs, Error::EventDiffers { number: 2 });
    let all = [(0, "zero".into()), (1, "one".into()), (2, "two".into())];
    assert_eq!(store.events("k", "o", "a", -1, 9).await.unwrap(), all);
}

pub(crate) async fn fenced(place: Place) {
    let store = place.open().await;
    store.put(record("k", "o", "a", "")).await.unwrap();
    store.enqueue(NewJob { queue: "q".into(), owner: "o".into(), id: "a".into(), body: String::new() }).await.unwrap();
    let first = store.lease("q", "w1", Duration::from_secs(10)).await.unwrap().unwrap();
    store.append_events("k", "o", "a", 0, texts(&["zero"]), Some(&first)).await.unwrap();
    place.pass(Duration::from_secs(11));
    store.append_events("k", "o", "a", 1, texts(&["one"]), Some(&first)).await.unwrap();
    let second = store.lease("q", "w2", Duration::from_secs(10)).await.unwrap().unwrap();
    let lost = store.append_events("k", "o", "a", 2, texts(&["late"]), Some(&first)).await.unwrap_err();
    assert_eq!(lost, Error::LeaseLost { id: "a".into(), attempt: 1 });
    store.append_events("k", "o", "a", 2, texts(&["two"]), Some(&second)).await.unwrap();
    assert!(store.finish(&second).await.unwrap());
    assert!(store.append_events("k", "o", "a", 3, texts(&["late"]), Some(&second)).await.is_err());
    let bodies: Vec<String> =
        store.events("k", "o", "a", -1, 9).await.unwrap().into_iter().map(|event| event.1).collect();
    assert_eq!(bodies, ["zero", "one", "two"]);
}
