//! The raw road.

use agent::{Agent, Ending, RawEvent, RawOutcome, RawRequest, TokenLogprob};
use engine::Job;

/// Text, tokens and the end of a completion.
fn hear(agent: &Agent, request: RawRequest) -> (String, Vec<TokenLogprob>, RawOutcome) {
    let (mut text, mut tokens, mut outcome) = (String::new(), Vec::new(), None);
    for event in agent.complete(request).unwrap() {
        assert!(outcome.is_none());
        match event {
            RawEvent::Reading { done, total } => assert!(done <= total),
            RawEvent::Prompt(_) => {}
            RawEvent::Delta { text: more, tokens: further } => {
                assert!(!more.is_empty() || !further.is_empty());
                text.push_str(&more);
                tokens.extend(further);
            }
            RawEvent::Finished(end) => outcome = Some(end),
        }
    }
    (text, tokens, outcome.unwrap())
}

fn job(agent: &Agent, prompt: &str) -> Job {
    let mut job = Job::new(agent.vocabulary().encode_with_specials(prompt));
    job.sampling.temperature = 0.0;
    job
}

fn request(job: Job) -> RawRequest {
    RawRequest { job, stop: Vec::new() }
}

const SAID: &str = "<|channel|>final<|message|>ñ one END two";

fn agent() -> Agent {
    Agent::scripted(&format!("{SAID}<|return|>"))
}

#[test]
fn tokens_come_with_their_text_and_the_end_by_itself() {
    let agent = agent();
    let stop_ids = agent.stop_ids().to_vec();
    let job = Job { stop_ids, top_logprobs: Some(3), ..job(&agent, "x<|start|>assistant") };
    let (text, tokens, outcome) = hear(&agent, request(job));
    assert_eq!(text, SAID);
    let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
    assert_eq!(ids, agent.vocabulary().encode_with_specials(SAID));
    assert!(tokens.iter().all(|token| token.top.len() == 3 && token.top[0].0 == token.bytes));
    assert_eq!(outcome.ending, Ending::Answered);
    assert_eq!(outcome.stop.unwrap().bytes, b"<|return|>");
    assert_eq!((outcome.usage.output_tokens, outcome.usage.input_tokens), (ids.len() + 1, 3));
}

#[test]
fn stop_texts_and_limits_end_it() {
    let agent = agent();
    let base = job(&agent, "x<|start|>assistant");
    let stopping = RawRequest { job: base.clone(), stop: vec!["no".into(), "END".into()] };
    let (text, tokens, outcome) = hear(&agent, stopping);
    assert_eq!((text.as_str(), outcome.ending), ("<|channel|>final<|message|>ñ one ", Ending::StopText(1)));
    let bytes: Vec<u8> = tokens.into_iter().flat_map(|token| token.bytes).collect();
    assert!(bytes.starts_with(text.as_bytes()) && bytes.len() < text.len() + 3);
    for most in 0..6 {
        let (_, tokens, outcome) = hear(&agent, request(Job { tokens_max: Some(most), ..base.clone() }));
        assert_eq!((tokens.len(), outcome.ending), (most, Ending::OutputTokens));
    }
}

#[test]
fn the_prompt_can_be_judged() {
    let agent = agent();
    let asked = Job { prompt_logprobs: Some(1), tokens_max: Some(0), ..job(&agent, "one two three") };
    let ids = asked.prompt.clone();
    let told: Vec<u32> = agent
        .complete(request(asked))
        .unwrap()
        .filter_map(|event| if let RawEvent::Prompt(pieces) = event { Some(pieces) } else { None })
        .flatten()
        .map(|piece| piece.id)
        .collect();
    assert_eq!(told, ids);
    assert!(agent.complete(request(Job::new(Vec::new()))).is_err());
}

#[test]
fn a_completion_that_is_cancelled_says_what_it_has() {
    let agent = Agent::scripted(&"word ".repeat(3000));
    let mut raw = agent.complete(request(job(&agent, "x<|start|>assistant"))).unwrap();
    assert!(raw.by_ref().any(|event| matches!(event, RawEvent::Delta { .. })));
    raw.canceller().cancel();
    let rest: Vec<RawEvent> = raw.collect();
    let Some(RawEvent::Finished(outcome)) = rest.last() else { panic!("{rest:?}") };
    assert_eq!((outcome.ending, &outcome.stop), (Ending::Cancelled, &None));
}
