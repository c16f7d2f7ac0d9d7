//! An agent over a model that says what a test wants to hear, in milliseconds. It must not be part of a program.

mod dice;

use std::sync::{Arc, LazyLock};

use engine::{Engine, Limits};
use harmony::Vocabulary;
use model::{ModelConfig, Scripted};

use crate::agent::{Agent, Settings};
pub use dice::Dice;

/// Tokens of the context that a scripted agent has unless a test wants another.
pub const CONTEXT_TOKENS: usize = 16_384;

/// Bytes of keys and values, more than the tests' jobs take.
const KV_BYTES: usize = 64 << 20;

/// What the model says: behind a text, another. Control tokens are spelled out in both.
///
/// Of all places where a text of the left side stands in the conversation and is followed by a beginning of its right side, the one
/// with the most tokens counts, both sides together; the model goes on there, and where there is none it says `<|return|>`. Since
/// nothing else is asked, forced headers can be answered (`"<|channel|>final<|message|>"` on the left), and so can one prompt among
/// several (`"hello<|end|><|start|>assistant"`).
#[derive(Clone, Debug, Default)]
pub struct Script {
    rules: Vec<(String, String)>,
}

impl Script {
    /// A script without lines.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line: behind this text, that is said.
    #[must_use]
    pub fn behind(mut self, text: &str, said: &str) -> Self {
        self.rules.push((text.to_owned(), said.to_owned()));
        self
    }

    /// Adds a line for what a user or a tool said last.
    #[must_use]
    pub fn answer(self, to: &str, said: &str) -> Self {
        self.behind(&format!("{to}<|end|><|start|>assistant"), said)
    }
}

/// The vocabulary of the tiny model, 2,048 tokens.
///
/// # Panics
/// Never: the file is part of the repository.
#[must_use]
pub fn vocabulary() -> Vocabulary {
    static SHARED: LazyLock<Vocabulary> = LazyLock::new(|| {
        let tokenizer = include_bytes!("../../../models/glossa-tiny/tokenizer.json");
        Vocabulary::from_tokenizer_json(tokenizer).expect("the shipped tokenizer can be read")
    });
    SHARED.clone()
}

impl Settings {
    /// For models that say what a test wants to hear, also where that must not come: nothing keeps them from it, so it is taken back.
    #[must_use]
    pub fn unheld() -> Self {
        Self { constraints: false, ..Self::default() }
    }
}

impl Agent {
    /// An agent whose model says this behind every prompt, control tokens spelled out. When it is steered, it goes on behind the
    /// forced header with `<|return|>`; use [`Agent::following`] for more.
    #[must_use]
    pub fn scripted(said: &str) -> Self {
        Self::following(&Script::new().behind("<|start|>assistant", said))
    }

    /// An agent whose model follows a script.
    #[must_use]
    pub fn following(script: &Script) -> Self {
        Self::following_with(script, Settings::unheld(), CONTEXT_TOKENS)
    }

    /// The same with settings and a context of so many tokens.
    #[must_use]
    pub fn following_with(script: &Script, settings: Settings, context_tokens: usize) -> Self {
        let vocabulary = vocabulary();
        let tokens = |text: &String| vocabulary.encode_with_specials(text);
        let rules: Vec<_> = script.rules.iter().map(|(text, said)| (tokens(text), tokens(said))).collect();
        let otherwise = vocabulary.encode_with_specials("<|return|>")[0];
        let rule = move |ids: &[u32]| next(&rules, ids).unwrap_or(otherwise);
        Self::ruled(rule, settings, context_tokens)
    }

    /// An agent whose model has random weights, so to speak; messages end now and then. See [`Scripted::noisy`].
    ///
    /// # Panics
    /// When the system gives no thread.
    #[must_use]
    pub fn noisy(vocabulary: &Vocabulary, seed: u64, settings: Settings, context_tokens: usize) -> Self {
        let ids = vocabulary.harmony_ids().expect("the vocabulary speaks harmony");
        let favours = [ids.end, ids.return_, ids.call, ids.message].map(|id| (id, 6.0)).to_vec();
        let model = Scripted::noisy(Scripted::shape(vocabulary.size(), context_tokens), seed, favours);
        let engine = Engine::new(Box::new(model), Limits::serving(context_tokens, KV_BYTES)).expect("a thread");
        Self::new(Arc::new(engine), vocabulary, settings).expect("the vocabulary speaks harmony")
    }

    /// An agent whose model says what a rule makes of all the tokens before.
    ///
    /// # Panics
    /// When the system gives no thread.
    #[must_use]
    pub fn ruled(rule: impl Fn(&[u32]) -> u32 + Send + 'static, settings: Settings, context_tokens: usize) -> Self {
        let vocabulary = vocabulary();
        let config = ModelConfig { sliding_window: 128, ..Scripted::shape(vocabulary.size(), context_tokens) };
        let model = Scripted::following(config, rule);
        let limits = Limits::serving(context_tokens, KV_BYTES);
        let engine = Engine::new(Box::new(model), limits).expect("a thread");
        Self::new(Arc::new(engine), &vocabulary, settings).expect("the vocabulary speaks harmony")
    }
}

/// What a script says next.
fn next(rules: &[(Vec<u32>, Vec<u32>)], ids: &[u32]) -> Option<u32> {
    let mut found: Option<(usize, u32)> = None;
    for (text, said) in rules {
        // Only so far back may the left side end.
        let earliest = (ids.len() + 1).saturating_sub(said.len()).max(text.len());
        for end in earliest..=ids.len() {
            let tail = &ids[end..];
            if ids[..end].ends_with(text) && said.starts_with(tail) && tail.len() < said.len() {
                let length = text.len() + tail.len();
                if found.is_none_or(|(longest, _)| length > longest) {
                    found = Some((length, said[tail.len()]));
                }
            }
        }
    }
    found.map(|(_, id)| id)
}
