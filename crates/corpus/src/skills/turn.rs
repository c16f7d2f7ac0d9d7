//! One user message and its answer, put into a conversation: effort, system message, what stands around it. It must not
//! know what is asked.

use harmony::{Conversation, DeveloperContent, ReasoningEffort, ToolNamespace};

use super::{effort, system};
use crate::draw::Draw;
use crate::item::{Check, Item, Skill};

/// What the model thinks: each effort says what the one below says, and more.
pub(super) struct Thought {
    /// One short line.
    pub(super) low: String,
    /// The steps, added at medium effort.
    pub(super) medium: String,
    /// The check, added at high effort.
    pub(super) high: String,
}

impl Thought {
    pub(super) fn new(low: impl Into<String>, medium: impl Into<String>, high: impl Into<String>) -> Self {
        Self { low: low.into(), medium: medium.into(), high: high.into() }
    }

    pub(super) fn at(&self, effort: ReasoningEffort) -> String {
        match effort {
            ReasoningEffort::Low => self.low.clone(),
            ReasoningEffort::Medium => format!("{} {}", self.low, self.medium),
            ReasoningEffort::High => format!("{} {} {}", self.low, self.medium, self.high),
        }
    }
}

/// One exchange without tools.
pub(super) struct Turn {
    pub(super) user: String,
    pub(super) thought: Thought,
    pub(super) answer: String,
    pub(super) checks: Vec<Check>,
}

impl Turn {
    /// The item, now and then with instructions, an earlier exchange or a tool that change nothing.
    pub(super) fn item(self, skill: Skill, draw: &mut Draw) -> Item {
        let instructions = draw.chance(8).then(|| draw.pick(&PLAIN_INSTRUCTIONS).to_owned());
        self.instructed(skill, draw, instructions)
    }

    /// The item with a developer's instructions.
    pub(super) fn instructed(self, skill: Skill, draw: &mut Draw, instructions: Option<String>) -> Item {
        let effort = effort(draw);
        let system = system(draw, effort);
        let system = if draw.chance(3) { system.with_tools(ToolNamespace::python()) } else { system };
        let mut conversation = Conversation::default().with_system(system);
        if let Some(instructions) = instructions {
            conversation = conversation.with_developer(DeveloperContent::default().with_instructions(instructions));
        }
        let conversation = earlier(draw, conversation)
            .with_user(self.user)
            .with_assistant("analysis", self.thought.at(effort))
            .with_assistant("final", self.answer);
        Item { skill, effort, conversation, checks: self.checks }
    }
}

/// Instructions that the model follows by being itself.
const PLAIN_INSTRUCTIONS: [&str; 8] = [
    "Be kind.",
    "Be brief.",
    "Be kind and brief.",
    "You are a helpful assistant.",
    "Answer in English.",
    "Use short sentences.",
    "Help the user.",
    "Be honest.",
];

/// Earlier exchanges that say nothing about the next one.
const EARLIER: [(&str, &str); 5] = [
    ("Hello!", "Hello! How can I help you?"),
    ("Hi", "Hello! How can I help you?"),
    ("Can you help me?", "Yes, I am glad to help. What do you need?"),
    ("I have a question.", "Please ask. I am glad to help."),
    ("Thank you!", "You are welcome!"),
];

fn earlier(draw: &mut Draw, conversation: Conversation) -> Conversation {
    if !draw.chance(8) {
        return conversation;
    }
    let (user, answer) = EARLIER[draw.below(EARLIER.len())];
    conversation.with_user(user).with_assistant("final", answer)
}
