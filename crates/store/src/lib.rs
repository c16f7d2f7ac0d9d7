//! Keeps records for an API server: bodies of text under kind, owner and id, with items, a log of events and a blob, and
//! jobs in queues. SQLite in one file by default, PostgreSQL for several replicas.
//! It must not know what a record means.
//!
//! Every operation is written once, as SQL over a `Session`, and runs inside one transaction of either database. Whatever
//! takes an owner is scoped by it: another owner's things are not there.

mod blobs;
mod encryption;
mod error;
mod events;
mod items;
mod jobs;
mod limits;
mod postgres;
mod records;
mod room;
mod schema;
mod session;
mod settings;
mod sqlite;
mod store;
mod watch;
mod work;

pub use blobs::Upload;
pub use error::{Error, Result};
pub use items::{Item, ListedItems};
pub use jobs::{Job, JobState, Lease, NewJob, Renewed};
pub use limits::{APPEND_MAX, BLOB_CALL_BYTES_MAX, BODY_BYTES_MAX, NAME_BYTES_MAX, PAGE_MAX};
pub use records::{Attached, Listed, Order, Page, Record, Replaced};
pub use room::{Stats, Swept};
pub use settings::{Clock, Settings};
pub use store::Store;
pub use watch::{Watch, job_channel, queue_channel, record_channel};
