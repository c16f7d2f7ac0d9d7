//! The store beside a twin that is obviously right: random calls, the same answers.

use std::time::Duration;

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::test_runner::TestRunner;
use store::{Error, Item, Lease, NewJob, Order, Record, Store};

use crate::place::{Place, START, page, record};
use crate::twin_model::Twin;

/// One call. Names are small numbers, so that calls meet.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Put {
        owner: u8,
        id: u8,
        expires_in: Option<i64>,
    },
    Replace {
        owner: u8,
        id: u8,
        expected: Option<i64>,
    },
    Get {
        owner: u8,
        id: u8,
    },
    Delete {
        owner: u8,
        id: u8,
    },
    List {
        owner: u8,
        after: Option<u8>,
        limit: u32,
        newest_first: bool,
    },
    AppendItems {
        owner: u8,
        id: u8,
        items: Vec<u8>,
    },
    DeleteItem {
        owner: u8,
        id: u8,
        item: u8,
    },
    Items {
        owner: u8,
        id: u8,
        after: Option<u8>,
        limit: u32,
        newest_first: bool,
    },
    AppendEvents {
        owner: u8,
        id: u8,
        first: i64,
        events: Vec<u8>,
        fence: Option<usize>,
    },
    Events {
        owner: u8,
        id: u8,
        after: i64,
    },
    Enqueue {
        id: u8,
    },
    Lease,
    /// The number is that of the lease, counted from the newest.
    Renew(usize),
    Finish(usize),
    Release(usize, u64),
    AskCancel {
        id: u8,
    },
    Job {
        id: u8,
    },
    Pass(u64),
    Sweep,
}

pub(crate) const LEASE: Duration = Duration::from_secs(3);

fn call() -> impl Strategy<Value = Call> {
    let (owner, id) = (0..2_u8, 0..4_u8);
    let name = (owner.clone(), id.clone());
    let few = || proptest::collection::vec(0..6_u8, 0..4);
    let maybe = || proptest::option::of(0..4_u8);
    let back = || 0..3_usize;
    prop_oneof![
        4 => (name.clone(), proptest::option::of(0..6_i64))
            .prop_map(|((owner, id), expires_in)| Call::Put { owner, id, expires_in }),
        2 => (name.clone(), proptest::option::of(1..3_i64))
            .prop_map(|((owner, id), expected)| Call::Replace { owner, id, expected }),
        1 => name.clone().prop_map(|(owner, id)| Call::Get { owner, id }),
        1 => name.clone().prop_map(|(owner, id)| Call::Delete { owner, id }),
        1 => (owner, maybe(), 0..4_u32, any::<bool>())
            .prop_map(|(owner, after, limit, newest_first)| Call::List { owner, after, limit, newest_first }),
        3 => (name.clone(), few()).prop_map(|((owner, id), items)| Call::AppendItems { owner, id, items }),
        1 => (name.clone(), 0..6_u8).prop_map(|((owner, id), item)| Call::DeleteItem { owner, id, item }),
        1 => (name.clone(), proptest::option::of(0..6_u8), 0..4_u32, any::<bool>()).prop_map(
            |((owner, id), after, limit, newest_first)| Call::Items { owner, id, after, limit, newest_first }
        ),
        3 => (name.clone(), 0..5_i64, few(), proptest::option::of(back())).prop_map(
            |((owner, id), first, events, fence)| Call::AppendEvents { owner, id, first, events, fence }
        ),
        1 => (name, -1..5_i64).prop_map(|((owner, id), after)| Call::Events { owner, id, after }),
        2 => id.clone().prop_map(|id| Call::Enqueue { id }),
        3 => Just(Call::Lease),
        2 => back().prop_map(Call::Renew),
        1 => back().prop_map(Call::Finish),
        1 => (back(), 0..4_u64).prop_map(|(lease, delay)| Call::Release(lease, delay)),
        1 => id.clone().prop_map(|id| Call::AskCancel { id }),
        1 => id.prop_map(|id| Call::Job { id }),
        2 => (0..3_u64).prop_map(Call::Pass),
        1 => Just(Call::Sweep),
    ]
}

/// Names as the store gets them.
pub(crate) fn names(owner: u8, id: u8) -> (String, String) {
    (format!("owner{owner}"), format!("id{id}"))
}

pub(crate) fn items(list: &[u8]) -> Vec<Item> {
    list.iter().map(|item| Item { id: format!("item{item}"), body: format!("body {item}") }).collect()
}

pub(crate) fn order(newest_first: bool) -> Order {
    if newest_first { Order::Desc } else { Order::Asc }
}

/// Bodies depend on the value only, so a repeated event is sometimes the same.
pub(crate) fn events(list: &[u8]) -> Vec<String> {
    list.iter().map(|event| format!("event {}", event % 2)).collect()
}

pub(crate) fn new_record(owner: &str, id: &str, now: i64, expires_in: Option<i64>) -> Record {
    Record { created: now, expires: expires_in.map(|seconds| now + seconds), ..record("k", owner, id, "first") }
}

pub(crate) fn new_job(id: &str) -> NewJob {
    NewJob { queue: "q".into(), owner: "o".into(), id: id.into(), body: "work".into() }
}

/// The real store, with the leases that it gave.
struct Real {
    store: Store,
    place: Place,
    leases: Vec<Lease>,
    now: i64,
}

impl Real {
    /// The answer, in words that can be compared.
    async fn answer(&mut self, call: &Call) -> String {
        let store = self.store.clone();
        let text = |answer: &dyn std::fmt::Debug| format!("{answer:?}");
        match call.clone() {
            Call::Put { owner, id, expires_in } => {
                let (owner, id) = names(owner, id);
                text(&store.put(new_record(&owner, &id, self.now, expires_in)).await)
            }
            Call::Replace { owner, id, expected } => {
                let (owner, id) = names(owner, id);
                text(&store.replace("k", &owner, &id, "other".into(), expected).await)
            }
            Call::Get { owner, id } => {
                let (owner, id) = names(owner, id);
                text(&store.get("k", &owner, &id).await)
            }
            Call::Delete { owner, id } => {
                let (owner, id) = names(owner, id);
                text(&store.delete("k", &owner, &id).await)
            }
            Call::List { owner, after, limit, newest_first } => {
                let (owner, _) = names(owner, 0);
                let after = after.map(|id| names(0, id).1);
                text(&store.list("k", &owner, page(after.as_deref(), limit, order(newest_first))).await)
            }
            Call::AppendItems { owner, id, items: list } => {
                let (owner, id) = names(owner, id);
                text(&store.append_items("k", &owner, &id, items(&list)).await)
            }
            Call::DeleteItem { owner, id, item } => {
                let (owner, id) = names(owner, id);
                text(&store.delete_item("k", &owner, &id, &format!("item{item}")).await)
            }
            Call::Items { owner, id, after, limit, newest_first } => {
                let (owner, id) = names(owner, id);
                let after = after.map(|item| format!("item{item}"));
                text(&store.items("k", &owner, &id, page(after.as_deref(), limit, order(newest_first))).await)
            }
            Call::AppendEvents { owner, id, first, events: list, fence } => {
                let (owner, id) = names(owner, id);
                let fence = fence.and_then(|back| self.lease(back));
                text(&store.append_events("k", &owner, &id, first, events(&list), fence.as_ref()).await)
            }
            Call::Events { owner, id, after } => {
                let (owner, id) = names(owner, id);
                text(&store.events("k", &owner, &id, after, 3).await)
            }
            other => self.job_answer(other).await,
        }
    }

    async fn job_answer(&mut self, call: Call) -> String {
        let store = self.store.clone();
        let text = |answer: &dyn std::fmt::Debug| format!("{answer:?}");
        match call {
            Call::Enqueue { id } => text(&store.enqueue(new_job(&names(0, id).1)).await),
            Call::Lease => {
                let lease = store.lease("q", "w", LEASE).await.unwrap();
                let answer = text(&lease.as_ref().map(|lease| lease.job.clone()));
                self.leases.extend(lease);
                answer
            }
            Call::Renew(back) => match self.lease(back) {
                Some(lease) => text(&store.renew(&lease, LEASE).await),
                None => String::new(),
            },
            Call::Finish(back) => match self.lease(back) {
                Some(lease) => text(&store.finish(&lease).await),
                None => String::new(),
            },
            Call::Release(back, delay) => match self.lease(back) {
                Some(lease) => text(&store.release(&lease, Duration::from_secs(delay)).await),
                None => String::new(),
            },
            Call::AskCancel { id } => text(&store.ask_cancel("q", "o", &names(0, id).1).await),
            Call::Job { id } => text(&store.job("q", "o", &names(0, id).1).await),
            Call::Pass(seconds) => {
                self.place.pass(Duration::from_secs(seconds));
                self.now += i64::try_from(seconds).unwrap();
                String::new()
            }
            Call::Sweep => text(&store.sweep().await),
            other => unreachable!("{other:?}"),
        }
    }

    fn lease(&self, back: usize) -> Option<Lease> {
        self.leases.iter().rev().nth(back).cloned()
    }
}

/// Lets the store and its twin answer the same calls, in a fresh place for each list of them.
fn compare(cases: u32, place: impl Fn() -> Place) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let calls = proptest::collection::vec(call(), 1..60);
    let compared = runner.run(&calls, |calls| {
        runtime.block_on(async {
            let place = place();
            let mut twin = Twin::new(START);
            let mut real = Real { store: place.open().await, place, leases: Vec::new(), now: START };
            for (number, call) in calls.iter().enumerate() {
                let (found, expected) = (real.answer(call).await, twin.answer(call));
                assert_eq!(found, expected, "call {number}: {call:?}");
            }
            let stats = real.store.stats().await.unwrap();
            assert_eq!(stats.bytes, twin.bytes());
        });
        Ok(())
    });
    compared.unwrap();
}

#[test]
fn memory_answers_like_the_twin() {
    compare(150, Place::memory);
}

#[test]
fn file_answers_like_the_twin() {
    compare(40, Place::file);
}

#[test]
fn postgres_answers_like_the_twin() {
    compare(15, Place::postgres);
}

/// The errors that the twin gives, too.
pub(crate) fn missing(id: &str) -> Error {
    Error::Missing { kind: "k".into(), id: id.into() }
}
