//! PostgreSQL, for several replicas over one store. To come.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::session::{Row, Value};
use crate::settings::Settings;
use crate::watch::Watchers;
use crate::work::Work;

pub(crate) struct Postgres;
pub(crate) struct PostgresConnection;

impl PostgresConnection {
    pub(crate) async fn rows(&mut self, _: &str, _: &[Value]) -> Result<Vec<Row>> {
        Err(Error::database("not yet"))
    }
    pub(crate) async fn execute(&mut self, _: &str, _: &[Value]) -> Result<u64> {
        Err(Error::database("not yet"))
    }
    pub(crate) async fn batch(&mut self, _: &str) -> Result<()> {
        Err(Error::database("not yet"))
    }
}

impl Postgres {
    pub(crate) async fn open(_: &str, _: Arc<Settings>, _: Arc<Watchers>) -> Result<Self> {
        Err(Error::Address { reason: "PostgreSQL is not there yet".into() })
    }
    pub(crate) async fn write<T>(&self, _: Work<T>) -> Result<T> {
        Err(Error::database("not yet"))
    }
    pub(crate) async fn read<T>(&self, _: Work<T>) -> Result<T> {
        Err(Error::database("not yet"))
    }
}
