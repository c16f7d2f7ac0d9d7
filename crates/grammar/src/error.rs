//! Why a grammar is refused or cannot go on, in words for whoever wrote it. It must not know how an error is shown.

/// Everything that this crate refuses.
///
/// A `path` leads from the root of the schema to the schema that the keyword stands in, like `properties.tags`; it is empty at the root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A keyword that outputs cannot be held to.
    #[error("`{keyword}`{} cannot be enforced: {reason}", at(path))]
    Unenforceable {
        /// Where.
        path: String,
        /// The keyword.
        keyword: String,
        /// What is wrong, and what to do.
        reason: String,
    },

    /// A schema or grammar that nothing fits.
    #[error("nothing fits the schema{}: {reason}", at(path))]
    Unsatisfiable {
        /// Where.
        path: String,
        /// What contradicts what.
        reason: String,
    },

    /// A keyword whose value is not what JSON Schema asks for.
    #[error("`{keyword}`{} is not valid: {reason}", at(path))]
    Invalid {
        /// Where.
        path: String,
        /// The keyword.
        keyword: String,
        /// What was expected.
        reason: String,
    },

    /// A regular expression, grammar or list of choices that cannot be read.
    #[error("the {what} cannot be used: {reason}")]
    Syntax {
        /// Which sort of grammar.
        what: &'static str,
        /// What is wrong, and what to do.
        reason: String,
    },

    /// A limit was reached.
    #[error("{what} reached the limit of {limit}; {advice}")]
    Limit {
        /// What became too much.
        what: &'static str,
        /// The limit with its unit.
        limit: String,
        /// What to do.
        advice: &'static str,
    },

    /// A token that the grammar does not allow here.
    #[error("token {id} may not come here")]
    Token {
        /// The token.
        id: u32,
    },

    /// A vocabulary that grammars cannot be enforced in.
    #[error("grammars cannot be enforced with this vocabulary: {reason}")]
    Vocabulary {
        /// What is missing.
        reason: String,
    },

    /// A fault of this program.
    #[error("the grammar cannot be followed: {reason}; leave the grammar out, and report this")]
    Internal {
        /// What happened.
        reason: String,
    },
}

impl Error {
    /// Where in the schema the reason stands, with the keyword as its last part; nothing where no place is to blame.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        match self {
            Self::Unenforceable { path, keyword, .. } | Self::Invalid { path, keyword, .. } => {
                Some(if path.is_empty() { keyword.clone() } else { format!("{path}.{keyword}") })
            }
            Self::Unsatisfiable { path, .. } => Some(path.clone()),
            Self::Syntax { .. }
            | Self::Limit { .. }
            | Self::Token { .. }
            | Self::Vocabulary { .. }
            | Self::Internal { .. } => None,
        }
    }

    pub(crate) fn limit(what: &'static str, limit: impl std::fmt::Display) -> Self {
        Self::Limit { what, limit: limit.to_string(), advice: "make the schema or grammar smaller or simpler" }
    }

    /// Reads what the library said. Its longer messages hold its state after the first line, which is nobody's business.
    pub(crate) fn from_library(what: &'static str, error: &dyn std::fmt::Display) -> Self {
        let text = error.to_string();
        let text = text.split("\n<").next().unwrap_or_default().trim().trim_end_matches("<non-verbose/>").trim();
        // Parsers of expressions draw a picture first.
        let text = text.rsplit_once("\nerror: ").map_or(text, |(_, error)| error);
        let is_limit = ["too big", "too many", "too large", "too complex", "limit", "fuel", "max is"]
            .iter()
            .any(|sign| text.to_lowercase().contains(sign));
        if text.starts_with("panic") {
            Self::Internal { reason: text.to_string() }
        } else if is_limit {
            Self::Limit {
                what,
                limit: format!("the engine of grammars ({text})"),
                advice: "make the schema or grammar smaller or simpler",
            }
        } else {
            Self::Syntax { what, reason: text.to_string() }
        }
    }
}

/// ` at properties.tags`, or nothing at the root.
fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" at {path}") }
}
