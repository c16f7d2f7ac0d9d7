//! Writes a graph of shapes as rules. It must not know keywords.

use llguidance::derivre::RegexAst;
use serde_json::Value;

use super::graph::{Fields, Graph, Place, Shape};
use super::is_fruitful;
use super::repeat::{self, up_to};
use crate::error::Error;
use crate::rules::{Rules, Symbol};

/// Properties up to which an upper bound on all properties is counted along.
const COUNTED_MAX: u64 = 16;

/// Writes rules.
pub(super) struct Writer<'g, 'a> {
    graph: &'g Graph<'a>,
    pub(super) rules: Rules,
    /// One for each place that has values.
    symbols: Vec<Option<Symbol>>,
    fruitful: &'g [bool],
    comma: Symbol,
    colon: Symbol,
}

impl<'g, 'a> Writer<'g, 'a> {
    /// Writes everything that has values; `fruitful` says of each place whether it has.
    pub(super) fn write(graph: &'g Graph<'a>, mut rules: Rules, fruitful: &'g [bool]) -> Result<Rules, Error> {
        let (comma, colon) = (rules.literal(",")?, rules.literal(":")?);
        let symbols = fruitful.iter().map(|fruitful| fruitful.then(|| rules.symbol())).collect();
        let mut writer = Self { graph, rules, symbols, fruitful, comma, colon };
        for place in 0..writer.symbols.len() {
            if let Some(symbol) = writer.symbols[place] {
                writer.place(place, symbol)?;
            }
        }
        if let Some(root) = writer.symbols[0] {
            writer.rules.start(root)?;
        }
        Ok(writer.rules)
    }

    fn place(&mut self, place: Place, symbol: Symbol) -> Result<(), Error> {
        let graph = self.graph;
        let mut texts = Vec::new();
        let fruitful = self.fruitful;
        for shape in graph.shapes[place].iter().filter(|shape| is_fruitful(shape, fruitful)) {
            match shape {
                Shape::Same(target) => {
                    if let Some(target) = self.symbols[*target] {
                        self.rules.rule(symbol, &[target])?;
                    }
                }
                Shape::Values(values) => {
                    for value in values {
                        if value.is_array() || value.is_object() {
                            let value = self.value(value)?;
                            self.rules.rule(symbol, &[value])?;
                        } else {
                            texts.push(RegexAst::Literal(value.to_string()));
                        }
                    }
                }
                Shape::Text(regex) => texts.push(regex.clone()),
                Shape::Array { first, rest, min, max } => {
                    if let Some(array) = self.array(first, *rest, *min, *max)? {
                        self.rules.rule(symbol, &[array])?;
                    }
                }
                Shape::Different { values, min, max } => {
                    let array = self.different(values, *min, *max)?;
                    self.rules.rule(symbol, &[array])?;
                }
                Shape::Object(fields) => {
                    if let Some(object) = self.object(fields)? {
                        self.rules.rule(symbol, &[object])?;
                    }
                }
            }
        }
        if !texts.is_empty() {
            let regex = if texts.len() == 1 { texts.remove(0) } else { RegexAst::Or(texts) };
            let lexeme = self.rules.lexeme(regex)?;
            self.rules.rule(symbol, &[lexeme])?;
        }
        Ok(())
    }

    /// One value as it stands, white space aside.
    fn value(&mut self, value: &Value) -> Result<Symbol, Error> {
        let mut parts = Vec::new();
        match value {
            Value::Array(items) => {
                parts.push(self.rules.literal("[")?);
                for (index, item) in items.iter().enumerate() {
                    parts.extend((index > 0).then_some(self.comma));
                    parts.push(self.value(item)?);
                }
                parts.push(self.rules.literal("]")?);
            }
            Value::Object(entries) => {
                parts.push(self.rules.literal("{")?);
                for (index, (name, value)) in entries.iter().enumerate() {
                    parts.extend((index > 0).then_some(self.comma));
                    parts.push(self.name(name)?);
                    parts.push(self.colon);
                    parts.push(self.value(value)?);
                }
                parts.push(self.rules.literal("}")?);
            }
            scalar => parts.push(self.rules.literal(&scalar.to_string())?),
        }
        self.rules.row(&parts)
    }

    fn name(&mut self, name: &str) -> Result<Symbol, Error> {
        self.rules.literal(&Value::String(name.to_string()).to_string())
    }

    fn array(&mut self, first: &[Place], rest: Place, min: u64, max: Option<u64>) -> Result<Option<Symbol>, Error> {
        let (min, max) = (min as usize, max.map(|max| max as usize));
        let mut items: Vec<Symbol> = first.iter().map_while(|place| self.symbols[*place]).collect();
        let ends = items.len() < first.len();
        let rest = self.symbols[rest].filter(|_| !ends);
        // Where no more may follow, the first items are all.
        let tail_max = max.map(|max| max.saturating_sub(items.len()));
        let mut after = match rest {
            Some(rest) if tail_max != Some(0) => {
                let least = min.saturating_sub(items.len());
                if items.is_empty() {
                    items.push(rest);
                    let more = self.rules.row(&[self.comma, rest])?;
                    repeat::between(&mut self.rules, more, least.saturating_sub(1), tail_max.map(|max| max - 1))?
                } else {
                    let more = self.rules.row(&[self.comma, rest])?;
                    repeat::between(&mut self.rules, more, least, tail_max)?
                }
            }
            _ if items.len() < min => return Ok(None),
            _ => self.rules.empty(),
        };
        for index in (1..items.len()).rev() {
            let symbol = self.rules.symbol();
            self.rules.rule(symbol, &[self.comma, items[index], after])?;
            if index >= min {
                self.rules.rule(symbol, &[])?;
            }
            after = symbol;
        }
        let (open, close) = (self.rules.literal("[")?, self.rules.literal("]")?);
        let array = self.rules.symbol();
        if let Some(item) = items.first() {
            self.rules.rule(array, &[open, *item, after, close])?;
        }
        if min == 0 {
            self.rules.rule(array, &[open, close])?;
        }
        Ok(Some(array))
    }

    /// Few values in any order, many in the order of the schema.
    fn different(&mut self, values: &[&Value], min: u64, max: u64) -> Result<Symbol, Error> {
        const ANY_ORDER_MAX: usize = 7;
        let (open, close) = (self.rules.literal("[")?, self.rules.literal("]")?);
        let items = values.iter().map(|value| self.value(value)).collect::<Result<Vec<_>, _>>()?;
        let inner = if items.len() <= ANY_ORDER_MAX {
            self.any_order(&items, min, max)?
        } else {
            self.in_order(&items, min, max)?
        };
        self.rules.row(&[open, inner, close])
    }

    /// What may follow, for every set of items that were there.
    fn any_order(&mut self, items: &[Symbol], min: u64, max: u64) -> Result<Symbol, Error> {
        let sets = 1_usize << items.len();
        let symbols: Vec<Symbol> = (0..sets).map(|_| self.rules.symbol()).collect();
        for set in 0..sets {
            let count = u64::from(set.count_ones());
            if count >= min {
                self.rules.rule(symbols[set], &[])?;
            }
            if count < max {
                for (index, item) in items.iter().enumerate().filter(|(index, _)| set >> index & 1 == 0) {
                    let next = symbols[set | 1 << index];
                    let parts = [self.comma, *item, next];
                    self.rules.rule(symbols[set], if set == 0 { &parts[1..] } else { &parts })?;
                }
            }
        }
        Ok(symbols[0])
    }

    fn in_order(&mut self, items: &[Symbol], min: u64, max: u64) -> Result<Symbol, Error> {
        let fields: Vec<(Symbol, bool)> = items.iter().map(|item| (*item, false)).collect();
        let counted = self.counted(&fields, None, (min, Some(max)), None)?;
        Ok(counted.unwrap_or_else(|| self.rules.empty()))
    }

    fn object(&mut self, fields: &Fields) -> Result<Option<Symbol>, Error> {
        let mut known = Vec::new();
        for (name, is_required, place) in &fields.known {
            let Some(value) = self.symbols[*place] else { continue };
            let name = self.name(name)?;
            known.push((self.rules.row(&[name, self.colon, value])?, *is_required));
        }
        let mut others = Vec::new();
        for (names, place) in &fields.others {
            let Some(value) = self.symbols[*place] else { continue };
            let name = self.rules.lexeme(names.clone())?;
            others.push(self.rules.row(&[name, self.colon, value])?);
        }
        let other = if others.is_empty() { None } else { Some(self.rules.one_of(&others)?) };
        let required = known.iter().filter(|(_, is_required)| *is_required).count() as u64;
        let count = known.len() as u64;
        // A bound that the known ones alone cannot reach is kept by the others alone: counting along takes many rules.
        let (max, others_max) = match fields.max {
            Some(max) if max >= count && (other.is_none() || count > COUNTED_MAX) => {
                (None, Some((max - count) as usize))
            }
            max => (max, None),
        };
        let other = other.filter(|_| others_max != Some(0));
        let inner = if fields.min > required || max.is_some() {
            self.counted(&known, other, (fields.min, max), others_max)?
        } else {
            Some(self.uncounted(&known, other, others_max)?)
        };
        let Some(inner) = inner else { return Ok(None) };
        let (open, close) = (self.rules.literal("{")?, self.rules.literal("}")?);
        Ok(Some(self.rules.row(&[open, inner, close])?))
    }

    /// Properties in their order, optional ones possibly left out, then the others.
    fn uncounted(
        &mut self,
        known: &[(Symbol, bool)],
        other: Option<Symbol>,
        others_max: Option<usize>,
    ) -> Result<Symbol, Error> {
        let (mut begun, mut fresh) = (self.rules.empty(), self.rules.empty());
        if let Some(other) = other {
            let more = self.rules.row(&[self.comma, other])?;
            begun = repeat::between(&mut self.rules, more, 0, others_max.map(|max| max - 1))?;
            fresh = self.rules.symbol();
            self.rules.rule(fresh, &[])?;
            self.rules.rule(fresh, &[other, begun])?;
        }
        for (field, is_required) in known.iter().rev() {
            let (next_begun, next_fresh) = (self.rules.symbol(), self.rules.symbol());
            self.rules.rule(next_begun, &[self.comma, *field, begun])?;
            self.rules.rule(next_fresh, &[*field, begun])?;
            if !is_required {
                self.rules.rule(next_begun, &[begun])?;
                self.rules.rule(next_fresh, &[fresh])?;
            }
            (begun, fresh) = (next_begun, next_fresh);
        }
        Ok(fresh)
    }

    /// The same with bounds on how many there are; nothing where that cannot be. Two others might have one name and count as one, so
    /// that the lower bound is kept by properties that are known, and one other at most.
    fn counted(
        &mut self,
        known: &[(Symbol, bool)],
        other: Option<Symbol>,
        (min, max): (u64, Option<u64>),
        others_max: Option<usize>,
    ) -> Result<Option<Symbol>, Error> {
        let cap = max.unwrap_or(min).min(known.len() as u64 + 1) as usize;
        let mut next: Vec<Option<Symbol>> = Vec::new();
        for count in 0..=cap {
            let lacking = min.saturating_sub(count as u64);
            let room = max.map(|max| max.saturating_sub(count as u64) as usize).or(others_max);
            let symbol = match other {
                _ if max.is_some_and(|max| count as u64 > max) || lacking > 1 => None,
                None => (lacking == 0).then(|| self.rules.empty()),
                Some(_) if room == Some(0) => (lacking == 0).then(|| self.rules.empty()),
                Some(other) => {
                    let more = self.rules.row(&[self.comma, other])?;
                    let rest = match room {
                        Some(room) => up_to(&mut self.rules, more, room - 1)?,
                        None => repeat::between(&mut self.rules, more, 0, None)?,
                    };
                    let symbol = self.rules.symbol();
                    let parts = [self.comma, other, rest];
                    self.rules.rule(symbol, if count == 0 { &parts[1..] } else { &parts })?;
                    if lacking == 0 {
                        self.rules.rule(symbol, &[])?;
                    }
                    Some(symbol)
                }
            };
            next.push(symbol);
        }
        for (field, is_required) in known.iter().rev() {
            let mut here = Vec::new();
            for count in 0..=cap {
                // Where there is no upper bound, more than enough is enough.
                let then =
                    if count == cap && max.is_none() { next[cap] } else { next.get(count + 1).copied().flatten() };
                let skip = next[count].filter(|_| !is_required);
                if then.is_none() && skip.is_none() {
                    here.push(None);
                    continue;
                }
                let symbol = self.rules.symbol();
                if let Some(then) = then {
                    let parts = [self.comma, *field, then];
                    self.rules.rule(symbol, if count == 0 { &parts[1..] } else { &parts })?;
                }
                if let Some(skip) = skip {
                    self.rules.rule(symbol, &[skip])?;
                }
                here.push(Some(symbol));
            }
            next = here;
        }
        Ok(next[0])
    }
}
