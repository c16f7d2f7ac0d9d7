//! What a server does when nobody asks, and how it is stopped. It must not know how a response is computed.

use std::time::Duration;

use store::Lease;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{QUEUE, attempt};
use crate::app::App;
use crate::jobs::{self, Queue};

/// How long a job stays with a worker that says nothing more.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// How often a worker says that it is there.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(10);
/// How often a worker without work looks for jobs whose worker has died.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a worker waits after the store has failed.
const STORE_PAUSE: Duration = Duration::from_secs(2);
/// How often expired records are removed.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// What a server does when nobody asks: background responses, batches, and removing what has expired. It ends with this handle.
pub struct Workers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Workers {
    /// Starts as many workers as the settings say, one for batches, and the sweeper.
    #[must_use]
    pub(crate) fn start(app: &App) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for _ in 0..app.settings().background_workers {
            tasks.spawn(work(app.clone(), stopped.clone()));
        }
        tasks.spawn(crate::batches::work(app.clone(), stopped.clone()));
        tasks.spawn(sweep(app.clone(), stopped));
        Self { stop, tasks }
    }

    /// Takes nothing new, gives back what is not finished (another replica or the next start goes on with it), and waits until that
    /// is done.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn work(app: App, stopped: watch::Receiver<bool>) {
    let queue = Queue { name: QUEUE, lease: LEASE, look_every: LOOK_EVERY, pause: STORE_PAUSE };
    let see_through = |app: App, lease: Lease, stopped| async move { attempt::run(&app, &lease, stopped).await };
    jobs::work(app, queue, stopped, see_through).await;
}

async fn sweep(app: App, mut stopped: watch::Receiver<bool>) {
    while !*stopped.borrow() {
        if let Err(error) = app.store().sweep().await {
            tracing::error!(%error, "what has expired could not be removed; trying again later");
        }
        let _ = tokio::time::timeout(SWEEP_EVERY, stopped.changed()).await;
    }
}
