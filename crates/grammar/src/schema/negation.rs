//! What a value may be that does not fit a schema: one keyword at least fails. Failures that cannot be told are left out. It must not
//! know how keywords hold.

use serde_json::{Map, Value};

use super::document::{ANYTHING, Id};
use super::reader::{Reader, States};
use super::state::{Form, Literal, State};
use crate::error::Error;

impl<'a> Reader<'a> {
    /// Some keyword of a schema fails.
    pub(super) fn any_fails(&mut self, states: Vec<State<'a>>, id: Id, keywords: &'a Map<String, Value>) -> States<'a> {
        let mut joined = Vec::new();
        // Older drafts pass over what stands beside a reference, so only the reference can be relied on to fail.
        let is_reference = keywords.contains_key("$ref");
        self.narrowings += usize::from(is_reference);
        for (keyword, value) in keywords.iter().filter(|(keyword, _)| !is_reference || *keyword == "$ref") {
            self.step(1)?;
            let failing = match keyword.as_str() {
                "type" | "enum" | "const" | "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum"
                | "multipleOf" | "minLength" | "maxLength" | "pattern" | "format" | "minItems" | "maxItems"
                | "uniqueItems" | "contains" | "items" | "prefixItems" | "minProperties" | "maxProperties"
                | "required" | "propertyNames" => self.assertion(states.clone(), id, keyword, value, true),
                "properties" => self.property_fails(states.clone(), id, value),
                "$ref" | "$dynamicRef" | "$recursiveRef" => {
                    let target = self.reference(id, keyword, value)?;
                    self.apply(states.clone(), Literal::fails(target))
                }
                "allOf" => self.one_fails(&states, id, value),
                "anyOf" => self.all_fail(states.clone(), id, keyword, value),
                "oneOf" => self.none_or_two(&states, id, value),
                "not" => {
                    let target = self.document.child(id, value, keyword, None);
                    self.apply(states.clone(), Literal::holds(target))
                }
                "if" => self.condition_fails(&states, id, keywords),
                "additionalProperties" => self.additional_fails(&states, id, value),
                "patternProperties"
                | "unevaluatedProperties"
                | "unevaluatedItems"
                | "dependentRequired"
                | "dependentSchemas"
                | "dependencies" => {
                    self.leave_out(self.unenforceable(
                        id,
                        keyword,
                        "its contrary cannot be asked; say what is wanted instead",
                    ));
                    Ok(Vec::new())
                }
                _ => Ok(Vec::new()),
            };
            match failing {
                Ok(failing) => joined.extend(failing),
                Err(error @ Error::Unenforceable { .. }) => self.leave_out(error),
                Err(error) => return Err(error),
            }
        }
        Ok(joined)
    }

    /// A property is there and does not fit.
    fn property_fails(&mut self, states: Vec<State<'a>>, id: Id, value: &'a Value) -> States<'a> {
        let mut joined = Vec::new();
        for (name, schema) in value.as_object().into_iter().flatten() {
            let target = self.document.child(id, schema, "properties", Some(name));
            if self.document.value(target) == &Value::Bool(true) {
                continue;
            }
            joined.extend(self.narrow(states.clone(), id, "properties", true, |form| {
                let Form::Object(objects) = form else { return None };
                objects.require(name);
                objects.asked.push((name.clone(), Literal::fails(target)));
                Some(true)
            })?);
        }
        Ok(joined)
    }

    /// A property that another schema names is there, is an additional one to this, and does not fit. (One that nobody names would do
    /// as well, but its name cannot be made sure of.)
    fn additional_fails(&mut self, states: &[State<'a>], id: Id, value: &'a Value) -> States<'a> {
        let target = self.document.child(id, value, "additionalProperties", None);
        self.narrowings += 1;
        let mut joined = Vec::new();
        for state in states {
            let Form::Object(objects) = &state.form else { continue };
            let mut own = vec![State::all().remove(0)];
            self.group_only(&mut own, id)?;
            let Some(Form::Object(own)) = own.pop().map(|state| state.form) else { continue };
            if state.values.is_some() {
                let mut state = state.clone();
                self.check(&mut state, id, "additionalProperties", true)?;
                joined.push(state);
                continue;
            }
            let mut names: Vec<String> = objects.required.clone();
            for group in &objects.groups {
                let properties = self.document.keywords(group.id).and_then(|keywords| keywords.get("properties"));
                names.extend(
                    properties.and_then(Value::as_object).into_iter().flat_map(|properties| properties.keys().cloned()),
                );
            }
            names.sort_unstable();
            names.dedup();
            for name in names {
                if self.property(&own.groups, &name)? != vec![Literal::holds(target)]
                    || objects.forbidden.contains(&name)
                {
                    continue;
                }
                let mut with = state.clone();
                if let Form::Object(objects) = &mut with.form {
                    objects.require(&name);
                    objects.asked.push((name, Literal::fails(target)));
                }
                self.check(&mut with, id, "additionalProperties", true)?;
                joined.push(with);
            }
        }
        if joined.is_empty() {
            self.leave_out(self.unenforceable(
                id,
                "additionalProperties",
                "its contrary cannot be asked of names that no schema gives",
            ));
        }
        Ok(joined)
    }

    fn one_fails(&mut self, states: &[State<'a>], id: Id, value: &'a Value) -> States<'a> {
        let mut joined = Vec::new();
        for target in self.list(id, "allOf", value)? {
            joined.extend(self.apply(states.to_vec(), Literal::fails(target))?);
        }
        Ok(joined)
    }

    fn all_fail(&mut self, mut states: Vec<State<'a>>, id: Id, keyword: &str, value: &'a Value) -> States<'a> {
        for target in self.list(id, keyword, value)? {
            states = self.apply(states, Literal::fails(target))?;
        }
        Ok(states)
    }

    fn none_or_two(&mut self, states: &[State<'a>], id: Id, value: &'a Value) -> States<'a> {
        let mut joined = self.all_fail(states.to_vec(), id, "oneOf", value)?;
        let targets = self.list(id, "oneOf", value)?;
        for (index, one) in targets.iter().enumerate() {
            for two in &targets[index + 1..] {
                let first = self.apply(states.to_vec(), Literal::holds(*one))?;
                joined.extend(self.apply(first, Literal::holds(*two))?);
            }
        }
        Ok(joined)
    }

    fn condition_fails(&mut self, states: &[State<'a>], id: Id, keywords: &'a Map<String, Value>) -> States<'a> {
        let [test, then, other] = ["if", "then", "else"].map(|keyword| {
            keywords.get(keyword).map_or(ANYTHING, |value| self.document.child(id, value, keyword, None))
        });
        let mut joined = self.apply(states.to_vec(), Literal::holds(test))?;
        joined = self.apply(joined, Literal::fails(then))?;
        if other != ANYTHING {
            let failing = self.apply(states.to_vec(), Literal::fails(test))?;
            joined.extend(self.apply(failing, Literal::fails(other))?);
        }
        Ok(joined)
    }

    /// `dependentRequired`, `dependentSchemas`, and `dependencies`, which is both: the property is not there, or what it asks for holds.
    pub(super) fn dependencies(
        &mut self,
        mut states: Vec<State<'a>>,
        id: Id,
        keyword: &'a str,
        value: &'a Value,
    ) -> States<'a> {
        let Some(entries) = value.as_object() else { return Err(self.invalid(id, keyword, "an object")) };
        for (name, asked) in entries {
            let mut joined = Vec::new();
            for state in states {
                let Form::Object(objects) = &state.form else {
                    joined.push(state);
                    continue;
                };
                let (is_there, is_gone) = (objects.required.contains(name), objects.forbidden.contains(name));
                if state.values.is_some() {
                    let mut state = state;
                    self.check(&mut state, id, keyword, false)?;
                    joined.push(state);
                    continue;
                }
                if !is_there {
                    let mut without = state.clone();
                    if let Form::Object(objects) = &mut without.form {
                        objects.forbid(name);
                    }
                    self.check(&mut without, id, keyword, false)?;
                    joined.push(without);
                }
                if !is_gone {
                    let mut with = state;
                    if let Form::Object(objects) = &mut with.form {
                        objects.require(name);
                        asked
                            .as_array()
                            .into_iter()
                            .flatten()
                            .filter_map(Value::as_str)
                            .for_each(|other| objects.require(other));
                    }
                    self.check(&mut with, id, keyword, false)?;
                    if asked.is_array() {
                        joined.push(with);
                    } else {
                        let target = self.document.child(id, asked, keyword, Some(name));
                        joined.extend(self.apply(vec![with], Literal::holds(target))?);
                    }
                }
            }
            states = joined;
            if states.len() > self.limits.alternatives {
                return Err(Error::limit(
                    "the alternatives that keywords multiply to at one place",
                    self.limits.alternatives,
                ));
            }
        }
        Ok(states)
    }
}
