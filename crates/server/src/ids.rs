//! Names for new objects: a prefix that says the kind, and what nobody can guess. It must not know the objects.

use std::sync::atomic::{AtomicU64, Ordering};

use ring::hmac;

use crate::random;

/// Letters of a name.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Letters behind the prefix: 32 of 62 are 190 bits.
const LETTERS: usize = 32;

/// Makes names.
pub(crate) struct Ids(Origin);

enum Origin {
    Random,
    /// A key, and how often it was used.
    Derived(hmac::Key, AtomicU64),
}

impl Default for Ids {
    fn default() -> Self {
        Self(Origin::Random)
    }
}

impl Ids {
    /// The names that follow from another, which nobody can guess: always the same ones in the same order, so that what is done
    /// twice is called the same.
    pub(crate) fn derived(from: &str) -> Self {
        Self(Origin::Derived(hmac::Key::new(hmac::HMAC_SHA256, from.as_bytes()), AtomicU64::new(0)))
    }

    /// A new name such as `resp_…`.
    pub(crate) fn next(&self, prefix: &str) -> String {
        let mut name = format!("{prefix}_");
        while name.len() < prefix.len() + 1 + LETTERS {
            let bytes = self.bytes();
            // Bytes beyond a multiple of 62 would make some letters likelier.
            let letters = bytes.iter().filter(|&&byte| byte < 248).map(|&byte| ALPHABET[usize::from(byte) % 62]);
            let missing = prefix.len() + 1 + LETTERS - name.len();
            name.extend(letters.take(missing).map(char::from));
        }
        name
    }

    fn bytes(&self) -> [u8; 32] {
        match &self.0 {
            Origin::Random => random::bytes(),
            Origin::Derived(key, used) => {
                let number = used.fetch_add(1, Ordering::Relaxed);
                hmac::sign(key, &number.to_le_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_derived_ones_come_again() {
        let (random, first, again, other) =
            (Ids::default(), Ids::derived("resp_1"), Ids::derived("resp_1"), Ids::derived("resp_2"));
        let mut names: Vec<String> = (0..50).map(|_| first.next("msg")).collect();
        assert_eq!(names, (0..50).map(|_| again.next("msg")).collect::<Vec<_>>());
        names.extend((0..50).flat_map(|_| [random.next("msg"), other.next("msg")]));
        assert!(names.iter().all(|name| name.len() == 36 && name.starts_with("msg_")));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 150);
    }
}
