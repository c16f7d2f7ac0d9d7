//! Python's clients: each test runs one script of `clients/python`.

use std::process::Command;

use crate::installed;
use crate::serving::Server;

#[track_caller]
fn run(script: &str) {
    let mut command = Command::new(installed::program("python", "bin/python"));
    command.arg(installed::scripts("python").join(script));
    Server::start().satisfies(&mut command);
}

#[test]
fn openai_responses() {
    run("openai_responses.py");
}

#[test]
fn openai_background() {
    run("openai_background.py");
}

#[test]
fn openai_conversations() {
    run("openai_conversations.py");
}

#[test]
fn openai_chat() {
    run("openai_chat.py");
}

#[test]
fn openai_completions() {
    run("openai_completions.py");
}

#[test]
fn openai_files() {
    run("openai_files.py");
}

#[test]
fn openai_errors() {
    run("openai_errors.py");
}

#[test]
fn openai_socket() {
    run("openai_socket.py");
}

#[test]
fn openai_agents() {
    run("agents_weather.py");
}

#[test]
fn langchain() {
    run("langchain_chat.py");
}

#[test]
fn litellm() {
    run("litellm_both.py");
}

#[test]
fn anthropic() {
    run("anthropic_messages.py");
}
