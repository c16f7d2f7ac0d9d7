//! Any tokens as what a model wrote: well-formed events, and all of the text that stands in them.

#![no_main]

use std::sync::LazyLock;

use harmony::{Event, Parser, Role, Vocabulary};
use libfuzzer_sys::fuzz_target;

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(Vocabulary::o200k_harmony);

/// A byte below this is a control token by itself; else it begins a three-byte id.
const CONTROL_BYTES: u8 = 64;

fuzz_target!(|bytes: &[u8]| {
    let role = if bytes.len().is_multiple_of(2) { Some(Role::Assistant) } else { None };
    let mut parser = Parser::new(&VOCABULARY, role).expect("the released vocabulary has harmony's tokens");
    let mut events = Vec::new();
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let (token, tail) = match (first, tail) {
            (control @ 0..CONTROL_BYTES, tail) => (199_998 + u32::from(*control % 24), tail),
            (high, [middle, low, tail @ ..]) => (u32::from_be_bytes([0, high - CONTROL_BYTES, *middle, *low]), tail),
            (_, [..]) => break,
        };
        parser.push(token, &mut events);
        rest = tail;
    }
    parser.finish(&mut events);
    let mut open = false;
    for event in &events {
        match event {
            Event::MessageStarted(_) => assert!(!std::mem::replace(&mut open, true)),
            Event::TextDelta(text) => assert!(open && !text.is_empty()),
            Event::MessageEnded(_) => assert!(std::mem::replace(&mut open, false)),
        }
    }
    assert!(!open && parser.is_between_messages());
});
