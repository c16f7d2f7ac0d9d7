//! JSON Schema to rules. It must not know tokens or who asks.
//!
//! A place of the schema is a set of subschemas that must hold there, or must not. Reading their keywords gives alternatives
//! (`reader`, `assertions`, `negation`, over `state`), each a sort of value with its constraints; `graph` and `objects` make shapes of
//! them and find the places below; `emit` writes rules. Whatever cannot be told exactly is left out of the language, never let in: every
//! text that the rules derive fits the schema.

mod assertions;
mod containers;
mod decimal;
mod document;
mod emit;
mod emptiness;
mod formats;
mod graph;
mod negation;
mod objects;
mod pattern;
mod reader;
mod repeat;
mod state;
mod texts;
mod values;

use llguidance::api::GrammarInit;
use llguidance::derivre::RegexAst;
use serde_json::Value;

use crate::error::Error;
use crate::limits::Limits;
use crate::rules::Rules;
use crate::source::Mode;
use graph::{Fields, Graph, Place, Shape};
use reader::Reader;

/// What may stand between two parts of a text: a model that writes white space for ever says nothing.
const WHITE_SPACE: &str = r"[ \t]{1,16}|\r?\n[ \t]{0,64}";

/// Compiles a schema.
pub(crate) fn compile(schema: &Value, mode: Mode, limits: &Limits) -> Result<GrammarInit, Error> {
    let graph = Graph::new(Reader::new(schema, mode, limits))?;
    let fruitful = fruitful(&graph.shapes);
    if !fruitful[0] {
        return Err(blame(&graph, &fruitful));
    }
    let rules = Rules::new("schema", RegexAst::Regex(WHITE_SPACE.to_string()), limits)?;
    Ok(emit::Writer::write(&graph, rules, &fruitful)?.finish())
}

/// Which places have values that end.
fn fruitful(shapes: &[Vec<Shape<'_>>]) -> Vec<bool> {
    let mut fruitful = vec![false; shapes.len()];
    loop {
        let mut changed = false;
        for place in (0..shapes.len()).rev() {
            if !fruitful[place] && shapes[place].iter().any(|shape| is_fruitful(shape, &fruitful)) {
                fruitful[place] = true;
                changed = true;
            }
        }
        if !changed {
            return fruitful;
        }
    }
}

fn is_fruitful(shape: &Shape<'_>, fruitful: &[bool]) -> bool {
    match shape {
        Shape::Same(target) => fruitful[*target],
        Shape::Values(_) | Shape::Text(_) | Shape::Different { .. } => true,
        Shape::Array { first, rest, min, max: _ } => {
            let min = *min as usize;
            first.iter().take(min).all(|place| fruitful[*place]) && (min <= first.len() || fruitful[*rest])
        }
        Shape::Object(fields) => lacks(fields, fruitful).is_none(),
    }
}

/// Why an object cannot be: a required property that has no value, or too few properties.
enum Lack {
    Required(Place),
    Count,
}

fn lacks(Fields { known, others, min, max }: &Fields, fruitful: &[bool]) -> Option<Lack> {
    let required = |(_, is_required, _): &&(String, bool, Place)| *is_required;
    if let Some((_, _, place)) = known.iter().filter(required).find(|(_, _, place)| !fruitful[*place]) {
        return Some(Lack::Required(*place));
    }
    let here = known.iter().filter(|(_, _, place)| fruitful[*place]).count() as u64;
    let other = u64::from(others.iter().any(|(_, place)| fruitful[*place]));
    let needed = known.iter().filter(required).count() as u64;
    let is_off = here + other < *min || max.is_some_and(|max| max < *min || max < needed);
    is_off.then_some(Lack::Count)
}

/// Follows what is required from the root to what has no value.
fn blame(graph: &Graph<'_>, fruitful: &[bool]) -> Error {
    let (mut place, mut seen) = (0, Vec::new());
    while !seen.contains(&place) {
        seen.push(place);
        for shape in &graph.shapes[place] {
            let below = match shape {
                Shape::Same(target) => *target,
                Shape::Array { first, rest, .. } => {
                    first.iter().copied().find(|place| !fruitful[*place]).unwrap_or(*rest)
                }
                Shape::Object(fields) => match lacks(fields, fruitful) {
                    Some(Lack::Required(place)) => place,
                    Some(Lack::Count)
                        if !fields.others.is_empty() && fields.max.is_none_or(|max| max >= fields.min) =>
                    {
                        let reason = "so many properties can only be asked of an object that names them; name them in `properties`";
                        return Error::Unenforceable {
                            path: graph.path(place),
                            keyword: "minProperties".to_string(),
                            reason: reason.to_string(),
                        };
                    }
                    Some(Lack::Count) | None => continue,
                },
                Shape::Values(_) | Shape::Text(_) | Shape::Different { .. } => continue,
            };
            place = below;
            break;
        }
    }
    let is_endless = graph.shapes[place].iter().any(|shape| !matches!(shape, Shape::Values(_) | Shape::Text(_)));
    let reason = if is_endless {
        "what it requires has no end or contradicts itself; make a property optional or change the bounds"
    } else {
        "its keywords contradict each other; loosen one of them"
    };
    Error::Unsatisfiable { path: graph.path(place), reason: reason.to_string() }
}
