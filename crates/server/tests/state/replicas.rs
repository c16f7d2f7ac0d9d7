//! Two replicas over one PostgreSQL: what one has begun, the other shows, streams, cancels and, if need be, finishes.

use std::time::Duration;

use serde_json::{Value, json};
use store::{Clock, Store};

use crate::postgres::new_database;
use crate::support::{Api, answering, text, thought};

const RESPONSES: usize = 30;
/// A dead replica's leases have run out by then.
const LATER_MS: i64 = 60_000;

fn answer(prompt: &str) -> String {
    let number = prompt.rsplit("task ").next().and_then(|rest| rest.split('<').next()).unwrap_or("?");
    thought("So.", &format!("one, two, three, four, five, six, {number}"))
}

async fn replica(address: &str, workers: usize, later_ms: i64, pace: Duration) -> Api {
    let clock = Clock::new(move || Clock::system().now_ms() + later_ms);
    let settings = store::Settings { clock, ..store::Settings::default() };
    let store = Store::open(address, settings).await.unwrap();
    let (agent, _) = answering(answer, move || std::thread::sleep(pace));
    Api::over(agent, store, server::Settings { background_workers: workers, ..server::Settings::default() }).await
}

fn path(response: &Value) -> String {
    format!("/v1/responses/{}", response["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_one_server() {
    let address = new_database();
    let here = replica(&address, 0, 0, Duration::ZERO).await;
    let there = replica(&address, 2, 0, Duration::ZERO).await;
    let stored = here.ask(json!({ "input": "task 1" })).await;
    assert_eq!(there.get(&path(&stored)).await, stored);
    let next = there.ask(json!({ "input": "task 2", "previous_response_id": stored["id"] })).await;
    assert_eq!(here.get(&path(&next)).await, next);
    // Queued here, made there, followed here.
    let queued = here.ask(json!({ "input": "task 3", "background": true })).await;
    let events = here.events(&format!("{}?stream=true", path(&queued))).await;
    let response = there.get(&path(&queued)).await;
    assert_eq!(events.last().unwrap()["response"], response);
    let rest = there.events(&format!("{}?stream=true&starting_after=4", path(&queued))).await;
    assert_eq!(rest, events[5..]);
    // What one seals, the other opens.
    let compacted = here.post("/v1/responses/compact", json!({ "model": "tiny", "input": "task 4" })).await;
    there.ask(json!({ "input": compacted["output"] })).await;
    // Deleted there, gone here.
    there.delete(&path(&stored)).await;
    assert_eq!(here.refused(axum::http::Method::GET, &path(&stored), None).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_works_from_the_other_replica() {
    let address = new_database();
    let here = replica(&address, 0, 0, Duration::ZERO).await;
    let there = replica(&address, 1, 0, Duration::from_millis(20)).await;
    let queued = here.ask(json!({ "input": "task 1", "background": true })).await;
    while here.get(&path(&queued)).await["status"] == "queued" {
        tokio::task::yield_now().await;
    }
    let cancelled = here.post(&format!("{}/cancel", path(&queued)), json!({})).await;
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(there.get(&path(&queued)).await, cancelled);
    assert_eq!(there.post(&format!("{}/cancel", path(&queued)), json!({})).await, cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_replica_was_making_the_other_finishes() {
    let address = new_database();
    let here = replica(&address, 0, LATER_MS, Duration::ZERO).await;
    let mut queued = Vec::new();
    for number in 0..RESPONSES {
        queued.push(here.ask(json!({ "input": format!("task {number}"), "background": true })).await);
    }
    // In a runtime of its own, which is dropped with everything that it was doing.
    let dying = std::thread::spawn({
        let address = address.clone();
        let first = path(&queued[0]);
        move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let there = replica(&address, 4, LATER_MS, Duration::from_millis(1)).await;
                while there.get(&first).await["status"] != "completed" {
                    tokio::task::yield_now().await;
                }
                std::mem::forget(there);
            });
            runtime.shutdown_background();
        }
    });
    dying.join().unwrap();
    let heir = replica(&address, 4, 2 * LATER_MS, Duration::ZERO).await;
    for (number, queued) in queued.iter().enumerate() {
        let response = heir.ended(queued["id"].as_str().unwrap()).await;
        assert_eq!(response["status"], "completed", "{response}");
        assert!(text(&response).ends_with(&format!("six, {number}")));
        let events = here.events(&format!("{}?stream=true", path(queued))).await;
        let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
        let told: String = deltas.map(|event| event["delta"].as_str().unwrap()).collect();
        assert_eq!(told, text(&response));
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], json!(number));
        }
    }
}
