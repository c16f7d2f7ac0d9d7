//! Names for new objects: a prefix that says the kind, and what nobody can guess. It must not know the objects.

use ring::rand::{SecureRandom, SystemRandom};

/// Letters of a name.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Letters behind the prefix: 32 of 62 are 190 bits.
const LETTERS: usize = 32;

/// Makes names.
pub(crate) struct Ids(SystemRandom);

impl Default for Ids {
    fn default() -> Self {
        Self(SystemRandom::new())
    }
}

impl Ids {
    /// A new name such as `resp_…`.
    pub(crate) fn next(&self, prefix: &str) -> String {
        let mut name = format!("{prefix}_");
        let mut bytes = [0; 64];
        while name.len() < prefix.len() + 1 + LETTERS {
            self.0.fill(&mut bytes).expect("the system gives random bytes");
            // Bytes beyond a multiple of 62 would make some letters likelier.
            let letters = bytes.iter().filter(|&&byte| byte < 248).map(|&byte| ALPHABET[usize::from(byte) % 62]);
            let missing = prefix.len() + 1 + LETTERS - name.len();
            name.extend(letters.take(missing).map(char::from));
        }
        name
    }
}
