//! The list of skills and their names. It must not know what any of them says.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What an item teaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Skill {
    /// Sums, differences and small products, digit by digit.
    Arithmetic,
    /// Units and dates through the `python` tool.
    Python,
    /// Questions about Glossa's manual through `browser.search` and `browser.open`, answered with a citation.
    Manual,
    /// A developer's functions with random names and schemas.
    Functions,
    /// A final answer in the form of a random JSON Schema.
    Structured,
    /// Facts out of a given text.
    Extraction,
    /// A sentence or two for a given text.
    Summary,
    /// Names and numbers from earlier turns.
    Recall,
    /// Developer over user.
    Hierarchy,
    /// Orders inside a tool's text are not obeyed.
    Injection,
    /// What it cannot know, it says it does not know.
    Unknown,
    /// Who it is and what it is not; points to the real weights.
    Identity,
    /// Harmful or impossible wishes are declined.
    Refusal,
    /// Greetings, thanks and small questions.
    Chat,
    /// A short word to the user on the commentary channel before calls.
    Preamble,
    /// Small stories, for long streams.
    Story,
    /// Repeating and looking up, to the letter.
    Copying,
}

impl Skill {
    /// Every skill, in the order of the variants.
    pub const ALL: [Self; 17] = [
        Self::Arithmetic,
        Self::Python,
        Self::Manual,
        Self::Functions,
        Self::Structured,
        Self::Extraction,
        Self::Summary,
        Self::Recall,
        Self::Hierarchy,
        Self::Injection,
        Self::Unknown,
        Self::Identity,
        Self::Refusal,
        Self::Chat,
        Self::Preamble,
        Self::Story,
        Self::Copying,
    ];

    /// The name, as recipes and reports write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arithmetic => "arithmetic",
            Self::Python => "python",
            Self::Manual => "manual",
            Self::Functions => "functions",
            Self::Structured => "structured",
            Self::Extraction => "extraction",
            Self::Summary => "summary",
            Self::Recall => "recall",
            Self::Hierarchy => "hierarchy",
            Self::Injection => "injection",
            Self::Unknown => "unknown",
            Self::Identity => "identity",
            Self::Refusal => "refusal",
            Self::Chat => "chat",
            Self::Preamble => "preamble",
            Self::Story => "story",
            Self::Copying => "copying",
        }
    }

    /// Whether there are so many prompts that some of them can be held out of training. Where there are few (a greeting can
    /// be worded in so many ways and no more), held-out items are other items with prompts that training may have seen.
    #[must_use]
    pub const fn holds_prompts_out(self) -> bool {
        match self {
            Self::Identity | Self::Refusal | Self::Chat | Self::Story => false,
            Self::Arithmetic
            | Self::Python
            | Self::Manual
            | Self::Functions
            | Self::Structured
            | Self::Extraction
            | Self::Summary
            | Self::Recall
            | Self::Hierarchy
            | Self::Injection
            | Self::Unknown
            | Self::Preamble
            | Self::Copying => true,
        }
    }
}

impl fmt::Display for Skill {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Skill {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let skill = Self::ALL.into_iter().find(|skill| skill.name() == name);
        skill.ok_or_else(|| Error::SkillUnknown { found: name.to_owned(), known: known() })
    }
}
