//! Responses over a WebSocket: lanes, what a connection remembers, errors as events.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Api, answering, said, text, thought};

/// A client of a server that listens.
struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn connect(api: &Api) -> Self {
        Self(api.socket(None).await)
    }

    async fn send(&mut self, event: &str) {
        self.0.send(Message::text(event)).await.unwrap();
    }

    async fn create(&mut self, body: Value) {
        let mut event = json!({ "type": "response.create", "model": "tiny" });
        event.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        self.send(&event.to_string()).await;
    }

    async fn next(&mut self) -> Value {
        loop {
            match self.0.next().await.expect("the server has hung up").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Events up to the end of a response, or one error.
    async fn events(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await;
            let is_last = matches!(event["type"].as_str().unwrap(), "response.completed" | "response.failed" | "error");
            events.push(event);
            if is_last {
                return events;
            }
        }
    }

    async fn response(&mut self) -> Value {
        let events = self.events().await;
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], json!(number));
        }
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.completed", "{last}");
        last["response"].clone()
    }

    async fn error(&mut self) -> (u64, String) {
        let event = self.next().await;
        assert_eq!(event["type"], "error", "{event}");
        assert_eq!(event["code"], event["error"]["code"]);
        assert!(!event["message"].as_str().unwrap().is_empty());
        (event["status"].as_u64().unwrap(), event["code"].as_str().unwrap().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_remembers_what_is_not_stored() {
    let (agent, prompts) =
        answering(|prompt| thought("hm", &format!("answer {}", prompt.matches("<|start|>user").count())), || {});
    let api = Api::new(agent).await;
    let mut client = Client::connect(&api).await;
    client.create(json!({ "input": "one", "store": false })).await;
    let first = client.response().await;
    assert_eq!(text(&first), "answer 1");
    client.create(json!({ "input": "two", "store": false, "previous_response_id": first["id"] })).await;
    let second = client.response().await;
    assert_eq!(text(&second), "answer 2");
    let prompt = prompts.last();
    assert!(prompt.contains("one") && prompt.contains("answer 1"), "{prompt}");
    // From another lane of the same connection, but not from another connection.
    client
        .create(json!({ "input": "fork", "stream_id": "b", "store": false, "previous_response_id": first["id"] }))
        .await;
    let events = client.events().await;
    assert!(events.iter().all(|event| event["stream_id"] == "b"));
    assert_eq!(text(&events.last().unwrap()["response"]), "answer 2");
    let mut other = Client::connect(&api).await;
    other.create(json!({ "input": "x", "previous_response_id": first["id"] })).await;
    assert_eq!(other.error().await, (400, "previous_response_not_found".to_owned()));
    // What is stored is everybody's.
    client.create(json!({ "input": "kept" })).await;
    let kept = client.response().await;
    other.create(json!({ "input": "and", "previous_response_id": kept["id"] })).await;
    assert_eq!(text(&other.response().await), "answer 2");
    assert_eq!(api.get(&format!("/v1/responses/{}", kept["id"].as_str().unwrap())).await, kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_the_conversation_is_sent_again() {
    let (agent, _) = answering(|_| said("yes"), || {});
    let api = Api::new(agent).await;
    let mut client = Client::connect(&api).await;
    client.create(json!({ "input": "one", "store": false })).await;
    let first = client.response().await;
    let call = json!([{ "type": "function_call_output", "call_id": "call_none", "output": "x" }]);
    client.create(json!({ "input": call, "store": false, "previous_response_id": first["id"] })).await;
    assert_eq!(client.error().await, (400, "unknown_call_id".to_owned()));
    client.create(json!({ "input": "two", "store": false, "previous_response_id": first["id"] })).await;
    assert_eq!(client.error().await, (400, "previous_response_not_found".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_run_side_by_side_and_each_in_order() {
    let (agent, _) = answering(|prompt| said(&format!("to {}", prompt.matches("task").count())), || {});
    let api = Api::new(agent).await;
    let mut client = Client::connect(&api).await;
    for number in 0..12 {
        let lane = format!("lane{}", number % 3);
        client.create(json!({ "input": format!("task {number}"), "stream_id": lane, "store": false })).await;
    }
    let mut created: [Vec<Value>; 3] = Default::default();
    let mut open: [bool; 3] = [false; 3];
    let mut ended = 0;
    while ended < 12 {
        let event = client.next().await;
        let lane: usize = event["stream_id"].as_str().unwrap().strip_prefix("lane").unwrap().parse().unwrap();
        match event["type"].as_str().unwrap() {
            "response.created" => {
                assert!(!std::mem::replace(&mut open[lane], true), "one at a time in a lane");
                created[lane].push(event["response"]["id"].clone());
            }
            "response.completed" => {
                assert!(std::mem::replace(&mut open[lane], false));
                assert_eq!(created[lane].last(), Some(&event["response"]["id"]));
                ended += 1;
            }
            _ => assert!(open[lane]),
        }
    }
    assert!(created.iter().all(|lane| lane.len() == 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_lanes_do_not_run_out() {
    let (agent, _) = answering(|_| said("yes"), || {});
    let api = Api::new(agent).await;
    let mut client = Client::connect(&api).await;
    for number in 0..100 {
        client.create(json!({ "input": "x", "store": false, "stream_id": format!("s{number}") })).await;
        assert_eq!(text(&client.response().await), "yes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_a_connection_are_counted_one_by_one() {
    let (agent, _) = answering(|_| said("yes"), || {});
    let api = Api::new(agent).await;
    let mut client = Client::connect(&api).await;
    for _ in 0..2 {
        client.create(json!({ "input": "x", "store": false })).await;
        client.response().await;
    }
    client.create(json!({ "input": "x", "colour": 1 })).await;
    client.error().await;
    // A lane answers the next request when it has told of the one before.
    client.create(json!({ "input": "x", "store": false })).await;
    client.response().await;
    let (_, metrics) = api.raw(axum::http::Method::GET, "/metrics", None).await;
    let count = |status: u16| {
        let row = format!("glossa_requests_total{{route=\"/v1/responses\",method=\"WS\",status=\"{status}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&row)).unwrap_or("0");
        line.parse::<u32>().unwrap()
    };
    assert!(count(200) >= 2 && count(400) == 1, "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_and_the_connection_stays() {
    let (agent, _) = answering(|_| said("yes"), || {});
    let api = Api::new(agent).await;
    let mut client = Client::connect(&api).await;
    for (event, code) in [
        ("{", "invalid_json"),
        ("[]", "invalid_json"),
        (r#"{"type":"response.cancel"}"#, "unknown_event"),
        (r#"{"type":"response.create","model":"tiny","input":"x","background":true}"#, "unsupported_value"),
        (r#"{"type":"response.create","model":"tiny","input":"x","colour":1}"#, "unknown_parameter"),
        (r#"{"type":"response.create","model":"other","input":"x"}"#, "model_not_found"),
        (
            r#"{"type":"response.create","model":"tiny","input":"x","previous_response_id":"resp_x"}"#,
            "previous_response_not_found",
        ),
    ] {
        client.send(event).await;
        assert_eq!(client.error().await.1, code, "{event}");
    }
    client.create(json!({ "input": "x" })).await;
    assert_eq!(text(&client.response().await), "yes");
    let refused = api.refused(axum::http::Method::GET, "/v1/responses", None).await;
    assert_eq!(refused.0, 426);
}
