//! Takes batches from the queue, one after another, and sees them through. It must not know HTTP.

use std::collections::HashSet;
use std::time::Duration;

use axum::Router;
use serde_json::Value;
use store::{Item, Lease, Order, Page, Renewed, Replaced};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{Batch, Counts, KIND, QUEUE, Status, answering, lines};
use crate::app::App;
use crate::error::ApiError;
use crate::files::Draft;
use crate::front::record;
use crate::jobs::{self, Queue};
use crate::stored::unix_seconds;

/// How long a batch is held without word from its worker.
const LEASE: Duration = Duration::from_secs(30);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How often an empty queue is looked at when nobody says that something came.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// After a fault, before it is tried again.
const PAUSE: Duration = Duration::from_secs(5);
/// Answers that are read at a time.
const PAGE_ITEMS: u32 = 200;
/// What an item's id begins with.
const COMPLETED: &str = "completed-";
const FAILED: &str = "failed-";

/// Works until it is told to stop.
pub(crate) async fn work(app: App, stopped: watch::Receiver<bool>) {
    let queue = Queue { name: QUEUE, lease: LEASE, look_every: LOOK_EVERY, pause: PAUSE };
    jobs::work(app, queue, stopped, see_through).await;
}

async fn see_through(app: App, lease: Lease, stopped: watch::Receiver<bool>) -> Result<(), ApiError> {
    let run = Run { owner: lease.job.owner.clone(), id: lease.job.id.clone(), app: &app, lease: &lease };
    let outcome = run.through(stopped).await;
    let pause = if outcome.is_err() { PAUSE } else { Duration::ZERO };
    let left = match &outcome {
        Ok(true) => app.store().finish(&lease).await,
        Ok(false) | Err(_) => app.store().release(&lease, pause).await,
    };
    left.map_err(ApiError::from).and(outcome).map(drop)
}

/// A batch that is being worked on.
struct Run<'a> {
    app: &'a App,
    lease: &'a Lease,
    owner: String,
    id: String,
}

/// Why no more lines are begun.
enum Break {
    /// It was cancelled.
    Cancelled,
    /// Its time is over.
    Expired,
    /// The server stops; the batch goes on elsewhere.
    Stopped,
    /// Its file is gone.
    Lost,
}

impl Run<'_> {
    /// Whether the batch is over.
    async fn through(&self, mut stopped: watch::Receiver<bool>) -> Result<bool, ApiError> {
        let Some(mut batch) = self.batch().await? else { return Ok(true) };
        if batch.status == Status::Validating {
            let (total, errors) = lines::check(self.app, &self.owner, &batch.input_file_id, &batch.endpoint).await?;
            let status = if errors.is_empty() { Status::InProgress } else { Status::Failed };
            batch = self
                .change(|batch| {
                    batch.counts.total = total;
                    batch.errors.clone_from(&errors);
                    // A cancellation that came meanwhile stands.
                    if batch.status == Status::Validating {
                        batch.reach(status);
                    }
                })
                .await?;
        }
        if batch.status.is_over() {
            return Ok(true);
        }
        let broken = match batch.status {
            Status::InProgress if unix_seconds() >= batch.expires_at() => Some(Break::Expired),
            Status::InProgress => self.answer(&batch, &mut stopped).await?,
            Status::Cancelling => Some(Break::Cancelled),
            _ => None,
        };
        let last = match broken {
            Some(Break::Stopped) => return Ok(false),
            Some(Break::Expired) => Status::Expired,
            Some(Break::Lost) => Status::Failed,
            Some(Break::Cancelled) => Status::Cancelled,
            None => Status::Completed,
        };
        self.finish(last).await?;
        Ok(true)
    }

    async fn batch(&self) -> Result<Option<Batch>, ApiError> {
        let record = self.app.store().get(KIND, &self.owner, &self.id).await?;
        record.map(|record| Batch::of_record(&record)).transpose()
    }

    /// Changes the record, whatever others have changed meanwhile.
    async fn change(&self, change: impl Fn(&mut Batch)) -> Result<Batch, ApiError> {
        let store = self.app.store();
        loop {
            let (mut batch, version) = Batch::need(self.app, &self.owner, &self.id).await?;
            change(&mut batch);
            let body = batch.body()?;
            let replaced = store.replace_held(self.lease, KIND, &self.owner, &self.id, body, Some(version)).await?;
            if let Replaced::Done { .. } = replaced {
                return Ok(batch);
            }
        }
    }

    /// Answers every line that has no answer yet, some at once.
    async fn answer(&self, batch: &Batch, stopped: &mut watch::Receiver<bool>) -> Result<Option<Break>, ApiError> {
        let (answered, mut counts) = self.answered(batch).await?;
        let router = crate::routes::api(self.app.clone());
        let (mut lines, mut number) = (lines::of_file(self.app, &self.owner, &batch.input_file_id), 0);
        let (mut running, mut is_read, mut is_lost, mut broken) = (JoinSet::new(), false, false, None);
        let mut renewals = interval_at(Instant::now() + RENEW_EVERY, RENEW_EVERY);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let most = self.app.settings().body_bytes_max;
        while broken.is_none() {
            let mut pause = self.pause(batch);
            while !is_read && pause.is_zero() && running.len() < self.app.settings().background_workers.max(1) {
                match lines::next(&mut lines, &mut number, most).await {
                    Ok(Some(_)) if answered.contains(&number) => {}
                    Ok(Some(line)) => self.begin(&mut running, &router, batch, number, &line),
                    Ok(None) => is_read = true,
                    // The file was deleted or has expired: what was answered until then is all there can be.
                    Err(error) if error.status.is_client_error() => {
                        (is_read, is_lost) = (true, true);
                    }
                    Err(error) => return Err(error),
                }
                pause = self.pause(batch);
            }
            if running.is_empty() && is_read {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(pause), if !is_read && !pause.is_zero() => {}
                Some(done) = running.join_next() => {
                    let (number, line, is_good) = done.map_err(|error| ApiError::internal(&error))?;
                    self.keep(number, &line, is_good).await?;
                    *(if is_good { &mut counts.completed } else { &mut counts.failed }) += 1;
                    self.change(|batch| batch.counts = counts).await?;
                }
                _ = renewals.tick() => broken = self.renew(batch).await?,
                () = jobs::told_to_stop(stopped) => broken = Some(Break::Stopped),
            }
        }
        Ok(broken.or(is_lost.then_some(Break::Lost)))
    }

    fn begin(
        &self,
        running: &mut JoinSet<(u64, Value, bool)>,
        router: &Router,
        batch: &Batch,
        number: u64,
        line: &[u8],
    ) {
        let (endpoint, key) = (batch.endpoint.clone(), batch.key.clone());
        let id = self.app.ids().next("req");
        let request = match lines::read(line, &endpoint) {
            Ok(request) => request,
            // Every line was good when all were looked at.
            Err((code, _, message)) => {
                let line = answering::unanswered("", &id, code, &message);
                running.spawn(async move { (number, line, false) });
                return;
            }
        };
        let (app, router, owner) = (self.app.clone(), router.clone(), self.owner.clone());
        running.spawn(async move {
            let answering = answering::answer(&app, router, owner, &endpoint, &id, request);
            let (line, is_good) = record::on_behalf(&app, key.as_deref(), answering).await;
            (number, line, is_good)
        });
    }

    /// How long until the batch's key has tokens again.
    fn pause(&self, batch: &Batch) -> Duration {
        let key = batch.key.as_deref().and_then(|name| self.app.keys()?.named(name));
        key.map_or(Duration::ZERO, |(key, usage)| usage.without_tokens(key.limits, std::time::Instant::now()))
    }

    async fn renew(&self, batch: &Batch) -> Result<Option<Break>, ApiError> {
        Ok(match self.app.store().renew(self.lease, LEASE).await? {
            Renewed::Held if unix_seconds() >= batch.expires_at() => Some(Break::Expired),
            Renewed::Held => None,
            Renewed::CancelAsked => Some(Break::Cancelled),
            Renewed::Lost => Some(Break::Stopped),
        })
    }

    /// Lines that have an answer, and how many of each sort.
    async fn answered(&self, batch: &Batch) -> Result<(HashSet<u64>, Counts), ApiError> {
        let (mut answered, mut counts) = (HashSet::new(), Counts { total: batch.counts.total, ..Counts::default() });
        let mut after = None;
        loop {
            let (items, has_more) = self.page(after.take()).await?;
            for item in &items {
                let (count, number) = match item.id.strip_prefix(COMPLETED) {
                    Some(number) => (&mut counts.completed, number),
                    None => (&mut counts.failed, item.id.trim_start_matches(FAILED)),
                };
                *count += 1;
                answered.extend(number.parse::<u64>());
            }
            after = items.last().map(|item| item.id.clone());
            if !has_more {
                return Ok((answered, counts));
            }
        }
    }

    async fn page(&self, after: Option<String>) -> Result<(Vec<Item>, bool), ApiError> {
        let page = Page { after, limit: PAGE_ITEMS, order: Order::Asc };
        let listed = self.app.store().items(KIND, &self.owner, &self.id, page).await?;
        Ok((listed.items, listed.has_more))
    }

    async fn keep(&self, number: u64, line: &Value, is_good: bool) -> Result<(), ApiError> {
        let id = format!("{}{number}", if is_good { COMPLETED } else { FAILED });
        let items = vec![Item { id, body: line.to_string() }];
        Ok(self.app.store().append_items(KIND, &self.owner, &self.id, items).await?)
    }

    /// Writes the answers into files, and the end into the record.
    async fn finish(&self, last: Status) -> Result<(), ApiError> {
        let batch = self
            .change(|batch| {
                if batch.status == Status::InProgress {
                    batch.reach(Status::Finalizing);
                }
            })
            .await?;
        let output = self.write(&batch, COMPLETED, "output", Vec::new()).await?;
        let late = if last == Status::Expired { self.late(&batch).await? } else { Vec::new() };
        let errors = self.write(&batch, FAILED, "error", late).await?;
        self.change(|batch| {
            if last == Status::Failed {
                let message = "the input file was deleted or has expired before every line was answered";
                batch.errors = vec![lines::fault("input_file_gone", None, None, message)];
            }
            batch.output_file_id.clone_from(&output);
            batch.error_file_id.clone_from(&errors);
            batch.reach(last);
        })
        .await?;
        Ok(())
    }

    /// What is told of the lines that there was no time for.
    async fn late(&self, batch: &Batch) -> Result<Vec<String>, ApiError> {
        const MESSAGE: &str = "this request was not answered before the batch expired; send it again";
        let (answered, _) = self.answered(batch).await?;
        let (mut lines, mut number) = (lines::of_file(self.app, &self.owner, &batch.input_file_id), 0);
        let mut late = Vec::new();
        loop {
            let line = match lines::next(&mut lines, &mut number, self.app.settings().body_bytes_max).await {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(late),
                // The file is gone, and with it the names of its requests.
                Err(error) if error.status.is_client_error() => return Ok(late),
                Err(error) => return Err(error),
            };
            if !answered.contains(&number)
                && let Ok(request) = lines::read(&line, &batch.endpoint)
            {
                let id = self.app.ids().next("req");
                late.push(answering::unanswered(&request.name, &id, "batch_expired", MESSAGE).to_string());
            }
        }
    }

    /// A file of all answers of one sort, and of `more` behind them; none where there are none.
    async fn write(
        &self,
        batch: &Batch,
        prefix: &str,
        sort: &str,
        more: Vec<String>,
    ) -> Result<Option<String>, ApiError> {
        let (mut draft, mut after) = (None, None);
        let mut is_over = false;
        while !is_over {
            let (items, has_more) = self.page(after.take()).await?;
            after = items.last().map(|item| item.id.clone());
            is_over = !has_more;
            let mut told: Vec<String> =
                items.into_iter().filter(|item| item.id.starts_with(prefix)).map(|item| item.body).collect();
            if is_over {
                told.extend_from_slice(&more);
            }
            for line in told {
                let draft = match &mut draft {
                    Some(draft) => draft,
                    none => none.insert(Draft::begin(self.app, &self.owner).await?),
                };
                draft.write(line.as_bytes()).await?;
                draft.write(b"\n").await?;
            }
        }
        let Some(draft) = draft else { return Ok(None) };
        let expires = batch.output_seconds.map(|seconds| unix_seconds() + seconds);
        let (id, _) = draft.finish(format!("{}_{sort}.jsonl", self.id), "batch_output", expires).await?;
        Ok(Some(id))
    }
}
