//! What is noted of a request while it is answered, and what is told of it at the end: one line in the log, metrics, a trace. It must not
//! know what was asked or answered.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::http::StatusCode;

use crate::app::App;
use crate::error::ApiError;
use crate::keys::{Key, Usage};
use crate::metrics::Request;
use crate::traces::{Parent, Trace};
use crate::turns::TurnTimes;

tokio::task_local! {
    /// The request that this task answers.
    pub(crate) static CURRENT: Arc<Record>;
}

/// The name of the key that the request came with which this task answers; nothing where nobody is asked for one.
pub(crate) fn current_key() -> Option<String> {
    CURRENT.try_with(|record| record.asker.get().map(|asker| asker.key.name())).ok().flatten()
}

/// Does what a request has asked for that is answered already, or that has more to come: its tokens count for the key of this name.
pub(crate) async fn on_behalf<F: Future>(app: &App, key: Option<&str>, doing: F) -> F::Output {
    let record = Record::new(app.ids().next("req"), "POST", None, None);
    if !record.has_key(app, key) {
        return doing.await;
    }
    CURRENT.scope(Arc::new(record), doing).await
}

/// Answers a request that came over a WebSocket, with the key of this name: it is noted as if it had come by itself.
///
/// # Errors
/// Those of the answer.
pub(crate) async fn over_socket<T>(
    app: &App,
    key: Option<&str>,
    answering: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let record = Record::new(app.ids().next("req"), SOCKET, Some("/v1/responses".to_owned()), None);
    record.has_key(app, key);
    let mut told = Told { app, record: Arc::new(record), is_whole: false };
    let answered = CURRENT.scope(Arc::clone(&told.record), answering).await;
    let error = answered.as_ref().err();
    told.record.answered(error.map_or(StatusCode::OK, |error| error.status), error);
    told.is_whole = true;
    answered
}

/// How requests over WebSockets are told apart from others of the same route.
const SOCKET: &str = "WS";

/// A request over a WebSocket, told of when it is over, even if its client has gone before.
struct Told<'a> {
    app: &'a App,
    record: Arc<Record>,
    is_whole: bool,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.record.answered(StatusCode::OK, None);
        self.record.finish(self.app, self.is_whole);
    }
}

/// What is noted of a request.
pub(crate) struct Record {
    id: String,
    method: &'static str,
    /// Nothing where no route fits.
    route: Option<String>,
    parent: Option<Parent>,
    started: Instant,
    at: SystemTime,
    asker: OnceLock<Asker>,
    answered: OnceLock<Answered>,
    turns: Mutex<Vec<TurnTimes>>,
}

/// Whose request it is, and which key it came with.
struct Asker {
    key: Key,
    usage: Arc<Usage>,
}

/// The head of the answer.
struct Answered {
    status: StatusCode,
    code: Option<&'static str>,
    param: Option<String>,
    after: Duration,
}

impl Record {
    pub(super) fn new(id: String, method: &'static str, route: Option<String>, parent: Option<&str>) -> Self {
        let (started, at) = (Instant::now(), SystemTime::now());
        let parent = parent.and_then(Parent::parse);
        let (asker, answered, turns) = <_>::default();
        Self { id, method, route, parent, started, at, asker, answered, turns }
    }

    /// The request's name.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether the key of this name is known; it is this request's then.
    fn has_key(&self, app: &App, key: Option<&str>) -> bool {
        let Some((key, usage)) = key.and_then(|name| app.keys()?.named(name)) else { return false };
        // Tokens are counted from when somebody asks how many there are.
        usage.without_tokens(key.limits, Instant::now());
        self.belongs_to(key, usage);
        true
    }

    pub(super) fn belongs_to(&self, key: Key, usage: Arc<Usage>) {
        let _ = self.asker.set(Asker { key, usage });
    }

    pub(super) fn answered(&self, status: StatusCode, error: Option<&ApiError>) {
        let (code, param) = error.map_or_else(Default::default, |error| (error.code, error.param.clone()));
        let _ = self.answered.set(Answered { status, code, param, after: self.elapsed() });
    }

    /// A turn of this request is over.
    pub(crate) fn turn(&self, times: TurnTimes) {
        if let Some(asker) = self.asker.get() {
            asker.usage.charge(times.usage.input_tokens - times.usage.cached_tokens + times.usage.output_tokens);
        }
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).push(times);
    }

    /// The answer is over: tells of it.
    pub(super) fn finish(&self, app: &App, is_whole: bool) {
        let turns = std::mem::take(&mut *self.turns.lock().unwrap_or_else(PoisonError::into_inner));
        let route = self.route.as_deref().unwrap_or("none");
        let Some(Answered { status, code, param, after }) = self.answered.get() else { return };
        let status = status.as_u16();
        let seconds = self.elapsed().as_secs_f64();
        app.metrics().request(&Request { route: route.to_owned(), method: self.method, status }, seconds);
        if let Some(traces) = app.traces() {
            let (code, parent) = (*code, self.parent);
            let trace = Trace {
                id: &self.id,
                method: self.method,
                route,
                status,
                code,
                parent,
                at: self.at,
                started: self.started,
            };
            traces.send(&trace, &turns, &app.models()[0]);
        }
        let sum = |of: fn(&TurnTimes) -> usize| turns.iter().map(of).sum::<usize>();
        let first = turns.iter().find_map(|turn| turn.first_token).map(|at| (at - self.started).as_secs_f64());
        tracing::info!(
            request = self.id,
            method = self.method,
            route,
            status,
            code,
            param,
            owner = self.asker.get().map(|asker| asker.key.owner.as_str()),
            input_tokens = sum(|turn| turn.usage.input_tokens),
            cached_tokens = sum(|turn| turn.usage.cached_tokens),
            output_tokens = sum(|turn| turn.usage.output_tokens),
            reasoning_tokens = sum(|turn| turn.usage.reasoning_tokens),
            head_seconds = after.as_secs_f64(),
            first_token_seconds = first,
            seconds,
            whole = is_whole,
            "request"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{KeyLimits, Keys};

    #[test]
    fn what_was_found_in_the_cache_costs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        let limits = KeyLimits { tokens_per_minute: Some(100), ..KeyLimits::default() };
        let text = Keys::add_new(&path, "anna", false, limits).unwrap();
        let (key, usage) = Keys::read(&path).unwrap().find(&text).unwrap();
        let (record, now) = (Record::new("req_1".to_owned(), "POST", None, None), Instant::now());
        drop(usage.admit(limits, now).unwrap());
        record.belongs_to(key, Arc::clone(&usage));
        let took = agent::Usage { input_tokens: 90, cached_tokens: 80, output_tokens: 7, reasoning_tokens: 5 };
        record.turn(TurnTimes {
            asked: now,
            begun: None,
            first_token: None,
            ended: now,
            usage: took,
            ending: None,
            guarded: false,
        });
        assert_eq!(usage.admit(limits, now).unwrap().tokens.unwrap().1, 83);
    }
}
