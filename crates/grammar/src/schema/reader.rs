//! Reads keywords: what a value may still be after a schema, as alternatives. Whatever is left out of an alternative because it cannot
//! be told is left out of the language, so that what remains always fits. It must not know how alternatives become rules.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::document::{ANYTHING, Document, Id};
use super::graph::is_meaningful;
use super::pattern::{Pattern, is_plain};
use super::state::{Conjunction, Group, Literal, State};
use crate::error::Error;
use crate::limits::Limits;
use crate::source::Mode;

/// Schemas that are read while another is read, at one place.
const NESTING_MAX: usize = 150;

/// Reads the schemas of a document.
pub(super) struct Reader<'a> {
    pub(super) document: Document<'a>,
    pub(super) limits: &'a Limits,
    mode: Mode,
    steps: usize,
    patterns: HashMap<String, Rc<Pattern>>,
    active: Vec<Literal>,
    /// The last thing that was left out because it cannot be told.
    pub(super) left_out: Option<Error>,
    /// How often fewer values were kept than fit. Where it changes, that nothing remains proves nothing.
    pub(super) narrowings: usize,
    pub(super) known_empty: HashMap<Conjunction, bool>,
    /// How deep required properties are still followed to see that alternatives exclude each other.
    pub(super) depth: usize,
}

/// The alternatives, or why there are none to be had.
pub(super) type States<'a> = Result<Vec<State<'a>>, Error>;

impl<'a> Reader<'a> {
    pub(super) fn new(schema: &'a Value, mode: Mode, limits: &'a Limits) -> Self {
        Self {
            document: Document::new(schema),
            limits,
            mode,
            steps: 0,
            patterns: HashMap::new(),
            active: Vec::new(),
            left_out: None,
            narrowings: 0,
            known_empty: HashMap::new(),
            depth: EMPTY_DEPTH,
        }
    }

    /// What a value may be that fits all of these.
    pub(super) fn expand(&mut self, conjunction: &[Literal]) -> States<'a> {
        let mut states = State::all();
        for literal in conjunction {
            states = self.apply(states, *literal)?;
        }
        Ok(states)
    }

    pub(super) fn apply(&mut self, states: Vec<State<'a>>, literal: Literal) -> States<'a> {
        self.step(states.len())?;
        if states.is_empty() || literal.id == ANYTHING {
            return Ok(if literal.negated { Vec::new() } else { states });
        }
        if self.active.contains(&literal) {
            let reason =
                "it contains itself with no object or array between, so that no value is ever reached".to_string();
            return Err(Error::Unsatisfiable { path: self.document.path(literal.id), reason });
        }
        if self.active.len() >= NESTING_MAX {
            return Err(Error::limit("schemas inside each other at one place", NESTING_MAX));
        }
        self.active.push(literal);
        let applied = match (self.document.value(literal.id), literal.negated) {
            (Value::Bool(holds), negated) => Ok(if *holds == negated { Vec::new() } else { states }),
            (Value::Object(keywords), false) => self.all(states, literal.id, keywords),
            (Value::Object(keywords), true) => self.any_fails(states, literal.id, keywords),
            _ => Err(Error::Invalid {
                path: self.document.path(literal.id),
                keyword: "schema".to_string(),
                reason: "a schema is an object or a boolean".to_string(),
            }),
        };
        self.active.pop();
        let applied = applied?;
        if applied.len() > self.limits.alternatives {
            return Err(Error::limit(
                "the alternatives that keywords multiply to at one place",
                self.limits.alternatives,
            ));
        }
        Ok(applied)
    }

    /// Every keyword of a schema holds.
    fn all(&mut self, mut states: Vec<State<'a>>, id: Id, keywords: &'a Map<String, Value>) -> States<'a> {
        for (keyword, value) in keywords {
            states = self.assertion(states, id, keyword, value, false)?;
        }
        self.group(&mut states, id, keywords)?;
        for (keyword, value) in keywords {
            states = self.applicator(states, id, keyword, value)?;
        }
        // What multiplies comes last.
        for (keyword, value) in keywords {
            states = match keyword.as_str() {
                "dependentRequired" | "dependentSchemas" | "dependencies" => {
                    self.dependencies(states, id, keyword, value)?
                }
                "if" => self.condition(states, id, keywords)?,
                "anyOf" => self.any_of(states, id, value)?,
                "oneOf" => self.one_of(states, id, value)?,
                _ => states,
            };
        }
        Ok(states)
    }

    /// Keywords that apply other schemas to the same value, one by one.
    fn applicator(&mut self, mut states: Vec<State<'a>>, id: Id, keyword: &str, value: &'a Value) -> States<'a> {
        match keyword {
            "$ref" | "$dynamicRef" | "$recursiveRef" => {
                let target = self.reference(id, keyword, value)?;
                // Older drafts pass over what stands beside a reference; it is applied here all the same.
                let meaningful =
                    self.document.keywords(id).into_iter().flat_map(Map::keys).filter(|keyword| is_meaningful(keyword));
                self.narrowings += usize::from(meaningful.count() > 1);
                self.apply(states, Literal::holds(target))
            }
            "allOf" => {
                for target in self.list(id, keyword, value)? {
                    states = self.apply(states, Literal::holds(target))?;
                }
                Ok(states)
            }
            "not" => {
                let target = self.document.child(id, value, keyword, None);
                let failing = self.apply(states.clone(), Literal::fails(target));
                self.or_leave(states, failing, id, keyword)
            }
            _ => Ok(states),
        }
    }

    fn any_of(&mut self, states: Vec<State<'a>>, id: Id, value: &'a Value) -> States<'a> {
        let mut joined = Vec::new();
        let mut seen = Vec::new();
        for option in self.list(id, "anyOf", value)? {
            if !seen.contains(&option) {
                seen.push(option);
                joined.extend(self.apply(states.clone(), Literal::holds(option))?);
            }
        }
        Ok(joined)
    }

    /// Exactly one: each in turn, where those that could hold as well do not.
    fn one_of(&mut self, states: Vec<State<'a>>, id: Id, value: &'a Value) -> States<'a> {
        let options = self.list(id, "oneOf", value)?;
        let mut joined = Vec::new();
        for (index, option) in options.iter().enumerate() {
            let mut only = self.apply(states.clone(), Literal::holds(*option))?;
            for (_, other) in options.iter().enumerate().filter(|(place, _)| *place != index) {
                if only.is_empty() {
                    break;
                }
                let narrowings = self.narrowings;
                let both = self.apply(only.clone(), Literal::holds(*other))?;
                if narrowings != self.narrowings || !self.all_empty(&both, self.depth)? {
                    let alone = self.apply(only.clone(), Literal::fails(*other));
                    only = self.or_leave(only, alone, id, "oneOf")?;
                }
            }
            joined.extend(only);
        }
        Ok(joined)
    }

    fn condition(&mut self, states: Vec<State<'a>>, id: Id, keywords: &'a Map<String, Value>) -> States<'a> {
        let [test, then, other] = ["if", "then", "else"].map(|keyword| {
            keywords.get(keyword).map_or(ANYTHING, |value| self.document.child(id, value, keyword, None))
        });
        if then == ANYTHING && other == ANYTHING {
            return Ok(states);
        }
        let holding = self.apply(states.clone(), Literal::holds(test))?;
        let mut joined = self.apply(holding, Literal::holds(then))?;
        let failing = self.apply(states.clone(), Literal::fails(test));
        let failing = self.or_leave(Vec::new(), failing, id, "if")?;
        joined.extend(self.apply(failing, Literal::holds(other))?);
        if joined.is_empty() && self.mode == Mode::Relaxed { Ok(states) } else { Ok(joined) }
    }

    /// Where a negation cannot be told: in relaxed mode the keyword is passed over, otherwise the error says which it was.
    fn or_leave(&mut self, before: Vec<State<'a>>, negated: States<'a>, id: Id, keyword: &str) -> States<'a> {
        let relaxed = self.mode == Mode::Relaxed;
        match negated {
            Ok(states) if states.is_empty() && relaxed && self.left_out.take().is_some() => Ok(before),
            Ok(states) => Ok(states),
            Err(Error::Unenforceable { .. } | Error::Limit { .. }) if relaxed => Ok(before),
            Err(Error::Limit { .. }) => {
                let reason =
                    "its alternatives overlap in too many ways; make them differ in a required property with a `const`"
                        .to_string();
                Err(Error::Unenforceable { path: self.document.path(id), keyword: keyword.to_string(), reason })
            }
            Err(error) => Err(error),
        }
    }

    /// `properties` and what goes with it.
    fn group(&mut self, states: &mut [State<'a>], id: Id, keywords: &'a Map<String, Value>) -> Result<(), Error> {
        const NAMES: [&str; 4] = ["properties", "patternProperties", "additionalProperties", "unevaluatedProperties"];
        if !NAMES.iter().any(|name| keywords.contains_key(*name)) {
            return Ok(());
        }
        for name in ["properties", "patternProperties"] {
            if keywords.get(name).is_some_and(|value| !value.is_object()) {
                return Err(self.invalid(id, name, "an object of schemas"));
            }
        }
        for pattern in keywords.get("patternProperties").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            self.pattern(id, "patternProperties", pattern)?;
        }
        let mut group = Group { id, also: Vec::new(), additional: None };
        for name in ["additionalProperties", "unevaluatedProperties"] {
            if let Some(value) = keywords.get(name) {
                group.additional = Some(Literal::holds(self.document.child(id, value, name, None)));
                if name == "unevaluatedProperties" {
                    self.narrowings += 1;
                    group.also = self.always_applied(id)?;
                }
                break;
            }
        }
        for state in states {
            if let super::state::Form::Object(objects) = &mut state.form {
                objects.groups.push(group.clone());
            }
            for name in NAMES.into_iter().filter(|name| keywords.contains_key(*name)) {
                self.check(state, id, name, false)?;
            }
        }
        Ok(())
    }

    /// Schemas that apply to the same value whenever this one does.
    pub(super) fn always_applied(&mut self, id: Id) -> Result<Vec<Id>, Error> {
        let mut found = vec![id];
        let mut next = 0;
        while let Some(id) = found.get(next).copied() {
            next += 1;
            let Some(keywords) = self.document.keywords(id) else { continue };
            for (keyword, value) in keywords {
                let targets = match keyword.as_str() {
                    "$ref" => vec![self.reference(id, keyword, value)?],
                    "allOf" => self.list(id, keyword, value)?,
                    _ => Vec::new(),
                };
                targets.into_iter().for_each(|target| {
                    if !found.contains(&target) {
                        found.push(target)
                    }
                });
            }
        }
        found.remove(0);
        Ok(found)
    }

    /// `properties` and what goes with it alone.
    pub(super) fn group_only(&mut self, states: &mut [State<'a>], id: Id) -> Result<(), Error> {
        match self.document.keywords(id) {
            Some(keywords) => self.group(states, id, keywords),
            None => Ok(()),
        }
    }

    /// Begins to read at another place; what it gives is put back by [`Reader::leave`].
    pub(super) fn enter(&mut self, depth: usize) -> (Vec<Literal>, usize) {
        (std::mem::take(&mut self.active), std::mem::replace(&mut self.depth, depth))
    }

    pub(super) fn leave(&mut self, (active, depth): (Vec<Literal>, usize)) {
        self.active = active;
        self.depth = depth;
    }

    /// Leaves out values that fit, because that cannot be told.
    pub(super) fn leave_out(&mut self, error: Error) {
        self.narrowings += 1;
        self.left_out = Some(error);
    }

    /// One unit of work, and more where there is more to look at.
    pub(super) fn step(&mut self, states: usize) -> Result<(), Error> {
        self.steps += 1 + states;
        if self.steps > self.limits.steps {
            return Err(Error::limit("the work of reading the schema", format!("{} steps", self.limits.steps)));
        }
        Ok(())
    }

    pub(super) fn list(&mut self, id: Id, keyword: &str, value: &'a Value) -> Result<Vec<Id>, Error> {
        let Some(items) = value.as_array() else { return Err(self.invalid(id, keyword, "a list of schemas")) };
        let child =
            |(index, item): (usize, &'a Value)| self.document.child(id, item, keyword, Some(&index.to_string()));
        Ok(items.iter().enumerate().map(child).collect())
    }

    pub(super) fn reference(&mut self, id: Id, keyword: &str, value: &'a Value) -> Result<Id, Error> {
        match value.as_str() {
            Some(reference) => self.document.resolve(id, keyword, reference),
            None => Err(self.invalid(id, keyword, "a string")),
        }
    }

    pub(super) fn pattern(&mut self, id: Id, keyword: &str, pattern: &str) -> Result<Rc<Pattern>, Error> {
        if let Some(known) = self.patterns.get(pattern) {
            self.narrowings += usize::from(!known.is_exact());
            return Ok(Rc::clone(known));
        }
        let read = Pattern::new(pattern).map_err(|reason| self.unenforceable(id, keyword, &reason))?;
        let read = Rc::new(read);
        self.narrowings += usize::from(!read.is_exact());
        self.patterns.insert(pattern.to_string(), Rc::clone(&read));
        Ok(read)
    }

    /// Whether a pattern surely matches somewhere in a text. In plain ASCII all engines agree.
    pub(super) fn is_match(&mut self, id: Id, keyword: &str, pattern: &str, text: &str) -> Result<bool, Error> {
        let narrowings = self.narrowings;
        let pattern = self.pattern(id, keyword, pattern)?;
        if is_plain(text) {
            self.narrowings = narrowings;
        }
        Ok(pattern.is_in(text))
    }

    pub(super) fn is_relaxed(&self) -> bool {
        self.mode == Mode::Relaxed
    }

    pub(super) fn invalid(&self, id: Id, keyword: &str, expected: &str) -> Error {
        Error::Invalid {
            path: self.document.path(id),
            keyword: keyword.to_string(),
            reason: format!("it must be {expected}"),
        }
    }

    pub(super) fn unenforceable(&self, id: Id, keyword: &str, reason: &str) -> Error {
        Error::Unenforceable { path: self.document.path(id), keyword: keyword.to_string(), reason: reason.to_string() }
    }
}

/// How deep required properties are followed to see that two alternatives exclude each other.
pub(super) const EMPTY_DEPTH: usize = 4;
