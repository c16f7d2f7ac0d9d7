//! The same rendering of any conversation, in the mode that follows the library.

use harmony::{AnalysisPolicy, Conversation, RenderOptions, Renderer, Role, Vocabulary};
use openai_harmony::chat;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::conversations::conversation;
use crate::library::{cases, with_library};

#[test]
fn conversations_are_rendered_alike() {
    with_library("render::conversations_are_rendered_alike", |library| {
        let vocabulary = Vocabulary::o200k_harmony();
        let renderer = Renderer::new(&vocabulary).unwrap();
        let property = |(json, drops): (serde_json::Value, bool)| {
            let ours: Conversation = serde_json::from_value(json.clone()).unwrap();
            let theirs: chat::Conversation = serde_json::from_value(json).unwrap();
            let analysis = if drops { AnalysisPolicy::BeforeFirstFinal } else { AnalysisPolicy::Keep };
            let renderer = renderer.clone().with_options(RenderOptions { analysis, ..RenderOptions::LIBRARY });
            // The library does not export the type of this option; its default drops, and without it nothing is dropped.
            let default = Default::default();
            let option = drops.then_some(&default);
            let messages = || theirs.messages.iter();
            let rendered = renderer.render_conversation(&ours).unwrap();
            let expected = library.render_conversation(messages(), option).unwrap();
            prop_assert_eq!(vocabulary.decode(&rendered), vocabulary.decode(&expected));
            prop_assert_eq!(rendered, expected);
            prop_assert_eq!(
                renderer.render_for_completion(&ours, Role::Assistant).unwrap(),
                library.render_conversation_for_completion(messages(), chat::Role::Assistant, option).unwrap()
            );
            prop_assert_eq!(
                renderer.render_for_training(&ours).unwrap(),
                library.render_conversation_for_training(messages(), option).unwrap()
            );
            Ok(())
        };
        TestRunner::new(cases(1500)).run(&(conversation(), any::<bool>()), property).unwrap();
    });
}
