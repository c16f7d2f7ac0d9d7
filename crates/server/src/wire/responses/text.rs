//! The form of the answer. It must not know how it is held to.

use crate::error::ApiError;
use crate::wire::fields::At;
use crate::wire::form::{self, Form, Layout};

/// The form of the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text {
    /// What it is held to.
    pub(crate) form: Form,
    /// How long it should be.
    pub(crate) verbosity: Option<Verbosity>,
}

/// How long an answer should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// Short.
    Low,
    /// As the model likes.
    Medium,
    /// Long.
    High,
}

/// Every spelling of a length.
pub(crate) const VERBOSITIES: [(&str, Verbosity); 3] =
    [("low", Verbosity::Low), ("medium", Verbosity::Medium), ("high", Verbosity::High)];

impl Text {
    pub(super) fn read(at: At<'_>) -> Result<Self, ApiError> {
        let fields = at.object()?;
        let form = fields.optional("format", |at| form::read(at, Layout::Flat))?.unwrap_or_default();
        let verbosity = fields.optional("verbosity", |at| at.word(&VERBOSITIES))?;
        fields.finish()?;
        Ok(Self { form, verbosity })
    }
}

impl Verbosity {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}
