//! Functions as a developer declares them: well-known ones with natural requests, and random ones. It must not know
//! conversations.

use harmony::ToolDescription;

use super::super::fields::{Field, object_schema};
use super::super::invented;
use super::known::{KNOWN, Known};
use crate::draw::Draw;

/// A declared function.
#[derive(Clone)]
pub(in super::super) struct Function {
    pub(in super::super) name: String,
    /// What it does, as in `get the weather`.
    pub(in super::super) act: String,
    pub(in super::super) fields: Vec<Field>,
    /// How users ask for it, if it is well known.
    pub(super) known: Option<&'static Known>,
}

impl Function {
    pub(super) fn description(&self) -> ToolDescription {
        let parameters = (!self.fields.is_empty()).then(|| object_schema(&self.fields));
        ToolDescription {
            name: self.name.clone(),
            description: format!("{}.", invented::capitalized(&self.act)),
            parameters,
        }
    }

    pub(super) fn draw(draw: &mut Draw) -> Self {
        if draw.chance(40) { known(draw) } else { random(draw) }
    }
}

/// One to three functions that do different things.
pub(in super::super) fn several(draw: &mut Draw) -> Vec<Function> {
    let count = 1 + draw.weighted(&[50, 30, 20]);
    let mut functions: Vec<Function> = Vec::with_capacity(count);
    while functions.len() < count {
        let function = Function::draw(draw);
        if functions.iter().all(|other| other.name != function.name && other.act != function.act) {
            functions.push(function);
        }
    }
    functions
}

fn known(draw: &mut Draw) -> Function {
    let known = &KNOWN[draw.below(KNOWN.len())];
    let fields = known.fields.iter().map(|field| Field {
        key: draw.pick(field.keys).to_owned(),
        spoken: field.spoken.to_owned(),
        kind: field.kind.clone(),
        is_required: field.is_required,
        description: draw.chance(50).then(|| field.description.to_owned()),
    });
    let fields = fields.collect();
    let name = draw.pick(known.names).to_owned();
    Function { name, act: known.act.to_owned(), fields, known: Some(known) }
}

const VERBS: [&str; 16] = [
    "get", "set", "find", "send", "open", "close", "start", "stop", "add", "check", "show", "update", "book", "move",
    "print", "read",
];

const NOUNS: [&str; 20] = [
    "lamp", "room", "order", "song", "report", "ticket", "file", "list", "table", "door", "price", "message", "user",
    "plan", "letter", "page", "box", "garden", "machine", "picture",
];

fn random(draw: &mut Draw) -> Function {
    let words: Vec<String> = match draw.below(10) {
        0..4 => vec![draw.pick(&VERBS).to_owned(), draw.pick(&NOUNS).to_owned()],
        4..6 => vec![draw.pick(&VERBS).to_owned(), draw.pick(&NOUNS).to_owned(), invented::word(draw)],
        6..8 => vec![draw.pick(&VERBS).to_owned(), invented::word(draw)],
        8 => vec![invented::word(draw), invented::word(draw)],
        _ => vec![invented::word(draw)],
    };
    let act = match (words.as_slice(), VERBS.contains(&words[0].as_str())) {
        ([verb, rest @ ..], true) => format!("{verb} the {}", rest.join(" ")),
        (words, _) => format!("run {}", words.join(" ")),
    };
    let name = if draw.chance(15) {
        words.iter().skip(1).fold(words[0].clone(), |name, word| name + &invented::capitalized(word))
    } else {
        words.join("_")
    };
    let count = draw.weighted(&[4, 28, 34, 22, 12]);
    let mut fields = Field::several(draw, count);
    for field in fields.iter_mut().skip(1) {
        field.is_required = draw.chance(65);
    }
    Function { name, act, fields, known: None }
}
