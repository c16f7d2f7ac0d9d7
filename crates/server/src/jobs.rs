//! Workers of the store's queues: each takes a job, sees it through, and takes the next. It must not know what jobs are.

use std::time::Duration;

use store::{Lease, queue_channel};
use tokio::sync::watch;

use crate::app::App;
use crate::error::ApiError;

/// What a worker takes, and how patient it is.
pub(crate) struct Queue {
    /// The queue in the store.
    pub(crate) name: &'static str,
    /// How long a job stays with a worker that says nothing more.
    pub(crate) lease: Duration,
    /// How often a worker without work looks for jobs whose worker has died.
    pub(crate) look_every: Duration,
    /// How long a worker waits after the store has failed.
    pub(crate) pause: Duration,
}

/// Takes jobs until the server stops. Each is seen through in a task of its own: a fault in one must not end its worker.
pub(crate) async fn work<Seeing>(
    app: App,
    queue: Queue,
    mut stopped: watch::Receiver<bool>,
    see_through: impl Fn(App, Lease, watch::Receiver<bool>) -> Seeing,
) where
    Seeing: Future<Output = Result<(), ApiError>> + Send + 'static,
{
    let worker = app.ids().next("worker");
    while !*stopped.borrow() {
        let mut waiting = app.store().watch(&queue_channel(queue.name));
        match app.store().lease(queue.name, &worker, queue.lease).await {
            Ok(Some(lease)) => {
                let id = lease.job.id.clone();
                match tokio::spawn(see_through(app.clone(), lease, stopped.clone())).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::warn!(
                            queue = queue.name,
                            id,
                            reason = error.message,
                            "a job broke off; it is tried again"
                        );
                    }
                    Err(error) => {
                        tracing::error!(queue = queue.name, id, %error, "a job broke off by a fault; it is tried again");
                    }
                }
            }
            Ok(None) => tokio::select! {
                _ = waiting.changed(queue.look_every) => {}
                _ = stopped.changed() => {}
            },
            Err(error) => {
                tracing::error!(queue = queue.name, %error, "no job could be taken from the store; trying again");
                let _ = tokio::time::timeout(queue.pause, stopped.changed()).await;
            }
        }
    }
}

/// Ends when the server stops.
pub(crate) async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    // Whoever drops the sender does not want to go on either.
    let _ = stopped.wait_for(|&stopped| stopped).await;
}
