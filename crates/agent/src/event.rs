//! What happens in a turn, as one typed stream. It must not know wire formats.
//!
//! The order is part of the promise: `Reading` any number of times, then for each item `Began`, any number of `Delta` and `Ended`,
//! one item after another with indices from 0 without gaps, then `Finished` once; nothing follows. Between items a built-in tool may
//! run: `ToolBegan` and `ToolEnded`, both behind the call's `Ended` and before the next item. Deltas of an item, put together,
//! are the text of its `Ended`.

use engine::GuardReport;

use crate::item::{CallKind, Phase, Said, ToolName};

/// What happens in a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum TurnEvent {
    /// So many tokens of the prompt have been read.
    Reading {
        /// Tokens read, or found in the prefix cache.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// An item begins.
    Began {
        /// Which item of this turn, from 0.
        index: usize,
        /// What it will be.
        opening: Opening,
    },
    /// More of the item that began last; never half a character. Text and log probabilities may be empty, not both.
    Delta {
        /// Which item.
        index: usize,
        /// More of its text.
        text: String,
        /// Of the tokens that this text came from, where they were asked for (messages only).
        logprobs: Vec<TokenLogprob>,
    },
    /// The item that began last is over.
    Ended {
        /// Which item.
        index: usize,
        /// The whole item.
        said: Said,
        /// Whether it was cut off, by a limit or a cancellation.
        cut: bool,
    },
    /// A built-in tool begins to work on the call that ended last.
    ToolBegan {
        /// The call.
        call_id: String,
    },
    /// The built-in tool has answered.
    ToolEnded {
        /// The call.
        call_id: String,
        /// What the model is told: [`crate::Item::Output`] of a later conversation.
        output: String,
    },
    /// The turn is over.
    Finished(Outcome),
}

/// What an item will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A thought.
    Reasoning,
    /// Text for whoever asked.
    Message(Phase),
    /// A call of a tool.
    Call {
        /// Names the call.
        id: String,
        /// Whom it calls.
        tool: ToolName,
        /// How its input is to be read.
        kind: CallKind,
    },
}

/// A token, how likely the model found it, and what else it might have said.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// Its id.
    pub id: u32,
    /// Its bytes; a character may be cut between tokens. Of a control token they are its spelling.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// The likeliest tokens at this place: bytes and natural logarithm, most likely first.
    pub top: Vec<(Vec<u8>, f32)>,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Why.
    pub ending: Ending,
    /// Tokens that it took.
    pub usage: Usage,
    /// What ended the reasoning, if a guard did.
    pub guard: Option<GuardReport>,
    /// Items of the history that were left out because the conversation was longer than the context.
    pub dropped_items: usize,
}

/// Why a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The model answered.
    Answered,
    /// The model calls tools of the caller's and waits for their outputs.
    Called,
    /// A stop text came; which of them.
    StopText(usize),
    /// `output_tokens_max` was reached.
    OutputTokens,
    /// The context is full.
    Context,
    /// The memory for keys and values is full, though nobody else uses it.
    Memory,
    /// The deadline has passed.
    Deadline,
    /// The turn was cancelled, or the engine stopped.
    Cancelled,
    /// The engine failed; [`crate::Turn::failure`] says how.
    Failed,
}

/// Tokens that a turn took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt, of all rounds' new parts.
    pub input_tokens: usize,
    /// Of those, how many were found in the prefix cache.
    pub cached_tokens: usize,
    /// Tokens generated, headers included.
    pub output_tokens: usize,
    /// Of those, how many were thoughts.
    pub reasoning_tokens: usize,
}
