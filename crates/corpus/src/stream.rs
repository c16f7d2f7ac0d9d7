//! Items without end, at random access: the mixture of skills and the line between training and held-out prompts.
//!
//! It must not know what the skills say or how items become tokens.

use std::collections::BTreeMap;

use harmony::{Conversation, Role};
use serde::{Deserialize, Serialize};

use crate::draw::Draw;
use crate::error::Error;
use crate::item::Item;
use crate::skill::Skill;

/// One prompt in so many is held out.
const CLASSES: u64 = 32;
/// An item is redrawn at most so often until its prompt falls on the stream's side of the line. Of a skill that holds prompts
/// out, a held-out prompt is missed that often once in 10⁵⁶.
const DRAWS_MAX: u64 = 1 << 12;
/// The largest weight of a skill.
const WEIGHT_MAX: usize = 1_000_000;
/// Keeps the items of the two splits apart, also where no prompts are held out.
const HELD_OUT_SEED: u64 = 0x6865_6c64_206f_7574;
/// Keeps the choice of skills apart from the items' own choices.
const SKILL_SEED: u64 = 0x736b_696c_6c73;

/// How often each skill occurs. As data it is a table from names to weights, in which skills that are not named keep their
/// default weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<Skill, usize>", into = "BTreeMap<Skill, usize>")]
pub struct Mixture {
    /// In the order of [`Skill::ALL`]; at least one is not 0.
    weights: [usize; Skill::ALL.len()],
}

impl Default for Mixture {
    fn default() -> Self {
        let weight = |skill| match skill {
            Skill::Arithmetic => 22,
            Skill::Functions => 14,
            Skill::Manual => 12,
            Skill::Structured => 10,
            Skill::Injection => 8,
            Skill::Python | Skill::Story => 7,
            Skill::Extraction => 6,
            Skill::Recall | Skill::Unknown | Skill::Chat => 5,
            Skill::Hierarchy => 4,
            Skill::Identity | Skill::Refusal | Skill::Summary | Skill::Preamble | Skill::Copying => 3,
        };
        Self { weights: Skill::ALL.map(weight) }
    }
}

impl Mixture {
    /// One skill and no other.
    #[must_use]
    pub fn only(skill: Skill) -> Self {
        Self { weights: Skill::ALL.map(|other| usize::from(other == skill)) }
    }

    /// Sets the weights of some skills.
    ///
    /// # Errors
    /// A weight over a million, or nothing left.
    pub fn with(mut self, weights: impl IntoIterator<Item = (Skill, usize)>) -> Result<Self, Error> {
        for (skill, weight) in weights {
            if weight > WEIGHT_MAX {
                return Err(Error::WeightTooLarge { skill: skill.name(), found: weight, most: WEIGHT_MAX });
            }
            self.weights[skill as usize] = weight;
        }
        if self.weights.iter().all(|&weight| weight == 0) { Err(Error::MixtureEmpty) } else { Ok(self) }
    }

    /// The weight of a skill.
    #[must_use]
    pub fn weight(&self, skill: Skill) -> usize {
        self.weights[skill as usize]
    }
}

impl TryFrom<BTreeMap<Skill, usize>> for Mixture {
    type Error = Error;

    fn try_from(weights: BTreeMap<Skill, usize>) -> Result<Self, Error> {
        Self::default().with(weights)
    }
}

impl From<Mixture> for BTreeMap<Skill, usize> {
    fn from(mixture: Mixture) -> Self {
        Skill::ALL.into_iter().zip(mixture.weights).collect()
    }
}

/// Which side of the line between seen and unseen prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// What is learnt from.
    Train,
    /// What is measured on: prompts that no training stream of any seed gives, for skills that
    /// [hold prompts out](Skill::holds_prompts_out); of the others, items of another seed.
    HeldOut,
}

/// Items without end. The same seed, split, mixture and index give the same item for ever.
#[derive(Clone, Debug)]
pub struct Stream {
    seed: u64,
    split: Split,
    mixture: Mixture,
    /// The mixture of the first so many items, where it is another.
    early: Option<(u64, Mixture)>,
}

impl Stream {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64, split: Split, mixture: Mixture) -> Self {
        let seed = match split {
            Split::Train => seed,
            Split::HeldOut => seed ^ HELD_OUT_SEED,
        };
        Self { seed, split, mixture, early: None }
    }

    /// Begins with so many items of another mixture.
    #[must_use]
    pub fn beginning_with(mut self, items: u64, mixture: Mixture) -> Self {
        self.early = Some((items, mixture));
        self
    }

    /// The item at an index.
    ///
    /// # Panics
    /// When a skill that holds prompts out has so few of them that none is on this side of the line.
    #[must_use]
    pub fn item(&self, index: u64) -> Item {
        let early = self.early.as_ref().filter(|(items, _)| index < *items);
        let weights = &early.map_or(&self.mixture, |(_, mixture)| mixture).weights;
        let skill = Skill::ALL[Draw::new(self.seed ^ SKILL_SEED, index).weighted(weights)];
        let mut items = (0..DRAWS_MAX).map(|draw| crate::item(skill, self.seed, index.wrapping_mul(DRAWS_MAX) + draw));
        let item = items.find(|item| {
            !skill.holds_prompts_out() || is_held_out(&item.conversation) == (self.split == Split::HeldOut)
        });
        item.unwrap_or_else(|| panic!("{skill} has too few prompts to hold some out"))
    }
}

/// Whether the prompt of a conversation is one of those that are only measured on: by a hash of everything before the last
/// turn but the system message, so that neither date nor effort brings a held-out question into training.
#[must_use]
pub fn is_held_out(conversation: &Conversation) -> bool {
    let mut hash = Fnv::default();
    let messages = &conversation.messages[..turn_start(conversation)];
    for message in messages.iter().filter(|message| message.author.role != Role::System) {
        let text = serde_json::to_string(message).expect("a message is plain data with names for keys");
        hash.write(text.as_bytes());
        hash.write(b"\n");
    }
    // The high bits, which all bytes have reached.
    (hash.0 >> 32).is_multiple_of(CLASSES)
}

/// Where the last turn begins: behind the last user message.
pub(crate) fn turn_start(conversation: &Conversation) -> usize {
    let last_user = conversation.messages.iter().rposition(|message| message.author.role == Role::User);
    last_user.map_or(0, |index| index + 1)
}

/// FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>): its own few lines, because the line between training and held-out
/// prompts must never move.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Fnv;

    #[test]
    fn the_hash_is_fnv_1a() {
        for (text, expected) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            let mut hash = Fnv::default();
            hash.write(text.as_bytes());
            assert_eq!(hash.0, expected, "{text:?}");
        }
    }
}
