//! The model's thoughts before its calls, by `call_id`: clients that send a call back without them still get them back. It must not
//! know any API.

use crate::app::App;
use crate::caller::Caller;
use crate::history::HistoryItem;

/// Keeps what a turn said that ended in these calls: its reasoning items and the calls as sampled.
pub(crate) async fn keep(app: &App, caller: &Caller, call_ids: &[String], items: &[HistoryItem]) {
    let _ = (app, caller, call_ids, items);
}

/// What the turn said that made this call, in order; `None` when it is not known (any more).
pub(crate) async fn find(app: &App, caller: &Caller, call_id: &str) -> Option<Vec<HistoryItem>> {
    let _ = (app, caller, call_id);
    None
}
