//! Text is complete at every moment, and in the end what a lossy reading of all bytes gives.

use harmony::TextStream;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(20), ..ProptestConfig::default() })]

    #[test]
    fn pieces_give_the_text_of_the_whole(pieces in prop::collection::vec(piece(), 0..20)) {
        let mut stream = TextStream::default();
        let mut text = String::new();
        for piece in &pieces {
            stream.push(piece, &mut text);
        }
        stream.finish(&mut text);
        let whole = pieces.concat();
        prop_assert_eq!(text, String::from_utf8_lossy(&whole));
    }
}

/// Bytes that are valid, cut and invalid UTF-8 in turn.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..6),
        ("[aé你🙂]{1,3}", 0usize..4).prop_map(|(text, cut)| text.into_bytes()[cut.min(1)..].to_vec()),
        prop::sample::select(vec![
            vec![0xF0],
            vec![0x9F],
            vec![0xF0, 0x9F],
            vec![0x99, 0x82],
            vec![0xE4, 0xBD],
            vec![0xA0]
        ]),
    ]
}

#[test]
fn half_a_character_waits_for_its_other_half() {
    let mut stream = TextStream::default();
    let mut text = String::new();
    stream.push(&[b'a', 0xF0, 0x9F], &mut text);
    assert_eq!(text, "a");
    stream.push(&[0x99], &mut text);
    assert_eq!(text, "a");
    stream.push(&[0x82, b'b'], &mut text);
    assert_eq!(text, "a🙂b");
    stream.push(&[0xE4], &mut text);
    stream.finish(&mut text);
    stream.finish(&mut text);
    assert_eq!(text, "a🙂b\u{FFFD}");
}
