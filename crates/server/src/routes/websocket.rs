//! Responses over a WebSocket: many requests on one connection, in lanes that run side by side. It must not know how responses are
//! made.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, timeout};

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::front::record;
use crate::lane::{Lane, Sender, Sent, Share, Waiting, refusal};
use crate::life::Phase;
use crate::listener::Held;
use crate::wire::client_event::ClientEvent;

/// Lanes of one connection.
const LANES_MAX: usize = 32;
/// Requests that wait in one lane.
const WAITING_MAX: usize = 16;
/// Requests of the largest size whose bytes one connection may have waiting, in all of its lanes.
const WAITING_BODIES: usize = 4;
/// Events that wait for a slow client; then the lanes wait too.
const EVENTS_MAX: usize = 64;
/// Pings without any answer, after which a client counts as gone.
const PINGS_MAX: u32 = 3;
/// How long a client may take to read one event.
const SEND_TIME_MAX: Duration = Duration::from_secs(60);

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/responses", get(connect))
}

async fn connect(
    State(app): State<App>,
    caller: Caller,
    connection: Option<Extension<Held>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|_| {
        let message = "GET here opens a WebSocket; POST creates a response, and GET with an id behind it retrieves one";
        ApiError::new(StatusCode::UPGRADE_REQUIRED, "invalid_request_error", Some("upgrade_required"), message)
    })?;
    let bytes_max = app.settings().body_bytes_max;
    let upgrade = upgrade.max_message_size(bytes_max).max_frame_size(bytes_max);
    let key = record::current_key();
    Ok(upgrade.on_upgrade(async move |socket| {
        // Among the connections that may be open it counts until it is closed.
        let _held = connection;
        Connection::new(app, caller, key).run(socket).await;
    }))
}

/// One client's connection. Its lanes end with it, and with them whatever they were making.
struct Connection {
    app: App,
    caller: Caller,
    lane: Lane,
    lanes: HashMap<Option<String>, Open>,
    /// Bytes of requests that wait.
    taken: Arc<AtomicUsize>,
    events: mpsc::Receiver<Sent>,
    sender: mpsc::Sender<Sent>,
    tasks: JoinSet<()>,
}

/// A lane that takes requests.
struct Open {
    requests: mpsc::Sender<Waiting>,
    /// Held by each of its requests until it is answered.
    busy: Arc<()>,
}

impl Connection {
    fn new(app: App, caller: Caller, key: Option<String>) -> Self {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let lane = Lane::new(app.clone(), caller.clone(), key);
        let (lanes, taken, tasks) = <_>::default();
        Self { app, caller, lane, lanes, taken, events, sender, tasks }
    }

    async fn run(mut self, mut socket: WebSocket) {
        let (every, life) = (self.app.settings().keep_alive, self.app.life().clone());
        let mut pings = interval_at(Instant::now() + every, every);
        let mut unanswered = 0;
        loop {
            let message = tokio::select! {
                message = socket.recv() => {
                    unanswered = 0;
                    match message {
                        Some(Ok(Message::Text(text))) => self.take(text.as_bytes()),
                        Some(Ok(Message::Binary(bytes))) => self.take(&bytes),
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => None,
                        Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                    }
                }
                () = life.reached(Phase::Stopped) => {
                    send(&mut socket, Message::Close(None)).await;
                    break;
                }
                // There is always a sender here.
                event = self.events.recv() => event,
                _ = pings.tick() => {
                    unanswered += 1;
                    if unanswered > PINGS_MAX || !send(&mut socket, Message::Ping(Vec::new().into())).await {
                        break;
                    }
                    None
                }
            };
            let Some(Sent { event, _place }) = message else { continue };
            if !send(&mut socket, Message::Text(event.to_string().into())).await {
                break;
            }
        }
        tracing::debug!(owner = self.caller.owner, "a WebSocket was closed");
    }

    /// Hands a request to its lane; what is refused at once is told by the event.
    fn take(&mut self, bytes: &[u8]) -> Option<Sent> {
        let event = self.hand_over(bytes)?;
        Some(Sent { event, _place: None })
    }

    fn hand_over(&mut self, bytes: &[u8]) -> Option<Value> {
        let ClientEvent { stream_id, body } = match ClientEvent::read(bytes) {
            Ok(event) => event,
            Err(error) => return Some(refusal(&error, None)),
        };
        let most = self.app.settings().body_bytes_max.saturating_mul(WAITING_BODIES);
        let Some(share) = Share::of(&self.taken, bytes.len(), most) else {
            let message = format!("{most} bytes of requests wait on this connection already; wait for the end of one");
            return Some(refusal(&too_many(message), stream_id.as_deref()));
        };
        if self.lanes.len() == LANES_MAX && !self.lanes.contains_key(&stream_id) {
            // Clients may give each request a name of its own.
            self.lanes.retain(|_, lane| Arc::strong_count(&lane.busy) > 1);
            while self.tasks.try_join_next().is_some() {}
            if self.lanes.len() == LANES_MAX {
                let message = format!("this connection has {LANES_MAX} busy streams already; wait for the end of one");
                return Some(refusal(&too_many(message), stream_id.as_deref()));
            }
        }
        let stream = stream_id.clone();
        let lane = self.lanes.entry(stream_id).or_insert_with_key(|stream_id| {
            let (requests, waiting) = mpsc::channel(WAITING_MAX);
            let sender = Sender::new(stream_id.clone(), self.sender.clone());
            self.tasks.spawn(self.lane.clone().run(waiting, sender));
            Open { requests, busy: Arc::default() }
        });
        let waiting = Waiting { body, _share: share, _busy: Arc::clone(&lane.busy) };
        lane.requests.try_send(waiting).err().map(|_| {
            let message = format!("{WAITING_MAX} requests wait in this stream already; wait for the end of one");
            refusal(&too_many(message), stream.as_deref())
        })
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(timeout(SEND_TIME_MAX, socket.send(message)).await, Ok(Ok(())))
}

fn too_many(message: String) -> ApiError {
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", Some("rate_limit_exceeded"), message)
}
