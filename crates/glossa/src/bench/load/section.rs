//! What a scenario found, as rows of figures: for people, for programs, and of several runs the middle. It must not know what the
//! figures mean.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::bench::median;

/// The figures of one scenario on one target.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) columns: &'static [Column],
    pub(super) rows: Vec<Row>,
    /// What a reader should know.
    pub(super) notes: Vec<String>,
    /// What should not be so.
    pub(super) findings: Vec<String>,
}

/// A figure that every row has.
#[derive(Debug)]
pub(super) struct Column {
    /// For programs, the unit last.
    pub(super) key: &'static str,
    /// For people; a figure without a title is for programs only.
    pub(super) title: &'static str,
    /// Decimals for people.
    pub(super) decimals: usize,
    /// What people see is this many times as much.
    pub(super) scale: f64,
}

/// One line of figures; what is not known is nothing.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) values: Vec<Option<f64>>,
}

impl Column {
    /// A figure as it is.
    pub(super) const fn plain(key: &'static str, title: &'static str, decimals: usize) -> Self {
        Self { key, title, decimals, scale: 1.0 }
    }

    /// Seconds, told in milliseconds.
    pub(super) const fn milliseconds(key: &'static str, title: &'static str) -> Self {
        Self { key, title, decimals: 1, scale: 1e3 }
    }

    fn width(&self) -> usize {
        (self.title.chars().count() + 2).max(10)
    }
}

impl Section {
    /// A row's figure by its key.
    pub(super) fn value(&self, row: usize, key: &str) -> Option<f64> {
        let column = self.columns.iter().position(|column| column.key == key)?;
        self.rows.get(row)?.values.get(column).copied().flatten()
    }

    /// Of several runs of the same scenario each figure in the middle; notes and findings of all.
    pub(super) fn middle(runs: &[Self]) -> Option<Self> {
        let mut middle = runs.first()?.clone();
        for (index, row) in middle.rows.iter_mut().enumerate() {
            for (column, value) in row.values.iter_mut().enumerate() {
                let figures = runs.iter().filter_map(|run| run.rows.get(index)?.values.get(column).copied().flatten());
                let figures: Vec<f64> = figures.collect();
                *value = (!figures.is_empty()).then(|| median(&figures));
            }
        }
        for run in &runs[1..] {
            let new = |texts: &[String], known: &[String]| -> Vec<String> {
                texts.iter().filter(|text| !known.contains(text)).cloned().collect()
            };
            middle.notes.extend(new(&run.notes, &middle.notes));
            middle.findings.extend(new(&run.findings, &middle.findings));
        }
        Some(middle)
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let row = |row: &Row| {
            let mut object = Map::new();
            object.insert("name".into(), json!(row.name));
            let figures = self.columns.iter().zip(&row.values);
            object.extend(figures.map(|(column, value)| (column.key.to_owned(), json!(value))));
            Value::Object(object)
        };
        let Self { title, columns: _, rows, notes, findings } = self;
        let rows: Vec<Value> = rows.iter().map(row).collect();
        json!({"title": title, "rows": rows, "notes": notes, "findings": findings})
    }
}

/// The same scenario on one target or two, row by row below each other.
pub(super) fn table(sections: &[(&str, &Section)]) -> String {
    let mut out = String::new();
    let Some((_, first)) = sections.first() else { return out };
    let names = first.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let targets = sections.iter().map(|(target, _)| target.chars().count()).max().unwrap_or(0);
    let _ = writeln!(out, "\n{}", first.title);
    let _ = write!(out, "  {:names$}  {:targets$}", "", "");
    let shown = || first.columns.iter().enumerate().filter(|(_, column)| !column.title.is_empty());
    for (_, column) in shown() {
        let _ = write!(out, "{:>width$}", column.title, width = column.width());
    }
    let _ = writeln!(out);
    for (index, row) in first.rows.iter().enumerate() {
        for (position, (target, section)) in sections.iter().enumerate() {
            let name = if position == 0 { row.name.as_str() } else { "" };
            let _ = write!(out, "  {name:names$}  {target:targets$}");
            for (at, column) in shown() {
                let value = section.rows.get(index).and_then(|row| row.values.get(at).copied().flatten());
                let decimals = column.decimals;
                let value = value.map_or("–".to_owned(), |value| format!("{:.decimals$}", value * column.scale));
                let _ = write!(out, "{value:>width$}", width = column.width());
            }
            let _ = writeln!(out);
        }
    }
    // What holds for all of them stands there once.
    let (shared, own): (Vec<_>, Vec<_>) = (sections.iter())
        .flat_map(|(target, section)| section.notes.iter().map(move |note| (target, note)))
        .partition(|(_, note)| sections.iter().all(|(_, section)| section.notes.contains(note)));
    for (_, note) in &shared[..shared.len() / sections.len()] {
        let _ = writeln!(out, "  {note}");
    }
    for (target, note) in own {
        let _ = writeln!(out, "  {target}: {note}");
    }
    for (target, section) in sections {
        for finding in &section.findings {
            let _ = writeln!(out, "  {target}: WRONG: {finding}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Column, Row, Section, table};

    const COLUMNS: &[Column] = &[
        Column::plain("clients", "", 0),
        Column::plain("first_token_seconds", "first token s", 2),
        Column::milliseconds("gap_seconds", "gap ms"),
    ];

    fn section(first: f64, gap: Option<f64>, note: &str) -> Section {
        let row = |name: &str, clients| Row { name: name.into(), values: vec![Some(clients), Some(first), gap] };
        Section {
            title: "clients".into(),
            columns: COLUMNS,
            rows: vec![row("1 client", 1.0), row("16 clients", 16.0)],
            notes: vec![note.into()],
            findings: Vec::new(),
        }
    }

    #[test]
    fn two_targets_stand_below_each_other() {
        let wrong = Section { findings: vec!["lost".into()], ..section(3.0, None, "note") };
        let mut own = section(1.5, Some(0.0125), "note");
        own.notes.push("mine".into());
        let text = table(&[("glossa", &own), ("llama.cpp", &wrong)]);
        let expected = "
clients
                         first token s    gap ms
  1 client    glossa              1.50      12.5
              llama.cpp           3.00         –
  16 clients  glossa              1.50      12.5
              llama.cpp           3.00         –
  note
  glossa: mine
  llama.cpp: WRONG: lost
";
        assert_eq!(text, expected);
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn of_several_runs_the_middle_counts() {
        let runs = [section(3.0, None, "a"), section(1.0, Some(0.2), "b"), section(2.0, None, "a")];
        let middle = Section::middle(&runs).unwrap();
        assert_eq!(middle.value(0, "first_token_seconds"), Some(2.0));
        assert_eq!(middle.value(1, "gap_seconds"), Some(0.2), "where only some know");
        assert_eq!(middle.value(1, "clients"), Some(16.0));
        assert_eq!(middle.value(2, "clients"), None);
        assert_eq!(middle.notes, ["a", "b"]);
        assert!(Section::middle(&[]).is_none());
        let json = runs[0].json();
        assert_eq!(json["rows"][1]["name"], "16 clients");
        assert_eq!(json["rows"][1]["first_token_seconds"], 3.0);
        assert!(json["rows"][0]["gap_seconds"].is_null());
    }
}
