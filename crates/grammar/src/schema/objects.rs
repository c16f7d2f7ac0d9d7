//! The properties of an object: those that schemas name, and the others by what their names match. It must not know rules.

use llguidance::derivre::RegexAst;
use serde_json::Value;

use super::document::Id;
use super::graph::{Fields, Graph};
use super::state::{Conjunction, Form, Group, Literal, Objects, sorted};
use super::texts;
use crate::error::Error;

/// Sorts of names that patterns cut all names into.
const SORTS_MAX: usize = 64;

/// A sort of names: the patterns that they match, and those that they do not.
#[derive(Clone, Default)]
struct Sort {
    matched: Vec<(Id, String)>,
    missed: Vec<(Id, String)>,
}

/// What an object holds; nothing where there is no such object.
pub(super) fn fields(graph: &mut Graph<'_>, objects: &Objects) -> Result<Option<Fields>, Error> {
    let limits = graph.reader.limits;
    if objects.properties_min > limits.repetitions as u64 {
        return Err(Error::limit("minProperties", format!("{} properties", limits.repetitions)));
    }
    let mut named: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut add = |name: &String| {
        if seen.insert(name.clone()) {
            named.push(name.clone());
        }
    };
    for group in &objects.groups {
        let properties = graph.reader.document.keywords(group.id).and_then(|keywords| keywords.get("properties"));
        properties.and_then(Value::as_object).into_iter().flat_map(|properties| properties.keys()).for_each(&mut add);
    }
    objects
        .required
        .iter()
        .chain(objects.asked.iter().map(|(name, _)| name))
        .chain(&objects.forbidden)
        .for_each(&mut add);
    if named.len() > limits.properties {
        return Err(Error::limit(
            "the number of properties of one object",
            format!("{} properties", limits.properties),
        ));
    }
    let mut known = Vec::new();
    for name in &named {
        let is_required = objects.required.contains(name);
        if objects.forbidden.contains(name) || !name_fits(graph, objects, name)? {
            if is_required {
                return Ok(None);
            }
            continue;
        }
        let mut asked = graph.reader.property(&objects.groups, name)?;
        asked.extend(objects.asked.iter().filter(|(other, _)| other == name).map(|(_, literal)| *literal));
        let asked = sorted(asked);
        known.push((name.clone(), is_required, graph.place(asked)));
    }
    let others = if objects.properties_max == Some(0) { Vec::new() } else { others(graph, objects, &named)? };
    let max = objects.properties_max.map(|max| max.min(limits.repetitions as u64));
    Ok(Some(Fields { known, others, min: objects.properties_min, max }))
}

fn name_fits(graph: &mut Graph<'_>, objects: &Objects, name: &str) -> Result<bool, Error> {
    for literal in &objects.names {
        if graph.reader.fits(&Value::String(name.to_string()), literal.id, 0)? == literal.negated {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Names that no schema names, cut by the patterns that say something about them.
fn others(
    graph: &mut Graph<'_>,
    objects: &Objects,
    named: &[String],
) -> Result<Vec<(RegexAst, super::graph::Place)>, Error> {
    let Some(allowed) = allowed_names(graph, objects)? else { return Ok(Vec::new()) };
    let mut patterns: Vec<(Id, String)> = Vec::new();
    for id in objects.groups.iter().flat_map(|group| std::iter::once(&group.id).chain(&group.also)) {
        let map = graph
            .reader
            .document
            .keywords(*id)
            .and_then(|keywords| keywords.get("patternProperties"))
            .and_then(Value::as_object);
        for pattern in map.into_iter().flat_map(|map| map.keys()) {
            if !patterns.iter().any(|(_, other)| other == pattern) {
                patterns.push((*id, pattern.clone()));
            }
        }
    }
    let mut sorts = vec![Sort::default()];
    for pattern in &patterns {
        let mut cut = Vec::new();
        for sort in sorts {
            for matches in [true, false] {
                let mut part = sort.clone();
                if matches { &mut part.matched } else { &mut part.missed }.push(pattern.clone());
                if !texts::is_empty(&texts::all(names(graph, &part, &allowed)?))? {
                    cut.push(part);
                }
            }
        }
        sorts = cut;
        if sorts.len() > SORTS_MAX {
            return Err(Error::limit("the sorts of names that `patternProperties` make", SORTS_MAX));
        }
    }
    let mut others = Vec::new();
    for sort in sorts {
        let asked = asked_of(graph, objects, &sort);
        if graph.reader.none_fits(asked.clone(), 1)? {
            continue;
        }
        let mut parts = names(graph, &sort, &allowed)?;
        if !named.is_empty() {
            parts.push(texts::not(texts::literals(named)));
        }
        let place = graph.place(asked);
        others.push((texts::quoted(texts::all(parts)), place));
    }
    Ok(others)
}

/// Names that fit every `propertyNames`; nothing where none does.
fn allowed_names(graph: &mut Graph<'_>, objects: &Objects) -> Result<Option<RegexAst>, Error> {
    if objects.names.is_empty() {
        return Ok(Some(texts::any()));
    }
    let mut options = Vec::new();
    let states = graph.reader.expand(&sorted(objects.names.clone()))?;
    for state in states {
        match (state.values, state.form) {
            (Some(values), Form::String(_)) => {
                options.push(texts::literals(&values.into_iter().filter_map(Value::as_str).collect::<Vec<_>>()));
            }
            (None, Form::String(strings)) => options.extend(texts::content(&strings, graph.reader.limits)?),
            _ => {}
        }
    }
    Ok(Some(options).filter(|options| !options.is_empty()).map(RegexAst::Or))
}

/// The parts that a name of a sort matches, all of them.
fn names(graph: &mut Graph<'_>, sort: &Sort, allowed: &RegexAst) -> Result<Vec<RegexAst>, Error> {
    let mut parts = vec![allowed.clone()];
    for (negated, patterns) in [(false, &sort.matched), (true, &sort.missed)] {
        for (id, pattern) in patterns {
            parts.push(graph.reader.pattern(*id, "patternProperties", pattern)?.regex(negated));
        }
    }
    Ok(parts)
}

/// What is asked of the properties with names of a sort.
fn asked_of(graph: &mut Graph<'_>, objects: &Objects, sort: &Sort) -> Conjunction {
    let mut asked: Vec<Literal> = Vec::new();
    for Group { id, also, additional } in &objects.groups {
        let mut is_named = false;
        for (index, id) in std::iter::once(id).chain(also).enumerate() {
            let map = graph
                .reader
                .document
                .keywords(*id)
                .and_then(|keywords| keywords.get("patternProperties"))
                .and_then(Value::as_object);
            for (pattern, schema) in
                map.into_iter().flatten().filter(|(pattern, _)| sort.matched.iter().any(|(_, other)| other == *pattern))
            {
                is_named = true;
                if index == 0 {
                    asked.push(Literal::holds(graph.reader.document.child(
                        *id,
                        schema,
                        "patternProperties",
                        Some(pattern),
                    )));
                }
            }
        }
        if !is_named {
            asked.extend(*additional);
        }
    }
    sorted(asked)
}
