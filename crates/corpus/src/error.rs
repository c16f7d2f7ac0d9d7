//! What can go wrong around the corpus, each in one line with the way out.

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No skill of that name.
    #[error("no skill is called {found:?}; choose from {known}")]
    SkillUnknown {
        /// What was asked for.
        found: String,
        /// The names there are.
        known: String,
    },
    /// A mixture of nothing.
    #[error("all weights of the mixture are 0; give at least one skill a weight above 0")]
    MixtureEmpty,
    /// A weight beyond its limit.
    #[error("the mixture's weight of {skill} is {found}; give at most {most}")]
    WeightTooLarge {
        /// The skill's name.
        skill: &'static str,
        /// The weight given.
        found: usize,
        /// The largest that is accepted.
        most: usize,
    },
    /// A vocabulary too small for the tokens it can not do without.
    #[error("a vocabulary of {found} tokens is asked for; its bytes and control tokens alone are {least}")]
    VocabularyTooSmall {
        /// The size asked for.
        found: usize,
        /// The smallest possible.
        least: usize,
    },
    /// An item that can not be rendered.
    #[error(transparent)]
    Harmony(#[from] harmony::Error),
}
