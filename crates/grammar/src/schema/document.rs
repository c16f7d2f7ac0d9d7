//! A schema as it was sent: its subschemas by number, where each stands, and what its references mean. It must not know what keywords
//! ask for.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::error::Error;

/// A subschema of a document.
pub(super) type Id = u32;

/// The schema that everything fits, which every document has.
pub(super) const ANYTHING: Id = 0;

static TRUE: Value = Value::Bool(true);

/// A schema, whole.
pub(super) struct Document<'a> {
    root: &'a Value,
    places: Vec<Place<'a>>,
    /// By address: a value is one subschema, however it was reached.
    by_address: HashMap<usize, Id>,
    /// Values with an `$id`, by it, and with an anchor, by `#` and its name; each with the resource that it belongs to.
    named: Vec<(String, &'a Value, &'a Value)>,
    /// Resources of values by address, where it is not the root.
    resources: HashMap<usize, &'a Value>,
}

struct Place<'a> {
    value: &'a Value,
    path: String,
    /// The value that references without a URI begin at.
    resource: &'a Value,
}

impl<'a> Document<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        let anything = Place { value: &TRUE, path: String::new(), resource: root };
        let mut document = Self {
            root,
            places: vec![anything],
            by_address: HashMap::new(),
            named: Vec::new(),
            resources: HashMap::new(),
        };
        document.find_names();
        document
    }

    pub(super) fn root(&mut self) -> Id {
        self.place(self.root, String::new, self.root)
    }

    /// Whether it says that it is of a draft before 2019.
    pub(super) fn is_old(&self) -> bool {
        self.root.get("$schema").and_then(Value::as_str).is_some_and(|draft| draft.contains("/draft-0"))
    }

    /// The schema of a number. Only objects and booleans are schemas.
    pub(super) fn value(&self, id: Id) -> &'a Value {
        self.places[id as usize].value
    }

    /// The keywords of a schema; none for a boolean.
    pub(super) fn keywords(&self, id: Id) -> Option<&'a Map<String, Value>> {
        self.value(id).as_object()
    }

    pub(super) fn path(&self, id: Id) -> String {
        self.places[id as usize].path.clone()
    }

    /// The subschema that lies below a keyword.
    pub(super) fn child(&mut self, id: Id, value: &'a Value, keyword: &str, part: Option<&str>) -> Id {
        let (above, resource) = (self.path(id), self.places[id as usize].resource);
        let path = move || {
            let parts = [Some(above.as_str()).filter(|above| !above.is_empty()), Some(keyword), part];
            parts.into_iter().flatten().collect::<Vec<_>>().join(".")
        };
        self.place(value, path, resource)
    }

    /// What a reference means.
    pub(super) fn resolve(&mut self, id: Id, keyword: &str, reference: &str) -> Result<Id, Error> {
        let refuse = |document: &Self, reason: String| {
            Err(Error::Unenforceable { path: document.path(id), keyword: keyword.to_string(), reason })
        };
        let (uri, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let resource = match self.resource(id, uri) {
            Some(resource) => resource,
            None if uri.contains("://") => {
                return refuse(
                    self,
                    format!("{reference:?} lies outside of the schema, and nothing is fetched; put it under `$defs`"),
                );
            }
            None => return refuse(self, format!("no schema here has the `$id` {uri:?}; put it under `$defs`")),
        };
        let fragment = decoded(fragment);
        let found = if fragment.is_empty() {
            Some(resource)
        } else if fragment.starts_with('/') {
            resource.pointer(&fragment)
        } else {
            let anchor = format!("#{fragment}");
            let named: Vec<_> = self.named.iter().filter(|(name, _, _)| *name == anchor).collect();
            if keyword == "$dynamicRef" && named.len() > 1 {
                let reason = format!("what {reference:?} means depends on who refers to it; use `$ref`");
                return refuse(self, reason);
            }
            named.iter().find(|(_, _, own)| std::ptr::eq(*own, resource)).map(|(_, value, _)| *value)
        };
        match found {
            Some(value) if value.is_object() || value.is_boolean() => {
                let path = if fragment.is_empty() {
                    String::new()
                } else {
                    fragment.trim_start_matches('/').replace('/', ".")
                };
                Ok(self.place(value, || path, resource))
            }
            Some(_) => refuse(self, format!("{reference:?} names something that is no schema")),
            None => refuse(self, format!("{reference:?} names nothing in the schema; check its spelling")),
        }
    }

    fn resource(&self, id: Id, uri: &str) -> Option<&'a Value> {
        if uri.is_empty() {
            return Some(self.places[id as usize].resource);
        }
        let base =
            |value: &'a Value| value.get("$id").or_else(|| value.get("id")).and_then(Value::as_str).unwrap_or_default();
        let near = base(self.places[id as usize].resource);
        let beside = near.rfind('/').map(|end| format!("{}/{uri}", &near[..end]));
        let is_it = |name: &str| {
            let name = name.trim_end_matches('#');
            name == uri
                || Some(name) == beside.as_deref()
                || (!uri.contains("://") && name.ends_with(&format!("/{uri}")))
        };
        self.named.iter().find(|(name, _, _)| is_it(name)).map(|(_, value, _)| *value)
    }

    fn place(&mut self, value: &'a Value, path: impl FnOnce() -> String, resource: &'a Value) -> Id {
        let address = std::ptr::from_ref(value) as usize;
        if let Some(id) = self.by_address.get(&address) {
            return *id;
        }
        let id = self.places.len() as Id;
        let resource = self.resources.get(&address).copied().unwrap_or(resource);
        self.places.push(Place { value, path: path(), resource });
        self.by_address.insert(address, id);
        id
    }

    fn find_names(&mut self) {
        let mut open = vec![(self.root, self.root)];
        while let Some((value, above)) = open.pop() {
            if let Value::Object(entries) = value {
                let has_own_base = value.get("$id").and_then(Value::as_str).is_some_and(|base| !base.starts_with('#'));
                let resource = if has_own_base { value } else { above };
                if !std::ptr::eq(resource, self.root) {
                    self.resources.insert(std::ptr::from_ref(value) as usize, resource);
                }
                for keyword in ["$id", "id"] {
                    if let Some(name) = entries.get(keyword).and_then(Value::as_str) {
                        self.named.push((name.to_string(), value, resource));
                    }
                }
                for keyword in ["$anchor", "$dynamicAnchor"] {
                    if let Some(name) = entries.get(keyword).and_then(Value::as_str) {
                        self.named.push((format!("#{name}"), value, resource));
                    }
                }
                open.extend(entries.values().map(|entry| (entry, resource)));
            } else if let Value::Array(items) = value {
                open.extend(items.iter().map(|item| (item, above)));
            }
        }
    }
}

/// A fragment without its percent escapes.
fn decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after
            .get(..2)
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
