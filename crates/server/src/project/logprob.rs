//! A token's log probability as OpenAI tells it. It must not know answers.

use agent::TokenLogprob;
use serde_json::{Value, json};

/// The smallest logarithm that is told: JSON has no infinity.
const LOGPROB_MIN: f64 = -9999.0;

/// A token's log probability and its alternatives.
pub(crate) fn logprob(token: &TokenLogprob) -> Value {
    let TokenLogprob { id: _, bytes, logprob, top } = token;
    let entry = |bytes: &[u8], logprob: f32| json!({ "token": String::from_utf8_lossy(bytes), "bytes": bytes, "logprob": finite(logprob) });
    let mut told = entry(bytes, *logprob);
    told["top_logprobs"] = top.iter().map(|(bytes, logprob)| entry(bytes, *logprob)).collect();
    told
}

/// A logarithm that JSON can hold.
pub(crate) fn finite(logprob: f32) -> f64 {
    if logprob.is_finite() { f64::from(logprob).max(LOGPROB_MIN) } else { LOGPROB_MIN }
}
