//! Where the default rendering goes beyond the official library or departs from it, and why.

use harmony::{
    AnalysisPolicy, Conversation, DeveloperContent, Message, RenderOptions, Renderer, ResponseFormat, Role,
    SystemContent, ToolDescription, ToolNamespace, Vocabulary,
};
use serde_json::json;

use crate::golden::goldens;

fn rendered(conversation: &Conversation, analysis: AnalysisPolicy) -> String {
    let vocabulary = Vocabulary::o200k_harmony();
    let options = RenderOptions { analysis, ..RenderOptions::default() };
    let renderer = Renderer::new(&vocabulary).unwrap().with_options(options);
    vocabulary.decode(&renderer.render_conversation(conversation).unwrap())
}

fn has(conversation: &Conversation, analysis: AnalysisPolicy, texts: [&str; 3]) -> [bool; 3] {
    let rendered = rendered(conversation, analysis);
    texts.map(|text| rendered.contains(&format!("<|message|>{text}<|")))
}

/// The library drops thoughts only before the first final answer, so the thoughts of all later turns stay in the
/// prompt for ever. The documented rule, which the model was trained with, drops them before the last.
#[test]
fn thoughts_before_the_last_final_answer_are_dropped() {
    let conversation = Conversation::default()
        .with_user("a")
        .with_assistant("analysis", "t1")
        .with_assistant("final", "A")
        .with_user("b")
        .with_assistant("analysis", "t2")
        .with_assistant("final", "B")
        .with_user("c")
        .with_assistant("analysis", "t3");
    let texts = ["t1", "t2", "t3"];
    assert_eq!(has(&conversation, AnalysisPolicy::BeforeLastFinal, texts), [false, false, true]);
    assert_eq!(has(&conversation, AnalysisPolicy::Keep, texts), [true, true, true]);
    // The assistant's last message is no final answer: the library keeps everything.
    assert_eq!(has(&conversation, AnalysisPolicy::BeforeFirstFinal, texts), [true, true, true]);
    let mut finished = conversation;
    finished.messages.pop();
    assert_eq!(has(&finished, AnalysisPolicy::BeforeFirstFinal, ["t1", "t2", "c"]), [false, true, true]);
}

/// The library drops whatever stands on the analysis channel, and with it the calls of the browser and of python and
/// their results, which the answers rest on. Only thoughts are dropped here.
#[test]
fn calls_on_the_analysis_channel_and_their_results_stay() {
    let conversation = Conversation::default()
        .with_user("2**100?")
        .with_assistant("analysis", "thought")
        .with_message(Message::new(Role::Assistant, "print(2**100)").with_channel("analysis").with_recipient("python"))
        .with_message(Message::tool_result("python", "analysis", "1267650600228229401496703205376"))
        .with_assistant("final", "Done.");
    let texts = ["thought", "print(2**100)", "1267650600228229401496703205376"];
    assert_eq!(has(&conversation, AnalysisPolicy::BeforeLastFinal, texts), [false, true, true]);
    assert_eq!(has(&conversation, AnalysisPolicy::BeforeFirstFinal, texts), [false, false, false]);
}

/// The trained section, which the official library leaves to whoever writes the instructions.
#[test]
fn response_formats_are_rendered_as_trained() {
    let goldens = goldens();
    let golden = goldens.render.iter().find(|case| case.name == "developer with response format").unwrap();
    let schema = json!({"properties": {"items": {"type": "array", "items": {"type": "string"}}}, "type": "object"});
    let format =
        ResponseFormat { name: "shopping_list".to_owned(), description: Some("Items to buy".to_owned()), schema };
    let developer = DeveloperContent::default().with_instructions("Make a list.").with_response_format(format);
    let conversation = Conversation::default()
        .with_system(SystemContent::default().with_date("2025-06-28"))
        .with_developer(developer)
        .with_user("Soup");
    let renderer = Renderer::new(&Vocabulary::o200k_harmony()).unwrap();
    assert_eq!(
        renderer.render_for_completion(&conversation, Role::Assistant).unwrap(),
        *golden.tokens.as_ref().unwrap()
    );
}

#[test]
fn sections_follow_each_other_instructions_tools_formats() {
    let tool = ToolDescription { name: "f".to_owned(), description: "Does f.".to_owned(), parameters: None };
    let format = |name: &str| ResponseFormat { name: name.to_owned(), description: None, schema: json!(true) };
    let developer = DeveloperContent::default()
        .with_instructions("I")
        .with_functions(vec![tool])
        .with_response_format(format("one"))
        .with_response_format(format("two"));
    let text = rendered(&Conversation::default().with_developer(developer), AnalysisPolicy::Keep);
    assert_eq!(
        text,
        "<|start|>developer<|message|># Instructions\n\nI\n\n# Tools\n\n## functions\n\nnamespace functions {\n\n// Does f.\n\
         type f = () => any;\n\n} // namespace functions\n\n# Response Formats\n\n## one\n\ntrue\n\n## two\n\ntrue<|end|>"
    );
}

/// The texts of the built-in tools, against the goldens in which the library wrote its own.
#[test]
fn built_in_tools_have_the_trained_text() {
    for (name, namespace) in
        [("browser call and result", ToolNamespace::browser()), ("python call and result", ToolNamespace::python())]
    {
        let goldens = goldens();
        let golden = goldens.render.iter().find(|case| case.name == name).unwrap();
        let system = SystemContent::default().with_date("2025-06-28").with_tools(namespace);
        let system = rendered(&Conversation::default().with_system(system), AnalysisPolicy::Keep);
        assert!(golden.text.as_ref().unwrap().starts_with(&system), "{name}: {system}");
    }
}

#[test]
fn errors_name_the_message() {
    let renderer = Renderer::new(&Vocabulary::o200k_harmony()).unwrap();
    let nameless = Conversation::default().with_user("x").with_message(Message::new(Role::Tool, "x"));
    assert!(renderer.render_conversation(&nameless).unwrap_err().to_string().contains("message 1"));
    let misplaced = Conversation::default().with_message(Message::new(Role::User, SystemContent::default()));
    let error = renderer.render_conversation(&misplaced).unwrap_err().to_string();
    assert!(error.contains("message 0") && error.contains("system content") && error.contains("user"), "{error}");
    let misplaced = Conversation::default().with_message(Message::new(Role::System, DeveloperContent::default()));
    assert!(renderer.render_conversation(&misplaced).is_err());
}
