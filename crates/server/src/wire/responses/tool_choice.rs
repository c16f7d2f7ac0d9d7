//! Which tools may or must be called, as it is asked for. It must not know which tools there are.

use crate::error::ApiError;
use crate::wire::fields::{At, Fields};

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum ToolChoice {
    /// As the model likes.
    #[default]
    Auto,
    /// No call.
    None,
    /// A call of any tool.
    Required,
    /// A call of this one.
    Named(Chosen),
    /// Only these.
    Allowed {
        /// The tools.
        tools: Vec<Chosen>,
        /// Whether one must be called.
        required: bool,
    },
}

/// A tool by name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chosen {
    /// Where it stands in the request.
    pub(crate) path: String,
    /// Its type: `function`, `custom`, `namespace`, or one that the server would run.
    pub(crate) kind: String,
    /// Its namespace, if it was given.
    pub(crate) namespace: Option<String>,
    /// Its name; empty for the server's.
    pub(crate) name: String,
}

impl ToolChoice {
    pub(super) fn read(at: At<'_>) -> Result<Self, ApiError> {
        if at.value.is_string() {
            return at.word(&[("auto", 0), ("none", 1), ("required", 2)]).map(|choice| match choice {
                0 => Self::Auto,
                1 => Self::None,
                _ => Self::Required,
            });
        }
        let path = at.path.clone();
        if !at.value.is_object() {
            return Err(at.expected("\"auto\", \"none\", \"required\", or an object that names a tool"));
        }
        let fields = at.object()?;
        let kind = fields.need("type")?;
        if kind.str()? != "allowed_tools" {
            return Chosen::read(fields, path).map(Self::Named);
        }
        let required = fields.need("mode")?.word(&[("auto", false), ("required", true)])?;
        let read = |at: At<'_>| {
            let path = at.path.clone();
            Chosen::read(at.object()?, path)
        };
        let tools: Vec<Chosen> = fields.need("tools")?.array()?.map(read).collect::<Result<_, _>>()?;
        if tools.is_empty() {
            let message = format!("{path}.tools is empty: expected a tool; to allow none, set tool_choice to \"none\"");
            return Err(ApiError::invalid(format!("{path}.tools"), message));
        }
        fields.finish()?;
        Ok(Self::Allowed { tools, required })
    }
}

impl Chosen {
    fn read(fields: Fields<'_>, path: String) -> Result<Self, ApiError> {
        let kind = fields.need("type")?.string()?;
        let named = matches!(kind.as_str(), "function" | "custom" | "namespace");
        let name = if named { fields.need("name")?.string()? } else { String::new() };
        let namespace = fields.optional("namespace", At::string)?;
        // Those that the server would run are not run, whatever else is said of them.
        if named {
            fields.finish()?;
        }
        Ok(Self { path, kind, namespace, name })
    }
}
