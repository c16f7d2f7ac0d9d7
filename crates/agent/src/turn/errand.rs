//! A built-in tool at work, on a thread of its own: neither a panic nor a hang of it reaches the turn. It must not know what the
//! model does with the output.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::agent::Agent;
use crate::builtin::{BuiltIn, ToolContext, ToolInput};
use crate::control::{Canceller, wait_until};
use crate::item::Call;
use crate::policy::Policy;
use crate::request::TurnRequest;

/// One call of a built-in tool.
pub(super) struct Errand {
    pub(super) call_id: String,
    /// Whom the model called, as its output is named.
    pub(super) recipient: String,
    pub(super) channel: &'static str,
    answer: Arc<Mutex<Answer>>,
    bytes_max: usize,
}

#[derive(Default)]
struct Answer {
    output: Option<String>,
    waker: Option<Waker>,
}

impl Errand {
    /// Sends the tool off.
    pub(super) fn begin(
        agent: &Agent,
        request: &TurnRequest,
        policy: &Policy,
        canceller: &Canceller,
        (call, tool, channel): (Call, usize, &'static str),
    ) -> Self {
        let settings = agent.settings();
        let deadline = Instant::now() + settings.tool_time_max;
        let deadline = request.deadline.map_or(deadline, |ends| ends.min(deadline));
        let context = ToolContext { deadline, tenant: request.tenant.clone(), cancelled: canceller.flag() };
        let built_in = policy.callee(tool).built_in.and_then(|index| request.built_in.get(index));
        let (call_id, recipient) = (call.id.clone(), call.tool.to_string());
        let input = ToolInput { call_id: call.id, recipient: call.tool, text: call.input };
        let answer = Arc::<Mutex<Answer>>::default();
        let errand = Self { call_id, recipient, channel, answer, bytes_max: settings.tool_output_bytes_max };
        match built_in {
            Some(tool) => errand.send_off(Arc::clone(tool), input, context),
            None => give(&errand.answer, "Error: this tool is not here.".to_owned()),
        }
        errand
    }

    fn send_off(&self, tool: Arc<dyn BuiltIn>, input: ToolInput, context: ToolContext) {
        let answer = Arc::clone(&self.answer);
        let deadline = context.deadline;
        // One thread works and one looks at the clock: a tool that never comes back keeps the first, not the turn.
        let work = move || {
            let (done, finished) = channel();
            let worker = move || {
                let output = catch_unwind(AssertUnwindSafe(|| run(&*tool, input, &context)));
                // Whoever looked at the clock may have gone.
                let _ = done.send(output.unwrap_or_else(|_| "Error: the tool failed.".to_owned()));
            };
            let started = std::thread::Builder::new().name("tool".into()).spawn(worker);
            let output = match started {
                Err(error) => format!("Error: the tool cannot start: {error}"),
                Ok(_) => match finished.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                    Ok(output) => output,
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => TIMED_OUT.to_owned(),
                },
            };
            give(&answer, output);
        };
        if let Err(error) = std::thread::Builder::new().name("tool clock".into()).spawn(work) {
            give(&self.answer, format!("Error: the tool cannot start: {error}"));
        }
    }

    /// The tool's output.
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<String> {
        let mut answer = lock(&self.answer);
        match answer.output.take() {
            Some(output) => Poll::Ready(shortened(output, self.bytes_max)),
            None => {
                answer.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

const TIMED_OUT: &str = "Error: the tool took too long and was ended.";

/// How often a tool at work is asked whether anybody still waits.
const CANCEL_CHECK: Duration = Duration::from_millis(100);

fn run(tool: &dyn BuiltIn, input: ToolInput, context: &ToolContext) -> String {
    let mut future = tool.call(input, context.clone());
    loop {
        let until = context.deadline.min(Instant::now() + CANCEL_CHECK);
        if let Some(output) = wait_until(until, |waker| future.as_mut().poll(waker)) {
            return output.text;
        }
        if context.is_cancelled() || Instant::now() >= context.deadline {
            return TIMED_OUT.to_owned();
        }
    }
}

fn give(answer: &Mutex<Answer>, output: String) {
    let mut answer = lock(answer);
    answer.output = Some(output);
    let waker = answer.waker.take();
    drop(answer);
    waker.into_iter().for_each(Waker::wake);
}

fn lock(answer: &Mutex<Answer>) -> MutexGuard<'_, Answer> {
    answer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The beginning of an output that is too long, with a word about the rest.
fn shortened(mut output: String, bytes_max: usize) -> String {
    if output.len() > bytes_max {
        let left_out = output.len() - output.floor_char_boundary(bytes_max);
        output.truncate(output.floor_char_boundary(bytes_max));
        output.push_str(&format!("\n[{left_out} bytes left out]"));
    }
    output
}
