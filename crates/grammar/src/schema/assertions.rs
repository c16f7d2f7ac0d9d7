//! Keywords that look at one sort of value, holding and failing. It must not know keywords that apply other schemas to the same value.

use serde_json::{Map, Value};

use super::decimal::{Bound, Decimal};
use super::document::Id;
use super::formats;
use super::reader::{Reader, States};
use super::state::{Form, Numbers, State, Strings, least};
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
            Err(Error::Unenforceable { .. } | Error::Invalid { .. }) if self.is_relaxed() && !negated => Ok(before),
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
            if self.keyword_holds(value, id, keyword, negated)? {
                kept.push(value);
            }
        }
        Ok(kept)
    }

    pub(super) fn count(&self, id: Id, keyword: &str, value: &Value) -> Result<u64, Error> {
        let whole = value
            .as_u64()
            .or_else(|| value.as_f64().filter(|count| *count >= 0.0 && count.fract() == 0.0).map(|count| count as u64));
        whole.ok_or_else(|| self.invalid(id, keyword, "a whole number, zero or more"))
    }
}

const KNOWN_TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];

/// Applies a lower or an upper bound, or its contrary; says whether something remains.
pub(super) fn bound(min: &mut u64, max: &mut Option<u64>, is_lower: bool, count: u64, negated: bool) -> Option<bool> {
    match (is_lower, negated) {
        (true, false) => *min = (*min).max(count),
        (false, false) => *max = least(*max, count),
        (false, true) => *min = (*min).max(count.saturating_add(1)),
        (true, true) if count == 0 => return Some(false),
        (true, true) => *max = least(*max, count - 1),
    }
    Some(max.is_none_or(|max| max >= *min))
}
