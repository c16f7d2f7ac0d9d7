//! A request for a batch. It must not know how batches run.

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::wire::fields::{At, Fields};
use crate::wire::responses::read_metadata;

/// What lines of a batch may be for.
pub(crate) const ENDPOINTS: [(&str, &str); 3] = [
    ("/v1/responses", "/v1/responses"),
    ("/v1/chat/completions", "/v1/chat/completions"),
    ("/v1/completions", "/v1/completions"),
];

/// A request for a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CreateBatch {
    /// The requests.
    pub(crate) input_file_id: String,
    /// What all of them are for.
    pub(crate) endpoint: String,
    /// The client's own notes.
    pub(crate) metadata: Map<String, Value>,
    /// How long the files with answers are kept, where that was said.
    pub(crate) output_seconds: Option<i64>,
}

impl CreateBatch {
    /// Reads a request's body.
    ///
    /// # Errors
    /// The first field that is unknown, missing or wrong, with its path.
    pub(crate) fn read(body: &Value) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body)?;
        let input_file_id = fields.need("input_file_id")?.string()?;
        let endpoint = fields.need("endpoint")?.word(&ENDPOINTS)?.to_owned();
        fields.need("completion_window")?.word(&[("24h", ())])?;
        let metadata = fields.optional("metadata", read_metadata)?.unwrap_or_default();
        let output_seconds = fields.optional("output_expires_after", read_expiry)?;
        fields.finish()?;
        Ok(Self { input_file_id, endpoint, metadata, output_seconds })
    }
}

fn read_expiry(at: At<'_>) -> Result<i64, ApiError> {
    let fields = at.object()?;
    fields.need("anchor")?.word(&[("created_at", ())])?;
    let seconds = fields.need("seconds")?.integer(3600, 2_592_000)?;
    fields.finish()?;
    Ok(seconds)
}
