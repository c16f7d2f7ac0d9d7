//! The places of a schema as a graph: each is what must hold there, and the shapes that values may have. It must not know how shapes
//! become rules.

use std::collections::HashMap;

use llguidance::derivre::RegexAst;
use serde_json::Value;

use super::document::Id;
use super::objects;
use super::reader::{EMPTY_DEPTH, Reader};
use super::state::{Arrays, Conjunction, Form, Literal, State, sorted};
use super::texts;
use super::values::is_same;
use crate::error::Error;

/// The number of a place.
pub(super) type Place = usize;

/// A shape of values.
pub(super) enum Shape<'a> {
    /// What another place says.
    Same(Place),
    /// One of these values.
    Values(Vec<&'a Value>),
    /// A text of one lexeme: null, booleans, numbers and strings.
    Text(RegexAst),
    Array {
        first: Vec<Place>,
        rest: Place,
        min: u64,
        max: Option<u64>,
    },
    /// Different values out of these.
    Different {
        values: Vec<&'a Value>,
        min: u64,
        max: u64,
    },
    Object(Fields),
}

/// An object.
pub(super) struct Fields {
    /// Properties by name, whether they must be there, and what is asked of them.
    pub(super) known: Vec<(String, bool, Place)>,
    /// Names of other properties as JSON strings, and what is asked of those.
    pub(super) others: Vec<(RegexAst, Place)>,
    pub(super) min: u64,
    pub(super) max: Option<u64>,
}

/// The graph.
pub(super) struct Graph<'a> {
    pub(super) reader: Reader<'a>,
    /// Shapes of each place; none are known of those that were not reached yet.
    pub(super) shapes: Vec<Vec<Shape<'a>>>,
    asked: Vec<Conjunction>,
    by_asked: HashMap<Conjunction, Place>,
}

/// Keywords that say something about values; all others are annotations, or belong to one of these.
const MEANINGFUL: [&str; 34] = [
    "type",
    "enum",
    "const",
    "$ref",
    "$dynamicRef",
    "$recursiveRef",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "properties",
    "patternProperties",
    "additionalProperties",
    "unevaluatedProperties",
    "required",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "items",
    "prefixItems",
    "unevaluatedItems",
    "contains",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minimum",
    "maximum",
    "multipleOf",
    "minLength",
    "maxLength",
];
const MEANINGFUL_TOO: [&str; 4] = ["pattern", "format", "exclusiveMinimum", "exclusiveMaximum"];
/// Whether a keyword says something about values.
pub(super) fn is_meaningful(keyword: &str) -> bool {
    MEANINGFUL.contains(&keyword) || MEANINGFUL_TOO.contains(&keyword)
}

/// Alternatives of which all pairs are looked at.
const PAIRS_OF_MAX: usize = 40;
/// Different items that arrays are spelled out for.
const DIFFERENT_MAX: usize = 200;

impl<'a> Graph<'a> {
    /// Reads everything that can be reached from the root, which is place 0.
    pub(super) fn new(mut reader: Reader<'a>) -> Result<Self, Error> {
        let root = reader.document.root();
        let mut graph = Self { reader, shapes: Vec::new(), asked: Vec::new(), by_asked: HashMap::new() };
        graph.place(sorted(vec![Literal::holds(root)]));
        let mut next = 0;
        while next < graph.asked.len() {
            if graph.asked.len() > graph.reader.limits.rules / 4 {
                return Err(Error::limit(
                    "the number of different places in the schema",
                    graph.reader.limits.rules / 4,
                ));
            }
            graph.shapes[next] = graph.fill(next)?;
            next += 1;
        }
        graph.refuse_circles()?;
        Ok(graph)
    }

    /// The place where all of these must hold.
    pub(super) fn place(&mut self, asked: Conjunction) -> Place {
        if let Some(place) = self.by_asked.get(&asked) {
            return *place;
        }
        let place = self.asked.len();
        self.asked.push(asked.clone());
        self.shapes.push(Vec::new());
        self.by_asked.insert(asked, place);
        place
    }

    /// The path of a schema that is asked for at a place.
    pub(super) fn path(&self, place: Place) -> String {
        self.asked[place].last().map(|literal| self.reader.document.path(literal.id)).unwrap_or_default()
    }

    fn fill(&mut self, place: Place) -> Result<Vec<Shape<'a>>, Error> {
        let asked = self.asked[place].clone();
        if let [Literal { id, negated: false }] = asked.as_slice()
            && let Some(targets) = self.only_options(*id)?
        {
            let same = |target| Shape::Same(self.place(sorted(vec![Literal::holds(target)])));
            return Ok(targets.into_iter().map(same).collect());
        }
        self.reader.left_out = None;
        let states = self.reader.expand(&asked)?;
        if states.is_empty()
            && let Some(error) = self.reader.left_out.take()
        {
            return Err(error);
        }
        let mut shapes = Vec::new();
        for state in states {
            shapes.extend(self.shape(state, &asked)?);
        }
        Ok(shapes)
    }

    /// The schemas of which one must hold, where a schema says nothing else.
    fn only_options(&mut self, id: Id) -> Result<Option<Vec<Id>>, Error> {
        let Some(keywords) = self.reader.document.keywords(id) else { return Ok(None) };
        let meaningful: Vec<&String> = keywords.keys().filter(|keyword| is_meaningful(keyword)).collect();
        let [keyword] = meaningful.as_slice() else { return Ok(None) };
        let value = &keywords[keyword.as_str()];
        match keyword.as_str() {
            "$ref" => match self.reader.reference(id, keyword, value) {
                Err(Error::Unenforceable { .. }) if self.reader.is_relaxed() => {
                    Ok(Some(vec![super::document::ANYTHING]))
                }
                target => Ok(Some(vec![target?])),
            },
            "anyOf" => Ok(Some(self.reader.list(id, keyword, value)?)),
            "allOf" => {
                let targets = self.reader.list(id, keyword, value)?;
                Ok(Some(targets).filter(|targets| targets.len() == 1))
            }
            "oneOf" => {
                let targets = self.reader.list(id, keyword, value)?;
                let mut apart = targets.len() <= PAIRS_OF_MAX;
                for (index, one) in targets.iter().enumerate() {
                    for two in &targets[index + 1..] {
                        apart = apart
                            && self
                                .reader
                                .none_fits(sorted(vec![Literal::holds(*one), Literal::holds(*two)]), EMPTY_DEPTH)?;
                    }
                }
                Ok(Some(targets).filter(|_| apart))
            }
            _ => Ok(None),
        }
    }

    fn shape(&mut self, state: State<'a>, asked: &Conjunction) -> Result<Option<Shape<'a>>, Error> {
        if let Some(values) = state.values {
            return Ok(Some(Shape::Values(values))
                .filter(|shape| !matches!(shape, Shape::Values(values) if values.is_empty())));
        }
        let text = |text: &str| Shape::Text(RegexAst::Literal(text.to_string()));
        match state.form {
            Form::Null => Ok(Some(text("null"))),
            Form::Boolean([true, true]) => Ok(Some(Shape::Text(texts::literals(&["true", "false"])))),
            Form::Boolean([no, yes]) => Ok(if yes { Some(text("true")) } else { no.then(|| text("false")) }),
            Form::Number(numbers) => {
                let id = asked.last().map_or(0, |literal| literal.id);
                let regex =
                    texts::number(&numbers).map_err(|reason| self.reader.unenforceable(id, "multipleOf", &reason))?;
                Ok(regex.map(Shape::Text))
            }
            Form::String(strings) => Ok(texts::string(&strings, self.reader.limits)?.map(Shape::Text)),
            Form::Array(arrays) => self.array(&arrays),
            Form::Object(objects) => Ok(objects::fields(self, &objects)?.map(Shape::Object)),
        }
    }

    fn array(&mut self, arrays: &Arrays) -> Result<Option<Shape<'a>>, Error> {
        let (min, limits) = (arrays.items_min, self.reader.limits);
        if min > limits.repetitions as u64 {
            return Err(Error::limit("minItems", format!("{} items", limits.repetitions)));
        }
        let max = arrays.items_max.map(|max| max.min(limits.repetitions as u64));
        if max.is_some_and(|max| max < min) {
            return Ok(None);
        }
        if let Some(id) = arrays.unique.filter(|_| max.is_none_or(|max| max > 1)) {
            match self.different(arrays, min, max) {
                Ok(Some(shape)) => return Ok(shape),
                Ok(None) if self.reader.is_relaxed() => {}
                Ok(None) => {
                    let reason = "only items of few values can be held apart: give them an `enum`, set `maxItems` to 1, or leave it out";
                    return Err(self.reader.unenforceable(id, "uniqueItems", reason));
                }
                Err(error) => return Err(error),
            }
        }
        let places = arrays.first().min(max.map_or(usize::MAX, |max| max as usize));
        let first = (0..places).map(|place| arrays.item(place)).collect::<Vec<_>>();
        let first = first.into_iter().map(|asked| self.place(asked)).collect();
        let rest = self.place(arrays.item(arrays.first()));
        Ok(Some(Shape::Array { first, rest, min, max }))
    }

    /// An array of items that differ, where these are few values; the inner nothing where there is no such array.
    fn different(&mut self, arrays: &Arrays, min: u64, max: Option<u64>) -> Result<Option<Option<Shape<'a>>>, Error> {
        if arrays.first() > 0 {
            return Ok(None);
        }
        let mut values: Vec<&'a Value> = Vec::new();
        for state in self.reader.expand(&arrays.item(0))? {
            match (state.values, state.form) {
                (Some(more), _) => values.extend(more),
                (None, Form::Null) => values.push(&Value::Null),
                (None, Form::Boolean(may)) => {
                    values.extend([&FALSE, &TRUE].into_iter().zip(may).filter(|(_, may)| *may).map(|(value, _)| value));
                }
                (None, _) => return Ok(None),
            }
        }
        let mut once: Vec<&Value> = Vec::new();
        for value in values {
            if !once.iter().any(|other| is_same(value, other)) {
                once.push(value);
            }
            if once.len() > DIFFERENT_MAX {
                return Ok(None);
            }
        }
        let max = max.unwrap_or(u64::MAX).min(once.len() as u64);
        Ok(Some((min <= max).then_some(Shape::Different { values: once, min, max })))
    }

    /// A place that is only another one, and in the end itself, has no value.
    fn refuse_circles(&self) -> Result<(), Error> {
        // 0: not seen, 1: on the way, 2: done.
        let mut seen = vec![0_u8; self.shapes.len()];
        for start in 0..self.shapes.len() {
            let mut way = vec![(start, 0)];
            while let Some((place, next)) = way.pop() {
                if next == 0 {
                    if seen[place] == 2 {
                        continue;
                    }
                    seen[place] = 1;
                }
                let target = self.shapes[place]
                    .iter()
                    .filter_map(|shape| if let Shape::Same(target) = shape { Some(*target) } else { None })
                    .nth(next);
                let Some(target) = target else {
                    seen[place] = 2;
                    continue;
                };
                way.push((place, next + 1));
                match seen[target] {
                    1 => {
                        let reason =
                            "it refers to itself with no object or array between, so that no value is ever reached"
                                .to_string();
                        return Err(Error::Unsatisfiable { path: self.path(target), reason });
                    }
                    0 => way.push((target, 0)),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

static TRUE: Value = Value::Bool(true);
static FALSE: Value = Value::Bool(false);
