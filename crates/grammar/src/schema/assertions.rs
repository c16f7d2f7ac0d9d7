//! Keywords that look at one sort of value, holding and failing. It must not know keywords that apply other schemas to the same value.

use serde_json::{Map, Value};

use super::decimal::{Bound, Decimal};
use super::document::{ANYTHING, Id};
use super::formats;
use super::reader::{Reader, States};
use super::state::{Arrays, Form, Literal, Numbers, Objects, Row, State, Strings, least};
use crate::error::Error;

impl<'a> Reader<'a> {
    /// Applies a keyword, or its contrary; keywords of other sorts leave the states as they are.
    pub(super) fn assertion(
        &mut self,
        states: Vec<State<'a>>,
        id: Id,
        keyword: &'a str,
        value: &'a Value,
        negated: bool,
    ) -> States<'a> {
        let before = if self.is_relaxed() { states.clone() } else { Vec::new() };
        let applied = match keyword {
            "type" => self.types(states, id, value, negated),
            "enum" => match value.as_array() {
                Some(values) => self.values(states, id, keyword, values.iter().collect(), negated),
                None => Err(self.invalid(id, keyword, "a list")),
            },
            "const" => self.values(states, id, keyword, vec![value], negated),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
                self.number(states, id, keyword, value, negated)
            }
            "minLength" | "maxLength" | "pattern" | "format" => self.string(states, id, keyword, value, negated),
            "minItems" | "maxItems" | "uniqueItems" | "contains" | "items" | "prefixItems" | "unevaluatedItems" => {
                self.array(states, id, keyword, value, negated)
            }
            "minProperties" | "maxProperties" | "required" | "propertyNames" => {
                self.object(states, id, keyword, value, negated)
            }
            _ => return Ok(states),
        };
        match applied {
            Err(Error::Unenforceable { .. }) if self.is_relaxed() && !negated => Ok(before),
            applied => applied,
        }
    }

    fn types(&mut self, states: Vec<State<'a>>, id: Id, value: &'a Value, negated: bool) -> States<'a> {
        let names: Vec<&str> = match value {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => return Err(self.invalid(id, "type", "a type or a list of types")),
        };
        if let Some(name) = names.iter().find(|name| !KNOWN_TYPES.contains(*name)) {
            return Err(self.invalid(
                id,
                "type",
                &format!("made of null, boolean, object, array, number, string and integer, not {name:?}"),
            ));
        }
        let has = |name: &str| names.contains(&name);
        let mut kept = Vec::new();
        for mut state in states {
            let named = match &state.form {
                Form::Null => has("null"),
                Form::Boolean(_) => has("boolean"),
                Form::String(_) => has("string"),
                Form::Array(_) => has("array"),
                Form::Object(_) => has("object"),
                Form::Number(_) => has("number"),
            };
            if let (Form::Number(numbers), true, false) = (&mut state.form, has("integer"), named) {
                numbers.is_whole |= !negated;
                numbers.is_broken |= negated;
            } else if named == negated {
                continue;
            }
            self.check(&mut state, id, "type", negated)?;
            kept.push(state);
        }
        Ok(kept)
    }

    /// `enum` and `const`.
    fn values(
        &mut self,
        states: Vec<State<'a>>,
        id: Id,
        keyword: &'a str,
        values: Vec<&'a Value>,
        negated: bool,
    ) -> States<'a> {
        let mut kept = Vec::new();
        for mut state in states {
            self.step(values.len())?;
            if negated {
                if self.exclude(&mut state, id, keyword, &values) {
                    self.check(&mut state, id, keyword, true)?;
                    kept.push(state);
                }
                continue;
            }
            if state.values.is_some() {
                self.check(&mut state, id, keyword, false)?;
            } else {
                let mut remaining: Vec<&'a Value> =
                    values.iter().copied().filter(|value| state.is_sort_of(value)).collect();
                for (id, keyword, negated) in std::mem::take(&mut state.checks) {
                    remaining = self.holding(remaining, id, keyword, negated)?;
                }
                state.values = Some(remaining);
            }
            if state.values.as_ref().is_some_and(|values| !values.is_empty()) {
                kept.push(state);
            }
        }
        Ok(kept)
    }

    /// Takes values away; says whether something can be said to remain.
    fn exclude(&mut self, state: &mut State<'a>, id: Id, keyword: &str, values: &[&Value]) -> bool {
        if state.values.is_some() {
            return true;
        }
        let here: Vec<&Value> = values.iter().copied().filter(|value| state.is_sort_of(value)).collect();
        if here.is_empty() {
            return true;
        }
        let mut here = here.into_iter();
        match &mut state.form {
            Form::Null => false,
            Form::Boolean(may) => {
                here.filter_map(|value| value.as_bool()).for_each(|value| may[usize::from(value)] = false);
                may.contains(&true)
            }
            Form::Number(numbers) => {
                let decimals: Option<Vec<Decimal>> =
                    here.map(|value| value.as_number().and_then(Decimal::new)).collect();
                numbers.except.extend(decimals.unwrap_or_default());
                true
            }
            Form::String(strings) => {
                strings.except.extend(here.filter_map(|value| value.as_str()).map(str::to_string));
                true
            }
            Form::Array(arrays) if here.all(|value| value.as_array().is_some_and(Vec::is_empty)) => {
                arrays.items_min = arrays.items_min.max(1);
                true
            }
            Form::Object(objects) if here.all(|value| value.as_object().is_some_and(Map::is_empty)) => {
                objects.properties_min = objects.properties_min.max(1);
                true
            }
            Form::Array(_) | Form::Object(_) => {
                self.leave_out(self.unenforceable(
                    id,
                    keyword,
                    "whole objects or arrays cannot be excluded; exclude a property's value",
                ));
                false
            }
        }
    }

    fn number(
        &mut self,
        states: Vec<State<'a>>,
        id: Id,
        keyword: &'a str,
        value: &'a Value,
        negated: bool,
    ) -> States<'a> {
        let keywords = self.document.keywords(id);
        let is_open = |name: &str| keywords.and_then(|keywords| keywords.get(name)) == Some(&Value::Bool(true));
        let exclusive = match keyword {
            "minimum" => is_open("exclusiveMinimum"),
            "maximum" => is_open("exclusiveMaximum"),
            _ if value.is_boolean() => return Ok(if negated { Vec::new() } else { states }),
            _ => keyword != "multipleOf",
        };
        let Some(at) = value.as_number().and_then(Decimal::new) else {
            return Err(self.invalid(id, keyword, "a number"));
        };
        if keyword == "multipleOf" && (at.is_zero() || value.as_f64().is_some_and(|step| step < 0.0)) {
            return Err(self.invalid(id, keyword, "greater than zero"));
        }
        let is_lower = keyword.to_lowercase().ends_with("minimum");
        self.narrow(states, id, keyword, negated, |form| {
            let Form::Number(numbers) = form else { return None };
            let at = at.clone();
            match keyword {
                "multipleOf" => numbers.steps.push((at, negated)),
                _ if is_lower != negated => numbers.raise(Bound { at, exclusive: exclusive != negated }),
                _ => numbers.lessen(Bound { at, exclusive: exclusive != negated }),
            }
            Some(!Numbers::is_empty(numbers))
        })
    }

    fn string(
        &mut self,
        states: Vec<State<'a>>,
        id: Id,
        keyword: &'a str,
        value: &'a Value,
        negated: bool,
    ) -> States<'a> {
        if let ("pattern" | "format", Some(text)) = (keyword, value.as_str()) {
            if keyword == "format" {
                let Some(format) = formats::regex(text) else { return Ok(if negated { Vec::new() } else { states }) };
                if negated {
                    self.leave_out(self.unenforceable(id, keyword, "a format cannot be excluded; use `pattern`"));
                    return Ok(Vec::new());
                }
                self.narrowings += 1;
                return self.narrow(states, id, keyword, false, |form| {
                    let Form::String(strings) = form else { return None };
                    strings.formats.push(format);
                    Some(true)
                });
            }
            let pattern = self.pattern(id, keyword, text)?;
            return self.narrow(states, id, keyword, negated, |form| {
                let Form::String(strings) = form else { return None };
                strings.patterns.push((std::rc::Rc::clone(&pattern), negated));
                Some(true)
            });
        }
        if matches!(keyword, "pattern" | "format") {
            return Err(self.invalid(id, keyword, "a string"));
        }
        let count = self.count(id, keyword, value)?;
        self.narrow(states, id, keyword, negated, |form| {
            let Form::String(Strings { length_min, length_max, .. }) = form else { return None };
            bound(length_min, length_max, keyword == "minLength", count, negated)
        })
    }

    fn array(
        &mut self,
        states: Vec<State<'a>>,
        id: Id,
        keyword: &'a str,
        value: &'a Value,
        negated: bool,
    ) -> States<'a> {
        if matches!(keyword, "minItems" | "maxItems") {
            let count = self.count(id, keyword, value)?;
            return self.narrow(states, id, keyword, negated, |form| {
                let Form::Array(Arrays { items_min, items_max, .. }) = form else { return None };
                bound(items_min, items_max, keyword == "minItems", count, negated)
            });
        }
        if keyword == "uniqueItems" {
            if value != &Value::Bool(true) {
                return Ok(if negated { Vec::new() } else { states });
            }
            if negated {
                self.leave_out(self.unenforceable(id, keyword, "that items are equal cannot be asked"));
                return Ok(Vec::new());
            }
            return self.narrow(states, id, keyword, false, |form| {
                let Form::Array(arrays) = form else { return None };
                arrays.unique = Some(id);
                Some(true)
            });
        }
        if keyword == "contains" {
            return self.contains(states, id, value, negated);
        }
        let Some(row) = self.row(id, keyword, value)? else { return Ok(if negated { Vec::new() } else { states }) };
        if !negated {
            return self.narrow(states, id, keyword, false, |form| {
                let Form::Array(arrays) = form else { return None };
                arrays.rows.push(row.clone());
                Some(true)
            });
        }
        self.narrowings += usize::from(row.rest.is_some());
        let fails = |literal: &Literal| Literal::fails(literal.id);
        let places =
            row.first.iter().chain(&row.rest).map(fails).enumerate().filter(|(_, literal)| literal.id != ANYTHING);
        let mut joined = Vec::new();
        for (place, literal) in places {
            let first: Vec<Literal> = vec![Literal::holds(ANYTHING); place].into_iter().chain([literal]).collect();
            joined.extend(self.narrow(states.clone(), id, keyword, true, |form| {
                let Form::Array(arrays) = form else { return None };
                arrays.items_min = arrays.items_min.max(place as u64 + 1);
                arrays.rows.push(Row { first: first.clone(), rest: None });
                Some(arrays.items_max.is_none_or(|max| max >= arrays.items_min))
            })?);
        }
        Ok(joined)
    }

    /// What a keyword says about items. `items` is a list in older drafts; where `prefixItems` stands, it is about what follows.
    pub(super) fn row(&mut self, id: Id, keyword: &str, value: &'a Value) -> Result<Option<Row>, Error> {
        let keywords = self.document.keywords(id);
        let beside = |name: &str| keywords.and_then(|keywords| keywords.get(name));
        let list_of = |value: Option<&'a Value>| value.and_then(Value::as_array).map_or(0, Vec::len);
        let (prefix, old) = (beside("prefixItems"), beside("items").filter(|items| items.is_array()));
        let one = |reader: &mut Self, value: &'a Value, keyword: &str| {
            Literal::holds(reader.document.child(id, value, keyword, None))
        };
        match keyword {
            "prefixItems" => {
                let first = self.list(id, keyword, value)?.into_iter().map(Literal::holds).collect();
                Ok(Some(Row { first, rest: None }))
            }
            "items" if value.is_array() => {
                let first = self.list(id, keyword, value)?.into_iter().map(Literal::holds).collect();
                let rest = beside("additionalItems").map(|rest| one(self, rest, "additionalItems"));
                Ok(Some(Row { first, rest }))
            }
            "items" => {
                let first = vec![Literal::holds(ANYTHING); list_of(prefix)];
                Ok(Some(Row { first, rest: Some(one(self, value, keyword)) }))
            }
            _ if beside("items").is_some_and(|items| !items.is_array()) => Ok(None),
            _ => {
                self.narrowings += 1;
                let mut first = list_of(prefix).max(list_of(old));
                for also in self.always_applied(id)? {
                    let keywords = self.document.keywords(also);
                    let list = |name: &str| list_of(keywords.and_then(|keywords| keywords.get(name)));
                    first = first.max(list("prefixItems")).max(list("items"));
                }
                Ok(Some(Row { first: vec![Literal::holds(ANYTHING); first], rest: Some(one(self, value, keyword)) }))
            }
        }
    }

    /// Items that fit `contains` come first: fewer texts than the schema allows, all of which fit.
    fn contains(&mut self, states: Vec<State<'a>>, id: Id, value: &'a Value, negated: bool) -> States<'a> {
        let keywords = self.document.keywords(id);
        let beside = |name: &str| keywords.and_then(|keywords| keywords.get(name)).and_then(Value::as_u64);
        let (min, max) = (beside("minContains").unwrap_or(1), beside("maxContains"));
        let target = self.document.child(id, value, "contains", None);
        if negated && (min != 1 || max.is_some()) {
            self.leave_out(self.unenforceable(id, "contains", "counts of items cannot be excluded"));
            return Ok(Vec::new());
        }
        self.narrowings += 1;
        let count = usize::try_from(min).ok().filter(|count| *count <= MIN_CONTAINS_MAX);
        let Some(count) = count else { return Err(Error::limit("minContains", MIN_CONTAINS_MAX)) };
        let row = match (negated, max) {
            (true, _) => Row { first: Vec::new(), rest: Some(Literal::fails(target)) },
            (false, None) => Row { first: vec![Literal::holds(target); count], rest: None },
            (false, Some(_)) => Row { first: vec![Literal::holds(target); count], rest: Some(Literal::fails(target)) },
        };
        self.narrow(states, id, "contains", negated, |form| {
            let Form::Array(arrays) = form else { return None };
            if !negated {
                arrays.items_min = arrays.items_min.max(min);
            }
            arrays.rows.push(row.clone());
            Some(arrays.items_max.is_none_or(|max| max >= arrays.items_min) && max.is_none_or(|max| max >= min))
        })
    }

    fn object(
        &mut self,
        states: Vec<State<'a>>,
        id: Id,
        keyword: &'a str,
        value: &'a Value,
        negated: bool,
    ) -> States<'a> {
        if keyword == "propertyNames" {
            if negated {
                self.leave_out(self.unenforceable(id, keyword, "that a name does not fit cannot be asked"));
                return Ok(Vec::new());
            }
            let names = Literal::holds(self.document.child(id, value, keyword, None));
            return self.narrow(states, id, keyword, false, |form| {
                let Form::Object(objects) = form else { return None };
                objects.names.push(names);
                Some(true)
            });
        }
        if keyword != "required" {
            let count = self.count(id, keyword, value)?;
            return self.narrow(states, id, keyword, negated, |form| {
                let Form::Object(Objects { properties_min, properties_max, .. }) = form else { return None };
                bound(properties_min, properties_max, keyword == "minProperties", count, negated)
            });
        }
        // A boolean in drafts that are no longer read.
        let Some(names) = value.as_array() else { return Ok(if negated { Vec::new() } else { states }) };
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        if !negated {
            return self.narrow(states, id, keyword, false, |form| {
                let Form::Object(objects) = form else { return None };
                names.iter().for_each(|name| objects.require(name));
                Some(names.iter().all(|name| !objects.forbidden.iter().any(|forbidden| forbidden == name)))
            });
        }
        let mut joined = Vec::new();
        for name in names {
            joined.extend(self.narrow(states.clone(), id, keyword, true, |form| {
                let Form::Object(objects) = form else { return None };
                objects.forbid(name);
                Some(!objects.required.iter().any(|required| required == name))
            })?);
        }
        Ok(joined)
    }

    /// Lets a keyword change the states of its sort, and drops those that it empties. States of other sorts fit the keyword, and never
    /// its contrary.
    pub(super) fn narrow(
        &mut self,
        states: Vec<State<'a>>,
        id: Id,
        keyword: &'a str,
        negated: bool,
        change: impl Fn(&mut Form) -> Option<bool>,
    ) -> States<'a> {
        let mut kept = Vec::with_capacity(states.len());
        for mut state in states {
            match change(&mut state.form) {
                None if negated => continue,
                None => {}
                // Where values were named, only they count.
                Some(false) if state.values.is_none() => continue,
                Some(_) => self.check(&mut state, id, keyword, negated)?,
            }
            if state.values.as_ref().is_none_or(|values| !values.is_empty()) {
                kept.push(state);
            }
        }
        Ok(kept)
    }

    /// Remembers a keyword for values that come later, or asks the values that are there.
    pub(super) fn check(
        &mut self,
        state: &mut State<'a>,
        id: Id,
        keyword: &'a str,
        negated: bool,
    ) -> Result<(), Error> {
        match state.values.take() {
            Some(values) => state.values = Some(self.holding(values, id, keyword, negated)?),
            None => state.checks.push((id, keyword, negated)),
        }
        Ok(())
    }

    fn holding(
        &mut self,
        values: Vec<&'a Value>,
        id: Id,
        keyword: &str,
        negated: bool,
    ) -> Result<Vec<&'a Value>, Error> {
        let mut kept = Vec::with_capacity(values.len());
        for value in values {
            if self.keyword_holds(value, id, keyword)? != negated {
                kept.push(value);
            }
        }
        Ok(kept)
    }

    fn count(&self, id: Id, keyword: &str, value: &Value) -> Result<u64, Error> {
        let whole = value
            .as_u64()
            .or_else(|| value.as_f64().filter(|count| *count >= 0.0 && count.fract() == 0.0).map(|count| count as u64));
        whole.ok_or_else(|| self.invalid(id, keyword, "a whole number, zero or more"))
    }
}

const KNOWN_TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];
/// Items that `minContains` may ask for.
const MIN_CONTAINS_MAX: usize = 1000;

/// Applies a lower or an upper bound, or its contrary; says whether something remains.
fn bound(min: &mut u64, max: &mut Option<u64>, is_lower: bool, count: u64, negated: bool) -> Option<bool> {
    match (is_lower, negated) {
        (true, false) => *min = (*min).max(count),
        (false, false) => *max = least(*max, count),
        (false, true) => *min = (*min).max(count.saturating_add(1)),
        (true, true) if count == 0 => return Some(false),
        (true, true) => *max = least(*max, count - 1),
    }
    Some(max.is_none_or(|max| max >= *min))
}
