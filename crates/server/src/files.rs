//! Uploaded files and files that batches write: a record and its bytes. It must not know HTTP.

use axum::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Attached, BLOB_CALL_BYTES_MAX, Record, Upload};

use crate::app::App;
use crate::error::ApiError;
use crate::stored::{self, unix_seconds};

/// The kind of record that a file is.
pub(crate) const KIND: &str = "file";
/// Bytes that are gathered before they are written to the store.
const PIECE_BYTES: usize = 1 << 20;

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    pub(crate) bytes: u64,
    pub(crate) created_at: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) filename: String,
    pub(crate) purpose: String,
}

/// A file that is being written. What is not finished when this is dropped is removed.
pub(crate) struct Draft<'a> {
    app: &'a App,
    /// Gone when it has become a file.
    upload: Option<Upload>,
    piece: Vec<u8>,
    bytes: u64,
}

impl File {
    /// The file as clients get it.
    pub(crate) fn object(&self, id: &str) -> Value {
        let Self { bytes, created_at, expires_at, filename, purpose } = self;
        json!({
            "id": id,
            "object": "file",
            "bytes": bytes,
            "created_at": created_at,
            "expires_at": expires_at,
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
        })
    }

    /// An owner's file.
    ///
    /// # Errors
    /// 404 where there is none; where the store fails.
    pub(crate) async fn need(app: &App, owner: &str, id: &str) -> Result<Self, ApiError> {
        let record = stored::found(app.store().get(KIND, owner, id).await)?;
        Self::of_record(&record.ok_or_else(|| ApiError::not_found("file", id))?)
    }

    pub(crate) fn of_record(record: &Record) -> Result<Self, ApiError> {
        serde_json::from_str(&record.body).map_err(|error| stored::unreadable(KIND, &record.id, &error))
    }
}

impl<'a> Draft<'a> {
    /// Begins a file.
    pub(crate) async fn begin(app: &'a App, owner: &str) -> Result<Self, ApiError> {
        let upload = Some(app.store().begin_upload(owner).await?);
        Ok(Self { app, upload, piece: Vec::new(), bytes: 0 })
    }

    /// Writes at its end.
    ///
    /// # Errors
    /// 413 beyond the largest file; where the store fails.
    pub(crate) async fn write(&mut self, data: &[u8]) -> Result<(), ApiError> {
        self.bytes += data.len() as u64;
        let most = self.app.settings().file_bytes_max;
        if self.bytes > most as u64 {
            let message =
                format!("the file has more than {most} bytes, the most that this server takes; send a smaller one");
            let status = axum::http::StatusCode::PAYLOAD_TOO_LARGE;
            return Err(ApiError::new(status, "invalid_request_error", Some("file_too_large"), message));
        }
        self.piece.extend_from_slice(data);
        if self.piece.len() >= PIECE_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), ApiError> {
        let piece = std::mem::take(&mut self.piece);
        let upload = self.upload.as_ref().expect("only its end takes it away");
        for part in piece.chunks(BLOB_CALL_BYTES_MAX) {
            self.app.store().write_upload(upload, part.to_vec()).await?;
        }
        Ok(())
    }

    /// Makes it a file; gives its id.
    pub(crate) async fn finish(
        mut self,
        filename: String,
        purpose: &str,
        expires_at: Option<i64>,
    ) -> Result<(String, File), ApiError> {
        if !self.piece.is_empty() {
            self.flush().await?;
        }
        let (app, bytes) = (self.app, self.bytes);
        let upload = self.upload.clone().expect("only its end takes it away");
        let created_at = unix_seconds();
        let file = File { bytes, created_at, expires_at, filename, purpose: purpose.to_owned() };
        let id = app.ids().next("file").replacen('_', "-", 1);
        let record = Record {
            kind: KIND.to_owned(),
            owner: upload.owner.clone(),
            id: id.clone(),
            body: serde_json::to_string(&file).map_err(|error| ApiError::internal(&error))?,
            created: created_at,
            expires: expires_at,
            version: 1,
        };
        app.store().put_with(record, Attached { blob: Some(upload), ..Attached::default() }).await?;
        self.upload = None;
        Ok((id, file))
    }
}

impl Drop for Draft<'_> {
    /// A client that vanished in the middle must not fill the store. What became a file after all is not touched by this.
    fn drop(&mut self) {
        let (Some(upload), Ok(runtime)) = (self.upload.take(), tokio::runtime::Handle::try_current()) else { return };
        let app = self.app.clone();
        runtime.spawn(async move {
            if let Err(error) = app.store().drop_upload(&upload).await {
                tracing::warn!(%error, "an upload that broke off is still in the store; it is swept later");
            }
        });
    }
}

/// Reads a file from its beginning, piece by piece.
pub(crate) struct Pieces {
    app: App,
    owner: String,
    id: String,
    offset: u64,
}

impl Pieces {
    pub(crate) fn new(app: App, owner: String, id: String) -> Self {
        Self { app, owner, id, offset: 0 }
    }

    /// The next piece; nothing behind the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let read = self.app.store().read_blob(KIND, &self.owner, &self.id, self.offset, PIECE_BYTES).await?;
        let piece = read.ok_or_else(|| ApiError::not_found("file", &self.id))?;
        self.offset += piece.len() as u64;
        Ok(Some(Bytes::from(piece)).filter(|piece| !piece.is_empty()))
    }
}

/// Reads a file line by line, however its pieces fall.
pub(crate) struct Lines {
    pieces: Pieces,
    /// What was read, and how much of it was given.
    read: Vec<u8>,
    given: usize,
    is_over: bool,
}

impl Lines {
    pub(crate) fn new(pieces: Pieces) -> Self {
        Self { pieces, read: Vec::new(), given: 0, is_over: false }
    }

    /// The next line, without its end; nothing behind the last one. A line longer than `most` bytes is an error.
    pub(crate) async fn next(&mut self, most: usize) -> Result<Option<Vec<u8>>, ApiError> {
        let mut searched = self.given;
        loop {
            if let Some(at) = self.read[searched..].iter().position(|&byte| byte == b'\n') {
                let line = self.read[self.given..searched + at].to_vec();
                self.given = searched + at + 1;
                return Ok(Some(line));
            }
            // Once for each piece: a piece may have thousands of lines.
            self.read.drain(..std::mem::take(&mut self.given));
            searched = self.read.len();
            if searched > most {
                let message = format!("a line has more than {most} bytes; make requests smaller");
                return Err(ApiError::bad_request("line_too_long", message));
            }
            if self.is_over {
                return Ok(Some(std::mem::take(&mut self.read)).filter(|line| !line.is_empty()));
            }
            match self.pieces.next().await? {
                Some(piece) => self.read.extend_from_slice(&piece),
                None => self.is_over = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_whole_however_pieces_fall() {
        let app = App::idle().await;
        let mut draft = Draft::begin(&app, "anna").await.unwrap();
        let long = "x".repeat(PIECE_BYTES - 3);
        draft.write(format!("a\n\nb\n{long}y\nc\nlast").as_bytes()).await.unwrap();
        let (id, _) = draft.finish("a".to_owned(), "batch", None).await.unwrap();
        let lines = || Lines::new(Pieces::new(app.clone(), "anna".to_owned(), id.clone()));
        let mut all = lines();
        for expected in ["a", "", "b", &format!("{long}y"), "c", "last"] {
            assert_eq!(all.next(PIECE_BYTES).await.unwrap().as_deref(), Some(expected.as_bytes()));
        }
        assert_eq!((all.next(10).await.unwrap(), all.next(10).await.unwrap()), (None, None));
        let mut short = lines();
        for _ in 0..3 {
            assert!(short.next(10).await.unwrap().is_some());
        }
        assert_eq!(short.next(10).await.unwrap_err().code, Some("line_too_long"));
    }
}
