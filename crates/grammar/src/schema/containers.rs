//! Keywords about items and properties, holding and failing. It must not know the shapes that come of them.

use serde_json::Value;

use super::assertions::bound;
use super::document::{ANYTHING, Id};
use super::reader::{Reader, States};
use super::state::{Arrays, Form, Literal, Objects, Row, State};
use crate::error::Error;

/// Items that `minContains` may ask for.
const MIN_CONTAINS_MAX: usize = 1000;

impl<'a> Reader<'a> {
    pub(super) fn array(
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
        // A draft that does not know `prefixItems` asks the same of all items.
        let is_known = !self.document.is_old();
        let prefix = beside("prefixItems").filter(|_| is_known);
        let old = beside("items").filter(|items| items.is_array());
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
        let (mut min, max) = (beside("minContains").unwrap_or(1), beside("maxContains"));
        if self.document.is_old() {
            // It does not know the count.
            min = min.max(1);
        }
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

    pub(super) fn object(
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
}
