//! Records: a body of text under kind, owner and id, with a version and perhaps an end.
//! It must not know what a body says.

use crate::blobs::{self, Upload};
use crate::error::{Error, Result};
use crate::items::{self, Item};
use crate::jobs::{self, Fence, Lease, NewJob};
use crate::limits;
use crate::room;
use crate::session::{Row, Session, values};
use crate::store::Store;
use crate::watch::record_channel;
use crate::work::work;

/// Something kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The sort of record; a part of its name.
    pub kind: String,
    /// Whose it is; a part of its name. Nobody else can see or change it.
    pub owner: String,
    /// Its id, unique for its kind and owner.
    pub id: String,
    /// A text (JSON, as a rule) that the store does not look into.
    pub body: String,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds from which on it is not there any more; it may be removed sooner when the store is full. None is for
    /// ever.
    pub expires: Option<i64>,
    /// 1 when new, one more with each replacement. What is given to `put` does not matter.
    pub version: i64,
}

/// What becomes of a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It was done.
    Done {
        /// The new version.
        version: i64,
    },
    /// There is no such record.
    Missing,
    /// The record has another version than was expected.
    Conflict {
        /// The version it has.
        version: i64,
    },
}

/// Which part of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The id of the entry that comes just before the page, in the page's order.
    pub after: Option<String>,
    /// Entries at most, up to [`PAGE_MAX`](crate::PAGE_MAX).
    pub limit: u32,
    /// From the oldest or from the newest.
    pub order: Order,
}

/// The order of a page, by the time of insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The oldest first.
    Asc,
    /// The newest first.
    Desc,
}

/// A page of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The entries.
    pub records: Vec<Record>,
    /// Whether others follow.
    pub has_more: bool,
}

/// What comes into being together with a record.
#[derive(Clone, Debug, Default)]
pub struct Attached {
    /// Its first items.
    pub items: Vec<Item>,
    /// An upload of the same owner, which becomes the record's blob.
    pub blob: Option<Upload>,
    /// A job, put in its queue.
    pub job: Option<NewJob>,
}

/// The checked name of a record.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) kind: String,
    pub(crate) owner: String,
    pub(crate) id: String,
}

impl Key {
    pub(crate) fn new(kind: &str, owner: &str, id: &str) -> Result<Self> {
        Ok(Self {
            kind: limits::name("the kind", kind)?,
            owner: limits::name("the owner", owner)?,
            id: limits::name("the id", id)?,
        })
    }

    pub(crate) fn missing(&self) -> Error {
        Error::Missing { kind: self.kind.clone(), id: self.id.clone() }
    }

    pub(crate) fn channel(&self) -> String {
        record_channel(&self.kind, &self.owner, &self.id)
    }
}

impl Store {
    /// Keeps a new record.
    ///
    /// # Errors
    ///
    /// `Exists`, `Full`, limits, the database.
    pub async fn put(&self, record: Record) -> Result<()> {
        self.put_with(record, Attached::default()).await
    }

    /// Keeps a new record and what comes with it: all of it or nothing.
    ///
    /// # Errors
    ///
    /// `Exists` (record, item or job), `UploadGone`, `Full`, limits, the database.
    pub async fn put_with(&self, record: Record, attached: Attached) -> Result<()> {
        let key = Key::new(&record.kind, &record.owner, &record.id)?;
        limits::body("the body of the record", &record.body)?;
        let Attached { items, blob, job } = attached;
        items::check(&items)?;
        if let Some(job) = &job {
            job.check()?;
        }
        self.write(work!(session => put(session, key, record, items, blob, job))).await
    }

    /// Gives a record a new body; with `expected_version`, only if it still has that version.
    ///
    /// # Errors
    ///
    /// `Full`, limits, the database.
    pub async fn replace(
        &self,
        kind: &str,
        owner: &str,
        id: &str,
        body: String,
        expected_version: Option<i64>,
    ) -> Result<Replaced> {
        self.replace_fenced(None, Key::new(kind, owner, id)?, body, expected_version).await
    }

    /// The same for a worker, only while it holds its job.
    ///
    /// # Errors
    ///
    /// `LeaseLost`, `Full`, limits, the database.
    pub async fn replace_held(
        &self,
        lease: &Lease,
        kind: &str,
        owner: &str,
        id: &str,
        body: String,
        expected_version: Option<i64>,
    ) -> Result<Replaced> {
        self.replace_fenced(Some(lease.fence()), Key::new(kind, owner, id)?, body, expected_version).await
    }

    async fn replace_fenced(
        &self,
        fence: Option<Fence>,
        key: Key,
        body: String,
        expected_version: Option<i64>,
    ) -> Result<Replaced> {
        limits::body("the body of the record", &body)?;
        self.write(work!(session => replace(session, fence, &key, body, expected_version))).await
    }

    /// The record, unless it has expired.
    ///
    /// # Errors
    ///
    /// Limits, the database.
    pub async fn get(&self, kind: &str, owner: &str, id: &str) -> Result<Option<Record>> {
        let key = Key::new(kind, owner, id)?;
        self.read(work!(session => get(session, &key))).await
    }

    /// Removes a record with its items, events and blob; false if there was none.
    ///
    /// # Errors
    ///
    /// Limits, the database.
    pub async fn delete(&self, kind: &str, owner: &str, id: &str) -> Result<bool> {
        let key = Key::new(kind, owner, id)?;
        self.write(work!(session => delete(session, &key))).await
    }

    /// A page of an owner's records of one kind.
    ///
    /// # Errors
    ///
    /// `UnknownAfter`, limits, the database.
    pub async fn list(&self, kind: &str, owner: &str, page: Page) -> Result<Listed> {
        let (kind, owner) = (limits::name("the kind", kind)?, limits::name("the owner", owner)?);
        limits::page(page.limit)?;
        self.read(work!(session => list(session, kind, owner, page))).await
    }
}

async fn put(
    session: &mut Session,
    key: Key,
    record: Record,
    items: Vec<Item>,
    blob: Option<Upload>,
    job: Option<NewJob>,
) -> Result<()> {
    let now = session.now();
    let Key { kind, owner, id } = &key;
    let sql = "SELECT rid FROM records WHERE kind = ?1 AND owner = ?2 AND id = ?3 AND expires <= ?4";
    let sql = format!("{sql}{}", session.lock());
    if let Some(expired) = session.row(&sql, values![kind, owner, id, now]).await? {
        room::remove(session, expired.integer(0)?).await?;
    }
    let bytes = limits::count(kind.len() + owner.len() + id.len() + record.body.len());
    room::make(session, bytes, None).await?;
    let sql = "INSERT INTO records (kind, owner, id, body, created, expires, version, bytes)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (kind, owner, id) DO NOTHING RETURNING rid";
    let new = values![kind, owner, id, record.body, record.created, record.expires, 1, bytes];
    let Some(row) = session.row(sql, new).await? else {
        return Err(Error::Exists { what: "the record", id: id.clone() });
    };
    let rid = row.integer(0)?;
    session.account(bytes);
    if !items.is_empty() {
        items::append(session, &key, items).await?;
    }
    if let Some(upload) = blob {
        blobs::attach(session, &upload, owner, rid).await?;
    }
    if let Some(job) = job {
        jobs::enqueue(session, job).await?;
    }
    session.announce(key.channel());
    Ok(())
}

async fn replace(
    session: &mut Session,
    fence: Option<Fence>,
    key: &Key,
    body: String,
    expected: Option<i64>,
) -> Result<Replaced> {
    jobs::hold(session, fence).await?;
    let lock = session.lock();
    let columns = "rid, version, CAST(OCTET_LENGTH(body) AS BIGINT)";
    let Some(row) = find(session, key, columns, lock).await? else { return Ok(Replaced::Missing) };
    let (rid, version, before) = (row.integer(0)?, row.integer(1)?, row.integer(2)?);
    if expected.is_some_and(|expected| expected != version) {
        return Ok(Replaced::Conflict { version });
    }
    let bytes = limits::count(body.len()) - before;
    room::make(session, bytes, Some(rid)).await?;
    let sql = "UPDATE records SET body = ?1, version = version + 1, bytes = bytes + ?2 WHERE rid = ?3";
    session.execute(sql, values![body, bytes, rid]).await?;
    session.account(bytes);
    session.announce(key.channel());
    Ok(Replaced::Done { version: version + 1 })
}

async fn get(session: &mut Session, key: &Key) -> Result<Option<Record>> {
    let row = find(session, key, COLUMNS, "").await?;
    row.map(|row| record(row, &key.kind, &key.owner)).transpose()
}

async fn delete(session: &mut Session, key: &Key) -> Result<bool> {
    let sql = "SELECT rid, CASE WHEN expires <= ?4 THEN 1 ELSE 0 END FROM records
        WHERE kind = ?1 AND owner = ?2 AND id = ?3";
    let sql = format!("{sql}{}", session.lock());
    let now = session.now();
    let Some(row) = session.row(&sql, values![&key.kind, &key.owner, &key.id, now]).await? else {
        return Ok(false);
    };
    room::remove(session, row.integer(0)?).await?;
    Ok(row.integer(1)? == 0)
}

async fn list(session: &mut Session, kind: String, owner: String, page: Page) -> Result<Listed> {
    let sql = "SELECT rid FROM records WHERE kind = ?1 AND owner = ?2 AND id = ?3";
    let after = match &page.after {
        Some(after) => match session.row(sql, values![&kind, &owner, after]).await? {
            Some(row) => Some(row.integer(0)?),
            None => return Err(Error::UnknownAfter { after: after.clone() }),
        },
        None => None,
    };
    let (behind, direction, from) = page.order.sql(after);
    let sql = format!(
        "SELECT {COLUMNS} FROM records WHERE kind = ?1 AND owner = ?2 AND rid {behind} ?3
        AND (expires IS NULL OR expires > ?4) ORDER BY rid {direction} LIMIT ?5"
    );
    let now = session.now();
    let mut rows = session.rows(&sql, values![&kind, &owner, from, now, limits::page(page.limit)?]).await?;
    let has_more = rows.len() > page.limit as usize;
    rows.truncate(page.limit as usize);
    let records = rows.into_iter().map(|row| record(row, &kind, &owner)).collect::<Result<_>>()?;
    Ok(Listed { records, has_more })
}

impl Order {
    /// The comparison, the direction, and the place that everything comes behind.
    pub(crate) fn sql(self, after: Option<i64>) -> (&'static str, &'static str, i64) {
        match self {
            Self::Asc => (">", "ASC", after.unwrap_or(i64::MIN)),
            Self::Desc => ("<", "DESC", after.unwrap_or(i64::MAX)),
        }
    }
}

/// What [`record`] reads.
const COLUMNS: &str = "id, body, created, expires, version";

fn record(mut row: Row, kind: &str, owner: &str) -> Result<Record> {
    Ok(Record {
        kind: kind.to_string(),
        owner: owner.to_string(),
        id: row.text(0)?,
        body: row.text(1)?,
        created: row.integer(2)?,
        expires: row.optional_integer(3)?,
        version: row.integer(4)?,
    })
}

/// Finds a record that is there and keeps others from changing it until the transaction ends. Gives its number, the place
/// of the next item and the number of the next event.
pub(crate) async fn lock(session: &mut Session, key: &Key) -> Result<(i64, i64, i64)> {
    let lock = session.lock();
    let row = find(session, key, "rid, items_next, events_next", lock).await?.ok_or_else(|| key.missing())?;
    Ok((row.integer(0)?, row.integer(1)?, row.integer(2)?))
}

/// The number of a record that is there.
pub(crate) async fn rid(session: &mut Session, key: &Key) -> Result<Option<i64>> {
    find(session, key, "rid", "").await?.map(|row| row.integer(0)).transpose()
}

/// Some columns of a record that is there.
async fn find(session: &mut Session, key: &Key, columns: &str, lock: &str) -> Result<Option<Row>> {
    let sql = format!(
        "SELECT {columns} FROM records
        WHERE kind = ?1 AND owner = ?2 AND id = ?3 AND (expires IS NULL OR expires > ?4){lock}"
    );
    let now = session.now();
    session.row(&sql, values![&key.kind, &key.owner, &key.id, now]).await
}
