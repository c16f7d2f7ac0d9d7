//! The strict grammar of a turn's tokens: what passes, and what the parser would forgive but a trained model must not write.

use corpus::is_well_formed;
use harmony::Vocabulary;

fn passes(text: &str) -> bool {
    let vocabulary = Vocabulary::o200k_harmony();
    is_well_formed(&vocabulary, &vocabulary.encode_with_specials(text))
}

#[test]
fn turns_that_follow_the_grammar() {
    for text in [
        "<|channel|>final<|message|>Hello!<|return|>",
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
        " to=functions.f<|channel|>commentary <|constrain|>json<|message|>{}<|call|>",
        "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
        "<|channel|>commentary to=functions.f<|constrain|>json<|message|>{}<|call|>",
        "<|channel|>analysis to=python code<|message|>1+1<|call|>",
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant to=python<|channel|>analysis code<|message|>1<|call|>",
        "<|channel|>final<|message|><|return|>",
    ] {
        assert!(passes(text), "{text}");
    }
}

#[test]
fn turns_that_break_it() {
    for text in [
        "",
        "Hello!",
        "<|message|>Hello!<|return|>",
        "<|channel|>final<|message|>Hello!",
        "<|channel|>final<|message|>Hello!<|end|>",
        "<|channel|>final<|message|>Hello!<|return|><|return|>",
        "<|channel|>final<|message|>Hello!<|return|> and",
        "<|channel|>final<|message|>Hello!<|endoftext|>",
        "<|channel|>final<|message|>Hel<|message|>lo!<|return|>",
        "<|channel|>final<|message|>Hello!<|start|>assistant<|channel|>final<|message|>Hello!<|return|>",
        "<|channel|>finale<|message|>Hello!<|return|>",
        "<|channel|> final<|message|>Hello!<|return|>",
        "<|channel|>final two words<|message|>Hello!<|return|>",
        "<|channel|>final<|channel|>final<|message|>Hello!<|return|>",
        "<|start|>assistant<|channel|>final<|message|>Hello!<|return|>",
        " to=a<|channel|>analysis to=b code<|message|>1<|call|>",
        " to=<|channel|>analysis code<|message|>1<|call|>",
        "to=a<|channel|>analysis code<|message|>1<|call|>",
        " python<|channel|>analysis code<|message|>1<|call|>",
        "<|channel|>commentary json <|constrain|>json<|message|>{}<|call|>",
        "<|channel|>commentary <|constrain|>json now<|message|>{}<|call|>",
        "<|channel|>commentary <|constrain|><|message|>{}<|call|>",
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>user<|message|>Yes?<|end|>",
        "<|channel|>analysis<|message|>Hm.<|end|>assistant<|channel|>final<|message|>Yes.<|return|>",
        "<|channel|>analysis<|message|>Hm.<|end|><|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
    ] {
        assert!(!passes(text), "{text}");
    }
}

#[test]
fn half_a_character_breaks_it() {
    let vocabulary = Vocabulary::o200k_harmony();
    let mut tokens = vocabulary.encode_with_specials("<|channel|>final<|message|>a<|return|>");
    let half = (0..300).find(|&id| vocabulary.token_bytes(id) == Some(&[0xE2])).unwrap();
    assert!(is_well_formed(&vocabulary, &tokens));
    tokens.insert(tokens.len() - 1, half);
    assert!(!is_well_formed(&vocabulary, &tokens));
}
