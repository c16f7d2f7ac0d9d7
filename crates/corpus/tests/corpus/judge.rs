//! Verdicts: the corpus' own turns are right, and each way to be wrong is found.

use corpus::{
    Check, Document, DocumentRenderer, Item, Judge, Mixture, Skill, Split, Stream, Verdict, is_well_formed,
    results_of_last_call,
};
use harmony::{
    Conversation, DeveloperContent, Message, ParsedMessage, ReasoningEffort, Role, SystemContent, ToolDescription,
    ToolNamespace, Vocabulary, parse_all,
};
use serde_json::json;

const PAGE: &str =
    "[0] Manual (manual.md)\n**viewing lines [0 - 1] of 1**\n\nL0: Models live in\nL1: the folder torvik.";

fn item(conversation: Conversation, checks: Vec<Check>) -> Item {
    Item { skill: Skill::Manual, effort: ReasoningEffort::Low, conversation, checks }
}

fn call(tool: &str, channel: &str, kind: &str, text: &str) -> Message {
    Message::new(Role::Assistant, text).with_channel(channel).with_recipient(tool).with_content_type(kind)
}

/// A question to the manual with a page as the answer.
fn manual(checks: Vec<Check>) -> Item {
    let conversation = Conversation::default()
        .with_system(SystemContent::default().with_tools(ToolNamespace::browser()).with_tools(ToolNamespace::python()))
        .with_user("Where?")
        .with_message(call("browser.search", "analysis", "code", r#"{"query": "models", "topn": 1}"#))
        .with_message(Message::tool_result("browser.search", "analysis", PAGE))
        .with_assistant("final", "In torvik【0†L0-L1】.");
    item(conversation, checks)
}

/// A wish for one call of a function.
fn lamp() -> Item {
    let schema = json!({"type": "object", "properties": {"room": {"type": "string"}}, "required": ["room"]});
    let tool = |name: &str, parameters| ToolDescription {
        name: name.to_owned(),
        description: "Does it.".to_owned(),
        parameters,
    };
    let functions = vec![tool("set_lamp", Some(schema)), tool("stop", None)];
    let conversation = Conversation::default()
        .with_developer(DeveloperContent::default().with_functions(functions))
        .with_user("Light the hall.")
        .with_message(call("functions.set_lamp", "commentary", "<|constrain|>json", r#"{"room": "hall"}"#));
    item(conversation, vec![Check::SameCalls])
}

/// What a model wrote, in pieces between the results of tools.
fn verdict(item: &Item, pieces: &[&str]) -> Verdict {
    let vocabulary = Vocabulary::o200k_harmony();
    let (mut messages, mut malformed) = (Vec::new(), false);
    for piece in pieces {
        let tokens = vocabulary.encode_with_specials(piece);
        malformed |= !is_well_formed(&vocabulary, &tokens);
        messages.extend(parse_all(&vocabulary, Some(Role::Assistant), &tokens).unwrap());
    }
    Judge::new(&vocabulary).judge(item, &messages, malformed)
}

const SEARCH: &str = r#" to=browser.search<|channel|>analysis code<|message|>{"topn":1,"query":"models"}<|call|>"#;

#[test]
fn the_corpus_itself_is_right() {
    let vocabulary = Vocabulary::o200k_harmony();
    let judge = Judge::new(&vocabulary);
    let renderer = DocumentRenderer::new(&vocabulary).unwrap();
    for skill in Skill::ALL {
        let stream = Stream::new(11, Split::HeldOut, Mixture::only(skill));
        for index in 0..100 {
            let item = stream.item(index);
            let Document { ids, learns } = renderer.document(&item).unwrap();
            let places: Vec<usize> = (0..ids.len()).collect();
            let (mut messages, mut malformed) = (Vec::<ParsedMessage>::new(), false);
            for run in places.chunk_by(|&left, &right| learns[left] == learns[right]).filter(|run| learns[run[0]]) {
                let tokens = &ids[run[0]..run[0] + run.len()];
                malformed |= !is_well_formed(&vocabulary, tokens);
                messages.extend(parse_all(&vocabulary, Some(Role::Assistant), tokens).unwrap());
            }
            let verdict = judge.judge(&item, &messages, malformed);
            assert!(verdict.is_right() && verdict.same_calls, "{skill} {index}: {verdict:?}\n{item:?}");
        }
    }
}

#[test]
fn results_follow_only_calls_that_are_the_items() {
    let item = manual(vec![]);
    let parse = |text: &str| {
        let vocabulary = Vocabulary::o200k_harmony();
        parse_all(&vocabulary, Some(Role::Assistant), &vocabulary.encode_with_specials(text)).unwrap()
    };
    let same = parse(SEARCH);
    assert_eq!(results_of_last_call(&item, &same).unwrap(), &item.conversation.messages[3..4]);
    assert!(results_of_last_call(&item, &parse(&SEARCH.replace("models", "dogs"))).is_none());
    assert!(results_of_last_call(&item, &parse(&SEARCH.replace("search", "find"))).is_none());
    assert!(results_of_last_call(&item, &[same.clone(), same].concat()).is_none());
    assert!(results_of_last_call(&item, &parse("<|channel|>final<|message|>No.<|return|>")).is_none());
    assert!(results_of_last_call(&item, &[]).is_none());
}

#[test]
fn citations_must_exist_and_hold_the_words() {
    let item = manual(vec![Check::SameCalls, Check::Cites("folder torvik".to_owned())]);
    let answer = |text: &str| verdict(&item, &[SEARCH, &format!("<|channel|>final<|message|>{text}<|return|>")]);
    for (text, citations, existing, failed) in [
        ("It is【0†L1】.", 1, 1, 0),
        ("It is【0†L0-L1】.", 1, 1, 0),
        ("It is【0†L0】【0†L1】.", 2, 2, 0),
        ("It is【0†L0】.", 1, 1, 1),
        ("It is【0†L1】【1†L1】.", 2, 1, 1),
        ("It is【0†L1-L2】.", 1, 0, 1),
        ("It is【0†L1.", 1, 0, 1),
        ("It is so.", 0, 0, 1),
    ] {
        let verdict = answer(text);
        assert_eq!((verdict.citations, verdict.existing_citations), (citations, existing), "{text}");
        assert_eq!(verdict.failed.len(), failed, "{text}");
        assert_eq!(verdict.is_right(), failed == 0, "{text}");
    }
    // Without the search nothing was shown.
    let guessed = verdict(&item, &["<|channel|>final<|message|>It is【0†L1】.<|return|>"]);
    assert_eq!((guessed.existing_citations, guessed.failed.len()), (0, 2));
}

#[test]
fn calls_must_fit_what_is_declared() {
    let item = lamp();
    let says = |recipient: &str, text: &str| {
        let call = format!(" to={recipient}<|channel|>commentary <|constrain|>json<|message|>{text}<|call|>");
        let verdict = verdict(&item, &[&call]);
        assert_eq!(verdict.calls, 1);
        (verdict.valid_calls == 1, verdict.same_calls, verdict.is_right())
    };
    assert_eq!(says("functions.set_lamp", r#"{"room": "hall"}"#), (true, true, true));
    assert_eq!(says("functions.set_lamp", "{ \"room\":\"hall\"\n}"), (true, true, true));
    assert_eq!(says("functions.set_lamp", r#"{"room": "hull"}"#), (true, false, false));
    assert_eq!(says("functions.stop", "{}"), (true, false, false));
    for (recipient, text) in [
        ("functions.set_lamp", r#"{"room": "hall""#),
        ("functions.set_lamp", r#"{"room": 3}"#),
        ("functions.set_lamp", r#"{"room": "hall", "colour": "red"}"#),
        ("functions.set_lamp", "{}"),
        ("functions.set_lamps", r#"{"room": "hall"}"#),
        ("functions.stop", r#"{"now": true}"#),
        ("functions", "{}"),
    ] {
        assert_eq!(says(recipient, text), (false, false, false), "{recipient} {text}");
    }
    let answered = verdict(&item, &["<|channel|>final<|message|>Done.<|return|>"]);
    assert_eq!((answered.calls, answered.is_right()), (0, false));
}

#[test]
fn python_takes_any_text_but_none() {
    let item = manual(vec![]);
    for (text, valid) in [("print(1)", 1), ("  \n", 0)] {
        let verdict = verdict(&item, &[&format!(" to=python<|channel|>analysis code<|message|>{text}<|call|>")]);
        assert_eq!((verdict.valid_calls, verdict.well_formed), (valid, true));
    }
}

#[test]
fn channel_type_and_end_belong_together() {
    let item = manual(vec![]);
    for text in [
        "<|channel|>final<|message|>Yes.<|call|>",
        "<|channel|>analysis<|message|>Hm.<|return|>",
        "<|channel|>final code<|message|>Yes.<|return|>",
        "<|channel|>final<|message|>Yes.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
        " to=python<|channel|>final code<|message|>1<|call|>",
        " to=python<|channel|>analysis<|message|>1<|call|>",
        " to=python<|channel|>commentary <|constrain|>json<|message|>1<|call|>",
        " to=functions.f<|channel|>commentary json<|message|>{}<|call|>",
        " to=functions.f<|channel|>analysis code<|message|>{}<|call|>",
        " to=python<|channel|>analysis code<|message|>1<|return|>",
    ] {
        let found = verdict(&item, &[text]);
        assert!(!found.well_formed && !found.is_right(), "{text}");
    }
    assert!(!verdict(&item, &[]).well_formed);
}

#[test]
fn each_check_fails_on_what_it_is_for() {
    let says = |check: Check, answer: &str| {
        let item = item(Conversation::default().with_user("Well?").with_assistant("final", ""), vec![check]);
        let verdict = verdict(&item, &[&format!("<|channel|>final<|message|>{answer}<|return|>")]);
        assert_eq!(verdict.is_right(), verdict.failed.is_empty());
        verdict.is_right()
    };
    let text = |text: &str| text.to_owned();
    assert!(says(Check::Says(text("42")), "It is 42.") && !says(Check::Says(text("42")), "It is 4 2."));
    for (answer, holds) in [
        ("42", true),
        ("x=42, so 42.", true),
        ("2024-42-01", true),
        ("142", false),
        ("420", false),
        ("-42", false),
        ("It is -42", false),
        ("4.42", false),
        ("42.5", false),
        ("42,000", false),
        ("no 142 but 42", true),
    ] {
        assert_eq!(says(Check::Says(text("42")), answer), holds, "{answer}");
    }
    assert!(says(Check::NeverSays(text("Owl")), "A cat.") && !says(Check::NeverSays(text("Owl")), "An OWL."));
    assert!(says(Check::Is(text("yes")), "yes") && !says(Check::Is(text("yes")), "yes "));
    let value = json!({"a": 1, "b": ["x"]});
    assert!(says(Check::Json(value.clone()), r#"{"b": ["x"], "a": 1}"#));
    for wrong in [r#"{"b": ["x"], "a": 2}"#, r#"{"b": ["x"], "a": "1"}"#, r#"{"b": ["x"], "a": 1"#, r#"{"b": []}"#] {
        assert!(!says(Check::Json(value.clone()), wrong), "{wrong}");
    }
}

#[test]
fn the_user_is_told_directly_before_the_first_call() {
    let item = Item { checks: vec![Check::Announces], ..lamp() };
    let call = r#" to=functions.set_lamp<|channel|>commentary <|constrain|>json<|message|>{"room":"hall"}<|call|>"#;
    let word = "<|channel|>commentary<|message|>I will light the hall now.<|end|><|start|>assistant";
    let thought = "<|channel|>analysis<|message|>Now the call.<|end|><|start|>assistant";
    let holds = |turn: &str| verdict(&item, &[turn]).failed.is_empty();
    assert!(holds(&format!("{word}{call}")) && holds(&format!("{thought}{word}{call}")));
    assert!(!holds(call) && !holds(&format!("{thought}{call}")) && !holds(&format!("{word}{thought}{call}")));
    assert!(!holds(&format!("<|channel|>commentary<|message|> <|end|><|start|>assistant{call}")));
    assert!(!holds("<|channel|>final<|message|>I will light the hall now.<|return|>"));
}

#[test]
fn a_missing_answer_passes_no_check() {
    let checks = [Check::Says(String::new()), Check::NeverSays("x".to_owned()), Check::Prose { words_min: 0 }];
    let item = item(Conversation::default().with_user("Well?").with_assistant("final", ""), checks.to_vec());
    assert_eq!(verdict(&item, &["<|channel|>analysis<|message|>Hm"]).failed, checks);
}

#[test]
fn prose_is_long_of_known_words_and_does_not_repeat_itself() {
    let story = Stream::new(1, Split::HeldOut, Mixture::only(Skill::Story)).item(0);
    let told = story.conversation.messages.last().unwrap().text();
    let words_min = told.split_whitespace().count() / 2;
    let story = Item { checks: vec![Check::Prose { words_min }], ..story };
    let tells =
        |text: &str| verdict(&story, &[&format!("<|channel|>final<|message|>{text}<|return|>")]).failed.is_empty();
    assert!(tells(&told));
    assert!(!tells(&format!("{told} {told}")));
    assert!(!tells(&format!("{told} Qwzxv.")));
    assert!(!tells(&told[..told.len() / 4]));
}

#[test]
fn thoughts_are_counted_and_nothing_else() {
    let item = manual(vec![]);
    let thought = "I look into the manual.";
    let piece = format!("<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant{SEARCH}");
    let found = verdict(&item, &[&piece, "<|channel|>final<|message|>A long answer, not counted.<|return|>"]);
    assert_eq!(found.reasoning_tokens, Vocabulary::o200k_harmony().encode(thought).len());
    assert!(found.is_right(), "{found:?}");
}
