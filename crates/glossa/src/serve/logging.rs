//! Lines of the log, on standard error. It must not know what is logged.

use std::io::stderr;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// Starts the log of this process, panics included.
pub(super) fn start(is_json: bool, level: Level) {
    // Libraries speak up only when something is wrong.
    let ours = ["glossa", "server", "agent", "engine", "store"].map(|target| (target, LevelFilter::from_level(level)));
    let filter = Targets::new().with_default(LevelFilter::WARN).with_targets(ours);
    let lines = fmt::layer().with_writer(stderr).with_ansi(false);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if is_json {
        Box::new(lines.json().flatten_event(true).with_filter(filter))
    } else {
        Box::new(lines.compact().with_filter(filter))
    };
    // A second start finds the first one in place.
    let _ = tracing_subscriber::registry().with(lines).try_init();
    std::panic::set_hook(Box::new(|panic| tracing::error!(target: "server", "{panic}")));
}
