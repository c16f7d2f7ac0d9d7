//! What the parser makes of tokens that are not well-formed: each line is a decision.

use harmony::{
    Collector, Event, HEADER_FIELD_BYTES_MAX, HEADER_TOKENS_MAX, Parser, Role, Strictness, Terminator, Vocabulary,
    parse_all,
};

use crate::golden::{Parse, goldens, parse};

/// A message in short: `author|recipient|channel|content type|text|terminator`.
fn parsed(role: Option<Role>, tokens: &[u32]) -> Vec<String> {
    let parsed = parse_all(&Vocabulary::o200k_harmony(), role, tokens).unwrap();
    let short = parsed.into_iter().map(|parsed| {
        let message = parsed.message;
        let text = message.text();
        let name = message.author.name.map_or(String::new(), |name| format!(":{name}"));
        let or_dash = |field: Option<String>| field.unwrap_or_else(|| "-".to_owned());
        format!(
            "{}{name}|{}|{}|{}|{text}|{:?}",
            message.author.role,
            or_dash(message.recipient),
            or_dash(message.channel),
            or_dash(message.content_type),
            parsed.terminator,
        )
    });
    short.collect()
}

/// What follows `<|start|>assistant` → the messages.
const TURNS: &[(&str, &[&str])] = &[
    // Repeated, missing and misplaced tokens between messages.
    ("<|channel|>final<|message|>x<|end|><|end|><|return|>", &["assistant|-|final|-|x|End"]),
    (
        "<|channel|>analysis<|message|>t<|end|>assistant<|channel|>final<|message|>x<|return|>",
        &["assistant|-|analysis|-|t|End", "assistant|-|final|-|x|Return"],
    ),
    (
        "<|channel|>analysis<|message|>t<|end|><|channel|>final<|message|>x<|return|>",
        &["assistant|-|analysis|-|t|End", "assistant|-|final|-|x|Return"],
    ),
    ("<|channel|>final<|message|>x<|end|>junk", &["assistant|-|final|-|x|End", "assistant|-|-|-|junk|EndOfStream"]),
    ("<|channel|>analysis<|message|>t<|end|><|start|>", &["assistant|-|analysis|-|t|End"]),
    (
        "<|channel|>analysis<|message|>t<|end|><|start|><|start|>assistant<|message|>x<|end|>",
        &["assistant|-|analysis|-|t|End", "assistant|-|-|-|x|End"],
    ),
    (
        "<|channel|>analysis<|message|>t<|end|><|start|><|channel|>final<|message|>x<|end|>",
        &["assistant|-|analysis|-|t|End", "assistant|-|final|-|x|End"],
    ),
    ("", &[]),
    ("<|return|>", &[]),
    // Control tokens within the content are structure, never text.
    (
        "<|channel|>analysis<|message|>t<|start|>assistant<|channel|>final<|message|>x<|return|>",
        &["assistant|-|analysis|-|t|Implied", "assistant|-|final|-|x|Return"],
    ),
    (
        "<|channel|>analysis<|message|>t<|channel|>final<|message|>x<|return|>",
        &["assistant|-|analysis|-|t|Implied", "assistant|-|final|-|x|Return"],
    ),
    (
        "<|channel|>final<|message|><|message|>x<|constrain|>y<|reserved_200013|>z<|endoftext|>",
        &["assistant|-|final|-|xyz|EndOfText"],
    ),
    // No <|message|>: what does not read as header is content.
    ("<|channel|>final Hello  there<|return|>", &["assistant|-|final|-|Hello  there|Return"]),
    (
        "<|channel|>commentary to=functions.f {\"a\": 1}<|call|>",
        &["assistant|functions.f|commentary|-|{\"a\": 1}|Call"],
    ),
    ("<|channel|>commentary to=functions.f json {}<|call|>", &["assistant|functions.f|commentary|json|{}|Call"]),
    (
        "<|channel|>commentary to=functions.f <|constrain|>json{\"a\":1}<|call|>",
        &["assistant|functions.f|commentary|<|constrain|>json|{\"a\":1}|Call"],
    ),
    (" to=functions.f<|channel|>commentary<|call|>", &["assistant|functions.f|commentary|-||Call"]),
    ("Hello.<|return|>", &["assistant|-|-|-|Hello.|Return"]),
    (
        "<|channel|>analysis Thinking.<|start|>assistant<|channel|>final<|message|>x<|return|>",
        &["assistant|-|analysis|-|Thinking.|Implied", "assistant|-|final|-|x|Return"],
    ),
    // Cut off within the header: only content makes a message, half a name is no name.
    ("<|channel|>final", &[]),
    ("<|channel|>commentary to=functions.get", &[]),
    ("<|channel|>final Hel", &["assistant|-|final|-|Hel|EndOfStream"]),
    // Header words.
    ("<|channel|>commentary to=a b c d<|message|>x<|call|>", &["assistant|a|commentary|b c d|x|Call"]),
    (" to=a<|channel|>commentary to=b json<|message|>x<|call|>", &["assistant|b|commentary|json|x|Call"]),
    ("<|channel|>commentary to= functions.f<|message|>x<|call|>", &["assistant|functions.f|commentary|-|x|Call"]),
    ("<|channel|>commentaryto=functions.f<|message|>x<|call|>", &["assistant|functions.f|commentary|-|x|Call"]),
    ("<|channel|>commentary functions.f json<|message|>x<|call|>", &["assistant|functions.f|commentary|json|x|Call"]),
    ("<|channel|>commentary json<|message|>x<|end|>", &["assistant|-|commentary|json|x|End"]),
    ("<|channel|>final <|constrain|>json<|message|>{}<|return|>", &["assistant|-|final|<|constrain|>json|{}|Return"]),
    ("<|channel|>final shopping list<|message|>{}<|return|>", &["assistant|-|final|shopping list|{}|Return"]),
    ("<|channel|><|message|>x<|return|>", &["assistant|-|-|-|x|Return"]),
    ("<|channel|> to=python code<|message|>x<|call|>", &["assistant|python|-|code|x|Call"]),
    // The channel leaks into the tool's name: the marker is a token, so it can not.
    (
        "<|channel|>commentary to=functions.create_event<|channel|>analysis<|message|>{}<|call|>",
        &["assistant|functions.create_event|analysis|-|{}|Call"],
    ),
    (
        "<|channel|>commentary to=functions.web-browsing json extra<|message|>{}<|call|>",
        &["assistant|functions.web-browsing|commentary|json extra|{}|Call"],
    ),
    ("<|channel|>final\u{1}\u{0}<|message|>x<|return|>", &["assistant|-|final|-|x|Return"]),
];

/// Whole conversations → the messages.
const CONVERSATIONS: &[(&str, &[&str])] = &[
    ("<|start|>user:alice<|message|>x<|end|>", &["user:alice|-|-|-|x|End"]),
    ("<|start|>robot<|message|>x<|end|>", &["tool:robot|-|-|-|x|End"]),
    ("<|start|>assistantfinal<|message|>x<|end|>", &["assistant|-|final|-|x|End"]),
    ("<|start|>functions.f<|channel|>commentary<|message|>x<|end|>", &["tool:functions.f|-|commentary|-|x|End"]),
    ("hello", &["assistant|-|-|-|hello|EndOfStream"]),
    ("<|end|><|start|>user<|message|>x<|end|>", &["user|-|-|-|x|End"]),
];

#[test]
fn a_tool_is_never_named_like_a_role() {
    let vocabulary = Vocabulary::o200k_harmony();
    let tokens = vocabulary.encode_with_specials("tool:assistant to<|start|>");
    let mut parser = Parser::new(&vocabulary, Some(Role::Tool)).unwrap();
    let mut events = Vec::new();
    tokens.into_iter().for_each(|token| parser.push(token, &mut events));
    parser.finish(&mut events);
    let mut collector = Collector::default();
    events.into_iter().for_each(|event| collector.push(event));
    let names: Vec<_> = collector.messages().iter().map(|parsed| parsed.message.author.name.as_deref()).collect();
    assert_eq!(names, [Some("tool:assistant")]);
}

#[test]
fn text_without_a_header_is_streamed_while_it_comes() {
    let vocabulary = Vocabulary::o200k_harmony();
    let mut parser = Parser::new(&vocabulary, Some(Role::Assistant)).unwrap();
    let mut events = Vec::new();
    let text = "Once upon a time there was a model that had forgotten its header and went on and on all the same.";
    for (index, token) in vocabulary.encode(text).into_iter().enumerate() {
        parser.push(token, &mut events);
        assert!(index < 16 || !events.is_empty(), "nothing is shown after {index} tokens");
    }
    parser.finish(&mut events);
    let mut collector = Collector::default();
    events.into_iter().for_each(|event| collector.push(event));
    assert_eq!(collector.messages().len(), 1);
    assert_eq!(collector.messages()[0].message.text(), text);
}

#[test]
fn turns_that_are_not_well_formed() {
    let vocabulary = Vocabulary::o200k_harmony();
    for (text, expected) in TURNS {
        assert_eq!(parsed(Some(Role::Assistant), &vocabulary.encode_with_specials(text)), *expected, "{text}");
    }
}

#[test]
fn conversations_that_are_not_well_formed() {
    let vocabulary = Vocabulary::o200k_harmony();
    for (text, expected) in CONVERSATIONS {
        assert_eq!(parsed(None, &vocabulary.encode_with_specials(text)), *expected, "{text}");
    }
}

/// The golden cases at which the official library fails, and what we read instead.
const LIBRARY_FAILS: [(&str, &[&str]); 10] = [
    ("cut off in header: error", &[]),
    ("cut off after start", &["assistant|-|analysis|-|x|End"]),
    ("empty", &[]),
    ("text after stop: error", &["assistant|-|final|-|x|End", "assistant|-|-|-|junk|EndOfStream"]),
    ("empty channel: error", &["assistant|-|-|-|x|Return"]),
    ("too many header words: error", &["assistant|a|commentary|b c d|x|Return"]),
    ("missing message token, strict: error", &["assistant|-|final|-|Hello|Return"]),
    ("unknown role: error", &["tool:robot|-|-|-|x|End"]),
    ("role tool given", &["tool:functions.f|assistant|commentary|-|1|End"]),
    ("first token not start, role unknown: error", &["assistant|-|-|-|hello|EndOfStream"]),
];

#[test]
fn where_the_library_fails_there_is_a_reading() {
    let vocabulary = Vocabulary::o200k_harmony();
    let failing: Vec<Parse> = goldens().parse.into_iter().filter(|case| case.messages.is_none()).collect();
    assert_eq!(failing.len(), LIBRARY_FAILS.len());
    for (case, (name, expected)) in failing.iter().zip(LIBRARY_FAILS) {
        assert_eq!(case.name, name);
        assert_eq!(parsed(case.role, &case.tokens), expected, "{name}");
        // The mode that follows the library has nothing to follow here.
        assert_eq!(parse(&vocabulary, case, Strictness::Library).len(), expected.len(), "{name}");
    }
}

#[test]
fn a_header_without_end_is_streamed_as_content() {
    let vocabulary = Vocabulary::o200k_harmony();
    let word = vocabulary.encode(" word");
    assert_eq!(word.len(), 1);
    let mut parser = Parser::new(&vocabulary, Some(Role::Assistant)).unwrap();
    let mut events = Vec::new();
    vocabulary.encode_with_specials("<|channel|>final").into_iter().for_each(|token| parser.push(token, &mut events));
    let words = HEADER_TOKENS_MAX + 10;
    (0..words).for_each(|_| parser.push(word[0], &mut events));
    // All but the last few words came before the stream ended.
    assert!(parser.is_in_content());
    let mut collector = Collector::default();
    events.drain(..).for_each(|event| collector.push(event));
    let (header, text) = collector.open().unwrap();
    assert_eq!(header.channel.as_deref(), Some("final"));
    assert_eq!(text, " word".repeat(words).trim_start());
    parser.finish(&mut events);
    assert_eq!(events, [Event::MessageEnded(Terminator::EndOfStream)]);
}

/// A stream of nothing but markers says nothing and fills no memory.
#[test]
fn markers_without_words_are_not_kept() {
    let vocabulary = Vocabulary::o200k_harmony();
    let channel = vocabulary.harmony_ids().unwrap().channel;
    let mut parser = Parser::new(&vocabulary, Some(Role::Assistant)).unwrap();
    let mut events = Vec::new();
    (0..1000).for_each(|_| parser.push(channel, &mut events));
    let size = format!("{parser:?}").len();
    (0..1000).for_each(|_| parser.push(channel, &mut events));
    assert_eq!(format!("{parser:?}").len(), size);
    // What comes after them is read.
    vocabulary
        .encode_with_specials("final<|message|>x<|end|>")
        .into_iter()
        .for_each(|token| parser.push(token, &mut events));
    assert_eq!(events.len(), 3);
    assert!(matches!(&events[0], Event::MessageStarted(header) if header.channel.as_deref() == Some("final")));
}

/// A name that nobody can have declared is cut, so that it can be written down again.
#[test]
fn long_fields_are_cut() {
    let vocabulary = Vocabulary::o200k_harmony();
    let longest = "n".repeat(HEADER_FIELD_BYTES_MAX);
    let shorter = longest[1..].to_owned();
    let names =
        [(longest.clone(), longest.clone()), (format!("{longest}n"), longest), (format!("{shorter}é"), shorter)];
    for (name, read) in names {
        let text = format!(" to={name}<|channel|>{name}<|constrain|>{name}<|message|>x<|call|>");
        let kind = format!("<|constrain|>{}", &name[..HEADER_FIELD_BYTES_MAX - "<|constrain|>".len()]);
        let expected = format!("assistant|{read}|{read}|{kind}|x|Call");
        assert_eq!(parsed(Some(Role::Assistant), &vocabulary.encode_with_specials(&text)), [expected]);
    }
}

#[test]
fn ids_outside_the_vocabulary_are_replacement_characters() {
    let mut tokens = Vocabulary::o200k_harmony().encode_with_specials("<|channel|>final<|message|>a");
    tokens.splice(0..0, [u32::MAX]);
    tokens.extend([201_088, u32::MAX]);
    assert_eq!(parsed(Some(Role::Assistant), &tokens), ["assistant|-|final|-|a\u{FFFD}\u{FFFD}|EndOfStream"]);
}
