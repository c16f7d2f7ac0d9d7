//! What a conversation is made of, as data: one item per message of harmony. It must not know tokens' meaning or wire formats.

/// One piece of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// What a person says.
    User(String),
    /// Instructions that come in the middle of a conversation; those before everything stand in the request.
    Developer(String),
    /// What the model wrote.
    Said(Said),
    /// What a tool answered.
    Output {
        /// The call that it answers.
        call_id: String,
        /// The answer.
        text: String,
    },
}

/// One message of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// What it says.
    pub part: Part,
    /// Its tokens exactly as they were sampled, behind `<|start|>assistant` and with the token that ended it. A message that carries
    /// them is replayed verbatim, so that the model sees what it wrote and the prefix cache finds it; without, it is rendered anew.
    pub tokens: Option<Vec<u32>>,
}

/// What a message of the model is.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// A thought, on the channel `analysis`.
    Reasoning(String),
    /// Text for whoever asked.
    Message {
        /// Whether it is the answer.
        phase: Phase,
        /// The text.
        text: String,
    },
    /// A call of a tool.
    Call(Call),
}

/// Whether a text is the answer or comes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// A preamble, on the channel `commentary`.
    Commentary,
    /// The answer, on the channel `final`.
    Final,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Names the call within the conversation; the tool's output repeats it.
    pub id: String,
    /// Whom it calls.
    pub tool: ToolName,
    /// How the input is to be read.
    pub kind: CallKind,
    /// What the model wrote: a JSON object for functions, any text for custom tools. Not checked.
    pub input: String,
}

/// A recipient: `functions.get_weather`, or `python`, whose namespace is the tool itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ToolName {
    /// The part before the dot: `functions` for the caller's own tools unless they were given in a namespace.
    pub namespace: String,
    /// The part behind it; empty where the namespace is the tool.
    pub name: String,
}

/// How the input of a call is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// A JSON object.
    Function,
    /// Text in the tool's own form.
    Custom,
}

impl ToolName {
    /// A function of the caller's.
    #[must_use]
    pub fn function(name: impl Into<String>) -> Self {
        Self { namespace: "functions".to_owned(), name: name.into() }
    }
}

impl std::fmt::Display for ToolName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name.as_str() {
            "" => formatter.write_str(&self.namespace),
            name => write!(formatter, "{}.{name}", self.namespace),
        }
    }
}

impl From<Part> for Said {
    fn from(part: Part) -> Self {
        Self { part, tokens: None }
    }
}

impl From<Part> for Item {
    fn from(part: Part) -> Self {
        Self::Said(part.into())
    }
}
