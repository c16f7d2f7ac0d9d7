//! What a value may still be after some keywords were read: one sort of JSON value and its constraints. It must not know how keywords
//! are spelled.

use std::rc::Rc;

use serde_json::Value;

use super::decimal::{Bound, Decimal};
use super::document::Id;
use super::pattern::Pattern;

/// A subschema that must hold, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Literal {
    pub(super) id: Id,
    pub(super) negated: bool,
}

/// Subschemas that must all hold; sorted, each once.
pub(super) type Conjunction = Vec<Literal>;

/// One way for a value to be.
#[derive(Clone)]
pub(super) struct State<'a> {
    pub(super) form: Form,
    /// Where only these values remain, constraints have been applied to them already.
    pub(super) values: Option<Vec<&'a Value>>,
    /// Keywords that apply to the form, for values that come later: their schema, themselves, and whether they must not hold.
    pub(super) checks: Vec<(Id, &'a str, bool)>,
}

/// A sort of JSON value with what is asked of it.
#[derive(Clone)]
pub(super) enum Form {
    Null,
    /// Whether false, and whether true may be.
    Boolean([bool; 2]),
    Number(Numbers),
    String(Strings),
    Array(Arrays),
    Object(Objects),
}

#[derive(Clone, Default)]
pub(super) struct Numbers {
    pub(super) lower: Option<Bound>,
    pub(super) upper: Option<Bound>,
    pub(super) is_whole: bool,
    pub(super) is_broken: bool,
    /// Steps, and whether the number must not be a multiple.
    pub(super) steps: Vec<(Decimal, bool)>,
    pub(super) except: Vec<Decimal>,
}

#[derive(Clone, Default)]
pub(super) struct Strings {
    pub(super) length_min: u64,
    pub(super) length_max: Option<u64>,
    pub(super) patterns: Vec<(Rc<Pattern>, bool)>,
    pub(super) formats: Vec<&'static str>,
    pub(super) except: Vec<String>,
}

#[derive(Clone, Default)]
pub(super) struct Arrays {
    pub(super) items_min: u64,
    pub(super) items_max: Option<u64>,
    pub(super) rows: Vec<Row>,
    /// The schema that asks for items that differ.
    pub(super) unique: Option<Id>,
}

/// What one schema says about items: the first ones, and all that follow.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) first: Vec<Literal>,
    pub(super) rest: Option<Literal>,
}

#[derive(Clone, Default)]
pub(super) struct Objects {
    pub(super) properties_min: u64,
    pub(super) properties_max: Option<u64>,
    pub(super) required: Vec<String>,
    pub(super) forbidden: Vec<String>,
    /// What else is asked of a property.
    pub(super) asked: Vec<(String, Literal)>,
    pub(super) groups: Vec<Group>,
    pub(super) names: Vec<Literal>,
}

/// What one schema says about properties.
#[derive(Clone)]
pub(super) struct Group {
    /// The schema with `properties` and `patternProperties`.
    pub(super) id: Id,
    /// Further schemas whose properties are not additional ones.
    pub(super) also: Vec<Id>,
    pub(super) additional: Option<Literal>,
}

impl Literal {
    pub(super) fn holds(id: Id) -> Self {
        Self { id, negated: false }
    }

    pub(super) fn fails(id: Id) -> Self {
        Self { id, negated: true }
    }
}

impl State<'_> {
    /// Every sort of value.
    pub(super) fn all() -> Vec<Self> {
        let forms = [
            Form::Object(Objects::default()),
            Form::Array(Arrays::default()),
            Form::String(Strings::default()),
            Form::Number(Numbers::default()),
            Form::Boolean([true; 2]),
            Form::Null,
        ];
        forms.into_iter().map(|form| Self { form, values: None, checks: Vec::new() }).collect()
    }

    /// Whether a value is of this sort.
    pub(super) fn is_sort_of(&self, value: &Value) -> bool {
        matches!(
            (&self.form, value),
            (Form::Null, Value::Null)
                | (Form::Boolean(_), Value::Bool(_))
                | (Form::Number(_), Value::Number(_))
                | (Form::String(_), Value::String(_))
                | (Form::Array(_), Value::Array(_))
                | (Form::Object(_), Value::Object(_))
        )
    }
}

impl Numbers {
    pub(super) fn raise(&mut self, bound: Bound) {
        let is_tighter = |old: &Bound| bound.at > old.at || (bound.at == old.at && bound.exclusive);
        if self.lower.as_ref().is_none_or(is_tighter) {
            self.lower = Some(bound);
        }
    }

    pub(super) fn lessen(&mut self, bound: Bound) {
        let is_tighter = |old: &Bound| bound.at < old.at || (bound.at == old.at && bound.exclusive);
        if self.upper.as_ref().is_none_or(is_tighter) {
            self.upper = Some(bound);
        }
    }

    /// Whether the bounds alone leave nothing.
    pub(super) fn is_empty(&self) -> bool {
        match (&self.lower, &self.upper) {
            (Some(lower), Some(upper)) => {
                lower.at > upper.at || (lower.at == upper.at && (lower.exclusive || upper.exclusive))
            }
            _ => false,
        }
    }
}

impl Arrays {
    /// What is asked of the item at a place.
    pub(super) fn item(&self, index: usize) -> Conjunction {
        sorted(self.rows.iter().filter_map(|row| row.first.get(index).copied().or(row.rest)).collect())
    }

    /// Places from which on every item is asked the same.
    pub(super) fn first(&self) -> usize {
        self.rows.iter().map(|row| row.first.len()).max().unwrap_or(0)
    }
}

impl Objects {
    pub(super) fn require(&mut self, name: &str) {
        if !self.required.iter().any(|required| required == name) {
            self.required.push(name.to_string());
        }
    }

    pub(super) fn forbid(&mut self, name: &str) {
        if !self.forbidden.iter().any(|forbidden| forbidden == name) {
            self.forbidden.push(name.to_string());
        }
    }
}

/// Sorted, each once, and without what always holds.
pub(super) fn sorted(mut literals: Vec<Literal>) -> Conjunction {
    literals.retain(|literal| *literal != Literal::holds(super::document::ANYTHING));
    literals.sort_unstable();
    literals.dedup();
    literals
}

/// The smaller of two upper bounds.
pub(super) fn least(old: Option<u64>, new: u64) -> Option<u64> {
    Some(old.map_or(new, |old| old.min(new)))
}
