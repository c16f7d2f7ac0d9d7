//! The vocabulary as grammars see it, and the door to compiling: built once per vocabulary, with the compiled grammars that were asked
//! for lately. It must not know what a grammar says.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use harmony::Vocabulary;
use llguidance::ParserFactory;
use llguidance::api::ParserLimits;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::InferenceCapabilities;
use toktrie::{TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};

use crate::compile;
use crate::error::Error;
use crate::grammar::Grammar;
use crate::limits::Limits;
use crate::recent::Recent;
use crate::source::{Mode, Source};

/// The vocabulary as grammars see it. Cheap to clone: clones share everything.
#[derive(Clone)]
pub struct Tokens {
    shared: Arc<Shared>,
}

struct Shared {
    vocabulary: Vocabulary,
    limits: Limits,
    engine: OnceLock<Result<Arc<Engine>, Error>>,
    compiled: Mutex<Recent<[u8; 32], Grammar>>,
}

/// Only what is used of it takes memory.
const COMPILE_STACK_BYTES: usize = 64 << 20;

/// What is built once per vocabulary.
pub(crate) struct Engine {
    pub(crate) factory: ParserFactory,
    /// Words of the mask of ordinary tokens, 32 each.
    pub(crate) ordinary: Vec<u32>,
    pub(crate) eos: u32,
    pub(crate) size: usize,
}

struct Trie {
    trie: TokTrie,
    vocabulary: Vocabulary,
}

impl Tokens {
    /// Takes a vocabulary; nothing is built until it is needed or [`Tokens::warm`] is called.
    #[must_use]
    pub fn new(vocabulary: &Vocabulary, limits: Limits) -> Self {
        let compiled = Mutex::new(Recent::new(limits.grammars_kept));
        Self { shared: Arc::new(Shared { vocabulary: vocabulary.clone(), limits, engine: OnceLock::new(), compiled }) }
    }

    /// Builds the tables on a thread of their own; whoever compiles before they are there waits for them.
    pub fn warm(&self) {
        let tokens = self.clone();
        // Without a thread they are built when they are needed.
        let _ = std::thread::Builder::new().name("grammar-tables".to_string()).spawn(move || {
            let _ = tokens.engine();
        });
    }

    /// What this crate is bounded by.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Compiles a grammar, or finds it where it was compiled lately.
    ///
    /// # Errors
    /// When the source cannot be read, cannot be enforced in this mode, nothing fits it, or a limit is reached.
    pub fn compile(&self, source: &Source, mode: Mode) -> Result<Grammar, Error> {
        let key = source.key(mode, &self.shared.limits)?;
        if let Some(grammar) = self.compiled().get(&key).filter(|grammar| !grammar.is_spoiled()) {
            return Ok(grammar);
        }
        let engine = self.engine()?;
        let compiled = on_deep_stack(|| compile::parser(engine, source, mode, &self.shared.limits));
        let parser = compiled.unwrap_or_else(|| {
            Err(Error::Internal { reason: format!("compiling the {} failed in a way it should not", source.name()) })
        })?;
        let grammar = Grammar::new(
            Arc::clone(engine),
            parser,
            matches!(source, Source::Header(_)),
            self.shared.limits.masks_kept,
        );
        self.compiled().keep(key, grammar.clone());
        Ok(grammar)
    }

    fn engine(&self) -> Result<&Arc<Engine>, Error> {
        let build = || {
            let built = catch_unwind(AssertUnwindSafe(|| Engine::build(&self.shared.vocabulary, &self.shared.limits)));
            let built = built.unwrap_or_else(|_| {
                Err(Error::Internal { reason: "the tables of the vocabulary could not be built".to_string() })
            });
            built.map(Arc::new)
        };
        self.shared.engine.get_or_init(build).as_ref().map_err(Clone::clone)
    }

    fn compiled(&self) -> std::sync::MutexGuard<'_, Recent<[u8; 32], Grammar>> {
        self.shared.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does something on a thread whose stack is deep enough for all that the limits allow, whoever asks; nothing where it panics.
fn on_deep_stack<Done: Send>(work: impl FnOnce() -> Done + Send) -> Option<Done> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("grammar-compile".to_string()).stack_size(COMPILE_STACK_BYTES);
        thread.spawn_scoped(scope, work).ok()?.join().ok()
    })
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tokens").field("vocabulary", &self.shared.vocabulary).finish_non_exhaustive()
    }
}

impl Engine {
    fn build(vocabulary: &Vocabulary, limits: &Limits) -> Result<Self, Error> {
        let of_library = |error: &dyn fmt::Display| Error::Vocabulary { reason: error.to_string() };
        let eos = vocabulary.harmony_ids().map_err(|error| of_library(&error))?.return_;
        let size = vocabulary.size();
        let mut ordinary = vec![0; size.div_ceil(32)];
        let mut words = Vec::with_capacity(size);
        for id in 0..size as u32 {
            words.push(match (vocabulary.text_bytes(id), vocabulary.token_bytes(id)) {
                (Some(text), _) => {
                    ordinary[id as usize / 32] |= 1 << (id % 32);
                    text.to_vec()
                }
                (None, Some(spelling)) => [&[TokTrie::SPECIAL_TOKEN_MARKER], spelling].concat(),
                (None, None) => Vec::new(),
            });
        }
        let trie = TokTrie::from(&TokRxInfo::new(size as u32, eos), &words);
        let environment: TokEnv = Arc::new(Trie { trie, vocabulary: vocabulary.clone() });
        let able = InferenceCapabilities { ff_tokens: true, ..InferenceCapabilities::default() };
        let slices = SlicedBiasComputer::general_slices();
        let mut factory = ParserFactory::new(&environment, able, &slices).map_err(|error| of_library(&error))?;
        factory.quiet();
        *factory.limits_mut() = ParserLimits {
            max_items_in_row: limits.row_items,
            initial_lexer_fuel: limits.lexer_fuel,
            step_lexer_fuel: limits.mask_fuel,
            step_max_items: limits.mask_items,
            max_lexer_states: limits.lexer_states,
            max_grammar_size: limits.rules,
            precompute_large_lexemes: false,
            verbose_errors: false,
        };
        Ok(Self { factory, ordinary, eos, size })
    }
}

impl TokenizerEnv for Trie {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.trie.tokenize_with_greedy_fallback(bytes, |text| self.vocabulary.encode(text))
    }
}
