//! Files: uploaded, listed, read, deleted. It must not know what files are for.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use store::Page;

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::files::{Draft, File, KIND, Pieces};
use crate::form_body::Ahead;
use crate::json_body::JsonBody;
use crate::project::list;
use crate::stored::unix_seconds;
use crate::wire::query::Query;

/// What uploads may be for.
const PURPOSES: [&str; 6] = ["batch", "user_data", "assistants", "vision", "evals", "fine-tune"];
/// Bytes of a form's field that is no file.
const FIELD_BYTES_MAX: usize = 4096;
/// Letters of a file's name.
const FILENAME_MAX: usize = 255;
/// Files of a page, as in OpenAI's API.
const PAGE_FILES_MAX: i64 = 10_000;
/// Records that are read at a time.
const READ_RECORDS: u32 = 200;

/// Files.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        // Files have a limit of their own, counted while they are written.
        .route("/files", get(list_files).post(upload).layer(DefaultBodyLimit::disable()))
        .route("/files/{id}", get(retrieve).delete(delete))
        .route("/files/{id}/content", get(content))
}

/// The fields of the form.
#[derive(Default)]
struct Form {
    purpose: Option<String>,
    anchor: Option<String>,
    seconds: Option<String>,
}

async fn upload(State(app): State<App>, caller: Caller, request: Request) -> Result<JsonBody, ApiError> {
    let (ahead, most) = (Ahead::default(), app.settings().body_bytes_max);
    let request = request.map(|body| ahead.bound(body, most));
    let mut multipart = Multipart::from_request(request, &app).await.map_err(|refused| {
        ApiError::bad_request("invalid_multipart", format!("expected multipart/form-data: {}", refused.body_text()))
    })?;
    let (mut form, mut written) = (Form::default(), None);
    while let Some(mut field) = multipart.next_field().await.map_err(|error| broken(&error))? {
        ahead.taken();
        let slot = match field.name().unwrap_or_default() {
            "file" => {
                let name: String = field.file_name().unwrap_or("file").chars().take(FILENAME_MAX).collect();
                let mut draft = Draft::begin(&app, &caller.owner).await?;
                while let Some(piece) = field.chunk().await.map_err(|error| broken(&error))? {
                    ahead.taken();
                    draft.write(&piece).await?;
                }
                written = Some((draft, name));
                continue;
            }
            "purpose" => &mut form.purpose,
            "expires_after[anchor]" => &mut form.anchor,
            "expires_after[seconds]" => &mut form.seconds,
            name => {
                return Err(ApiError::unknown_parameter(name, format!("unknown parameter {name}; leave it out")));
            }
        };
        *slot = Some(text(field, &ahead).await?);
    }
    let Form { purpose, anchor, seconds } = form;
    let purpose = purpose.ok_or_else(|| ApiError::missing("purpose"))?;
    if !PURPOSES.contains(&purpose.as_str()) {
        let message = format!("purpose is {purpose:?}: expected one of {}", PURPOSES.join(", "));
        return Err(ApiError::invalid("purpose", message));
    }
    let expires_at = expiry(anchor.as_deref(), seconds.as_deref())?;
    let (draft, name) = written.ok_or_else(|| ApiError::missing("file"))?;
    let (id, file) = draft.finish(name, &purpose, expires_at).await?;
    Ok(JsonBody(file.object(&id)))
}

async fn text(mut field: Field<'_>, ahead: &Ahead) -> Result<String, ApiError> {
    let name = field.name().unwrap_or_default().to_owned();
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|error| broken(&error))? {
        ahead.taken();
        bytes.extend_from_slice(&piece);
        if bytes.len() > FIELD_BYTES_MAX {
            return Err(ApiError::invalid(name, format!("has more than {FIELD_BYTES_MAX} bytes")));
        }
    }
    String::from_utf8(bytes).map_err(|_| ApiError::invalid(name, "is not UTF-8"))
}

/// When the file goes, if it does.
fn expiry(anchor: Option<&str>, seconds: Option<&str>) -> Result<Option<i64>, ApiError> {
    const LEAST: i64 = 3600;
    const MOST: i64 = 2_592_000;
    if anchor.is_none() && seconds.is_none() {
        return Ok(None);
    }
    if anchor != Some("created_at") {
        return Err(ApiError::invalid("expires_after.anchor", "expires_after.anchor: expected \"created_at\""));
    }
    let seconds = seconds.and_then(|seconds| seconds.parse().ok()).filter(|seconds| (LEAST..=MOST).contains(seconds));
    let wrong = || {
        let message = format!("expires_after.seconds: expected an integer from {LEAST} to {MOST}");
        ApiError::invalid("expires_after.seconds", message)
    };
    Ok(Some(unix_seconds() + seconds.ok_or_else(wrong)?))
}

async fn list_files(State(app): State<App>, caller: Caller, query: Query) -> Result<JsonBody, ApiError> {
    let limit = query.integer("limit", 1, PAGE_FILES_MAX)?.unwrap_or(PAGE_FILES_MAX) as usize;
    let order = query.order()?;
    let purpose = query.text("purpose").map(str::to_owned);
    let mut after = query.after();
    query.finish()?;
    let mut files = Vec::new();
    loop {
        let page = Page { after: after.clone(), limit: READ_RECORDS, order };
        let listed = app.store().list(KIND, &caller.owner, page).await?;
        for record in &listed.records {
            let file = File::of_record(record)?;
            if purpose.as_ref().is_none_or(|purpose| *purpose == file.purpose) {
                if files.len() == limit {
                    return Ok(JsonBody(list::object(files, true)));
                }
                files.push(file.object(&record.id));
            }
        }
        after = listed.records.last().map(|record| record.id.clone());
        if !listed.has_more {
            return Ok(JsonBody(list::object(files, false)));
        }
    }
}

async fn retrieve(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<JsonBody, ApiError> {
    Ok(JsonBody(File::need(&app, &caller.owner, &id).await?.object(&id)))
}

async fn delete(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<JsonBody, ApiError> {
    File::need(&app, &caller.owner, &id).await?;
    app.store().delete(KIND, &caller.owner, &id).await?;
    Ok(JsonBody(json!({ "id": id, "object": "file", "deleted": true })))
}

async fn content(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Response, ApiError> {
    let file = File::need(&app, &caller.owner, &id).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, file.bytes.to_string()),
    ];
    let body = Body::from_stream(Content::new(Pieces::new(app, caller.owner, id)));
    Ok((headers, body).into_response())
}

type Reading = Pin<Box<dyn Future<Output = (Pieces, Result<Option<Bytes>, ApiError>)> + Send>>;

/// A file's pieces as a stream.
struct Content(Option<Reading>);

impl Content {
    fn new(pieces: Pieces) -> Self {
        Self(Some(read(pieces)))
    }
}

fn read(mut pieces: Pieces) -> Reading {
    Box::pin(async move {
        let piece = pieces.next().await;
        (pieces, piece)
    })
}

impl futures_core::Stream for Content {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(reading) = &mut self.0 else { return Poll::Ready(None) };
        let (pieces, piece) = std::task::ready!(reading.as_mut().poll(context));
        let piece = piece.map_err(|error| std::io::Error::other(error.message)).transpose();
        self.0 = piece.as_ref().is_some_and(Result::is_ok).then(|| read(pieces));
        Poll::Ready(piece)
    }
}

fn broken(error: &MultipartError) -> ApiError {
    let message = format!("the form could not be read: {}", error.body_text());
    // Whatever ends a body too soon, a client that is too slow or gone, is no fault of the server's.
    let status = if error.status().is_client_error() { error.status() } else { StatusCode::BAD_REQUEST };
    ApiError::new(status, "invalid_request_error", Some("invalid_multipart"), message)
}
