//! Batches: created, listed, looked at, cancelled. It must not know how they run.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use store::{Order, Page};

use crate::app::App;
use crate::batches::{self, Batch, KIND};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::json_body::JsonBody;
use crate::project::list;
use crate::wire::batches::CreateBatch;
use crate::wire::query::Query;

/// Batches.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/batches", get(list_batches).post(create))
        .route("/batches/{id}", get(retrieve))
        .route("/batches/{id}/cancel", post(cancel))
}

async fn create(State(app): State<App>, caller: Caller, JsonBody(body): JsonBody) -> Result<JsonBody, ApiError> {
    let create = CreateBatch::read(&body)?;
    Ok(JsonBody(batches::create(&app, &caller.owner, create).await?))
}

async fn list_batches(State(app): State<App>, caller: Caller, query: Query) -> Result<JsonBody, ApiError> {
    let (limit, after) = (query.limit()?, query.after());
    query.finish()?;
    let listed = app.store().list(KIND, &caller.owner, Page { after, limit, order: Order::Desc }).await?;
    let object = |record: &store::Record| Ok::<_, ApiError>(Batch::of_record(record)?.object(&record.id));
    let data = listed.records.iter().map(object).collect::<Result<_, _>>()?;
    Ok(JsonBody(list::object(data, listed.has_more)))
}

async fn retrieve(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<JsonBody, ApiError> {
    Ok(JsonBody(Batch::need(&app, &caller.owner, &id).await?.0.object(&id)))
}

async fn cancel(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<JsonBody, ApiError> {
    Ok(JsonBody(batches::cancel(&app, &caller.owner, &id).await?))
}
