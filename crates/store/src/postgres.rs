//! PostgreSQL: a few connections that do the work, and one that listens for changes that other replicas made.
//! It must not know what the work is.
//!
//! The tables lie in a schema of their own, so that the database may be shared. Work runs in READ COMMITTED and takes the
//! rows it depends on with FOR UPDATE; readings see one moment. Locks are taken in one order (job, record, what belongs to
//! it, totals), and what is taken beyond that leaves out what others hold, so that nobody waits in a circle. Changes are told
//! with NOTIFY, inside the transaction that makes them. Prepared statements stay with a connection, so a proxy that gives
//! each transaction another one is not supported.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio_postgres::config::Host;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::encryption;
use crate::error::{Error, Result, postgres_reason};
use crate::schema;
use crate::session::{Connection, Row, Session, Value, values};
use crate::settings::Settings;
use crate::watch::Watchers;
use crate::work::Work;

/// Unless the address says something else.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may say nothing to our probes.
const SILENCE: Duration = Duration::from_secs(30);
/// Between attempts to listen again after the connection was lost.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// Under which name changes are told. Channels of watchers are its payload.
const CHANGES: &str = "glossa_store";

pub(crate) struct Postgres {
    pool: Arc<Pool>,
    listener: JoinHandle<()>,
}

struct Pool {
    config: Config,
    encrypted: Option<MakeRustlsConnect>,
    settings: Arc<Settings>,
    permits: Semaphore,
    idle: Mutex<Vec<Session>>,
    opened: AtomicUsize,
}

/// A connection with the statements that it has prepared.
pub(crate) struct PostgresConnection {
    client: Client,
    prepared: HashMap<String, Statement>,
}

impl Postgres {
    pub(crate) async fn open(address: &str, settings: Arc<Settings>, watchers: Arc<Watchers>) -> Result<Self> {
        let (mut config, encrypted) = encryption::parse(address)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        // A server that is gone without a word is noticed in a minute, not in hours.
        if config.get_tcp_user_timeout().is_none() {
            config
                .tcp_user_timeout(SILENCE)
                .keepalives_idle(SILENCE)
                .keepalives_interval(SILENCE / 3)
                .keepalives_retries(3);
        }
        if config.get_application_name().is_none() {
            config.application_name("glossa");
        }
        let permits = Semaphore::new(settings.connections_max.max(1));
        let pool = Pool { config, encrypted, settings, permits, idle: Mutex::default(), opened: AtomicUsize::new(0) };
        let mut session = pool.connect().await?;
        session.batch("BEGIN").await?;
        schema::migrate(&mut session).await?;
        session.batch("COMMIT").await?;
        pool.keep(session);
        let pool = Arc::new(pool);
        // Changes are heard from here on.
        let listening = pool.listen(&watchers).await?;
        let listener = tokio::spawn(listen_on(Arc::clone(&pool), watchers, listening));
        Ok(Self { pool, listener })
    }

    /// Does the work inside a transaction; returns once the server has kept it. A caller that goes away before leaves the
    /// transaction undone.
    pub(crate) async fn write<T>(&self, work: Work<T>) -> Result<T> {
        let (mut session, _permit) = self.pool.begin("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        let done = changing(&mut session, work).await;
        let ended = match &done {
            Ok(_) => session.batch("COMMIT").await.map_err(unsure),
            Err(_) => session.batch("ROLLBACK").await,
        };
        session.forget();
        if ended.is_ok() {
            self.pool.keep(session);
        }
        let value = done?;
        ended.map(|()| value)
    }

    /// Does work that only reads, all at one moment.
    pub(crate) async fn read<T>(&self, work: Work<T>) -> Result<T> {
        let (mut session, _permit) = self.pool.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let done = work(&mut session).await;
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        if session.batch(end).await.is_ok() {
            self.pool.keep(session);
        }
        done
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn changing<T>(session: &mut Session, work: Work<T>) -> Result<T> {
    let value = work(session).await?;
    for channel in session.settle().await? {
        session.execute("SELECT pg_notify(?1, ?2)", values![CHANGES, channel]).await?;
    }
    Ok(value)
}

/// The server may have committed before the connection broke.
fn unsure(error: Error) -> Error {
    match error {
        Error::Database { reason } => Error::Unsure { reason },
        other => other,
    }
}

impl Pool {
    /// A connection inside a transaction that has begun. Idle ones that turn out to be dead are forgotten.
    async fn begin(&self, begin: &str) -> Result<(Session, SemaphorePermit<'_>)> {
        let permit = self.permits.acquire().await.map_err(Error::database)?;
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut session) = idle else { break };
            if session.batch(begin).await.is_ok() {
                return Ok((session, permit));
            }
        }
        let mut session = self.connect().await?;
        session.batch(begin).await?;
        Ok((session, permit))
    }

    async fn connect(&self) -> Result<Session> {
        let (client, _carrier) = self.reach(|_| ()).await?;
        client.batch_execute(&format!("SET search_path TO {}", schema::POSTGRES_SCHEMA)).await?;
        let connection = Connection::Postgres(PostgresConnection { client, prepared: HashMap::new() });
        let shard = self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Session::new(connection, Arc::clone(&self.settings), shard))
    }

    fn keep(&self, session: Session) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    /// Begins to listen. The task ends when the connection does, the connection when the client is dropped.
    async fn listen(&self, watchers: &Arc<Watchers>) -> Result<(Client, JoinHandle<()>)> {
        let watchers = Arc::clone(watchers);
        let (client, task) = self.reach(move |channel| watchers.wake(channel)).await?;
        client.batch_execute(&format!("LISTEN {CHANGES}")).await?;
        Ok((client, task))
    }

    /// Connects, and hands notifications to `heard`.
    async fn reach(&self, heard: impl Fn(&str) + Send + 'static) -> Result<(Client, JoinHandle<()>)> {
        let failed = |error| self.open_error(&error);
        match &self.encrypted {
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
                Ok((client, carry(connection, heard)))
            }
            Some(encrypted) => {
                let (client, connection) = self.config.connect(encrypted.clone()).await.map_err(failed)?;
                Ok((client, carry(connection, heard)))
            }
        }
    }

    /// Names the server, but no password.
    fn open_error(&self, error: &tokio_postgres::Error) -> Error {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(folder) => folder.display().to_string(),
        });
        let hosts: Vec<String> = hosts.collect();
        let database = self.config.get_dbname().unwrap_or("(no database named)");
        Error::Open { place: format!("{database} at {}", hosts.join(", ")), reason: postgres_reason(error) }
    }
}

/// Listens for as long as the store lives.
async fn listen_on(pool: Arc<Pool>, watchers: Arc<Watchers>, mut listening: (Client, JoinHandle<()>)) {
    loop {
        let (_client, task) = listening;
        drop(task.await);
        listening = loop {
            tokio::time::sleep(LISTEN_AGAIN).await;
            if let Ok(again) = pool.listen(&watchers).await {
                break again;
            }
        };
        // Nobody knows what was missed meanwhile.
        watchers.wake_all();
    }
}

/// Carries what the client sends and receives, until the client is dropped or the connection breaks, which whoever uses
/// the client sees.
fn carry<S, T>(
    mut connection: tokio_postgres::Connection<S, T>,
    heard: impl Fn(&str) + Send + 'static,
) -> JoinHandle<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(change) = message {
                heard(change.payload());
            }
        }
    })
}

impl PostgresConnection {
    pub(crate) async fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>> {
        let statement = self.prepared(sql).await?;
        let rows = self.client.query(&statement, &parameters(values)).await?;
        rows.iter().map(row).collect()
    }

    pub(crate) async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64> {
        let statement = self.prepared(sql).await?;
        Ok(self.client.execute(&statement, &parameters(values)).await?)
    }

    pub(crate) async fn batch(&mut self, sql: &str) -> Result<()> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// Statements are made of a few fixed texts, so this does not grow for ever.
    async fn prepared(&mut self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(&sql.replace('?', "$")).await?;
        self.prepared.insert(sql.to_string(), statement.clone());
        Ok(statement)
    }
}

fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    let parameter = |value| -> &(dyn ToSql + Sync) {
        match value {
            &Value::Null => &None::<i64>,
            Value::Integer(value) => value,
            Value::Text(value) => value,
            Value::Bytes(value) => value,
        }
    };
    values.iter().map(parameter).collect()
}

fn row(row: &tokio_postgres::Row) -> Result<Row> {
    let column = |(place, column): (usize, &tokio_postgres::Column)| match *column.type_() {
        Type::INT8 => Ok(row.try_get::<_, Option<i64>>(place)?.map_or(Value::Null, Value::Integer)),
        Type::INT4 => Ok(row.try_get::<_, Option<i32>>(place)?.map_or(Value::Null, |value| i64::from(value).into())),
        Type::TEXT => Ok(row.try_get::<_, Option<String>>(place)?.map_or(Value::Null, Value::Text)),
        Type::BYTEA => Ok(row.try_get::<_, Option<Vec<u8>>>(place)?.map_or(Value::Null, Value::Bytes)),
        ref other => Err(Error::database(format!("a column of the type {other}, which we never make"))),
    };
    row.columns().iter().enumerate().map(column).collect::<Result<_>>().map(Row)
}
