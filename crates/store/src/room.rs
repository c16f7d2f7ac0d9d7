//! Room: how much is kept, what may go, and going.
//! It must not know why a record was kept.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::limits;
use crate::session::{Session, values};
use crate::store::Store;
use crate::watch::record_channel;
use crate::work::work;

/// Records removed in one transaction, so that nobody waits long for the sweep.
const AT_ONCE: i64 = 100;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Records that had expired.
    pub expired: u64,
    /// Records that might have stayed, but made room.
    pub evicted: u64,
    /// Uploads that were never finished.
    pub uploads: u64,
    /// Bytes that all of these had.
    pub bytes: u64,
    /// Bytes by which the store is still above its bound, since nothing else in it may be removed.
    pub over: u64,
}

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of names, bodies and blobs, as `bytes_max` bounds them; the database's own files are larger.
    pub bytes: u64,
    /// Records of each kind, those that have expired but were not swept among them.
    pub records: BTreeMap<String, u64>,
    /// Jobs that wait.
    pub jobs_waiting: u64,
    /// Jobs that workers have.
    pub jobs_held: u64,
}

impl Store {
    /// Removes what has expired, uploads that were given up, and, above the bound, the oldest records that may expire.
    /// Several replicas may sweep at the same time.
    ///
    /// # Errors
    ///
    /// The database.
    pub async fn sweep(&self) -> Result<Swept> {
        let mut swept = Swept::default();
        loop {
            let (records, bytes) = self.write(work!(session => sweep_expired(session))).await?;
            swept.expired += records;
            swept.bytes += bytes;
            if records == 0 {
                break;
            }
        }
        let (uploads, bytes) = self.write(work!(session => sweep_uploads(session))).await?;
        swept.uploads = uploads;
        swept.bytes += bytes;
        loop {
            let (records, bytes, over) = self.write(work!(session => sweep_oldest(session))).await?;
            swept.evicted += records;
            swept.bytes += bytes;
            swept.over = over;
            if records == 0 || over == 0 {
                return Ok(swept);
            }
        }
    }

    /// What is kept.
    ///
    /// # Errors
    ///
    /// The database.
    pub async fn stats(&self) -> Result<Stats> {
        self.read(work!(session => stats(session))).await
    }
}

/// Sees to it that `bytes` more fit, removing the oldest records that may expire, but not the one that grows.
pub(crate) async fn make(session: &mut Session, bytes: i64, growing: Option<i64>) -> Result<()> {
    let Some(most) = session.settings().bytes_max else { return Ok(()) };
    if bytes <= 0 {
        return Ok(());
    }
    let fits = i64::try_from(most).unwrap_or(i64::MAX).saturating_sub(bytes);
    let held = total(session).await?;
    // What can never fit is no reason to remove anything.
    let over = if fits < 0 { held - fits } else { evict(session, held - fits, growing).await?.2 };
    if over > 0 {
        return Err(Error::Full { held: held.unsigned_abs(), added: bytes.unsigned_abs(), most });
    }
    Ok(())
}

/// Removes a record with everything that belongs to it; gives its bytes.
pub(crate) async fn remove(session: &mut Session, rid: i64) -> Result<i64> {
    let sql = "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM blobs WHERE rid = ?1";
    let blob = session.row(sql, values![rid]).await?.map_or(Ok(0), |row| row.integer(0))?;
    let sql = "DELETE FROM records WHERE rid = ?1 RETURNING kind, owner, id, bytes";
    let Some(mut row) = session.row(sql, values![rid]).await? else { return Ok(0) };
    let bytes = row.integer(3)? + blob;
    session.account(-bytes);
    session.announce(record_channel(&row.text(0)?, &row.text(1)?, &row.text(2)?));
    Ok(bytes)
}

async fn total(session: &mut Session) -> Result<i64> {
    let row = session.row("SELECT CAST(SUM(bytes) AS BIGINT) FROM totals", &[]).await?;
    let kept = row.map_or(Ok(0), |row| row.integer(0))?;
    Ok(kept + session.accounted())
}

/// Removes the oldest that may go until `over` bytes are gone. Gives how many went, their bytes, and what is still over.
async fn evict(session: &mut Session, mut over: i64, growing: Option<i64>) -> Result<(u64, i64, i64)> {
    let (mut records, mut gone) = (0, 0);
    // Rows that others hold are left out: nobody waits here, so nobody waits in a circle.
    let lock = session.lock_free_ones();
    let sql =
        format!("SELECT rid FROM records WHERE expires IS NOT NULL AND rid <> ?1 ORDER BY rid LIMIT {AT_ONCE}{lock}");
    while over > 0 {
        let oldest = session.rows(&sql, values![growing.unwrap_or(0)]).await?;
        if oldest.is_empty() {
            break;
        }
        for row in oldest {
            if over <= 0 {
                break;
            }
            let bytes = remove(session, row.integer(0)?).await?;
            (records, gone, over) = (records + 1, gone + bytes, over - bytes);
        }
    }
    Ok((records, gone, over.max(0)))
}

async fn sweep_expired(session: &mut Session) -> Result<(u64, u64)> {
    let lock = session.lock_free_ones();
    let sql = format!("SELECT rid FROM records WHERE expires <= ?1 ORDER BY expires LIMIT {AT_ONCE}{lock}");
    let now = session.now();
    let (mut records, mut bytes) = (0, 0);
    for row in session.rows(&sql, values![now]).await? {
        bytes += remove(session, row.integer(0)?).await?.unsigned_abs();
        records += 1;
    }
    Ok((records, bytes))
}

async fn sweep_uploads(session: &mut Session) -> Result<(u64, u64)> {
    let sql = "DELETE FROM blobs WHERE rid IS NULL AND touched_ms <= ?1 RETURNING bytes";
    let idle = limits::milliseconds(session.settings().upload_idle);
    let since = session.now_ms().saturating_sub(idle);
    let (mut uploads, mut bytes) = (0, 0);
    for row in session.rows(sql, values![since]).await? {
        let size = row.integer(0)?;
        session.account(-size);
        uploads += 1;
        bytes += size.unsigned_abs();
    }
    Ok((uploads, bytes))
}

async fn sweep_oldest(session: &mut Session) -> Result<(u64, u64, u64)> {
    let Some(most) = session.settings().bytes_max else { return Ok((0, 0, 0)) };
    let over = total(session).await? - i64::try_from(most).unwrap_or(i64::MAX);
    let (records, bytes, over) = evict(session, over, None).await?;
    Ok((records, bytes.unsigned_abs(), over.unsigned_abs()))
}

async fn stats(session: &mut Session) -> Result<Stats> {
    let bytes = total(session).await?.unsigned_abs();
    let mut records = BTreeMap::new();
    for mut row in session.rows("SELECT kind, COUNT(*) FROM records GROUP BY kind", &[]).await? {
        records.insert(row.text(0)?, row.integer(1)?.unsigned_abs());
    }
    let sql =
        "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN held = 1 AND ready_ms > ?1 THEN 1 ELSE 0 END), 0) AS BIGINT)
        FROM jobs";
    let now = session.now_ms();
    let (jobs, held) = match session.row(sql, values![now]).await? {
        Some(row) => (row.integer(0)?.unsigned_abs(), row.integer(1)?.unsigned_abs()),
        None => (0, 0),
    };
    Ok(Stats { bytes, records, jobs_waiting: jobs - held, jobs_held: held })
}
