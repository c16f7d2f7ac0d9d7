//! Batches: requests in a file, answered when others leave room, their answers in another file. It must not know HTTP, nor how one request
//! is answered.
//!
//! A batch is a record and a job in the store's queue. Each line that was answered is an item of the record before the next is begun, so a
//! batch goes on after a restart, or on another replica, where it stood.

mod answering;
mod lines;
mod worker;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::{Attached, NewJob, Record, Replaced};

use crate::app::App;
use crate::error::ApiError;
use crate::files::File;
use crate::front::record;
use crate::stored::{self, unix_seconds};
use crate::wire::batches::CreateBatch;
pub(crate) use worker::work;

/// The kind of record that a batch is.
pub(crate) const KIND: &str = "batch";
/// The queue in the store.
const QUEUE: &str = "batches";
/// How long a batch may take: `24h`, the only window there is.
const WINDOW_SECONDS: i64 = 24 * 3600;
/// How long its record is kept behind that.
const KEPT_SECONDS: i64 = 30 * 24 * 3600;

/// A batch as it lies in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) status: Status,
    endpoint: String,
    input_file_id: String,
    output_file_id: Option<String>,
    error_file_id: Option<String>,
    metadata: Map<String, Value>,
    output_seconds: Option<i64>,
    counts: Counts,
    errors: Vec<Value>,
    /// When it reached each state, by the names of the API.
    moments: Map<String, Value>,
    /// The name of the key that pays for its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    total: u64,
    completed: u64,
    failed: u64,
}

/// Where a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Validating,
    Failed,
    InProgress,
    Finalizing,
    Completed,
    Expired,
    Cancelling,
    Cancelled,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::Failed => "failed",
            Self::InProgress => "in_progress",
            Self::Finalizing => "finalizing",
            Self::Completed => "completed",
            Self::Expired => "expired",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }

    fn is_over(self) -> bool {
        matches!(self, Self::Failed | Self::Completed | Self::Expired | Self::Cancelled)
    }
}

impl Batch {
    /// The batch as clients get it.
    pub(crate) fn object(&self, id: &str) -> Value {
        let Self { status, endpoint, input_file_id, output_file_id, error_file_id, metadata, counts, errors, .. } =
            self;
        let Counts { total, completed, failed } = counts;
        let errors = (!errors.is_empty()).then(|| json!({ "object": "list", "data": errors }));
        let mut object = json!({
            "id": id,
            "object": "batch",
            "endpoint": endpoint,
            "errors": errors,
            "input_file_id": input_file_id,
            "completion_window": "24h",
            "status": status.name(),
            "output_file_id": output_file_id,
            "error_file_id": error_file_id,
            "request_counts": { "total": total, "completed": completed, "failed": failed },
            "metadata": metadata,
        });
        let names = [
            "created",
            "in_progress",
            "expires",
            "finalizing",
            "completed",
            "failed",
            "expired",
            "cancelling",
            "cancelled",
        ];
        for name in names.map(|name| format!("{name}_at")) {
            object[&name] = self.moments.get(&name).cloned().unwrap_or_default();
        }
        // OpenAI leaves out what is not there yet.
        if let Some(object) = object.as_object_mut() {
            object.retain(|_, value| !value.is_null());
        }
        object
    }

    fn reach(&mut self, status: Status) {
        self.status = status;
        self.moments.insert(format!("{}_at", status.name()), unix_seconds().into());
    }

    fn expires_at(&self) -> i64 {
        self.moments["expires_at"].as_i64().unwrap_or(i64::MAX)
    }

    /// An owner's batch and the version of its record.
    ///
    /// # Errors
    /// 404 where there is none; where the store fails.
    pub(crate) async fn need(app: &App, owner: &str, id: &str) -> Result<(Self, i64), ApiError> {
        let record = stored::found(app.store().get(KIND, owner, id).await)?;
        let record = record.ok_or_else(|| ApiError::not_found("batch", id))?;
        Ok((Self::of_record(&record)?, record.version))
    }

    pub(crate) fn of_record(record: &Record) -> Result<Self, ApiError> {
        serde_json::from_str(&record.body).map_err(|error| stored::unreadable(KIND, &record.id, &error))
    }

    fn body(&self) -> Result<String, ApiError> {
        serde_json::to_string(self).map_err(|error| ApiError::internal(&error))
    }
}

/// Keeps a new batch and queues it.
///
/// # Errors
/// 404 without the file, 400 when it is not for batches; where the store fails.
pub(crate) async fn create(app: &App, owner: &str, create: CreateBatch) -> Result<Value, ApiError> {
    let CreateBatch { input_file_id, endpoint, metadata, output_seconds } = create;
    let file = File::need(app, owner, &input_file_id).await?;
    if file.purpose != "batch" {
        let message = format!("file {input_file_id} is for {:?}: expected one with purpose \"batch\"", file.purpose);
        return Err(ApiError::invalid("input_file_id", message));
    }
    let id = app.ids().next("batch");
    let created = unix_seconds();
    let mut batch = Batch {
        status: Status::Validating,
        endpoint,
        input_file_id,
        output_file_id: None,
        error_file_id: None,
        metadata,
        output_seconds,
        counts: Counts::default(),
        errors: Vec::new(),
        moments: Map::new(),
        key: record::current_key(),
    };
    batch.moments.insert("created_at".to_owned(), created.into());
    batch.moments.insert("expires_at".to_owned(), (created + WINDOW_SECONDS).into());
    let record = Record {
        kind: KIND.to_owned(),
        owner: owner.to_owned(),
        id: id.clone(),
        body: batch.body()?,
        created,
        expires: Some(created + WINDOW_SECONDS + KEPT_SECONDS),
        version: 1,
    };
    let job = NewJob { queue: QUEUE.to_owned(), owner: owner.to_owned(), id: id.clone(), body: String::new() };
    app.store().put_with(record, Attached { job: Some(job), ..Attached::default() }).await?;
    Ok(batch.object(&id))
}

/// Asks a batch to end; what was answered stays.
///
/// # Errors
/// 404 without the batch, 409 when it is over; where the store fails.
pub(crate) async fn cancel(app: &App, owner: &str, id: &str) -> Result<Value, ApiError> {
    loop {
        let (mut batch, version) = Batch::need(app, owner, id).await?;
        match batch.status {
            Status::Cancelling | Status::Cancelled => return Ok(batch.object(id)),
            status if status.is_over() => {
                let message = format!("batch {id} is {} already and cannot be cancelled", status.name());
                let conflict = axum::http::StatusCode::CONFLICT;
                return Err(ApiError::new(conflict, "invalid_request_error", Some("batch_over"), message));
            }
            _ => batch.reach(Status::Cancelling),
        }
        if let Replaced::Done { .. } = app.store().replace(KIND, owner, id, batch.body()?, Some(version)).await? {
            app.store().ask_cancel(QUEUE, owner, id).await?;
            return Ok(batch.object(id));
        }
    }
}
