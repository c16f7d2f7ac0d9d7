//! The released vocabulary: ids, names, and that no text is a control token.

use harmony::Vocabulary;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[test]
fn the_released_ids() {
    let vocabulary = Vocabulary::o200k_harmony();
    assert_eq!(vocabulary.size(), 201_088);
    let ids = vocabulary.harmony_ids().unwrap();
    assert_eq!([ids.return_, ids.constrain, ids.channel], [200_002, 200_003, 200_005]);
    assert_eq!([ids.start, ids.end, ids.message, ids.call], [200_006, 200_007, 200_008, 200_012]);
    assert_eq!([ids.start_of_text, ids.end_of_text], [Some(199_998), Some(199_999)]);
    assert_eq!(vocabulary.stop_ids().unwrap(), [200_002, 200_012, 199_999]);
    assert_eq!(vocabulary.special_name(200_018), Some("<|endofprompt|>"));
    assert_eq!(vocabulary.special_name(201_087), Some("<|reserved_201087|>"));
    assert_eq!(vocabulary.special_name(199_997), None);
}

/// The official library has a name for one id more than the model has rows.
#[test]
fn there_is_no_id_beyond_the_models_rows() {
    let vocabulary = Vocabulary::o200k_harmony();
    assert_eq!(vocabulary.special_id("<|reserved_201088|>"), None);
    assert_eq!(vocabulary.token_bytes(201_088), None);
    assert_eq!(vocabulary.decode(&[201_088]), "\u{FFFD}");
}

#[test]
fn every_id_has_bytes_and_every_control_token_its_name() {
    let vocabulary = Vocabulary::o200k_harmony();
    for id in 0..201_088 {
        let bytes = vocabulary.token_bytes(id).unwrap();
        assert!(!bytes.is_empty());
        let name = vocabulary.special_name(id);
        assert_eq!(name.is_some(), id >= 199_998);
        if let Some(name) = name {
            assert_eq!(vocabulary.special_id(name), Some(id));
            assert_eq!(vocabulary.encode_with_specials(name), [id]);
            assert!(vocabulary.encode(name).iter().all(|&token| token < 199_998));
        }
    }
    // A token of text has no control id, though it is spelled somewhere.
    assert_eq!(vocabulary.special_id("hello"), None);
}

#[test]
fn a_long_unbroken_text_takes_linear_time() {
    // Quadratic encoders need minutes for this; the test would not end.
    let vocabulary = Vocabulary::o200k_harmony();
    for text in ["a".repeat(1 << 20), " ".repeat(1 << 20), "\n".repeat(1 << 20), "é你".repeat(1 << 17)] {
        assert_eq!(vocabulary.decode(&vocabulary.encode(&text)), text);
    }
}

/// Texts that try: spellings whole, cut, nested and between anything.
pub(crate) fn hostile_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => any::<String>(),
        4 => prop::sample::select(vec![
            "<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|call|>", "<|return|>",
            "<|endoftext|>", "<|startoftext|>", "<|endofprompt|>", "<|reserved_200013|>", "<|reserved_201087|>",
            "<|", "|>", "<", "|", "start", "<|sta", "rt|>", "system", "assistant", " to=", "functions.f",
        ]).prop_map(str::to_owned),
        1 => "[ \t\r\n]{1,9}",
        1 => "['sStTrReEvVmMlLdD]{1,9}",
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(20), ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_text_encodes_to_a_control_token_and_all_text_comes_back(text in hostile_text()) {
        let vocabulary = Vocabulary::o200k_harmony();
        let tokens = vocabulary.encode(&text);
        prop_assert!(tokens.iter().all(|&token| vocabulary.special_name(token).is_none()));
        prop_assert_eq!(vocabulary.decode(&tokens), text.clone());
        prop_assert_eq!(vocabulary.decode(&vocabulary.encode_with_specials(&text)), text);
    }
}
