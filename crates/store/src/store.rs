//! The store itself: which database is behind it, and how a piece of work reaches it.
//! It must not know what a piece of work does.

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::postgres::Postgres;
use crate::settings::Settings;
use crate::sqlite::Sqlite;
use crate::watch::{Watch, Watchers};
use crate::work::Work;

/// Keeps records, with what belongs to them, and jobs. Copies are handles of the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    watchers: Arc<Watchers>,
}

enum Database {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// Opens `sqlite:PATH` (the folders are made), `sqlite::memory:` or `postgres://USER:PASSWORD@HOST/DATABASE`, and brings
    /// the tables up to date.
    ///
    /// # Errors
    ///
    /// An address that is not understood, a database that cannot be opened or is not ours, tables of a newer version.
    pub async fn open(address: &str, settings: Settings) -> Result<Self> {
        let settings = Arc::new(settings);
        let watchers = Arc::new(Watchers::default());
        let database = if let Some(path) = address.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(Error::Address { reason: "no path after sqlite:".into() });
            }
            let path = (path != ":memory:").then(|| PathBuf::from(path));
            Database::Sqlite(Sqlite::open(path, settings, Arc::clone(&watchers)).await?)
        } else if address.starts_with("postgres://") || address.starts_with("postgresql://") {
            Database::Postgres(Postgres::open(address, settings, Arc::clone(&watchers)).await?)
        } else {
            return Err(Error::Address { reason: "it begins with no known word".into() });
        };
        Ok(Self { inner: Arc::new(Inner { database, watchers }) })
    }

    /// Watches a channel (see [`record_channel`](crate::record_channel) and its neighbours) from now on.
    #[must_use]
    pub fn watch(&self, channel: &str) -> Watch {
        self.inner.watchers.watch(channel)
    }

    pub(crate) async fn write<T: Send + 'static>(&self, work: Work<T>) -> Result<T> {
        match &self.inner.database {
            Database::Sqlite(sqlite) => sqlite.write(work).await,
            Database::Postgres(postgres) => postgres.write(work).await,
        }
    }

    pub(crate) async fn read<T: Send + 'static>(&self, work: Work<T>) -> Result<T> {
        match &self.inner.database {
            Database::Sqlite(sqlite) => sqlite.read(work).await,
            Database::Postgres(postgres) => postgres.read(work).await,
        }
    }
}
