//! One attempt to compute a queued response. It must not know how workers get jobs.

use std::collections::HashMap;
use std::future::poll_fn;
use std::time::Duration;

use agent::{Ending, Opening, Outcome, Part, Said, TurnEvent};
use serde_json::Value;
use store::{Lease, Renewed, Replaced, job_channel};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use super::conclusion::{self, End};
use super::log;
use super::worker::{LEASE, RENEW_EVERY};
use super::{QUEUE, ended, projection};
use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::front::record;
use crate::history;
use crate::ids::Ids;
use crate::jobs;
use crate::lower::responses::{Lowered, refused, turn_request};
use crate::project::responses::Projection;
use crate::stored::{KIND, Stored, Versioned};
use crate::thoughts;
use crate::turns::Turn;
use crate::wire::responses::CreateResponse;

/// Attempts that may break off, by a crash or a lost machine, before a response fails.
const TRIES_MAX: u32 = 4;
/// How long events are collected before they are written: a stream is read behind by so much, and a token costs no write.
const FLUSH_EVERY: Duration = Duration::from_millis(100);
/// Events that are written at once at most.
const FLUSH_EVENTS: usize = 256;
/// After how long a response is tried again that the engine had no room for.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(2);

/// Sees a job through, or leaves it for another attempt where the store fails.
///
/// # Errors
/// Where the store fails; the lease then runs out.
pub(super) async fn run(app: &App, lease: &Lease, stopped: watch::Receiver<bool>) -> Result<(), ApiError> {
    let (owner, id) = (&lease.job.owner, &lease.job.id);
    let Some(Versioned { mut stored, version }) = Stored::get(app, owner, id).await? else {
        return finish(app, lease).await;
    };
    let recorded = log::read(app, owner, id).await?;
    if stored.has_ended() {
        return finish(app, lease).await;
    }
    if lease.job.cancel_asked {
        return conclude(app, lease, stored, version, &recorded, End::Cancelled).await;
    }
    let Some(pending) = stored.pending.as_mut().filter(|pending| pending.tries < TRIES_MAX) else {
        let message = format!("it was begun {TRIES_MAX} times and broke off each time; the server's log says why");
        let error = ApiError::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "server_error", None, message);
        return conclude(app, lease, stored, version, &recorded, End::Failed(error)).await;
    };
    pending.tries += 1;
    let caller = caller(lease);
    let key = pending.key.clone();
    let begun = record::on_behalf(app, key.as_deref(), begin(app, &caller, &stored)).await;
    let (projection, turn) = match begun {
        Ok(begun) => begun,
        Err(error) if error.status.as_u16() == 503 || error.status.as_u16() == 429 => {
            app.store().release(lease, NO_ROOM_PAUSE).await?;
            return Ok(());
        }
        Err(error) => return conclude(app, lease, stored, version, &recorded, End::Failed(error)).await,
    };
    stored.response["status"] = "in_progress".into();
    let Some(version) = replace(app, lease, &stored, version).await? else { return finish(app, lease).await };
    let calls = Calls { ids: Ids::derived(&format!("{id}/calls")), renamed: HashMap::new() };
    let attempt = Attempt {
        app,
        caller: &caller,
        lease,
        stored,
        version,
        recorded,
        told: 0,
        unwritten: Vec::new(),
        last: None,
        projection,
        calls,
    };
    attempt.follow(turn, stopped).await
}

/// Begins the turn as the request asked for it, always in the same way.
async fn begin(app: &App, caller: &Caller, stored: &Stored) -> Result<(Projection, Turn), ApiError> {
    let pending = stored.pending.as_ref().expect("looked at before");
    let create = CreateResponse::read(&pending.request)?;
    let mut history = history::load(app, caller, &stored.source).await?;
    history.truncate(pending.history_items);
    let Lowered { mut request, input: _ } = turn_request(app, caller, &create, &history).await?;
    request.sampling.seed = pending.seed;
    request.date.clone_from(&pending.date);
    let created_at = stored.response["created_at"].as_i64().unwrap_or_default();
    let projection = projection(app, caller, &create, stored.id(), created_at);
    let turn = app.agent().begin(request).await.map_err(|error| refused(&create, error))?;
    Ok((projection, turn))
}

/// A turn being followed.
struct Attempt<'a> {
    app: &'a App,
    caller: &'a Caller,
    lease: &'a Lease,
    stored: Stored,
    version: i64,
    /// What earlier attempts have told.
    recorded: Vec<String>,
    /// Events told by this attempt, those included that were told before.
    told: usize,
    /// Events that are not in the log yet.
    unwritten: Vec<String>,
    /// The event that ends the stream.
    last: Option<Value>,
    projection: Projection,
    calls: Calls,
}

/// Why an attempt is over before its turn.
enum Break {
    /// It was cancelled.
    Cancelled,
    /// The job is another's, or gone.
    Lost,
    /// The server stops.
    Stopped,
    /// It tells something else than was told before.
    Differs,
}

impl Attempt<'_> {
    async fn follow(mut self, mut turn: Turn, mut stopped: watch::Receiver<bool>) -> Result<(), ApiError> {
        let mut begun = self.projection.queue();
        begun.append(&mut self.projection.begin());
        let mut broken = self.tell(begun);
        let job = &self.lease.job;
        let mut asked = self.app.store().watch(&job_channel(QUEUE, &job.owner, &job.id));
        let mut renewals = interval_at(Instant::now() + RENEW_EVERY, RENEW_EVERY);
        let mut flushes = interval(FLUSH_EVERY);
        flushes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // An item that was cut off is told with what comes behind it: nothing of it, if this server stops.
        let mut cut: Option<TurnEvent> = None;
        while broken.is_none() && self.last.is_none() {
            let mut is_due = self.unwritten.len() >= FLUSH_EVENTS;
            tokio::select! {
                event = poll_fn(|context| turn.poll_next(context)) => match event {
                    None | Some(TurnEvent::Finished(Outcome { ending: Ending::Cancelled, .. })) => broken = Some(Break::Stopped),
                    Some(event @ TurnEvent::Ended { cut: true, .. }) => cut = Some(event),
                    Some(TurnEvent::Finished(Outcome { ending: Ending::Failed, .. })) => {
                        broken = cut.take().and_then(|event| self.push(event));
                        let failed = self.projection.fail(&ApiError::failed(turn.failure()));
                        broken = broken.or_else(|| self.tell(failed));
                    }
                    Some(event) => {
                        for event in cut.take().into_iter().chain([event]) {
                            broken = broken.or(self.push(event));
                        }
                    }
                },
                _ = flushes.tick(), if !self.unwritten.is_empty() => is_due = true,
                _ = renewals.tick() => broken = self.renew().await?,
                _ = asked.changed(RENEW_EVERY) => broken = self.renew().await?,
                () = jobs::told_to_stop(&mut stopped) => broken = Some(Break::Stopped),
            }
            if is_due && broken.is_none() && !self.write().await? {
                broken = Some(Break::Lost);
            }
        }
        drop(turn);
        self.end(broken).await
    }

    fn push(&mut self, mut event: TurnEvent) -> Option<Break> {
        self.calls.rename(&mut event);
        let told = self.projection.push(&event);
        self.tell(told)
    }

    /// Takes events up; what was told before must be the same.
    fn tell(&mut self, events: Vec<Value>) -> Option<Break> {
        for event in events {
            if log::is_last(event["type"].as_str().unwrap_or_default()) {
                self.last = Some(event);
                return if self.told < self.recorded.len() { Some(Break::Differs) } else { None };
            }
            let event = event.to_string();
            match self.recorded.get(self.told) {
                Some(recorded) if log::same(recorded, &event) => {}
                Some(_) => return Some(Break::Differs),
                None => self.unwritten.push(event),
            }
            self.told += 1;
        }
        None
    }

    /// Writes to the log what is not there yet; false if the job is somebody else's by now, or the response is gone.
    async fn write(&mut self) -> Result<bool, ApiError> {
        let events = std::mem::take(&mut self.unwritten);
        if events.is_empty() {
            return Ok(true);
        }
        let first = i64::try_from(self.told - events.len()).unwrap_or(i64::MAX);
        let job = &self.lease.job;
        match self.app.store().append_events(KIND, &job.owner, &job.id, first, events, Some(self.lease)).await {
            Ok(()) => Ok(true),
            Err(
                store::Error::LeaseLost { .. }
                | store::Error::Missing { .. }
                | store::Error::Gap { .. }
                | store::Error::EventDiffers { .. },
            ) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn renew(&mut self) -> Result<Option<Break>, ApiError> {
        Ok(match self.app.store().renew(self.lease, LEASE).await? {
            Renewed::Held => None,
            Renewed::CancelAsked => Some(Break::Cancelled),
            Renewed::Lost => Some(Break::Lost),
        })
    }

    async fn end(mut self, broken: Option<Break>) -> Result<(), ApiError> {
        let Self { app, lease, version, .. } = self;
        match broken {
            None => {}
            Some(Break::Lost) => return finish(app, lease).await,
            Some(Break::Stopped) => return self.give_back().await,
            Some(Break::Cancelled) if self.told >= self.recorded.len() => {
                let ended = self.projection.cancel();
                self.tell(ended);
            }
            Some(Break::Cancelled) => {
                return conclude(app, lease, self.stored, version, &self.recorded, End::Cancelled).await;
            }
            Some(Break::Differs) => {
                let message =
                    "it broke off, and the second attempt did not say what the first had said already; ask again";
                let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
                let error = ApiError::new(status, "server_error", Some("not_resumable"), message);
                return conclude(app, lease, self.stored, version, &self.recorded, End::Failed(error)).await;
            }
        }
        if !self.write().await? {
            return finish(app, lease).await;
        }
        self.keep().await
    }

    /// Keeps what the response has become.
    async fn keep(mut self) -> Result<(), ApiError> {
        let Self { app, caller, lease, .. } = self;
        let output = self.projection.output().to_vec();
        let response = self.projection.response();
        history::join(app, caller, &self.stored.source, &response, [&self.stored.input, &output]).await?;
        thoughts::keep(app, caller, &self.projection.call_ids(), &output).await;
        self.stored.response = response;
        self.stored.output_tokens = output.into_iter().map(|item| item.tokens).collect();
        self.stored.pending = None;
        self.stored.last_event = self.last;
        if replace(app, lease, &self.stored, self.version).await?.is_some() {
            ended(app, &caller.owner, &self.stored).await;
        }
        finish(app, lease).await
    }

    /// Leaves the response to another replica, or to the next start; this attempt does not count.
    async fn give_back(mut self) -> Result<(), ApiError> {
        if let Some(pending) = &mut self.stored.pending {
            pending.tries -= 1;
        }
        self.write().await?;
        replace(self.app, self.lease, &self.stored, self.version).await?;
        self.app.store().release(self.lease, Duration::ZERO).await?;
        Ok(())
    }
}

/// The caller's calls under names that are the same in each attempt.
struct Calls {
    ids: Ids,
    renamed: HashMap<String, String>,
}

impl Calls {
    fn rename(&mut self, event: &mut TurnEvent) {
        match event {
            TurnEvent::Began { opening: Opening::Call { id, .. }, .. } => {
                let name = self.ids.next("call");
                self.renamed.insert(std::mem::replace(id, name.clone()), name);
            }
            TurnEvent::Ended { said: Said { part: Part::Call(call), .. }, .. } => self.name(&mut call.id),
            TurnEvent::ToolBegan { call_id } | TurnEvent::ToolEnded { call_id, .. } => self.name(call_id),
            TurnEvent::Began { .. }
            | TurnEvent::Ended { .. }
            | TurnEvent::Reading { .. }
            | TurnEvent::Delta { .. }
            | TurnEvent::Finished(_) => {}
        }
    }

    fn name(&self, id: &mut String) {
        if let Some(name) = self.renamed.get(id) {
            id.clone_from(name);
        }
    }
}

/// Ends a response where its log stands.
async fn conclude(
    app: &App,
    lease: &Lease,
    mut stored: Stored,
    version: i64,
    recorded: &[String],
    end: End,
) -> Result<(), ApiError> {
    let (owner, id) = (&lease.job.owner, &lease.job.id);
    let caller = caller(lease);
    let missing = conclusion::conclude(app, &caller, &mut stored, recorded, &end);
    let first = i64::try_from(recorded.len()).unwrap_or(i64::MAX);
    app.store().append_events(KIND, owner, id, first, missing, Some(lease)).await?;
    if replace(app, lease, &stored, version).await?.is_some() {
        ended(app, owner, &stored).await;
    }
    finish(app, lease).await
}

/// Whose job it is.
fn caller(lease: &Lease) -> Caller {
    Caller { owner: lease.job.owner.clone() }
}

/// Replaces the record; `None` if the job is another's, or the response was deleted or ended by somebody else.
async fn replace(app: &App, lease: &Lease, stored: &Stored, version: i64) -> Result<Option<i64>, ApiError> {
    let (owner, id, body) = (&lease.job.owner, stored.id(), stored.body());
    match app.store().replace_held(lease, KIND, owner, id, body, Some(version)).await {
        Ok(Replaced::Done { version }) => Ok(Some(version)),
        Ok(Replaced::Missing | Replaced::Conflict { .. }) | Err(store::Error::LeaseLost { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn finish(app: &App, lease: &Lease) -> Result<(), ApiError> {
    app.store().finish(lease).await?;
    Ok(())
}
