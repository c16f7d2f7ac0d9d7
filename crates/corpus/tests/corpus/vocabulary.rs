//! The trimmed tokenizer: of exact size, lossless, and cutting words as the released one does.

use corpus::{DocumentRenderer, Mixture, Split, Stream, tokenizer_json};
use harmony::Vocabulary;

const ITEMS: u64 = 400;
const SIZE: usize = 2048;

fn trimmed(size: usize) -> Vocabulary {
    let json = tokenizer_json(1, Mixture::default(), ITEMS, size).unwrap();
    Vocabulary::from_tokenizer_json(json.as_bytes()).unwrap()
}

#[test]
fn it_has_every_byte_the_control_tokens_on_top_and_the_size_that_was_asked_for() {
    for size in [266, 700, SIZE, 5000] {
        let vocabulary = trimmed(size);
        assert_eq!(vocabulary.size(), size);
        let control: Vec<u32> = (0..size as u32).filter(|&id| vocabulary.special_name(id).is_some()).collect();
        assert_eq!(*control.last().unwrap() as usize, size - 1);
        assert_eq!(control.len(), size - control[0] as usize);
        assert!(vocabulary.harmony_ids().unwrap().start_of_text.is_some());
        assert_eq!(vocabulary.stop_ids().unwrap().len(), 3);
        for byte in 0..=u8::MAX {
            assert!((0..control[0]).any(|id| vocabulary.token_bytes(id) == Some(&[byte])), "{byte}");
        }
    }
    let error = tokenizer_json(1, Mixture::default(), 1, 265).unwrap_err().to_string();
    assert!(error.contains("265") && error.contains("266"), "{error}");
}

#[test]
fn it_is_the_same_every_time() {
    let json = || tokenizer_json(4, Mixture::default(), 50, 600).unwrap();
    assert_eq!(json(), json());
}

#[test]
fn any_text_comes_back_and_digits_stand_alone() {
    let vocabulary = trimmed(SIZE);
    for text in ["1234567 apples", "x=12.5e-10;", "naïve Σ 日本語 🦀\r\n\t\0", "don't", "<|start|>user", "      deep"]
    {
        let ids = vocabulary.encode(text);
        assert_eq!(vocabulary.decode(&ids), text);
        for &id in &ids {
            let bytes = vocabulary.token_bytes(id).unwrap();
            assert!(bytes.len() == 1 || !bytes.iter().any(u8::is_ascii_digit), "{text:?}: {bytes:?}");
            assert_eq!(vocabulary.special_name(id), None);
        }
    }
}

/// Where o200k's tokens of a text are all kept, the trimmed tokenizer gives the same ones.
#[test]
fn kept_words_are_cut_as_in_the_release() {
    let (released, trimmed) = (Vocabulary::o200k_harmony(), trimmed(SIZE));
    let renderer = DocumentRenderer::new(&released).unwrap();
    let stream = Stream::new(9, Split::Train, Mixture::default());
    let is_kept = |bytes: &[u8]| (0..SIZE as u32).any(|id| trimmed.token_bytes(id) == Some(bytes));
    let (mut seen, mut same) = (0, 0);
    for index in 0..20 {
        let ids = renderer.document(&stream.item(index)).unwrap().ids;
        let texts = ids.split(|&id| released.special_name(id).is_some()).map(|text| released.decode(text));
        let words = texts.flat_map(|text| text.split(' ').map(|word| format!(" {word}")).collect::<Vec<_>>());
        for word in words {
            let expected: Vec<&[u8]> =
                released.encode(&word).iter().map(|&id| released.token_bytes(id).unwrap()).collect();
            seen += 1;
            if expected.iter().all(|bytes| is_kept(bytes)) {
                let found: Vec<&[u8]> =
                    trimmed.encode(&word).iter().map(|&id| trimmed.token_bytes(id).unwrap()).collect();
                assert_eq!(found, expected, "{word:?}");
                same += 1;
            }
        }
    }
    assert!(same * 2 > seen, "{same} of {seen}");
}

#[test]
fn every_kept_token_is_reached() {
    let vocabulary = trimmed(SIZE);
    for id in 0..SIZE as u32 {
        let bytes = vocabulary.token_bytes(id).unwrap();
        let Ok(text) = std::str::from_utf8(bytes) else { continue };
        if vocabulary.special_name(id).is_none() {
            assert_eq!(vocabulary.encode(text), [id], "{text:?}");
        }
    }
}

#[test]
fn more_tokens_mean_shorter_texts() {
    let stream = Stream::new(6, Split::Train, Mixture::default());
    let length = |size| {
        let renderer = DocumentRenderer::new(&trimmed(size)).unwrap();
        (0..50).map(|index| renderer.document(&stream.item(index)).unwrap().ids.len()).sum::<usize>()
    };
    let lengths = [266, 700, SIZE].map(length);
    assert!(lengths.is_sorted_by(|left, right| left > right), "{lengths:?}");
}
