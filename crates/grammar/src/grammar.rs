//! A compiled grammar, and the place of one text in it. It must not know how grammars are written or compiled.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ::engine::Mask;
use llguidance::Matcher as Parser;

use crate::error::Error;
use crate::recent::Recent;
use crate::tokens::Engine;

/// Forced tokens are told at most so many at once.
const FORCED_TOKENS_MAX: usize = 64;
/// Masks are kept for texts of at most so many tokens: beyond, hardly two texts are the same.
const KEPT_PATH_TOKENS_MAX: usize = 48;

/// A compiled grammar. Cheap to clone: clones share what was learnt about it.
#[derive(Clone)]
pub struct Grammar {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Arc<Engine>,
    /// At the beginning of a text; cloned for each.
    fresh: Mutex<Parser>,
    with_specials: bool,
    masks: Mutex<Recent<Vec<u32>, Arc<Mask>>>,
    spoiled: AtomicBool,
}

/// Where one text stands in a grammar.
#[derive(Clone)]
pub struct Matcher {
    grammar: Grammar,
    parser: Parser,
    /// The tokens so far, as long as they are few.
    path: Option<Vec<u32>>,
    tokens: usize,
    /// Tokens that were found to be forced and have not come yet: looking for them reads all text that is certain.
    ahead: VecDeque<u32>,
    /// Whether the last mask had nothing in it.
    ended: bool,
}

impl Grammar {
    pub(crate) fn new(engine: Arc<Engine>, parser: Parser, with_specials: bool, masks_kept: usize) -> Self {
        let masks = Mutex::new(Recent::new(masks_kept));
        let spoiled = AtomicBool::new(false);
        Self { shared: Arc::new(Shared { engine, fresh: Mutex::new(parser), with_specials, masks, spoiled }) }
    }

    /// The beginning of a text.
    #[must_use]
    pub fn matcher(&self) -> Matcher {
        let parser = self.shared.fresh.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Matcher {
            grammar: self.clone(),
            parser,
            path: Some(Vec::new()),
            tokens: 0,
            ahead: VecDeque::new(),
            ended: false,
        }
    }

    /// Whether a limit was reached in it. All texts of a grammar share its automata, so it is compiled anew for the next.
    pub(crate) fn is_spoiled(&self) -> bool {
        self.shared.spoiled.load(Ordering::Relaxed)
    }

    fn failed(&self, error: &dyn fmt::Display) -> Error {
        self.shared.spoiled.store(true, Ordering::Relaxed);
        Error::from_library("text under a grammar", error)
    }
}

impl Matcher {
    /// The tokens that may come next, the end of the text not among them: none where the text can only end here.
    ///
    /// # Errors
    /// When a limit is reached. The matcher is of no use afterwards.
    pub fn mask(&mut self) -> Result<Arc<Mask>, Error> {
        let kept = self.path.as_ref().and_then(|path| self.masks().get(path.as_slice()));
        if let Some(mask) = kept {
            self.ended = mask.count() == 0;
            return Ok(mask);
        }
        let mask = Arc::new(self.compute()?);
        self.ended = mask.count() == 0;
        if let Some(path) = &self.path {
            self.masks().keep(path.clone(), Arc::clone(&mask));
        }
        Ok(mask)
    }

    /// Whether the text may end here.
    pub fn is_complete(&mut self) -> bool {
        // Once it is over the library only says that it has stopped.
        self.is_over() || self.parser.is_accepting().unwrap_or(false)
    }

    /// Whether nothing may follow: the text is complete and cannot be longer. Sometimes only known once a mask was asked for.
    #[must_use]
    pub fn is_over(&self) -> bool {
        (self.ended || self.parser.is_stopped()) && !self.parser.is_error()
    }

    /// Takes the token that came.
    ///
    /// # Errors
    /// When it may not come here, or a limit is reached. The matcher is of no use afterwards.
    pub fn push(&mut self, id: u32) -> Result<(), Error> {
        if id == self.grammar.shared.engine.eos || self.is_over() {
            return Err(Error::Token { id });
        }
        match self.parser.try_consume_tokens(&[id]) {
            Ok(1) => {
                self.tokens += 1;
                if self.ahead.pop_front() != Some(id) {
                    self.ahead.clear();
                }
                let is_short = self.tokens <= KEPT_PATH_TOKENS_MAX;
                self.path = self.path.take().filter(|_| is_short);
                self.path.iter_mut().for_each(|path| path.push(id));
                Ok(())
            }
            // Another text under the same grammar reached a limit, and nothing is accepted any more.
            Ok(_) if self.grammar.is_spoiled() => Err(Error::limit("the automata of the grammar", "an earlier text")),
            Ok(_) => Err(Error::Token { id }),
            Err(error) => Err(self.grammar.failed(&error)),
        }
    }

    /// Tokens that must come next, in the tokenizer's own spelling; those at the end that could still join with what follows are left
    /// out. They are not taken: push them. At most 64.
    pub fn forced(&mut self) -> Vec<u32> {
        if self.is_over() || self.parser.is_error() {
            return Vec::new();
        }
        if self.ahead.is_empty() {
            self.ahead = self.parser.compute_ff_tokens().into();
        }
        self.ahead.iter().take(FORCED_TOKENS_MAX).copied().collect()
    }

    fn compute(&mut self) -> Result<Mask, Error> {
        let engine = Arc::clone(&self.grammar.shared.engine);
        if self.is_over() {
            return Ok(Mask::none(engine.size));
        }
        // The library gives an error for a mask with nothing in it, which cannot be: a text that can neither go on nor end was refused.
        let allowed = self.parser.compute_mask().map_err(|error| self.grammar.failed(&error))?;
        let mut mask = if self.grammar.shared.with_specials {
            Mask::from_words(engine.size, allowed.as_slice())
        } else {
            let words: Vec<u32> =
                allowed.as_slice().iter().zip(&engine.ordinary).map(|(allowed, text)| allowed & text).collect();
            Mask::from_words(engine.size, &words)
        };
        mask.forbid(engine.eos);
        Ok(mask)
    }

    fn masks(&self) -> std::sync::MutexGuard<'_, Recent<Vec<u32>, Arc<Mask>>> {
        self.grammar.shared.masks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Grammar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Grammar").field("is_spoiled", &self.is_spoiled()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Matcher")
            .field("tokens", &self.tokens)
            .field("is_over", &self.is_over())
            .finish_non_exhaustive()
    }
}
