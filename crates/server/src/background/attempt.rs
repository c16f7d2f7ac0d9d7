//! stub
use store::Lease;
use tokio::sync::watch;
use crate::app::App;
use crate::error::ApiError;
pub(super) async fn run(app: &App, lease: &Lease, stopped: watch::Receiver<bool>) -> Result<(), ApiError> {
    let _ = (app, lease, stopped);
    Ok(())
}
