//! Requests as clients send them, and as they should not.

use serde_json::json;

use super::*;

fn read(body: &Value) -> CreateResponse {
    CreateResponse::read(body).unwrap_or_else(|error| panic!("{body} is refused: {}", error.message))
}

/// The path and the code of what is refused.
fn refused(mut body: Value) -> (String, &'static str) {
    if body.get("input").is_none() {
        body["input"] = json!("Hello");
    }
    let error = CreateResponse::read(&body).expect_err(&body.to_string());
    assert_eq!(error.status, 400);
    (error.param.unwrap_or_default(), error.code.unwrap())
}

fn meaning(item: Value) -> Meaning {
    read(&json!({ "input": [item] })).input.remove(0).meaning
}

fn text_of(item: Value) -> String {
    match meaning(item) {
        Meaning::Message { text, .. } | Meaning::Output { text, .. } | Meaning::Reasoning { text, .. } => text,
        other => panic!("{other:?} has no text"),
    }
}

#[test]
fn a_text_is_all_that_is_needed() {
    let create = read(&json!({ "input": "Hello" }));
    assert_eq!(create.input[0].meaning, Meaning::Message { role: Role::User, text: "Hello".to_owned() });
    assert!(create.store && !create.stream && !create.background && !create.parallel_tool_calls);
    assert_eq!((&create.source, create.logprobs()), (&Source::Nothing, None));
}

#[test]
fn what_routers_and_agents_send_is_taken() {
    let create = read(&json!({
        "model": "gpt-oss-20b", "input": "Hi", "client_metadata": { "x": "y" }, "top_k": -1, "min_p": 0.1,
        "repetition_penalty": 1.1, "priority": -3, "seed": 7, "cache_salt": "s", "user": "u", "safety_identifier": "i",
        "metadata": { "a": "b" }, "prompt_cache_key": "k", "prompt_cache_retention": "24h", "service_tier": "flex",
        "prompt_cache_options": { "ttl": "30m", "mode": "implicit" }, "presence_penalty": 0.5, "frequency_penalty": 0,
        "include": ["reasoning.encrypted_content"], "store": false, "stream": true, "truncation": "auto",
        "reasoning": { "effort": "minimal", "summary": "auto", "context": "all_turns", "mode": "standard" },
        "text": { "verbosity": "low" }, "max_output_tokens": 1, "max_tool_calls": 0, "top_logprobs": 2, "instructions": null,
        "parallel_tool_calls": true, "stream_options": { "include_obfuscation": true }, "conversation": { "id": "conv_1" },
    }));
    assert_eq!((create.decoding.top_k, create.decoding.seed), (Some(0), Some(7)));
    assert_eq!(create.priority, engine::Priority::High);
    assert_eq!(create.reasoning.effort, Some(agent::Effort::Low));
    assert_eq!(create.source, Source::Conversation("conv_1".to_owned()));
    assert!(create.include.encrypted_reasoning && create.include_obfuscation && create.parallel_tool_calls);
    assert_eq!(create.logprobs(), Some(2));
    assert_eq!(create.cache.retention, Some(Retention::Day));
}

#[test]
fn what_is_wrong_is_named() {
    let cases = [
        (json!({ "inputs": 1 }), "inputs", "unknown_parameter"),
        (json!({ "input": 3 }), "input", "invalid_type"),
        (json!({ "input": [] }), "input", "missing_required_parameter"),
        (json!({ "temperature": 2.1 }), "temperature", "decimal_above_max_value"),
        (json!({ "top_p": "1" }), "top_p", "invalid_type"),
        (json!({ "max_output_tokens": 0 }), "max_output_tokens", "integer_below_min_value"),
        (json!({ "top_logprobs": 21 }), "top_logprobs", "integer_above_max_value"),
        (json!({ "metadata": { "a": 1 } }), "metadata.a", "invalid_type"),
        (json!({ "metadata": { "k".repeat(65): "v" } }), "metadata", "invalid_value"),
        (json!({ "metadata": { "k": "v".repeat(513) } }), "metadata.k", "invalid_value"),
        (json!({ "prompt": { "id": "p" } }), "prompt", "unsupported_value"),
        (json!({ "moderation": { "model": "m" } }), "moderation", "unsupported_value"),
        (json!({ "context_management": [{ "type": "compaction" }] }), "context_management", "unsupported_value"),
        (json!({ "service_tier": "gold" }), "service_tier", "invalid_value"),
        (json!({ "include": ["everything"] }), "include[0]", "invalid_value"),
        (json!({ "background": true, "store": false }), "background", "invalid_value"),
        (json!({ "previous_response_id": "a", "conversation": "b" }), "previous_response_id", "invalid_value"),
        (json!({ "conversation": {} }), "conversation.id", "missing_required_parameter"),
        (json!({ "reasoning": { "effort": "huge" } }), "reasoning.effort", "invalid_value"),
        (json!({ "reasoning": { "mode": "pro" } }), "reasoning.mode", "unsupported_value"),
        (json!({ "reasoning": { "depth": 1 } }), "reasoning.depth", "unknown_parameter"),
        (json!({ "prompt_cache_options": { "mode": "explicit" } }), "prompt_cache_options.mode", "unsupported_value"),
        (json!({ "text": { "format": { "type": "xml" } } }), "text.format.type", "invalid_value"),
        (
            json!({ "text": { "format": { "type": "json_schema", "name": "n" } } }),
            "text.format.schema",
            "missing_required_parameter",
        ),
        (
            json!({ "text": { "format": { "type": "json_schema", "name": "n", "schema": { "type": "objekt" } } } }),
            "text.format.schema.type",
            "invalid_json_schema",
        ),
    ];
    for (body, path, code) in cases {
        assert_eq!(refused(body.clone()), (path.to_owned(), code), "{body}");
    }
}

#[test]
fn messages_come_in_many_forms() {
    assert_eq!(text_of(json!({ "role": "user", "content": "a" })), "a");
    let parts = json!([{ "type": "input_text", "text": "a" }, { "type": "input_text", "text": "b" }]);
    assert_eq!(text_of(json!({ "type": "message", "role": "user", "content": parts })), "a\nb");
    let parts = json!([{ "type": "output_text", "text": "a" }, { "type": "refusal", "refusal": "b" }]);
    let assistant = json!({ "role": "assistant", "content": parts, "phase": "commentary", "whatever": 1 });
    let role = Role::Assistant(agent::Phase::Commentary);
    assert_eq!(meaning(assistant), Meaning::Message { role, text: "ab".to_owned() });
    assert_eq!(text_of(json!({ "role": "system", "content": "a" })), "a");
    let file = json!([{ "type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGk=" }]);
    assert_eq!(text_of(json!({ "role": "user", "content": file })), "a.txt:\nhi");
}

#[test]
fn what_the_model_cannot_read_is_named() {
    let part = |part: Value| refused(json!({ "input": [{ "role": "user", "content": ["a", part] }] }));
    for kind in ["input_image", "input_audio"] {
        assert_eq!(part(json!({ "type": kind })), ("input[0].content[1]".to_owned(), "unsupported_value"));
    }
    let (path, code) = part(json!({ "type": "input_file", "file_id": "file_1" }));
    assert_eq!((path.as_str(), code), ("input[0].content[1].file_id", "unsupported_value"));
    let pdf = json!({ "type": "input_file", "file_data": "data:application/pdf;base64,/w==" });
    assert_eq!(part(pdf), ("input[0].content[1].file_data".to_owned(), "unsupported_value"));
    let (path, _) = part(json!({ "type": "input_file", "file_data": "%" }));
    assert_eq!(path, "input[0].content[1].file_data");
    let item = |item: Value| refused(json!({ "input": ["ignored".len(), item] }));
    assert_eq!(item(json!({})).0, "input[0]");
    let item = |item: Value| refused(json!({ "input": [item] }));
    assert_eq!(item(json!({ "type": "computer_call" })), ("input[0].type".to_owned(), "unsupported_value"));
    assert_eq!(item(json!({ "type": "nonsense" })), ("input[0].type".to_owned(), "invalid_value"));
    assert_eq!(item(json!({ "role": "tool", "content": "x" })).0, "input[0].role");
    assert_eq!(item(json!({ "type": "function_call_output", "call_id": "", "output": "" })).0, "input[0].call_id");
    assert_eq!(item(json!({})).0, "input[0].id");
}

#[test]
fn thoughts_and_calls_come_back() {
    let thought = json!({ "type": "reasoning", "id": "rs_1", "summary": [], "content": [{ "type": "reasoning_text", "text": "hm" }] });
    assert_eq!(text_of(thought), "hm");
    let empty = json!({ "type": "reasoning", "summary": [{ "type": "summary_text", "text": "short" }], "content": null, "encrypted_content": "abc" });
    assert_eq!(meaning(empty), Meaning::Reasoning { text: String::new(), sealed: Some("abc".to_owned()) });
    let call = json!({ "type": "function_call", "call_id": "c", "name": "f", "namespace": "n", "arguments": "{}" });
    let Meaning::Call(call) = meaning(call) else { panic!("a call") };
    assert_eq!((call.tool.to_string().as_str(), call.kind), ("n.f", agent::CallKind::Function));
    let output =
        json!({ "type": "custom_tool_call_output", "call_id": "c", "output": [{ "type": "input_text", "text": "o" }] });
    assert_eq!(meaning(output), Meaning::Output { call_id: "c".to_owned(), text: "o".to_owned() });
    assert_eq!(meaning(json!({ "type": "item_reference", "id": "rs_1" })), Meaning::Reference("rs_1".to_owned()));
    assert_eq!(meaning(json!({ "id": "rs_1" })), Meaning::Reference("rs_1".to_owned()));
}

#[test]
fn what_other_servers_ran_comes_back_as_calls() {
    let cases = [
        (
            json!({ "type": "web_search_call", "id": "w", "action": { "type": "search", "query": "q" } }),
            "browser.search",
            r#"{"query":"q"}"#,
        ),
        (
            json!({ "type": "code_interpreter_call", "id": "w", "code": "1", "outputs": [{ "type": "logs", "logs": "1" }] }),
            "python",
            "1",
        ),
        (
            json!({ "type": "mcp_call", "id": "w", "server_label": "s", "name": "n", "arguments": "{}", "output": "o" }),
            "s.n",
            "{}",
        ),
        (
            json!({ "type": "file_search_call", "id": "w", "queries": ["q"] }),
            "file_search.msearch",
            r#"{"queries":["q"]}"#,
        ),
        (
            json!({ "type": "shell_call", "call_id": "w", "action": { "commands": ["ls", "pwd"] } }),
            "container.exec",
            r#"{"command":["bash","-lc","ls\npwd"]}"#,
        ),
        (
            json!({ "type": "local_shell_call", "call_id": "w", "action": { "type": "exec", "command": ["ls"], "env": {} } }),
            "container.exec",
            r#"{"command":["ls"]}"#,
        ),
        (
            json!({ "type": "apply_patch_call", "call_id": "w", "operation": { "type": "delete_file", "path": "a" } }),
            "repo_browser.apply_patch",
            r#"{"patch":"*** Begin Patch\n*** Delete File: a\n\n*** End Patch"}"#,
        ),
    ];
    for (item, tool, input) in cases {
        let Meaning::Hosted { call, .. } = meaning(item.clone()) else { panic!("{item} is a call") };
        assert_eq!((call.id.as_str(), call.tool.to_string().as_str(), call.input.as_str()), ("w", tool, input));
    }
    let output = json!({ "type": "shell_call_output", "call_id": "w", "output": [
        { "stdout": "a", "stderr": "b", "outcome": { "type": "exit", "exit_code": 2 } },
    ] });
    assert_eq!(text_of(output), "a\nb\nexit code 2");
    for kind in ["mcp_list_tools", "mcp_approval_request", "mcp_approval_response"] {
        assert_eq!(meaning(json!({ "type": kind })), Meaning::Unseen);
    }
}

#[test]
fn codes_say_what_is_wrong_with_a_value() {
    let cases = [
        (json!({ "temperature": "warm" }), "temperature", "invalid_type"),
        (json!({ "temperature": 2.5 }), "temperature", "decimal_above_max_value"),
        (json!({ "top_p": -1 }), "top_p", "decimal_below_min_value"),
        (json!({ "max_output_tokens": 0 }), "max_output_tokens", "integer_below_min_value"),
        (json!({ "max_output_tokens": 1.5 }), "max_output_tokens", "invalid_type"),
        (json!({ "top_logprobs": 21 }), "top_logprobs", "integer_above_max_value"),
        (json!({ "truncation": "some" }), "truncation", "invalid_value"),
        (json!({ "truncation": 1 }), "truncation", "invalid_type"),
        (json!({ "include": ["all"] }), "include[0]", "invalid_value"),
        (json!({ "input": [{ "type": "joke" }] }), "input[0].type", "invalid_value"),
        (json!({ "input": [{ "role": "king", "content": "x" }] }), "input[0].role", "invalid_value"),
        (json!({ "tools": [{ "type": "gadget" }] }), "tools[0].type", "invalid_value"),
    ];
    for (body, path, code) in cases {
        assert_eq!(refused(body.clone()), (path.to_owned(), code), "{body}");
    }
    assert_eq!(CreateResponse::read(&json!([])).unwrap_err().param, None);
}

#[test]
fn tools_come_in_many_forms() {
    let create = read(&json!({ "input": "x", "tools": [
        { "type": "function", "name": "f", "parameters": null, "strict": null, "description": "d" },
        { "type": "custom", "name": "c", "format": { "type": "grammar", "syntax": "lark", "definition": "start: X" } },
        { "type": "namespace", "name": "team", "description": "Others.", "tools": [{ "type": "function", "name": "f", "description": "Ask." }] },
        { "type": "web_search", "external_web_access": false },
    ] }));
    let names: Vec<String> = create
        .tools
        .iter()
        .flat_map(|entry| match &entry.tool {
            CallerTool::Own(tools) => tools.iter().map(|tool| tool.name.to_string()).collect::<Vec<_>>(),
            CallerTool::Hosted(kind) => vec![(*kind).to_owned()],
        })
        .collect();
    assert_eq!(names, ["functions.f", "functions.c", "team.f", "web_search"]);
    let CallerTool::Own(team) = &create.tools[2].tool else { panic!("a namespace") };
    assert_eq!(team[0].description, "[team: Others.] Ask.");
}

#[test]
fn wrong_tools_are_named() {
    let function = |name: &str| json!({ "type": "function", "name": name });
    let cases = [
        (json!([{ "name": "f" }]), "tools[0].type", "missing_required_parameter"),
        (json!([{ "type": "gadget" }]), "tools[0].type", "invalid_value"),
        (json!([function("a b")]), "tools[0].name", "invalid_value"),
        (json!([function("<|call|>")]), "tools[0].name", "invalid_value"),
        (json!([function("f"), function("f")]), "tools[1].name", "invalid_value"),
        (json!([{ "type": "function", "function": { "name": "f" } }]), "tools[0].name", "missing_required_parameter"),
        (
            json!([{ "type": "function", "name": "f", "parameters": { "type": "string" } }]),
            "tools[0].parameters.type",
            "invalid_function_parameters",
        ),
        (
            json!([{ "type": "custom", "name": "f", "format": { "type": "grammar", "syntax": "peg" } }]),
            "tools[0].format.syntax",
            "invalid_value",
        ),
        (
            json!([{ "type": "function", "name": "f", "allowed_callers": ["programmatic"] }]),
            "tools[0].allowed_callers",
            "unsupported_value",
        ),
        (
            json!([{ "type": "namespace", "name": "n", "tools": [{ "type": "mcp" }] }]),
            "tools[0].tools[0].type",
            "invalid_value",
        ),
    ];
    for (tools, path, code) in cases {
        assert_eq!(refused(json!({ "tools": tools })), (path.to_owned(), code), "{tools}");
    }
    assert_eq!(refused(json!({ "tool_choice": "always" })).0, "tool_choice");
    assert_eq!(refused(json!({ "tool_choice": { "type": "function" } })).0, "tool_choice.name");
    let choice = json!({ "type": "function", "name": "f", "colour": 1 });
    assert_eq!(refused(json!({ "tool_choice": choice })), ("tool_choice.colour".to_owned(), "unknown_parameter"));
    let allowed = json!({ "type": "allowed_tools", "mode": "auto", "tools": [] });
    assert_eq!(refused(json!({ "tool_choice": allowed })).0, "tool_choice.tools");
}
