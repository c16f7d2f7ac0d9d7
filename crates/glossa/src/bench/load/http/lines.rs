//! Server-sent events out of a stream of bytes: what stands behind `data:`, event by event. It must not know what it means.
//!
//! As in the WHATWG's HTML standard, "Server-sent events": an event ends with an empty line, its lines of data are joined, and
//! comments and other fields are passed over.

use std::io::{self, BufRead, ErrorKind, Read};

/// Longest line of an event, so that a server cannot fill the memory.
const LINE_BYTES_MAX: usize = 16 << 20;

/// The events of a stream.
pub(super) struct Events<R> {
    stream: R,
    line: Vec<u8>,
}

impl<R: BufRead> Events<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, line: Vec::new() }
    }

    /// The next event's data; nothing at the end of the stream. One that the stream breaks off in counts, too: whether that was
    /// the end is for its reader to say.
    pub(super) fn next_data(&mut self) -> io::Result<Option<String>> {
        let mut data: Option<String> = None;
        loop {
            let is_over = !self.read_line()?;
            let line = String::from_utf8_lossy(&self.line);
            match (line.as_ref(), &mut data) {
                ("", Some(_)) => return Ok(data),
                ("", None) if is_over => return Ok(None),
                ("", None) => {}
                (line, data) => {
                    if let Some(value) = value(line) {
                        match data {
                            Some(before) => *before += &format!("\n{value}"),
                            None => *data = Some(value.to_owned()),
                        }
                    }
                }
            }
        }
    }

    /// Whether there was a line; it stands in `line` without its end.
    fn read_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        let most = LINE_BYTES_MAX as u64 + 1;
        let read = self.stream.by_ref().take(most).read_until(b'\n', &mut self.line)?;
        if read > LINE_BYTES_MAX {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("a line of more than {LINE_BYTES_MAX} bytes")));
        }
        while self.line.pop_if(|byte| matches!(byte, b'\n' | b'\r')).is_some() {}
        Ok(read > 0)
    }
}

/// What a line says when it is one of data.
fn value(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("data")?;
    if rest.is_empty() {
        return Some("");
    }
    let value = rest.strip_prefix(':')?;
    Some(value.strip_prefix(' ').unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::{Events, LINE_BYTES_MAX};

    /// A stream that gives one byte at a time, as a slow network does.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            buffer[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn events(text: &str) -> Vec<String> {
        let mut events = Events::new(BufReader::new(Slow(text.as_bytes())));
        std::iter::from_fn(|| events.next_data().unwrap()).collect()
    }

    #[test]
    fn events_are_told_apart() {
        assert_eq!(events("data: {\"a\":1}\n\ndata:{}\n\ndata: [DONE]\n\n"), ["{\"a\":1}", "{}", "[DONE]"]);
        assert_eq!(events("data: a\r\n\r\ndata: b\r\n\r\n"), ["a", "b"]);
        assert_eq!(events(": ping\n\nevent: token\nid: 3\ndata: one\ndata: two\n\n\n\n"), ["one\ntwo"]);
        assert_eq!(events("database: no\nretry: 10\n\ndata\n\n"), [""]);
        assert_eq!(events("data: broken off"), ["broken off"]);
        assert!(events("").is_empty() && events("\n\n").is_empty());
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let endless = std::io::repeat(b'x').take(2 * LINE_BYTES_MAX as u64);
        let error = Events::new(BufReader::new(endless)).next_data().unwrap_err();
        assert!(error.to_string().contains("bytes"), "{error}");
    }
}
