//! Requests at random: none may end in a 5xx, each refusal must say why, and the server must live on. Seeded; by hand the same scripts
//! send any number.

use std::process::Command;

use crate::installed;
use crate::serving::Server;

#[track_caller]
fn run(script: &str, options: &[&str]) {
    let mut command = Command::new(installed::program("python", "bin/python"));
    command.arg(installed::scripts("python").join(script)).args(options);
    Server::start().satisfies(&mut command);
}

/// What the server's own OpenAPI document allows, and what it does not.
#[test]
fn by_the_description_of_the_api() {
    run("fuzz.py", &["--examples", "25"]);
}

#[test]
fn good_requests_spoiled() {
    run("fuzz_bodies.py", &["--requests", "2000"]);
}
