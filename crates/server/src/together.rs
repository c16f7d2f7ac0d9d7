//! Turns or completions that are computed at once for one request. It must not know what is made of their events.

use std::future::poll_fn;
use std::task::{Context, Poll};

use agent::{Ending, RawEvent, TurnEvent};

use crate::error::ApiError;
use crate::turns::{Raw, Turn};

/// Something whose events are waited for.
pub(crate) trait Source {
    /// What happens.
    type Event;

    /// The next event; `Ready(None)` after the end.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Self::Event>>;

    /// How it ended, where this event is its end.
    fn ending(event: &Self::Event) -> Option<Ending>;

    /// How the engine failed, where it did.
    fn failure(&self) -> Option<&engine::Error>;
}

/// Several of them.
pub(crate) struct Together<S> {
    sources: Vec<Option<S>>,
    /// Who is looked at first, so that nobody is always the last.
    first: usize,
}

impl<S: Source> Together<S> {
    /// All of these.
    pub(crate) fn new(sources: Vec<S>) -> Self {
        Self { sources: sources.into_iter().map(Some).collect(), first: 0 }
    }

    /// The next event of any of them and whose it is; nothing when all have ended.
    ///
    /// # Errors
    /// When one of them has failed or was broken off: then there is no whole answer any more.
    pub(crate) async fn next(&mut self) -> Result<Option<(usize, S::Event)>, ApiError> {
        let Some((index, event)) = poll_fn(|context| self.poll(context)).await else { return Ok(None) };
        match S::ending(&event) {
            Some(Ending::Failed) => Err(ApiError::failed(self.sources[index].as_ref().and_then(S::failure))),
            Some(Ending::Cancelled) => Err(ApiError::overloaded("the server is shutting down; try again")),
            Some(_) | None => Ok(Some((index, event))),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<(usize, S::Event)>> {
        let count = self.sources.len();
        let mut waiting = false;
        for offset in 0..count {
            let index = (self.first + offset) % count;
            let Some(source) = &mut self.sources[index] else { continue };
            match source.poll_event(context) {
                Poll::Ready(Some(event)) => {
                    self.first = (index + 1) % count;
                    return Poll::Ready(Some((index, event)));
                }
                Poll::Ready(None) => self.sources[index] = None,
                Poll::Pending => waiting = true,
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(None) }
    }
}

impl Source for Turn {
    type Event = TurnEvent;

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<TurnEvent>> {
        self.poll_next(context)
    }

    fn ending(event: &TurnEvent) -> Option<Ending> {
        match event {
            TurnEvent::Finished(outcome) => Some(outcome.ending),
            _ => None,
        }
    }

    fn failure(&self) -> Option<&engine::Error> {
        Self::failure(self)
    }
}

impl Source for Raw {
    type Event = RawEvent;

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<RawEvent>> {
        self.poll_next(context)
    }

    fn ending(event: &RawEvent) -> Option<Ending> {
        match event {
            RawEvent::Finished(outcome) => Some(outcome.ending),
            _ => None,
        }
    }

    fn failure(&self) -> Option<&engine::Error> {
        Self::failure(self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Says these endings, each an event, as soon as it is asked.
    struct Ready(VecDeque<Option<Ending>>);

    impl Source for Ready {
        type Event = Option<Ending>;

        fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<Option<Self::Event>> {
            Poll::Ready(self.0.pop_front())
        }

        fn ending(event: &Self::Event) -> Option<Ending> {
            *event
        }

        fn failure(&self) -> Option<&engine::Error> {
            None
        }
    }

    fn together(endings: &[&[Option<Ending>]]) -> Together<Ready> {
        Together::new(endings.iter().map(|endings| Ready(endings.iter().copied().collect())).collect())
    }

    #[tokio::test]
    async fn whoever_always_has_something_to_say_does_not_silence_the_others() {
        let going_on = [None, None, Some(Ending::Answered)];
        let mut all = together(&[&going_on, &[], &going_on]);
        let mut order = Vec::new();
        while let Some((index, _)) = all.next().await.unwrap() {
            order.push(index);
        }
        assert_eq!(order, [0, 2, 0, 2, 0, 2]);
    }

    #[tokio::test]
    async fn one_that_is_lost_ends_all() {
        for (lost, status) in [(Ending::Failed, 500_u16), (Ending::Cancelled, 503)] {
            let mut all = together(&[&[Some(lost)], &[None]]);
            assert_eq!(all.next().await.unwrap_err().status, status);
        }
    }
}
