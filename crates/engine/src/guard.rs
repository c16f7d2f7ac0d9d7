//! Guards on reasoning: they say when a model has thought enough, or only repeats itself, so that an answer still follows. It
//! must not know text, the model, threads or clocks; what opens, ends and closes reasoning comes as token ids.
//!
//! Whoever generates hands every token to [`Guard::push`], the forced ones too, in the order of the sequence. A report comes at
//! most once; from the next token on the generator forces [`ReasoningShape::close`] token after token instead of sampling, then
//! samples freely again. Tokens that were computed beyond the one that struck (accepted drafts, for instance) are dropped.
//!
//! Everything is counted over generated tokens. The prompt only decides where generation begins: outside reasoning, in the
//! middle of the tokens that open it, or inside, when somebody has a thought continued.

mod loops;
mod reasoning;

use crate::error::Error;
use loops::LoopDetector;
use reasoning::{Place, Reasoning};

/// Most tokens of each list in a [`ReasoningShape`].
const SHAPE_TOKENS_MAX: usize = 64;

/// Which guards watch a generation. Ids come from whoever knows the vocabulary.
#[derive(Clone, Debug, PartialEq)]
pub struct Guards {
    /// How reasoning begins and ends.
    pub reasoning: ReasoningShape,
    /// Most tokens of reasoning, over all reasoning messages of the generation, headers not counted. It strikes as soon as so
    /// many were generated and the message is still open, hence with 0 at the token that opens the first message.
    pub budget_tokens: Option<usize>,
    /// What counts as a loop inside one reasoning message.
    pub loops: Option<LoopLimits>,
}

/// How reasoning begins and ends, in tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasoningShape {
    /// What opens a reasoning message: in harmony `<|channel|>`, `analysis`, `<|message|>`.
    pub open: Vec<u32>,
    /// Each of these ends a message by itself: `<|end|>`, `<|return|>`, `<|call|>`. A generator that tolerates a missing
    /// `<|end|>` lists `<|start|>` too.
    pub ends: Vec<u32>,
    /// What is forced when a guard strikes: the end of the message and the header of the answer.
    pub close: Vec<u32>,
}

/// What counts as a loop: the newest tokens of a reasoning message are copies of one period, `repeats_min` of them at least,
/// and `tokens_min` tokens at least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoopLimits {
    /// Longest period that is looked for; time and memory per sequence grow with it. 1 ..= 4096.
    pub period_tokens_max: usize,
    /// Copies that make a loop. 2 ..= 64.
    pub repeats_min: usize,
    /// Tokens that the copies cover together, so that short periods need more copies. 1 ..= 65536.
    pub tokens_min: usize,
    /// What counts as a loop although its copies are not quite equal; `None` looks for equal copies only.
    pub near: Option<NearLimits>,
}

/// What counts as a loop whose copies differ a little, as in "1. Wait. 2. Wait. 3. Wait.": the newest tokens are a stretch in
/// which, read from its start, never more than a share of the tokens differed from the token one period before.
///
/// The limits should be far higher than for equal copies: honest enumerations look like this, and end by themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearLimits {
    /// Share of tokens that may differ from the token one period before. Above 0, at most 0.5; resolved to 1/10,000.
    pub differing_share_max: f32,
    /// Copies that make a loop. 2 ..= 64.
    pub repeats_min: usize,
    /// Tokens that the copies cover together. 1 ..= 65536.
    pub tokens_min: usize,
}

/// Which guard struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardKind {
    /// The reasoning repeats itself.
    Loop,
    /// The budget is spent.
    Budget,
}

/// That a guard struck, and on what evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardReport {
    /// Which guard.
    pub kind: GuardKind,
    /// Tokens generated until then, the one that struck included.
    pub at_token: usize,
    /// Tokens of reasoning among them.
    pub reasoning_tokens: usize,
    /// Period of the loop, the shortest that is one.
    pub period_tokens: Option<usize>,
}

/// Watches one generation.
pub struct Guard {
    reasoning: Reasoning,
    budget_tokens: Option<usize>,
    loops: Option<LoopDetector>,
    generated_tokens: usize,
    reasoning_tokens: usize,
    struck: bool,
}

impl Default for LoopLimits {
    fn default() -> Self {
        Self { period_tokens_max: 512, repeats_min: 4, tokens_min: 256, near: Some(NearLimits::default()) }
    }
}

impl Default for NearLimits {
    fn default() -> Self {
        // Source code with a line per variant reaches nine copies.
        Self { differing_share_max: 0.1, repeats_min: 16, tokens_min: 384 }
    }
}

impl Guards {
    /// Refuses settings outside their ranges.
    ///
    /// # Errors
    /// A list of tokens that is empty or too long, a token outside the vocabulary, or a limit outside its range.
    pub fn check(&self, vocabulary_size: usize) -> Result<(), Error> {
        let ReasoningShape { open, ends, close } = &self.reasoning;
        for (list, ids) in [("open", open), ("ends", ends), ("close", close)] {
            if ids.is_empty() || ids.len() > SHAPE_TOKENS_MAX {
                return Err(Error::GuardTokens { list, found: ids.len(), most: SHAPE_TOKENS_MAX });
            }
            if let Some(&id) = ids.iter().find(|&&id| id as usize >= vocabulary_size) {
                return Err(Error::GuardTokenOutsideVocabulary { list, id, vocabulary_size });
            }
        }
        self.loops.map_or(Ok(()), |limits| limits.check())
    }
}

impl LoopLimits {
    fn check(&self) -> Result<(), Error> {
        let Self { period_tokens_max, repeats_min, tokens_min, near } = *self;
        in_range("period_tokens_max", period_tokens_max, 1, 4096)?;
        in_range("repeats_min", repeats_min, 2, 64)?;
        in_range("tokens_min", tokens_min, 1, 65_536)?;
        let Some(NearLimits { differing_share_max, repeats_min, tokens_min }) = near else { return Ok(()) };
        // NaN is in no range; below the resolution nothing may differ, which is what equal copies are for.
        if !(0.0001..=0.5).contains(&differing_share_max) {
            let (name, expected) = ("near.differing_share_max", "from 0.0001 to 0.5");
            return Err(Error::SettingOutOfRange { name, found: differing_share_max, expected });
        }
        in_range("near.repeats_min", repeats_min, 2, 64)?;
        in_range("near.tokens_min", tokens_min, 1, 65_536)
    }
}

impl Guard {
    /// A guard on a generation that goes on from `prompt`; the settings were checked.
    #[must_use]
    pub fn new(guards: &Guards, prompt: &[u32]) -> Self {
        let Guards { reasoning, budget_tokens, loops } = guards;
        let mut reasoning = Reasoning::new(reasoning);
        for &id in prompt {
            reasoning.push(id);
        }
        Self {
            reasoning,
            budget_tokens: *budget_tokens,
            loops: loops.as_ref().map(LoopDetector::new),
            generated_tokens: 0,
            reasoning_tokens: 0,
            struck: false,
        }
    }

    /// Takes a generated token; a report, which comes at most once, asks that reasoning be closed right after this token.
    pub fn push(&mut self, id: u32) -> Option<GuardReport> {
        self.generated_tokens += 1;
        let mut period_tokens = None;
        match self.reasoning.push(id) {
            Place::Outside => return None,
            Place::Opened => {
                if let Some(loops) = &mut self.loops {
                    loops.clear();
                }
            }
            Place::Inside => {
                self.reasoning_tokens += 1;
                if !self.struck {
                    period_tokens = self.loops.as_mut().and_then(|loops| loops.push(id));
                }
            }
        }
        let spent = self.budget_tokens.is_some_and(|most| self.reasoning_tokens >= most);
        if self.struck || !(spent || period_tokens.is_some()) {
            return None;
        }
        self.struck = true;
        Some(GuardReport {
            kind: if period_tokens.is_some() { GuardKind::Loop } else { GuardKind::Budget },
            at_token: self.generated_tokens,
            reasoning_tokens: self.reasoning_tokens,
            period_tokens,
        })
    }

    /// Tokens of reasoning generated so far, headers and ends not counted.
    #[must_use]
    pub fn reasoning_tokens(&self) -> usize {
        self.reasoning_tokens
    }
}

fn in_range(name: &'static str, found: usize, least: usize, most: usize) -> Result<(), Error> {
    if (least..=most).contains(&found) { Ok(()) } else { Err(Error::LimitOutOfRange { name, found, least, most }) }
}
