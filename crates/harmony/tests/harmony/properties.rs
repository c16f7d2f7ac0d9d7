//! Any tokens parse; what is rendered parses back; deltas are the content.

use harmony::{
    AnalysisPolicy, Collector, Conversation, Event, Message, ParsedMessage, Parser, RenderOptions, Renderer, Role,
    SchemaRendering, Strictness, Terminator, Vocabulary, parse_all,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::vocabulary::hostile_text;

/// Tokens of any kind, mostly those that make up the structure.
fn tokens() -> impl Strategy<Value = Vec<u32>> {
    let word = prop::sample::select(vec![
        "assistant",
        "user",
        "final",
        "analysis",
        "commentary",
        " to=",
        "to=functions.f",
        " json",
        "code",
        " ",
        "\n",
        "é",
        "{",
        "tool",
        ":",
        "system",
        "robot",
        "\u{0}",
        "\u{7f}",
    ])
    .prop_map(|word| Vocabulary::o200k_harmony().encode(word));
    let token = prop_oneof![
        6 => prop::sample::select(vec![200_002, 200_003, 200_005, 200_006, 200_007, 200_008, 200_012]).prop_map(|id| vec![id]),
        4 => word,
        1 => (199_998u32..201_100).prop_map(|id| vec![id]),
        1 => (0u32..199_998).prop_map(|id| vec![id]),
        1 => (0u32..256).prop_map(|id| vec![id]),
        1 => any::<u32>().prop_map(|id| vec![id]),
    ];
    prop::collection::vec(token, 0..80).prop_map(|tokens| tokens.concat())
}

fn role() -> impl Strategy<Value = Option<Role>> {
    prop::sample::select(vec![
        None,
        Some(Role::Assistant),
        Some(Role::Tool),
        Some(Role::User),
        Some(Role::System),
        Some(Role::Developer),
    ])
}

/// Started, deltas, ended; no delta empty. Returns the messages put together independently of the collector.
pub(crate) fn check_well_formed(events: &[Event]) -> Vec<(Option<String>, String, Terminator)> {
    let mut messages = Vec::new();
    let mut open: Option<(Option<String>, String)> = None;
    for event in events {
        match event {
            Event::MessageStarted(header) => {
                assert!(open.is_none(), "a message started within a message");
                for word in [&header.author.name, &header.channel, &header.recipient].into_iter().flatten() {
                    assert!(
                        !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c.is_control()),
                        "{word:?}"
                    );
                }
                open = Some((header.channel.clone(), String::new()));
            }
            Event::TextDelta(delta) => {
                assert!(!delta.is_empty());
                open.as_mut().expect("a delta within a message").1.push_str(delta);
            }
            Event::MessageEnded(terminator) => {
                let (channel, text) = open.take().expect("an end of a message");
                messages.push((channel, text, *terminator));
            }
        }
    }
    assert!(open.is_none(), "a message is still open after the end");
    messages
}

pub(crate) fn events(role: Option<Role>, strictness: Strictness, tokens: &[u32]) -> Vec<Event> {
    let mut parser = Parser::new(&Vocabulary::o200k_harmony(), role).unwrap().with_strictness(strictness);
    let mut events = Vec::new();
    tokens.iter().for_each(|&token| parser.push(token, &mut events));
    parser.finish(&mut events);
    assert!(parser.is_between_messages());
    events
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(20), ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn any_tokens_give_well_formed_events(role in role(), tokens in tokens()) {
        for strictness in [Strictness::Tolerant, Strictness::Library] {
            let events = events(role, strictness, &tokens);
            if strictness == Strictness::Tolerant {
                let messages = check_well_formed(&events);
                let mut collector = Collector::default();
                events.into_iter().for_each(|event| collector.push(event));
                let collected = collector.messages().iter().map(|parsed: &ParsedMessage| {
                    (parsed.message.channel.clone(), parsed.message.text(), parsed.terminator)
                });
                prop_assert_eq!(collected.collect::<Vec<_>>(), messages);
            }
        }
    }

    /// A server must be able to put into the next prompt whatever the model said in the last turn.
    #[test]
    fn what_is_parsed_can_be_rendered_and_parses_to_the_same(role in role(), tokens in tokens()) {
        let vocabulary = Vocabulary::o200k_harmony();
        let mut messages = messages(role, &tokens);
        // A tool's message whose name was forgotten can not be written down: whoever put the tool there knows its name.
        for message in messages.iter_mut().filter(|message| message.author.role == Role::Tool) {
            message.author.name.get_or_insert_with(|| "t".to_owned());
        }
        let rendered = renderer(AnalysisPolicy::Keep).render_conversation(&Conversation::from(messages.clone()));
        let again = parse_all(&vocabulary, None, &rendered.unwrap()).unwrap();
        prop_assert_eq!(again.len(), messages.len());
        for (again, message) in again.iter().zip(&messages) {
            prop_assert_eq!(again.message.text(), message.text());
        }
    }

    #[test]
    fn what_is_rendered_parses_back(messages in prop::collection::vec(message(), 0..6)) {
        let rendered = renderer(AnalysisPolicy::Keep).render_conversation(&Conversation::from(messages.clone())).unwrap();
        prop_assert_eq!(self::messages(None, &rendered), messages);
    }
}

fn renderer(analysis: AnalysisPolicy) -> Renderer {
    let options = RenderOptions { analysis, schemas: SchemaRendering::Resolved };
    Renderer::new(&Vocabulary::o200k_harmony()).unwrap().with_options(options)
}

fn messages(role: Option<Role>, tokens: &[u32]) -> Vec<Message> {
    let parsed = parse_all(&Vocabulary::o200k_harmony(), role, tokens).unwrap();
    parsed.into_iter().map(|parsed| parsed.message).collect()
}

/// A message as well-behaved clients and models write it, with any text in it.
fn message() -> impl Strategy<Value = Message> {
    let word = "[a-z][a-z0-9_.-]{0,12}";
    let name = prop::option::of(word);
    let recipient = prop::option::of(word.prop_filter("all is nobody", |word| word != "all"));
    let channel = prop::option::of(prop::sample::select(vec!["analysis", "commentary", "final", "own-channel"]));
    let content_type =
        prop::option::of(prop::sample::select(vec!["<|constrain|>json", "json", "code", "<|constrain|>x"]));
    let author = prop::sample::select(vec![Role::User, Role::Assistant, Role::Developer, Role::System, Role::Tool]);
    (author, name, recipient, channel, content_type, hostile_text()).prop_map(
        |(role, name, recipient, channel, content_type, text)| {
            let mut message = Message::new(role, text);
            message.author.name = match role {
                Role::Tool => Some(format!("functions.{}", name.unwrap_or_default())),
                Role::User | Role::Assistant | Role::Developer | Role::System => name,
            };
            message.recipient = recipient;
            message.channel = channel.map(str::to_owned);
            message.content_type = content_type.map(str::to_owned);
            message
        },
    )
}
