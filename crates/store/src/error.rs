//! What can go wrong: one enum, with the values in it.
//! It must not know which public answer follows from it.

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An address that names no store. The address itself is not shown, since it may hold a password.
    #[error(
        "the store's address is not understood ({reason}): expected sqlite:PATH, sqlite::memory: or postgres://USER@HOST/DATABASE"
    )]
    Address {
        /// What is wrong with it.
        reason: String,
    },

    /// The database could not be opened or reached.
    #[error("cannot open the store {place}: {reason}")]
    Open {
        /// The file or server.
        place: String,
        /// What the database said.
        reason: String,
    },

    /// A file that is not SQLite's, or a damaged one.
    #[error(
        "the file {place} is not an SQLite database, or it is damaged: give another path, or restore it from a copy"
    )]
    NotADatabase {
        /// The file.
        place: String,
    },

    /// A database that another program made.
    #[error(
        "the database {place} belongs to another program (there are tables in it that are not ours): give another one"
    )]
    Foreign {
        /// The file or server.
        place: String,
    },

    /// A file that may not be written.
    #[error("the store {place} cannot be written: give this user the right to write the file and its folder")]
    ReadOnly {
        /// The file.
        place: String,
    },

    /// A store written by a later version of this program.
    #[error("the store's tables have version {found}, this program knows versions up to {known}: use a newer program")]
    NewerSchema {
        /// The version found.
        found: i64,
        /// The newest version known here.
        known: i64,
    },

    /// A database that cannot keep every text.
    #[error(
        "the database has the encoding {encoding}: expected UTF8; make one with ENCODING 'UTF8' TEMPLATE template0"
    )]
    Encoding {
        /// Its encoding.
        encoding: String,
    },

    /// Something of that name is there already.
    #[error("{what} {id:?} exists already: give another id")]
    Exists {
        /// A record, item or job.
        what: &'static str,
        /// Its id.
        id: String,
    },

    /// The record that something was to be added to or read from is not there (or expired, or another owner's).
    #[error("there is no {kind} {id:?}")]
    Missing {
        /// The kind of record.
        kind: String,
        /// Its id.
        id: String,
    },

    /// A page that begins behind something unknown.
    #[error("a page was to begin after {after:?}, which is not in the list: give the id of an entry of the same list")]
    UnknownAfter {
        /// The id.
        after: String,
    },

    /// Events whose numbers leave a gap.
    #[error("events were to begin with number {found}: expected at most {expected}, since numbers have no gaps")]
    Gap {
        /// The next free number.
        expected: i64,
        /// The first number given.
        found: i64,
    },

    /// An event that is there already with another body.
    #[error("event {number} is there already with another body: events never change")]
    EventDiffers {
        /// Its number.
        number: i64,
    },

    /// The worker no longer holds the job: the lease ran out and another one took it, or it was finished.
    #[error("the lease of job {id:?} (attempt {attempt}) is lost: stop working on it")]
    LeaseLost {
        /// The job.
        id: String,
        /// The attempt that the lease was for.
        attempt: i64,
    },

    /// An upload that was finished, dropped, swept, or that is another owner's.
    #[error(
        "upload {number} is not open: it was finished or dropped, or nothing was written to it for too long; begin a new one"
    )]
    UploadGone {
        /// Its number.
        number: i64,
    },

    /// The store is full and nothing in it may be removed.
    #[error(
        "the store holds {held} bytes, and {added} more don't fit into {most}: delete something or raise the store's size"
    )]
    Full {
        /// Bytes kept.
        held: u64,
        /// Bytes that were to be added.
        added: u64,
        /// The bound.
        most: u64,
    },

    /// More than a limit allows.
    #[error("{what} has size {found}: expected at most {most}")]
    TooMuch {
        /// What it is.
        what: &'static str,
        /// Its size.
        found: usize,
        /// The limit.
        most: usize,
    },

    /// A value that cannot be kept.
    #[error("{what} is not valid: expected {expected}")]
    Invalid {
        /// What it is.
        what: &'static str,
        /// What it should be.
        expected: &'static str,
    },

    /// The database failed. Nothing of the call was kept.
    #[error("the store's database failed: {reason}; nothing of this was kept, try again")]
    Database {
        /// What it said.
        reason: String,
    },

    /// The connection broke at the moment of keeping.
    #[error(
        "the connection broke while the store's database was keeping this ({reason}): look whether it was kept before trying again"
    )]
    Unsure {
        /// What was said.
        reason: String,
    },
}

impl Error {
    pub(crate) fn database(reason: impl ToString) -> Self {
        Self::Database { reason: reason.to_string() }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::database(error)
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::database(postgres_reason(&error))
    }
}

/// The server's own words; the library's summary alone says only that the server complained.
pub(crate) fn postgres_reason(error: &tokio_postgres::Error) -> String {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        reason = format!("{reason}: {inner}");
        source = inner.source();
    }
    reason
}
