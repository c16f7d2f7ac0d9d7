//! How much of anything may be given in one call, and the checks of it.
//! It must not know what the given things are for.

use crate::error::{Error, Result};

/// Bytes of a name: a kind, owner, id, queue, worker or channel part.
pub const NAME_BYTES_MAX: usize = 256;
/// Bytes of a body of a record, item, event or job.
pub const BODY_BYTES_MAX: usize = 64 << 20;
/// Entries of one page, and of one reading of events.
pub const PAGE_MAX: u32 = 1000;
/// Items or events of one call that adds them.
pub const APPEND_MAX: usize = 10_000;
/// Bytes of one write to an upload, and of one reading of a blob.
pub const BLOB_CALL_BYTES_MAX: usize = 16 << 20;
/// Bytes of one row of a blob; larger writes are cut.
pub(crate) const PIECE_BYTES_MAX: usize = 1 << 20;

/// Checks a name. Control characters are refused: no id needs them, and databases disagree about NUL.
pub(crate) fn name(what: &'static str, text: &str) -> Result<String> {
    size(what, text.len(), NAME_BYTES_MAX)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Error::Invalid { what, expected: "a text that is not empty and has no control characters" });
    }
    Ok(text.to_string())
}

/// Checks a body. JSON has no NUL outside its escapes, so that nothing sensible is refused.
pub(crate) fn body(what: &'static str, text: &str) -> Result<()> {
    size(what, text.len(), BODY_BYTES_MAX)?;
    if text.contains('\0') {
        return Err(Error::Invalid { what, expected: "a text without NUL characters" });
    }
    Ok(())
}

/// Checks a number of bytes or entries.
pub(crate) fn size(what: &'static str, found: usize, most: usize) -> Result<()> {
    if found > most { Err(Error::TooMuch { what, found, most }) } else { Ok(()) }
}

/// Checks the length of a page, and gives it with the one entry more that shows whether there are others.
pub(crate) fn page(limit: u32) -> Result<i64> {
    size("the limit of a page", limit as usize, PAGE_MAX as usize)?;
    Ok(i64::from(limit) + 1)
}

/// A size as the database keeps it.
pub(crate) fn count(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Milliseconds of a duration.
pub(crate) fn milliseconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{BODY_BYTES_MAX, NAME_BYTES_MAX, PAGE_MAX, body, name, page};

    #[test]
    fn names_and_bodies_have_bounds() {
        assert!(name("the id", &"x".repeat(NAME_BYTES_MAX)).is_ok());
        for bad in [String::new(), "a\nb".into(), "a\0".into(), "x".repeat(NAME_BYTES_MAX + 1)] {
            let error = name("the id", &bad).unwrap_err().to_string();
            assert!(error.contains("the id"), "{error}");
        }
        assert!(body("the body", "{\"a\": \"\\u0000\"}").is_ok());
        assert!(body("the body", "a\0").is_err());
        assert!(body("the body", &"x".repeat(BODY_BYTES_MAX + 1)).unwrap_err().to_string().contains("67108865"));
        assert_eq!(page(PAGE_MAX).unwrap(), i64::from(PAGE_MAX) + 1);
        assert!(page(PAGE_MAX + 1).is_err());
    }
}
