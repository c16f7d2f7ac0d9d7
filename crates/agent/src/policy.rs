//! Which messages a turn may have, and which one comes where the model would write another. It must not know tokens' meaning or how a
//! turn is run.

use harmony::{Header, Role};

use crate::builtin::Declaration;
use crate::envelope::Envelope;
use crate::error::Error;
use crate::item::{CallKind, Phase, ToolName};
use crate::recipient::resolve;
use crate::request::{Effort, Format, ToolChoice, ToolKind, TurnRequest};

/// Thoughts in a row, where the model might still want to call a tool; without tools a second one is one too many.
const THOUGHTS_IN_A_ROW_MAX: usize = 4;

/// Thoughts and announcements before an answer or a call; who has said so much will not say it better.
const MESSAGES_BEFORE_MAX: usize = 16;

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A thought.
    Thought,
    /// Text for whoever asked.
    Message(Phase),
    /// A call of this tool.
    Call(usize),
}

/// Somebody who can be called.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Callee {
    pub(crate) kind: CallKind,
    /// The channel of its calls.
    pub(crate) channel: &'static str,
    /// The place of its tool among the request's built-in ones.
    pub(crate) built_in: Option<usize>,
    /// Whether the choice of tools allows it.
    chosen: bool,
}

impl Callee {
    /// Whether the choice of tools allows it.
    pub(crate) fn is_chosen(&self) -> bool {
        self.chosen
    }
}

/// What was said so far, as far as it decides what may come next.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// Calls that were made.
    pub(crate) calls: usize,
    /// Thoughts since the last message that was none.
    pub(crate) thoughts: usize,
    /// Thoughts and announcements since the last output of a tool.
    pub(crate) said: usize,
    /// Whether built-in tools may still be called.
    pub(crate) spent: bool,
    /// Whether only further calls may follow.
    pub(crate) calls_only: bool,
}

impl Progress {
    /// A message of this kind is over.
    pub(crate) fn note(&mut self, kind: &Kind) {
        match kind {
            Kind::Thought => {
                self.thoughts += 1;
                self.said += 1;
            }
            Kind::Message(_) => {
                self.thoughts = 0;
                self.said += 1;
            }
            Kind::Call(_) => {
                self.thoughts = 0;
                self.calls += 1;
            }
        }
    }
}

/// Namespaces whose tools the model was trained to call while it thinks.
const THINKING_NAMESPACES: [&str; 4] = ["browser", "container", "python", "repo_browser"];

/// The channel on which calls of a tool come, and its outputs: by where it is declared, or where it no longer is, by its name.
pub(crate) fn channel_of(name: &ToolName, request: &TurnRequest) -> &'static str {
    let built_in = request.built_in.iter().find(|tool| tool.recipients().contains(name));
    let thinks = match built_in.map(|tool| tool.declaration()) {
        Some(Declaration::System(_)) => true,
        Some(Declaration::Developer(_)) => false,
        None if request.tools.iter().any(|tool| tool.name == *name) => false,
        None => THINKING_NAMESPACES.contains(&name.namespace.as_str()),
    };
    if thinks { "analysis" } else { "commentary" }
}

/// The channel of a call, from its header if that names one that calls come on.
pub(crate) fn channel_or(header: Option<String>, usual: &'static str) -> &'static str {
    match header.as_deref() {
        Some("analysis") => "analysis",
        Some("commentary") => "commentary",
        Some(_) | None => usual,
    }
}

/// The rules of a turn.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    names: Vec<ToolName>,
    callees: Vec<Callee>,
    must_call: bool,
    may_think: bool,
    /// Whether the answer has a form, which no other text may break.
    has_form: bool,
}

impl Policy {
    /// Reads the rules from a request and checks its tools.
    pub(crate) fn new(request: &TurnRequest) -> Result<Self, Error> {
        let (mut names, mut callees) = (Vec::new(), Vec::new());
        for tool in &request.tools {
            let kind = match tool.kind {
                ToolKind::Function { .. } => CallKind::Function,
                ToolKind::Custom(_) => CallKind::Custom,
            };
            names.push(tool.name.clone());
            callees.push(Callee { kind, channel: "commentary", built_in: None, chosen: true });
        }
        for (index, tool) in request.built_in.iter().enumerate() {
            for name in tool.recipients() {
                let channel = channel_of(&name, request);
                names.push(name);
                callees.push(Callee { kind: CallKind::Custom, channel, built_in: Some(index), chosen: true });
            }
        }
        for (index, name) in names.iter().enumerate() {
            check_name(name)?;
            if names[..index].contains(name) {
                return Err(Error::ToolTwice { name: name.clone() });
            }
        }
        let (may_think, has_form) = (request.effort != Effort::None, request.format != Format::Text);
        let mut policy = Self { names, callees, must_call: false, may_think, has_form };
        policy.choose(&request.tool_choice)?;
        Ok(policy)
    }

    fn choose(&mut self, choice: &ToolChoice) -> Result<(), Error> {
        let chosen: &[ToolName] = match choice {
            ToolChoice::Auto => return Ok(()),
            ToolChoice::Required => &self.names.clone(),
            ToolChoice::None => &[],
            ToolChoice::Named(name) => std::slice::from_ref(name),
            ToolChoice::Allowed { tools, required: _ } => tools,
        };
        self.must_call = match choice {
            ToolChoice::Auto | ToolChoice::None => false,
            ToolChoice::Required | ToolChoice::Named(_) => true,
            ToolChoice::Allowed { tools: _, required } => *required,
        };
        if let Some(unknown) = chosen.iter().find(|name| !self.names.contains(name)) {
            return Err(Error::UnknownTool { name: unknown.clone() });
        }
        if self.must_call && chosen.is_empty() {
            return Err(Error::NoTools);
        }
        for (name, callee) in self.names.iter().zip(&mut self.callees) {
            callee.chosen = chosen.contains(name);
        }
        Ok(())
    }

    pub(crate) fn name(&self, tool: usize) -> &ToolName {
        &self.names[tool]
    }

    pub(crate) fn callee(&self, tool: usize) -> &Callee {
        &self.callees[tool]
    }

    /// Whether the model thinks at all.
    pub(crate) fn may_think(&self) -> bool {
        self.may_think
    }

    /// What the message with this header is.
    pub(crate) fn kind(&self, header: &Header) -> Kind {
        let of_model = header.author.role == Role::Assistant;
        match (&header.recipient, header.channel.as_deref()) {
            // An unknown recipient: what was said is at least shown.
            (Some(recipient), _) => resolve(recipient, &self.names).map_or(Kind::Message(Phase::Final), Kind::Call),
            (None, Some("analysis")) if of_model => Kind::Thought,
            // Clients read all that is said to them by the form that they asked for.
            (None, Some("commentary")) => self.preamble(),
            (None, _) => Kind::Message(Phase::Final),
        }
    }

    /// Whether such a message may come now.
    pub(crate) fn allows(&self, kind: &Kind, progress: &Progress) -> bool {
        match kind {
            Kind::Call(tool) => self.may_call(*tool, progress),
            Kind::Thought | Kind::Message(_) if progress.calls_only => false,
            Kind::Thought | Kind::Message(Phase::Commentary) if progress.said >= MESSAGES_BEFORE_MAX => false,
            Kind::Thought => self.may_think && progress.thoughts < self.thoughts_max(progress),
            Kind::Message(Phase::Commentary) => true,
            Kind::Message(Phase::Final) => !self.must_call_now(progress),
        }
    }

    fn may_call(&self, tool: usize, progress: &Progress) -> bool {
        let callee = &self.callees[tool];
        let has_time = match callee.built_in {
            Some(_) => !progress.spent && !progress.calls_only,
            None => true,
        };
        callee.chosen && has_time
    }

    fn must_call_now(&self, progress: &Progress) -> bool {
        self.must_call && progress.calls == 0 && self.callable(progress).next().is_some()
    }

    /// What a message on the channel of announcements is.
    pub(crate) fn preamble(&self) -> Kind {
        if self.has_form { Kind::Thought } else { Kind::Message(Phase::Commentary) }
    }

    pub(crate) fn callable(&self, progress: &Progress) -> impl Iterator<Item = usize> {
        (0..self.callees.len()).filter(|&tool| self.may_call(tool, progress))
    }

    fn thoughts_max(&self, progress: &Progress) -> usize {
        if self.callable(progress).next().is_some() { THOUGHTS_IN_A_ROW_MAX } else { 1 }
    }

    /// The header that is forced where another message would begin. `whole` leaves no choice of the tool's name.
    pub(crate) fn forced(&self, progress: &Progress, whole: bool, envelope: &Envelope) -> Vec<u32> {
        if !self.must_call_now(progress) {
            return envelope.answer();
        }
        let callable: Vec<usize> = self.callable(progress).collect();
        let [first, rest @ ..] = callable.as_slice() else { return envelope.answer() };
        let (name, callee) = (&self.names[*first], &self.callees[*first]);
        if rest.is_empty() || whole {
            return envelope.call(name, callee.kind, callee.channel);
        }
        let same = |of: fn(&Policy, usize) -> &str| rest.iter().all(|&tool| of(self, tool) == of(self, *first));
        let channel = if same(|policy, tool| policy.callees[tool].channel) { callee.channel } else { "commentary" };
        let one_namespace = same(|policy, tool| policy.names[tool].namespace.as_str()) && !name.name.is_empty();
        let namespace = if one_namespace { format!("{}.", name.namespace) } else { String::new() };
        envelope.call_of_any(&namespace, channel)
    }
}

/// Refuses what could be read as something else in a header, or breaks the text of a declaration.
fn check_name(name: &ToolName) -> Result<(), Error> {
    let whole = name.to_string();
    let head = whole.split([':', '.']).next().unwrap_or_default();
    let reason = if name.namespace.is_empty() {
        Some("its namespace is empty")
    } else if name.namespace == "functions" && name.name.is_empty() {
        Some("it is empty")
    } else if whole.len() > harmony::HEADER_FIELD_BYTES_MAX {
        Some("it is longer than 144 bytes")
    } else if whole.contains(|character: char| character.is_whitespace() || character.is_control()) {
        Some("it holds white space or a control character")
    } else if whole.contains("<|") || whole.contains(['{', '}', '(', ')', '=']) {
        Some("it holds a sign that has a meaning in a header or a declaration")
    } else if ["system", "developer", "user", "assistant"].contains(&head) {
        Some("a tool cannot be named like a role")
    } else {
        None
    };
    reason.map_or(Ok(()), |reason| Err(Error::ToolName { name: whole, reason }))
}
