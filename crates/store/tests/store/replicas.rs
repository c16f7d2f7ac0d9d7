//! Several stores over one PostgreSQL, as replicas of a server have them.

use std::sync::Arc;
use std::time::Duration;

use store::{Error, NewJob, Replaced, Settings, Store, record_channel};

use crate::place::{Place, record};

/// Long enough that only a change ends the wait.
const LONG: Duration = Duration::from_secs(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_wakes_the_other_replica() {
    let place = Place::postgres();
    let (here, there) = (place.open().await, place.open().await);
    let mut watch = there.watch(&record_channel("k", "ö", "a/b\"c"));
    let put = record("k", "ö", "a/b\"c", "");
    here.put(put.clone()).await.unwrap();
    assert!(watch.changed(LONG).await);
    here.append_events("k", "ö", "a/b\"c", 0, vec!["event".into()], None).await.unwrap();
    assert!(watch.changed(LONG).await);
    assert_eq!(there.events("k", "ö", "a/b\"c", -1, 9).await.unwrap().len(), 1);
    assert!(here.put(put).await.is_err());
    assert!(!watch.changed(Duration::ZERO).await, "what was not done wakes nobody");
    let long = "x".repeat(store::NAME_BYTES_MAX);
    let mut watch = there.watch(&record_channel(&long, &long, &long));
    here.put(record(&long, &long, &long, "")).await.unwrap();
    assert!(watch.changed(LONG).await, "the longest names fit into a notification");
}

/// The same races as inside one store, between several, each with few connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_jobs_and_versions() {
    const COUNTS: usize = 60;
    let place = Place::postgres();
    let few = || Settings { connections_max: 2, ..place.settings() };
    let stores = [place.open_with(few()).await, place.open_with(few()).await, place.open_with(few()).await];
    stores[0].put(record("k", "o", "counter", "0")).await.unwrap();
    for id in 0..COUNTS {
        let job = NewJob { queue: "q".into(), owner: "o".into(), id: id.to_string(), body: String::new() };
        stores[0].enqueue(job).await.unwrap();
    }
    let workers: Vec<_> = (0..9).map(|worker| tokio::spawn(work(stores[worker % 3].clone()))).collect();
    let mut done = 0;
    for worker in workers {
        done += worker.await.unwrap();
    }
    assert_eq!(done, COUNTS);
    let counter = stores[1].get("k", "o", "counter").await.unwrap().unwrap();
    assert_eq!(counter.body, COUNTS.to_string(), "each job counted once");
    let bytes = stores[2].stats().await.unwrap().bytes;
    assert_eq!(bytes, 1 + 1 + 7 + 2, "totals of all replicas add up");
}

/// Counts once for each job.
async fn work(store: Store) -> usize {
    let mut done = 0;
    while let Some(lease) = store.lease("q", "w", LONG).await.unwrap() {
        loop {
            let counter = store.get("k", "o", "counter").await.unwrap().unwrap();
            let next = (counter.body.parse::<usize>().unwrap() + 1).to_string();
            let replaced = store.replace_held(&lease, "k", "o", "counter", next, Some(counter.version)).await.unwrap();
            if let Replaced::Done { .. } = replaced {
                break;
            }
        }
        assert!(store.finish(&lease).await.unwrap());
        done += 1;
    }
    done
}

/// Callers that go away in the middle leave nothing by half, and no connection inside a transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_may_go_away() {
    let place = Place::postgres();
    let store = place.open_with(Settings { connections_max: 2, ..place.settings() }).await;
    for number in 0..40_u32 {
        let id = number.to_string();
        let job = NewJob { queue: "q".into(), owner: "o".into(), id: id.clone(), body: String::new() };
        let attached = store::Attached { job: Some(job), ..Default::default() };
        let mut put = Box::pin(store.put_with(record("k", "o", &id, ""), attached));
        // Some steps of the way, and no further.
        for _ in 0..number / 2 {
            tokio::select! {
                biased;
                _ = &mut put => break,
                () = tokio::task::yield_now() => {}
            }
        }
    }
    for number in 0..40_u32 {
        let id = number.to_string();
        let record = store.get("k", "o", &id).await.unwrap().is_some();
        assert_eq!(store.job("q", "o", &id).await.unwrap().is_some(), record, "{id} came by half");
    }
    store.put(record("k", "o", "last", "")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connections_are_made_again() {
    let place = Place::postgres();
    let store = Arc::new(place.open().await);
    store.put(record("k", "o", "a", "")).await.unwrap();
    let mut watch = store.watch(&record_channel("k", "o", "a"));
    place.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    assert!(watch.changed(LONG).await, "who waits is woken, since something may have been missed");
    for number in 0..10 {
        store.put(record("k", "o", &format!("b{number}"), "")).await.unwrap();
    }
    assert!(store.get("k", "o", "a").await.unwrap().is_some());
    store.replace("k", "o", "a", "x".into(), None).await.unwrap();
    assert!(watch.changed(LONG).await, "and hears changes again");
}

/// A server that cannot be reached is an error, and the store recovers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away() {
    let place = Place::postgres();
    let store = place.open().await;
    store.put(record("k", "o", "a", "")).await.unwrap();
    let name = place.address().rsplit('/').next().unwrap().to_string();
    let elsewhere = Place::postgres();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname";
    elsewhere.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false; {end} = '{name}'"));
    let failed = loop {
        // The connections may die a moment later.
        if let Err(error) = store.put(record("k", "o", "b", "")).await {
            break error;
        }
        store.delete("k", "o", "b").await.ok();
    };
    assert!(matches!(failed, Error::Open { .. } | Error::Database { .. } | Error::Unsure { .. }), "{failed}");
    elsewhere.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
    assert!(store.get("k", "o", "a").await.unwrap().is_some());
}
