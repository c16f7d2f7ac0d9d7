//! Jobs: first come, first served, one worker each, none forgotten.

use std::collections::HashSet;
use std::time::Duration;

use store::{Attached, Error, JobState, NewJob, Renewed, Replaced, Store};

use crate::place::{Place, START, record};

const TEN: Duration = Duration::from_secs(10);

fn job(id: &str) -> NewJob {
    NewJob { queue: "q".into(), owner: "o".into(), id: id.into(), body: format!("do {id}") }
}

async fn lease(store: &Store, worker: &str) -> store::Lease {
    store.lease("q", worker, TEN).await.unwrap().unwrap()
}

pub(crate) async fn first_come_first_served(place: Place) {
    let store = place.open().await;
    assert_eq!(store.lease("q", "w", TEN).await.unwrap(), None);
    for id in ["b", "a", "c"] {
        store.enqueue(job(id)).await.unwrap();
    }
    store.enqueue(NewJob { queue: "other".into(), ..job("b") }).await.unwrap();
    assert_eq!(store.enqueue(job("a")).await.unwrap_err(), Error::Exists { what: "the job", id: "a".into() });
    let waiting = store.job("q", "o", "b").await.unwrap().unwrap();
    assert_eq!((waiting.state, waiting.attempt, waiting.created), (JobState::Waiting, 0, START));
    for id in ["b", "a", "c"] {
        let lease = lease(&store, "w").await;
        assert_eq!((&*lease.job.id, &*lease.job.body, lease.job.attempt), (id, &*format!("do {id}"), 1));
        let found = store.job("q", "o", id).await.unwrap().unwrap();
        assert_eq!(found, lease.job);
        assert_eq!(found.state, JobState::Held);
        if id == "a" {
            assert!(store.finish(&lease).await.unwrap());
            assert!(!store.finish(&lease).await.unwrap());
            assert_eq!(store.job("q", "o", "a").await.unwrap(), None);
        }
    }
    assert_eq!(store.lease("q", "w", TEN).await.unwrap(), None);
    assert_eq!(store.lease("other", "w", TEN).await.unwrap().unwrap().job.queue, "other");
}

pub(crate) async fn leases_run_out(place: Place) {
    let store = place.open().await;
    store.enqueue(job("a")).await.unwrap();
    let first = lease(&store, "w1").await;
    place.pass(TEN - Duration::from_millis(1));
    assert_eq!(store.lease("q", "w2", TEN).await.unwrap(), None);
    assert_eq!(store.renew(&first, TEN).await.unwrap(), Renewed::Held);
    place.pass(TEN - Duration::from_millis(1));
    assert_eq!(store.lease("q", "w2", TEN).await.unwrap(), None, "it was renewed");
    place.pass(Duration::from_millis(1));
    assert_eq!(store.job("q", "o", "a").await.unwrap().unwrap().state, JobState::Waiting);
    assert_eq!(store.renew(&first, TEN).await.unwrap(), Renewed::Held, "nobody else took it");
    place.pass(TEN);
    let second = lease(&store, "w2").await;
    assert_eq!(second.job.attempt, 2);
    assert_eq!(store.renew(&first, TEN).await.unwrap(), Renewed::Lost);
    assert!(!store.finish(&first).await.unwrap());
    assert!(!store.release(&first, Duration::ZERO).await.unwrap());
    assert_eq!(store.renew(&second, TEN).await.unwrap(), Renewed::Held);
    assert!(store.finish(&second).await.unwrap());
    assert_eq!(store.renew(&second, TEN).await.unwrap(), Renewed::Lost);
    store.enqueue(job("a")).await.unwrap();
    let again = lease(&store, "w3").await;
    assert_eq!(again.job.attempt, 1);
    assert_eq!(
        store.renew(&first, TEN).await.unwrap(),
        Renewed::Lost,
        "a namesake with the same attempt is another job"
    );
}

pub(crate) async fn cancelling(place: Place) {
    let store = place.open().await;
    for id in ["a", "b"] {
        store.enqueue(job(id)).await.unwrap();
    }
    let first = lease(&store, "w").await;
    assert_eq!(store.ask_cancel("q", "o", "a").await.unwrap(), Some(JobState::Held));
    assert_eq!(store.ask_cancel("q", "o", "b").await.unwrap(), Some(JobState::Waiting));
    assert_eq!(store.ask_cancel("q", "o", "c").await.unwrap(), None);
    assert_eq!(store.renew(&first, TEN).await.unwrap(), Renewed::CancelAsked);
    assert!(store.job("q", "o", "a").await.unwrap().unwrap().cancel_asked);
    let second = lease(&store, "w").await;
    assert!(second.job.cancel_asked && !first.job.cancel_asked);
    assert!(store.finish(&first).await.unwrap());
    assert_eq!(store.ask_cancel("q", "o", "a").await.unwrap(), None);
    place.pass(TEN);
    assert!(lease(&store, "w").await.job.cancel_asked, "the next worker is told, too");
}

pub(crate) async fn releasing(place: Place) {
    let store = place.open().await;
    for id in ["a", "b"] {
        store.enqueue(job(id)).await.unwrap();
    }
    let first = lease(&store, "w").await;
    assert!(store.release(&first, TEN).await.unwrap());
    assert_eq!(store.renew(&first, TEN).await.unwrap(), Renewed::Lost);
    assert!(!store.finish(&first).await.unwrap());
    assert_eq!(lease(&store, "w").await.job.id, "b");
    assert_eq!(store.lease("q", "w", TEN).await.unwrap(), None, "not before its delay");
    place.pass(TEN);
    let again = lease(&store, "w").await;
    assert_eq!((&*again.job.id, again.job.attempt), ("a", 2), "it has kept its place");
}

/// Many workers, some of which go away without a word: each job is finished once, by the one who holds it.
pub(crate) async fn one_worker_each(place: Place) {
    const JOBS: usize = 60;
    let store = place.open().await;
    for id in 0..JOBS {
        store.enqueue(job(&id.to_string())).await.unwrap();
    }
    let round = async |forgetful: bool| {
        let workers: Vec<_> = (0..8)
            .map(|worker| {
                let store = store.clone();
                tokio::spawn(async move {
                    let (mut leased, mut finished) = (Vec::new(), Vec::new());
                    while let Some(lease) = store.lease("q", &format!("w{worker}"), TEN).await.unwrap() {
                        leased.push(lease.job.id.clone());
                        if !(forgetful && leased.len() % 3 == 0) {
                            assert!(store.finish(&lease).await.unwrap());
                            finished.push(lease.job.id);
                        }
                    }
                    (leased, finished)
                })
            })
            .collect();
        let (mut leased, mut finished) = (Vec::new(), Vec::new());
        for worker in workers {
            let (more_leased, more_finished) = worker.await.unwrap();
            leased.extend(more_leased);
            finished.extend(more_finished);
        }
        (leased, finished)
    };
    let (leased, finished) = round(true).await;
    assert_eq!(leased.len(), JOBS);
    assert_eq!(leased.iter().collect::<HashSet<_>>().len(), JOBS, "no job was given to two at once");
    assert_eq!(round(false).await.0, Vec::<String>::new());
    place.pass(TEN);
    let (rest, rest_finished) = round(false).await;
    assert_eq!(rest.len(), JOBS - finished.len());
    let all: HashSet<String> = finished.into_iter().chain(rest_finished).collect();
    assert_eq!(all.len(), JOBS);
}

pub(crate) async fn with_the_record(place: Place) {
    let store = place.open().await;
    let attached = |id: &str| Attached { job: Some(job(id)), ..Attached::default() };
    store.put_with(record("k", "o", "a", ""), attached("a")).await.unwrap();
    assert_eq!(lease(&store, "w").await.job.id, "a");
    assert!(store.put_with(record("k", "o", "b", ""), attached("a")).await.is_err());
    assert_eq!(store.get("k", "o", "b").await.unwrap(), None, "no record without its job");
    assert!(store.put_with(record("k", "o", "a", ""), attached("c")).await.is_err());
    assert_eq!(store.job("q", "o", "c").await.unwrap(), None, "no job without its record");
}

pub(crate) async fn held_replacement(place: Place) {
    let store = place.open().await;
    let attached = Attached { job: Some(job("a")), ..Attached::default() };
    store.put_with(record("k", "o", "a", "new"), attached).await.unwrap();
    let first = lease(&store, "w1").await;
    let done = store.replace_held(&first, "k", "o", "a", "running".into(), Some(1)).await.unwrap();
    assert_eq!(done, Replaced::Done { version: 2 });
    place.pass(TEN);
    let second = lease(&store, "w2").await;
    let lost = store.replace_held(&first, "k", "o", "a", "late".into(), None).await.unwrap_err();
    assert_eq!(lost, Error::LeaseLost { id: "a".into(), attempt: 1 });
    assert_eq!(store.get("k", "o", "a").await.unwrap().unwrap().body, "running");
    let done = store.replace_held(&second, "k", "o", "a", "done".into(), None).await.unwrap();
    assert_eq!(done, Replaced::Done { version: 3 });
}
