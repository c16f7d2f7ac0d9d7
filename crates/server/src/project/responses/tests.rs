//! Hand-made turns, as the Responses API shows them.

use std::collections::HashSet;

use agent::{Call, CallKind, Part, Phase, ToolName, Usage};

use super::*;
use crate::published_schema::{check_events, check_response};

const USAGE: Usage = Usage { input_tokens: 20, cached_tokens: 8, output_tokens: 12, reasoning_tokens: 5 };

fn projection(request: &Value, options: Options) -> Projection {
    let mut body = json!({ "input": "Hello" });
    body.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
    let create = CreateResponse::read(&body).unwrap();
    let defaults = Defaults { model: "glossa-tiny", effort: agent::Effort::Medium, temperature: 1.0 };
    let head = ResponseHead::new("resp_a".to_owned(), 100, &create, &defaults);
    let own = Options::of(&create, |bytes| format!("sealed:{}", String::from_utf8_lossy(bytes)));
    let mint = Mint { id: Box::new(item_names("resp_a")), now: Box::new(|| 101) };
    Projection::new(mint, head, Options { hosted: options.hosted, ..own })
}

fn call(tool: ToolName, kind: CallKind, input: &str) -> Part {
    Part::Call(Call { id: "call_1".to_owned(), tool, kind, input: input.to_owned() })
}

fn function(namespace: &str, name: &str, input: &str) -> Part {
    call(ToolName { namespace: namespace.to_owned(), name: name.to_owned() }, CallKind::Function, input)
}

fn message(phase: Phase, text: &str) -> Part {
    Part::Message { phase, text: text.to_owned() }
}

/// An item in pieces of three letters.
fn said(part: Part, cut: bool) -> Vec<TurnEvent> {
    let (opening, text) = match &part {
        Part::Reasoning(text) => (Opening::Reasoning, text.clone()),
        Part::Message { phase, text } => (Opening::Message(*phase), text.clone()),
        Part::Call(call) => {
            let Call { id, tool, kind, input } = call.clone();
            (Opening::Call { id, tool, kind }, input)
        }
    };
    let letters: Vec<char> = text.chars().collect();
    let deltas = letters.chunks(3).map(|letters| TurnEvent::Delta {
        index: 0,
        text: letters.iter().collect(),
        logprobs: Vec::new(),
    });
    let ended = TurnEvent::Ended { index: 0, said: Said { part, tokens: Some(vec![1, 2]) }, cut };
    std::iter::once(TurnEvent::Began { index: 0, opening }).chain(deltas).chain([ended]).collect()
}

fn finished(ending: Ending) -> TurnEvent {
    TurnEvent::Finished(Outcome { ending, usage: USAGE, guard: None, dropped_items: 0 })
}

fn tool_ran(output: &str) -> [TurnEvent; 2] {
    let call_id = "call_1".to_owned();
    [TurnEvent::ToolBegan { call_id: call_id.clone() }, TurnEvent::ToolEnded { call_id, output: output.to_owned() }]
}

fn run(projection: &mut Projection, events: impl IntoIterator<Item = TurnEvent>) -> Vec<Value> {
    let mut told = projection.start();
    for event in events {
        told.extend(projection.push(&event));
    }
    let response = check_events(&told);
    check_response(&response);
    assert_eq!(response, projection.response());
    told
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// A thought, a preamble, a call of each kind, an answer with log probabilities.
fn rich() -> (Projection, Vec<TurnEvent>) {
    let request = json!({
        "stream_options": { "include_obfuscation": true },
        "reasoning": { "effort": "xhigh", "summary": "concise" },
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "metadata": { "job": "7" },
        "tools": [{ "type": "function", "name": "get", "parameters": { "type": "object" } }],
    });
    let logprob = TokenLogprob { id: 7, bytes: "é".into(), logprob: -0.5, top: vec![(vec![0xc3], f32::NEG_INFINITY)] };
    let mut events = vec![TurnEvent::Reading { done: 3, total: 20 }];
    events.extend(said(Part::Reasoning("First I look. Then I say.".to_owned()), false));
    events.extend(said(message(Phase::Commentary, "I look it up."), false));
    events.extend(said(function("functions", "get", r#"{"x": 1}"#), false));
    events.extend(said(function("team", "ask", "{}"), false));
    events.extend(said(call(ToolName::function("patch"), CallKind::Custom, "*** Begin"), false));
    let mut answer = said(message(Phase::Final, "Done é"), false);
    answer.insert(3, TurnEvent::Delta { index: 0, text: String::new(), logprobs: vec![logprob] });
    events.extend(answer);
    events.push(finished(Ending::Answered));
    (projection(&request, Options::default()), events)
}

#[test]
fn a_rich_stream_is_as_it_was() {
    let (mut projection, events) = rich();
    let told = run(&mut projection, events);
    let lines: String = told.iter().map(|event| format!("{event}\n")).collect();
    if lines != include_str!("tests/rich.jsonl") {
        let path = std::env::temp_dir().join("rich.jsonl");
        std::fs::write(&path, &lines).unwrap();
        panic!("the stream has changed; read {} and, if it is right, copy it over tests/rich.jsonl", path.display());
    }
}

#[test]
fn items_have_what_clients_look_for() {
    let (mut projection, events) = rich();
    run(&mut projection, events);
    let response = projection.response();
    let output = response["output"].as_array().unwrap();
    assert_eq!(output[0]["content"][0], json!({ "type": "reasoning_text", "text": "First I look. Then I say." }));
    assert_eq!(output[0]["summary"][0]["text"], "**Extract of the reasoning**\n\nFirst I look. Then I say.");
    let sealed = output[0]["encrypted_content"].as_str().unwrap();
    assert_eq!(sealed, r#"sealed:{"text":"First I look. Then I say.","tokens":[1,2]}"#);
    assert_eq!((&output[1]["phase"], &output[5]["phase"]), (&json!("commentary"), &json!("final_answer")));
    assert_eq!((&output[2]["name"], output[2].get("namespace")), (&json!("get"), None));
    assert_eq!((&output[3]["name"], &output[3]["namespace"]), (&json!("ask"), &json!("team")));
    assert_eq!((&output[4]["type"], &output[4]["input"]), (&json!("custom_tool_call"), &json!("*** Begin")));
    assert_eq!(output[5]["content"][0]["logprobs"][0]["top_logprobs"][0]["logprob"], -9999.0);
    assert_eq!(response["completed_at"], 101);
    assert_eq!(response["reasoning"], json!({ "effort": "high", "summary": "concise", "context": "current_turn" }));
    assert_eq!(response["usage"]["input_tokens_details"], json!({ "cached_tokens": 8, "cache_write_tokens": 12 }));
    assert_eq!(response["usage"]["output_tokens_details"]["reasoning_tokens"], 5);
    assert_eq!(projection.output()[2].tokens, Some(vec![1, 2]));
}

#[test]
fn padding_hides_lengths_only_where_it_is_asked_for() {
    let (mut projection, events) = rich();
    let padded = run(&mut projection, events.clone());
    for event in padded.iter().filter(|event| event["delta"].is_string()) {
        let length = event["delta"].as_str().unwrap().len() + event["obfuscation"].as_str().unwrap().len();
        assert_eq!(length % 32, 0, "{event}");
    }
    let mut plain = self::projection(&json!({}), Options::default());
    assert!(run(&mut plain, events).iter().all(|event| event.get("obfuscation").is_none()));
}

#[test]
fn what_was_not_asked_for_is_left_out() {
    let mut projection = projection(&json!({}), Options::default());
    let events = said(Part::Reasoning("Hm.".to_owned()), false).into_iter().chain([finished(Ending::Answered)]);
    run(&mut projection, events);
    let thought = &projection.response()["output"][0];
    assert_eq!((thought.get("encrypted_content"), &thought["summary"]), (None, &json!([])));
}

#[test]
fn the_last_event_matches_the_status() {
    let cases = [
        (Ending::Answered, "completed", "response.completed"),
        (Ending::Called, "completed", "response.completed"),
        (Ending::StopText(0), "completed", "response.completed"),
        (Ending::OutputTokens, "incomplete", "response.incomplete"),
        (Ending::Context, "incomplete", "response.incomplete"),
        (Ending::Memory, "incomplete", "response.incomplete"),
        (Ending::Cancelled, "cancelled", "response.incomplete"),
        (Ending::Deadline, "failed", "response.failed"),
        (Ending::Failed, "failed", "response.failed"),
    ];
    for (ending, status, last) in cases {
        let mut projection = projection(&json!({}), Options::default());
        let cut = ending == Ending::OutputTokens;
        let told = run(&mut projection, said(message(Phase::Final, "Half"), cut).into_iter().chain([finished(ending)]));
        assert_eq!(kinds(&told).last(), Some(&last), "{ending:?}");
        let response = projection.response();
        assert_eq!(response["status"], status);
        assert_eq!(response["incomplete_details"].is_object(), status == "incomplete");
        assert_eq!(response["error"].is_object(), status == "failed");
        assert_eq!(response["completed_at"].is_null(), status != "completed");
        assert_eq!(response["output"][0]["status"], if cut { "incomplete" } else { "completed" });
        assert!(projection.push(&finished(Ending::Answered)).is_empty(), "nothing follows");
    }
}

#[test]
fn what_breaks_off_is_closed_first() {
    for part in [Part::Reasoning("Hm".to_owned()), message(Phase::Final, "Ye"), function("functions", "get", "{")] {
        for cancelled in [true, false] {
            let mut projection = projection(&json!({}), Options::default());
            let mut told = projection.start();
            for event in said(part.clone(), false).iter().rev().skip(1).rev() {
                told.extend(projection.push(event));
            }
            let error = ApiError::internal(&"for the test");
            told.extend(if cancelled { projection.cancel() } else { projection.fail(&error) });
            let response = check_events(&told);
            assert_eq!(response["output"][0]["status"], "incomplete");
            assert_eq!(response["status"], if cancelled { "cancelled" } else { "failed" });
            assert!(projection.cancel().is_empty() && projection.fail(&error).is_empty());
        }
    }
}

#[test]
fn calls_wait_only_where_the_turn_ended_in_them() {
    for (ending, waiting) in [(Ending::Called, vec!["call_1".to_owned()]), (Ending::OutputTokens, Vec::new())] {
        let mut projection = projection(&json!({}), Options::default());
        run(&mut projection, said(function("functions", "get", "{}"), false).into_iter().chain([finished(ending)]));
        assert_eq!(projection.call_ids(), waiting);
    }
}

#[test]
fn what_is_queued_begins_later() {
    let mut projection = projection(&json!({ "background": true }), Options::default());
    let mut told = projection.queue();
    assert_eq!(projection.response()["status"], "queued");
    told.extend(projection.begin());
    told.extend(projection.push(&finished(Ending::Answered)));
    assert_eq!(kinds(&told), ["response.created", "response.queued", "response.in_progress", "response.completed"]);
    check_events(&told);
}

#[test]
fn items_left_out_of_a_long_conversation_are_seen() {
    let mut projection = projection(&json!({ "truncation": "auto" }), Options::default());
    let outcome = Outcome { ending: Ending::Answered, usage: USAGE, guard: None, dropped_items: 3 };
    run(&mut projection, [TurnEvent::Finished(outcome)]);
    assert_eq!(projection.response()["truncated_items"], 3);
}

/// A turn with a tool of each kind that is run here.
fn hosted() -> (Projection, Vec<TurnEvent>) {
    let hosted = [
        ("browser", Hosted::WebSearch),
        ("file_search", Hosted::FileSearch),
        ("python", Hosted::CodeInterpreter { container_id: "cntr_1".to_owned() }),
        ("container", Hosted::Shell),
        ("repo_browser", Hosted::ApplyPatch),
        ("docs", Hosted::Mcp { server_label: "docs".to_owned() }),
    ];
    let hosted = hosted.map(|(namespace, hosted)| (namespace.to_owned(), hosted)).to_vec();
    let request = json!({ "include": ["code_interpreter_call.outputs"] });
    let calls = [
        function("browser", "search", r#"{"query": "cats"}"#),
        function("browser", "open", r#"{"id": "https://a.example", "cursor": 0}"#),
        function("browser", "find", r#"{"pattern": "cat", "url": "https://a.example"}"#),
        function("file_search", "msearch", r#"{"queries": ["cats"]}"#),
        call(ToolName { namespace: "python".to_owned(), name: String::new() }, CallKind::Custom, "print(1)"),
        function("container", "exec", r#"{"command": ["bash", "-lc", "ls"]}"#),
        function("repo_browser", "apply_patch", r#"{"type": "delete_file", "path": "a.txt"}"#),
        function("docs", "search", r#"{"q": "x"}"#),
    ];
    let events = calls.into_iter().flat_map(|call| said(call, false).into_iter().chain(tool_ran("1\n"))).collect();
    (projection(&request, Options { hosted, ..Options::default() }), events)
}

#[test]
fn every_kind_of_event_comes_somewhere_and_is_valid() {
    let mut seen: HashSet<String> = HashSet::new();
    let mut see = |events: &[Value]| seen.extend(kinds(events).into_iter().map(str::to_owned));

    let (mut projection, events) = hosted();
    let mut told = projection.start();
    told.extend(projection.list_tools("docs", Ok(vec![json!({ "name": "search", "input_schema": {} })])));
    told.extend(projection.list_tools("gone", Err("no answer".to_owned())));
    events.iter().for_each(|event| told.extend(projection.push(event)));
    let mut answer = said(message(Phase::Final, "Cats."), false);
    let ended = answer.pop().unwrap();
    answer.iter().for_each(|event| told.extend(projection.push(event)));
    let citation =
        json!({ "type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 4 });
    told.extend(projection.annotate(citation.clone()));
    told.extend(projection.push(&ended));
    told.extend(projection.refuse("I will not."));
    // A call that nobody answers any more.
    said(function("docs", "search", "{}"), false).iter().for_each(|event| told.extend(projection.push(event)));
    told.extend(projection.push(&finished(Ending::OutputTokens)));
    let response = check_events(&told);
    check_response(&response);
    see(&told);
    let output = response["output"].as_array().unwrap();
    let of = |kind: &str| output.iter().filter(|item| item["type"] == kind).collect::<Vec<_>>();
    assert_eq!(of("web_search_call")[0]["action"]["query"], "cats");
    assert_eq!(of("web_search_call")[1]["action"], json!({ "type": "open_page", "url": "https://a.example" }));
    assert_eq!(of("code_interpreter_call")[0]["outputs"][0]["logs"], "1\n");
    assert_eq!(of("shell_call")[0]["action"]["commands"], json!(["ls"]));
    assert_eq!(of("shell_call_output")[0]["output"][0]["stdout"], "1\n");
    assert_eq!(of("mcp_call")[0]["output"], "1\n");
    assert_eq!(of("mcp_call")[1]["status"], "failed");
    let texts = of("message");
    assert_eq!(texts[0]["content"][0]["annotations"][0], citation);
    assert_eq!(texts[1]["content"][0]["refusal"], "I will not.");

    let (mut projection, events) = rich();
    see(&run(&mut projection, events));
    let mut projection = self::projection(&json!({}), Options::default());
    let mut told = projection.queue();
    told.extend(projection.begin());
    told.extend(projection.fail(&ApiError::internal(&"for the test")));
    check_events(&told);
    see(&told);
    see(&[error_event(&ApiError::invalid("input", "wrong"), 4)]);
    let mut projection = self::projection(&json!({}), Options::default());
    see(&run(&mut projection, [finished(Ending::Answered)]));

    assert_eq!(EventKind::ALL.len(), 50);
    let missing: Vec<&str> =
        EventKind::ALL.iter().map(|kind| kind.name()).filter(|name| !seen.contains(*name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn tools_that_break_off_anywhere_leave_nothing_open() {
    let (_, all) = hosted();
    for end in 0..=all.len() {
        let (mut projection, events) = hosted();
        let mut told = projection.start();
        events[..end].iter().for_each(|event| told.extend(projection.push(event)));
        told.extend(projection.cancel());
        check_events(&told);
    }
}

#[test]
fn the_event_error_is_valid() {
    let event = error_event(&ApiError::invalid("input", "wrong"), 4);
    assert_eq!(
        event,
        json!({
            "type": "error", "sequence_number": 4, "code": "invalid_value", "message": "wrong", "param": "input",
        })
    );
    if let Some(published) = crate::published_schema::published() {
        published.check_event(&event);
    }
}
