//! Values of settings and where each came from: defaults, the file, the environment, the command line; later wins. It must not know what
//! settings mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::table::{SETTINGS, Setting};
use crate::error::Error;

/// Values with their sources.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    values: BTreeMap<&'static str, Value>,
    /// Variables of the environment that look like settings and are none.
    pub(crate) unknown_variables: Vec<String>,
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    /// One text, or several of a list.
    pub(crate) texts: Vec<String>,
    /// Where it came from, for people.
    pub(crate) source: String,
}

impl Layers {
    /// Takes what a file says, over what was there.
    pub(crate) fn file(&mut self, path: &Path) -> Result<(), Error> {
        let bytes = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        self.toml(path, &bytes)
    }

    fn toml(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        let line = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let wrong = |at: usize, what: String| Error::Config { place: format!("{}:{}", path.display(), line(at)), what };
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            wrong(at, error.message().to_owned())
        })?;
        for (section, inside) in table.get_ref() {
            let DeValue::Table(inside) = inside.get_ref() else {
                let what = format!("{} stands outside of a section; write [section] above it", section.get_ref());
                return Err(wrong(section.span().start, what));
            };
            for (key, value) in inside {
                let name = format!("{}.{}", section.get_ref(), key.get_ref());
                let at = key.span().start;
                let setting = Setting::named(&name).ok_or_else(|| wrong(at, unknown(&name)))?;
                let texts = texts(value.get_ref()).ok_or_else(|| {
                    wrong(at, format!("{name}: expected a text, a number, true, false or a list of texts"))
                })?;
                let source = format!("{}:{}", path.display(), line(at));
                self.take(setting, texts, source)?;
            }
        }
        Ok(())
    }

    /// Takes what the environment says, over what was there.
    pub(crate) fn environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) -> Result<(), Error> {
        for (variable, text) in variables {
            if !variable.starts_with("GLOSSA_") || NOT_SETTINGS.contains(&variable.as_str()) {
                continue;
            }
            match SETTINGS.iter().find(|setting| setting.variable() == variable) {
                Some(setting) => self.take(setting, vec![text], variable)?,
                None => self.unknown_variables.push(variable),
            }
        }
        Ok(())
    }

    /// Takes an option of the command line, over what was there.
    pub(crate) fn option(&mut self, option: &str, name: &str, texts: Vec<String>) -> Result<(), Error> {
        let place = || format!("--{option}");
        let setting = Setting::named(name).ok_or_else(|| Error::Config { place: place(), what: unknown(name) })?;
        self.take(setting, texts, place())
    }

    fn take(&mut self, setting: &'static Setting, texts: Vec<String>, source: String) -> Result<(), Error> {
        let is_list = setting.kind == super::table::Kind::List;
        let texts: Vec<String> = match texts {
            texts if is_list => texts
                .iter()
                .flat_map(|text| text.split(','))
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
                .collect(),
            texts => texts,
        };
        let fault = match &texts[..] {
            _ if is_list => None,
            // An empty text takes a value back.
            [text] if text.is_empty() => None,
            [text] => setting.fault(text),
            _ => Some("one value, not a list".to_owned()),
        };
        if let Some(expected) = fault {
            let found = if setting.kind == super::table::Kind::Secret { String::new() } else { texts.join(", ") };
            let what = format!("{} is {found:?}: expected {expected}", setting.name);
            return Err(Error::Config { place: source, what });
        }
        self.values.insert(setting.name, Value { texts, source });
        Ok(())
    }

    /// The value in force and where it came from.
    pub(crate) fn value(&self, setting: &'static Setting) -> Value {
        let given = self.values.get(setting.name).filter(|value| value.texts.iter().any(|text| !text.is_empty()));
        given
            .cloned()
            .unwrap_or_else(|| Value { texts: vec![setting.default.to_owned()], source: "default".to_owned() })
    }

    /// A setting as text, where it is set.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let setting = Setting::named(name).expect("only settings of the table are asked for");
        Some(self.value(setting).texts.concat()).filter(|text| !text.is_empty())
    }

    /// A setting with a default, as text.
    pub(crate) fn word(&self, name: &str) -> String {
        self.text(name).expect("settings with defaults are set")
    }

    /// A setting as texts.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let setting = Setting::named(name).expect("only settings of the table are asked for");
        self.value(setting).texts.into_iter().filter(|text| !text.is_empty()).collect()
    }

    /// A setting as a whole number, where it is set.
    pub(crate) fn whole(&self, name: &str) -> Option<u64> {
        self.text(name).map(|text| text.parse().expect("checked when it was taken"))
    }

    /// A setting with a default, as a whole number.
    pub(crate) fn needed(&self, name: &str) -> u64 {
        self.whole(name).expect("settings with defaults are set")
    }

    /// A setting as a number, where it is set.
    pub(crate) fn number(&self, name: &str) -> Option<f32> {
        self.text(name).map(|text| text.parse().expect("checked when it was taken"))
    }

    /// A setting as a path, where it is set; `~/` is the home folder.
    pub(crate) fn path(&self, name: &str, home: Option<&Path>) -> Option<PathBuf> {
        self.text(name).map(|text| match (text.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => home.join(rest),
            (Some(_) | None, _) => PathBuf::from(text),
        })
    }
}

/// Variables of ours that are read elsewhere: by tests, and by this module for the file's place.
const NOT_SETTINGS: [&str; 2] = ["GLOSSA_CONFIG", "GLOSSA_SUITES"];

fn unknown(name: &str) -> String {
    format!("there is no setting {name}; `glossa config` shows all")
}

/// The texts of a value, if it is one or a list.
fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    let one = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(date) => Some(date.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    };
    match value {
        DeValue::Array(values) => values.iter().map(|value| one(value.get_ref())).collect(),
        value => one(value).map(|text| vec![text]),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Layers, Value};
    use crate::config::table::Setting;

    const FILE: &str = "[server]\nport = 1\n\n[model]\naliases = [\"a\", \"b\"]\neffort = \"low\"\ndate = 2025-06-28\n";

    fn value(layers: &Layers, name: &str) -> Value {
        layers.value(Setting::named(name).unwrap())
    }

    #[test]
    fn later_wins_and_says_where_it_came_from() {
        let mut layers = Layers::default();
        assert_eq!(value(&layers, "server.port"), Value { texts: vec!["8080".into()], source: "default".into() });
        layers.toml(Path::new("g.toml"), FILE).unwrap();
        assert_eq!(value(&layers, "server.port"), Value { texts: vec!["1".into()], source: "g.toml:2".into() });
        assert_eq!(
            (layers.list("model.aliases"), layers.text("model.date").unwrap()),
            (vec!["a".into(), "b".into()], "2025-06-28".into())
        );
        let variables =
            [("GLOSSA_SERVER_PORT", "2"), ("GLOSSA_MODEL_ALIASES", "c, d"), ("GLOSSA_PROT", "3"), ("HOME", "/")];
        layers.environment(variables.map(|(name, text)| (name.to_owned(), text.to_owned()))).unwrap();
        assert_eq!(value(&layers, "server.port").source, "GLOSSA_SERVER_PORT");
        assert_eq!(
            (layers.list("model.aliases"), &layers.unknown_variables[..]),
            (vec!["c".into(), "d".into()], &["GLOSSA_PROT".to_owned()][..])
        );
        layers.option("port", "server.port", vec!["3".into()]).unwrap();
        assert_eq!((layers.whole("server.port"), value(&layers, "server.port").source), (Some(3), "--port".into()));
        layers.option("set", "server.port", vec![String::new()]).unwrap();
        assert_eq!(layers.whole("server.port"), Some(8080), "an empty text takes a value back");
    }

    #[test]
    fn slips_are_refused_with_their_line() {
        for (text, words) in [
            ("[server]\nhost = \"a\"\nprot = 1\n", "g.toml:3: there is no setting server.prot"),
            ("[serve]\nhost = \"a\"\n", "g.toml:2: there is no setting serve.host"),
            ("port = 1\n", "g.toml:1: port stands outside"),
            ("[server]\n\nport = 70000\n", "g.toml:3: server.port is \"70000\""),
            ("[server]\nport = [1, 2]\n", "expected one value"),
            ("[server\n", "g.toml:1"),
            ("[server]\nport = 1\nport = 2\n", "g.toml:3"),
            ("[server]\nport = { a = 1 }\n", "g.toml:2: server.port: expected a text"),
        ] {
            let error = Layers::default().toml(Path::new("g.toml"), text).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        }
        let variable = [("GLOSSA_STORE_SEAL_KEY".to_owned(), "hush".to_owned())];
        assert!(Layers::default().environment(variable).is_ok());
    }
}
