//! Where a case runs: a fresh database, and a clock that only the case moves.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use store::{Clock, Order, Page, Record, Settings, Store};
use tempfile::TempDir;

/// Unix seconds at which every case begins.
pub(crate) const START: i64 = 1_800_000_000;

/// A fresh database.
pub(crate) struct Place {
    address: String,
    now_ms: Arc<AtomicI64>,
    _folder: Option<TempDir>,
}

impl Place {
    pub(crate) fn memory() -> Self {
        Self::at("sqlite::memory:".into(), None)
    }

    pub(crate) fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("sqlite:{}", folder.path().join("some/where/store.db").display());
        Self::at(address, Some(folder))
    }

    pub(crate) fn postgres() -> Self {
        Self::at(crate::server::new_database(), None)
    }

    fn at(address: String, folder: Option<TempDir>) -> Self {
        Self { address, now_ms: Arc::new(AtomicI64::new(START * 1000)), _folder: folder }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn settings(&self) -> Settings {
        let now_ms = Arc::clone(&self.now_ms);
        Settings { clock: Clock::new(move || now_ms.load(Ordering::SeqCst)), ..Settings::default() }
    }

    pub(crate) async fn open(&self) -> Store {
        self.open_with(self.settings()).await
    }

    pub(crate) async fn open_with(&self, settings: Settings) -> Store {
        Store::open(&self.address, settings).await.unwrap()
    }

    /// Runs statements beside the store, which should be closed.
    pub(crate) fn execute(&self, sql: &str) {
        match self.address.strip_prefix("sqlite:") {
            Some(path) => rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap(),
            None => crate::server::execute(&self.address, &format!("SET search_path TO glossa; {sql}")),
        }
    }

    /// Lets SQLite look at all its pages. PostgreSQL's server was not killed.
    pub(crate) fn check_integrity(&self) {
        if let Some(path) = self.address.strip_prefix("sqlite:") {
            let connection = rusqlite::Connection::open(path).unwrap();
            let ok = |row: &rusqlite::Row| row.get::<_, String>(0);
            assert_eq!(connection.query_row("PRAGMA integrity_check", [], ok).unwrap(), "ok");
            assert!(connection.query_row("PRAGMA foreign_key_check", [], ok).is_err(), "rows without their record");
        }
    }

    /// Whether the database is still there when its store was dropped.
    pub(crate) fn lives_on(&self) -> bool {
        self.address != "sqlite::memory:"
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.now_ms.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

/// Runs a case. All are run by one function, which is compiled once.
pub(crate) fn run(case: impl Future<Output = ()>) {
    let case: Pin<Box<dyn Future<Output = ()> + '_>> = Box::pin(case);
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(case);
}

pub(crate) fn record(kind: &str, owner: &str, id: &str, body: &str) -> Record {
    Record {
        kind: kind.into(),
        owner: owner.into(),
        id: id.into(),
        body: body.into(),
        created: START,
        expires: None,
        version: 1,
    }
}

pub(crate) fn page(after: Option<&str>, limit: u32, order: Order) -> Page {
    Page { after: after.map(Into::into), limit, order }
}
