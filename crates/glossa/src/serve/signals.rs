//! What the system tells the process: end, end now, read the keys again. It must not know how that is done.

use server::{App, Phase};

/// Follows signals from now on.
pub(super) fn watch(app: App) {
    tokio::spawn(async move {
        if let Err(error) = follow(&app).await {
            tracing::warn!(%error, "signals cannot be followed; the process ends at once when told to");
        }
    });
}

#[cfg(unix)]
async fn follow(app: &App) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => end(app),
            _ = interrupt.recv() => end(app),
            _ = hangup.recv() => reload(app),
        }
    }
}

#[cfg(not(unix))]
async fn follow(app: &App) -> std::io::Result<()> {
    loop {
        tokio::signal::ctrl_c().await?;
        end(app);
    }
}

/// The first time, what runs may finish; the second time, nothing may.
fn end(app: &App) {
    if app.life().phase() == Phase::Serving {
        tracing::info!(requests = app.life().running(), "no new requests; what runs is finished (again to end now)");
        app.life().drain();
    } else {
        app.life().stop();
    }
}

#[cfg(unix)]
fn reload(app: &App) {
    match app.keys().map(server::Keys::reload) {
        Some(Ok(keys)) => tracing::info!(keys, "keys were read again"),
        Some(Err(error)) => tracing::error!(%error, "the old keys stay in force"),
        None => tracing::warn!("there is no keys file to read again"),
    }
}
