//! A server over a model that answers as a test wants, spoken to without a network. It must not know any case.

use std::sync::{Arc, Mutex, mpsc};

use agent::testing::{CONTEXT_TOKENS, vocabulary};
use agent::{Agent, Settings as AgentSettings};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use server::{App, Keys, Life, Parts, Settings, Workers, router};
use store::Store;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tower::ServiceExt as _;

/// The prompts that a model was given, in the order that it answered them.
#[derive(Clone, Default)]
pub(crate) struct Prompts(Arc<Mutex<Vec<String>>>);

impl Prompts {
    pub(crate) fn last(&self) -> String {
        self.0.lock().unwrap().last().cloned().expect("the model was asked")
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// An agent whose model answers each prompt with what `answer` makes of it: messages as the model writes them, behind
/// `<|start|>assistant`, control tokens spelled out. `pace` is called before each token.
pub(crate) fn answering(
    answer: impl Fn(&str) -> String + Send + 'static,
    pace: impl Fn() + Send + 'static,
) -> (Agent, Prompts) {
    let prompts = Prompts::default();
    let told = prompts.clone();
    let vocabulary = vocabulary();
    let special = |name: &str| vocabulary.special_id(name).expect("a token of harmony");
    let (start, message) = (special("<|start|>"), special("<|message|>"));
    let assistant = vocabulary.encode("assistant");
    let mut current: (Vec<u32>, Vec<u32>) = Default::default();
    let rule = move |ids: &[u32]| {
        pace();
        let begins = |place: usize| ids[place] == start && ids[place + 1..].starts_with(&assistant);
        // The last message that is not the model's, and the model's that follows it.
        let others = (0..ids.len()).rev().find(|&place| ids[place] == start && !begins(place)).unwrap_or(0);
        let own = (others..ids.len()).find(|&place| begins(place));
        let Some(place) = own else { return message };
        let prompt = &ids[..place + 1 + assistant.len()];
        if current.0 != prompt {
            let text = vocabulary.decode(prompt);
            current = (prompt.to_vec(), vocabulary.encode_with_specials(&answer(&text)));
            told.0.lock().unwrap().push(text);
        }
        let said = ids.len() - prompt.len();
        current.1.get(said).copied().unwrap_or_else(|| special_return(&vocabulary))
    };
    let rule = Mutex::new(rule);
    let rule = move |ids: &[u32]| (rule.lock().unwrap())(ids);
    (Agent::ruled(rule, AgentSettings::unheld(), CONTEXT_TOKENS), prompts)
}

/// An agent that says one token for each signal, and as many as it likes once the sender is gone.
pub(crate) fn paced(answer: String) -> (Agent, Prompts, mpsc::Sender<()>) {
    let (go_on, waits) = mpsc::channel::<()>();
    let (agent, prompts) = answering(
        move |_| answer.clone(),
        move || {
            let _ = waits.recv();
        },
    );
    (agent, prompts, go_on)
}

fn special_return(vocabulary: &harmony::Vocabulary) -> u32 {
    vocabulary.special_id("<|return|>").expect("a token of harmony")
}

/// A final answer as the model writes it.
pub(crate) fn said(text: &str) -> String {
    format!("<|channel|>final<|message|>{text}<|return|>")
}

/// A thought and then a final answer.
pub(crate) fn thought(thought: &str, text: &str) -> String {
    format!("<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant{}", said(text))
}

/// A server.
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) workers: Option<Workers>,
    pub(crate) life: Life,
    pub(crate) router: Router,
}

impl Api {
    /// Over a store in memory.
    pub(crate) async fn new(agent: Agent) -> Self {
        let store = Store::open("sqlite::memory:", store::Settings::default()).await.unwrap();
        Self::over(agent, store, Settings::default()).await
    }

    pub(crate) async fn over(agent: Agent, store: Store, settings: Settings) -> Self {
        Self::with(agent, store, settings, None).await
    }

    pub(crate) async fn with(agent: Agent, store: Store, settings: Settings, keys: Option<Keys>) -> Self {
        let app = App::new(Parts { agent, store: store.clone(), models: vec!["tiny".into()], settings, keys });
        let workers = app.start().await.unwrap();
        Self { store, life: app.life().clone(), router: router(app), workers: Some(workers) }
    }

    pub(crate) async fn raw(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, String) {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder().method(method).uri(path).body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let (status, text) = self.raw(method, path, body).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// What must succeed.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    /// What must succeed.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.send(Method::POST, path, Some(&body)).await;
        assert_eq!(status, StatusCode::OK, "{path} {body}: {answer}");
        answer
    }

    /// What must succeed.
    pub(crate) async fn delete(&self, path: &str) -> Value {
        let (status, answer) = self.send(Method::DELETE, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    /// What must be refused: the status, the code and the parameter.
    pub(crate) async fn refused(&self, method: Method, path: &str, body: Option<Value>) -> (u16, String, String) {
        let (status, answer) = self.send(method, path, body.as_ref()).await;
        assert!(status.is_client_error(), "{path}: {status} {answer}");
        let text = |name: &str| answer["error"][name].as_str().unwrap_or_default().to_owned();
        assert!(!text("message").is_empty(), "{answer}");
        (status.as_u16(), text("code"), text("param"))
    }

    /// A response, whatever it is asked for.
    pub(crate) async fn ask(&self, body: Value) -> Value {
        let mut request = json!({ "model": "tiny" });
        request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        self.post("/v1/responses", request).await
    }

    /// Waits until a response has ended.
    pub(crate) async fn ended(&self, id: &str) -> Value {
        self.events(&format!("/v1/responses/{id}?stream=true")).await;
        let response = self.get(&format!("/v1/responses/{id}")).await;
        assert!(!matches!(response["status"].as_str(), Some("queued" | "in_progress")), "{response}");
        response
    }

    /// A WebSocket for responses, opened with a key if there is one.
    pub(crate) async fn socket(&self, key: Option<&str>) -> WebSocketStream<TcpStream> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = self.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let mut request = format!("ws://{address}/v1/responses").into_client_request().unwrap();
        if let Some(key) = key {
            request.headers_mut().insert("x-api-key", key.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        tokio_tungstenite::client_async(request, stream).await.unwrap().0
    }

    /// All events of a stream that is read to its end.
    pub(crate) async fn events(&self, path: &str) -> Vec<Value> {
        let (status, text) = self.raw(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        events(&text)
    }
}

/// The events of a stream, each under its own name.
pub(crate) fn events(text: &str) -> Vec<Value> {
    let pieces = text.split("\n\n").filter(|piece| !piece.is_empty() && !piece.starts_with(':'));
    let read = |piece: &str| {
        let (name, data) = piece.split_once('\n').expect("a name and data");
        let event: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).unwrap();
        assert_eq!(name, format!("event: {}", event["type"].as_str().unwrap()));
        event
    };
    pieces.map(read).collect()
}

/// The text that a response answers.
pub(crate) fn text(response: &Value) -> String {
    let items = response["output"].as_array().expect("output").iter();
    let parts = items.filter(|item| item["type"] == "message").flat_map(|item| item["content"].as_array().unwrap());
    parts.map(|part| part["text"].as_str().unwrap()).collect()
}

/// The ids of a list.
pub(crate) fn ids(list: &Value) -> Vec<String> {
    let data = list["data"].as_array().expect("data");
    data.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}
