//! One connection to either database, as the operations see it: statements in, rows out. SQL is written once, with `?1`, `?2` …
//! for its values; what the two databases spell differently is asked for here.
//! It must not know what the statements mean.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::limits::count;
use crate::postgres::PostgresConnection;
use crate::settings::Settings;

/// What goes into a statement and comes out of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Only ever for integers.
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A connection, and what the running piece of work has done besides its statements.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    settings: Arc<Settings>,
    /// The row of `totals` that this connection counts in: each has its own, so that they don't wait for one another.
    shard: i64,
    /// Bytes added less bytes removed since the work began.
    bytes: i64,
    changed: Vec<String>,
}

pub(crate) enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(PostgresConnection),
}

/// The values of a statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::session::Value::from($value)),*] };
}
pub(crate) use values;

impl Session {
    pub(crate) fn new(connection: Connection, settings: Arc<Settings>, shard: usize) -> Self {
        let shard = count(shard % crate::schema::TOTALS);
        Self { connection, settings, shard, bytes: 0, changed: Vec::new() }
    }

    /// Runs one statement and gives all its rows.
    pub(crate) async fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>> {
        match &mut self.connection {
            Connection::Sqlite(connection) => sqlite_rows(connection, sql, values),
            Connection::Postgres(connection) => connection.rows(sql, values).await,
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn row(&mut self, sql: &str, values: &[Value]) -> Result<Option<Row>> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Runs one statement that gives no rows; says how many it touched.
    pub(crate) async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64> {
        match &mut self.connection {
            Connection::Sqlite(connection) => {
                let touched = connection.prepare_cached(sql)?.execute(rusqlite::params_from_iter(values))?;
                Ok(touched as u64)
            }
            Connection::Postgres(connection) => connection.execute(sql, values).await,
        }
    }

    /// Runs several statements that take no values.
    pub(crate) async fn batch(&mut self, sql: &str) -> Result<()> {
        match &mut self.connection {
            Connection::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Connection::Postgres(connection) => connection.batch(sql).await,
        }
    }

    /// Inserts rows of `width` values, many with each statement. `sql` ends with `VALUES`.
    pub(crate) async fn insert(&mut self, sql: &str, width: usize, values: &[Value]) -> Result<()> {
        let mut rest = values;
        while !rest.is_empty() {
            // Three sizes only, so that prepared statements are used again.
            let rows = [64, 8, 1].into_iter().find(|rows| rows * width <= rest.len()).unwrap_or(1);
            let (now, later) = rest.split_at((rows * width).min(rest.len()));
            let row = |row: usize| {
                let places: Vec<String> = (1..=width).map(|column| format!("?{}", row * width + column)).collect();
                format!("({})", places.join(", "))
            };
            let places: Vec<String> = (0..rows).map(row).collect();
            self.execute(&format!("{sql} {}", places.join(", ")), now).await?;
            rest = later;
        }
        Ok(())
    }

    /// Ends a SELECT whose rows stay as they are until the transaction ends. SQLite has one writer anyway.
    pub(crate) fn lock(&self) -> &'static str {
        match self.connection {
            Connection::Sqlite(_) => "",
            Connection::Postgres(_) => " FOR UPDATE",
        }
    }

    /// The same, leaving out what others hold at the moment.
    pub(crate) fn lock_free_ones(&self) -> &'static str {
        match self.connection {
            Connection::Sqlite(_) => "",
            Connection::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.settings.clock.now_ms()
    }

    /// Unix seconds.
    pub(crate) fn now(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Counts bytes that came (or went, if negative).
    pub(crate) fn account(&mut self, bytes: i64) {
        self.bytes += bytes;
    }

    /// Bytes counted since the work began.
    pub(crate) fn accounted(&self) -> i64 {
        self.bytes
    }

    /// Wakes those who wait for this channel, once the work is kept.
    pub(crate) fn announce(&mut self, channel: String) {
        if !self.changed.contains(&channel) {
            self.changed.push(channel);
        }
    }

    /// The last statement of a piece of work: its bytes become part of the total. This comes last because the row stays
    /// locked from here to the end of the transaction.
    pub(crate) async fn settle(&mut self) -> Result<Vec<String>> {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes != 0 {
            let sql = "UPDATE totals SET bytes = bytes + ?1 WHERE shard = ?2";
            self.execute(sql, values![bytes, self.shard]).await?;
        }
        Ok(std::mem::take(&mut self.changed))
    }

    /// Forgets what a piece of work that failed has counted and announced.
    pub(crate) fn forget(&mut self) {
        self.bytes = 0;
        self.changed.clear();
    }
}

fn sqlite_rows(connection: &rusqlite::Connection, sql: &str, values: &[Value]) -> Result<Vec<Row>> {
    let mut statement = connection.prepare_cached(sql)?;
    let width = statement.column_count();
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Vec::with_capacity(width);
        for column in 0..width {
            columns.push(row.get::<_, rusqlite::types::Value>(column)?.try_into()?);
        }
        found.push(Row(columns));
    }
    Ok(found)
}

impl TryFrom<rusqlite::types::Value> for Value {
    type Error = Error;

    fn try_from(value: rusqlite::types::Value) -> Result<Self> {
        match value {
            rusqlite::types::Value::Null => Ok(Self::Null),
            rusqlite::types::Value::Integer(value) => Ok(Self::Integer(value)),
            rusqlite::types::Value::Text(value) => Ok(Self::Text(value)),
            rusqlite::types::Value::Blob(value) => Ok(Self::Bytes(value)),
            rusqlite::types::Value::Real(value) => Err(Error::database(format!("found the number {value}"))),
        }
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Self::Null, Self::Integer)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

/// The columns of one row. Each is taken by its place and type; anything else than expected is a damaged database.
#[derive(Debug)]
pub(crate) struct Row(pub(crate) Vec<Value>);

impl Row {
    pub(crate) fn integer(&self, column: usize) -> Result<i64> {
        self.optional_integer(column)?.ok_or_else(|| wrong(column, &Value::Null))
    }

    pub(crate) fn optional_integer(&self, column: usize) -> Result<Option<i64>> {
        match self.0.get(column) {
            Some(Value::Integer(value)) => Ok(Some(*value)),
            Some(Value::Null) => Ok(None),
            other => Err(wrong(column, other.unwrap_or(&Value::Null))),
        }
    }

    pub(crate) fn text(&mut self, column: usize) -> Result<String> {
        match self.take(column) {
            Value::Text(value) => Ok(value),
            other => Err(wrong(column, &other)),
        }
    }

    pub(crate) fn bytes(&mut self, column: usize) -> Result<Vec<u8>> {
        match self.take(column) {
            Value::Bytes(value) => Ok(value),
            other => Err(wrong(column, &other)),
        }
    }

    fn take(&mut self, column: usize) -> Value {
        self.0.get_mut(column).map_or(Value::Null, |value| std::mem::replace(value, Value::Null))
    }
}

fn wrong(column: usize, value: &Value) -> Error {
    let kind = match value {
        Value::Null => "nothing",
        Value::Integer(_) => "an integer",
        Value::Text(_) => "a text",
        Value::Bytes(_) => "bytes",
    };
    Error::database(format!("column {column} of a row has {kind} where something else was expected"))
}
