//! The same messages, for what is well-formed in both modes and for what is not wherever the library gives an answer.

use harmony::{Collector, Event, Message, Parser, Role, Strictness, Vocabulary};
use openai_harmony::{HarmonyEncoding, ParseOptions, chat};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::conversations::text;
use crate::library::{cases, with_library};

fn ours(strictness: Strictness, role: Option<Role>, tokens: &[u32]) -> Vec<Message> {
    let mut parser = Parser::new(&Vocabulary::o200k_harmony(), role).unwrap().with_strictness(strictness);
    let mut events: Vec<Event> = Vec::new();
    tokens.iter().for_each(|&token| parser.push(token, &mut events));
    parser.finish(&mut events);
    let mut collector = Collector::default();
    events.into_iter().for_each(|event| collector.push(event));
    collector.into_messages().into_iter().map(|parsed| parsed.message).collect()
}

/// The library's messages in our types, if it has an answer.
fn theirs(library: &HarmonyEncoding, role: Option<Role>, tokens: &[u32], strict: bool) -> Option<Vec<Message>> {
    let role = role.map(|role| chat::Role::try_from(role.as_str()).unwrap());
    let tokens = tokens.iter().copied();
    let parsed = library.parse_messages_from_completion_tokens_with_options(tokens, role, ParseOptions { strict });
    let json = serde_json::to_value(parsed.ok()?).unwrap();
    Some(serde_json::from_value(json).unwrap())
}

/// A turn as the model should write it, with the recipient in either place.
fn turn() -> impl Strategy<Value = String> {
    let channel = prop::sample::select(vec!["analysis", "commentary", "final"]);
    let recipient = prop::option::of("[a-z]{1,8}(\\.[a-z_-]{1,8})?");
    let kind =
        prop::option::of(prop::sample::select(vec![" <|constrain|>json", "<|constrain|>json", " json", " code"]));
    let end = prop::sample::select(vec!["<|end|>", "<|call|>", "<|return|>"]);
    let message = (channel, recipient, any::<bool>(), kind, text(), end);
    let message = message.prop_map(|(channel, recipient, early, kind, text, end)| {
        let to = recipient.as_ref().map_or(String::new(), |recipient| format!(" to={recipient}"));
        let (before, behind) = if early { (to.as_str(), "") } else { ("", to.as_str()) };
        // Without a recipient the library reads a content type as one.
        let kind = kind.filter(|_| recipient.is_some()).unwrap_or_default();
        (format!("{before}<|channel|>{channel}{behind}{kind}<|message|>"), text, end)
    });
    prop::collection::vec(message, 1..5).prop_map(|messages| {
        let messages =
            messages.into_iter().map(|(header, text, end)| format!("{header}{}{end}", text.replace("<|", "< |")));
        messages.collect::<Vec<_>>().join("<|start|>assistant")
    })
}

#[test]
fn well_formed_turns_are_parsed_alike() {
    with_library("parse::well_formed_turns_are_parsed_alike", |library| {
        let vocabulary = Vocabulary::o200k_harmony();
        let property = |turn: String| {
            let tokens = vocabulary.encode_with_specials(&turn);
            let expected = theirs(library, Some(Role::Assistant), &tokens, true);
            prop_assert!(expected.is_some(), "the library can not read {}", turn);
            let expected = expected.unwrap();
            prop_assert_eq!(&ours(Strictness::Tolerant, Some(Role::Assistant), &tokens), &expected);
            prop_assert_eq!(&ours(Strictness::Library, Some(Role::Assistant), &tokens), &expected);
            let whole = [vocabulary.encode_with_specials("<|start|>assistant"), tokens].concat();
            prop_assert_eq!(&ours(Strictness::Tolerant, None, &whole), &expected);
            Ok(())
        };
        TestRunner::new(cases(1500)).run(&turn(), property).unwrap();
    });
}

/// Structure at random, with words between.
fn disorder() -> impl Strategy<Value = Vec<u32>> {
    let part = prop::sample::select(vec![
        "<|channel|>",
        "<|message|>",
        "<|message|>",
        "<|end|>",
        "<|call|>",
        "<|return|>",
        "<|constrain|>",
        "<|end|><|start|>assistant<|channel|>",
        "final",
        "analysis",
        "commentary",
        "assistant",
        " to=f",
        "to=g",
        " json",
        " ",
        "\n",
        "é",
        "🤷",
        "x",
        "<|reserved_200013|>",
        "<|endoftext|>",
    ]);
    let byte = (0u32..256).prop_map(|id| vec![id]);
    let part =
        prop_oneof![9 => part.prop_map(|part| Vocabulary::o200k_harmony().encode_with_specials(part)), 1 => byte];
    let begin = prop::sample::select(vec![
        "<|channel|>final<|message|>",
        "<|channel|>final<|message|>",
        "<|channel|>final ",
        "",
    ]);
    (begin, prop::collection::vec(part, 0..24))
        .prop_map(|(begin, parts)| [Vocabulary::o200k_harmony().encode_with_specials(begin), parts.concat()].concat())
}

/// Whether the library gives an answer of which nothing is to be learnt: within a header it reads control tokens as
/// words, and a header after the first that ends without `<|message|>` it throws away with all that it says.
fn answers_oddly(tokens: &[u32]) -> bool {
    let mut in_header = true;
    let mut first = true;
    tokens.iter().any(|&token| {
        let ends = matches!(token, 200_002 | 200_007 | 200_012);
        let odd = in_header && (matches!(token, 199_999 | 200_006 | 200_013) || (ends && !first));
        first &= !ends;
        in_header = (in_header || token == 200_006) && token != 200_008 && !ends;
        odd
    })
}

#[test]
fn disorder_is_parsed_alike_where_the_library_has_an_answer() {
    with_library("parse::disorder_is_parsed_alike_where_the_library_has_an_answer", |library| {
        let answers = std::cell::Cell::new(0);
        let property = |tokens: Vec<u32>| {
            let expected = theirs(library, Some(Role::Assistant), &tokens, false);
            if let Some(expected) = expected.filter(|_| !answers_oddly(&tokens)) {
                answers.set(answers.get() + 1);
                prop_assert_eq!(ours(Strictness::Library, Some(Role::Assistant), &tokens), expected);
            }
            Ok(())
        };
        TestRunner::new(cases(6000)).run(&disorder(), property).unwrap();
        assert!(answers.get() > 300, "the library answered only {} times", answers.get());
    });
}
