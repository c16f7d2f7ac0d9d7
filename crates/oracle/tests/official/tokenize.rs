//! The same tokens for any text.

use harmony::Vocabulary;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::conversations::text;
use crate::library::{cases, with_library};

#[test]
fn texts_are_tokenized_alike() {
    with_library("tokenize::texts_are_tokenized_alike", |library| {
        let vocabulary = Vocabulary::o200k_harmony();
        let tokenizer = library.tokenizer();
        let property = |text: String| {
            prop_assert_eq!(vocabulary.encode(&text), tokenizer.encode_ordinary(&text));
            prop_assert_eq!(vocabulary.encode_with_specials(&text), tokenizer.encode_with_special_tokens(&text));
            Ok(())
        };
        TestRunner::new(cases(4000)).run(&text(), property).unwrap();
    });
}

#[test]
fn every_control_token_has_the_same_id() {
    with_library("tokenize::every_control_token_has_the_same_id", |library| {
        let vocabulary = Vocabulary::o200k_harmony();
        for id in 199_998..201_088 {
            // The model's own tokenizer names this one, the library does not.
            let name = if id == 200_018 { "<|reserved_200018|>" } else { vocabulary.special_name(id).unwrap() };
            assert_eq!(library.tokenizer().encode_with_special_tokens(name), [id]);
        }
        // One more than the model has rows: the reason why our ids are our own.
        assert_eq!(library.tokenizer().encode_with_special_tokens("<|reserved_201088|>"), [201_088]);
    });
}
