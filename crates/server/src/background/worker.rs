//! Workers: each takes a queued response, sees it through, and takes the next. It must not know how a response is computed.

use std::time::Duration;

use store::{Lease, queue_channel};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{QUEUE, attempt};
use crate::app::App;

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

/// What a server does when nobody asks: background responses, and removing what has expired. It ends with this handle.
pub struct Workers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Workers {
    /// Starts as many workers as the settings say, and the sweeper.
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

async fn work(app: App, mut stopped: watch::Receiver<bool>) {
    let name = app.ids().next("worker");
    while !*stopped.borrow() {
        let mut queue = app.store().watch(&queue_channel(QUEUE));
        match app.store().lease(QUEUE, &name, LEASE).await {
            Ok(Some(lease)) => see_through(&app, lease, &stopped).await,
            Ok(None) => tokio::select! {
                _ = queue.changed(LOOK_EVERY) => {}
                _ = stopped.changed() => {}
            },
            Err(error) => {
                tracing::error!(%error, "no background response could be taken from the store; trying again");
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
    }
}

/// In a task of its own: a fault in one response must not end its worker.
async fn see_through(app: &App, lease: Lease, stopped: &watch::Receiver<bool>) {
    let (app, stopped, id) = (app.clone(), stopped.clone(), lease.job.id.clone());
    let attempt = tokio::spawn(async move { attempt::run(&app, &lease, stopped).await });
    match attempt.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(
                response = id,
                message = error.message,
                "a background response broke off; it is tried again"
            );
        }
        Err(error) => {
            tracing::error!(response = id, %error, "a background response broke off by a fault; it is tried again")
        }
    }
}

async fn sweep(app: App, mut stopped: watch::Receiver<bool>) {
    while !*stopped.borrow() {
        if let Err(error) = app.store().sweep().await {
            tracing::error!(%error, "what has expired could not be removed; trying again later");
        }
        let _ = tokio::time::timeout(SWEEP_EVERY, stopped.changed()).await;
    }
}
