//! Whether alternatives surely have no value, to see that they exclude each other; and what groups ask of a property. It must not know
//! rules.

use serde_json::Value;

use super::reader::Reader;
use super::state::{Conjunction, Form, Group, Literal, State, sorted};
use super::texts;
use crate::error::Error;

impl<'a> Reader<'a> {
    /// Whether surely none of these states has a value.
    pub(super) fn all_empty(&mut self, states: &[State<'a>], depth: usize) -> Result<bool, Error> {
        for state in states {
            if !self.is_empty(state, depth)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_empty(&mut self, state: &State<'a>, depth: usize) -> Result<bool, Error> {
        self.step(1)?;
        if let Some(values) = &state.values {
            return Ok(values.is_empty());
        }
        match &state.form {
            Form::Null => Ok(false),
            Form::Boolean(may) => Ok(!may.contains(&true)),
            Form::Number(numbers) => Ok(numbers.is_empty() || (numbers.is_whole && numbers.is_broken)),
            Form::String(strings) if strings.length_max.is_some_and(|max| max < strings.length_min) => Ok(true),
            // One pattern has texts; whether several have one in common takes an automaton, and where that is too large, it is not sure.
            Form::String(strings) if strings.patterns.len() + strings.formats.len() > 1 => {
                Ok(texts::content(strings, self.limits).is_ok_and(|content| content.is_none()))
            }
            Form::String(_) => Ok(false),
            Form::Array(arrays) => {
                if arrays.items_max.is_some_and(|max| max < arrays.items_min) {
                    return Ok(true);
                }
                let places = usize::try_from(arrays.items_min).unwrap_or(usize::MAX).min(arrays.first() + 1);
                for place in 0..places {
                    let item = arrays.item(place);
                    if self.none_fits(item, depth)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Form::Object(objects) => {
                let is_over = objects
                    .properties_max
                    .is_some_and(|max| max < objects.properties_min.max(objects.required.len() as u64));
                if is_over || objects.required.iter().any(|name| objects.forbidden.contains(name)) {
                    return Ok(true);
                }
                let objects = objects.clone();
                for name in &objects.required {
                    let mut asked = self.property(&objects.groups, name)?;
                    asked.extend(objects.asked.iter().filter(|(other, _)| other == name).map(|(_, literal)| *literal));
                    if self.none_fits(sorted(asked), depth)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    /// Whether surely no value fits all of these. Asked about so many properties inside each other, it says no.
    pub(super) fn none_fits(&mut self, conjunction: Conjunction, depth: usize) -> Result<bool, Error> {
        if depth == 0 || conjunction.is_empty() {
            return Ok(false);
        }
        if let Some(known) = self.known_empty.get(&conjunction) {
            return Ok(*known);
        }
        // Another place, so nothing that is read above is read again.
        let narrowings = self.narrowings;
        let before = self.enter(depth - 1);
        let states = self.expand(&conjunction);
        let is_empty = match states {
            Ok(states) => self.all_empty(&states, depth - 1),
            Err(Error::Unenforceable { .. } | Error::Unsatisfiable { .. }) => Ok(false),
            Err(error) => Err(error),
        };
        self.leave(before);
        let is_sure = std::mem::replace(&mut self.narrowings, narrowings) == narrowings;
        let is_empty = is_empty? && is_sure;
        // With less depth left the answer may be different.
        if is_empty || depth == super::reader::EMPTY_DEPTH {
            self.known_empty.insert(conjunction, is_empty);
        }
        Ok(is_empty)
    }

    /// What groups ask of a property.
    pub(super) fn property(&mut self, groups: &[Group], name: &str) -> Result<Conjunction, Error> {
        let mut asked: Vec<Literal> = Vec::new();
        for group in groups {
            self.step(1)?;
            let mut is_named = false;
            for (index, id) in std::iter::once(&group.id).chain(&group.also).enumerate() {
                let keywords = self.document.keywords(*id);
                let map =
                    |keyword: &str| keywords.and_then(|keywords| keywords.get(keyword)).and_then(Value::as_object);
                if let Some(schema) = map("properties").and_then(|properties| properties.get(name)) {
                    is_named = true;
                    if index == 0 {
                        asked.push(Literal::holds(self.document.child(*id, schema, "properties", Some(name))));
                    }
                }
                for (pattern, schema) in map("patternProperties").into_iter().flatten() {
                    if self.is_match(*id, "patternProperties", pattern, name)? {
                        is_named = true;
                        if index == 0 {
                            asked.push(Literal::holds(self.document.child(
                                *id,
                                schema,
                                "patternProperties",
                                Some(pattern),
                            )));
                        }
                    }
                }
            }
            if !is_named {
                asked.extend(group.additional);
            }
        }
        Ok(sorted(asked))
    }
}
