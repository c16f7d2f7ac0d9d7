//! The numbered log of a record: what a running record has told so far, so that any replica can tell it again.
//! It must not know what an event says.

use crate::error::{Error, Result};
use crate::jobs::{self, Fence, Lease};
use crate::limits::{self, APPEND_MAX, PAGE_MAX};
use crate::records::{self, Key};
use crate::room;
use crate::session::{Session, Value, values};
use crate::store::Store;
use crate::work::work;

impl Store {
    /// Adds events with the numbers `first`, `first + 1`, …; a record's first event is number 0. What is there already in
    /// the same words may be given again, so a call whose answer was lost can be repeated. With `fence`, only while that
    /// lease holds its job.
    ///
    /// # Errors
    ///
    /// `Missing`, `Gap`, `EventDiffers`, `LeaseLost`, `Full`, limits, the database.
    pub async fn append_events(
        &self,
        kind: &str,
        owner: &str,
        id: &str,
        first: i64,
        events: Vec<String>,
        fence: Option<&Lease>,
    ) -> Result<()> {
        let key = Key::new(kind, owner, id)?;
        limits::size("the list of events", events.len(), APPEND_MAX)?;
        for event in &events {
            limits::body("an event", event)?;
        }
        if !(0..=i64::MAX - limits::count(APPEND_MAX)).contains(&first) {
            return Err(Error::Invalid { what: "the number of an event", expected: "a number from 0 up" });
        }
        let fence = fence.map(Lease::fence);
        self.write(work!(session => append(session, &key, first, events, fence))).await
    }

    /// At most `limit` events behind number `after`, with their numbers; `after` = -1 begins at the beginning.
    ///
    /// # Errors
    ///
    /// `Missing`, limits, the database.
    pub async fn events(
        &self,
        kind: &str,
        owner: &str,
        id: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, String)>> {
        let key = Key::new(kind, owner, id)?;
        limits::size("the limit of events", limit as usize, PAGE_MAX as usize)?;
        self.read(work!(session => list(session, &key, after, limit))).await
    }
}

async fn append(
    session: &mut Session,
    key: &Key,
    first: i64,
    mut events: Vec<String>,
    fence: Option<Fence>,
) -> Result<()> {
    jobs::hold(session, fence).await?;
    let (rid, _, next) = records::lock(session, key).await?;
    if first > next {
        return Err(Error::Gap { expected: next, found: first });
    }
    let there = usize::try_from(next - first).unwrap_or(usize::MAX).min(events.len());
    if there > 0 {
        let sql = "SELECT number, body FROM events WHERE rid = ?1 AND number >= ?2 AND number < ?3 ORDER BY number";
        let rows = session.rows(sql, values![rid, first, first + limits::count(there)]).await?;
        for (mut row, event) in rows.into_iter().zip(events.drain(..there)) {
            if row.text(1)? != event {
                return Err(Error::EventDiffers { number: row.integer(0)? });
            }
        }
    }
    if events.is_empty() {
        return Ok(());
    }
    let bytes = limits::count(events.iter().map(String::len).sum());
    room::make(session, bytes, Some(rid)).await?;
    let after = next + limits::count(events.len());
    let rows = (next..).zip(events).flat_map(|(number, body)| [rid.into(), number.into(), body.into()]);
    let rows: Vec<Value> = rows.collect();
    session.insert("INSERT INTO events (rid, number, body) VALUES", 3, &rows).await?;
    let sql = "UPDATE records SET events_next = ?1, bytes = bytes + ?2 WHERE rid = ?3";
    session.execute(sql, values![after, bytes, rid]).await?;
    session.account(bytes);
    session.announce(key.channel());
    Ok(())
}

async fn list(session: &mut Session, key: &Key, after: i64, limit: u32) -> Result<Vec<(i64, String)>> {
    let rid = records::rid(session, key).await?.ok_or_else(|| key.missing())?;
    let sql = "SELECT number, body FROM events WHERE rid = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
    let rows = session.rows(sql, values![rid, after, i64::from(limit)]).await?;
    rows.into_iter().map(|mut row| Ok((row.integer(0)?, row.text(1)?))).collect()
}
