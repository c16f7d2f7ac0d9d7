//! The headers of messages as tokens: what is forced where the model must not choose. It must not know requests or policy.

use harmony::{HarmonyIds, Vocabulary};

use crate::item::{CallKind, ToolName};

/// A vocabulary's way to write the frame of a message.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) vocabulary: Vocabulary,
    pub(crate) ids: HarmonyIds,
    /// `<|start|>assistant`, behind which a message of the model's is written.
    pub(crate) opening: Vec<u32>,
}

impl Envelope {
    pub(crate) fn new(vocabulary: &Vocabulary) -> Result<Self, harmony::Error> {
        let ids = vocabulary.harmony_ids()?;
        let mut opening = vec![ids.start];
        vocabulary.encode_into("assistant", &mut opening);
        Ok(Self { vocabulary: vocabulary.clone(), ids, opening })
    }

    /// `<|channel|>analysis<|message|>`
    pub(crate) fn thought(&self) -> Vec<u32> {
        self.channel("analysis", true)
    }

    /// `<|channel|>final<|message|>`
    pub(crate) fn answer(&self) -> Vec<u32> {
        self.channel("final", true)
    }

    /// The whole header of a call.
    pub(crate) fn call(&self, tool: &ToolName, kind: CallKind, channel: &str) -> Vec<u32> {
        let mut tokens = match kind {
            CallKind::Function => self.channel(&format!("{channel} to={tool} "), false),
            CallKind::Custom => self.channel(&format!("{channel} to={tool} code"), false),
        };
        if kind == CallKind::Function {
            tokens.push(self.ids.constrain);
            self.vocabulary.encode_into("json", &mut tokens);
        }
        tokens.push(self.ids.message);
        tokens
    }

    /// The header of a call up to where the model chooses the name: `namespace` ends with a dot or is empty.
    pub(crate) fn call_of_any(&self, namespace: &str, channel: &str) -> Vec<u32> {
        self.channel(&format!("{channel} to={namespace}"), false)
    }

    fn channel(&self, text: &str, ends: bool) -> Vec<u32> {
        let mut tokens = vec![self.ids.channel];
        self.vocabulary.encode_into(text, &mut tokens);
        tokens.extend(ends.then_some(self.ids.message));
        tokens
    }
}
