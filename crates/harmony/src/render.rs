//! From a conversation to tokens, equal to the official library's renderer token for token.
//!
//! All text goes through [`Vocabulary::encode_into`], so nothing a person or a tool writes can become a control token;
//! the header fields are checked so that they can not be read as another header.

mod header;
mod json_text;
mod resolve;
mod sections;
mod typescript;

use crate::chat::{Content, Message, Role};
use crate::conversation::Conversation;
use crate::error::Error;
use crate::vocabulary::{HarmonyIds, Vocabulary};

/// Renders conversations with one vocabulary.
#[derive(Clone, Debug)]
pub struct Renderer {
    vocabulary: Vocabulary,
    ids: HarmonyIds,
    options: RenderOptions,
}

/// What is rendered, where there is a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RenderOptions {
    /// Which earlier thoughts stay.
    pub analysis: AnalysisPolicy,
    /// How schemas become types.
    pub schemas: SchemaRendering,
}

impl RenderOptions {
    /// What the official library does by default.
    pub const LIBRARY: Self = Self { analysis: AnalysisPolicy::BeforeFirstFinal, schemas: SchemaRendering::Library };
}

/// Which thoughts (analysis messages) of earlier turns are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnalysisPolicy {
    /// The documented rule: drop the assistant's thoughts before the last final answer, keep all since. Calls of tools
    /// and their results stay, on whatever channel they are.
    #[default]
    BeforeLastFinal,
    /// What the official library does: drop every message on the analysis channel before the *first* final answer,
    /// and only if the assistant's last message is a final answer.
    BeforeFirstFinal,
    /// Keep everything.
    Keep,
}

/// How the JSON Schema of a tool becomes a type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchemaRendering {
    /// References are resolved, `anyOf`, `allOf` and `const` are put in terms that have a rendering.
    #[default]
    Resolved,
    /// As the official library: what it does not know is `any`.
    Library,
}

impl Renderer {
    /// A renderer with the default options.
    ///
    /// # Errors
    /// If the vocabulary lacks a control token of harmony.
    pub fn new(vocabulary: &Vocabulary) -> Result<Self, Error> {
        let ids = vocabulary.harmony_ids()?;
        Ok(Self { vocabulary: vocabulary.clone(), ids, options: RenderOptions::default() })
    }

    /// Sets the options.
    #[must_use]
    pub fn with_options(mut self, options: RenderOptions) -> Self {
        self.options = options;
        self
    }

    /// The messages, and no more.
    ///
    /// # Errors
    /// Content that does not belong to its role, a tool without a name, a header field that could forge another.
    pub fn render_conversation(&self, conversation: &Conversation) -> Result<Vec<u32>, Error> {
        let mut tokens = Vec::new();
        let has_functions = has_functions(&conversation.messages);
        for (index, message) in conversation.messages.iter().enumerate() {
            if !self.drops(&conversation.messages, index) {
                self.render_message(index, message, has_functions, &mut tokens)?;
            }
        }
        Ok(tokens)
    }

    /// The messages and the beginning of the next one, for the model to go on.
    ///
    /// # Errors
    /// As [`Renderer::render_conversation`].
    pub fn render_for_completion(&self, conversation: &Conversation, next: Role) -> Result<Vec<u32>, Error> {
        let mut tokens = self.render_conversation(conversation)?;
        tokens.push(self.ids.start);
        self.vocabulary.encode_into(next.as_str(), &mut tokens);
        Ok(tokens)
    }

    /// The messages, with the assistant's last final answer ended as the model ends it when it is done.
    ///
    /// # Errors
    /// As [`Renderer::render_conversation`].
    pub fn render_for_training(&self, conversation: &Conversation) -> Result<Vec<u32>, Error> {
        let mut tokens = self.render_conversation(conversation)?;
        let ends_final = conversation.messages.last().is_some_and(is_final_answer);
        if let Some(last) = tokens.last_mut().filter(|_| ends_final) {
            *last = self.ids.return_;
        }
        Ok(tokens)
    }

    /// Whether the message at `index` is a thought that the policy drops.
    fn drops(&self, messages: &[Message], index: usize) -> bool {
        let message = &messages[index];
        if message.channel.as_deref() != Some("analysis") {
            return false;
        }
        match self.options.analysis {
            AnalysisPolicy::Keep => false,
            AnalysisPolicy::BeforeLastFinal => {
                let thought = message.author.role == Role::Assistant && message.recipient.is_none();
                thought && messages[index..].iter().any(is_final_answer)
            }
            AnalysisPolicy::BeforeFirstFinal => {
                let first_final = messages.iter().position(|message| message.channel.as_deref() == Some("final"));
                let last_of_assistant = messages.iter().rfind(|message| message.author.role == Role::Assistant);
                first_final.is_some_and(|first| index < first) && last_of_assistant.is_some_and(is_final_answer)
            }
        }
    }

    fn render_message(
        &self,
        index: usize,
        message: &Message,
        has_functions: bool,
        tokens: &mut Vec<u32>,
    ) -> Result<(), Error> {
        self.render_header(index, message, tokens)?;
        for part in &message.content {
            let text = match part {
                Content::Text { text } => text,
                Content::System(content) => {
                    expect_role(index, message, "system", Role::System)?;
                    &sections::system_text(content, has_functions, self.options.schemas)
                }
                Content::Developer(content) => {
                    expect_role(index, message, "developer", Role::Developer)?;
                    &sections::developer_text(content, self.options.schemas)
                }
            };
            self.vocabulary.encode_into(text, tokens);
        }
        let is_call = message.author.role == Role::Assistant && message.recipient.is_some();
        tokens.push(if is_call { self.ids.call } else { self.ids.end });
        Ok(())
    }
}

fn expect_role(index: usize, message: &Message, content: &'static str, expected: Role) -> Result<(), Error> {
    let found = message.author.role;
    if found == expected { Ok(()) } else { Err(Error::ContentRole { index, content, expected, found }) }
}

fn is_final_answer(message: &Message) -> bool {
    message.author.role == Role::Assistant && message.channel.as_deref() == Some("final")
}

/// Whether the system message must say where calls of functions go.
fn has_functions(messages: &[Message]) -> bool {
    messages.iter().flat_map(|message| &message.content).any(|part| match part {
        Content::Text { .. } | Content::System(_) => false,
        Content::Developer(content) => {
            let functions = content.tools.as_ref().and_then(|tools| tools.get("functions"));
            functions.is_some_and(|namespace| !namespace.tools.is_empty())
        }
    })
}
