//! What the model learns of a conversation: exactly what it writes itself, behind exactly what it sees.

use corpus::{Document, DocumentRenderer, Item, Mixture, Skill, Split, Stream};
use harmony::{Conversation, Message, ReasoningEffort, Renderer, Role, Vocabulary};

/// What is learnt between ⟦ and ⟧, the rest as it stands.
fn marked(conversation: Conversation) -> String {
    let vocabulary = Vocabulary::o200k_harmony();
    let item = Item { skill: Skill::Chat, effort: ReasoningEffort::Low, conversation, checks: Vec::new() };
    let Document { ids, learns } = DocumentRenderer::new(&vocabulary).unwrap().document(&item).unwrap();
    assert_eq!(ids.len(), learns.len());
    let mut text = String::new();
    let mut before = false;
    for (id, learns) in ids.into_iter().zip(learns) {
        if learns != before {
            text.push(if learns { '⟦' } else { '⟧' });
        }
        text.push_str(&vocabulary.decode(&[id]));
        before = learns;
    }
    text + if before { "⟧" } else { "" }
}

fn call(tool: &str, channel: &str, kind: &str, text: &str) -> Message {
    Message::new(Role::Assistant, text).with_channel(channel).with_recipient(tool).with_content_type(kind)
}

#[test]
fn an_answer_behind_a_thought_is_begun_by_the_model_itself() {
    let conversation =
        Conversation::default().with_user("Hi").with_assistant("analysis", "Greet.").with_assistant("final", "Hello!");
    assert_eq!(
        marked(conversation),
        "<|start|>user<|message|>Hi<|end|><|start|>assistant⟦<|channel|>analysis<|message|>Greet.<|end|>\
         <|start|>assistant<|channel|>final<|message|>Hello!<|return|>⟧"
    );
}

#[test]
fn behind_a_result_the_server_begins() {
    let conversation = Conversation::default()
        .with_user("2+2?")
        .with_assistant("analysis", "Compute.")
        .with_message(call("python", "analysis", "code", "2+2"))
        .with_message(Message::tool_result("python", "analysis", "4"))
        .with_assistant("final", "4");
    assert_eq!(
        marked(conversation),
        "<|start|>user<|message|>2+2?<|end|><|start|>assistant⟦<|channel|>analysis<|message|>Compute.<|end|>\
         <|start|>assistant to=python<|channel|>analysis code<|message|>2+2<|call|>⟧\
         <|start|>python to=assistant<|channel|>analysis<|message|>4<|end|>\
         <|start|>assistant⟦<|channel|>final<|message|>4<|return|>⟧"
    );
}

#[test]
fn a_turn_may_end_in_a_call() {
    let conversation = Conversation::default()
        .with_user("Light!")
        .with_assistant("commentary", "One moment.")
        .with_message(call("functions.lamp", "commentary", "<|constrain|>json", "{}"));
    assert_eq!(
        marked(conversation),
        "<|start|>user<|message|>Light!<|end|><|start|>assistant⟦<|channel|>commentary<|message|>One moment.<|end|>\
         <|start|>assistant to=functions.lamp<|channel|>commentary <|constrain|>json<|message|>{}<|call|>⟧"
    );
}

#[test]
fn earlier_turns_are_not_learnt_and_their_thoughts_are_gone() {
    let conversation = Conversation::default()
        .with_user("My name is Ann.")
        .with_assistant("analysis", "A name.")
        .with_assistant("final", "Hello Ann.")
        .with_user("Who am I?")
        .with_assistant("analysis", "Ann.")
        .with_assistant("final", "You are Ann.");
    assert_eq!(
        marked(conversation),
        "<|start|>user<|message|>My name is Ann.<|end|><|start|>assistant<|channel|>final<|message|>Hello Ann.<|end|>\
         <|start|>user<|message|>Who am I?<|end|><|start|>assistant⟦<|channel|>analysis<|message|>Ann.<|end|>\
         <|start|>assistant<|channel|>final<|message|>You are Ann.<|return|>⟧"
    );
}

#[test]
fn a_document_is_what_inference_sees_before_each_piece_that_it_writes() {
    let vocabulary = Vocabulary::o200k_harmony();
    let renderer = Renderer::new(&vocabulary).unwrap();
    let documents = DocumentRenderer::new(&vocabulary).unwrap();
    let stream = Stream::new(5, Split::Train, Mixture::default());
    for index in 0..200 {
        let item = stream.item(index);
        let Document { ids, learns } = documents.document(&item).unwrap();
        let messages = &item.conversation.messages;
        for (place, message) in messages.iter().enumerate().skip(1) {
            // The places where whoever runs the model renders and lets it go on: after the question and after results.
            let last_question = messages[place..].iter().all(|message| message.author.role != Role::User);
            let asked = matches!(messages[place - 1].author.role, Role::User | Role::Tool);
            if !(last_question && asked && message.author.role == Role::Assistant) {
                continue;
            }
            let seen = Conversation::from(messages[..place].to_vec());
            let prompt = renderer.render_for_completion(&seen, Role::Assistant).unwrap();
            assert_eq!(ids[..prompt.len()], prompt, "{item:?}");
            assert!(!learns[prompt.len() - 1] && learns[prompt.len()], "{item:?}");
        }
        assert!(!learns[0] && learns[learns.len() - 1], "{item:?}");
    }
}
