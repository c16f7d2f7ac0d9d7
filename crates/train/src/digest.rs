//! A 64-bit hash that never changes: it tells torn files and changed recipes. It must not know what it is taken of, and is no
//! protection against people.

/// A hash in the making.
#[derive(Clone, Copy, Debug)]
pub struct Digest {
    state: u64,
}

impl Digest {
    /// Of nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: 0xcbf2_9ce4_8422_2325 }
    }

    /// Takes a word in. Every step is one-to-one in the state and in the word, so that a single changed word always shows.
    pub fn word(&mut self, word: u32) {
        let mixed = (self.state ^ u64::from(word)).wrapping_mul(0x9fb2_1c65_1e98_df25);
        self.state = mixed ^ (mixed >> 32);
    }

    /// Takes bytes in, and how many they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.words(bytes);
        self.word(bytes.len() as u32);
    }

    /// Takes bytes in, four at a time; a last word that is not full is filled with zeros.
    pub fn words(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            self.word(u32::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 4];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u32::from_le_bytes(last));
        }
    }

    /// The hash of all that was taken in.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.state
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    fn digest(bytes: &[u8]) -> u64 {
        let mut digest = Digest::new();
        digest.bytes(bytes);
        digest.value()
    }

    #[test]
    fn every_change_shows_and_none_comes_by_itself() {
        let text = b"a recipe of some length";
        assert_eq!(digest(text), 15_441_147_287_489_360_873);
        for index in 0..text.len() {
            let mut other = text.to_vec();
            other[index] ^= 1;
            assert_ne!(digest(&other), digest(text));
        }
        assert_ne!(digest(b"ab\0"), digest(b"ab"));
        assert_ne!(digest(b""), Digest::new().value());
    }
}
