//! The form of the answer. It must not know how it is held to.

use agent::Format;

use super::tool::check_name;
use crate::error::ApiError;
use crate::wire::fields::At;
use crate::wire::schema::read_object_schema;

/// The form of the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text {
    /// Text or JSON.
    pub(crate) format: Format,
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
        let format = fields.optional("format", read_format)?.unwrap_or_default();
        let verbosity = fields.optional("verbosity", |at| at.word(&VERBOSITIES))?;
        fields.finish()?;
        Ok(Self { format, verbosity })
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

fn read_format(at: At<'_>) -> Result<Format, ApiError> {
    #[derive(Clone, Copy)]
    enum Kind {
        Text,
        JsonObject,
        JsonSchema,
    }
    let fields = at.object()?;
    let kinds = [("text", Kind::Text), ("json_object", Kind::JsonObject), ("json_schema", Kind::JsonSchema)];
    let format = match fields.need("type")?.word(&kinds)? {
        Kind::Text => Format::Text,
        Kind::JsonObject => Format::JsonObject,
        Kind::JsonSchema => Format::JsonSchema {
            name: fields.need("name").and_then(check_name)?,
            description: fields.optional("description", At::string)?,
            schema: fields.need("schema").and_then(read_object_schema)?,
            strict: fields.optional("strict", At::bool)?.unwrap_or(false),
        },
    };
    fields.finish()?;
    Ok(format)
}
