//! An item as tokens, and which of them the model writes itself. It must not know how anything is learnt.

use harmony::{AnalysisPolicy, Conversation, Message, RenderOptions, Renderer, Role, Vocabulary};

use crate::error::Error;
use crate::item::Item;
use crate::stream::turn_start;

/// A conversation as inference sees it, from the first token to the end of the last turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The tokens.
    pub ids: Vec<u32>,
    /// By token: whether the model writes it in its last turn. The rest is the prompt, the results of tools, and the
    /// `<|start|>assistant` that whoever runs the model puts before it after the prompt and after a result.
    pub learns: Vec<bool>,
}

/// Renders items with one vocabulary.
#[derive(Clone, Debug)]
pub struct DocumentRenderer {
    /// For what comes before the last turn: thoughts of earlier turns are dropped.
    prompt: Renderer,
    /// For the last turn, whose own thoughts are in sight while the model writes the rest of it.
    turn: Renderer,
    /// Tokens of `<|start|>assistant`.
    opening_tokens: usize,
}

impl DocumentRenderer {
    /// A renderer with the options that inference uses.
    ///
    /// # Errors
    /// If the vocabulary lacks a control token of harmony.
    pub fn new(vocabulary: &Vocabulary) -> Result<Self, Error> {
        let prompt = Renderer::new(vocabulary)?;
        let options = RenderOptions { analysis: AnalysisPolicy::Keep, ..RenderOptions::default() };
        let turn = prompt.clone().with_options(options);
        Ok(Self { prompt, turn, opening_tokens: 1 + vocabulary.encode(Role::Assistant.as_str()).len() })
    }

    /// The tokens of an item.
    ///
    /// # Errors
    /// A message that can not be rendered.
    pub fn document(&self, item: &Item) -> Result<Document, Error> {
        self.last_turn(&item.conversation)
    }

    /// The tokens of any conversation, of which the last turn is learnt: all that follows the last user message.
    ///
    /// # Errors
    /// As [`DocumentRenderer::document`].
    pub fn last_turn(&self, conversation: &Conversation) -> Result<Document, Error> {
        let messages = &conversation.messages;
        let start = turn_start(conversation);
        let mut ids = self.prompt.render_conversation(&Conversation::from(messages[..start].to_vec()))?;
        let mut learns = vec![false; ids.len()];
        for (index, message) in messages.iter().enumerate().skip(start) {
            // What the messages of a turn become depends on none before them.
            let alone = Conversation::from(vec![message.clone()]);
            let is_last = index + 1 == messages.len();
            let tokens =
                if is_last { self.turn.render_for_training(&alone)? } else { self.turn.render_conversation(&alone)? };
            let is_own = message.author.role == Role::Assistant;
            let opening = self.tokens_not_written(messages, start, index);
            learns.extend((0..tokens.len()).map(|place| is_own && place >= opening));
            ids.extend(tokens);
        }
        Ok(Document { ids, learns })
    }

    /// How many tokens at the head of an assistant's message stand there before the model writes: none after an own message
    /// that it ended with `<|end|>`, because then it goes on by itself.
    fn tokens_not_written(&self, messages: &[Message], start: usize, index: usize) -> usize {
        let goes_on = index > start && messages[index - 1].author.role == Role::Assistant;
        if goes_on && messages[index - 1].recipient.is_none() { 0 } else { self.opening_tokens }
    }
}
