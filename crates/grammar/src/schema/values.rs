//! Whether one value fits a schema: for the values that `enum` and `const` name, and to see that alternatives exclude each other. It
//! must not know rules.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::decimal::Decimal;
use super::document::{ANYTHING, Id};
use super::formats;
use super::reader::Reader;
use super::state::{Form, State};
use crate::error::Error;

/// Schemas that are asked inside each other about one value.
const NESTING_MAX: usize = 150;

impl<'a> Reader<'a> {
    /// Whether a value surely fits.
    pub(super) fn fits(&mut self, value: &Value, id: Id, depth: usize) -> Result<bool, Error> {
        self.step(1)?;
        if depth > NESTING_MAX {
            return Err(Error::limit("schemas inside each other", NESTING_MAX));
        }
        if id == ANYTHING {
            return Ok(true);
        }
        let keywords = match self.document.value(id) {
            Value::Bool(holds) => return Ok(*holds),
            Value::Object(keywords) => keywords,
            _ => return Ok(true),
        };
        for keyword in keywords.keys() {
            if !self.holds(value, id, keyword, keywords, depth)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a value surely fits one keyword of a schema, or surely does not.
    pub(super) fn keyword_holds(&mut self, value: &Value, id: Id, keyword: &str, negated: bool) -> Result<bool, Error> {
        let Some(keywords) = self.document.keywords(id) else { return Ok(!negated) };
        let narrowings = self.narrowings;
        let holds = self.holds(value, id, keyword, keywords, 0)?;
        Ok(if negated { !holds && narrowings == self.narrowings } else { holds })
    }

    /// Whether a value fits; nothing where that is not sure, because something was read as less than it may mean.
    fn surely_fits(&mut self, value: &Value, id: Id, depth: usize) -> Result<Option<bool>, Error> {
        let narrowings = self.narrowings;
        let fits = self.fits(value, id, depth)?;
        Ok((fits || narrowings == self.narrowings).then_some(fits))
    }

    fn holds(
        &mut self,
        value: &Value,
        id: Id,
        keyword: &str,
        keywords: &'a Map<String, Value>,
        depth: usize,
    ) -> Result<bool, Error> {
        let Some(asked) = keywords.get(keyword) else { return Ok(true) };
        Ok(match keyword {
            "type" => match asked {
                Value::String(name) => is_type(value, name),
                Value::Array(names) => names.iter().filter_map(Value::as_str).any(|name| is_type(value, name)),
                _ => true,
            },
            "enum" => asked.as_array().is_none_or(|values| values.iter().any(|other| is_same(value, other))),
            "const" => is_same(value, asked),
            "$ref" | "$dynamicRef" | "$recursiveRef" => {
                let target = self.reference(id, keyword, asked)?;
                self.fits(value, target, depth + 1)?
            }
            "allOf" => {
                self.count_fitting(value, id, keyword, asked, depth)?.is_none_or(|(fitting, all)| fitting == all)
            }
            "anyOf" => self.count_fitting(value, id, keyword, asked, depth)?.is_none_or(|(fitting, _)| fitting > 0),
            "oneOf" => {
                let targets = self.list(id, keyword, asked)?;
                let fitting = targets.into_iter().map(|target| self.surely_fits(value, target, depth + 1));
                let fitting = fitting.collect::<Result<Vec<_>, _>>()?;
                fitting.iter().filter(|fits| **fits != Some(false)).eq([&Some(true)])
            }
            "not" => {
                let target = self.document.child(id, asked, keyword, None);
                self.surely_fits(value, target, depth + 1)? == Some(false)
            }
            "if" => {
                let test = self.document.child(id, asked, keyword, None);
                let holds = self.surely_fits(value, test, depth + 1)?;
                // Where it is not sure, both must hold.
                for next in
                    [Some("then").filter(|_| holds != Some(false)), Some("else").filter(|_| holds != Some(true))]
                {
                    if let Some((next, asked)) = next.and_then(|next| Some((next, keywords.get(next)?))) {
                        let target = self.document.child(id, asked, next, None);
                        if !self.fits(value, target, depth + 1)? {
                            return Ok(false);
                        }
                    }
                }
                true
            }
            _ => match value {
                Value::Number(number) => number_holds(number, keyword, asked, keywords),
                Value::String(text) => self.text_holds(text, id, keyword, asked)?,
                Value::Array(items) => self.items_hold(items, id, keyword, keywords, depth)?,
                Value::Object(entries) => self.entries_hold(entries, id, keyword, keywords, depth)?,
                Value::Null | Value::Bool(_) => true,
            },
        })
    }

    fn count_fitting(
        &mut self,
        value: &Value,
        id: Id,
        keyword: &str,
        asked: &'a Value,
        depth: usize,
    ) -> Result<Option<(usize, usize)>, Error> {
        let targets = self.list(id, keyword, asked)?;
        let mut fitting = 0;
        for target in &targets {
            fitting += usize::from(self.fits(value, *target, depth + 1)?);
        }
        Ok(Some((fitting, targets.len())))
    }

    fn text_holds(&mut self, text: &str, id: Id, keyword: &str, asked: &Value) -> Result<bool, Error> {
        let length = || text.chars().count() as u64;
        Ok(match (keyword, asked) {
            ("minLength", asked) => asked.as_f64().is_none_or(|min| length() as f64 >= min),
            ("maxLength", asked) => asked.as_f64().is_none_or(|max| length() as f64 <= max),
            ("pattern", Value::String(pattern)) => self.is_match(id, keyword, pattern, text)?,
            ("format", Value::String(format)) => {
                self.narrowings += 1;
                formats::holds(format, text)
            }
            _ => true,
        })
    }

    fn items_hold(
        &mut self,
        items: &[Value],
        id: Id,
        keyword: &str,
        keywords: &'a Map<String, Value>,
        depth: usize,
    ) -> Result<bool, Error> {
        let asked = &keywords[keyword];
        let length = items.len() as f64;
        match keyword {
            "minItems" => return Ok(asked.as_f64().is_none_or(|min| length >= min)),
            "maxItems" => return Ok(asked.as_f64().is_none_or(|max| length <= max)),
            "uniqueItems" => {
                let twice = || {
                    items
                        .iter()
                        .enumerate()
                        .any(|(index, item)| items[..index].iter().any(|other| is_same(item, other)))
                };
                return Ok(asked != &Value::Bool(true) || !twice());
            }
            "contains" => {
                let target = self.document.child(id, asked, keyword, None);
                let (mut fitting, mut maybe) = (0, 0);
                for item in items {
                    let fits = self.surely_fits(item, target, depth + 1)?;
                    fitting += u64::from(fits == Some(true));
                    maybe += u64::from(fits != Some(false));
                }
                let beside = |name: &str| keywords.get(name).and_then(Value::as_u64);
                return Ok(fitting >= beside("minContains").unwrap_or(1)
                    && beside("maxContains").is_none_or(|max| maybe <= max));
            }
            "items" | "prefixItems" | "unevaluatedItems" => {}
            _ => return Ok(true),
        }
        let Some(row) = self.row(id, keyword, asked)? else { return Ok(true) };
        for (index, item) in items.iter().enumerate() {
            if let Some(literal) = row.first.get(index).or(row.rest.as_ref())
                && !self.fits(item, literal.id, depth + 1)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn entries_hold(
        &mut self,
        entries: &Map<String, Value>,
        id: Id,
        keyword: &str,
        keywords: &'a Map<String, Value>,
        depth: usize,
    ) -> Result<bool, Error> {
        let asked = &keywords[keyword];
        let count = entries.len() as f64;
        match keyword {
            "minProperties" => Ok(asked.as_f64().is_none_or(|min| count >= min)),
            "maxProperties" => Ok(asked.as_f64().is_none_or(|max| count <= max)),
            "required" => Ok(asked
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .all(|name| entries.contains_key(name))),
            "propertyNames" => {
                let target = self.document.child(id, asked, keyword, None);
                for name in entries.keys() {
                    if !self.fits(&Value::String(name.clone()), target, depth + 1)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            "dependentRequired" | "dependentSchemas" | "dependencies" => {
                for (name, asked) in
                    asked.as_object().into_iter().flatten().filter(|(name, _)| entries.contains_key(*name))
                {
                    let holds = match asked {
                        Value::Array(names) => {
                            names.iter().filter_map(Value::as_str).all(|name| entries.contains_key(name))
                        }
                        asked => {
                            let target = self.document.child(id, asked, keyword, Some(name));
                            self.fits(&Value::Object(entries.clone()), target, depth + 1)?
                        }
                    };
                    if !holds {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            "properties" | "patternProperties" | "additionalProperties" | "unevaluatedProperties" => {
                let mut states = vec![State::all().remove(0)];
                self.group_only(&mut states, id)?;
                let Some(State { form: Form::Object(objects), .. }) = states.first() else { return Ok(true) };
                let groups = objects.groups.clone();
                for (name, value) in entries {
                    for literal in self.property(&groups, name)? {
                        if self.surely_fits(value, literal.id, depth + 1)? != Some(!literal.negated) {
                            return Ok(false);
                        }
                    }
                }
                Ok(true)
            }
            _ => Ok(true),
        }
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    match (value, name) {
        (Value::Null, "null")
        | (Value::Bool(_), "boolean")
        | (Value::String(_), "string")
        | (Value::Array(_), "array") => true,
        (Value::Object(_), "object") | (Value::Number(_), "number") => true,
        (Value::Number(number), "integer") => Decimal::new(number).is_some_and(|number| number.is_whole()),
        _ => false,
    }
}

fn number_holds(number: &serde_json::Number, keyword: &str, asked: &Value, keywords: &Map<String, Value>) -> bool {
    let (Some(number), Some(asked)) = (Decimal::new(number), asked.as_number().and_then(Decimal::new)) else {
        return true;
    };
    let is_open = |name: &str| keywords.get(name) == Some(&Value::Bool(true));
    let order = number.cmp(&asked);
    match keyword {
        "minimum" => order == Ordering::Greater || (order == Ordering::Equal && !is_open("exclusiveMinimum")),
        "maximum" => order == Ordering::Less || (order == Ordering::Equal && !is_open("exclusiveMaximum")),
        "exclusiveMinimum" => order == Ordering::Greater,
        "exclusiveMaximum" => order == Ordering::Less,
        "multipleOf" => number.is_multiple_of(&asked).unwrap_or(false),
        _ => true,
    }
}

/// Whether two values are the same to JSON Schema: 1 is 1.0, and the order of properties says nothing.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || (Decimal::new(one).is_some() && Decimal::new(one) == Decimal::new(other))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| is_same(value, other)))
        }
        _ => one == other,
    }
}
