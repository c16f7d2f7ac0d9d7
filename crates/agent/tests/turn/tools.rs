//! Built-in tools: fakes that answer, fail, and never come back.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use agent::testing::Script;
use agent::{
    Agent, BuiltIn, Declaration, Ending, Settings, ToolChoice, ToolContext, ToolFuture, ToolInput, ToolName,
    ToolOutput, TurnEvent, TurnRequest,
};
use harmony::{ToolDescription, ToolNamespace};

use crate::answers::{user, with_tools};
use crate::stream::{hear, listen};

/// What a fake does.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Echo,
    Thread,
    Panic,
    PanicAtOnce,
    Hang,
    Block,
    Long,
}

pub(crate) struct Fake(pub(crate) Way);

/// Never ready, and wakes nobody.
struct Never;

impl Future for Never {
    type Output = ToolOutput;

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<ToolOutput> {
        Poll::Pending
    }
}

/// Ready at the second poll, which another thread asks for.
struct Later(Option<String>, bool);

impl Future for Later {
    type Output = ToolOutput;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<ToolOutput> {
        if std::mem::replace(&mut self.1, true) {
            return Poll::Ready(ToolOutput { text: self.0.take().unwrap_or_default() });
        }
        let waker = context.waker().clone();
        std::thread::spawn(move || waker.wake());
        Poll::Pending
    }
}

impl BuiltIn for Fake {
    fn recipients(&self) -> Vec<ToolName> {
        vec![ToolName { namespace: "echo".into(), name: "say".into() }]
    }

    fn declaration(&self) -> Declaration {
        let say = ToolDescription { name: "say".into(), description: "Says it again.".into(), parameters: None };
        Declaration::System(ToolNamespace { name: "echo".into(), description: None, tools: vec![say] })
    }

    fn call(&self, input: ToolInput, _context: ToolContext) -> ToolFuture {
        let text = format!("said {}", input.text);
        match self.0 {
            Way::Echo => Box::pin(async move { ToolOutput { text } }),
            Way::Thread => Box::pin(Later(Some(text), false)),
            Way::Panic => Box::pin(async { panic!("on purpose") }),
            Way::PanicAtOnce => panic!("on purpose"),
            Way::Hang => Box::pin(Never),
            Way::Block => Box::pin(async {
                loop {
                    std::thread::park();
                }
            }),
            Way::Long => Box::pin(async { ToolOutput { text: "é".repeat(1000) } }),
        }
    }
}

pub(crate) fn with_fake(request: TurnRequest, way: Way) -> TurnRequest {
    TurnRequest { built_in: vec![Arc::new(Fake(way))], ..request }
}

const CALL: &str = "<|channel|>analysis to=echo.say code<|message|>hello<|call|>";

fn script(output: &str) -> Script {
    let thought = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant";
    Script::new()
        .behind("<|start|>assistant", &format!("{thought}{CALL}"))
        .answer(output, "<|channel|>final<|message|>Done.<|return|>")
        .behind("<|channel|>final<|message|>", "Done.<|return|>")
}

#[test]
fn a_tool_answers_within_the_turn() {
    for way in [Way::Echo, Way::Thread] {
        let agent = Agent::following(&script("said hello"));
        let request = with_fake(user("go"), way);
        let prompt = agent.vocabulary().decode(&agent.prompt(&request).unwrap());
        assert!(prompt.contains("# Tools\n\n## echo\n\nnamespace echo {\n\n// Says it again.\ntype say = () => any;"));
        let heard = hear(&agent, request);
        assert_eq!(heard.brief(), ["~Hm.", "echo.say(hello)", "Done."]);
        assert_eq!(heard.outputs.len(), 1);
        assert_eq!(heard.outputs[0].1, "said hello");
        assert_eq!(heard.outcome.ending, Ending::Answered);
        let output = "<|start|>echo.say to=assistant<|channel|>analysis<|message|>said hello<|end|><|start|>assistant";
        let text = agent.vocabulary().decode(&heard.tokens);
        assert!(text.ends_with(&format!("{CALL}{output}<|channel|>final<|message|>Done.<|return|>")), "{text}");
        let count = |text: &str| agent.vocabulary().encode_with_specials(text).len();
        let usage = heard.outcome.usage;
        assert_eq!(usage.input_tokens, count(&prompt) + count(output));
        assert_eq!(usage.reasoning_tokens, count("Hm."), "calls on the channel of thoughts are no thoughts");
    }
}

#[test]
fn a_tool_that_fails_or_hangs_is_told_to_the_model() {
    for (way, output) in [
        (Way::Panic, "Error: the tool failed."),
        (Way::PanicAtOnce, "Error: the tool failed."),
        (Way::Hang, "Error: the tool took too long and was ended."),
        (Way::Long, "éééé\n[1992 bytes left out]"),
    ] {
        let tool_time_max = Duration::from_millis(if matches!(way, Way::Hang) { 20 } else { 60_000 });
        let tool_output_bytes_max = if matches!(way, Way::Long) { 9 } else { 1000 };
        let settings = Settings { tool_time_max, tool_output_bytes_max, ..Settings::unheld() };
        let agent = Agent::following_with(&script(output), settings, 4096);
        let heard = hear(&agent, with_fake(user("go"), way));
        assert_eq!(heard.outputs[0].1, output);
        assert_eq!(heard.brief()[2], "Done.");
    }
}

#[test]
fn calls_of_built_in_tools_are_counted() {
    // It calls again and again.
    let agent = |settings| {
        let script =
            Script::new().behind("<|start|>assistant", CALL).behind("<|channel|>final<|message|>", "Done.<|return|>");
        Agent::following_with(&script, settings, 16_384)
    };
    let limited = TurnRequest { tool_calls_max: Some(3), ..with_fake(user("go"), Way::Echo) };
    let heard = hear(&agent(Settings::unheld()), limited.clone());
    assert_eq!((heard.outputs.len(), heard.brief().last().unwrap().as_str()), (3, "Done."));
    let heard = hear(&agent(Settings { rounds_max: 2, ..Settings::unheld() }), limited.clone());
    assert_eq!(heard.outputs.len(), 2);
    let none = TurnRequest { tool_calls_max: Some(0), ..limited };
    assert_eq!(hear(&agent(Settings::unheld()), none).brief(), ["Done."]);
}

#[test]
fn the_budget_of_thoughts_is_one_for_the_whole_turn() {
    let thought = format!("<|channel|>analysis<|message|>{}", "again ".repeat(200));
    let script = Script::new()
        .behind("<|start|>assistant", &format!("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant{CALL}"))
        .answer("said hello", &thought)
        .behind("<|channel|>final<|message|>", "Done.<|return|>");
    let request = TurnRequest { reasoning_tokens_max: Some(20), ..with_fake(user("go"), Way::Echo) };
    let heard = hear(&Agent::following(&script), request);
    assert_eq!((heard.brief()[0].as_str(), heard.brief()[3].as_str()), ("~Hm.", "Done."));
    assert_eq!(heard.outcome.usage.reasoning_tokens, 20);
}

#[test]
fn a_built_in_tool_can_be_chosen_and_the_caller_keeps_its_own() {
    let script = Script::new()
        .behind("<|start|>assistant", "<|channel|>final<|message|>No.<|return|>")
        .behind("<|channel|>analysis to=echo.say code<|message|>", "hello<|call|>")
        .answer("said hello", "<|channel|>commentary to=functions.a<|message|>{}<|call|>");
    let mut request = with_fake(with_tools(user("go"), &["a"]), Way::Echo);
    request.tool_choice = ToolChoice::Named(ToolName { namespace: "echo".into(), name: "say".into() });
    let agent = Agent::following(&script);
    let heard = hear(&agent, request.clone());
    assert_eq!(heard.brief()[0], "echo.say(hello)");
    request.tool_choice = ToolChoice::Auto;
    let auto = Script::new()
        .behind("<|start|>assistant", CALL)
        .answer("said hello", "<|channel|>commentary to=functions.a<|message|>{}<|call|>");
    let heard = hear(&Agent::following(&auto), request);
    assert_eq!(
        (heard.brief(), heard.outcome.ending),
        (vec!["echo.say(hello)".into(), "functions.a({})".into()], Ending::Called)
    );
}

#[test]
fn a_turn_that_waits_for_a_tool_can_be_cancelled() {
    let settings = Settings { tool_time_max: Duration::from_secs(3600), ..Settings::unheld() };
    let agent = Agent::following_with(&script("never"), settings, 4096);
    let mut turn = agent.begin(with_fake(user("go"), Way::Block)).unwrap();
    let canceller = turn.canceller();
    assert!(turn.by_ref().any(|event| matches!(event, TurnEvent::ToolBegan { .. })));
    let cancelling = std::thread::spawn(move || canceller.cancel());
    let rest: Vec<TurnEvent> = turn.collect();
    cancelling.join().unwrap();
    let [TurnEvent::Finished(outcome)] = &rest[..] else { panic!("{rest:?}") };
    assert_eq!(outcome.ending, Ending::Cancelled);
}

/// The fake, but does what a test wants.
struct Does<F>(F);

impl<F: Fn(ToolContext) -> ToolFuture + Send + Sync> BuiltIn for Does<F> {
    fn recipients(&self) -> Vec<ToolName> {
        Fake(Way::Echo).recipients()
    }

    fn declaration(&self) -> Declaration {
        Fake(Way::Echo).declaration()
    }

    fn call(&self, _input: ToolInput, context: ToolContext) -> ToolFuture {
        (self.0)(context)
    }
}

#[test]
fn a_tool_is_told_the_turns_deadline_and_that_it_was_cancelled() {
    let settings = Settings { tool_time_max: Duration::from_secs(3600), ..Settings::unheld() };
    let agent = Agent::following_with(&script("never"), settings, 4096);
    let deadline = Instant::now() + Duration::from_secs(600);
    let (line, contexts) = channel();
    let tells = Does(move |context| -> ToolFuture {
        line.send(context).unwrap();
        let held = line.clone();
        Box::pin(async move {
            let _held = held;
            Never.await
        })
    });
    let built_in: Vec<Arc<dyn BuiltIn>> = vec![Arc::new(tells)];
    let request = TurnRequest { built_in, deadline: Some(deadline), tenant: b"me".to_vec(), ..user("go") };
    let mut turn = agent.begin(request).unwrap();
    assert!(turn.by_ref().any(|event| matches!(event, TurnEvent::ToolBegan { .. })));
    let context = contexts.recv().unwrap();
    assert_eq!((context.deadline, &context.tenant[..], context.is_cancelled()), (deadline, &b"me"[..], false));
    drop(turn);
    assert!(context.is_cancelled());
    // The line is dead when the tool and the request are dropped.
    assert_eq!(contexts.recv_timeout(Duration::from_secs(120)).err(), Some(RecvTimeoutError::Disconnected));
}

#[test]
fn a_turn_that_cannot_go_on_fails_and_says_why() {
    let agent = Agent::following(&script("said hello"));
    let engine = Arc::clone(agent.engine());
    let drains = Does(move |_| -> ToolFuture {
        engine.drain();
        Box::pin(async { ToolOutput { text: "said hello".into() } })
    });
    let request = TurnRequest { built_in: vec![Arc::new(drains)], ..user("go") };
    let mut turn = agent.begin(request).unwrap();
    let heard = listen(&mut turn);
    assert_eq!((heard.brief().len(), heard.outputs.len(), heard.outcome.ending), (2, 1, Ending::Failed));
    assert!(matches!(turn.failure(), Some(engine::Error::Draining)));
}
