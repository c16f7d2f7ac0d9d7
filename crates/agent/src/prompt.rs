//! A request as a prompt: what the model is told, and which of the history. It must not know the engine.

mod history;

use harmony::{
    AnalysisPolicy, Conversation, DeveloperContent, ReasoningEffort, RenderOptions, Renderer, ResponseFormat,
    SystemContent, ToolDescription, ToolNamespace,
};
use serde_json::{Value, json};

use crate::builtin::Declaration;
use crate::envelope::Envelope;
use crate::error::Error;
use crate::request::{CustomFormat, Effort, Format, TextGrammar, Tool, ToolKind, Truncation, TurnRequest};

/// Tokens that are left for the answer when items are dropped, where the context allows it and not fewer were asked for.
pub(crate) const ANSWER_TOKENS_RESERVED: usize = 4096;

/// A rendered request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prompt {
    pub(crate) tokens: Vec<u32>,
    /// Items that were left out.
    pub(crate) dropped_items: usize,
}

/// Renders prompts.
#[derive(Clone, Debug)]
pub(crate) struct Prompts {
    renderer: Renderer,
    envelope: Envelope,
    context_tokens: usize,
}

impl Prompts {
    pub(crate) fn new(envelope: &Envelope, context_tokens: usize) -> Result<Self, harmony::Error> {
        // Which thoughts stay is decided per item, where their place in the history is known.
        let options = RenderOptions { analysis: AnalysisPolicy::Keep, ..RenderOptions::default() };
        let renderer = Renderer::new(&envelope.vocabulary)?.with_options(options);
        Ok(Self { renderer, envelope: envelope.clone(), context_tokens })
    }

    /// Tokens of the prompt, too long or not.
    pub(crate) fn count(&self, request: &TurnRequest) -> Result<usize, Error> {
        match self.render(request) {
            Ok(prompt) => Ok(prompt.tokens.len()),
            Err(Error::ContextExceeded { tokens, context_tokens: _ }) => Ok(tokens),
            Err(error) => Err(error),
        }
    }

    /// The prompt of a request whose tools were checked.
    pub(crate) fn render(&self, request: &TurnRequest) -> Result<Prompt, Error> {
        let mut tokens = self.renderer.render_conversation(&head(request))?;
        let opening = self.opening(request.effort);
        let pieces = history::pieces(&self.renderer, &self.envelope, request)?;
        let fixed = tokens.len() + opening.len();
        let (kept, dropped_items) = match request.truncation {
            Truncation::Disabled => (pieces, 0),
            Truncation::Auto => {
                let reserve = ANSWER_TOKENS_RESERVED.min(self.context_tokens / 4);
                let reserve = request.output_tokens_max.map_or(reserve, |most| most.clamp(1, reserve.max(1)));
                let room = self.context_tokens.saturating_sub(fixed + reserve);
                history::shorten(pieces, room)
            }
        };
        let length = fixed + kept.iter().map(|piece| piece.tokens.len()).sum::<usize>();
        if length >= self.context_tokens {
            return Err(Error::ContextExceeded { tokens: length, context_tokens: self.context_tokens });
        }
        kept.iter().for_each(|piece| tokens.extend_from_slice(&piece.tokens));
        tokens.extend_from_slice(&opening);
        Ok(Prompt { tokens, dropped_items })
    }

    /// Where messages begin.
    pub(crate) fn boundaries(&self, tokens: &[u32]) -> Vec<usize> {
        let starts = tokens.iter().enumerate().filter(|(_, id)| **id == self.envelope.ids.start);
        starts.map(|(at, _)| at).filter(|&at| at > 0).collect()
    }

    /// What a tool has answered, and the beginning of the model's next message.
    pub(crate) fn output(&self, recipient: &str, channel: &str, text: &str) -> Result<Vec<u32>, Error> {
        let message = harmony::Message::tool_result(recipient, channel, text);
        let mut tokens = self.renderer.render_conversation(&Conversation::from(vec![message]))?;
        tokens.extend_from_slice(&self.envelope.opening);
        Ok(tokens)
    }

    /// The beginning of the model's message.
    fn opening(&self, effort: Effort) -> Vec<u32> {
        let mut tokens = self.envelope.opening.clone();
        if effort == Effort::None {
            tokens.extend(self.envelope.thought());
            tokens.push(self.envelope.ids.end);
            tokens.extend_from_slice(&self.envelope.opening);
        }
        tokens
    }
}

/// System and developer message.
fn head(request: &TurnRequest) -> Conversation {
    let effort = match request.effort {
        Effort::None | Effort::Low => ReasoningEffort::Low,
        Effort::Medium => ReasoningEffort::Medium,
        Effort::High => ReasoningEffort::High,
    };
    let mut system = SystemContent::default().with_reasoning_effort(effort);
    system.conversation_start_date.clone_from(&request.date);
    let mut developer = DeveloperContent { instructions: request.instructions.clone(), ..Default::default() };
    for tool in &request.tools {
        let namespaces = developer.tools.get_or_insert_default();
        let name = &tool.name.namespace;
        let empty = || ToolNamespace { name: name.clone(), description: None, tools: Vec::new() };
        let namespace = namespaces.entry(name.clone()).or_insert_with(empty);
        if tool.name.name.is_empty() {
            namespace.description = Some(description(tool));
        } else {
            namespace.tools.push(declared(tool));
        }
    }
    for tool in &request.built_in {
        match tool.declaration() {
            Declaration::System(namespace) => system = system.with_tools(namespace),
            Declaration::Developer(namespace) => join(&mut developer, namespace),
        }
    }
    developer.response_formats.extend(response_format(&request.format));
    let conversation = Conversation::default().with_system(system);
    if developer == DeveloperContent::default() { conversation } else { conversation.with_developer(developer) }
}

/// Adds a namespace to those of the caller's, whose tools come first where both use one.
fn join(developer: &mut DeveloperContent, namespace: ToolNamespace) {
    let namespaces = developer.tools.get_or_insert_default();
    match namespaces.get_mut(&namespace.name) {
        Some(known) => known.tools.extend(namespace.tools),
        None => {
            namespaces.insert(namespace.name.clone(), namespace);
        }
    }
}

fn declared(tool: &Tool) -> ToolDescription {
    let parameters = match &tool.kind {
        ToolKind::Function { parameters, strict: _ } => parameters.clone().filter(|schema| !is_of_nothing(schema)),
        ToolKind::Custom(_) => Some(json!({"type": "string"})),
    };
    ToolDescription { name: tool.name.name.clone(), description: description(tool), parameters }
}

/// Whether a schema allows the empty object alone. Many clients send it for functions without parameters, such as the
/// handoffs of agents; the model was trained on `() => any` for those, as the published chat template writes it.
fn is_of_nothing(schema: &Value) -> bool {
    let Some(fields) = schema.as_object() else { return false };
    let is_idle = |(key, value): (&String, &Value)| match key.as_str() {
        "type" => value == "object",
        "properties" => value.as_object().is_some_and(serde_json::Map::is_empty),
        "required" => value.as_array().is_some_and(Vec::is_empty),
        "additionalProperties" => value == false,
        "$schema" | "title" | "description" => true,
        _ => false,
    };
    fields.contains_key("properties") && fields.iter().all(is_idle)
}

fn description(tool: &Tool) -> String {
    let form = match &tool.kind {
        ToolKind::Function { .. } => return tool.description.clone(),
        ToolKind::Custom(CustomFormat::Text) => "Write the input as plain text, not as JSON.".to_owned(),
        ToolKind::Custom(CustomFormat::Grammar(grammar)) => {
            let (syntax, definition) = spelled(grammar);
            format!("Write the input as plain text, not as JSON. It must match this {syntax} grammar:\n{definition}")
        }
    };
    if tool.description.is_empty() { form } else { format!("{}\n{form}", tool.description) }
}

fn spelled(grammar: &TextGrammar) -> (&'static str, &str) {
    match grammar {
        TextGrammar::Lark(definition) => ("lark", definition),
        TextGrammar::Regex(definition) => ("regex", definition),
    }
}

fn response_format(format: &Format) -> Option<ResponseFormat> {
    match format {
        Format::Text => None,
        Format::JsonObject => Some(ResponseFormat {
            name: "json_object".to_owned(),
            description: Some("The answer is one JSON object and nothing else.".to_owned()),
            schema: json!({"type": "object"}),
        }),
        Format::JsonSchema { name, description, schema, strict: _ } => {
            let (name, description, schema) = (name.clone(), description.clone(), schema.clone());
            Some(ResponseFormat { name, description, schema })
        }
        // The model was trained on schemas only: what a caller wants to be said in words stands in the instructions.
        Format::Grammar(_) => None,
        Format::Choice(texts) => Some(ResponseFormat {
            name: "choice".to_owned(),
            description: Some("The answer is one of these texts, as it is, without quotation marks.".to_owned()),
            schema: json!({"type": "string", "enum": texts}),
        }),
    }
}
