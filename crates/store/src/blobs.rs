//! Blobs: bytes that belong to a record, written in pieces before the record is there and seen only with it.
//! It must not know what the bytes are.

use crate::error::{Error, Result};
use crate::limits::{self, BLOB_CALL_BYTES_MAX, PIECE_BYTES_MAX};
use crate::records::{self, Key};
use crate::room;
use crate::session::{Session, values};
use crate::store::Store;
use crate::work::work;

/// A blob that is being written. It names rows, so any replica can go on with it; only its owner can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its number.
    pub number: i64,
    /// Whose it is.
    pub owner: String,
}

impl Store {
    /// Begins an upload. It becomes visible with [`Store::put_with`]; if it never does, it is swept.
    ///
    /// # Errors
    ///
    /// Limits, the database.
    pub async fn begin_upload(&self, owner: &str) -> Result<Upload> {
        let owner = limits::name("the owner", owner)?;
        self.write(work!(session => begin(session, owner))).await
    }

    /// Writes at the end of an upload; gives its size in bytes.
    ///
    /// # Errors
    ///
    /// `UploadGone`, `Full`, limits, the database.
    pub async fn write_upload(&self, upload: &Upload, data: Vec<u8>) -> Result<u64> {
        limits::size("a write to an upload", data.len(), BLOB_CALL_BYTES_MAX)?;
        let upload = upload.clone();
        self.write(work!(session => write(session, &upload, data))).await
    }

    /// Gives an upload up; false if it was not open any more.
    ///
    /// # Errors
    ///
    /// The database.
    pub async fn drop_upload(&self, upload: &Upload) -> Result<bool> {
        let upload = upload.clone();
        self.write(work!(session => give_up(session, &upload))).await
    }

    /// At most `length` bytes of a record's blob from `offset` on, fewer only at its end; None if there is no record, or none
    /// with a blob.
    ///
    /// # Errors
    ///
    /// Limits, the database.
    pub async fn read_blob(
        &self,
        kind: &str,
        owner: &str,
        id: &str,
        offset: u64,
        length: usize,
    ) -> Result<Option<Vec<u8>>> {
        let key = Key::new(kind, owner, id)?;
        limits::size("a reading of a blob", length, BLOB_CALL_BYTES_MAX)?;
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        self.read(work!(session => read(session, &key, offset, length))).await
    }
}

async fn begin(session: &mut Session, owner: String) -> Result<Upload> {
    let sql = "INSERT INTO blobs (owner, bytes, touched_ms) VALUES (?1, 0, ?2) RETURNING blob";
    let now = session.now_ms();
    let row = session.row(sql, values![&owner, now]).await?;
    let number = row.ok_or_else(|| Error::database("no number for a new upload"))?.integer(0)?;
    Ok(Upload { number, owner })
}

async fn write(session: &mut Session, upload: &Upload, data: Vec<u8>) -> Result<u64> {
    let bytes = limits::count(data.len());
    room::make(session, bytes, None).await?;
    let sql = "UPDATE blobs SET bytes = bytes + ?1, touched_ms = ?2 WHERE blob = ?3 AND owner = ?4 AND rid IS NULL
        RETURNING bytes";
    let now = session.now_ms();
    let Some(row) = session.row(sql, values![bytes, now, upload.number, &upload.owner]).await? else {
        return Err(upload.gone());
    };
    let after = row.integer(0)?;
    let starts = (after - bytes..).step_by(PIECE_BYTES_MAX);
    for (start, piece) in starts.zip(data.chunks(PIECE_BYTES_MAX)) {
        let sql = "INSERT INTO pieces (blob, start, data) VALUES (?1, ?2, ?3)";
        session.execute(sql, values![upload.number, start, piece.to_vec()]).await?;
    }
    session.account(bytes);
    Ok(after.unsigned_abs())
}

async fn give_up(session: &mut Session, upload: &Upload) -> Result<bool> {
    let sql = "DELETE FROM blobs WHERE blob = ?1 AND owner = ?2 AND rid IS NULL RETURNING bytes";
    let Some(row) = session.row(sql, values![upload.number, &upload.owner]).await? else { return Ok(false) };
    session.account(-row.integer(0)?);
    Ok(true)
}

/// Makes an upload the blob of a record of the same owner.
pub(crate) async fn attach(session: &mut Session, upload: &Upload, owner: &str, rid: i64) -> Result<()> {
    let sql = "UPDATE blobs SET rid = ?1 WHERE blob = ?2 AND owner = ?3 AND rid IS NULL";
    // An upload may name another owner than the record: that one's uploads are not this one's.
    let attached = upload.owner == owner && session.execute(sql, values![rid, upload.number, owner]).await? == 1;
    if attached { Ok(()) } else { Err(upload.gone()) }
}

async fn read(session: &mut Session, key: &Key, offset: i64, length: usize) -> Result<Option<Vec<u8>>> {
    let Some(rid) = records::rid(session, key).await? else { return Ok(None) };
    let sql = "SELECT blob, bytes FROM blobs WHERE rid = ?1";
    let Some(row) = session.row(sql, values![rid]).await? else { return Ok(None) };
    let (blob, bytes) = (row.integer(0)?, row.integer(1)?);
    let end = offset.saturating_add(limits::count(length)).min(bytes);
    let mut found = Vec::new();
    if offset >= end {
        return Ok(Some(found));
    }
    // Pieces are no longer than the longest, so what covers the offset begins at most that far before it.
    let earliest = offset - limits::count(PIECE_BYTES_MAX);
    let sql = "SELECT start, data FROM pieces WHERE blob = ?1 AND start > ?2 AND start < ?3 ORDER BY start";
    for mut row in session.rows(sql, values![blob, earliest, end]).await? {
        let (start, data) = (row.integer(0)?, row.bytes(1)?);
        let within = |place: i64| usize::try_from(place - start).unwrap_or(0).min(data.len());
        found.extend_from_slice(&data[within(offset)..within(end)]);
    }
    Ok(Some(found))
}

impl Upload {
    fn gone(&self) -> Error {
        Error::UploadGone { number: self.number }
    }
}
