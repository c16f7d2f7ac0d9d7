//! The tables, as steps from one version to the next, for both databases.
//! It must not know who reads or writes the rows.
//!
//! Steps are our own few lines instead of a migration crate, since those are made for one database each and ours share
//! their text. A step that was ever released is never edited; a change of the tables is a new step.

use crate::error::{Error, Result};
use crate::limits::count;
use crate::session::{Connection, Session, values};

/// Rows of `totals`: the bytes kept are the sum over them. Several, so that connections that write at once don't queue up.
pub(crate) const TOTALS: usize = 16;

/// Where the tables lie in PostgreSQL.
pub(crate) const POSTGRES_SCHEMA: &str = "glossa";

/// `{serial}` numbers rows in the order they come and never uses a number twice; `{bytes}` is a column of bytes.
const STEPS: [&str; 2] = [RECORDS, JOBS];

const RECORDS: &str = "
CREATE TABLE records (
    rid {serial},
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    version BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    items_next BIGINT NOT NULL DEFAULT 0,
    events_next BIGINT NOT NULL DEFAULT 0,
    UNIQUE (kind, owner, id)
);
CREATE INDEX records_in_order ON records (kind, owner, rid);
CREATE INDEX records_expiring ON records (expires) WHERE expires IS NOT NULL;
CREATE INDEX records_removable ON records (rid) WHERE expires IS NOT NULL;
CREATE TABLE items (
    rid BIGINT NOT NULL REFERENCES records (rid) ON DELETE CASCADE,
    place BIGINT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (rid, place),
    UNIQUE (rid, id)
);
CREATE TABLE events (
    rid BIGINT NOT NULL REFERENCES records (rid) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (rid, number)
);
CREATE TABLE blobs (
    blob {serial},
    owner TEXT NOT NULL,
    rid BIGINT UNIQUE REFERENCES records (rid) ON DELETE CASCADE,
    bytes BIGINT NOT NULL,
    touched_ms BIGINT NOT NULL
);
CREATE INDEX blobs_open ON blobs (touched_ms) WHERE rid IS NULL;
CREATE TABLE pieces (
    blob BIGINT NOT NULL REFERENCES blobs (blob) ON DELETE CASCADE,
    start BIGINT NOT NULL,
    data {bytes} NOT NULL,
    PRIMARY KEY (blob, start)
);
CREATE TABLE totals (shard BIGINT PRIMARY KEY, bytes BIGINT NOT NULL);
INSERT INTO totals (shard, bytes) VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0),
    (10, 0), (11, 0), (12, 0), (13, 0), (14, 0), (15, 0);
";

const JOBS: &str = "
CREATE TABLE jobs (
    seq {serial},
    queue TEXT NOT NULL,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    created BIGINT NOT NULL,
    worker TEXT NOT NULL DEFAULT '',
    held BIGINT NOT NULL DEFAULT 0,
    ready_ms BIGINT NOT NULL,
    attempt BIGINT NOT NULL DEFAULT 0,
    cancel BIGINT NOT NULL DEFAULT 0,
    UNIQUE (queue, owner, id)
);
CREATE INDEX jobs_in_order ON jobs (queue, seq);
";

/// Brings the tables to the newest version. Runs inside a transaction, so that a step happens wholly or not at all.
pub(crate) async fn migrate(session: &mut Session) -> Result<()> {
    if let Connection::Postgres(_) = session.connection {
        // Replicas that start together come one after another. The number is any that nobody else uses.
        session.execute("SELECT pg_advisory_xact_lock(4702111234474983745)", &[]).await?;
        let encoding = session.row("SELECT CAST(current_setting('server_encoding') AS TEXT)", &[]).await?;
        let encoding = encoding.map_or(Ok(String::new()), |mut row| row.text(0))?;
        if encoding != "UTF8" {
            return Err(Error::Encoding { encoding });
        }
        // Asked first, since making one needs a right that a user of an old store may not have.
        let sql = "SELECT CAST(nspname AS TEXT) FROM pg_namespace WHERE nspname = ?1";
        if session.row(sql, values![POSTGRES_SCHEMA]).await?.is_none() {
            session.batch(&format!("CREATE SCHEMA {POSTGRES_SCHEMA}")).await?;
        }
    }
    session.batch("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)").await?;
    let found = match session.row("SELECT version FROM schema_version", &[]).await? {
        Some(row) => row.integer(0)?,
        None => {
            session.execute("INSERT INTO schema_version (version) VALUES (0)", &[]).await?;
            0
        }
    };
    let known = STEPS.len();
    let done = usize::try_from(found).ok().filter(|&done| done <= known);
    let Some(done) = done else {
        return Err(Error::NewerSchema { found, known: count(known) });
    };
    let (serial, bytes) = match session.connection {
        Connection::Sqlite(_) => ("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB"),
        Connection::Postgres(_) => ("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BYTEA"),
    };
    for step in STEPS.iter().skip(done) {
        session.batch(&step.replace("{serial}", serial).replace("{bytes}", bytes)).await?;
    }
    if known > done {
        let sql = "UPDATE schema_version SET version = ?1";
        session.execute(sql, values![count(known)]).await?;
    }
    Ok(())
}
