//! Jobs: work in queues, leased to one worker at a time.
//! It must not know what the work is.
//!
//! A lease is a row that says until when it is held and for which attempt. The attempt is the fence: it grows with every
//! lease, and a write that names an older one is refused in the same transaction that would have made it. A lease that ran
//! out but that nobody else has taken is still its worker's, so that a slow machine does not lose work that nobody does.
//!
//! This is our own, in a few statements, instead of a queue library (apalis and its kin were looked at): those keep jobs
//! in their own tables through their own database clients, so that a job could not be made in the same transaction as its
//! record, and a fence could not guard the record's events.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::limits;
use crate::room;
use crate::session::{Row, Session, values};
use crate::store::Store;
use crate::watch::{job_channel, queue_channel};
use crate::work::work;

/// Work to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Where it waits.
    pub queue: String,
    /// Whose it is.
    pub owner: String,
    /// Its id, unique for its queue and owner.
    pub id: String,
    /// A text that the store does not look into.
    pub body: String,
}

/// A job as it stands. One that was finished is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Where it waits.
    pub queue: String,
    /// Whose it is.
    pub owner: String,
    /// Its id.
    pub id: String,
    /// Its body.
    pub body: String,
    /// Unix seconds.
    pub created: i64,
    /// Whether a worker has it.
    pub state: JobState,
    /// How often it was leased.
    pub attempt: i64,
    /// Whether somebody asked that it end.
    pub cancel_asked: bool,
}

/// Whether a worker has a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits for a worker, perhaps for another one after a lease that ran out.
    Waiting,
    /// A worker has it.
    Held,
}

/// The right to work on a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job. `job.attempt` is this lease's, from 1 up; `job.cancel_asked` may be true from the start.
    pub job: Job,
    seq: i64,
}

/// What renewing a lease says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// Go on.
    Held,
    /// The lease is renewed, but somebody asked that the job end.
    CancelAsked,
    /// Another worker has the job, or it is gone: stop.
    Lost,
}

/// What a write of a lease's holder is checked by.
pub(crate) struct Fence {
    seq: i64,
    attempt: i64,
    id: String,
}

impl NewJob {
    pub(crate) fn check(&self) -> Result<()> {
        let Self { queue, owner, id, body } = self;
        limits::name("the queue", queue)?;
        limits::name("the owner", owner)?;
        limits::name("the id of the job", id)?;
        limits::body("the body of the job", body)
    }
}

impl Lease {
    pub(crate) fn fence(&self) -> Fence {
        Fence { seq: self.seq, attempt: self.job.attempt, id: self.job.id.clone() }
    }
}

impl Store {
    /// Puts a job at the end of its queue.
    ///
    /// # Errors
    ///
    /// `Exists`, `Full`, limits, the database.
    pub async fn enqueue(&self, job: NewJob) -> Result<()> {
        job.check()?;
        self.write(work!(session => enqueue(session, job))).await
    }

    /// The first job of a queue that nobody holds, for `worker` and for so long; None if there is none. A lease that has
    /// run out is given to the next who asks.
    ///
    /// # Errors
    ///
    /// Limits, the database.
    pub async fn lease(&self, queue: &str, worker: &str, for_: Duration) -> Result<Option<Lease>> {
        let queue = limits::name("the queue", queue)?;
        let worker = limits::name("the worker", worker)?;
        self.write(work!(session => lease(session, queue, worker, for_))).await
    }

    /// Makes a lease last for `for_` from now.
    ///
    /// # Errors
    ///
    /// The database.
    pub async fn renew(&self, lease: &Lease, for_: Duration) -> Result<Renewed> {
        let fence = lease.fence();
        self.write(work!(session => renew(session, fence, for_))).await
    }

    /// Ends a job: it is gone. False if the lease was lost.
    ///
    /// # Errors
    ///
    /// The database.
    pub async fn finish(&self, lease: &Lease) -> Result<bool> {
        let lease = lease.clone();
        self.write(work!(session => finish(session, lease))).await
    }

    /// Gives a job back to its old place in the queue, to be leased after `delay`. False if the lease was lost.
    ///
    /// # Errors
    ///
    /// The database.
    pub async fn release(&self, lease: &Lease, delay: Duration) -> Result<bool> {
        let lease = lease.clone();
        self.write(work!(session => release(session, lease, delay))).await
    }

    /// Asks that a job end; None if there is no such job (any more). A job that waits stays in the queue, and its next
    /// worker is told by its lease.
    ///
    /// # Errors
    ///
    /// Limits, the database.
    pub async fn ask_cancel(&self, queue: &str, owner: &str, id: &str) -> Result<Option<JobState>> {
        let (queue, owner, id) = names(queue, owner, id)?;
        self.write(work!(session => ask_cancel(session, queue, owner, id))).await
    }

    /// A job that was not finished.
    ///
    /// # Errors
    ///
    /// Limits, the database.
    pub async fn job(&self, queue: &str, owner: &str, id: &str) -> Result<Option<Job>> {
        let (queue, owner, id) = names(queue, owner, id)?;
        self.read(work!(session => get(session, queue, owner, id))).await
    }
}

fn names(queue: &str, owner: &str, id: &str) -> Result<(String, String, String)> {
    Ok((limits::name("the queue", queue)?, limits::name("the owner", owner)?, limits::name("the id of the job", id)?))
}

pub(crate) async fn enqueue(session: &mut Session, job: NewJob) -> Result<()> {
    let NewJob { queue, owner, id, body } = job;
    let bytes = size(&queue, &owner, &id, &body);
    room::make(session, bytes, None).await?;
    let sql = "INSERT INTO jobs (queue, owner, id, body, created, ready_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (queue, owner, id) DO NOTHING";
    let (now, now_ms) = (session.now(), session.now_ms());
    if session.execute(sql, values![&queue, owner, &id, body, now, now_ms]).await? == 0 {
        return Err(Error::Exists { what: "the job", id });
    }
    session.account(bytes);
    session.announce(queue_channel(&queue));
    Ok(())
}

async fn lease(session: &mut Session, queue: String, worker: String, for_: Duration) -> Result<Option<Lease>> {
    let sql = format!(
        "UPDATE jobs SET held = 1, worker = ?2, attempt = attempt + 1, ready_ms = ?3 WHERE seq = (
            SELECT seq FROM jobs WHERE queue = ?1 AND ready_ms <= ?4 ORDER BY seq LIMIT 1{})
        RETURNING {COLUMNS}, seq",
        session.lock_free_ones()
    );
    let now = session.now_ms();
    let until = now.saturating_add(limits::milliseconds(for_));
    let Some(row) = session.row(&sql, values![queue, worker, until, now]).await? else { return Ok(None) };
    let seq = row.integer(9)?;
    Ok(Some(Lease { job: Job { state: JobState::Held, ..job(row, now)? }, seq }))
}

async fn renew(session: &mut Session, fence: Fence, for_: Duration) -> Result<Renewed> {
    let until = session.now_ms().saturating_add(limits::milliseconds(for_));
    let sql = "UPDATE jobs SET ready_ms = ?1 WHERE seq = ?2 AND attempt = ?3 AND held = 1 RETURNING cancel";
    Ok(match session.row(sql, values![until, fence.seq, fence.attempt]).await? {
        None => Renewed::Lost,
        Some(row) if row.integer(0)? == 0 => Renewed::Held,
        Some(_) => Renewed::CancelAsked,
    })
}

async fn finish(session: &mut Session, lease: Lease) -> Result<bool> {
    let Lease { job, seq } = lease;
    let sql = "DELETE FROM jobs WHERE seq = ?1 AND attempt = ?2 AND held = 1";
    if session.execute(sql, values![seq, job.attempt]).await? == 0 {
        return Ok(false);
    }
    session.account(-size(&job.queue, &job.owner, &job.id, &job.body));
    session.announce(job_channel(&job.queue, &job.owner, &job.id));
    Ok(true)
}

async fn release(session: &mut Session, lease: Lease, delay: Duration) -> Result<bool> {
    let Lease { job, seq } = lease;
    let ready = session.now_ms().saturating_add(limits::milliseconds(delay));
    let sql = "UPDATE jobs SET held = 0, ready_ms = ?1 WHERE seq = ?2 AND attempt = ?3 AND held = 1";
    if session.execute(sql, values![ready, seq, job.attempt]).await? == 0 {
        return Ok(false);
    }
    session.announce(queue_channel(&job.queue));
    Ok(true)
}

async fn ask_cancel(session: &mut Session, queue: String, owner: String, id: String) -> Result<Option<JobState>> {
    let sql = "UPDATE jobs SET cancel = 1 WHERE queue = ?1 AND owner = ?2 AND id = ?3 RETURNING held, ready_ms";
    let Some(row) = session.row(sql, values![&queue, &owner, &id]).await? else { return Ok(None) };
    session.announce(job_channel(&queue, &owner, &id));
    Ok(Some(state(row.integer(0)?, row.integer(1)?, session.now_ms())))
}

async fn get(session: &mut Session, queue: String, owner: String, id: String) -> Result<Option<Job>> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE queue = ?1 AND owner = ?2 AND id = ?3");
    let now = session.now_ms();
    session.row(&sql, values![queue, owner, id]).await?.map(|row| job(row, now)).transpose()
}

/// Fails unless the fence's lease still holds its job, and keeps it so until the transaction ends. Without a fence, anybody
/// may write.
pub(crate) async fn hold(session: &mut Session, fence: Option<Fence>) -> Result<()> {
    let Some(Fence { seq, attempt, id }) = fence else { return Ok(()) };
    let sql = "SELECT seq FROM jobs WHERE seq = ?1 AND attempt = ?2 AND held = 1";
    let sql = format!("{sql}{}", session.lock());
    match session.row(&sql, values![seq, attempt]).await? {
        Some(_) => Ok(()),
        None => Err(Error::LeaseLost { id, attempt }),
    }
}

fn size(queue: &str, owner: &str, id: &str, body: &str) -> i64 {
    limits::count(queue.len() + owner.len() + id.len() + body.len())
}

fn state(held: i64, ready_ms: i64, now_ms: i64) -> JobState {
    if held == 1 && ready_ms > now_ms { JobState::Held } else { JobState::Waiting }
}

/// What [`job`] reads.
const COLUMNS: &str = "queue, owner, id, body, created, held, ready_ms, attempt, cancel";

fn job(mut row: Row, now_ms: i64) -> Result<Job> {
    Ok(Job {
        queue: row.text(0)?,
        owner: row.text(1)?,
        id: row.text(2)?,
        body: row.text(3)?,
        created: row.integer(4)?,
        state: state(row.integer(5)?, row.integer(6)?, now_ms),
        attempt: row.integer(7)?,
        cancel_asked: row.integer(8)? != 0,
    })
}
