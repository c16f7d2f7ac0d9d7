//! Killing: whatever was acknowledged before `kill -9` is there afterwards, and nothing is there by half.

#![expect(clippy::print_stdout, reason = "the parent reads what its child says")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use store::{Attached, Item, NewJob, Order, Replaced, Settings, Store};

use crate::place::{Place, page, record};

/// Tells a process of this test that it is the one to be killed: the address and the round.
const CHILD: &str = "GLOSSA_TEST_KILLED";
const ROUNDS: usize = 3;
/// Lines that are read before the writer is killed.
const LINES: usize = 250;

#[test]
fn a_killed_writer_of_a_file_loses_nothing() {
    test("kill::a_killed_writer_of_a_file_loses_nothing", Place::file);
}

#[test]
fn a_killed_writer_of_postgres_loses_nothing() {
    test("kill::a_killed_writer_of_postgres_loses_nothing", Place::postgres);
}

fn test(name: &str, place: impl Fn() -> Place) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Ok(child) = std::env::var(CHILD) {
        let (round, address) = child.split_once(' ').unwrap();
        runtime.block_on(write_for_ever(address, round));
    }
    let place = place();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        acknowledged.extend(killed(name, place.address(), round));
        runtime.block_on(check(&place, &acknowledged));
    }
    assert!(acknowledged.len() >= ROUNDS * LINES);
}

/// Runs a writer, kills it in the middle, and gives what it had acknowledged.
fn killed(name: &str, address: &str, round: usize) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env(CHILD, format!("{round} {address}"));
    let mut child: Child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let of_writer = |line: &String| line.starts_with("kept ");
    let mut acknowledged: Vec<String> = lines.by_ref().map_while(Result::ok).filter(of_writer).take(LINES).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged.extend(lines.map_while(Result::ok).filter(of_writer));
    // The last line may have been cut off.
    acknowledged.retain(|line| line.ends_with('.'));
    acknowledged
}

async fn write_for_ever(address: &str, round: &str) -> ! {
    let store = Store::open(address, Settings::default()).await.unwrap();
    let writers: Vec<_> =
        (0..6).map(|writer| tokio::spawn(write(store.clone(), format!("{round}-{writer}")))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    unreachable!("writers end by being killed, or by failing when nobody reads them")
}

async fn write(store: Store, name: String) {
    for number in 0.. {
        let id = format!("{name}-{number}");
        let say = |what: &str| println!("kept {what} {id} .");
        let items = vec![Item { id: "i".into(), body: "x".repeat(number % 50 * 100) }];
        let job = NewJob { queue: "q".into(), owner: "o".into(), id: id.clone(), body: "x".into() };
        let attached = Attached { items, blob: None, job: Some(job) };
        store.put_with(record("k", "o", &id, "first"), attached).await.unwrap();
        say("record");
        store.append_events("k", "o", &id, 0, vec!["zero".into(), "one".into()], None).await.unwrap();
        say("events");
        let replaced = store.replace("k", "o", &id, "second".into(), Some(1)).await.unwrap();
        assert_eq!(replaced, Replaced::Done { version: 2 });
        say("body");
        if number % 4 == 3 {
            assert!(store.delete("k", "o", &id).await.unwrap());
            say("end");
        }
    }
}

async fn check(place: &Place, acknowledged: &[String]) {
    place.check_integrity();
    let store = place.open().await;
    let all = everything(&store).await;
    let found = |id: &str| all.iter().find(|record| record.id == id);
    for line in acknowledged {
        let words: Vec<&str> = line.split(' ').collect();
        let (what, id) = (words[1], words[2]);
        let ended = id.rsplit('-').next().unwrap().parse::<usize>().unwrap() % 4 == 3;
        let record = found(id);
        match what {
            // Those that end may have ended without a word.
            _ if ended && record.is_none() => {}
            "record" => assert!(record.is_some(), "{id} is lost"),
            "events" => assert_eq!(store.events("k", "o", id, -1, 9).await.unwrap().len(), 2, "{id}"),
            "body" => assert_eq!(record.unwrap().body, "second", "{id}"),
            other => panic!("{other} of {id}: it is there"),
        }
    }
    let mut bytes = 0;
    for record in &all {
        let items = store.items("k", "o", &record.id, page(None, 9, Order::Asc)).await.unwrap().items;
        assert_eq!(items.len(), 1, "{} came by half", record.id);
        assert!(store.job("q", "o", &record.id).await.unwrap().is_some(), "{} came by half", record.id);
        let events = store.events("k", "o", &record.id, -1, 9).await.unwrap();
        assert!(events.is_empty() || events.len() == 2, "events of {} came by half", record.id);
        let events: usize = events.iter().map(|event| event.1.len()).sum();
        bytes += 2 + record.id.len() + record.body.len() + 1 + items[0].body.len() + events;
    }
    let jobs = store.stats().await.unwrap();
    assert!(jobs.jobs_waiting as usize >= all.len() && jobs.bytes as usize > bytes, "{jobs:?}, {bytes}");
}

async fn everything(store: &Store) -> Vec<store::Record> {
    let mut all: Vec<store::Record> = Vec::new();
    loop {
        let after = all.last().map(|record| record.id.clone());
        let listed = store.list("k", "o", page(after.as_deref(), 1000, Order::Asc)).await.unwrap();
        all.extend(listed.records);
        if !listed.has_more {
            return all;
        }
    }
}
