//! Where a token lies: inside a reasoning message or not. It must not know what is done about it.

use super::ReasoningShape;

/// Follows the messages of one sequence, prompt and output alike.
pub(super) struct Reasoning {
    open: Vec<u32>,
    ends: Vec<u32>,
    /// The newest tokens outside reasoning, as many as `open` has at most.
    recent: Vec<u32>,
    inside: bool,
}

/// Where a token lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In another message, in a header, or the end of a reasoning message.
    Outside,
    /// The last of the tokens that open reasoning.
    Opened,
    /// A token of the reasoning itself.
    Inside,
}

impl Reasoning {
    pub(super) fn new(shape: &ReasoningShape) -> Self {
        let ReasoningShape { open, ends, close: _ } = shape.clone();
        Self { recent: Vec::with_capacity(open.len()), open, ends, inside: false }
    }

    /// Takes the next token of the sequence.
    pub(super) fn push(&mut self, id: u32) -> Place {
        if self.inside {
            self.inside = !self.ends.contains(&id);
            return if self.inside { Place::Inside } else { Place::Outside };
        }
        if self.recent.len() == self.open.len() {
            self.recent.remove(0);
        }
        self.recent.push(id);
        if self.recent != self.open {
            return Place::Outside;
        }
        self.recent.clear();
        self.inside = true;
        Place::Opened
    }
}
