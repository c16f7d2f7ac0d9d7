//! The synthetic corpus of the model that ships with Glossa: seeded conversations, correct by construction.
//!
//! It must not know tensors, training or sampling. An item is a conversation with its ideal last turn and the checks that a
//! model's own last turn must pass; the same seed and index give the same item for ever, on every machine.

mod document;
mod draw;
mod error;
mod item;
mod judge;
mod skill;
mod skills;
mod stream;
mod vocabulary;

pub use document::{Document, DocumentRenderer};
pub use draw::Draw;
pub use error::Error;
pub use item::{Check, Item};
pub use judge::{Judge, Verdict, is_well_formed, results_of_last_call};
pub use skill::Skill;
pub use stream::{Mixture, Split, Stream, is_held_out};
pub use vocabulary::{VOCABULARY_TOKENS, tokenizer_json};

/// The item of a skill, a seed and an index.
#[must_use]
pub fn item(skill: Skill, seed: u64, index: u64) -> Item {
    skills::draw(skill, &mut Draw::new(seed ^ ((skill as u64 + 1) << 56), index))
}
