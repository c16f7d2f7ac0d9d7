//! What all turns over one vocabulary share: masks of free text, and the tokens that frame messages. It must not know requests.

use std::sync::Arc;

use engine::Mask;
use grammar::{Limits, Tokens};
use harmony::{Parser, Role};

use crate::envelope::Envelope;

/// The frame of messages in one vocabulary.
pub(crate) struct Frame {
    tokens: Tokens,
    envelope: Envelope,
    /// Stands behind `<|start|>assistant`.
    parser: Parser,
    size: usize,
    endless: Arc<Mask>,
    ended: [(Vec<u32>, Arc<Mask>); 3],
    any: Arc<Mask>,
}

/// How a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// As a thought or an announcement does: another message follows.
    Message = 0,
    /// As an answer does.
    Answer = 1,
    /// As a call does.
    Call = 2,
}

/// Texts whose masks are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// Text that cannot end yet.
    Endless,
    /// Text that may end.
    Ended(Ends),
    /// Whatever comes.
    Any,
}

impl Frame {
    pub(crate) fn new(envelope: &Envelope) -> Result<Self, harmony::Error> {
        let (vocabulary, ids) = (&envelope.vocabulary, &envelope.ids);
        let size = vocabulary.size();
        let mut endless = Mask::none(size);
        let texts = (0..size as u32).filter(|&id| vocabulary.text_bytes(id).is_some());
        texts.for_each(|id| endless.allow(id));
        let ended = [vec![ids.end], vec![ids.return_, ids.end], vec![ids.call]].map(|ends| {
            let mut mask = endless.clone();
            ends.iter().for_each(|&id| mask.allow(id));
            (ends, Arc::new(mask))
        });
        let any = Arc::new(Mask::from_words(size, &vec![u32::MAX; size.div_ceil(32)]));
        let parser = Parser::new(vocabulary, Some(Role::Assistant))?;
        let (tokens, envelope) = (Tokens::new(vocabulary, Limits::default()), envelope.clone());
        Ok(Self { tokens, envelope, parser, size, endless: Arc::new(endless), ended, any })
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Tokens of the vocabulary.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// `<|start|>assistant`
    pub(crate) fn opening(&self) -> &[u32] {
        &self.envelope.opening
    }

    pub(crate) fn parser(&self) -> Parser {
        self.parser.clone()
    }

    pub(crate) fn ends(&self, ends: Ends) -> &[u32] {
        &self.ended[ends as usize].0
    }

    pub(crate) fn text(&self, text: Text) -> Arc<Mask> {
        Arc::clone(match text {
            Text::Endless => &self.endless,
            Text::Ended(ends) => &self.ended[ends as usize].1,
            Text::Any => &self.any,
        })
    }

    /// The mask of these tokens alone.
    pub(crate) fn only(&self, ids: &[u32]) -> Arc<Mask> {
        let mut mask = Mask::none(self.size);
        ids.iter().for_each(|&id| mask.allow(id));
        Arc::new(mask)
    }
}
