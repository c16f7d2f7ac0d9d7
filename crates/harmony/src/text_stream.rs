//! Bytes that arrive in pieces become text that is complete at every moment; knows no tokens.

/// A character may be cut between two tokens: its first bytes wait here for the rest.
///
/// Invalid bytes become U+FFFD, one for each maximal invalid part, exactly as [`String::from_utf8_lossy`] does on the
/// whole.
#[derive(Clone, Debug, Default)]
pub struct TextStream {
    pending: Vec<u8>,
}

impl TextStream {
    /// Takes the next bytes and appends to `text` whatever is complete.
    pub fn push(&mut self, bytes: &[u8], text: &mut String) {
        if self.pending.is_empty() {
            let rest = append_complete(bytes, text);
            self.pending.extend_from_slice(rest);
        } else {
            self.pending.extend_from_slice(bytes);
            let joined = std::mem::take(&mut self.pending);
            let rest = append_complete(&joined, text);
            self.pending.extend_from_slice(rest);
        }
    }

    /// Nothing more will come: a character that is still incomplete becomes one U+FFFD.
    pub fn finish(&mut self, text: &mut String) {
        if !self.pending.is_empty() {
            self.pending.clear();
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Appends all that is complete and returns the bytes of a character that may still be completed.
fn append_complete<'a>(mut bytes: &'a [u8], text: &mut String) -> &'a [u8] {
    loop {
        match std::str::from_utf8(bytes) {
            Ok(valid) => {
                text.push_str(valid);
                return &[];
            }
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                text.push_str(std::str::from_utf8(valid).expect("the error says that these bytes are valid"));
                let Some(invalid_length) = error.error_len() else { return rest };
                text.push(char::REPLACEMENT_CHARACTER);
                bytes = &rest[invalid_length..];
            }
        }
    }
}
