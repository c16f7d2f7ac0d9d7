//! Grammars other than JSON Schema, and what a matcher says on the way.

use super::vocabulary;
use grammar::{Error, Grammar, Limits, Matcher, Mode, Source, Tokens};

fn compile(source: &Source) -> Result<Grammar, Error> {
    Tokens::new(&vocabulary(), Limits::default()).compile(source, Mode::Strict)
}

/// The text's tokens are pushed one by one; what a mask allows must be taken. (Where text is forced, a mask allows only the tokenizer's
/// own spelling of it, while others are taken as well.)
fn follow(matcher: &mut Matcher, text: &str) -> Result<(), Error> {
    for id in vocabulary().encode(text) {
        let allowed = matcher.mask()?.allows(id);
        let pushed = matcher.push(id);
        assert!(pushed.is_ok() || !allowed, "mask and push disagree about {id} in {text}");
        pushed?;
    }
    Ok(())
}

/// Whether a text is what a grammar describes.
fn fits(source: &Source, text: &str) -> bool {
    let mut matcher = compile(source).expect("the source compiles").matcher();
    follow(&mut matcher, text).is_ok() && matcher.is_complete()
}

#[test]
fn an_object_is_over_where_its_brace_closes() {
    let grammar = compile(&Source::JsonObject).unwrap();
    let mut matcher = grammar.matcher();
    follow(&mut matcher, "{\"a\": [1, null]").unwrap();
    assert!(!matcher.is_complete() && !matcher.is_over());
    let mut other = matcher.clone();
    follow(&mut matcher, "}").unwrap();
    assert!(matcher.is_complete() && matcher.is_over());
    assert_eq!(matcher.mask().unwrap().count(), 0);
    assert!(matches!(follow(&mut other, "]"), Err(Error::Token { .. })));
    assert!(!fits(&Source::JsonObject, "[1]"));
}

#[test]
fn patterns_choices_and_lark_hold() {
    let regex = Source::Regex("[a-c]{2,3}".to_string());
    assert!(fits(&regex, "ab") && fits(&regex, "abc") && !fits(&regex, "a") && !fits(&regex, "abd"));
    let choice = Source::Choice(vec!["yes".to_string(), "yes, but".to_string()]);
    assert!(fits(&choice, "yes") && fits(&choice, "yes, but") && !fits(&choice, "yes, "));
    let lark = Source::Lark("start: \"(\" start? \")\"".to_string());
    assert!(fits(&lark, "(())") && !fits(&lark, "(()"));
    assert!(matches!(compile(&Source::Regex("(?=a)b".to_string())), Err(Error::Syntax { .. })));
    assert!(matches!(compile(&Source::Choice(Vec::new())), Err(Error::Syntax { .. })));
    assert!(matches!(compile(&Source::Lark("start: <|end|>".to_string())), Err(Error::Syntax { .. })));
}

#[test]
fn only_headers_let_special_tokens_through() {
    let vocabulary = vocabulary();
    let channel = vocabulary.special_id("<|channel|>").unwrap();
    let message = vocabulary.special_id("<|message|>").unwrap();
    let mut header =
        compile(&Source::Header("start: <|channel|> \"final\" <|message|>".to_string())).unwrap().matcher();
    assert!(header.mask().unwrap().allows(channel));
    assert_eq!(header.forced().first(), Some(&channel));
    header.push(channel).unwrap();
    follow(&mut header, "final").unwrap();
    header.push(message).unwrap();
    assert!(header.is_over());
    // Even a pattern of any bytes gives none.
    let mut text = compile(&Source::Regex("(?s:.*)".to_string())).unwrap().matcher();
    let mask = text.mask().unwrap();
    assert!(mask.count() > 1_000 && mask.ids().all(|id| vocabulary.special_name(id).is_none()));
}

#[test]
fn forced_tokens_are_those_of_the_tokenizer() {
    let source = Source::Choice(vec!["The answer is forty-two.".to_string()]);
    let mut matcher = compile(&source).unwrap().matcher();
    let mut tokens = Vec::new();
    while !matcher.is_over() {
        let mut next = matcher.forced();
        if next.is_empty() {
            next.extend(matcher.mask().unwrap().ids().next());
        }
        for id in next {
            matcher.push(id).unwrap();
            tokens.push(id);
        }
    }
    assert_eq!(tokens, vocabulary().encode("The answer is forty-two."));
}
