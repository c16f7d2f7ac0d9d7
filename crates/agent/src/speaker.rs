//! From messages to the events of a turn: one item after another, text that is sure, whole items. It must not know the engine.

use std::collections::VecDeque;

use crate::event::{Opening, TokenLogprob, TurnEvent};
use crate::item::{Call, Part, Phase, Said};
use crate::policy::{Kind, Policy};
use crate::stops::{Given, Outlet, Stops};

/// Says items.
#[derive(Debug)]
pub(crate) struct Speaker {
    stops: Stops,
    events: VecDeque<TurnEvent>,
    items: usize,
    open: Option<Open>,
}

/// The item that is being said.
#[derive(Debug)]
struct Open {
    kind: Kind,
    opening: Opening,
    /// The channel of its header.
    channel: Option<String>,
    outlet: Outlet,
    text: String,
}

/// An item that is over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Over {
    pub(crate) kind: Kind,
    pub(crate) part: Part,
    pub(crate) channel: Option<String>,
}

impl Speaker {
    pub(crate) fn new(stops: Stops) -> Self {
        Self { stops, events: VecDeque::new(), items: 0, open: None }
    }

    pub(crate) fn next_event(&mut self) -> Option<TurnEvent> {
        self.events.pop_front()
    }

    /// Adds an event that belongs to no item.
    pub(crate) fn tell(&mut self, event: TurnEvent) {
        self.events.push_back(event);
    }

    /// Items that have begun.
    pub(crate) fn items(&self) -> usize {
        self.items
    }

    /// The kind of the item that is open.
    pub(crate) fn kind(&self) -> Option<&Kind> {
        self.open.as_ref().map(|open| &open.kind)
    }

    /// An item begins; `call_id` names it if it is a call.
    pub(crate) fn begin(
        &mut self,
        kind: Kind,
        policy: &Policy,
        channel: Option<String>,
        call_id: impl FnOnce() -> String,
    ) {
        let (opening, stops) = match &kind {
            Kind::Thought => (Opening::Reasoning, Stops::default()),
            Kind::Message(Phase::Commentary) => (Opening::Message(Phase::Commentary), Stops::default()),
            Kind::Message(Phase::Final) => (Opening::Message(Phase::Final), self.stops.clone()),
            Kind::Call(tool) => {
                let (tool, kind) = (policy.name(*tool).clone(), policy.callee(*tool).kind);
                (Opening::Call { id: call_id(), tool, kind }, Stops::default())
            }
        };
        self.events.push_back(TurnEvent::Began { index: self.items, opening: opening.clone() });
        self.items += 1;
        self.open = Some(Open { kind, opening, channel, outlet: Outlet::new(stops), text: String::new() });
    }

    /// The next text is this token's, whose log probability was asked for.
    pub(crate) fn token(&mut self, logprob: TokenLogprob) {
        if let Some(open) = self.open.as_mut().filter(|open| matches!(open.kind, Kind::Message(_))) {
            open.outlet.token(logprob);
        }
    }

    /// More text; which stop text has come with it.
    pub(crate) fn text(&mut self, text: &str) -> Option<usize> {
        let given = self.open.as_mut()?.outlet.push(text);
        let stopped = given.stopped;
        self.give(given);
        stopped
    }

    /// The item is over.
    pub(crate) fn end(&mut self, tokens: Option<Vec<u32>>, cut: bool) -> Option<Over> {
        let given = self.open.as_mut()?.outlet.finish();
        self.give(given);
        let Open { kind, opening, channel, outlet: _, text } = self.open.take()?;
        let part = match opening {
            Opening::Reasoning => Part::Reasoning(text),
            Opening::Message(phase) => Part::Message { phase, text },
            Opening::Call { id, tool, kind } => Part::Call(Call { id, tool, kind, input: text }),
        };
        let said = Said { part: part.clone(), tokens };
        self.events.push_back(TurnEvent::Ended { index: self.items - 1, said, cut });
        Some(Over { kind, part, channel })
    }

    fn give(&mut self, given: Given) {
        let Some(open) = self.open.as_mut().filter(|_| !given.is_empty()) else { return };
        open.text.push_str(&given.text);
        let Given { text, logprobs, stopped: _ } = given;
        self.events.push_back(TurnEvent::Delta { index: self.items - 1, text, logprobs });
    }
}
