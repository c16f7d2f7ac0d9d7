//! What the program chooses about a store, and the clock it tells the time by.
//! It must not know where the choices come from.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Choices about a store; `Settings::default()` is right for one machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Tells the time for expiry and leases. Several replicas over one database need clocks that agree within a small part
    /// of a lease; a lease that ends too early costs work done twice, never two writers, since writes are fenced.
    pub clock: Clock,
    /// Bytes of bodies and blobs that may be kept; beyond it, the oldest records that may expire make room. Replicas that
    /// write at the same moment may each use the last room, so the bound is exact for SQLite only.
    pub bytes_max: Option<u64>,
    /// Connections at once: readers of SQLite, all of PostgreSQL (besides one that listens). From 1 up.
    pub connections_max: usize,
    /// An upload that nothing was written to for so long is swept.
    pub upload_idle: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            bytes_max: None,
            connections_max: 8,
            upload_idle: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// Milliseconds since the beginning of 1970 (UTC).
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
            crate::limits::milliseconds(since)
        })
    }

    /// A clock that is read by calling `now_ms`.
    pub fn new(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    /// The time in milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}
