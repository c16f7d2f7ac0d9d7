//! The grammar of a message's header, as the model was trained to write it: who is called, the channel, the type of the content. It
//! must not know tokens or what follows a header.

use std::fmt::Write;

use grammar::Source;

use crate::item::{CallKind, Phase};
use crate::policy::{Kind, Policy, Progress};

/// The headers that may come now, behind `<|start|>assistant`. A recipient stands in the part of the role or of the channel; both occur.
pub(super) fn source(policy: &Policy, progress: &Progress, answer_is_json: bool) -> Source {
    // Where only calls may follow, a thought or an answer says that there is none.
    let leaves = progress.calls_only;
    let mut starts = Vec::new();
    let mut rules = String::new();
    let mut rule = |name: &'static str, body: &str| {
        starts.push(name);
        writeln!(rules, "{name}: {body}").expect("a string takes all");
    };
    if policy.allows(&Kind::Thought, progress) || (leaves && policy.may_think()) {
        rule("thought", r#"<|channel|> "analysis" <|message|>"#);
    }
    if policy.allows(&policy.preamble(), progress) {
        rule("preamble", r#"<|channel|> "commentary" <|message|>"#);
    }
    if policy.allows(&Kind::Message(Phase::Final), progress) || leaves {
        let form = if answer_is_json { " json" } else { "" };
        rule("answer", &format!(r#"<|channel|> "final"{form} <|message|>"#));
    }
    let callable: Vec<usize> = policy.callable(progress).collect();
    let of = |kind| callable.iter().copied().filter(move |&tool| policy.callee(tool).kind == kind);
    for (kind, name, form) in [(CallKind::Function, "function", "json"), (CallKind::Custom, "custom", "code")] {
        let names: Vec<String> = of(kind).map(|tool| quoted(&format!(" to={}", policy.name(tool)))).collect();
        if !names.is_empty() {
            let recipient = names.join(" | ");
            rule(
                name,
                &format!(
                    "({recipient}) <|channel|> channel {form} <|message|> | <|channel|> channel ({recipient}) {form} <|message|>"
                ),
            );
        }
    }
    Source::Header(format!(
        r#"start: {}
{rules}channel: "commentary" | "analysis"
json: "" | " json" | <|constrain|> "json" | " " <|constrain|> "json"
code: "" | " code" | " text"
"#,
        starts.join(" | ")
    ))
}

/// A text as a grammar spells it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
