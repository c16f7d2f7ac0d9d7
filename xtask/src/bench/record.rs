//! Dated lines of JSON that are only ever added to. It must not know what they hold.

use std::fs::{OpenOptions, create_dir_all};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::process::root;

/// Adds a line with the date and the commit.
pub(super) fn append(path: &Path, kind: &str, measured: &Value) -> Result<()> {
    let mut line = json!({"date": date(), "commit": git(&["rev-parse", "HEAD"]), "changed": changed(), "kind": kind});
    if let (Some(line), Some(measured)) = (line.as_object_mut(), measured.as_object()) {
        line.extend(measured.clone());
    }
    let failed = |source| Error::file(path, source);
    path.parent().map_or(Ok(()), create_dir_all).map_err(failed)?;
    let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
    writeln!(file, "{line}").map_err(failed)
}

/// Whether files differ from the commit; nothing when git does not say.
fn changed() -> Option<bool> {
    git(&["status", "--porcelain", "--untracked-files=no"]).map(|files| !files.is_empty())
}

fn git(arguments: &[&str]) -> Option<String> {
    let said =
        Command::new("git").current_dir(root()).args(["-c", "safe.directory=*"]).args(arguments).output().ok()?;
    said.status.success().then(|| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// Now, in UTC, as ISO 8601 has it.
fn date() -> String {
    let now = time::OffsetDateTime::now_utc();
    let (year, month, day) = now.to_calendar_date();
    let (hour, minute, second) = now.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::append;

    #[test]
    fn lines_are_added() {
        let folder = std::env::temp_dir().join(format!("xtask-record-{}", std::process::id()));
        let path = folder.join("new").join("bench.jsonl");
        append(&path, "first", &json!({"speed": 1})).unwrap();
        append(&path, "second", &json!({"speed": 2})).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["kind"], &lines[1]["speed"]), (&json!("first"), &json!(2)));
        assert!(lines[0]["date"].as_str().unwrap().starts_with("20") && lines[0]["date"].as_str().unwrap().len() == 20);
    }
}
