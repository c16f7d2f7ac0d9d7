//! A conversation: messages in order, and short ways to write one; knows no tokens.

use serde::{Deserialize, Serialize};

use crate::chat::{Message, Role};
use crate::chat_content::{DeveloperContent, SystemContent};

/// Messages in order.
///
/// ```
/// use harmony::{Conversation, DeveloperContent, SystemContent};
/// let conversation = Conversation::default()
///     .with_system(SystemContent::default().with_date("2025-06-28"))
///     .with_developer(DeveloperContent::default().with_instructions("Be brief."))
///     .with_user("What is 2 + 2?");
/// assert_eq!(conversation.messages.len(), 3);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// The messages, oldest first.
    pub messages: Vec<Message>,
}

impl Conversation {
    /// Appends a system message.
    #[must_use]
    pub fn with_system(self, content: SystemContent) -> Self {
        self.with_message(Message::new(Role::System, content))
    }

    /// Appends a developer message.
    #[must_use]
    pub fn with_developer(self, content: DeveloperContent) -> Self {
        self.with_message(Message::new(Role::Developer, content))
    }

    /// Appends what the person says.
    #[must_use]
    pub fn with_user(self, text: impl Into<String>) -> Self {
        self.with_message(Message::new(Role::User, text.into()))
    }

    /// Appends what the model said on a channel.
    #[must_use]
    pub fn with_assistant(self, channel: impl Into<String>, text: impl Into<String>) -> Self {
        self.with_message(Message::new(Role::Assistant, text.into()).with_channel(channel))
    }

    /// Appends any message.
    #[must_use]
    pub fn with_message(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }
}

impl From<Vec<Message>> for Conversation {
    fn from(messages: Vec<Message>) -> Self {
        Self { messages }
    }
}
