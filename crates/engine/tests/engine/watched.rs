//! A scripted model that writes down what it is asked, and that a test can hold, fail or slow down at every step.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use engine::{Drafts, Engine, Event, Finish, Generation, Job, Limits};
use model::{Error, Model, ModelConfig, PageId, Scripted, SequenceId, Span, Wanted};

/// Ids below this exist.
pub(crate) const VOCABULARY: usize = 32;

/// What a model was asked, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Call {
    Open,
    /// From so many pages.
    OpenFrom(usize),
    Close,
    Forward(Vec<u32>, Wanted),
}

pub(crate) type Calls = Arc<Mutex<Vec<Call>>>;

/// Runs before every step with the step's number, from 1.
pub(crate) type Before = Box<dyn FnMut(usize) -> Result<(), Error> + Send>;

struct Watched {
    inner: Scripted,
    calls: Calls,
    steps: usize,
    before: Before,
}

impl Model for Watched {
    model::hand_memory_to_inner!();

    fn open_sequence(&mut self) -> SequenceId {
        self.calls.lock().unwrap().push(Call::Open);
        self.inner.open_sequence()
    }

    fn close_sequence(&mut self, id: SequenceId) {
        self.calls.lock().unwrap().push(Call::Close);
        self.inner.close_sequence(id);
    }

    fn open_from(&mut self, full: &[PageId], sliding: &[PageId]) -> SequenceId {
        self.calls.lock().unwrap().push(Call::OpenFrom(full.len()));
        self.inner.open_from(full, sliding)
    }

    fn forward(&mut self, batch: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), Error> {
        let calls = batch.iter().map(|span| Call::Forward(span.ids.to_vec(), span.wanted));
        self.calls.lock().unwrap().extend(calls);
        self.steps += 1;
        (self.before)(self.steps)?;
        self.inner.forward(batch, logits)
    }

    fn complete(&mut self, row: usize, logits: &mut [f32]) {
        self.inner.complete(row, logits);
    }
}

/// An engine over a script that is never held up, with the model's context as its own.
pub(crate) fn free(script: &[u32], limits: Limits) -> (Engine, Calls) {
    let context_length = limits.context_tokens;
    watched(script, limits, context_length, Box::new(|_| Ok(())))
}

pub(crate) fn watched(script: &[u32], limits: Limits, context_length: usize, before: Before) -> (Engine, Calls) {
    let calls = Calls::default();
    let inner = Scripted::new(config(context_length), script.to_vec());
    let model = Watched { inner, calls: Arc::clone(&calls), steps: 0, before };
    (Engine::new(Box::new(model), limits).unwrap(), calls)
}

/// The shape of a model that computes nothing.
pub(crate) fn config(context_length: usize) -> ModelConfig {
    Scripted::shape(VOCABULARY, context_length)
}

/// Holds the model at every step until the test lets it go on.
pub(crate) struct Gate {
    entered: Receiver<()>,
    permits: Sender<()>,
}

impl Gate {
    pub(crate) fn new() -> (Self, Before) {
        let (enter, entered) = channel();
        let (permits, permitted) = channel();
        let before = move |_| {
            // Both ends fail once the test has opened the gate for good.
            let _ = enter.send(());
            let _ = permitted.recv();
            Ok(())
        };
        (Self { entered, permits }, Box::new(before))
    }

    /// Waits until the model is at its next step, which stays held.
    pub(crate) fn arrive(&self) {
        self.entered.recv().unwrap();
    }

    /// Lets the held step go on.
    pub(crate) fn pass(&self) {
        self.permits.send(()).unwrap();
    }

    /// Lets every step go on from now.
    pub(crate) fn open(self) {}
}

pub(crate) fn limits(context_tokens: usize, chunk_tokens: usize) -> Limits {
    Limits::single(context_tokens, chunk_tokens)
}

pub(crate) fn job(prompt: &[u32]) -> Job {
    Job { drafts: Drafts::Off, ..Job::new(prompt.to_vec()) }
}

/// Reads a generation to its end, which must be a finish: the tokens, and the finish.
pub(crate) fn read(generation: Generation) -> (Vec<u32>, Finish) {
    let (mut ids, mut finish) = (Vec::new(), None);
    for event in generation {
        assert!(finish.is_none(), "{event:?} follows the end");
        match event {
            Event::PromptRead { .. } => assert!(ids.is_empty(), "the prompt is read before the first token"),
            Event::PromptLogprobs(_) | Event::Guarded(_) => {}
            Event::Token(token) => ids.push(token.id),
            Event::Finished(finished) => finish = Some(finished),
            Event::Failed(error) => panic!("{error}"),
        }
    }
    let finish = finish.unwrap();
    assert_eq!(finish.generated_tokens, ids.len());
    assert_eq!(finish.first_token.is_some(), !ids.is_empty());
    assert_eq!(finish.decode.is_some(), ids.len() > 1);
    (ids, finish)
}

/// Drops the engine, so that the model has done all it will do, and gives its calls.
pub(crate) fn settle(engine: Engine, calls: &Calls) -> Vec<Call> {
    drop(engine);
    calls.lock().unwrap().clone()
}
