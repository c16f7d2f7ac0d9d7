//! The messages of a conversation as data, in the JSON form of the official harmony library; knows no tokens.

use std::fmt;
use std::str::FromStr;

use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::chat_content::{DeveloperContent, SystemContent};
use crate::error::Error;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Fixed facts about the model, the date, effort and built-in tools.
    System,
    /// Instructions and function tools of whoever built the application.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's result; the author's name is the tool's.
    Tool,
}

impl Role {
    /// The role as written in a message header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        match word {
            "system" => Ok(Self::System),
            "developer" => Ok(Self::Developer),
            "user" => Ok(Self::User),
            "assistant" => Ok(Self::Assistant),
            "tool" => Ok(Self::Tool),
            _ => Err(Error::UnknownName {
                what: "role",
                found: word.to_owned(),
                known: "system, developer, user, assistant, tool",
            }),
        }
    }
}

/// A role and, for tools always and for others sometimes, a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// Who speaks.
    pub role: Role,
    /// The tool's name, or a name of the user or assistant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl From<Role> for Author {
    fn from(role: Role) -> Self {
        Self { role, name: None }
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    #[serde(flatten)]
    pub author: Author,
    /// To whom, if not to all: a tool's name in a call, `assistant` in a tool's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The text, in one or several parts that are joined without a separator. In JSON a plain string is accepted too.
    #[serde(deserialize_with = "content_from_json", serialize_with = "content_to_json")]
    pub content: Vec<Content>,
    /// `analysis`, `commentary` or `final`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// `<|constrain|>json`, `json`, `code`: how the content is to be read. The prefix `<|constrain|>` is the one
    /// place where a field becomes a control token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

impl Message {
    /// A message with one part and nothing else set.
    pub fn new(author: impl Into<Author>, content: impl Into<Content>) -> Self {
        Self {
            author: author.into(),
            recipient: None,
            content: vec![content.into()],
            channel: None,
            content_type: None,
        }
    }

    /// What a tool answered to a call: from the tool to the assistant, on the channel of the call.
    pub fn tool_result(tool: impl Into<String>, channel: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(Author { role: Role::Tool, name: Some(tool.into()) }, text.into())
            .with_recipient("assistant")
            .with_channel(channel)
    }

    /// Sets the channel.
    #[must_use]
    pub fn with_channel(mut self, channel: impl Into<String>) -> Self {
        self.channel = Some(channel.into());
        self
    }

    /// Sets the recipient.
    #[must_use]
    pub fn with_recipient(mut self, recipient: impl Into<String>) -> Self {
        self.recipient = Some(recipient.into());
        self
    }

    /// Sets the content type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// The text parts joined; system and developer content is not text and is left out.
    pub fn text(&self) -> String {
        self.content
            .iter()
            .filter_map(|part| match part {
                Content::Text { text } => Some(text.as_str()),
                Content::System(_) | Content::Developer(_) => None,
            })
            .collect()
    }
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Content {
    /// Plain text.
    #[serde(rename = "text")]
    Text {
        /// The text itself.
        text: String,
    },
    /// The fields of a system message.
    #[serde(rename = "system_content")]
    System(SystemContent),
    /// The fields of a developer message.
    #[serde(rename = "developer_content")]
    Developer(DeveloperContent),
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text { text: text.to_owned() }
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text { text }
    }
}

impl From<SystemContent> for Content {
    fn from(content: SystemContent) -> Self {
        Self::System(content)
    }
}

impl From<DeveloperContent> for Content {
    fn from(content: DeveloperContent) -> Self {
        Self::Developer(content)
    }
}

fn content_from_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Content>, D::Error> {
    struct TextOrParts;

    impl<'de> Visitor<'de> for TextOrParts {
        type Value = Vec<Content>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a string or a list of content parts")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![text.into()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Self::Value, A::Error> {
            Deserialize::deserialize(SeqAccessDeserializer::new(parts))
        }
    }

    deserializer.deserialize_any(TextOrParts)
}

fn content_to_json<S: Serializer>(parts: &[Content], serializer: S) -> Result<S::Ok, S::Error> {
    match parts {
        [Content::Text { text }] => serializer.serialize_str(text),
        several => several.serialize(serializer),
    }
}
