//! Requests made at random from the server's own OpenAPI document: none may end in a 5xx, and the server must live on.

use std::process::Command;

use crate::installed;
use crate::serving::Server;

/// Requests per operation; about a minute for all of them.
const EXAMPLES: &str = "8";

#[test]
fn no_request_breaks_the_server() {
    let mut server = Server::start();
    let mut command = Command::new(installed::program("python", "bin/python"));
    command.arg(installed::scripts("python").join("fuzz.py")).args(["--examples", EXAMPLES, "--seed", "20"]);
    server.satisfies(&mut command);
}
