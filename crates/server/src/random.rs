//! Bytes that nobody can guess. It must not know what they are for.

use ring::rand::{SecureRandom, SystemRandom};

/// So many bytes, others each time.
pub(crate) fn bytes<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
