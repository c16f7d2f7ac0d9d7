//! Stop texts, budgets, cancelling, several calls.

use std::time::Instant;

use agent::testing::Script;
use agent::{Agent, Ending, Item, Opening, TurnEvent, TurnRequest};

use crate::answers::{user, with_tools};
use crate::stream::{hear, listen};

const THOUGHT: &str = "<|channel|>analysis<|message|>STOP here or not.<|end|><|start|>assistant";

#[test]
fn a_stop_text_ends_the_answer_and_nothing_else() {
    let agent = Agent::scripted(&format!("{THOUGHT}<|channel|>final<|message|>one two STOP three<|return|>"));
    let request = TurnRequest { stop: vec!["never".into(), "o STOP".into()], ..user("go") };
    let heard = hear(&agent, request);
    assert_eq!(heard.brief(), ["~STOP here or not.", "one tw"]);
    assert_eq!(heard.outcome.ending, Ending::StopText(1));
    assert_eq!(heard.items[1].0.tokens, None, "what was sampled is not what was said");
}

#[test]
fn the_budget_counts_all_tokens_and_what_is_cut_says_so() {
    let said = format!("{THOUGHT}<|channel|>final<|message|>one two three<|return|>");
    let agent = Agent::scripted(&said);
    let tokens = agent.vocabulary().encode_with_specials(&said);
    for most in 1..=tokens.len() {
        let request = TurnRequest { output_tokens_max: Some(most), ..user("go") };
        let heard = hear(&agent, request);
        assert_eq!(heard.outcome.usage.output_tokens, most);
        assert_eq!(heard.tokens[heard.outcome.usage.input_tokens..], tokens[..most]);
        let whole = most == tokens.len();
        assert_eq!(heard.outcome.ending, if whole { Ending::Answered } else { Ending::OutputTokens });
        let cut = heard.items.iter().filter(|(_, cut)| *cut).count();
        assert!(cut <= 1 && heard.items.iter().rev().skip(1).all(|(_, cut)| !cut));
        assert!(!whole || cut == 0);
    }
}

#[test]
fn a_call_that_is_cut_is_not_made() {
    let call = "<|channel|>commentary to=functions.a <|constrain|>json<|message|>{\"x\":1}<|call|>";
    let agent = Agent::scripted(call);
    let count = agent.vocabulary().encode_with_specials(call).len();
    let request = TurnRequest { output_tokens_max: Some(count - 1), ..with_tools(user("go"), &["a"]) };
    let heard = hear(&agent, request);
    assert_eq!(heard.brief(), ["functions.a({\"x\":1})…"]);
    assert_eq!(heard.outcome.ending, Ending::OutputTokens);
}

#[test]
fn the_context_ends_an_answer_too() {
    let script =
        Script::new().behind("<|start|>assistant", &format!("<|channel|>final<|message|>{}", "word ".repeat(400)));
    let agent = Agent::following_with(&script, agent::Settings::default(), 256);
    let heard = hear(&agent, user("go"));
    assert_eq!((heard.outcome.ending, heard.items[0].1), (Ending::Context, true));
}

fn calls(ends: &str) -> Agent {
    let call = |name: &str, rest: &str| {
        format!("<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{{}}<|call|>{rest}")
    };
    let all = call("a", &format!("<|start|>assistant{}", call("b", &format!("<|start|>assistant{ends}"))));
    Agent::scripted(&all)
}

#[test]
fn one_call_comes_unless_several_were_asked_for() {
    let one = with_tools(user("go"), &["a", "b"]);
    let several = TurnRequest { parallel_tool_calls: true, ..one.clone() };
    let ends = "<|channel|>final<|message|>Done.<|return|>";
    let heard = hear(&calls(ends), one);
    assert_eq!((heard.brief(), heard.outcome.ending), (vec!["functions.a({})".to_owned()], Ending::Called));
    for ends in [ends, "<|return|>", "<|channel|>analysis<|message|>Hm.<|end|>", "hello"] {
        let agent = calls(ends);
        let heard = hear(&agent, several.clone());
        assert_eq!(
            (heard.brief().join(" "), heard.outcome.ending),
            ("functions.a({}) functions.b({})".into(), Ending::Called)
        );
        let kept = agent.vocabulary().decode(&heard.tokens);
        assert!(kept.ends_with("{}<|call|>"), "what was no call is not kept");
    }
    let agent = calls(ends);
    for most in 1..80 {
        let heard = hear(&agent, TurnRequest { output_tokens_max: Some(most), ..several.clone() });
        if heard.outcome.ending == Ending::Called {
            assert!(agent.vocabulary().decode(&heard.tokens).ends_with("{}<|call|>"), "{most}");
        }
    }
}

#[test]
fn calls_in_one_turn_come_to_an_end() {
    let call = "<|channel|>commentary to=functions.a <|constrain|>json<|message|>{}<|call|>";
    let request = TurnRequest { parallel_tool_calls: true, ..with_tools(user("go"), &["a"]) };
    let heard = hear(&Agent::scripted(call), request);
    assert_eq!((heard.items.len(), heard.outcome.ending), (32, Ending::Called));
}

#[test]
fn a_prompt_is_known_to_its_tenant_alone() {
    let agent = Agent::scripted("<|channel|>final<|message|>Yes.<|return|>");
    let request = user(&"words ".repeat(200));
    let ask = |tenant: &str, cached| {
        let request = TurnRequest { tenant: tenant.into(), cached, ..request.clone() };
        hear(&agent, request).outcome.usage.cached_tokens
    };
    assert_eq!((ask("one", false), ask("one", true)), (0, 0));
    assert_eq!((ask("two", true), ask("one", false)), (0, 0));
    assert!(ask("one", true) > 100);
}

#[test]
fn log_probabilities_are_those_of_the_text() {
    let agent = Agent::scripted(&format!("{THOUGHT}<|channel|>final<|message|>one ñ… three STOP<|return|>"));
    let request = TurnRequest { top_logprobs: Some(2), stop: vec!["STOP".into()], ..user("go") };
    let heard = hear(&agent, request);
    assert!(heard.logprobs[0].is_empty(), "of thoughts none are told");
    let bytes: Vec<u8> = heard.logprobs[1].iter().flat_map(|token| token.bytes.clone()).collect();
    let text = String::from_utf8(bytes).unwrap();
    assert!(
        text.starts_with("one ñ… three ") && text.len() <= "one ñ… three ST".len(),
        "one token is half shown: {text}"
    );
    assert!(heard.logprobs[1].iter().all(|token| token.top.len() == 2 && token.top[0].0 == token.bytes));
    assert_eq!(heard.brief()[1], "one ñ… three ");
    assert!(hear(&agent, user("go")).logprobs[1].is_empty());
}

#[test]
fn a_turn_that_is_cancelled_says_what_it_has() {
    let forever = format!("<|channel|>final<|message|>{}", "word ".repeat(3000));
    let agent = Agent::scripted(&forever);
    let mut turn = agent.begin(user("go")).unwrap();
    let canceller = turn.canceller();
    let begun = turn.by_ref().find(|event| matches!(event, TurnEvent::Began { .. }));
    assert!(matches!(begun, Some(TurnEvent::Began { index: 0, opening: Opening::Message(_) })));
    canceller.cancel();
    let last: Vec<TurnEvent> = turn.collect();
    let [.., TurnEvent::Ended { cut: true, .. }, TurnEvent::Finished(outcome)] = &last[..] else { panic!("{last:?}") };
    assert_eq!(outcome.ending, Ending::Cancelled);
    let late = TurnRequest { deadline: Some(Instant::now()), ..user("go") };
    assert_eq!(hear(&agent, late).outcome.ending, Ending::Deadline);
}

#[test]
fn dropping_a_turn_frees_its_place() {
    let agent = Agent::scripted(&format!("<|channel|>final<|message|>{}", "word ".repeat(3000)));
    let turns: Vec<_> = (0..4).map(|_| agent.begin(user("go")).unwrap()).collect();
    drop(turns);
    assert!(agent.engine().wait_for_jobs(std::time::Duration::from_secs(60)));
}

#[test]
fn a_turn_can_be_polled_from_elsewhere() {
    let agent = Agent::scripted(&format!("{THOUGHT}<|channel|>final<|message|>Hello!<|return|>"));
    let turn = std::thread::scope(|scope| {
        let mut turn = agent.begin(user("go")).unwrap();
        scope.spawn(move || listen(&mut turn)).join().unwrap()
    });
    assert_eq!(turn.brief()[1], "Hello!");
    let again = TurnRequest { history: vec![Item::User("go on ".repeat(200))], ..user("go") };
    hear(&agent, again.clone());
    assert!(hear(&agent, again).outcome.usage.cached_tokens > 0, "the prompt is known by now");
}

#[test]
fn agents_are_shared_and_turns_are_sent() {
    fn shared<T: Send + Sync + Clone>() {}
    fn sent<T: Send>() {}
    shared::<Agent>();
    shared::<agent::Canceller>();
    sent::<agent::Turn>();
    sent::<agent::Raw>();
}
