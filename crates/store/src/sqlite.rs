//! SQLite: one thread that writes, and readers that it does not hold up.
//! It must not know what is written.
//!
//! Work for the writer that waits while a transaction is committed goes into the next one together, each piece behind a
//! savepoint of its own, and all are answered after the commit: many writers share one flush to the disk.
//!
//! `synchronous = FULL` in WAL mode flushes at every commit, so that whatever was acknowledged survives the loss of power,
//! as far as the disk keeps what it says it kept. One process writes a file; another one would be kept out for as long as a
//! transaction lasts, and its changes would wake nobody here.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{ErrorCode, OpenFlags};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::error::{Error, Result};
use crate::schema;
use crate::session::{Connection, Session};
use crate::settings::Settings;
use crate::watch::Watchers;
use crate::work::{Work, run_now};

/// Pieces of work that wait for the writer before callers wait to hand theirs in.
const WAITING_MAX: usize = 1024;
/// Pieces of work in one transaction.
const TOGETHER_MAX: usize = 256;
/// Another program (a backup, a shell) may hold the file for so long.
const BUSY: Duration = Duration::from_secs(10);
/// Until a new file's journal is tried again.
const RETRY: Duration = Duration::from_millis(5);
/// Marks a file as ours: "GLOS".
const APPLICATION: i64 = 0x474c_4f53;

pub(crate) struct Sqlite {
    writer: mpsc::Sender<Task>,
    readers: Option<Arc<Readers>>,
}

/// One piece of work in the writer's hands: it runs, and answers once it is known whether the transaction is kept.
type Task = Box<dyn FnOnce(Result<&mut Session>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<(), Error>, &Watchers) + Send>;

struct Readers {
    path: PathBuf,
    settings: Arc<Settings>,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Session>>,
}

impl Sqlite {
    /// Opens (or makes) the file and brings its tables up to date; no path means a store in memory.
    pub(crate) async fn open(path: Option<PathBuf>, settings: Arc<Settings>, watchers: Arc<Watchers>) -> Result<Self> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let (opened, open) = oneshot::channel();
        let readers = path.clone().map(|path| {
            let permits = Arc::new(Semaphore::new(settings.connections_max.max(1)));
            Arc::new(Readers { path, settings: Arc::clone(&settings), permits, idle: Mutex::default() })
        });
        let thread = std::thread::Builder::new().name("store-writer".into());
        let writer = move || match open_session(path.as_deref(), settings) {
            Ok(session) => {
                if opened.send(Ok(())).is_ok() {
                    write_all(session, receiver, &watchers);
                }
            }
            // Nobody listens when the opening was given up.
            Err(error) => drop(opened.send(Err(error))),
        };
        thread.spawn(writer).map_err(Error::database)?;
        open.await.map_err(|_| writer_ended())??;
        Ok(Self { writer: sender, readers })
    }

    /// Does the work inside a transaction; returns once it is on the disk.
    pub(crate) async fn write<T: Send + 'static>(&self, work: Work<T>) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let task: Task = Box::new(move |session| {
            let done = session.and_then(|session| in_savepoint(session, work));
            Box::new(move |kept, watchers| {
                let answer = kept.and(done).map(|(value, changed)| {
                    changed.iter().for_each(|channel| watchers.wake(channel));
                    value
                });
                // A caller that went away is no reason to undo the work.
                drop(sender.send(answer));
            })
        });
        self.writer.send(task).await.map_err(|_| writer_ended())?;
        receiver.await.map_err(|_| writer_ended())?
    }

    /// Does work that only reads, beside the writer.
    pub(crate) async fn read<T: Send + 'static>(&self, work: Work<T>) -> Result<T> {
        // A store in memory has one connection only.
        let Some(readers) = &self.readers else { return self.write(work).await };
        let permit = Arc::clone(&readers.permits).acquire_owned().await.map_err(Error::database)?;
        let readers = Arc::clone(readers);
        let task = tokio::task::spawn_blocking(move || {
            // Held to the end of the reading, even when the caller goes away before.
            let _permit = permit;
            readers.read(work)
        });
        task.await.map_err(Error::database)?
    }
}

impl Readers {
    fn read<T>(&self, work: Work<T>) -> Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut session = match idle {
            Some(session) => session,
            None => Session::new(Connection::Sqlite(connect(&self.path)?), Arc::clone(&self.settings), 0),
        };
        // One transaction, so that its statements see the same moment.
        run_now(session.batch("BEGIN"))?;
        let answer = run_now(work(&mut session));
        run_now(session.batch("COMMIT"))?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        answer
    }
}

fn writer_ended() -> Error {
    Error::database("the writing thread ended")
}

/// The writer's life: until the store is dropped.
fn write_all(mut session: Session, mut receiver: mpsc::Receiver<Task>, watchers: &Watchers) {
    while let Some(first) = receiver.blocking_recv() {
        let mut answers = Vec::new();
        let mut begun = run_now(session.batch("BEGIN IMMEDIATE"));
        let mut next = Some(first);
        while let Some(task) = next {
            answers.push(task(begun.clone().map(|()| &mut session)));
            next = if answers.len() < TOGETHER_MAX { receiver.try_recv().ok() } else { None };
        }
        if begun.is_ok() {
            begun = run_now(session.batch("COMMIT"));
            if begun.is_err() {
                // Some failures have rolled back already; then this one fails, which changes nothing.
                drop(run_now(session.batch("ROLLBACK")));
            }
        }
        for answer in answers {
            answer(begun.clone(), watchers);
        }
    }
}

/// Does one piece of work so that its failure undoes it alone.
fn in_savepoint<T>(session: &mut Session, work: Work<T>) -> Result<(T, Vec<String>)> {
    run_now(session.batch("SAVEPOINT work"))?;
    let done = run_now(async {
        let value = work(session).await?;
        let changed = session.settle().await?;
        session.batch("RELEASE work").await?;
        Ok((value, changed))
    });
    if done.is_err() {
        session.forget();
        // Where a full disk has ended the whole transaction, there is no savepoint left, and the commit fails for all.
        drop(run_now(session.batch("ROLLBACK TO work; RELEASE work")));
    }
    done
}

fn open_session(path: Option<&Path>, settings: Arc<Settings>) -> Result<Session> {
    let connection = match path {
        Some(path) => {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                fs::create_dir_all(folder).map_err(|source| open_error(path, &source))?;
            }
            create(path)?;
            connect(path)?
        }
        None => {
            let connection = rusqlite::Connection::open_in_memory()?;
            prepare(&connection)?;
            connection
        }
    };
    let mut session = Session::new(Connection::Sqlite(connection), settings, 0);
    let place = path.map_or_else(|| "in memory".into(), |path| path.display().to_string());
    run_now(session.batch("BEGIN IMMEDIATE"))?;
    run_now(claim(&mut session, place))?;
    run_now(schema::migrate(&mut session))?;
    run_now(session.batch("COMMIT"))?;
    Ok(session)
}

/// Marks a new file as ours, and refuses another program's.
async fn claim(session: &mut Session, place: String) -> Result<()> {
    let Some(mark) = session.row("PRAGMA application_id", &[]).await? else {
        return Err(Error::database("no application_id"));
    };
    if mark.integer(0)? == APPLICATION {
        return Ok(());
    }
    if session.row("SELECT name FROM sqlite_master LIMIT 1", &[]).await?.is_some() {
        return Err(Error::Foreign { place });
    }
    session.batch(&format!("PRAGMA application_id = {APPLICATION}")).await
}

/// Makes the file, if it is not there, so that nobody but this user reads what people wrote. SQLite gives the files beside it
/// the same rights.
fn create(path: &Path) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(open_error(path, &error)),
        _ => Ok(()),
    }
}

fn connect(path: &Path) -> Result<rusqlite::Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(path, flags);
    let connection = connection.map_err(|error| sqlite_error(path, &error))?;
    if connection.is_readonly(rusqlite::MAIN_DB).map_err(|error| sqlite_error(path, &error))? {
        return Err(Error::ReadOnly { place: path.display().to_string() });
    }
    prepare(&connection).map_err(|error| sqlite_error(path, &error))?;
    Ok(connection)
}

/// What holds for every connection. The mode of the journal stays with the file; the first connection sets it.
fn prepare(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(128);
    switch_to_wal(connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)
}

/// SQLite does not wait where two connections change a new file's journal at once: each holds what the other one needs, so it
/// fails at once, whatever the time limit is. The switch is tried again until that time is over.
fn switch_to_wal(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    let begun = std::time::Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if busy(&error) && begun.elapsed() < BUSY => std::thread::sleep(RETRY),
            done => return done,
        }
    }
}

fn busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn sqlite_error(path: &Path, error: &rusqlite::Error) -> Error {
    let place = path.display().to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Error::NotADatabase { place },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Error::ReadOnly { place },
        _ => Error::Open { place, reason: error.to_string() },
    }
}

fn open_error(path: &Path, error: &std::io::Error) -> Error {
    Error::Open { place: path.display().to_string(), reason: error.to_string() }
}
