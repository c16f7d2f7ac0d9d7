//! Traces for a collector, by OTLP over HTTP in JSON: a span per request, with children for its queue, its prompt and its answer. Only
//! where an operator names a collector; nothing of what was asked or answered is in them. It must not know routes.

mod collector;
mod spans;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::hexadecimal;
use crate::listener::ServeError;
use crate::metrics::Metrics;
use crate::turns::TurnTimes;
use collector::Collector;

/// Requests whose spans may wait to be sent; beyond, they are lost and counted.
const WAITING_MAX: usize = 1024;

/// The way to a collector.
pub(crate) struct Traces {
    queue: mpsc::Sender<Message>,
    metrics: Arc<Metrics>,
}

/// For the task that sends.
enum Message {
    /// A request's spans.
    Spans(Vec<Value>),
    /// Send what there is, and say when that is done.
    Flush(oneshot::Sender<()>),
}

/// A request that is over, for its span.
pub(crate) struct Trace<'a> {
    pub(crate) id: &'a str,
    pub(crate) method: &'static str,
    pub(crate) route: &'a str,
    pub(crate) status: u16,
    pub(crate) code: Option<&'static str>,
    pub(crate) parent: Option<Parent>,
    pub(crate) at: SystemTime,
    pub(crate) started: Instant,
}

/// The span that a request belongs to, as its header `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    trace: [u8; 16],
    span: [u8; 8],
    is_sampled: bool,
}

impl Parent {
    /// Reads `00-TRACE-SPAN-FLAGS`; whatever else it is, is no parent.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        if header.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let parts: Vec<&str> = header.split('-').collect();
        let [version, trace, span, flags] = parts[..] else { return None };
        let trace: [u8; 16] = hexadecimal::read(trace)?;
        let span: [u8; 8] = hexadecimal::read(span)?;
        let [flags] = hexadecimal::read(flags)?;
        let is_sound = version == "00" && trace != [0; 16] && span != [0; 8];
        is_sound.then_some(Self { trace, span, is_sampled: flags & 1 == 1 })
    }
}

impl Traces {
    /// Starts the task that sends to a collector, as `http://127.0.0.1:4318`.
    pub(crate) fn start(endpoint: &str, metrics: Arc<Metrics>) -> Result<Self, ServeError> {
        let collector = Collector::new(endpoint)?;
        let (queue, messages) = mpsc::channel(WAITING_MAX);
        tokio::spawn(collector.run(messages, Arc::clone(&metrics)));
        Ok(Self { queue, metrics })
    }

    /// Queues the spans of a request; never waits.
    pub(crate) fn send(&self, trace: &Trace<'_>, turns: &[TurnTimes], model: &str) {
        if trace.parent.is_some_and(|parent| !parent.is_sampled) {
            return;
        }
        let spans = spans::of(trace, turns, model);
        let count = spans.len() as u64;
        if self.queue.try_send(Message::Spans(spans)).is_err() {
            self.metrics.lost_spans.inc_by(count);
        }
    }

    /// Waits until what is queued has been sent, or lost.
    pub(crate) async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            let _ = is_done.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Parent;

    #[test]
    fn parents_are_read_or_passed_over() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = Parent::parse(good).unwrap();
        assert!(parent.is_sampled && parent.trace[0] == 0x4b && parent.span[7] == 0xb7);
        assert!(!Parent::parse(&good.replace("-01", "-00")).unwrap().is_sampled);
        for bad in
            ["", "00", &good.replace("4b", "4B"), &good[1..], &good.replace("f067", "é67"), &good.replace("00-", "ff-")]
        {
            assert_eq!(Parent::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Parent::parse(&format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32))), None);
    }
}
